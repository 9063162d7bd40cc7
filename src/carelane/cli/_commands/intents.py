"""Intents at a running server."""

from __future__ import annotations

from typing import Annotated

import typer

from carelane.cli._commands._app import app
from carelane.cli._commands._options import (
    Availability,
    Capacity,
    Destinations,
    Files,
    Line,
    Name,
    Output,
    Sources,
    Timeout,
    Url,
    Wait,
)

__all__: list[str] = []


@app.command()
def apply(
    line: Line = None,
    file: Files = None,
    source: Sources = None,
    to: Destinations = None,
    name: Name = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide, but file nothing.")] = False,
    preempt: Annotated[
        bool, typer.Option("--preempt", help="Less important slices may go for it, where policy lets that be.")
    ] = False,
    wait: Wait = True,
    timeout: Timeout = "60s",
    url: Url = None,
    output: Output = "table",
) -> None:
    """File intents with the running server; all of them or, when one is faulty, none."""
    from carelane.cli._remote import run_apply
    from carelane.cli._sources import read_submission

    submission = read_submission(line, file or [], source or [], to or [], name)
    raise typer.Exit(
        run_apply(url, submission, dry_run=dry_run, preempt=preempt, wait=wait, timeout=timeout, output=output)
    )


@app.command()
def diff(
    line: Line = None,
    file: Files = None,
    source: Sources = None,
    to: Destinations = None,
    name: Name = None,
    url: Url = None,
    output: Output = "table",
) -> None:
    """Show what would change on the switches.

    With intents, what filing them would send; without, what a repair would send. Exit 0 when nothing would change,
    1 when something would.
    """
    from carelane.cli._remote import run_diff
    from carelane.cli._sources import read_submission

    asked = line is not None or file or source or to
    submission = read_submission(line, file or [], source or [], to or [], name) if asked else None
    raise typer.Exit(run_diff(url, submission, output=output))


@app.command()
def get(
    name: Annotated[str | None, typer.Argument(help="One intent; all without it.")] = None,
    url: Url = None,
    output: Output = "table",
) -> None:
    """List intents and their state."""
    from carelane.cli._remote import run_get

    raise typer.Exit(run_get(url, name, output=output))


@app.command()
def describe(
    name: Annotated[str, typer.Argument(help="The intent.")], url: Url = None, output: Output = "table"
) -> None:
    """Everything known about one intent: state, reasons, paths with bounds, labels, queues, meters, history."""
    from carelane.cli._remote import run_describe

    raise typer.Exit(run_describe(url, name, output=output))


@app.command()
def delete(
    name: Annotated[str, typer.Argument(help="The intent.")],
    wait: Wait = True,
    timeout: Timeout = "60s",
    url: Url = None,
) -> None:
    """Withdraw an intent and wait until nothing of it is left on the switches."""
    from carelane.cli._remote import run_delete

    raise typer.Exit(run_delete(url, name, wait=wait, timeout=timeout))


@app.command()
def explain(
    what: Annotated[str, typer.Argument(metavar="NAME|LINE", help="A filed intent; with -t, an intent in one line.")],
    topology: Annotated[
        str | None, typer.Option("-t", "--topology", metavar="TOPOLOGY", help="Decide LINE here, without a server.")
    ] = None,
    source: Sources = None,
    to: Destinations = None,
    default_capacity: Capacity = None,
    default_availability: Availability = None,
    url: Url = None,
    output: Output = "table",
) -> None:
    """Say in words why an intent was admitted or refused: reasons, offers, and what the decision rests on.

    Exit 3 when it is refused.
    """
    if topology is None:
        from carelane.cli._explain import run_explain_filed

        raise typer.Exit(run_explain_filed(url, what, output=output))
    from carelane.cli._explain import run_explain_offline
    from carelane.cli._sources import load_network, read_intents

    network = load_network(topology, default_capacity, default_availability)
    intents = read_intents(what, [], source or [], to or [], None, network.endpoints, topology)
    raise typer.Exit(run_explain_offline(network, intents, output=output))


@app.command()
def watch(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Intents; all without any.")] = None,
    every: Annotated[str, typer.Option(metavar="DURATION", help="How often to look.")] = "1s",
    duration: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="How long; until interrupted without it.")
    ] = None,
    url: Url = None,
    output: Output = "table",
) -> None:
    """Show the states of intents as they change; `-o json` prints a line for each change."""
    from carelane.cli._watch import run_watch

    raise typer.Exit(run_watch(url, names or [], every=every, duration=duration, output=output))


@app.command()
def events(
    after: Annotated[int | None, typer.Option(min=0, help="From the step after this one; new ones without it.")] = None,
    duration: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="How long; until interrupted without it.")
    ] = None,
    url: Url = None,
    output: Output = "table",
) -> None:
    """Follow every step of every intent; `-o json` prints one object a line."""
    from carelane.cli._events import run_events

    raise typer.Exit(run_events(url, after=after, duration=duration, output=output))
