"""Tables of access: API keys, the audit, answers kept for repeated requests, and CAMARA sessions with their events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from carelane.store._tables import Base, UtcDateTime

__all__ = ["ApiKeyRow", "AuditRow", "QodEventRow", "QodSessionRow", "ReplayRow"]


class ApiKeyRow(Base):
    """A key; only the argon2 hash of its secret is kept."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String, primary_key=True)
    label: Mapped[str] = mapped_column(String)
    role: Mapped[str] = mapped_column(String)
    tenant: Mapped[str | None] = mapped_column(String)
    hash: Mapped[str] = mapped_column(String)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AuditRow(Base):
    """Who changed what; triggers refuse to change or remove a row (migration 0002)."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    subject: Mapped[str] = mapped_column(String, index=True)
    role: Mapped[str] = mapped_column(String)
    tenant: Mapped[str | None] = mapped_column(String, index=True)
    action: Mapped[str] = mapped_column(String)
    target: Mapped[str] = mapped_column(String, index=True)
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    after: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    request_id: Mapped[str] = mapped_column(String)


class ReplayRow(Base):
    """The answer to a request that carried an Idempotency-Key, stored with what the request changed."""

    __tablename__ = "replays"

    subject: Mapped[str] = mapped_column(String, primary_key=True)
    key: Mapped[str] = mapped_column(String, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String)
    status: Mapped[int]
    body: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class QodSessionRow(Base):
    """A CAMARA Quality-on-Demand session, which is an intent with an end. `sink_credential` goes once it is over."""

    __tablename__ = "qod_sessions"

    id: Mapped[str] = mapped_column(String, primary_key=True)
    owner: Mapped[str] = mapped_column(String, index=True)
    tenant: Mapped[str] = mapped_column(String, index=True)
    intent: Mapped[str] = mapped_column(String, index=True)
    device: Mapped[str] = mapped_column(String, index=True)
    flow: Mapped[str] = mapped_column(String)
    request: Mapped[dict[str, Any]] = mapped_column(JSON)
    sink_credential: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    duration_s: Mapped[int]
    status: Mapped[str] = mapped_column(String, index=True)
    status_info: Mapped[str | None] = mapped_column(String)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    deleted: Mapped[bool]


class QodEventRow(Base):
    """A notification to a sink: kept until it was taken, or given up."""

    __tablename__ = "qod_events"

    id: Mapped[str] = mapped_column(String, primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("qod_sessions.id"), index=True)
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    attempts: Mapped[int]
    next_try_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    outcome: Mapped[str] = mapped_column(String)
