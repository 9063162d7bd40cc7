"""What the store answers with: frozen values that stay valid after the transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from carelane.intents.lifecycle import IntentStatus, Phase

__all__ = [
    "ApiKey",
    "AuditEntry",
    "Floors",
    "Replay",
    "StoredDrain",
    "StoredEvent",
    "StoredIntent",
    "StoredMove",
    "StoredSlice",
    "StoredStatus",
]

Floors = Mapping[tuple[str, str], int]
"""Reserved bit/s by egress port: (node id, id of the link or endpoint it sends to), as in `topology.ledger`."""


@dataclass(frozen=True, slots=True)
class StoredStatus:
    """What became of an intent. `decision` is the contract's JSON of the last decision.

    `observed_generation` is the generation that was last seen on the switches, or refused, or withdrawn.
    """

    standing: IntentStatus
    observed_generation: int
    decision: Mapping[str, Any] | None
    attempts: int
    next_retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class StoredIntent:
    """What was filed last under a name; `deleted_at` is set from the moment its withdrawal was asked for."""

    name: str
    tenant: str
    generation: int
    manifest: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    status: StoredStatus

    @property
    def phase(self) -> Phase:
        return self.status.standing.phase


@dataclass(frozen=True, slots=True)
class StoredSlice:
    """Numbers and capacity that are held. A `retiring` slice is replaced or withdrawn, and not yet seen clean."""

    id: int
    name: str
    generation: int
    retiring: bool
    number: int
    first_label: int
    labels: int
    decision: str
    floors: Floors


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One step of an intent's life. Numbers (`id`) grow in the order in which steps were committed."""

    at: datetime
    name: str
    phase_from: str | None
    phase_to: str
    reason: str
    message: str
    id: int = 0
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret; `hash` is argon2's."""

    id: str
    label: str
    role: str
    tenant: str | None
    hash: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to which target, with the target before and after; append-only."""

    id: int
    at: datetime
    subject: str
    role: str
    tenant: str | None
    action: str
    target: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    request_id: str


@dataclass(frozen=True, slots=True)
class Replay:
    """An answer kept for a request that comes again; `fingerprint` tells whether it is the same request."""

    fingerprint: str
    status: int
    body: str


@dataclass(frozen=True, slots=True)
class StoredDrain:
    """A link or switch that is out of service on purpose; `kind` is link or node."""

    kind: str
    name: str
    since: datetime


@dataclass(frozen=True, slots=True)
class StoredMove:
    """A slice of some generation that the last re-optimisation moved, and the links it had before."""

    name: str
    generation: int
    links: frozenset[str]
