"""Writing: small steps that one serialised transaction is made of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from carelane.errors import ConflictError
from carelane.intents.lifecycle import IntentStatus, Phase, requested, route
from carelane.store._access import AccessWriter
from carelane.store._engine import translated
from carelane.store._queries import Reader
from carelane.store._sessions import SessionWriter
from carelane.store._tables import DrainRow, HistoryRow, IntentRow, MoveRow, ReservationRow, SliceRow, StatusRow
from carelane.store.records import Floors, StoredMove

__all__ = ["Writer"]


class Writer(Reader, AccessWriter, SessionWriter):
    """A transaction that holds the one writer's turn; made by `Store.write`."""

    def __init__(self, session: Session, now: Callable[[], datetime]) -> None:
        super().__init__(session)
        self._now = now
        self._fresh: set[str] = set()
        self._unwritten = []

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part of the transaction that an exception undoes by itself. What the database says is translated."""
        self.write_down()  # what came before it stays
        try:
            with translated(), self._session.begin_nested():
                yield
        except BaseException:
            self._rows.clear()
            self._fresh.clear()
            self._unwritten.clear()
            raise

    def last_event(self) -> int:
        self.write_down()
        return super().last_event()

    def file(self, name: str, tenant: str, manifest: Mapping[str, Any]) -> int:
        """Keep a new or changed manifest; returns its generation. A new name starts as Requested."""
        now = self._now()
        row = self._row_of(name)
        if row is None:
            status = StatusRow(observed_generation=0, decision=None, attempts=0, next_retry_at=None)
            standing = requested(now)
            _put(status, standing)
            row = IntentRow(
                name=name,
                tenant=tenant,
                generation=1,
                manifest=dict(manifest),
                created_at=now,
                updated_at=now,
                deleted_at=None,
                status=status,
            )
            self._session.add(row)
            self._rows[name] = row
            self._fresh.add(name)
            self._record(row, None, standing.phase, standing.reason, standing.message)
        else:
            row.tenant, row.manifest, row.generation = tenant, dict(manifest), row.generation + 1
            row.updated_at, row.deleted_at = now, None
        return row.generation

    def mark_deleted(self, name: str) -> None:
        """Note that somebody asked for the withdrawal of an existing intent."""
        row = self._row(name)
        if row.deleted_at is None:
            row.deleted_at = row.updated_at = self._now()

    def set_status(
        self,
        name: str,
        standing: IntentStatus,
        *,
        observed_generation: int | None = None,
        decision: Mapping[str, Any] | None = None,
        attempts: int = 0,
        next_retry_at: datetime | None = None,
    ) -> None:
        """Write where an intent stands; every step of phase enters history. None keeps generation and decision."""
        row = self._row(name)
        status = row.status
        before = Phase(status.phase)
        for phase in route(before, standing.phase):
            self._record(row, before, phase, standing.reason, standing.message)
            before = phase
        _put(status, standing)
        status.attempts, status.next_retry_at = attempts, next_retry_at
        if observed_generation is not None:
            status.observed_generation = observed_generation
        if decision is not None:
            status.decision = dict(decision)

    def note(self, name: str, reason: str, message: str) -> None:
        """A step that matters and changes no phase, such as a refused update of an active slice."""
        row = self._row(name)
        phase = Phase(row.status.phase)
        self._record(row, phase, phase, reason, message)

    def hold(
        self, name: str, generation: int, *, number: int, first_label: int, labels: int, decision: str, floors: Floors
    ) -> None:
        """Put a slice in force; the one that was becomes retiring and holds what it has until it is released."""
        if name in self._fresh:
            self._fresh.discard(name)
        else:
            self.retire(name)
        self._session.flush()  # a slice refers to its intent
        made = self._session.connection().execute(
            insert(SliceRow),
            {
                "name": name,
                "generation": generation,
                "retiring": False,
                "number": number,
                "first_label": first_label,
                "labels": labels,
                "decision": decision,
            },
        )
        assert made.inserted_primary_key is not None
        (slice_id,) = made.inserted_primary_key
        rows = [
            {"slice_id": slice_id, "node": node, "port": port, "rate_bps": rate_bps}
            for (node, port), rate_bps in floors.items()
        ]
        if rows:
            self._session.connection().execute(insert(ReservationRow), rows)

    def retire(self, name: str) -> None:
        """The slice in force, if any, is to go; it holds its numbers and capacity until `release`."""
        self._session.execute(
            update(SliceRow).where(SliceRow.name == name, SliceRow.retiring.is_(False)).values(retiring=True)
        )

    def restore(self, name: str, slice_id: int) -> None:
        """Put a retiring slice back in force, and retire the one that is."""
        self.retire(name)
        row = self._session.get(SliceRow, slice_id)
        if row is None or row.name != name:
            raise ConflictError(f"slice {slice_id} of {name!r} is gone")
        row.retiring = False
        self._session.flush()

    def release(self, slice_ids: Collection[int]) -> None:
        """Give numbers and capacity back: call it when the switches were read and nothing of it was left."""
        for row in self._session.scalars(select(SliceRow).where(SliceRow.id.in_(slice_ids))):
            self._session.delete(row)
        self._session.flush()

    def put_drain(self, kind: str, name: str, since: datetime) -> None:
        """Take a link or switch out of service; doing it again changes nothing."""
        if self._session.get(DrainRow, (kind, name)) is None:
            self._session.add(DrainRow(kind=kind, name=name, since=since))
            self._session.flush()

    def remove_drain(self, kind: str, name: str) -> bool:
        """Put it back into service; False when it was not drained."""
        row = self._session.get(DrainRow, (kind, name))
        if row is not None:
            self._session.delete(row)
            self._session.flush()
        return row is not None

    def put_moves(self, moves: Collection[StoredMove]) -> None:
        """What the last re-optimisation moved, in place of what was stored of the one before."""
        self._session.execute(delete(MoveRow))
        self._session.add_all(MoveRow(name=m.name, generation=m.generation, links=sorted(m.links)) for m in moves)
        self._session.flush()

    def _row(self, name: str) -> IntentRow:
        row = self._row_of(name)
        if row is None:
            raise ConflictError(f"the intent {name!r} is gone")
        return row

    def _record(self, row: IntentRow, before: Phase | None, after: Phase, reason: str, message: str) -> None:
        self._append(
            HistoryRow,
            at=self._now(),
            name=row.name,
            phase_from=before.value if before else None,
            phase_to=after.value,
            reason=reason,
            message=message,
            tenant=row.tenant,
        )


def _put(row: StatusRow, standing: IntentStatus) -> None:
    row.phase, row.reason, row.message, row.since = (
        standing.phase.value,
        standing.reason,
        standing.message,
        standing.since,
    )
    row.conditions = [
        {
            "type": item.type,
            "status": item.status,
            "reason": item.reason,
            "message": item.message,
            "since": item.since.isoformat(),
        }
        for item in standing.conditions
    ]
