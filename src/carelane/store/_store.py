"""The database behind one door: transactions that either happen whole or not at all."""

from __future__ import annotations

import threading
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

__all__ = ["Store"]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Store:
    """Intents, what became of them, what they hold, and their history. Thread-safe; several processes may share it.

    `url` is `sqlite:///path` or `postgresql+psycopg://...`; the tables are brought up to date here. Raises
    InputError for another URL, StoreUnavailable when the database does not answer.
    """

    def __init__(self, url: str, *, now: Callable[[], datetime] = _utc_now) -> None:
        self._engine = make_engine(url)
        self._readers = for_readers(self._engine)
        self._writers = for_writers(self._engine)
        self._turn = threading.Lock()
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
        """One transaction at a time, over all processes; an exception undoes all of it. Do not nest."""
        if not self._turn.acquire(timeout=LOCK_TIMEOUT_S):
            raise StoreUnavailable(f"another transaction has held the store for {LOCK_TIMEOUT_S:g} s")
        try:
            with translated(), Session(self._writers, expire_on_commit=False) as session, session.begin():
                lock_writers(session.connection())
                yield Writer(session, self._now)
        finally:
            self._turn.release()

    def check(self) -> None:
        """Raises StoreUnavailable when the database does not answer."""
        with translated(), self._readers.connect() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Give the connections back; the store is not used after it."""
        self._engine.dispose()
