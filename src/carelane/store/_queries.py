"""Reading: every answer of one `Reader` comes from one state of the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from carelane.errors import NotFoundError
from carelane.intents.lifecycle import Condition, IntentStatus, Phase
from carelane.store._access import AccessReader, event_of
from carelane.store._sessions import SessionReader
from carelane.store._tables import DrainRow, HistoryRow, IntentRow, MoveRow, ReservationRow, SliceRow, StatusRow
from carelane.store.records import StoredDrain, StoredEvent, StoredIntent, StoredMove, StoredSlice, StoredStatus

__all__ = ["Reader"]

_LISTED = 1000
"""Names in one query: databases take so many parameters, and for more it is as well to read all."""


class Reader(AccessReader, SessionReader):
    """Queries within one transaction; made by `Store.read` and `Store.write`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._rows: dict[str, IntentRow | None] = {}

    def intent(self, name: str) -> StoredIntent:
        """Raises NotFoundError."""
        found = self.find(name)
        if found is None:
            raise NotFoundError(f"there is no intent named {name!r}")
        return found

    def find(self, name: str) -> StoredIntent | None:
        row = self._row_of(name)
        return None if row is None else _intent(row)

    def _row_of(self, name: str) -> IntentRow | None:
        """The session forgets rows that nobody refers to, and rows that are not there, and would ask for them again."""
        if name not in self._rows:
            self._rows[name] = self._session.get(IntentRow, name)
        return self._rows[name]

    def intents(
        self,
        *,
        names: Collection[str] | None = None,
        tenant: str | None = None,
        phases: Collection[Phase] | None = None,
        service: str | None = None,
        prefix: str = "",
        after: str | None = None,
        limit: int | None = None,
    ) -> tuple[StoredIntent, ...]:
        """Intents by name, withdrawn ones included; every argument given narrows the answer.

        `after` and `limit` page through them: names that follow `after`, at most so many.
        """
        query = select(IntentRow).join(IntentRow.status).order_by(IntentRow.name).limit(limit)
        if prefix:
            query = query.where(IntentRow.name.startswith(prefix, autoescape=True))
        if service is not None:
            query = query.where(IntentRow.manifest[("spec", "service")].as_string() == service)
        if after is not None:
            query = query.where(IntentRow.name > after)
        if tenant is not None:
            query = query.where(IntentRow.tenant == tenant)
        if phases is not None:
            query = query.where(StatusRow.phase.in_(phases))
        if names is not None:
            query = query.where(IntentRow.name.in_(names))
        return tuple(_intent(row) for row in self._session.scalars(query))

    def marks(self, names: Collection[str] = (), *, tenant: str | None = None) -> dict[str, int]:
        """By name, a number that differs whenever the state of that intent does: cheap to ask for again and again.

        Of `names`, or of all that are not withdrawn. Raises NotFoundError for one that is not there, or not `tenant`'s.
        """
        query = select(StatusRow.name, StatusRow.version).join(IntentRow).order_by(StatusRow.name)
        if tenant is not None:
            query = query.where(IntentRow.tenant == tenant)
        if 0 < len(names) <= _LISTED:
            query = query.where(StatusRow.name.in_(names))
        if not names:
            query = query.where(StatusRow.phase != Phase.WITHDRAWN)
        found = {name: int(version) for name, version in self._session.execute(query)}
        absent = next((name for name in names if name not in found), None)
        if absent is not None:
            raise NotFoundError(f"there is no intent named {absent!r}")
        return {name: found[name] for name in names} if names else found

    def in_phase(self, phases: Collection[Phase]) -> frozenset[str]:
        """Names of intents that are in one of these phases."""
        return frozenset(self._session.scalars(select(StatusRow.name).where(StatusRow.phase.in_(phases))))

    def slices(self, name: str | None = None) -> tuple[StoredSlice, ...]:
        """All that is held, in the order in which it was admitted."""
        slices = select(SliceRow.__table__).order_by(SliceRow.id)
        floors = select(ReservationRow.slice_id, ReservationRow.node, ReservationRow.port, ReservationRow.rate_bps)
        if name is not None:
            slices = slices.where(SliceRow.name == name)
            floors = floors.join(SliceRow, SliceRow.id == ReservationRow.slice_id).where(SliceRow.name == name)
        # Plain rows: every decision and every pass reads all of them, and mapped objects cost several times as much.
        held: defaultdict[int, dict[tuple[str, str], int]] = defaultdict(dict)
        for slice_id, node, port, rate_bps in self._session.execute(floors):
            held[slice_id][(node, port)] = rate_bps
        return tuple(
            StoredSlice(**row, floors=MappingProxyType(held[row["id"]]))
            for row in self._session.execute(slices).mappings()
        )

    def holders(self, *, retiring: bool | None = None) -> frozenset[str]:
        """Names that hold something; with `retiring`, by a slice that is, or is not, on its way out."""
        query = select(SliceRow.name)
        if retiring is not None:
            query = query.where(SliceRow.retiring.is_(retiring))
        return frozenset(self._session.scalars(query))

    def slices_mark(self) -> tuple[int, int, int, int, str]:
        """Differs whenever another set of slices is in force: to be asked often, where `slices` would cost too much.

        The last filing is part of it: SQLite gives the number of a row that is gone to the next one.
        """
        rows = select(func.count(), func.coalesce(func.max(SliceRow.id), 0), func.count().filter(SliceRow.retiring))
        count, last, retiring = self._session.execute(rows.select_from(SliceRow)).one()
        filed = self._session.scalar(select(func.max(IntentRow.updated_at)))
        return int(count), int(last), int(retiring), self.phases().get(Phase.FAILED, 0), str(filed)

    def holdings_mark(self) -> tuple[int, int]:
        """Differs whenever anybody took, gave back, or exchanged what is held.

        Whoever takes or exchanges writes history in the same transaction; what is given back is a slice less.
        """
        count = self._session.scalar(select(func.count()).select_from(SliceRow))
        return int(count or 0), self.last_event()

    def history(
        self, name: str, limit: int = 100, *, tenant: str | None = None, before_id: int | None = None
    ) -> tuple[StoredEvent, ...]:
        """The last `limit` steps of one intent (before the step `before_id`), oldest first.

        `tenant`: only steps of when the name was that tenant's.
        """
        query = select(HistoryRow).where(HistoryRow.name == name).order_by(HistoryRow.id.desc()).limit(limit)
        if tenant is not None:
            query = query.where(HistoryRow.tenant == tenant)
        if before_id is not None:
            query = query.where(HistoryRow.id < before_id)
        rows: Sequence[HistoryRow] = self._session.scalars(query).all()
        return tuple(event_of(row) for row in reversed(rows))

    def drains(self) -> tuple[StoredDrain, ...]:
        """What is out of service on purpose, by kind and name."""
        rows = self._session.scalars(select(DrainRow).order_by(DrainRow.kind, DrainRow.name))
        return tuple(StoredDrain(row.kind, row.name, row.since) for row in rows)

    def moves(self) -> tuple[StoredMove, ...]:
        """What the last re-optimisation moved and nobody undid, by name."""
        rows = self._session.scalars(select(MoveRow).order_by(MoveRow.name))
        return tuple(StoredMove(row.name, row.generation, frozenset(row.links)) for row in rows)

    def phases(self) -> dict[Phase, int]:
        """How many intents there are in each phase."""
        query = select(StatusRow.phase, func.count()).group_by(StatusRow.phase)
        return {Phase(phase): count for phase, count in self._session.execute(query)}


def _intent(row: IntentRow) -> StoredIntent:
    status = row.status
    return StoredIntent(
        name=row.name,
        tenant=row.tenant,
        generation=row.generation,
        manifest=row.manifest,
        created_at=row.created_at,
        updated_at=row.updated_at,
        deleted_at=row.deleted_at,
        status=StoredStatus(
            standing=_standing(status),
            observed_generation=status.observed_generation,
            decision=status.decision,
            attempts=status.attempts,
            next_retry_at=status.next_retry_at,
        ),
    )


def _standing(row: StatusRow) -> IntentStatus:
    conditions = tuple(
        Condition(item["type"], item["status"], item["reason"], item["message"], datetime.fromisoformat(item["since"]))
        for item in row.conditions
    )
    return IntentStatus(Phase(row.phase), row.reason, row.message, row.since, conditions)
