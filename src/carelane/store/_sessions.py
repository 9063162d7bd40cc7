"""CAMARA sessions and their notifications, within a transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, exists, null, or_, select, update
from sqlalchemy.orm import Session

from carelane.store._access_tables import QodEventRow, QodSessionRow

__all__ = ["SessionReader", "SessionWriter"]

Row = dict[str, Any]
_SPENT = and_(
    QodSessionRow.sink_credential.is_not(None),
    or_(QodSessionRow.deleted, QodSessionRow.status == "UNAVAILABLE"),
    ~exists().where(QodEventRow.session_id == QodSessionRow.id, QodEventRow.outcome == "waiting"),
)


class SessionReader:
    """Rows as plain mappings; what they mean is the CAMARA face's business."""

    _session: Session

    def qod_session(self, session_id: str) -> Row | None:
        row = self._session.get(QodSessionRow, session_id)
        return None if row is None else _plain(row)

    def qod_sessions(self, *, owner: str | None = None, device: str | None = None) -> list[Row]:
        """Sessions that are not deleted, oldest first."""
        query = select(QodSessionRow).where(QodSessionRow.deleted.is_(False)).order_by(QodSessionRow.created_at)
        if owner is not None:
            query = query.where(QodSessionRow.owner == owner)
        if device is not None:
            query = query.where(QodSessionRow.device == device)
        return [_plain(row) for row in self._session.scalars(query)]

    def spent_credentials(self) -> bool:
        """Whether a session that is over and has told its sink so still holds the sink's token."""
        return self._session.scalar(select(QodSessionRow.id).where(_SPENT).limit(1)) is not None

    def qod_events_due(self, now: datetime, limit: int = 50) -> list[Row]:
        """Notifications to be sent now."""
        query = (
            select(QodEventRow)
            .where(QodEventRow.outcome == "waiting", or_(QodEventRow.next_try_at.is_(None),
                                                         QodEventRow.next_try_at <= now))
            .order_by(QodEventRow.at)
            .limit(limit)
        )  # fmt: skip
        return [_plain(row) for row in self._session.scalars(query)]


class SessionWriter(SessionReader):
    def add_qod_session(self, values: Mapping[str, Any]) -> None:
        self._session.add(QodSessionRow(**values))
        self._session.flush()

    def change_qod_session(self, session_id: str, **values: Any) -> None:
        row = self._session.get(QodSessionRow, session_id)
        if row is not None:
            for name, value in values.items():
                setattr(row, name, value)

    def add_qod_event(self, event_id: str, session_id: str, payload: Mapping[str, Any], at: datetime) -> None:
        self._session.add(
            QodEventRow(
                id=event_id,
                session_id=session_id,
                payload=dict(payload),
                at=at,
                attempts=0,
                next_try_at=None,
                outcome="waiting",
            )
        )

    def change_qod_event(self, event_id: str, **values: Any) -> None:
        row = self._session.get(QodEventRow, event_id)
        if row is not None:
            for name, value in values.items():
                setattr(row, name, value)

    def drop_spent_credentials(self) -> None:
        """Forget the tokens of sinks that are not needed any more."""
        self._session.execute(
            update(QodSessionRow)
            .where(_SPENT)
            .values(sink_credential=null())
            .execution_options(synchronize_session=False)
        )

    def forget_qod_sessions(self, before: datetime) -> None:
        """Remove deleted sessions whose time was over before that whose sinks were told, and their notifications."""
        old = and_(
            QodSessionRow.deleted,
            or_(
                QodSessionRow.expires_at < before,
                and_(QodSessionRow.expires_at.is_(None), QodSessionRow.created_at < before),
            ),
        )
        waiting = select(QodEventRow.session_id).where(QodEventRow.outcome == "waiting")
        names = list(
            self._session.scalars(select(QodSessionRow.id).where(old, QodSessionRow.id.not_in(waiting)).limit(500))
        )
        for rows, key in ((QodEventRow, QodEventRow.session_id), (QodSessionRow, QodSessionRow.id)):
            self._session.execute(delete(rows).where(key.in_(names)).execution_options(synchronize_session=False))


def _plain(row: QodSessionRow | QodEventRow) -> Row:
    return {column.name: getattr(row, column.name) for column in row.__table__.columns}
