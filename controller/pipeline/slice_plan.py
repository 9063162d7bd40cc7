"""What `plan` decides: paths and bounds for an admitted slice, reasons and offers for a refused one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from carelane.controller.pipeline.requirement import Backups, Protection, Requirement
from carelane.intents.model import Schedule
from carelane.topology.ledger import CapacityLedger, PortKey
from carelane.topology.model import Hop

__all__ = [
    "Constraint",
    "Decision",
    "Offer",
    "PlanResult",
    "PlannedPath",
    "Reason",
    "Remedy",
    "Totals",
    "role_name",
    "role_number",
]

Constraint = Literal[
    "delay",
    "jitter",
    "loss",
    "bandwidth",
    "availability",
    "disjointness",
    "unknown-data",
    "unreachable",
    "policy",
]


@dataclass(frozen=True, slots=True)
class PlannedPath:
    """One path of one pair. `role` is primary, backup, backup-2 ... in order of activation.

    `hops` run from the source's node to the destination's node (empty when both sit on one switch); the return
    direction uses the same links. `reserved_bps` (and `reverse_bps`) are floors at every port on the way,
    delivery port included; they may exceed the asked rate where the delay bound needs it.
    """

    role: str
    source: str
    to: str
    nodes: tuple[str, ...]
    hops: tuple[Hop, ...]
    reserved_bps: int
    reverse_bps: int
    delay_bound_s: float | None
    propagation_s: float | None
    jitter_bound_s: float | None
    round_trip_bound_s: float | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """Why not: `constraint` at `at` (a link, node or endpoint id, or None for end to end); `unit` of both figures."""

    constraint: Constraint
    at: str | None
    required: float | str | None
    available: float | str | None
    unit: str | None
    detail: str = ""
    others: tuple[str, ...] = ()
    """Slices of other tenants that it is about: left out of what a tenant is shown."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing the operator could do that admits a refused slice, all else staying as it is.

    `name` is a link, one of the slice's own endpoints, or another slice, which is `tenant`'s. Capacities are bit/s in
    each direction, now and then; 0 for a slice that would have to go.
    """

    kind: Literal["upgrade-link", "upgrade-endpoint", "remove-intent"]
    name: str
    tenant: str | None = None
    from_bps: int = 0
    to_bps: int = 0


@dataclass(frozen=True, slots=True)
class Offer:
    """What would be accepted instead, all fields together; `relaxed` names what changed (joined by "+" if several).

    A None objective would have to be switched off. `reserved_bps` is the largest floor it would take, which exceeds
    the bandwidth where a tight delay needs it. `schedule` is the one asked for, moved where "schedule" is relaxed.
    """

    relaxed: str
    delay_s: float | None
    jitter_s: float | None
    availability: float | None
    bandwidth_bps: int
    round_trip: bool = False
    reverse_bps: int = 0
    loss: float | None = None
    protection: Protection = "auto"
    reserved_bps: int = 0
    schedule: Schedule | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Admitted or refused, and everything needed to defend it. `requirement` is kept for compile.

    `preempts`: slices, with their tenants, that have to go because it is admitted, or would have to if its owner
    consented. `backups`: whether the backup has its floors for itself, or shares them (`shared_backup`); then
    `availability` is what is kept whoever shares. `remedies_searched`: whether remedies are all there are ("whole"),
    may not be ("part") or were not asked for. `owed`: what was promised, of a slice that is carried with less since a
    failure.
    """

    requirement: Requirement
    admitted: bool
    paths: tuple[PlannedPath, ...] = ()
    availability: float | None = None
    reasons: tuple[Reason, ...] = ()
    offers: tuple[Offer, ...] = ()
    assumptions: tuple[str, ...] = ()
    proven: bool = True
    remedies: tuple[Remedy, ...] = ()
    remedies_searched: Literal["whole", "part", "not"] = "not"
    preempts: tuple[tuple[str, str], ...] = ()
    backups: Backups = "dedicated"
    owed: Requirement | None = None

    @property
    def promised(self) -> Requirement:
        """What it is to be again, or is."""
        return self.owed or self.requirement

    @property
    def name(self) -> str:
        return self.requirement.name


@dataclass(frozen=True, slots=True)
class Totals:
    """Bandwidth asked for, admitted, and a bound on what any planner could have admitted; shared links count once.

    `prices` per bit/s of ports (as in the ledger) certify the bound of a batch: see `pipeline.certificate`. In a batch
    with schedules it is `prices_at`, the prices at each of several moments (`pipeline.batch._over_time`).
    """

    offered_bps: int
    admitted_bps: int
    upper_bound_bps: int
    prices: Mapping[PortKey, float] = field(default_factory=lambda: MappingProxyType({}))
    prices_at: Mapping[int, Mapping[PortKey, float]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def gap(self) -> float:
        bound = self.upper_bound_bps
        return (bound - self.admitted_bps) / bound if bound else 0.0


@dataclass(frozen=True, slots=True)
class PlanResult:
    """Decisions in file order and the ledger after them."""

    decisions: tuple[Decision, ...]
    ledger: CapacityLedger
    totals: Totals


def role_name(number: int) -> str:
    """The role of the path that is activated in place `number`: primary, backup, backup-2 ..."""
    return "primary" if number == 0 else "backup" if number == 1 else f"backup-{number}"


def role_number(name: str) -> int:
    """The place in which a path of that role is activated: 0 for primary, 1 for backup, n for backup-n."""
    if name == "primary":
        return 0
    number = name.removeprefix("backup").removeprefix("-")
    return int(number) if number.isdigit() else 1
