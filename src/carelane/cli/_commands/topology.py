"""`carelane topology`: looking at a topology."""

from __future__ import annotations

from typing import Annotated

import typer

from carelane.cli._commands._app import group
from carelane.cli._commands._options import Availability, Capacity, Output, Url

__all__: list[str] = []

topology_app = group("topology", "Look at a topology: a running server's, or with -t one from a file or bundled.")

TopologyHere = Annotated[
    str | None,
    typer.Option("-t", "--topology", metavar="TOPOLOGY", help="File or bundled name; the server's without it."),
]


def _of_a_file(*defaults: str | None) -> None:
    if any(defaults):
        raise typer.BadParameter("defaults are for a file; give it with -t")


@topology_app.command("show")
def topology_show(
    topology: TopologyHere = None,
    default_capacity: Capacity = None,
    default_availability: Availability = None,
    url: Url = None,
    output: Output = "table",
) -> None:
    """Print nodes, links and endpoints as carelane understood them."""
    from carelane.cli._topology import run_topology_show, run_topology_show_there

    if topology is None:
        _of_a_file(default_capacity, default_availability)
        raise typer.Exit(run_topology_show_there(url, output=output))
    from carelane.cli._sources import load_network

    network = load_network(topology, default_capacity, default_availability)
    raise typer.Exit(run_topology_show(network, output=output))


@topology_app.command("check")
def topology_check(
    topology: TopologyHere = None,
    default_capacity: Capacity = None,
    default_availability: Availability = None,
    url: Url = None,
    output: Output = "table",
) -> None:
    """Say what the topology cannot promise: missing figures, cut-off parts, single points of failure.

    Of a server's also where switches and cables differ from it. Exit 0 when every promise can be computed and the
    network is as declared, 1 when not, 2 when it does not load.
    """
    from carelane.cli._topology import run_topology_check, run_topology_check_there

    if topology is None:
        _of_a_file(default_capacity, default_availability)
        raise typer.Exit(run_topology_check_there(url, output=output))
    from carelane.cli._sources import load_network

    network = load_network(topology, default_capacity, default_availability)
    raise typer.Exit(run_topology_check(network, output=output))
