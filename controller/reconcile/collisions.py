"""Refusals of what the switches could not tell from another slice, and batches without any two such.

A batch is packed as if packets could always be told apart. Of those that cannot, the more important one stays, of
equals the one with more bandwidth, and the rest is packed again without the others: their room is for somebody else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from carelane.controller.pipeline.preempt import displacement
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.slice_plan import Decision, PlanResult, Reason
from carelane.controller.pipeline.value import demand_bps
from carelane.controller.reconcile.carriers import Carriers
from carelane.errors import CollisionError, ConflictError
from carelane.topology.model import Topology

__all__ = ["decide_apart", "indistinct", "refused_for"]

_FACT = (
    "cannot be told apart: both carry traffic between the same endpoints; "
    "merge the intents, or give one of the services an address of its own"
)


def refused_for(decision: Decision, conflict: ConflictError, tenants: Mapping[str, str]) -> Decision:
    """The planner found room, and the switches could not tell the slice's traffic from another's."""
    reasons = (_told(decision, conflict, tenants),)
    return Decision(decision.requirement, admitted=False, reasons=reasons, assumptions=decision.assumptions)


def indistinct(decision: Decision, rivals: Collection[str], tenants: Mapping[str, str]) -> Decision:
    """A refusal of what no other figures could admit, because `rivals` carry the same traffic already."""
    conflict = CollisionError((decision.name, *sorted(rivals)), _FACT)
    if decision.admitted:
        return refused_for(decision, conflict, tenants)
    return replace(decision, offers=(), reasons=(*decision.reasons, _told(decision, conflict, tenants)))


def decide_apart(
    topology: Topology,
    in_force: Iterable[Requirement],
    requirements: Sequence[Requirement],
    pack: Callable[[Sequence[Requirement]], PlanResult],
) -> PlanResult:
    """What `pack` makes of the requirements, but no two admitted ones carry the same packets, nor what is in force
    under another name and stays. The bound is that of all of them together."""
    asked = {item.name for item in requirements}
    standing = [item for item in in_force if item.name not in asked]
    lost: dict[str, set[str]] = {}
    found = whole = pack(requirements)
    carriers, late = _let_in(topology, standing, found.decisions)
    while late:
        lost |= late
        found = pack([item for item in requirements if item.name not in lost])
        carriers, late = _let_in(topology, standing, found.decisions)
    decided = {item.name: item for item in (*whole.decisions, *found.decisions)}
    lost |= {item.name: carriers.rivals(item.requirement) for item in found.decisions if item.offers}
    tenants = {item.name: item.tenant for item in (*standing, *requirements)}
    decided |= {name: indistinct(decided[name], rivals, tenants) for name, rivals in lost.items() if rivals}
    totals = replace(whole.totals, admitted_bps=found.totals.admitted_bps)
    return PlanResult(tuple(decided[item.name] for item in requirements), found.ledger, totals)


def _let_in(
    topology: Topology, standing: Sequence[Requirement], decisions: Sequence[Decision]
) -> tuple[Carriers, dict[str, set[str]]]:
    """What is carried once the admitted ones are let in, the most important first; those whose packets are carried
    already by then, and by which."""
    carriers, late = Carriers(topology), dict[str, set[str]]()
    gone = {name for decision in decisions for name in displacement(decision)}
    for item in standing:
        if item.name not in gone:
            carriers.put(item)
    admitted = [decision.requirement for decision in decisions if decision.admitted]
    for item in sorted(admitted, key=lambda item: (-item.priority, -demand_bps(item))):
        if rivals := carriers.rivals(item):
            late[item.name] = rivals
        else:
            carriers.put(item)
    return carriers, late


def _told(decision: Decision, conflict: ConflictError, tenants: Mapping[str, str]) -> Reason:
    """What is stored and shown to its owner does not name another tenant's slice."""
    tenant = decision.requirement.tenant
    slices = conflict.slices if isinstance(conflict, CollisionError) else ()
    others = tuple(name for name in slices if tenants.get(name, tenant) != tenant)
    text = str(conflict)
    if others and isinstance(conflict, CollisionError):
        whose = "another tenant's slice" if len(others) == 1 else "slices of other tenants"
        own = [name for name in slices if name not in others]
        text = f"{' and '.join([*own, whose])} {conflict.fact}"
    return Reason("policy", None, None, None, None, text, others)
