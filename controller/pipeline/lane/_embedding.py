"""The fast lane: one path between two endpoints, found on flat arrays, with the bounds that `admit` would give it."""

from __future__ import annotations

from collections.abc import Sequence

from carelane.controller.pipeline import admit
from carelane.controller.pipeline.admit import Embedding, Row
from carelane.controller.pipeline.lane._network import LaneGraph
from carelane.controller.pipeline.limits import Limits, Room
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.shape import Slice, access_port, shape_of
from carelane.topology.availability import exact_availability, exact_ratio, unstated_availability
from carelane.topology.ledger import CapacityLedger, PortKey
from carelane.topology.paths import UNKNOWN_PS, Effort, Metrics, PathGraph

__all__ = ["along", "embed"]


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
    of how many paths, does not depend on it.
    """
    if not isinstance(graph, LaneGraph) or not _plain(graph, requirement):
        return admit.embed(graph, requirement, ledger, effort, unlimited=unlimited)
    ledger = ledger.seen_by(requirement.name, requirement.window)
    graph.follow(ledger)
    if not effort.spend():
        return None
    for by_price in (True, False) if priced else (False,):
        arcs = graph.search(requirement, priced=by_price, unlimited=unlimited)
        if arcs is None:
            return None
        found = along(graph, requirement, ledger, arcs[1:-1], unlimited=unlimited)
        if found is not None:
            return found
    return admit.embed(graph, requirement, ledger, effort, unlimited=unlimited)


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
    metrics = _metrics(graph, arcs, graph.ample if unlimited else graph.room)
    leaf = shape.leaves[0]
    bounds = limits.bounds(metrics, leaf) if limits.keeps_loss(metrics) else None
    if bounds is None:
        return None
    route = graph.route(graph.node_index[shape.root.node], arcs)
    target = requirement.objectives.availability
    known = "availability" not in graph.unstated or not unstated_availability(graph.topology, [route])
    availability = exact_availability(graph.topology, [route]) if known else None
    if target is not None and (availability is None or availability < exact_ratio(target)):
        return None
    propagation = metrics.propagation_ps if metrics.propagation_ps < UNKNOWN_PS else None
    row = Row(0, 0, route, propagation, *bounds)
    return Embedding(shape, (row,), _floors(graph, shape, row, arcs), availability)


def _metrics(graph: LaneGraph, arcs: Sequence[int], room: Sequence[int]) -> Metrics:
    links = [arc >> 1 for arc in arcs]
    return Metrics(
        sum(graph.propagation[link] for link in links),
        len(links),
        sum(graph.latency[link] for link in links),
        0.0,
        sum(graph.loss[link] for link in links),
        min((int(room[arc]) for arc in arcs), default=10**18),
        min((int(room[arc ^ 1]) for arc in arcs), default=10**18),
    )


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
