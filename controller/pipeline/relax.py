"""Requirements with one objective loosened, and plans for them.

Loosening sets an objective to a value that every path keeps, but leaves it in force, so that it still demands stated
figures. `Trial` plans variants on one graph and ledger within a common effort.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from carelane.controller.pipeline.admit import Embedding
from carelane.controller.pipeline.lane import embed
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.slice_plan import Constraint
from carelane.topology.ledger import CapacityLedger
from carelane.topology.paths import Effort, PathGraph

__all__ = [
    "STEP_BPS",
    "Trial",
    "asked_bps",
    "drop",
    "in_force",
    "loosen",
    "with_bandwidth",
    "with_objective",
]

_ENDLESS_S = 1e6
_CALL_EFFORT = 50_000
_SITE_EFFORT = 1_000
STEP_BPS = 1000


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
        return with_bandwidth(requirement, min(STEP_BPS, asked_bps(requirement)))
    if constraint == "disjointness":
        return replace(requirement, protection="auto")
    name, value = {
        "delay": ("delay_s", _ENDLESS_S),
        "jitter": ("jitter_s", _ENDLESS_S),
        "loss": ("loss", 1.0),
        "availability": ("availability", 0.0),
    }[constraint]
    return with_objective(requirement, name, value)


def drop(requirement: Requirement, constraint: Constraint) -> Requirement:
    """`requirement` without one objective, so that it demands no figures either."""
    name = {"delay": "delay_s", "jitter": "jitter_s", "loss": "loss", "availability": "availability"}[constraint]
    return with_objective(requirement, name, None)


def with_objective(requirement: Requirement, name: str, value: float | None) -> Requirement:
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
