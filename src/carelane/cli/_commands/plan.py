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
    Sources,
    TopologyFile,
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
    output: Output = "table",
) -> None:
    """Decide intents against a topology; no server, no switches.

    Exit 0 when all are admitted, 3 when some are refused, 2 on bad input.
    """
    from carelane.cli._sources import load_network, read_intents

    network = load_network(topology, default_capacity, default_availability)
    intents = read_intents(line, file or [], source or [], to or [], name, network.endpoints, topology)
    from carelane.cli._plan import run_plan

    raise typer.Exit(run_plan(network, intents, optimize=optimize, output=output))


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
