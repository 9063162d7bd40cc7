"""What a shared backup holds, and after which failures: read from the routes of its slice."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from carelane.topology.availability import components_of, stated_availability, switching_unavailability
from carelane.topology.backup_pool import Failure, Standby
from carelane.topology.ledger import PortKey
from carelane.topology.model import Topology
from carelane.topology.paths import Route

__all__ = ["failures_of", "standby_of"]


def failures_of(topology: Topology, route: Route) -> frozenset[Failure]:
    """The single failures that `route` suffers from: those of its links and nodes, and of their risk groups.

    Its end nodes count too, as the other end may switch over before it is told.
    """
    parts = [topology.links[link] for link in route.links] + [topology.nodes[node] for node in route.nodes]
    failures: set[Failure] = {("link", link) for link in route.links} | {("node", node) for node in route.nodes}
    return frozenset(failures.union(("risk group", group) for part in parts for group in part.risk_groups))


def standby_of(
    topology: Topology,
    tenant: str,
    routes: tuple[Route, Route],
    floors: Iterable[tuple[PortKey, int]],
    kept: float | None,
) -> Standby:
    """The shared backup of a tenant's slice with these routes, primary first; `floors` are the backup's alone."""
    primary, backup = routes
    first, second = components_of(topology, primary), components_of(topology, backup)
    return Standby(
        tenant,
        tuple(sorted(floors)),
        failures_of(topology, primary),
        first,
        second,
        MappingProxyType({part: stated_availability(topology, part) for part in first | second}),
        switching_unavailability(topology, routes),
        kept,
    )
