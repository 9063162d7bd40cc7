"""The nearest value of one constraint at which a requirement becomes possible.

Every search here is for the least step of a number that has a plan, where more always helps. A plan shows how far its
own paths go, mostly all the way, so that the step before is tried first and two plans decide what halving takes twenty
for; the two take turns.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import expm1, sqrt

from carelane.controller.pipeline.admit import Embedding
from carelane.controller.pipeline.limits import Bound, Limits, Room, metrics_along
from carelane.controller.pipeline.relax import STEP_BPS, Trial, asked_bps, loosen, with_bandwidth, with_objective
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.rounding import (
    DELAY_STEP_PS,
    availability_above,
    floor_availability,
    offered_delay_s,
    ratio_up,
)
from carelane.controller.pipeline.shape import shape_of
from carelane.controller.pipeline.slice_plan import Constraint
from carelane.topology.availability import exact_ratio
from carelane.topology.delay import budget_ps
from carelane.topology.paths import UNKNOWN_PS, Effort, PathGraph, Query, best_route

__all__ = ["nearest", "slowest_way", "worst_delay_ps"]

_AVAILABILITY_STEPS = 24
_LOSS_STEPS = 12


def nearest(trial: Trial, requirement: Requirement, constraint: Constraint) -> Requirement | None:
    """`requirement` with `constraint` alone loosened, as little as possible; None when that does not help.

    `requirement` itself is taken to be impossible.
    """
    loosest = trial.plan(loosen(requirement, constraint))
    if loosest is None:
        return None
    if constraint == "delay":
        return _nearest_delay(trial, requirement, loosest)
    if constraint == "jitter":
        return _nearest_jitter(trial, requirement, loosest)
    if constraint == "availability":
        return _nearest_availability(trial, requirement, loosest)
    if constraint == "loss":
        return _nearest_loss(trial, requirement, loosest)
    if constraint == "bandwidth":
        return _nearest_bandwidth(trial, requirement, loosest)
    return loosen(requirement, constraint)


def worst_delay_ps(requirement: Requirement, embedding: Embedding) -> int:
    """The largest bound of the kind that the delay objective speaks of."""
    return _worst_delay_ps(requirement, [(row.propagation_ps or 0, row.down, row.up) for row in embedding.rows])


Bounds = list[tuple[int, Bound, Bound]]
"""Per path its propagation (ps) and the bounds of its two directions."""


def _worst_delay_ps(requirement: Requirement, bounds: Bounds) -> int:
    worst = 0
    for propagation_ps, down, up in bounds:
        used = [propagation_ps + bound.queueing_ps for bound in (down, up) if bound.rate_bps]
        worst = max(worst, sum(used) if requirement.objectives.round_trip else max(used))
    return worst


def _quickest(trial: Trial, requirement: Requirement, embedding: Embedding) -> Bounds:
    """What the paths of a plan would promise with all the room they have; of several sites, what they promise now."""
    leaf, *others = embedding.shape.leaves
    if others:
        return [(row.propagation_ps or 0, row.down, row.up) for row in embedding.rows]
    room = _room(trial, requirement)
    limits = Limits(requirement, embedding.shape, room)
    found = []
    for row in embedding.rows:
        metrics = metrics_along(trial.graph, trial.graph.arcs(row.route), room.arcs)
        found.append((row.propagation_ps or 0, *limits.quickest(metrics, leaf)))
    return found


def _room(trial: Trial, requirement: Requirement) -> Room:
    return Room(trial.graph, trial.ledger.seen_by(requirement.name, requirement.window), trial.unlimited)


def _delay_steps(value_ps: int) -> int:
    return -(-value_ps // DELAY_STEP_PS)


def _nearest_delay(trial: Trial, requirement: Requirement, loosest: Embedding) -> Requirement:
    """Between what propagation alone takes and what the loosest plan promises."""

    def variant(step: int) -> Requirement:
        return with_objective(requirement, "delay_s", offered_delay_s(step * DELAY_STEP_PS))

    def shows(embedding: Embedding, _: int) -> int:
        return _delay_steps(_worst_delay_ps(requirement, _quickest(trial, requirement, embedding)))

    slowest = slowest_way(trial.graph, requirement)
    trips = 2 if requirement.objectives.round_trip else 1
    physical = _delay_steps(trips * slowest[0]) if slowest else 0
    low = max(budget_ps(requirement.objectives.delay_s or 0.0) // DELAY_STEP_PS + 1, physical)
    known = _delay_steps(worst_delay_ps(requirement, loosest))
    return variant(_least(lambda step: trial.plan(variant(step)), shows, low, known, loosest))


def _nearest_jitter(trial: Trial, requirement: Requirement, loosest: Embedding) -> Requirement:
    def variant(step: int) -> Requirement:
        return with_objective(requirement, "jitter_s", offered_delay_s(step * DELAY_STEP_PS))

    def worst(bounds: Bounds) -> int:
        return _delay_steps(max(bound.queueing_ps for _, *both in bounds for bound in both))

    def shows(embedding: Embedding, _: int) -> int:
        return worst(_quickest(trial, requirement, embedding))

    low = budget_ps(requirement.objectives.jitter_s or 0.0) // DELAY_STEP_PS + 1
    known = worst([(0, row.down, row.up) for row in loosest.rows])
    return variant(_least(lambda step: trial.plan(variant(step)), shows, low, known, loosest))


def slowest_way(graph: PathGraph, requirement: Requirement) -> tuple[int, float] | None:
    """Propagation (ps) and length (m) of the fastest way of the site that has the longest; None: no delays stated."""
    shape = shape_of(requirement)
    usable = [delay < UNKNOWN_PS for delay in graph.propagation for _ in range(2)]
    source = graph.node_index[shape.root.node]
    found: tuple[int, float] | None = None
    for leaf in shape.leaves:
        query = Query(graph, source, graph.node_index[leaf.node], usable, [0] * len(usable), lambda _: True)
        route = best_route(query, Effort(len(graph.node_ids) + 1))
        if route is None:
            continue
        taken = sum(graph.propagation[graph.link_index[link]] for link in route.links)
        if found is None or taken > found[0]:
            found = taken, sum(graph.topology.links[link].length_m or 0.0 for link in route.links)
    return found


def _nearest_availability(trial: Trial, requirement: Requirement, loosest: Embedding) -> Requirement:
    """Up from what is reached, step by step to what is next best and, in turn, halving the orders of magnitude of
    unavailability up to what is asked; done when nothing is better than what was reached. Mostly that is at once."""
    asked = exact_ratio(requirement.objectives.availability or 0.0)
    reached, beyond = loosest.availability or Fraction(0), max(float(1 - asked), 1e-12)
    climb = True
    for _ in range(_AVAILABILITY_STEPS):
        least = float(1 - reached)
        climb = climb or least <= beyond * 1.001
        wanted = availability_above(reached) if climb else 1.0 - sqrt(least * beyond)
        found = trial.plan(with_objective(requirement, "availability", wanted)) if wanted < asked else None
        if found is not None and found.availability is not None:
            reached, climb = max(reached, found.availability), not climb
        elif climb:
            break
        else:
            beyond, climb = 1.0 - wanted, True
    return with_objective(requirement, "availability", floor_availability(reached))


def _nearest_loss(trial: Trial, requirement: Requirement, loosest: Embedding) -> Requirement:
    """Lower and lower losses, each the one of the path last found, until there is none lower."""
    best = loosest
    for _ in range(_LOSS_STEPS):
        found = trial.plan(with_objective(requirement, "loss", _worst_loss(trial.graph, best) * (1.0 - 1e-9)))
        if found is None:
            break
        best = found
    return with_objective(requirement, "loss", ratio_up(_worst_loss(trial.graph, best)))


def _worst_loss(graph: PathGraph, embedding: Embedding) -> float:
    return max(-expm1(-sum(graph.loss[graph.link_index[link]] for link in row.route.links)) for row in embedding.rows)


def _nearest_bandwidth(trial: Trial, requirement: Requirement, least: Embedding) -> Requirement:
    """The most that fits. Steps count downwards, so that here too the least is looked for."""

    def variant(step: int) -> Requirement:
        return with_bandwidth(requirement, -step * STEP_BPS)

    def shows(embedding: Embedding, step: int) -> int:
        return -_filling(trial, requirement, embedding, -step)

    low = -max(1, (asked_bps(requirement) - 1) // STEP_BPS)
    return variant(_least(lambda step: trial.plan(variant(step)), shows, low, -1, least))


def _filling(trial: Trial, requirement: Requirement, embedding: Embedding, step: int) -> int:
    """The step at which the ports of a plan for `step` are full, or would be were its floors to grow alike."""
    room, shape = _room(trial, requirement), embedding.shape
    leaf, *others = shape.leaves
    if others or not shape.rooted_at_source:
        ends = {endpoint.id: endpoint for endpoint in (shape.root, *shape.leaves)}
        return min(
            (room.at(port, ends) * step // floor for port, floor in embedding.floors.items() if floor), default=1
        )
    limits = Limits(requirement, shape, room)
    down, up = room.access(shape.root), room.access(leaf)
    for row in embedding.rows:
        metrics = metrics_along(trial.graph, trial.graph.arcs(row.route), room.arcs)
        most = limits.room_for(metrics, leaf)
        down, up = min(down, most[0]), min(up, most[1])
    forward, reverse = requirement.forward_bps, requirement.reverse_bps
    if not forward or not reverse:
        return (down if forward else up) // STEP_BPS
    return min(down, ((up + 1) * forward - 1) // reverse) // STEP_BPS


def _least(
    plan: Callable[[int], Embedding | None],
    shows: Callable[[Embedding, int], int],
    low: int,
    high: int,
    known: Embedding,
) -> int:
    """The smallest step in low..high that has a plan; `high` has, and `known` is one for it or for what is looser.

    `shows` tells the smallest step that a plan for some step would do for as well, as far as it can be told.
    """
    sure, high, before = high, max(low, min(high, shows(known, high))), True
    while low < high:
        step = high - 1 if before else (low + high) // 2
        found, before = plan(step), not before
        if found is None:
            low = step + 1
        else:
            sure, high = step, max(low, min(step, shows(found, step)))
    if high < sure and plan(high) is None:  # not what was shown: no more of it
        return _least(plan, lambda _, step: step, high + 1, sure, known)
    return high
