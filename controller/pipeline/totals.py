"""Totals of a plan: asked for, admitted, and what no planner could exceed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from math import exp

from carelane.controller.pipeline.certificate import certify
from carelane.controller.pipeline.lane import LaneGraph, embed
from carelane.controller.pipeline.limits import Room
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.slice_plan import Decision, Totals
from carelane.controller.pipeline.value import demand_bps
from carelane.topology.ledger import CapacityLedger
from carelane.topology.model import Endpoint
from carelane.topology.paths import Effort

__all__ = ["possible", "totals", "without"]

_EFFORT = 50_000
_STEEPNESS = 40.0


def totals(graph: LaneGraph, decisions: Sequence[Decision], start: CapacityLedger, end: CapacityLedger) -> Totals:
    """Totals of decisions that led from ledger `start` to `end`.

    With schedules the bound is what could be admitted alone: prices at the end say nothing about other moments.
    """
    admitted = sum(demand_bps(decision.requirement) for decision in decisions if decision.admitted)
    offered = sum(demand_bps(decision.requirement) for decision in decisions)
    if admitted == offered:
        return Totals(offered, admitted, offered)
    if any(decision.requirement.window is not None for decision in decisions):
        wanted = possible(graph, decisions, without(start, [decision.requirement for decision in decisions]))
        return Totals(offered, admitted, sum(demand_bps(requirement) for requirement in wanted))
    graph.follow(end)
    prices = graph.array([exp(_STEEPNESS * (load - 1.0)) for load in graph.load()])  # what is full at last is dear
    free = without(start, [decision.requirement for decision in decisions])
    graph.follow(free)
    wanted = possible(graph, decisions, free)
    bound = min(by_ends(graph, wanted, free), certify(graph, wanted, prices, scale=True).bound_bps)
    return Totals(offered, admitted, max(bound, admitted))


def without(ledger: CapacityLedger, requirements: Iterable[Requirement]) -> CapacityLedger:
    """`ledger` without what slices of the requirements' names hold."""
    for requirement in requirements:
        ledger = ledger.without_slice(requirement.name)
    return ledger


def possible(graph: LaneGraph, decisions: Sequence[Decision], free: CapacityLedger) -> list[Requirement]:
    """The requirements that could be admitted by themselves beside `free`; also those of which that is not known."""
    return [item.requirement for item in decisions if item.admitted or _possible(graph, item, free)]


def _possible(graph: LaneGraph, decision: Decision, ledger: CapacityLedger) -> bool:
    if not decision.proven:
        return True
    effort = Effort(_EFFORT)
    return embed(graph, decision.requirement, ledger, effort) is not None or effort.exhausted


def by_ends(graph: LaneGraph, wanted: Sequence[Requirement], ledger: CapacityLedger) -> int:
    """What of `wanted` the endpoints' access lines let pass.

    Each point-to-point requirement has one source and one destination, so what exceeds the room of the sources is
    lost altogether, and likewise for destinations; the two may be the same requirements, so only one is taken off.
    """
    room = Room(graph, ledger)
    pairs = [r for r in wanted if r.connectivity == "point-to-point" and r.forward_bps]
    sources = _excess(pairs, lambda r: r.pairs[0].source, room.access)
    targets = _excess(pairs, lambda r: r.pairs[0].destination, room.delivery)
    return sum(demand_bps(requirement) for requirement in wanted) - max(sources, targets)


def _excess(
    requirements: Iterable[Requirement],
    end: Callable[[Requirement], Endpoint],
    room: Callable[[Endpoint], int],
) -> int:
    """How much is asked beyond the room of the endpoints, summed over them."""
    asked: dict[Hashable, int] = {}
    ends: dict[Hashable, Endpoint] = {}
    for requirement in requirements:
        endpoint = end(requirement)
        ends[endpoint.id] = endpoint
        asked[endpoint.id] = asked.get(endpoint.id, 0) + requirement.forward_bps
    return sum(max(0, amount - max(0, room(ends[name]))) for name, amount in asked.items())
