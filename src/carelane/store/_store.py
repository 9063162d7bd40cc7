"""The database behind one door: transactions that either happen whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from carelane.errors import StoreUnavailable
from carelane.store._commands import Writer
from carelane.store._engine import LOCK_TIMEOUT_S, for_readers, for_writers, lock_writers, make_engine, translated
from carelane.store._migrate import migrate
from carelane.store._queries import Reader
from carelane.store._turns import Turns
from carelane.store.lease import Fence, require_epoch, session_name

__all__ = ["Store"]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Store:
    """Intents, what became of them, what they hold, and their history. Thread-safe; several processes may share it.

    `url` is `sqlite:///path` or `postgresql+psycopg://...`; the tables are brought up to date here. A writer waits
    `lock_timeout_s` for its turn. With a `fence`, only the leader writes. Raises InputError for another URL,
    StoreUnavailable when the database does not answer.
    """

    def __init__(
        self,
        url: str,
        *,
        lock_timeout_s: float = LOCK_TIMEOUT_S,
        now: Callable[[], datetime] = _utc_now,
        fence: Fence | None = None,
    ) -> None:
        self._fence = fence
        session = None if fence is None else session_name(fence.holder)
        self._engine = make_engine(url, lock_timeout_s=lock_timeout_s, session=session)
        self._lock_timeout_s = lock_timeout_s
        self._readers = for_readers(self._engine)
        self._writers = for_writers(self._engine)
        self._turn = Turns()
        self._now = now
        try:
            with translated():
                migrate(self._engine)
        except BaseException:
            self._engine.dispose()
            raise

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """Queries that all see the same state. Raises StoreUnavailable."""
        with translated(), Session(self._readers) as session, session.begin():
            yield Reader(session)

    @contextmanager
    def write(self) -> Iterator[Writer]:
        """One transaction at a time, over all processes; an exception undoes all of it. Do not nest.

        Raises StoreUnavailable, and NotLeader when another process leads.
        """
        if self._fence is not None:
            self._fence.epoch()
        if not self._turn.acquire(self._lock_timeout_s):
            raise StoreUnavailable(f"another transaction has held the store for {self._lock_timeout_s:g} s")
        try:
            with translated(), Session(self._writers, expire_on_commit=False) as session, session.begin():
                lock_writers(session.connection(), lock_timeout_s=self._lock_timeout_s)
                if self._fence is not None:
                    require_epoch(session.connection(), self._fence)
                writer = Writer(session, self._now)
                yield writer
                writer.write_down()
        finally:
            self._turn.release()

    def check(self) -> None:
        """Raises StoreUnavailable when the database does not answer."""
        with translated(), self._readers.connect() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Give the connections back; the store is not used after it."""
        self._engine.dispose()
