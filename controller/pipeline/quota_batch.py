"""A batch under quotas. Pure.

Who counts towards a tenant's quota is decided by priority, and among equals by the order of the file, before the batch
is packed; what the packing then refuses gives its share to those that had none, the most important first. So a quota
is used in the order of importance, not to its last bit.

The bound holds for every planner under the same quotas: it is the batch's own with the prices applied to all that was
asked for, and no tenant counts with more than its quota.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from carelane.controller.pipeline.certificate import certify
from carelane.controller.pipeline.lane import LaneGraph
from carelane.controller.pipeline.quotas import Usage
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.slice_plan import Decision, PlanResult, Totals
from carelane.controller.pipeline.totals import totals, without
from carelane.controller.pipeline.value import demand_bps
from carelane.topology.ledger import CapacityLedger

__all__ = ["within_quotas"]

Plan = Callable[[Sequence[Requirement], CapacityLedger], PlanResult]


def within_quotas(
    graph: LaneGraph, requirements: Sequence[Requirement], usage: Usage, start: CapacityLedger, plan: Plan
) -> PlanResult:
    """Decide `requirements` together by `plan`, within the quotas of `usage`, which is brought up to date."""
    cap = usage.cap_bps(requirements)
    ranked = sorted(requirements, key=lambda item: -item.priority)
    before, counted = dict(usage.held), set[str]()
    for requirement in ranked:
        if usage.refusal(requirement) is None:
            usage.add(requirement)
            counted.add(requirement.name)
    result = plan([item for item in requirements if item.name in counted], start)
    decided = {item.name: item for item in result.decisions}
    for name in [name for name, item in decided.items() if not item.admitted]:
        usage.remove(name)
        if name in before:
            usage.add(before[name])
    ledger = _refill([item for item in ranked if item.name not in counted], usage, decided, result.ledger, plan)
    if ledger is not result.ledger:  # reasons and offers hold beside everything admitted
        for item in requirements:
            if item.name in counted and not decided[item.name].admitted:
                decided[item.name] = plan([item], ledger).decisions[0]
    decisions = tuple(decided[item.name] for item in requirements)
    return PlanResult(decisions, ledger, _totals(graph, decisions, counted, (start, ledger), result.totals, cap))


def _refill(
    ranked: Sequence[Requirement],
    usage: Usage,
    decided: dict[str, Decision],
    ledger: CapacityLedger,
    plan: Plan,
) -> CapacityLedger:
    """Decide what found no room in its quota at first; the ledger after it."""
    for requirement in ranked:
        refusal = usage.refusal(requirement)
        if refusal is None:
            found = plan([requirement], ledger)
            (refusal,) = found.decisions
            if refusal.admitted:
                usage.add(requirement)
                ledger = found.ledger
        decided[requirement.name] = refusal
    return ledger


def _totals(
    graph: LaneGraph,
    decisions: Sequence[Decision],
    counted: set[str],
    ledgers: tuple[CapacityLedger, CapacityLedger],
    packed: Totals,
    cap_bps: int,
) -> Totals:
    """The least of several bounds; `ledgers` are those before and after."""
    start, end = ledgers
    wanted = [decision.requirement for decision in decisions]
    admitted_bps = sum(demand_bps(decision.requirement) for decision in decisions if decision.admitted)
    offered_bps = sum(map(demand_bps, wanted))
    bounds = [totals(graph, decisions, start, end).upper_bound_bps, cap_bps]
    rest = [item for item in wanted if item.name not in counted]
    if start.names.isdisjoint(item.name for item in rest):
        bounds.append(packed.upper_bound_bps + sum(map(demand_bps, rest)))
    if packed.prices:
        graph.follow(without(start, wanted))
        prices = graph.array([packed.prices.get(port, 0.0) for port in graph.port_of])
        bounds.append(certify(graph, wanted, prices).bound_bps)
    return replace(
        packed, offered_bps=offered_bps, admitted_bps=admitted_bps, upper_bound_bps=max(admitted_bps, min(bounds))
    )
