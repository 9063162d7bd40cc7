"""Totals of a plan: asked for, admitted, and what no planner could exceed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

from carelane.controller.pipeline.lane import embed
from carelane.controller.pipeline.limits import Room
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.slice_plan import Decision, Totals
from carelane.topology.ledger import CapacityLedger
from carelane.topology.model import Endpoint
from carelane.topology.paths import Effort, PathGraph

__all__ = ["demand_bps", "totals"]

_EFFORT = 50_000


def demand_bps(requirement: Requirement) -> int:
    """What a requirement counts for: forward (reverse where that is all), once for all receivers, per site of a hub."""
    rate = requirement.forward_bps or requirement.reverse_bps
    return rate * len(requirement.pairs) if requirement.connectivity == "hub" else rate


def totals(graph: PathGraph, decisions: Sequence[Decision], start: CapacityLedger) -> Totals:
    """Totals beside what the ledger `start` held already."""
    requirements = [decision.requirement for decision in decisions]
    admitted = sum(demand_bps(decision.requirement) for decision in decisions if decision.admitted)
    freed = start
    for requirement in requirements:
        freed = freed.without_slice(requirement.name)
    possible = [item.requirement for item in decisions if item.admitted or _possible(graph, item, freed)]
    bound = sum(demand_bps(requirement) for requirement in possible)
    for cut in _cuts(graph, freed, [r for r in possible if r.connectivity == "point-to-point" and r.forward_bps]):
        bound -= cut
    return Totals(sum(demand_bps(requirement) for requirement in requirements), admitted, max(bound, admitted))


def _possible(graph: PathGraph, decision: Decision, ledger: CapacityLedger) -> bool:
    """Whether a refused requirement could be admitted by itself; also when that is not known."""
    if not decision.proven:
        return True
    effort = Effort(_EFFORT)
    return embed(graph, decision.requirement, ledger, effort) is not None or effort.exhausted


def _cuts(graph: PathGraph, ledger: CapacityLedger, requirements: Sequence[Requirement]) -> list[int]:
    """Demand that cannot all be admitted because it starts or ends at one endpoint: the larger of the two counts.

    Each requirement has one source and one destination endpoint, so what exceeds the room of the sources is lost
    altogether, and likewise for destinations; the two may be the same requirements, so only one of them is taken.
    """
    room = Room(graph, ledger)
    sources = _excess(requirements, lambda r: r.pairs[0].source, room.access)
    targets = _excess(requirements, lambda r: r.pairs[0].destination, room.delivery)
    return [max(sources, targets)]


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
