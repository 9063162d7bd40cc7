"""Which of several controllers acts: the one that holds the lease in PostgreSQL.

With SQLite there is one controller, which acts always. With PostgreSQL each renews or watches the lease in a thread of
its own; whoever holds it is the leader. It counts its time from before it asked, on a clock that runs on while a
process is stopped, so it stops acting before anybody else may begin, as far as it can know. What it cannot know is
held by fences that need no clock: the database takes writes of the epoch in force only (`store.lease`), switches obey
the master of the newest generation only, which is the epoch, and OVSDB the newest epoch only.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import structlog

from carelane.errors import CarelaneError, NotLeader, StoreUnavailable
from carelane.store import Lease, Tenure
from carelane.store.lease import Member, is_shared

__all__ = ["DEFAULT_TTL_S", "Leadership", "Place", "Standing"]

log = structlog.get_logger("carelane.leadership")

DEFAULT_TTL_S = 1.5
_ROUNDS = 6
"""Rounds in the time of a lease: one or two may fail before it is lost, and a dead leader is found out soon after."""

Role = Literal["single", "leader", "follower"]


@dataclass(frozen=True, slots=True)
class Standing:
    """`leader` is the address of the leader, None when none is known; `epoch` the newest seen, None where none is."""

    role: Role
    leader: str | None
    epoch: int | None

    @property
    def acts(self) -> bool:
        return self.role != "follower"


@dataclass(frozen=True, slots=True)
class Place:
    """One controller, for people: `seen_at` is when the database last heard of it, None without a shared database."""

    address: str
    role: Role
    seen_at: datetime | None
    here: bool
    """Whether it is the one that answers."""


class Leadership:
    """Thread-safe. A `carelane.store.lease.Fence`.

    `address` is where clients find this controller. Between `start` and `stop` the lease is kept or sought.
    """

    def __init__(
        self,
        database_url: str,
        address: str = "",
        *,
        ttl_s: float = DEFAULT_TTL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.holder = secrets.token_hex(8)
        self.elected = is_shared(database_url)
        self._url, self._address, self._ttl_s, self._clock = database_url, address, ttl_s, clock
        self._standing = Standing("follower", None, None) if self.elected else Standing("single", address or None, None)
        self._members: tuple[Member, ...] = ()
        self._rounds = 0
        self._failing = False
        self._until = 0.0
        self._lease: Lease | None = None
        self._changed = threading.Condition()
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    @property
    def standing(self) -> Standing:
        """How things stand now. A leader whose time is over is none any more, whatever its thread says."""
        with self._changed:
            standing = self._standing
            if standing.role == "leader" and self._clock() >= self._until:
                return Standing("follower", None, standing.epoch)
            return standing

    def places(self) -> tuple[Place, ...]:
        """Every controller that shares the database, the leader first, as they stood within the time of a lease."""
        if not self.elected:
            return (Place(self._address, "single", None, True),)
        with self._changed:
            members = self._members
        return tuple(
            Place(item.address, "leader" if item.leads else "follower", item.seen_at, item.holder == self.holder)
            for item in members
        )

    def epoch(self) -> int:
        """Of the lease that we hold; 0 where nobody else can. Raises NotLeader."""
        standing = self.standing
        if not standing.acts:
            raise NotLeader(standing.leader)
        return standing.epoch or 0

    def doubt(self) -> None:
        """A switch says that another leads: ask the database now."""
        self._wake.set()

    def superseded(self) -> NotLeader:
        """The database says that another leads: stop acting now, and ask it who."""
        with self._changed:
            if self._standing.role == "leader":
                self._until = 0.0
        self._wake.set()
        return NotLeader(None)

    def start(self) -> None:
        """Returns when it is known who leads: a holder that does not renew in its time is no leader.

        Raises StoreUnavailable.
        """
        if not self.elected:
            return
        self._lease = Lease(self._url, holder=self.holder, address=self._address, ttl_s=self._ttl_s)
        first = self._round()
        end = self._clock() + 2 * self._ttl_s
        while (tenure := self._round()) is not None and self._clock() < end:
            renewed = first is not None and tenure.expires_at != first.expires_at
            if tenure.holder == self.holder or (tenure.live and renewed):
                break
            time.sleep(self._ttl_s / _ROUNDS)
        self._thread = threading.Thread(target=self._run, name="carelane-lease", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Give the lease up, so that the next one need not wait. Nothing is to be acted on after it."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._lease is None:
            return
        try:
            self._lease.release()
        except StoreUnavailable as error:
            log.warning("lease not given up; it ends by itself", error=str(error))
        self._lease.close()

    def await_change(self, seen: Standing, timeout_s: float) -> Standing:
        """Return as soon as the standing is not `seen`, or after `timeout_s`."""
        end = time.monotonic() + timeout_s
        with self._changed:
            while (standing := self.standing) == seen and (left_s := end - time.monotonic()) > 0:
                self._changed.wait(min(left_s, self._ttl_s / _ROUNDS))
            return standing

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(self._ttl_s / _ROUNDS)
            self._wake.clear()
            if not self._stopping:
                try:
                    self._round()
                except Exception:  # whatever one round meets, the lease must be sought as long as this process lives
                    log.exception("a round of the lease broke")

    def _round(self) -> Tenure | None:
        assert self._lease is not None
        asked = self._clock()
        try:
            tenure = self._lease.round()
            if self._rounds % _ROUNDS == 0 or tenure.epoch != self._standing.epoch:
                self._members = self._lease.members()
            self._rounds += 1
        except CarelaneError as error:
            tell = log.debug if self._failing else log.warning
            tell("lease not renewed", error=str(error))
            self._failing = True
            return None
        self._failing = False
        with self._changed:
            before = self._standing
            if tenure.holder == self.holder:
                self._until = asked + self._ttl_s
                self._standing = Standing("leader", tenure.address, tenure.epoch)
            else:
                self._standing = Standing("follower", tenure.address if tenure.live else None, tenure.epoch)
            if self._standing != before:
                log.info("leadership", role=self._standing.role, leader=self._standing.leader, epoch=tenure.epoch)
            self._changed.notify_all()
        return tenure
