"""Durable truth: intents, decisions, conditions, what slices hold, and history."""

from __future__ import annotations

from carelane.store._commands import Writer
from carelane.store._queries import Reader
from carelane.store._store import Store
from carelane.store.lease import Lease, Tenure
from carelane.store.records import (
    ApiKey,
    AuditEntry,
    Floors,
    Replay,
    StoredDrain,
    StoredEvent,
    StoredIntent,
    StoredMove,
    StoredSlice,
    StoredStatus,
)

__all__ = [
    "ApiKey",
    "AuditEntry",
    "Floors",
    "Lease",
    "Reader",
    "Replay",
    "Store",
    "StoredDrain",
    "StoredEvent",
    "StoredIntent",
    "StoredMove",
    "StoredSlice",
    "StoredStatus",
    "Tenure",
    "Writer",
]
