"""Batches: all requirements decided together. Pure.

Input: graph, requirements and the ledger. Output: a `PlanResult` like that of the planner, with the prices that
certify its bound. Decisions taken here:

- More important requirements come first: among those of one priority as much bandwidth as possible is admitted beside
  what the priorities above it hold, with routes that are considerate of the priorities below. Among equals that is
  the most bandwidth of all.
- Packings come from column generation over the embeddings that keep every objective (`_solve`), so each promise in a
  batch is as good as a single one. What then still fits is admitted too, so that a refusal is proven beside the rest.
- Where a packing is not near its bound, it is held against deciding one after the other, and the better is kept: a
  batch never admits less than the most important first, in their order, would have.
- Requirements with schedules are packed moment by moment (`_over_time`), so that capacity is shared over time; what
  others than the group at hand hold counts with the most it takes in the group's whole span, but for the refill.
- Backups that may share do so as the packing is booked; the packing itself counts each with floors of its own.
- Offers of refused requirements hold beside everything admitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from carelane.controller.pipeline.admit import Embedding
from carelane.controller.pipeline.batch._instance import Column
from carelane.controller.pipeline.batch._over_time import bound_over_time, coinciding, span
from carelane.controller.pipeline.batch._solve import Packing, pack
from carelane.controller.pipeline.decide import admitted, effort_for, refused
from carelane.controller.pipeline.lane import LaneGraph, along
from carelane.controller.pipeline.progress import Progress, silent
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.shared_backup import place, sharing
from carelane.controller.pipeline.slice_plan import Decision, PlanResult, Totals
from carelane.controller.pipeline.totals import by_ends, possible, without
from carelane.controller.pipeline.value import demand_bps
from carelane.topology.ledger import CapacityLedger

__all__ = ["plan_batch"]

_NEAR = 0.005
_CONSIDERATE = 1e-3
"""What bandwidth of lower priority counts while a higher one is packed."""


def plan_batch(
    graph: LaneGraph, requirements: Sequence[Requirement], start: CapacityLedger, progress: Progress = silent
) -> PlanResult:
    """Decide `requirements` together beside `start`; decisions in their order."""
    free = without(start, requirements)
    packing: Packing | None = None
    if any(requirement.window is not None for requirement in requirements):
        embeddings, ledger = _by_priority(graph, requirements, free, progress)
    else:
        worth = [float(demand_bps(requirement)) for requirement in requirements]
        packing = pack(graph, free, requirements, worth, progress)
        embeddings, ledger = _fill(graph, requirements, free, packing.columns)
        if _slights(requirements, embeddings):
            embeddings, ledger = _by_priority(graph, requirements, free, progress)
    if not _near(requirements, embeddings, packing):
        simple = _fill(graph, requirements, free, ())
        embeddings, ledger = max((embeddings, ledger), simple, key=lambda found: _merit(requirements, found[0]))
    embeddings, ledger = _keeping(graph, requirements, start, embeddings, ledger)
    decisions: list[Decision] = []
    for job, requirement in enumerate(requirements):
        progress("deciding", job, len(requirements))
        embedding = embeddings.get(job)
        if embedding is not None:
            decisions.append(admitted(graph, requirement, embedding))
        else:
            decisions.append(refused(graph, requirement, ledger))
    return PlanResult(tuple(decisions), ledger, _totals(graph, decisions, free, packing))


def _keeping(
    graph: LaneGraph,
    requirements: Sequence[Requirement],
    start: CapacityLedger,
    embeddings: dict[int, Embedding],
    ledger: CapacityLedger,
) -> tuple[dict[int, Embedding], CapacityLedger]:
    """The same, but a refused requirement whose name holds a slice keeps that: its floors are nobody else's room."""
    names = start.names
    kept: set[int] = set()
    while new := {j for j, r in enumerate(requirements) if j not in embeddings and r.name in names} - kept:
        kept |= new
        rest = [job for job in range(len(requirements)) if job not in kept]
        base = without(start, [requirements[job] for job in rest])
        found, ledger = _by_priority(graph, [requirements[job] for job in rest], base)
        embeddings = {rest[index]: embedding for index, embedding in found.items()}
        later, ledger = _fill(graph, [requirements[job] for job in sorted(kept)], ledger, ())
        embeddings |= {sorted(kept)[index]: embedding for index, embedding in later.items()}
    return embeddings, ledger


