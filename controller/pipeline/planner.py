"""Plan: requirements become decisions, one after the other, on what the ledger still has. Pure.

Input: topology, requirements and the ledger. Output: a `PlanResult`: decisions in the order of the requirements, the
ledger after them, totals. Decisions taken here:

- The requirements are decided in their order, each beside those before it; offers hold at that place. With
  `optimize` they are decided together (`batch`); offers then hold beside everything admitted.
- A requirement whose name the ledger knows replaces that slice: its own floors count as free. Refused, it changes
  nothing.
- A single path is chosen by link prices that grow with load (`lane`), so that load spreads early; prices never refuse.
- Delay and jitter of a path are the worse of its two directions. Availability is the worst site's.
- The upper bound is certified by link prices, cut by what endpoints and their nodes can carry.

Floors are kept per egress port (node, link id), per delivery port (node, endpoint id) and, for what an endpoint may
send, per access line ("", endpoint id).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from carelane.controller.pipeline.decide import decide
from carelane.controller.pipeline.lane import LaneGraph
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.slice_plan import PlanResult
from carelane.controller.pipeline.totals import totals
from carelane.errors import InputError
from carelane.topology.ledger import CapacityLedger
from carelane.topology.model import Topology

__all__ = ["plan"]


def plan(
    topology: Topology,
    requirements: Sequence[Requirement],
    ledger: CapacityLedger | None = None,
    *,
    optimize: bool = False,
) -> PlanResult:
    """Decide `requirements` on `topology` beside what `ledger` holds. Raises InputError for a repeated name."""
    _check_names(requirements)
    graph = LaneGraph.for_run(topology, len(requirements))
    start = held = ledger or CapacityLedger()
    if optimize and len(requirements) > 1:
        # here, because the solver takes longer to import than a small file to plan
        from carelane.controller.pipeline.batch import plan_batch

        return plan_batch(graph, requirements, start)
    decisions = []
    for requirement in requirements:
        decision, held = decide(graph, requirement, held)
        decisions.append(decision)
    return PlanResult(tuple(decisions), held, totals(graph, decisions, start, held))


def _check_names(requirements: Sequence[Requirement]) -> None:
    (name, count), *_ = Counter(requirement.name for requirement in requirements).most_common(1) or [("", 0)]
    if count > 1:
        raise InputError(f"two intents are named {name!r}", field="metadata.name", remedy="rename one of them")
