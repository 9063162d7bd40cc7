"""Options that several commands share, each written once."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from carelane.cli._completion import intent_names

__all__ = [
    "Availability",
    "Capacity",
    "Destinations",
    "Every",
    "Files",
    "For",
    "Format",
    "Generation",
    "IntentName",
    "Limit",
    "Line",
    "Name",
    "Output",
    "PolicyFile",
    "ShowProgress",
    "Sources",
    "Substrate",
    "Timeout",
    "TopologyFile",
    "Url",
    "Wait",
]

Format = Literal["json", "yaml", "table"]

Line = Annotated[str | None, typer.Argument(metavar="[LINE]", help="An intent in one line, English or Chinese.")]
Files = Annotated[
    list[str] | None, typer.Option("-f", "--file", metavar="INTENTS", help="Manifest file, - for stdin. Repeatable.")
]
Sources = Annotated[list[str] | None, typer.Option("--from", metavar="ENDPOINT", help="Source of LINE. Repeatable.")]
Destinations = Annotated[
    list[str] | None, typer.Option("--to", metavar="ENDPOINT", help="Destination of LINE. Repeatable.")
]
Name = Annotated[str | None, typer.Option("--name", help="Name of the intent in LINE.")]
Output = Annotated[Format, typer.Option("-o", "--output", help="How to print.")]
TopologyFile = Annotated[
    str, typer.Option("-t", "--topology", metavar="TOPOLOGY", help="YAML or GraphML file, or a bundled name.")
]
Capacity = Annotated[
    str | None, typer.Option("--default-capacity", metavar="RATE", help="For links that state none, such as 10Gbps.")
]
Availability = Annotated[
    str | None,
    typer.Option(
        "--default-availability", metavar="RATIO", help="For links and nodes that state none, such as 99.99%."
    ),
]
PolicyFile = Annotated[
    str | None, typer.Option("--policy", metavar="FILE", help="Quotas, pre-emption, how full links may be.")
]
Url = Annotated[
    str | None, typer.Option("--url", envvar="CARELANE_URL", help="Server; http://127.0.0.1:8642 if not given.")
]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is done.")]
Substrate = Annotated[
    Literal["auto", "host", "lab-kernel", "userspace"],
    typer.Option(help="Where the switches run: this machine's kernel, the lab kernel, or without a kernel."),
]
Timeout = Annotated[str, typer.Option("--timeout", metavar="DURATION", help="How long to wait.")]
Every = Annotated[str, typer.Option("--every", metavar="DURATION", help="How often to look.")]
For = Annotated[str | None, typer.Option("--for", metavar="DURATION", help="How long; until interrupted without it.")]
IntentName = Annotated[str, typer.Argument(metavar="NAME", help="An intent.", autocompletion=intent_names)]
Generation = Annotated[
    int | None,
    typer.Option("--if-generation", min=1, metavar="N", help="Only while it is this generation, as `describe` tells."),
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many, newest first.")]
ShowProgress = Annotated[
    bool | None,
    typer.Option("--progress/--no-progress", help="How far it is, on stderr; by itself on a terminal only."),
]
