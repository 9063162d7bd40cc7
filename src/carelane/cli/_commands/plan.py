"""Deciding and looking up; no server, no switches."""

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
    PolicyFile,
    ShowProgress,
    Sources,
    TopologyFile,
    Url,
)

__all__: list[str] = []


@app.command()
def plan(
    topology: TopologyFile,
    line: Line = None,
    file: Files = None,
    source: Sources = None,
    to: Destinations = None,
    name: Name = None,
    default_capacity: Capacity = None,
    default_availability: Availability = None,
    optimize: Annotated[bool, typer.Option("--optimize", help="Decide all intents as one batch.")] = False,
    policy: PolicyFile = None,
    progress: ShowProgress = None,
    output: Output = "table",
) -> None:
    """Decide intents against a topology; no server, no switches.

    Exit 0 when all are admitted, 3 when some are refused, 2 on bad input.
    """
    from carelane.cli._progress import shown_progress
    from carelane.cli._sources import load_network, read_intents

    with shown_progress(progress):
        network = load_network(topology, default_capacity, default_availability)
        intents = read_intents(line, file or [], source or [], to or [], name, network.endpoints, topology)
    from carelane.cli._plan import run_plan

    raise typer.Exit(
        run_plan(network, intents, optimize=optimize, policy_file=policy, progress=progress, output=output)
    )


@app.command()
def whatif(
    topology: Annotated[
        str | None, typer.Option("-t", "--topology", metavar="TOPOLOGY", help="Ask here, of the intents of -f.")
    ] = None,
    file: Files = None,
    fail: Annotated[
        list[str] | None,
        typer.Option("--fail", metavar="ID", help="A link, node or risk group that fails. Repeatable."),
    ] = None,
    drain: Annotated[
        list[str] | None, typer.Option("--drain", metavar="ID", help="The same, taken out on purpose. Repeatable.")
    ] = None,
    upgrade: Annotated[
        list[str] | None, typer.Option("--upgrade", metavar="LINK=RATE", help="A link's new capacity. Repeatable.")
    ] = None,
    add: Annotated[
        list[str] | None, typer.Option("--add", metavar="LINE", help="One more intent, in one line. Repeatable.")
    ] = None,
    sweep: Annotated[bool, typer.Option("--sweep", help="Every single failure of a link, node or risk group.")] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes for the sweep; one a processor if not given.")
    ] = None,
    ray: Annotated[
        str | None, typer.Option("--ray", metavar="ADDRESS", help="Sweep on a Ray cluster; local starts one here.")
    ] = None,
    default_capacity: Capacity = None,
    default_availability: Availability = None,
    policy: PolicyFile = None,
    progress: ShowProgress = None,
    url: Url = None,
    output: Output = "table",
) -> None:
    """Ask what a failure, maintenance, an upgrade or more traffic would do to the promises; nothing is changed.

    Of the slices that a running server holds, or with -t of the intents of files, without a server. Exit 0 when every
    promise would hold whole, 3 when one would not, 2 on bad input.
    """
    from carelane.cli._whatif import Changes, run_sweep, run_whatif, run_whatif_there

    changes = Changes(fail or [], drain or [], upgrade or [], add or [])
    if topology is None:
        if file or sweep or default_capacity or default_availability or policy:
            raise typer.BadParameter("-f, --sweep, --policy and defaults are for files; give their topology with -t")
        raise typer.Exit(run_whatif_there(url, changes, output=output))
    from carelane.cli._sources import load_network, read_intents

    network = load_network(topology, default_capacity, default_availability)
    intents = read_intents(None, file or [], [], [], None, network.endpoints, topology)
    if sweep:
        if fail or drain or upgrade or add:
            raise typer.BadParameter("--sweep asks about every single failure; leave --fail and the others out")
        raise typer.Exit(
            run_sweep(network, intents, workers=workers, ray=ray, policy_file=policy, progress=progress, output=output)
        )
    raise typer.Exit(run_whatif(network, intents, changes, policy_file=policy, output=output))


@app.command()
def schema() -> None:
    """Print the JSON Schema of manifests, for editors and other programs."""
    from carelane.cli._offline import run_schema

    raise typer.Exit(run_schema())


@app.command()
def catalogue(output: Output = "table") -> None:
    """List the services that can be asked for, with their defaults and where each default comes from."""
    from carelane.cli._offline import run_catalogue

    raise typer.Exit(run_catalogue(output=output))
