"""What the service facade answers with: plain frozen values that REST, gRPC and the command line render."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from carelane.controller.telemetry.compliance import IntentCompliance
from carelane.errors import NotFoundError
from carelane.store import StoredIntent

__all__ = [
    "ApplyResult",
    "ConditionView",
    "Health",
    "HistoryEntry",
    "IntentDetail",
    "IntentSummary",
    "LinkAvoided",
    "LinkMismatch",
    "Placement",
    "PortPlacement",
    "SwitchView",
    "owned",
]


def owned(intent: StoredIntent, tenant: str | None) -> StoredIntent:
    """`intent` if it is `tenant`'s (None: anybody's). Raises NotFoundError otherwise, as if there were none."""
    if tenant is not None and intent.tenant != tenant:
        raise NotFoundError(f"there is no intent named {intent.name!r}")
    return intent


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """What filing one intent led to. `decision` has the shape of the contract's `decisions[]` rows.

    `changed` with `decision["decision"] == "refused"` means that the slice of an earlier generation stays in place.
    """

    name: str
    outcome: Literal["created", "changed", "unchanged"]
    generation: int
    phase: str
    decision: Mapping[str, Any]
    decided: bool = True
    """Whether it was decided now; not so for one that is filed again word for word and in force."""
    preempted: tuple[str, ...] = ()
    """Names of the slices that were displaced for it."""

    @property
    def admitted(self) -> bool:
        return bool(self.decision.get("decision") == "admitted")


@dataclass(frozen=True, slots=True)
class ConditionView:
    """One condition, in the manner of Kubernetes: `status` is True, False or Unknown, since `since`."""

    type: str
    status: str
    reason: str
    message: str
    since: datetime


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One step of an intent's life; append-only. Numbers grow."""

    id: int
    at: datetime
    phase_from: str | None
    phase_to: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class IntentSummary:
    """One row of a list."""

    name: str
    tenant: str
    service: str
    generation: int
    observed_generation: int
    phase: str
    reason: str
    message: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class PortPlacement:
    """A slice's floor at one egress port of a switch."""

    node: str
    port: int
    towards: str
    floor_bps: int


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a slice lives, in the numbers `ovs-ofctl` and `ovs-vsctl` show."""

    number: int
    queue: int
    cookie: int
    labels: tuple[int, ...]
    meters: tuple[int, ...]
    ports: tuple[PortPlacement, ...]


@dataclass(frozen=True, slots=True)
class IntentDetail:
    """Everything known of one intent.

    `manifest` is what was filed last; `decision` what was decided on it. `running_generation` is the generation
    whose slice holds capacity now (None: none does) and `running_decision` its decision. `compliance` is what was
    promised and measured of it (None: nothing is measured).
    """

    summary: IntentSummary
    manifest: Mapping[str, Any]
    conditions: tuple[ConditionView, ...]
    decision: Mapping[str, Any] | None
    running_generation: int | None
    running_decision: Mapping[str, Any] | None
    placement: Placement | None
    history: tuple[HistoryEntry, ...]
    attempts: int
    next_retry_at: datetime | None
    compliance: IntentCompliance | None = None


@dataclass(frozen=True, slots=True)
class LinkMismatch:
    """A declared link direction that discovery does not see (`missing`), or one seen and not declared."""

    kind: Literal["missing", "undeclared"]
    node: str
    port: int
    next_node: str
    next_port: int


@dataclass(frozen=True, slots=True)
class LinkAvoided:
    """A link that carries only what has no other way: it does not work, or it does again and lately did not."""

    link: str
    works: bool


@dataclass(frozen=True, slots=True)
class SwitchView:
    """One switch: liveness, and the strangers and kernel mismatches seen at the last check.

    `dead_ports` are up, and BFD hears nothing of the other end.
    """

    node: str
    dpid: int
    connected: bool
    reason: str
    ports_up: Mapping[int, bool]
    strangers: tuple[str, ...]
    mismatches: tuple[str, ...]
    checked_at: datetime | None
    dead_ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """`live`: the process does its work. `ready`: it can take intents; `reasons` say why one of them is not so."""

    live: bool
    ready: bool
    reasons: tuple[str, ...] = ()
