"""Plan: requirements become decisions, one after the other, on what the ledger still has. Pure.

Input: topology, requirements and the ledger. Output: a `PlanResult`: decisions in the order of the requirements, the
ledger after them, totals. Decisions taken here:

- The requirements are decided in their order, each beside those before it; offers hold at that place. With
  `optimize`, several orders are tried (as given, by priority, small first, large first) and the one that admits most
  counts; offers then hold beside everything admitted.
- A requirement whose name the ledger knows replaces that slice: its own floors count as free. Refused, it changes
  nothing.
- Delay and jitter of a path are the worse of its two directions. Availability is the worst site's.
- The upper bound is the bandwidth of all that would fit alone, cut by what endpoints and their nodes can carry.

Floors are kept per egress port (node, link id), per delivery port (node, endpoint id) and, for what an endpoint may
send, per access line ("", endpoint id).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from carelane.controller.pipeline.admit import Embedding, Row, embed
from carelane.controller.pipeline.assumptions import model_assumptions
from carelane.controller.pipeline.offers import explain
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.rounding import PROMISED_DIGITS, floor_availability
from carelane.controller.pipeline.slice_plan import Decision, PlannedPath, PlanResult
from carelane.controller.pipeline.totals import demand_bps, totals
from carelane.errors import InputError
from carelane.topology.delay import seconds
from carelane.topology.ledger import CapacityLedger
from carelane.topology.model import Topology
from carelane.topology.paths import Effort, PathGraph, hops_of

__all__ = ["EFFORT", "plan"]

EFFORT = 200_000
"""Search steps for one decision before it is given up as not proven: a few seconds."""
SITE_EFFORT = 1_000
"""More of them for each site."""


def plan(
    topology: Topology,
    requirements: Sequence[Requirement],
    ledger: CapacityLedger | None = None,
    *,
    optimize: bool = False,
) -> PlanResult:
    """Decide `requirements` on `topology` beside what `ledger` holds. Raises InputError for a repeated name."""
    _check_names(requirements)
    graph = PathGraph.of(topology)
    start = ledger or CapacityLedger()
    attempts = [_in_order(graph, requirements, start, order) for order in _orders(requirements, optimize)]
    best = max(attempts, key=lambda attempt: attempt.admitted_bps)  # the first of equals: as given
    decisions = []
    for requirement, trial in zip(requirements, best.trials, strict=True):
        beside = best.ledger if optimize else trial.before
        decisions.append(_decision(graph, requirement, trial, beside))
    return PlanResult(tuple(decisions), best.ledger, totals(graph, decisions, start))


def _check_names(requirements: Sequence[Requirement]) -> None:
    names = [requirement.name for requirement in requirements]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two intents are named {name!r}", field="metadata.name", remedy="rename one of them")


@dataclass(frozen=True, slots=True)
class _Trial:
    """What became of one requirement, and the ledger before it. `exhausted`: the search was given up."""

    embedding: Embedding | None
    exhausted: bool
    before: CapacityLedger


@dataclass(frozen=True, slots=True)
class _Attempt:
    trials: tuple[_Trial, ...]
    ledger: CapacityLedger
    admitted_bps: int


def _orders(requirements: Sequence[Requirement], optimize: bool) -> list[list[int]]:
    given = list(range(len(requirements)))
    if not optimize:
        return [given]
    small = sorted(given, key=lambda index: demand_bps(requirements[index]))
    return [given, sorted(given, key=lambda index: -requirements[index].priority), small, small[::-1]]


def _in_order(
    graph: PathGraph, requirements: Sequence[Requirement], ledger: CapacityLedger, order: Sequence[int]
) -> _Attempt:
    trials: dict[int, _Trial] = {}
    admitted = 0
    for index in order:
        requirement, effort, before = (
            requirements[index],
            Effort(EFFORT + SITE_EFFORT * len(requirements[index].pairs)),
            ledger,
        )
        embedding = embed(graph, requirement, ledger, effort)
        if embedding is not None:
            ledger = ledger.with_slice(requirement.name, embedding.floors.items())
            admitted += demand_bps(requirement)
        trials[index] = _Trial(embedding, effort.exhausted, before)
    return _Attempt(tuple(trials[index] for index in range(len(order))), ledger, admitted)


def _decision(graph: PathGraph, requirement: Requirement, trial: _Trial, beside: CapacityLedger) -> Decision:
    assumptions = (*requirement.assumptions, *model_assumptions(graph, requirement, trial.embedding))
    if trial.embedding is None:
        why = explain(graph, requirement, beside)
        return Decision(
            requirement,
            admitted=False,
            reasons=why.reasons,
            offers=why.offers,
            assumptions=assumptions,
            proven=why.proven and not trial.exhausted,
        )
    availability = trial.embedding.availability
    return Decision(
        requirement,
        admitted=True,
        paths=tuple(_path(trial.embedding, row, requirement) for row in trial.embedding.rows),
        availability=None if availability is None else floor_availability(availability, PROMISED_DIGITS),
        assumptions=assumptions,
        proven=not trial.exhausted,
    )


def _path(embedding: Embedding, row: Row, requirement: Requirement) -> PlannedPath:
    """A row as seen from source to destination."""
    shape = embedding.shape
    leaf = shape.leaves[row.leaf]
    source, to = (shape.root, leaf) if shape.rooted_at_source else (leaf, shape.root)
    route = row.route if shape.rooted_at_source else row.route.reversed()
    forward, reverse = (row.down, row.up) if shape.rooted_at_source else (row.up, row.down)
    queueing = max(bound.queueing_ps for bound in (forward, reverse))
    known = row.propagation_ps
    round_trip = None
    if requirement.objectives.round_trip and known is not None:
        round_trip = seconds(2 * known + forward.queueing_ps + reverse.queueing_ps)
    return PlannedPath(
        role="primary" if row.role == 0 else "backup" if row.role == 1 else f"backup-{row.role}",
        source=source.id,
        to=to.id,
        nodes=route.nodes,
        hops=hops_of(route),
        reserved_bps=forward.rate_bps,
        reverse_bps=reverse.rate_bps,
        delay_bound_s=None if known is None else seconds(known + queueing),
        propagation_s=None if known is None else seconds(known),
        jitter_bound_s=seconds(queueing),
        round_trip_bound_s=round_trip,
    )
