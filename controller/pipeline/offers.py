"""Why not, and what instead: reasons and offers for a requirement that has no embedding. Pure.

Input: graph, requirement and ledger of a refused plan. Output: reasons, binding one first, and offers, each of which
was planned on the same ledger and fits. Decisions taken here:

- A constraint is a reason when the plan fits once it alone is loosened. When no single one helps, the reasons are a
  smallest set that has to give together, and the offer loosens all of them.
- Figures that are not stated are the reason ("unknown-data", naming what lacks them) when no way has them all; where
  unstated links could have helped they are named last.
- An offer loosens one thing as little as possible: delay and jitter in steps of 0.1 ms, bandwidth in kbit/s,
  availability to what the best set of paths reaches, the times of a schedule to the microsecond and all alike. A
  second delay offer, where it differs, is the delay that needs no more than the bandwidth asked for.
- Units of reasons: ms, Mbps, ratio, paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from carelane.controller.pipeline.admit import Embedding
from carelane.controller.pipeline.another_time import nearest_window
from carelane.controller.pipeline.missing import all_stated, idealised, missing_figures
from carelane.controller.pipeline.nearest import nearest, worst_delay_ps
from carelane.controller.pipeline.relax import (
    Trial,
    asked_bps,
    drop,
    in_force,
    loosen,
    with_bandwidth,
)
from carelane.controller.pipeline.requirement import Pair, Requirement
from carelane.controller.pipeline.rounding import DELAY_STEP_PS, offered_delay_s
from carelane.controller.pipeline.slice_plan import Constraint, Offer, Reason
from carelane.controller.pipeline.why import constraint_reason
from carelane.topology.ledger import CapacityLedger
from carelane.topology.model import Endpoint
from carelane.topology.paths import Effort, PathGraph

__all__ = ["Explanation", "explain"]

_EFFORT = 300_000
_SITE_EFFORT = 3_000
_DETOUR_S = 100.0
_NAMED = 8
_TOGETHER: tuple[Constraint, ...] = ("delay", "jitter", "loss", "bandwidth", "availability", "disjointness")
"""Order of reasons that must give together: physics before resources."""

_FIRST_KEPT: tuple[Constraint, ...] = ("disjointness", "loss", "jitter", "availability", "bandwidth", "delay")


@dataclass(frozen=True, slots=True)
class Explanation:
    """`proven` is false when the effort ran out, so that a reason or an offer may be missing, and when each of several
    sites fits alone but no way was found to fit them together: that search is not exhaustive.
    """

    reasons: tuple[Reason, ...]
    offers: tuple[Offer, ...]
    proven: bool


def explain(graph: PathGraph, requirement: Requirement, ledger: CapacityLedger) -> Explanation:
    """Reasons and offers for `requirement`, for which `embed` found nothing."""
    trial = Trial(graph, ledger, Effort(_EFFORT + _SITE_EFFORT * len(requirement.pairs)))
    cut_off = _cut_off(graph, requirement)
    if cut_off:
        return Explanation(tuple(_unreachable(requirement, leaf) for leaf in cut_off), (), True)
    culprit, suspect = _culprit(trial, requirement)
    if _without_limits(trial, suspect) is None:
        reasons, offers = _unknown(trial, suspect, requirement)
    else:
        reasons, offers = _constrained(trial, suspect, requirement, culprit)
        reasons += _could_have_helped(trial, suspect)
    if not reasons:
        reasons = [
            Reason("policy", None, None, None, None, "the search was given up before it found a way or a reason")
        ]
    certain = culprit is not None or len(requirement.pairs) == 1
    return Explanation(tuple(reasons), tuple(offers), certain and not trial.effort.exhausted)


def _cut_off(graph: PathGraph, requirement: Requirement) -> list[Pair]:
    """Pairs that no links join at all."""

    def part(endpoint: Endpoint) -> int:
        return graph.part_of[graph.node_index[endpoint.node]]

    return [pair for pair in requirement.pairs if part(pair.source) != part(pair.destination)]


def _unreachable(requirement: Requirement, pair: Pair) -> Reason:
    site = pair.source if requirement.connectivity == "hub" else pair.destination
    detail = f"no links lead from {pair.source.node} to {pair.destination.node}"
    return Reason("unreachable", site.id, None, None, None, detail)


def _culprit(trial: Trial, requirement: Requirement) -> tuple[Endpoint | None, Requirement]:
    """The first site that is impossible even alone, and the requirement reduced to it; else None and everything."""
    if len(requirement.pairs) == 1:
        return None, requirement
    for pair in requirement.pairs:
        alone = replace(requirement, pairs=(pair,))
        if not trial.possible(alone):
            return (pair.source if requirement.connectivity == "hub" else pair.destination), alone
    return None, requirement


def _without_limits(trial: Trial, requirement: Requirement) -> Embedding | None:
    """A plan that keeps nothing but the demand for stated figures."""
    for constraint in in_force(requirement):
        if constraint != "bandwidth":
            requirement = loosen(requirement, constraint)
    return trial.plan(requirement, unlimited=True)


def _unknown(trial: Trial, suspect: Requirement, requirement: Requirement) -> tuple[list[Reason], list[Offer]]:
    """No way states all figures: name those missing on a way that would do, and what would go without them."""
    detours, ideal_requirement = idealised(trial.graph, suspect, _DETOUR_S)
    wanted = _without_limits(Trial(detours, trial.ledger, trial.effort), ideal_requirement)
    if wanted is None:
        return [], []
    reasons = missing_figures(trial.graph.topology, suspect, wanted)
    there = Trial(idealised(trial.graph, suspect)[0], trial.ledger, trial.effort)
    if not there.possible(ideal_requirement):
        reasons += _constrained(there, ideal_requirement, ideal_requirement, None)[0]
    offers: list[Offer] = []
    dropped: tuple[tuple[Constraint, ...], ...] = (
        ("availability",),
        ("delay", "jitter"),
        ("availability", "delay", "jitter"),
    )
    for group in dropped:
        names: list[Constraint] = [name for name in group if name in in_force(requirement)]
        variant = requirement
        for name in names:
            variant = drop(variant, name)
        if names and not offers:
            offers += _offer(trial, variant, "+".join(names))
    return reasons, offers


def _could_have_helped(trial: Trial, suspect: Requirement) -> list[Reason]:
    if all_stated(trial.graph, suspect):
        return []
    ideal, ideal_requirement = idealised(trial.graph, suspect)
    if ideal is trial.graph and ideal_requirement == suspect:
        return []
    wanted = Trial(ideal, trial.ledger, trial.effort).plan(ideal_requirement)
    return missing_figures(trial.graph.topology, suspect, wanted)[:_NAMED] if wanted else []


def _constrained(
    trial: Trial, suspect: Requirement, requirement: Requirement, culprit: Endpoint | None
) -> tuple[list[Reason], list[Offer]]:
    """Reasons found on `suspect` (the site that fails, or all), offers for the whole requirement."""
    held = in_force(suspect)
    if not _capacity_is_short(trial, suspect):
        held.remove("bandwidth")
    alone: list[Constraint] = [constraint for constraint in held if _helps(trial, suspect, (constraint,))]
    if not alone:
        together = _smallest_set(trial, suspect, held)
        reasons = [
            constraint_reason(trial, suspect, constraint, [c for c in together if c != constraint], culprit)
            for constraint in together
        ]
        offers = _joint_offer(trial, requirement, together) or _last_resort(trial, requirement)
        return reasons, offers
    reasons, offers = [], []
    for constraint in alone:
        reasons.append(constraint_reason(trial, suspect, constraint, (), culprit))
        found = nearest(trial, requirement, constraint)
        if found is not None:
            offers += _offer(trial, found, "protection" if constraint == "disjointness" else constraint)
        if found is not None and constraint == "delay":
            offers += _unhurried(trial, requirement, found)
        if constraint == "bandwidth" and (moved := nearest_window(trial, requirement)) is not None:
            offers += _offer(trial, moved, "schedule")
    return reasons, offers or _last_resort(trial, requirement)


def _capacity_is_short(trial: Trial, requirement: Requirement) -> bool:
    """False where the rates asked for fit, and tight bounds need more than even the empty network has."""
    relaxed = requirement
    for constraint in in_force(requirement):
        if constraint in ("delay", "jitter"):
            relaxed = loosen(relaxed, constraint)
    if relaxed == requirement or not trial.possible(relaxed):
        return True
    empty = Trial(trial.graph, CapacityLedger(), trial.effort)
    return empty.possible(requirement) or trial.possible(loosen(requirement, "bandwidth"))


def _last_resort(trial: Trial, requirement: Requirement) -> list[Offer]:
    """An offer that loosens several things, for when nothing that can be filed helps alone.

    More capacity cannot be filed: here bandwidth gives by asking for less.
    """
    held = in_force(requirement)
    if not _helps(trial, requirement, held, more_capacity=False):
        return []
    return _joint_offer(trial, requirement, _smallest_set(trial, requirement, held, more_capacity=False))


def _helps(trial: Trial, requirement: Requirement, loosened: Sequence[Constraint], more_capacity: bool = True) -> bool:
    """Whether a plan exists when `loosened` are; for bandwidth that means capacity without end, or asking for less."""
    unlimited = more_capacity and "bandwidth" in loosened
    for constraint in loosened:
        if constraint != "bandwidth" or not more_capacity:
            requirement = loosen(requirement, constraint)
    return trial.plan(requirement, unlimited=unlimited) is not None


def _smallest_set(
    trial: Trial, requirement: Requirement, held: Sequence[Constraint], more_capacity: bool = True
) -> list[Constraint]:
    """A set that helps when loosened together, and no smaller part of it does."""
    chosen: list[Constraint] = list(held)
    for constraint in _FIRST_KEPT:
        rest: list[Constraint] = [other for other in chosen if other != constraint]
        if constraint in chosen and _helps(trial, requirement, rest, more_capacity):
            chosen = rest
    return [constraint for constraint in _TOGETHER if constraint in chosen]


def _joint_offer(trial: Trial, requirement: Requirement, together: Sequence[Constraint]) -> list[Offer]:
    """Everything in `together` loosened, each as little as the others allow, in order."""
    variant = requirement
    for constraint in together:
        variant = loosen(variant, constraint)
    for constraint in together:
        tight = _tightened(variant, requirement, constraint)
        variant = tight if trial.possible(tight) else nearest(trial, tight, constraint) or variant
    return _offer(trial, variant, "+".join(together))


def _tightened(variant: Requirement, original: Requirement, constraint: Constraint) -> Requirement:
    """`variant` with `constraint` as it was asked for originally."""
    if constraint == "bandwidth":
        return with_bandwidth(variant, asked_bps(original))
    if constraint == "disjointness":
        return replace(variant, protection=original.protection)
    field = {"delay": "delay_s", "jitter": "jitter_s", "loss": "loss", "availability": "availability"}[constraint]
    value = getattr(original.objectives, field)
    return replace(variant, objectives=replace(variant.objectives, **{field: value}))


def _unhurried(trial: Trial, requirement: Requirement, fastest: Requirement) -> list[Offer]:
    """The delay at which the bandwidth asked for is enough, when that is another one."""
    plain = trial.plan(loosen(requirement, "delay"))
    if plain is None:
        return []
    step = -(-worst_delay_ps(requirement, plain) // DELAY_STEP_PS)
    objectives = replace(requirement.objectives, delay_s=offered_delay_s(step * DELAY_STEP_PS))
    if objectives == fastest.objectives:
        return []
    return _offer(trial, replace(requirement, objectives=objectives), "delay")


def _offer(trial: Trial, variant: Requirement, relaxed: str) -> list[Offer]:
    """The offer, if it really fits."""
    embedding = trial.plan(variant)
    if embedding is None:
        return []
    objectives = variant.objectives
    reserved = max(max(row.down.rate_bps, row.up.rate_bps) for row in embedding.rows)
    return [
        Offer(
            relaxed=relaxed,
            delay_s=objectives.delay_s,
            jitter_s=objectives.jitter_s,
            availability=objectives.availability,
            bandwidth_bps=asked_bps(variant),
            round_trip=objectives.round_trip,
            reverse_bps=variant.reverse_bps,
            loss=objectives.loss,
            protection=variant.protection,
            reserved_bps=reserved,
            schedule=variant.schedule,
        )
    ]
