"""Keys, audit, kept answers and the stream of history: what the doors to the outside read and write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from carelane.errors import ConflictError, NotFoundError
from carelane.store._access_tables import ApiKeyRow, AuditRow, ReplayRow
from carelane.store._tables import Base, HistoryRow
from carelane.store.records import ApiKey, AuditEntry, Replay, StoredEvent

__all__ = ["AccessReader", "AccessWriter"]

REPLAY_AGE = timedelta(hours=24)
"""How long an answer is kept for a request that is repeated."""


class AccessReader:
    """Queries within the transaction of a `Reader`."""

    _session: Session

    def api_key(self, key_id: str) -> ApiKey | None:
        row = self._session.get(ApiKeyRow, key_id)
        return None if row is None else _key(row)

    def api_keys(self) -> tuple[ApiKey, ...]:
        """All keys, revoked and expired ones included, oldest first."""
        query = select(ApiKeyRow).order_by(ApiKeyRow.created_at, ApiKeyRow.id)
        return tuple(_key(row) for row in self._session.scalars(query))

    def audit(
        self,
        *,
        tenant: str | None = None,
        subject: str | None = None,
        action: str | None = None,
        target: str | None = None,
        before_id: int | None = None,
        limit: int = 100,
    ) -> tuple[AuditEntry, ...]:
        """Entries, newest first; every argument given narrows the answer."""
        query = select(AuditRow).order_by(AuditRow.id.desc()).limit(limit)
        for column, value in (
            (AuditRow.tenant, tenant),
            (AuditRow.subject, subject),
            (AuditRow.action, action),
            (AuditRow.target, target),
        ):
            if value is not None:
                query = query.where(column == value)
        if before_id is not None:
            query = query.where(AuditRow.id < before_id)
        return tuple(_entry(row) for row in self._session.scalars(query))

    def replay(self, subject: str, key: str) -> Replay | None:
        row = self._session.get(ReplayRow, (subject, key))
        return None if row is None else Replay(row.fingerprint, row.status, row.body)

    def events(self, *, after: int, tenant: str | None = None, limit: int = 500) -> tuple[StoredEvent, ...]:
        """Steps of all intents with numbers above `after`, oldest first."""
        query = select(HistoryRow).where(HistoryRow.id > after).order_by(HistoryRow.id).limit(limit)
        if tenant is not None:
            query = query.where(HistoryRow.tenant == tenant)
        return tuple(event_of(row) for row in self._session.scalars(query))

    def last_event(self) -> int:
        """The number of the newest step; 0 when there is none."""
        return self._session.scalar(select(func.max(HistoryRow.id))) or 0


class AccessWriter(AccessReader):
    """Steps within the transaction of a `Writer`."""

    _now: Callable[[], datetime]
    _unwritten: list[tuple[type[Base], dict[str, Any]]]

    def add_key(
        self, key_id: str, hashed: str, *, label: str, role: str, tenant: str | None, expires_at: datetime | None
    ) -> ApiKey:
        row = ApiKeyRow(
            id=key_id,
            label=label,
            role=role,
            tenant=tenant,
            hash=hashed,
            created_at=self._now(),
            expires_at=expires_at,
            revoked_at=None,
        )
        self._session.add(row)
        self._session.flush()
        return _key(row)

    def revoke_key(self, key_id: str) -> ApiKey:
        """Idempotent. Raises NotFoundError."""
        row = self._session.get(ApiKeyRow, key_id)
        if row is None:
            raise NotFoundError(f"there is no API key {key_id!r}")
        if row.revoked_at is None:
            row.revoked_at = self._now()
        self._session.flush()
        return _key(row)

    def record_audit(
        self,
        *,
        subject: str,
        role: str,
        tenant: str | None,
        action: str,
        target: str,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any] | None,
        request_id: str,
    ) -> None:
        """Append one entry. No secret may be in it."""
        self._append(
            AuditRow,
            at=self._now(),
            subject=subject,
            role=role,
            tenant=tenant,
            action=action,
            target=target,
            before=dict(before) if before is not None else None,
            after=dict(after) if after is not None else None,
            request_id=request_id,
        )

    def _append(self, table: type[Base], **row: Any) -> None:
        """A plain row of an append-only table; `write_down` writes it with the others, by one statement for all."""
        self._unwritten.append((table, row))

    def write_down(self) -> None:
        """Write what was appended; `Store.write` does before the commit. Until then only `last_event` knows of it."""
        for table, rows in groupby(sorted(self._unwritten, key=_table_name), key=itemgetter(0)):
            self._session.connection().execute(insert(table), [row for _, row in rows])
        self._unwritten.clear()

    def remember(self, subject: str, key: str, replay: Replay) -> None:
        """Keep an answer with what it answered; answers older than a day go. Raises ConflictError for a key in use."""
        now = self._now()
        self._session.execute(delete(ReplayRow).where(ReplayRow.at < now - REPLAY_AGE))
        if self._session.get(ReplayRow, (subject, key)) is not None:
            raise ConflictError(f"the Idempotency-Key {key[:64]!r} was used meanwhile; send the request again")
        self._session.add(
            ReplayRow(
                subject=subject,
                key=key,
                fingerprint=replay.fingerprint,
                status=replay.status,
                body=replay.body,
                at=now,
            )
        )


def _table_name(item: tuple[type[Base], object]) -> str:
    return str(item[0].__tablename__)


def _key(row: ApiKeyRow) -> ApiKey:
    return ApiKey(row.id, row.label, row.role, row.tenant, row.hash, row.created_at, row.expires_at, row.revoked_at)


def _entry(row: AuditRow) -> AuditEntry:
    return AuditEntry(
        id=row.id,
        at=row.at,
        subject=row.subject,
        role=row.role,
        tenant=row.tenant,
        action=row.action,
        target=row.target,
        before=row.before,
        after=row.after,
        request_id=row.request_id,
    )


def event_of(row: HistoryRow) -> StoredEvent:
    return StoredEvent(
        row.at, row.name, row.phase_from, row.phase_to, row.reason, row.message, id=row.id, tenant=row.tenant
    )