def _fill(
    graph: LaneGraph, requirements: Sequence[Requirement], ledger: CapacityLedger, columns: Sequence[Column]
) -> tuple[dict[int, Embedding], CapacityLedger]:
    """Embeddings of the columns, and of whatever still fits beside them, the most important first."""
    found: dict[int, Embedding] = {}
    for column in columns:
        requirement = requirements[column.job]
        seen = ledger.seen_by(requirement.name, requirement.window)
        graph.follow(seen)
        embedding = column.embedding or along(graph, requirement, seen, (column.arcs or ())[1:-1])
        if embedding is not None:
            found[column.job] = embedding = sharing(graph, requirement, embedding, seen)
            ledger = embedding.held(ledger, requirement)
    for job in sorted(range(len(requirements)), key=lambda job: (-requirements[job].priority, job)):
        if job not in found:
            requirement = requirements[job]
            embedding = place(graph, requirement, ledger, effort_for(requirement))
            if embedding is not None:
                found[job] = embedding
                ledger = embedding.held(ledger, requirement)
    return found, ledger


def _near(requirements: Sequence[Requirement], embeddings: Mapping[int, Embedding], packing: Packing | None) -> bool:
    """Whether what was found is nearly the most there could be."""
    found = sum(demand_bps(requirements[job]) for job in embeddings)
    bound = sum(map(demand_bps, requirements)) if packing is None else packing.certificate.bound
    return len(embeddings) == len(requirements) or found >= (1 - _NEAR) * bound


def _merit(requirements: Sequence[Requirement], embeddings: Mapping[int, Embedding]) -> list[tuple[int, int]]:
    """What is admitted of each priority, the highest first."""
    found = {requirement.priority: 0 for requirement in requirements}
    for job in embeddings:
        found[requirements[job].priority] += demand_bps(requirements[job])
    return sorted(found.items(), reverse=True)


def _slights(requirements: Sequence[Requirement], embeddings: Mapping[int, Embedding]) -> bool:
    """Whether something is refused that matters more than something else of the batch."""
    least = min(requirement.priority for requirement in requirements)
    return any(item.priority > least and job not in embeddings for job, item in enumerate(requirements))


def _by_priority(
    graph: LaneGraph, requirements: Sequence[Requirement], ledger: CapacityLedger, progress: Progress = silent
) -> tuple[dict[int, Embedding], CapacityLedger]:
    """Priority by priority, the highest first, and of one priority moment by moment."""
    found: dict[int, Embedding] = {}
    priorities = sorted({requirement.priority for requirement in requirements}, reverse=True)
    for number, priority in enumerate(priorities):
        progress("packing by priority", number, len(priorities))
        jobs = [job for job, item in enumerate(requirements) if item.priority <= priority]
        own = [job for job in jobs if requirements[job].priority == priority]
        groups = coinciding([requirements[job] for job in jobs])
        for _, group in groups:
            embeddings, ledger = _of_priority(graph, requirements, [jobs[place] for place in group], priority, ledger)
            found |= embeddings
        left = [job for job in own if job not in found] if len(groups) > 1 else []
        embeddings, ledger = _fill(graph, [requirements[job] for job in left], ledger, ())
        found |= {left[index]: embedding for index, embedding in embeddings.items()}
    return found, ledger


def _of_priority(
    graph: LaneGraph, requirements: Sequence[Requirement], jobs: Sequence[int], priority: int, ledger: CapacityLedger
) -> tuple[dict[int, Embedding], CapacityLedger]:
    """Embeddings of those of `jobs` that have `priority`, with routes that are considerate of the others."""
    part = [requirements[job] for job in jobs]
    weight = [1.0 if item.priority == priority else _CONSIDERATE for item in part]
    worth = [factor * demand_bps(item) for factor, item in zip(weight, part, strict=True)]
    seen = ledger.seen_by("", span(part))
    columns = [column for column in pack(graph, seen, part, worth).columns if part[column.job].priority == priority]
    own = [job for job, item in enumerate(part) if item.priority == priority]
    place = {job: index for index, job in enumerate(own)}
    moved = [Column(place[c.job], c.use, c.arcs, c.embedding) for c in columns]
    embeddings, ledger = _fill(graph, [part[job] for job in own], ledger, moved)
    return {jobs[own[index]]: embedding for index, embedding in embeddings.items()}, ledger


def _totals(graph: LaneGraph, decisions: Sequence[Decision], free: CapacityLedger, packing: Packing | None) -> Totals:
    offered = sum(demand_bps(decision.requirement) for decision in decisions)
    admitted_bps = sum(demand_bps(decision.requirement) for decision in decisions if decision.admitted)
    if admitted_bps == offered:
        return Totals(offered, admitted_bps, offered)
    wanted = possible(graph, decisions, free)
    if packing is None:
        certified, prices = bound_over_time(graph, wanted, free)
        bound = min(certified, sum(demand_bps(requirement) for requirement in wanted))
        return Totals(offered, admitted_bps, max(bound, admitted_bps), prices_at=prices)
    graph.follow(free)
    bound = min(by_ends(graph, wanted, free), packing.certificate.bound_bps)
    return Totals(offered, admitted_bps, max(bound, admitted_bps), packing.certificate.prices)
