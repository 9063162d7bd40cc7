"""Pre-emption: which less important slices have to go so that a refused one is admitted. Pure.

Input: the refused requirement, the ledger, what the slices in it asked for, and what policy permits. Output: victims,
proven by planning beside what is left without them. Decisions taken here:

- Only slices that policy lets this one displace are candidates, so none that is as important. If it does not fit
  without all of them, nobody is displaced.
- Nobody more important goes than has to. One slice goes where one of that importance is enough, the smallest such.
- Otherwise no victim can be spared: with any one of them left in place, the slice would not fit. The more important
  and the larger are spared first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from carelane.controller.pipeline.decide import decide
from carelane.controller.pipeline.lane import LaneGraph
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.shared_backup import place
from carelane.controller.pipeline.slice_plan import Decision, Reason
from carelane.controller.pipeline.value import demand_bps
from carelane.policies.admission import Preemption
from carelane.topology.ledger import CapacityLedger
from carelane.topology.paths import Effort
from carelane.topology.windows import ALWAYS

__all__ = ["consent_wanted", "decide_displacing", "displaced", "displacement", "victims_for"]

_EFFORT = 50_000
"""Search steps for each plan that is tried."""


def decide_displacing(
    graph: LaneGraph,
    requirement: Requirement,
    ledger: CapacityLedger,
    held: Mapping[str, Requirement],
    policy: Preemption | None,
) -> tuple[Decision, CapacityLedger]:
    """The decision and the ledger after it, in which those it `preempts` hold nothing any more.

    `held` is what the slices in the ledger asked for; slices that are not in it stay.
    """
    decision, after = decide(graph, requirement, ledger)
    if decision.admitted or policy is None:
        return decision, after
    victims = victims_for(graph, requirement, ledger, held, policy)
    if not victims:
        return decision, after
    for name in victims:
        ledger = ledger.without_slice(name)
    found, without = decide(graph, requirement, ledger)
    if not found.admitted:
        return decision, after
    return replace(found, preempts=tuple((name, held[name].tenant) for name in victims)), without


def victims_for(
    graph: LaneGraph,
    requirement: Requirement,
    ledger: CapacityLedger,
    held: Mapping[str, Requirement],
    policy: Preemption,
) -> tuple[str, ...]:
    """Names of the slices that have to go for `requirement`, which does not fit beside `ledger`; none: it cannot."""
    if not policy.permits(requirement.service):
        return ()
    names = ledger.names
    candidates = [
        item
        for name, item in held.items()
        if name in names
        and name != requirement.name
        and policy.gives_way(item.service, item.priority, requirement.priority)
        and (item.window or ALWAYS).meets(requirement.window or ALWAYS)
    ]

    def enough(group: Sequence[Requirement]) -> bool:
        left = ledger
        for item in group:
            left = left.without_slice(item.name)
        return place(graph, requirement, left, Effort(_EFFORT)) is not None

    return tuple(item.name for item in _least(candidates, enough))


def _least(candidates: Sequence[Requirement], enough: Callable[[Sequence[Requirement]], bool]) -> Sequence[Requirement]:
    """As few and as unimportant of `candidates` as are enough; none when all of them are not."""
    ranked = sorted(candidates, key=lambda item: (item.priority, demand_bps(item), item.name))
    if not ranked or not enough(ranked):
        return ()
    levels = sorted({item.priority for item in ranked})
    low, high = 0, len(levels) - 1
    while low < high:
        middle = (low + high) // 2
        if enough([item for item in ranked if item.priority <= levels[middle]]):
            high = middle
        else:
            low = middle + 1
    pool = [item for item in ranked if item.priority <= levels[low]]
    single = _first_single([item for item in pool if item.priority == levels[low]], enough)
    return [single] if single is not None else _needed(pool, enough)


def _first_single(group: Sequence[Requirement], enough: Callable[[Sequence[Requirement]], bool]) -> Requirement | None:
    """The first that is enough by itself. No part of a group can be that is not enough whole."""
    if not group or not enough(group):
        return None
    if len(group) == 1:
        return group[0]
    half = len(group) // 2
    return _first_single(group[:half], enough) or _first_single(group[half:], enough)


def _needed(ranked: Sequence[Requirement], enough: Callable[[Sequence[Requirement]], bool]) -> list[Requirement]:
    """Those of `ranked`, all of which are enough, that are left when the last that can be is spared, and so on."""
    left, needed = list(ranked), list[Requirement]()
    while left:
        size = len(left)
        while size and not enough([*left[: len(left) - size], *needed]):
            size //= 2
        if size:
            del left[len(left) - size :]
        else:
            needed.append(left.pop())
    return sorted(needed, key=lambda item: (item.priority, item.name))


def displaced(victim: Requirement, by: Requirement) -> Decision:
    """What becomes of the decision on a victim. Another tenant's slice is not named to it."""
    stranger = victim.tenant != by.tenant
    whose = "another tenant's slice" if stranger else by.name
    detail = (
        f"pre-empted by {whose} ({by.service}, priority {by.priority} over {victim.priority}), as policy permits; "
        "file it again when there is room, for another time or for less, or withdraw it"
    )
    reason = Reason("policy", None, None, None, None, detail, (by.name,) if stranger else ())
    return Decision(
        victim, admitted=False, reasons=(reason,), assumptions=victim.assumptions, remedies_searched="whole"
    )


def consent_wanted(refused: Decision, possible: Decision) -> Decision:
    """The refusal of what would be admitted if its owner consented to displace those whom `possible` names."""
    own = refused.requirement.tenant
    strangers = tuple(name for name, tenant in possible.preempts if tenant != own)
    named = [name for name, tenant in possible.preempts if tenant == own]
    if strangers:
        named.append("another tenant's slice" if len(strangers) == 1 else f"{len(strangers)} slices of other tenants")
    detail = (
        f"pre-emption: policy lets it take the place of {', '.join(named)}, which would be refused; "
        "file it again with preempt=true (carelane apply --preempt) to have that done"
    )
    reason = Reason("policy", None, None, None, None, detail, strangers)
    return replace(refused, reasons=(reason, *refused.reasons), preempts=possible.preempts)


def displacement(decision: Decision) -> tuple[str, ...]:
    """The slices that have to go because `decision` is admitted."""
    return tuple(name for name, _ in decision.preempts) if decision.admitted else ()
