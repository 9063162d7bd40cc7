"""The leader's lease: one row in PostgreSQL that says who leads, since which epoch, and until when.

The row is no part of the store that is backed up, and is made here rather than by a migration: what is restored must
never say who leads, and an epoch must never be given twice. Times are the database's own. An epoch is larger than
every one before it, and at least the database's time in seconds, so that a database made anew does not begin below
what switches have seen.

Who takes a lease over first ends every session of its former holder, which rolls back what that was writing: a holder
that was stopped in the middle of a transaction cannot hold the others up, nor finish it afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError

from carelane.errors import NotLeader
from carelane.settings import LONGEST_LEASE_S
from carelane.store._engine import is_postgres, sqlite_file, translated

__all__ = ["Fence", "Lease", "Member", "Tenure", "is_shared", "require_epoch", "session_name"]

log = structlog.get_logger("carelane.leadership")

_TABLE_LOCK = 0xCA9E0002
_TABLE = """
    CREATE TABLE IF NOT EXISTS leadership (
        id integer PRIMARY KEY CHECK (id = 1), holder text NOT NULL, address text NOT NULL,
        epoch bigint NOT NULL, expires_at timestamptz NOT NULL)
"""
_MEMBERS_TABLE = """
    CREATE TABLE IF NOT EXISTS controllers (
        holder text PRIMARY KEY, address text NOT NULL, seen_at timestamptz NOT NULL)
"""
_PRESENT = """
    INSERT INTO controllers VALUES (:holder, :address, clock_timestamp())
    ON CONFLICT (holder) DO UPDATE SET seen_at = clock_timestamp()
"""
_MEMBERS = """
    SELECT c.holder, c.address, c.seen_at, l.epoch IS NOT NULL AS leads
    FROM controllers c LEFT JOIN leadership l ON l.holder = c.holder AND l.expires_at > clock_timestamp()
    WHERE c.seen_at > clock_timestamp() - make_interval(secs => :ttl) ORDER BY leads DESC, c.address, c.holder
"""
_FORGET = "DELETE FROM controllers WHERE holder = :holder OR seen_at < clock_timestamp() - interval '1 day'"
_NEXT = "GREATEST({epoch} + 1, CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS bigint))"
_END = "clock_timestamp() + make_interval(secs => :ttl)"
_FIRST = f"""
    INSERT INTO leadership VALUES (1, :holder, :address, {_NEXT.format(epoch=0)}, {_END}) ON CONFLICT DO NOTHING
"""  # noqa: S608 - constants of this file
_RENEW = f"UPDATE leadership SET expires_at = {_END} WHERE id = 1 AND holder = :holder"  # noqa: S608
_LOOK = f"""
    SELECT holder, address, epoch, expires_at,
        expires_at > clock_timestamp() AND expires_at <= clock_timestamp() + interval '{LONGEST_LEASE_S} s' AS live
    FROM leadership WHERE id = 1
"""  # noqa: S608 - constants of this file
_TAKE = f"""
    UPDATE leadership SET holder = :holder, address = :address, epoch = {_NEXT.format(epoch="epoch")},
        expires_at = {_END} WHERE id = 1
"""  # noqa: S608
_END_SESSIONS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = :name AND datname = current_database() AND pid <> pg_backend_pid()
"""


class Fence(Protocol):
    """What a store asks before it writes, when several may want to."""

    @property
    def holder(self) -> str:
        """Names the sessions of this process."""
        ...

    def epoch(self) -> int:
        """The epoch under which this process may write. Raises NotLeader."""
        ...

    def superseded(self) -> NotLeader:
        """The error to raise, after the database has said that another epoch is in force."""
        ...


@dataclass(frozen=True, slots=True)
class Tenure:
    """The row as it was seen: `live` while the holder's time runs."""

    holder: str
    address: str
    epoch: int
    expires_at: datetime
    live: bool


@dataclass(frozen=True, slots=True)
class Member:
    """One controller that was heard of within the time of a lease, at the database's time `seen_at`."""

    holder: str
    address: str
    seen_at: datetime
    leads: bool


class Lease:
    """For one thread at a time; `holder` is unique to this process, `address` is where clients find it.

    It has a session of its own, so that renewing waits for nothing. Raises StoreUnavailable.
    """

    def __init__(self, url: str, *, holder: str, address: str, ttl_s: float) -> None:
        self.holder, self.ttl_s = holder, ttl_s
        self._values = {"holder": holder, "address": address, "ttl": ttl_s}
        wait_ms = int(ttl_s * 1000)
        self._engine = create_engine(
            url,
            pool_size=1,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": 2,
                "application_name": session_name(holder),
                "tcp_user_timeout": wait_ms,
                "options": f"-c statement_timeout={wait_ms}",
            },
        )
        with translated(), self._engine.begin() as connection:
            # Not the writers' lock: a leader that was stopped may hold that, and is to be succeeded.
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _TABLE_LOCK})
            connection.execute(text(_TABLE))
            connection.execute(text(_MEMBERS_TABLE))

    def round(self) -> Tenure:
        """Renew the lease if it is ours, take it if its time is over; how it stands then."""
        with translated():
            with self._engine.begin() as connection:
                if not connection.execute(text(_RENEW), self._values).rowcount:
                    connection.execute(text(_FIRST), self._values)
                connection.execute(text(_PRESENT), self._values)
                found = _look(connection)
            return found if found.live else self._take(found)

    def members(self) -> tuple[Member, ...]:
        """Every controller that is there, the leader first."""
        with translated(), self._engine.begin() as connection:
            return tuple(Member(*row) for row in connection.execute(text(_MEMBERS), self._values))

    def release(self) -> None:
        """Let the next one begin at once."""
        with translated(), self._engine.begin() as connection:
            end = "UPDATE leadership SET expires_at = clock_timestamp() WHERE id = 1 AND holder = :holder"
            connection.execute(text(end), self._values)
            connection.execute(text(_FORGET), self._values)

    def close(self) -> None:
        self._engine.dispose()

    def _take(self, former: Tenure) -> Tenure:
        with self._engine.begin() as connection:
            _end_sessions(connection, former.holder)
        with self._engine.begin() as connection:
            # Waits for writers of the former epoch (`require_epoch`); renewing does not need this lock.
            locked = _look(connection, lock="FOR UPDATE")
            if not locked.live:
                connection.execute(text(_TAKE), self._values)
            return _look(connection)


def is_shared(url: str) -> bool:
    """Whether controllers on several machines may share this database. Raises InputError for another URL."""
    return sqlite_file(url) is None


def session_name(holder: str) -> str:
    """PostgreSQL's application name of a holder's sessions."""
    return f"carelane-{holder}"


def require_epoch(connection: Connection, fence: Fence) -> None:
    """Hold the fence's epoch in force until the transaction ends. Raises NotLeader when it is not any more."""
    if not is_postgres(connection):
        return
    epoch = fence.epoch()
    if connection.scalar(text("SELECT epoch FROM leadership WHERE id = 1 FOR KEY SHARE")) != epoch:
        raise fence.superseded()


def _look(connection: Connection, lock: str = "") -> Tenure:
    return Tenure(*connection.execute(text(f"{_LOOK} {lock}")).one())


def _end_sessions(connection: Connection, holder: str) -> None:
    try:
        with connection.begin_nested():
            ended = connection.execute(text(_END_SESSIONS), {"name": session_name(holder)}).rowcount
    except DBAPIError as error:  # a role that may not: then the lock below waits for the former holder's transaction
        log.warning("sessions of the former leader not ended", error=str(error.orig))
        return
    if ended:
        log.info("sessions of the former leader ended", sessions=ended)
