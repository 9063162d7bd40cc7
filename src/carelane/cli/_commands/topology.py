"""`carelane topology`: looking at a topology."""

from __future__ import annotations

import typer

from carelane.cli._commands._app import group
from carelane.cli._commands._options import Availability, Capacity, Output, TopologyFile

__all__: list[str] = []

topology_app = group("topology", "Look at a topology, from a file or bundled.")


@topology_app.command("show")
def topology_show(
    topology: TopologyFile,
    default_capacity: Capacity = None,
    default_availability: Availability = None,
    output: Output = "table",
) -> None:
    """Print nodes, links and endpoints as carelane understood them."""
    from carelane.cli._offline import run_topology_show
    from carelane.cli._sources import load_network

    network = load_network(topology, default_capacity, default_availability)
    raise typer.Exit(run_topology_show(network, output=output))


@topology_app.command("check")
def topology_check(
    topology: TopologyFile,
    default_capacity: Capacity = None,
    default_availability: Availability = None,
    output: Output = "table",
) -> None:
    """Say what the topology cannot promise: missing figures, cut-off parts, single points of failure.

    Exit 0 when every promise can be computed, 1 when something is missing, 2 when it does not load.
    """
    from carelane.cli._offline import run_topology_check
    from carelane.cli._sources import load_network

    network = load_network(topology, default_capacity, default_availability)
    raise typer.Exit(run_topology_check(network, output=output))
