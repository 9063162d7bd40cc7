"""Engines for SQLite and PostgreSQL, and the lock that makes writers take turns on either."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    DisconnectionError,
    IntegrityError,
    InterfaceError,
    InternalError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError
from tenacity import retry, retry_if_exception, stop_after_delay, wait_random

from carelane.errors import ConflictError, InputError, StoreUnavailable

__all__ = [
    "LOCK_TIMEOUT_S",
    "for_readers",
    "for_writers",
    "is_postgres",
    "lock_writers",
    "make_engine",
    "sqlite_file",
    "translated",
]

LOCK_TIMEOUT_S = 30.0
"""How long a writer waits for its turn, by default, before it reports StoreUnavailable."""

_WRITER_LOCK = 0xCA9E0001
"""Key of the PostgreSQL advisory lock that every writing carelane transaction holds."""

_SUPPORTED = "sqlite:///path or postgresql+psycopg://user@host/name"


def make_engine(url: str, *, lock_timeout_s: float = LOCK_TIMEOUT_S, session: str | None = None) -> Engine:
    """An engine for `url`; `session` names its connections where the database keeps names.

    Raises InputError when the URL is not one of the two supported kinds.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed, lock_timeout_s)
    return create_engine(
        parsed,
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        pool_use_lifo=True,  # the connection used last has the statements prepared
        pool_timeout=lock_timeout_s,
        json_serializer=_to_json,
        connect_args={"connect_timeout": 10, **({"application_name": session} if session else {})},
    )


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite URL, None for PostgreSQL. Makes nothing. Raises InputError as `make_engine` does."""
    parsed = _parse(url)
    return Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None


def for_readers(engine: Engine) -> Engine:
    """The same engine, whose transactions see one state of the database throughout."""
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="REPEATABLE READ")
    return engine


def for_writers(engine: Engine) -> Engine:
    """The same engine, whose transactions are to call `lock_writers` first."""
    return engine.execution_options(carelane_writer=True)


def is_postgres(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def lock_writers(connection: Connection, *, lock_timeout_s: float = LOCK_TIMEOUT_S) -> None:
    """Hold the one writer's turn until the transaction ends.

    SQLite took it with BEGIN IMMEDIATE. On PostgreSQL the statement must be the transaction's first: the snapshot
    of READ COMMITTED statements that follow it contains whatever the previous holder committed.
    """
    if is_postgres(connection):
        connection.execute(text(f"SET LOCAL lock_timeout = {int(lock_timeout_s * 1000)}"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITER_LOCK})


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors into carelane's: what may pass is StoreUnavailable, bad values are InputError."""
    try:
        yield
    except DataError as error:
        raise InputError(f"the database cannot hold this value: {_first_line(error)}") from error
    except IntegrityError as error:
        raise ConflictError(f"the database holds something else already: {_first_line(error)}") from error
    except (
        *(OperationalError, InterfaceError, DisconnectionError, PoolTimeout, StaleDataError),
        InternalError,  # a standby that takes no writes, as after a failover, or a transaction that was ended
    ) as error:
        raise StoreUnavailable(f"the database did not answer: {_first_line(error)}") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise StoreUnavailable(f"the database went away: {_first_line(error)}") from error
        raise


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]


def _to_json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise InputError(f"not a database URL: {_first_line(error)}", expected=_SUPPORTED) from error
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise InputError(f"{parsed.drivername} is not supported", expected=_SUPPORTED)
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise InputError("a database in memory would forget every promise", expected=_SUPPORTED)
    return parsed


def _sqlite(url: URL, lock_timeout_s: float) -> Engine:
    path = Path(url.database or "")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the database's folder {path.parent}: {error.strerror}") from error
    engine = create_engine(
        url, json_serializer=_to_json, pool_timeout=lock_timeout_s, connect_args={"timeout": lock_timeout_s}
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver must not open transactions on its own: it would take the write lock too late, and not around DDL.
    connection.isolation_level = None
    _enter_wal(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorname.startswith("SQLITE_BUSY")


@retry(
    retry=retry_if_exception(_is_busy),
    wait=wait_random(0.01, 0.05),
    stop=stop_after_delay(LOCK_TIMEOUT_S),
    reraise=True,
)
def _enter_wal(connection: sqlite3.Connection) -> None:
    # Changing the mode ignores the busy timeout, so two processes that start together may collide here.
    connection.execute("PRAGMA journal_mode = WAL")


def _begin_sqlite(connection: Connection) -> None:
    writer = connection.get_execution_options().get("carelane_writer", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")
