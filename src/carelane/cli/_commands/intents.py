"""Intents at a running server."""

from __future__ import annotations

from typing import Annotated

import typer

from carelane.cli._commands._app import app
from carelane.cli._commands._options import (
    Availability,
    Capacity,
    Destinations,
    Every,
    Files,
    For,
    Generation,
    IntentName,
    Limit,
    Line,
    Name,
    Output,
    PolicyFile,
    Sources,
    Timeout,
    Url,
    Wait,
)
from carelane.cli._completion import intent_names

__all__: list[str] = []


@app.command()
def apply(
    line: Line = None,
    file: Files = None,
    source: Sources = None,
    to: Destinations = None,
    name: Name = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide, but file nothing.")] = False,
    optimize: Annotated[bool, typer.Option("--optimize", help="With --dry-run: decide all as one batch.")] = False,
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
        run_apply(
            url,
            submission,
            dry_run=dry_run,
            optimize=optimize,
            preempt=preempt,
            wait=wait,
            timeout=timeout,
            output=output,
        )
    )


@app.command()
def patch(
    name: IntentName,
    text: Annotated[
        str | None, typer.Option("-p", "--patch", metavar="PATCH", help="YAML or JSON of what changes; null removes.")
    ] = None,
    file: Annotated[
        str | None, typer.Option("-f", "--file", metavar="FILE", help="The same in a file, - for stdin.")
    ] = None,
    generation: Generation = None,
    wait: Wait = True,
    timeout: Timeout = "60s",
    url: Url = None,
    output: Output = "table",
) -> None:
    """Change an intent: `carelane patch or1 -p '{spec: {objectives: {bandwidth: 60Mbps}}}'`.

    A merge patch of its manifest (RFC 7396). Exits as `apply` does.
    """
    from carelane.cli._remote import run_patch
    from carelane.cli._sources import read_patch

    wanted = read_patch(text, file)
    raise typer.Exit(run_patch(url, name, wanted, generation=generation, wait=wait, timeout=timeout, output=output))


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
    name: Annotated[str | None, typer.Argument(help="One intent; all without it.", autocompletion=intent_names)] = None,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    phase: Annotated[list[str] | None, typer.Option(help="Only in this phase, such as Active. Repeatable.")] = None,
    service: Annotated[str | None, typer.Option(help="Only of this service.")] = None,
    prefix: Annotated[str | None, typer.Option(help="Only whose names begin so.")] = None,
    withdrawn: Annotated[bool, typer.Option("--withdrawn", help="Withdrawn ones too.")] = False,
    url: Url = None,
    output: Output = "table",
) -> None:
    """List intents and their state."""
    from carelane.cli._remote import run_get

    filters = {"tenant": tenant, "phase": phase, "service": service, "prefix": prefix}
    raise typer.Exit(run_get(url, name, withdrawn=withdrawn, filters=filters, output=output))


@app.command()
def describe(name: IntentName, url: Url = None, output: Output = "table") -> None:
    """Everything known about one intent: state, reasons, paths with bounds, labels, queues, meters, history."""
    from carelane.cli._remote import run_describe

    raise typer.Exit(run_describe(url, name, output=output))


@app.command()
def delete(
    name: IntentName,
    generation: Generation = None,
    wait: Wait = True,
    timeout: Timeout = "60s",
    url: Url = None,
    output: Output = "table",
) -> None:
    """Withdraw an intent and wait until nothing of it is left on the switches."""
    from carelane.cli._remote import run_delete

    raise typer.Exit(run_delete(url, name, generation=generation, wait=wait, timeout=timeout, output=output))


@app.command()
def explain(
    what: Annotated[
        str,
        typer.Argument(
            metavar="NAME|LINE", help="A filed intent; with -t, an intent in one line.", autocompletion=intent_names
        ),
    ],
    topology: Annotated[
        str | None, typer.Option("-t", "--topology", metavar="TOPOLOGY", help="Decide LINE here, without a server.")
    ] = None,
    source: Sources = None,
    to: Destinations = None,
    default_capacity: Capacity = None,
    default_availability: Availability = None,
    policy: PolicyFile = None,
    url: Url = None,
    output: Output = "table",
) -> None:
    """Say in words why an intent was admitted or refused: reasons, offers, and what the decision rests on.

    Exit 3 when it is refused.
    """
    if topology is None:
        if policy is not None:
            raise typer.BadParameter("--policy is for -t; a server has its own, CARELANE_POLICY")
        from carelane.cli._explain import run_explain_filed

        raise typer.Exit(run_explain_filed(url, what, output=output))
    from carelane.cli._explain import run_explain_offline
    from carelane.cli._sources import load_network, read_intents

    network = load_network(topology, default_capacity, default_availability)
    intents = read_intents(what, [], source or [], to or [], None, network.endpoints, topology)
    raise typer.Exit(run_explain_offline(network, intents, policy_file=policy, output=output))


@app.command()
def watch(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Intents; all without any.", autocompletion=intent_names),
    ] = None,
    every: Every = "1s",
    duration: For = None,
    url: Url = None,
    output: Output = "table",
) -> None:
    """Show the states of intents as they change; `-o json` prints a line for each change."""
    from carelane.cli._watch import run_watch

    raise typer.Exit(run_watch(url, names or [], every=every, duration=duration, output=output))


@app.command()
def events(
    after: Annotated[int | None, typer.Option(min=0, help="From the step after this one; new ones without it.")] = None,
    duration: For = None,
    url: Url = None,
    output: Output = "table",
) -> None:
    """Follow every step of every intent; `-o json` prints one object a line."""
    from carelane.cli._events import run_events

    raise typer.Exit(run_events(url, after=after, duration=duration, output=output))


@app.command()
def history(
    name: IntentName,
    limit: Limit = 100,
    url: Url = None,
    output: Output = "table",
) -> None:
    """Every step of an intent, newest first."""
    from carelane.cli._listings import run_history

    raise typer.Exit(run_history(url, name, limit=limit, output=output))


@app.command()
def accept(
    name: IntentName,
    offer: Annotated[int, typer.Option("--offer", min=1, max=100, help="Which, as `explain` lists them.")] = 1,
    generation: Generation = None,
    wait: Wait = True,
    timeout: Timeout = "60s",
    url: Url = None,
    output: Output = "table",
) -> None:
    """Accept an offer of a refused intent: it is filed again with the offer's figures."""
    from carelane.cli._remote import run_accept

    raise typer.Exit(
        run_accept(url, name, offer=offer, generation=generation, wait=wait, timeout=timeout, output=output)
    )
