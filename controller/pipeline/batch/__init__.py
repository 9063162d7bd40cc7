"""Batches: all requirements decided together."""

from __future__ import annotations

from collections.abc import Sequence

from carelane.controller.pipeline.decide import decide
from carelane.controller.pipeline.lane import LaneGraph
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.slice_plan import PlanResult
from carelane.controller.pipeline.totals import demand_bps, totals
from carelane.topology.ledger import CapacityLedger

__all__ = ["plan_batch"]


def plan_batch(graph: LaneGraph, requirements: Sequence[Requirement], start: CapacityLedger) -> PlanResult:
    given = list(range(len(requirements)))
    small = sorted(given, key=lambda index: demand_bps(requirements[index]))
    best = None
    for order in [given, sorted(given, key=lambda index: -requirements[index].priority), small, small[::-1]]:
        held, found = start, {}
        for index in order:
            found[index], held = decide(graph, requirements[index], held)
        amount = sum(demand_bps(d.requirement) for d in found.values() if d.admitted)
        if best is None or amount > best[0]:
            best = (amount, held, [found[index] for index in given])
    assert best
    return PlanResult(tuple(best[2]), best[1], totals(graph, best[2], start))
