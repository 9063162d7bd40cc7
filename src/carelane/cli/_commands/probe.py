"""Probes at sites: what only packets between the ends can tell."""

from __future__ import annotations

from typing import Annotated

import typer

from carelane.cli._commands._app import group
from carelane.cli._commands._options import Output, Url

__all__: list[str] = []

probe_app = group(
    "probe", "STAMP probes (RFC 8762) between the ends of a slice: delay, jitter and loss of real packets."
)

Port = Annotated[int, typer.Option(min=1, max=65535, help="UDP port of the reflector.")]
ClockError = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION", help="How wrong this clock may be, such as 10us; asked of the kernel if not given."
    ),
]


@probe_app.command()
def respond(
    address: Annotated[str, typer.Option(help="Address to listen on.")] = "0.0.0.0",  # noqa: S104 - a site's own choice
    port: Port = 862,
    clock_error: ClockError = None,
) -> None:
    """Answer the probes of other sites, until it is ended."""
    from carelane.cli._probe import run_respond

    raise typer.Exit(run_respond(address, port, clock_error))


@probe_app.command()
def run(
    slice_name: Annotated[str, typer.Argument(metavar="SLICE", help="Name of the intent whose slice is measured.")],
    source: Annotated[str, typer.Option("--from", metavar="ENDPOINT", help="This end.")],
    to: Annotated[str, typer.Option(metavar="ENDPOINT", help="The end that responds.")],
    target: Annotated[str, typer.Option(metavar="ADDRESS", help="IPv4 address of the end that responds.")],
    port: Port = 862,
    bind: Annotated[str | None, typer.Option(metavar="ADDRESS", help="This end's address in the slice.")] = None,
    interval: Annotated[str, typer.Option(metavar="DURATION", help="Between two packets.")] = "100ms",
    every: Annotated[str, typer.Option(metavar="DURATION", help="Between two reports.")] = "10s",
    reports: Annotated[int | None, typer.Option(min=1, help="End after so many reports.")] = None,
    dscp: Annotated[int | None, typer.Option(min=0, max=63, help="That of the slice's class if not given.")] = None,
    clock_error: ClockError = None,
    url: Url = None,
    output: Output = "table",
) -> None:
    """Measure a slice towards another site and report it to the server, both ways, until it is ended.

    Exit 1 when reports were limited and not a single packet came back.
    """
    from carelane.cli._probe import Probing, run_probe

    wanted = Probing(slice_name, source, to, target, port, bind, interval, every, reports, dscp, clock_error)
    raise typer.Exit(run_probe(url, wanted, output=output))
