"""The fast lane: one path between two endpoints, found on flat arrays, with the bounds that `admit` would give it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from carelane.controller.pipeline import admit
from carelane.controller.pipeline.admit import Embedding, Row
from carelane.controller.pipeline.lane._network import LaneGraph
from carelane.controller.pipeline.limits import AMPLE_BPS, Limits, Room, metrics_along
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.shape import Slice, access_port, shape_of
from carelane.topology.availability import exact_availability, exact_ratio, unstated_availability
from carelane.topology.ledger import CapacityLedger, PortKey
from carelane.topology.paths import UNKNOWN_PS, Effort, Metrics, PathGraph, Route

__all__ = ["along", "embed"]

_KEPT = 10_000
"""Routes whose availability is kept."""


def embed(
    graph: PathGraph,
    requirement: Requirement,
    ledger: CapacityLedger,
    effort: Effort,
    *,
    unlimited: bool = False,
    priced: bool = False,
) -> Embedding | None:
    """`admit.embed`, by the fast lane where `graph` is a `LaneGraph` and one plain path decides it.

    It does when no path has the room (nothing else could help), and when the best plain path keeps every objective.
    With `priced` the cheapest path under link prices is preferred to the fastest; whether there is an embedding, and
    of how many paths, does not depend on it. Where the fastest path is too slow or has too little room to be quicker,
    the fastest one with the room that all of them need is next.
    """
    if not isinstance(graph, LaneGraph) or not _plain(graph, requirement):
        return admit.embed(graph, requirement, ledger, effort, unlimited=unlimited)
    ledger = ledger.seen_by(requirement.name, requirement.window)
    graph.follow(ledger)
    if not effort.spend():
        return None
    if priced:
        arcs = graph.search(requirement, priced=True, unlimited=unlimited)
        found = along(graph, requirement, ledger, arcs[1:-1], unlimited=unlimited) if arcs else None
        if arcs is None or found is not None:
            return found
    rates = requirement.forward_bps, requirement.reverse_bps
    limits = Limits(requirement, shape_of(requirement), Room(graph, ledger, unlimited))
    while True:
        arcs = graph.search(requirement, priced=False, unlimited=unlimited, rates=rates)
        found = along(graph, requirement, ledger, arcs[1:-1], unlimited=unlimited) if arcs else None
        if arcs is None or found is not None:
            return found
        # no path that serves is faster than this one: what it would need at the very least, they all need
        least = _no_worse(graph, arcs[1:-1])
        needed = limits.least_rates(least, limits.shape.leaves[0])
        if needed is None:
            return None
        if needed == rates:
            return admit.embed(graph, requirement, ledger, effort, unlimited=unlimited)
        rates = needed


def _no_worse(graph: LaneGraph, fastest: Sequence[int]) -> Metrics:
    """What no path is better than where `fastest` is the fastest of them."""
    propagation = sum(graph.propagation[arc >> 1] for arc in fastest)
    hops = min(len(fastest), 1)
    return Metrics(propagation, hops, hops * graph.least_latency, 0.0, 0.0, AMPLE_BPS, AMPLE_BPS)


def _plain(graph: LaneGraph, requirement: Requirement) -> bool:
    """Whether a single path could be all it takes, and what its objectives need is stated everywhere."""
    objectives = requirement.objectives
    known = graph.topology.endpoints
    return (
        len(requirement.pairs) == 1
        and requirement.connectivity != "hub"
        and requirement.protection != "required"
        and (objectives.availability is None or "availability" not in graph.unstated)
        and all(known.get(end.id) == end for pair in requirement.pairs for end in (pair.source, pair.destination))
    )


def along(
    graph: LaneGraph,
    requirement: Requirement,
    ledger: CapacityLedger,
    arcs: Sequence[int],
    *,
    unlimited: bool = False,
) -> Embedding | None:
    """The embedding of a point-to-point requirement on the links of `arcs`, or None when it breaks an objective."""
    shape = shape_of(requirement)
    room = Room(graph, ledger, unlimited)
    limits = Limits(requirement, shape, room)
    metrics = metrics_along(graph, arcs, graph.ample if unlimited else graph.room)
    leaf = shape.leaves[0]
    bounds = limits.bounds(metrics, leaf) if limits.keeps_loss(metrics) else None
    if bounds is None:
        return None
    route = graph.route(graph.node_index[shape.root.node], arcs)
    target = requirement.objectives.availability
    availability = _availability(graph, route)
    if target is not None and (availability is None or availability < exact_ratio(target)):
        return None
    propagation = metrics.propagation_ps if metrics.propagation_ps < UNKNOWN_PS else None
    row = Row(0, 0, route, propagation, *bounds)
    return Embedding(shape, (row,), _floors(graph, shape, row, arcs), availability)


def _availability(graph: LaneGraph, route: Route) -> Fraction | None:
    """None: not all figures are stated."""
    kept = graph.kept_availability
    if route not in kept:
        if len(kept) >= _KEPT:
            kept.clear()
        known = "availability" not in graph.unstated or not unstated_availability(graph.topology, [route])
        kept[route] = exact_availability(graph.topology, [route]) if known else None
    return kept[route]


def _floors(graph: LaneGraph, shape: Slice, row: Row, arcs: Sequence[int]) -> dict[PortKey, int]:
    """Floors at egress and delivery ports in order of ports, then what the access lines carry."""
    root, leaf = shape.root, shape.leaves[0]
    ends = graph.links_end - 2 * len(graph.node_ids)
    held: dict[PortKey, int] = {}
    for rate_bps, turn, last in ((row.down.rate_bps, 0, leaf), (row.up.rate_bps, 1, root)):
        if rate_bps:
            held.update((graph.port_of[arc ^ turn], rate_bps) for arc in arcs)
            held[graph.port_of[ends + 2 * graph.endpoint_node[last.id] + 1]] = rate_bps
    floors = dict(sorted(held.items()))
    for endpoint, load in shape.access_loads():
        if load:
            floors[access_port(endpoint)] = load
    return floors
