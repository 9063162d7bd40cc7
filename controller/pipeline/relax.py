"""Requirements with one objective loosened, and the nearest value at which a requirement becomes possible.

Loosening sets an objective to a value that every path keeps, but leaves it in force, so that it still demands stated
figures. `Trial` plans variants on one graph and ledger within a common effort.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import expm1, sqrt

from carelane.controller.pipeline.admit import Embedding
from carelane.controller.pipeline.lane import embed
from carelane.controller.pipeline.limits import Room
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.rounding import DELAY_STEP_PS, floor_availability, offered_delay_s, ratio_up
from carelane.controller.pipeline.shape import shape_of
from carelane.controller.pipeline.slice_plan import Constraint
from carelane.topology.availability import exact_ratio
from carelane.topology.delay import budget_ps
from carelane.topology.ledger import CapacityLedger
from carelane.topology.paths import UNKNOWN_PS, Effort, PathGraph, Query, best_route

__all__ = [
    "Trial",
    "asked_bps",
    "drop",
    "in_force",
    "loosen",
    "nearest",
    "slowest_way",
    "with_bandwidth",
    "worst_delay_ps",
]

_ENDLESS_S = 1e6
_CALL_EFFORT = 50_000
_SITE_EFFORT = 1_000
_AVAILABILITY_STEPS = 12
_STEP_BPS = 1000


@dataclass
class Trial:
    """Plans variants; `effort` is shared by all of them, and None may mean that it ran out.

    `unlimited` leaves capacity out of account. A variant is planned once: reasons and offers ask for many of them
    again. `planned` holds for this graph and ledger only.
    """

    graph: PathGraph
    ledger: CapacityLedger
    effort: Effort
    unlimited: bool = False
    planned: dict[tuple[Requirement, bool], Embedding | None] = field(default_factory=dict, repr=False)

    def plan(self, requirement: Requirement, *, unlimited: bool = False) -> Embedding | None:
        variant = (requirement, unlimited or self.unlimited)
        if variant not in self.planned:
            self.planned[variant] = self._search(*variant)
        return self.planned[variant]

    def _search(self, requirement: Requirement, unlimited: bool) -> Embedding | None:
        allowed = max(0, min(self.effort.left, _CALL_EFFORT + _SITE_EFFORT * len(requirement.pairs)))
        call = Effort(allowed)
        found = embed(self.graph, requirement, self.ledger, call, unlimited=unlimited)
        self.effort.left -= allowed - max(call.left, 0)
        self.effort.exhausted = self.effort.exhausted or call.exhausted
        return found

    def possible(self, requirement: Requirement) -> bool:
        return self.plan(requirement) is not None


def in_force(requirement: Requirement) -> list[Constraint]:
    """The constraints that a requirement has, capacity included."""
    objectives = requirement.objectives
    held: list[tuple[Constraint, bool]] = [
        ("bandwidth", True),
        ("delay", objectives.delay_s is not None),
        ("jitter", objectives.jitter_s is not None),
        ("loss", objectives.loss is not None),
        ("availability", objectives.availability is not None),
        ("disjointness", requirement.protection == "required"),
    ]
    return [constraint for constraint, present in held if present]


def loosen(requirement: Requirement, constraint: Constraint) -> Requirement:
    """`requirement` with one objective at a value that holds anyway; for bandwidth, the least rate."""
    if constraint == "bandwidth":
        return with_bandwidth(requirement, min(_STEP_BPS, asked_bps(requirement)))
    if constraint == "disjointness":
        return replace(requirement, protection="auto")
    name, value = {
        "delay": ("delay_s", _ENDLESS_S),
        "jitter": ("jitter_s", _ENDLESS_S),
        "loss": ("loss", 1.0),
        "availability": ("availability", 0.0),
    }[constraint]
    return _with_objective(requirement, name, value)


def drop(requirement: Requirement, constraint: Constraint) -> Requirement:
    """`requirement` without one objective, so that it demands no figures either."""
    name = {"delay": "delay_s", "jitter": "jitter_s", "loss": "loss", "availability": "availability"}[constraint]
    return _with_objective(requirement, name, None)


def _with_objective(requirement: Requirement, name: str, value: float | None) -> Requirement:
    changes: dict[str, float | None] = {name: value}
    return replace(requirement, objectives=replace(requirement.objectives, **changes))  # type: ignore[arg-type]


def asked_bps(requirement: Requirement) -> int:
    """The rate that stands for the requirement: forward, or reverse where only that carries anything."""
    return requirement.forward_bps or requirement.reverse_bps


def with_bandwidth(requirement: Requirement, rate_bps: int) -> Requirement:
    """Both directions scaled alike, so that `asked_bps` is `rate_bps`."""
    if not requirement.forward_bps:
        return replace(requirement, reverse_bps=rate_bps)
    reverse = requirement.reverse_bps
    scaled = max(1, reverse * rate_bps // requirement.forward_bps) if reverse else 0
    return replace(requirement, forward_bps=rate_bps, reverse_bps=scaled)


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
    worst = 0
    for row in embedding.rows:
        used = [(row.propagation_ps or 0) + bound.queueing_ps for bound in (row.down, row.up) if bound.rate_bps]
        worst = max(worst, sum(used) if requirement.objectives.round_trip else max(used))
    return worst


def _steps(value_s: float | None) -> int:
    return budget_ps(value_s or 0.0) // DELAY_STEP_PS


def _nearest_delay(trial: Trial, requirement: Requirement, loosest: Embedding) -> Requirement:
    """Between what propagation alone takes and what the loosest plan promises."""

    def variant(step: int) -> Requirement:
        return _with_objective(requirement, "delay_s", offered_delay_s(step * DELAY_STEP_PS))

    def reached(embedding: Embedding) -> int:
        return -(-worst_delay_ps(requirement, embedding) // DELAY_STEP_PS)

    slowest = slowest_way(trial.graph, requirement)
    trips = 2 if requirement.objectives.round_trip else 1
    physical = -(-trips * slowest[0] // DELAY_STEP_PS) if slowest else 0
    low = max(_steps(requirement.objectives.delay_s) + 1, physical)
    return variant(_least(trial, variant, reached, low, reached(loosest)))


def _nearest_jitter(trial: Trial, requirement: Requirement, loosest: Embedding) -> Requirement:
    def variant(step: int) -> Requirement:
        return _with_objective(requirement, "jitter_s", offered_delay_s(step * DELAY_STEP_PS))

    def reached(embedding: Embedding) -> int:
        worst = max(bound.queueing_ps for row in embedding.rows for bound in (row.down, row.up))
        return -(-worst // DELAY_STEP_PS)

    low = _steps(requirement.objectives.jitter_s) + 1
    return variant(_least(trial, variant, reached, low, reached(loosest)))


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
    """Between what is reached and what is asked, halving the gap in orders of magnitude of unavailability."""
    reached = loosest.availability or Fraction(0)
    missing = max(1.0 - float(exact_ratio(requirement.objectives.availability or 0.0)), 1e-12)
    climb = True  # whether anything is better than the last plan at all: mostly not, and then nothing is to be halved
    for _ in range(_AVAILABILITY_STEPS):
        least = float(1 - reached)
        if least <= missing * 1.001:
            break
        middle = least / 1.0009 if climb else sqrt(least * missing)
        found = trial.plan(_with_objective(requirement, "availability", 1.0 - middle))
        if found is not None and found.availability is not None:
            reached, climb = max(reached, found.availability), not climb
        else:
            missing, climb = middle, False
    return _with_objective(requirement, "availability", floor_availability(reached))


def _nearest_loss(trial: Trial, requirement: Requirement, loosest: Embedding) -> Requirement:
    """Lower and lower losses, each the one of the path last found, until there is none lower."""
    best = loosest
    for _ in range(_AVAILABILITY_STEPS):
        found = trial.plan(_with_objective(requirement, "loss", _worst_loss(trial.graph, best) * (1.0 - 1e-9)))
        if found is None:
            break
        best = found
    return _with_objective(requirement, "loss", ratio_up(_worst_loss(trial.graph, best)))


def _worst_loss(graph: PathGraph, embedding: Embedding) -> float:
    return max(-expm1(-sum(graph.loss[graph.link_index[link]] for link in row.route.links)) for row in embedding.rows)


def _nearest_bandwidth(trial: Trial, requirement: Requirement, least: Embedding) -> Requirement:
    """The most that fits: mostly what the loosest plan's ports have room for."""

    def variant(step: int) -> Requirement:
        return with_bandwidth(requirement, step * _STEP_BPS)

    low, high = 1, max(1, (asked_bps(requirement) - 1) // _STEP_BPS)
    filled = max(low, min(_filling(trial, requirement, least, low), high))
    for step in (filled, filled + 1):  # two plans instead of some seventeen where the guess is right
        if low < step <= high:
            low, high = (step, high) if trial.possible(variant(step)) else (low, step - 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if trial.possible(variant(middle)) else (low, middle - 1)
    return variant(low)


def _filling(trial: Trial, requirement: Requirement, embedding: Embedding, step: int) -> int:
    """The step at which the ports of a plan found for `step` would be full, were its floors to grow alike."""
    room = Room(trial.graph, trial.ledger.seen_by(requirement.name, requirement.window), trial.unlimited)
    ends = {endpoint.id: endpoint for endpoint in (embedding.shape.root, *embedding.shape.leaves)}
    return min((room.at(port, ends) * step // floor for port, floor in embedding.floors.items() if floor), default=step)


def _least(
    trial: Trial, variant: Callable[[int], Requirement], reached: Callable[[Embedding], int], low: int, high: int
) -> int:
    """The smallest step in low..high whose variant fits; each plan found shows that what it reaches fits too."""
    while low < high:
        middle = (low + high) // 2
        found = trial.plan(variant(middle))
        if found is None:
            low = middle + 1
        else:
            high = max(low, min(middle, reached(found)))
    return high
