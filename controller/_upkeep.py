"""Drains and repairs over the store: what the facade and the watcher ask for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf

import structlog

from carelane.controller.reconcile.drains import drained_links
from carelane.controller.reconcile.liveness import LinkHealth
from carelane.controller.reconcile.reconciler import Reconciler
from carelane.controller.reconcile.reoptimise import Aim, Reoptimised, reoptimise
from carelane.controller.reconcile.upkeep import Renewal, drain, relocate, renew, undrain
from carelane.controller.southbound.protocol import SwitchStatus
from carelane.errors import InputError
from carelane.policies.admission import AdmissionPolicy
from carelane.store import StoredDrain, Writer

__all__ = ["LEAST_GAIN", "AlsoDrained", "AlsoMoved", "DrainResult", "Upkeep"]

log = structlog.get_logger("carelane.upkeep")

_RETRY_S = 5.0
_LONGEST_S = 60.0
_REST = 20.0
"""Filings wait for a repair: it takes a twentieth of the time at most, however much is wanting."""


@dataclass(frozen=True, slots=True)
class DrainResult:
    """What a drain did: names planned anew, names left on their only other path, those left without any, and those
    whose former rules may still use it."""

    target: str
    moved: tuple[str, ...]
    staying: tuple[str, ...]
    stuck: tuple[tuple[str, str], ...]
    leaving: tuple[str, ...] = ()


AlsoDrained = Callable[[Writer, DrainResult, StoredDrain | None], None]
"""Runs in the transaction of a drain or its end: what it did, and the drain of this target that was before."""

AlsoMoved = Callable[[Writer, Reoptimised], None]
"""Runs in the transaction of a re-optimisation."""


LEAST_GAIN, FINEST_GAIN = 0.1, 0.01
"""Shares of a link: what a move that evens out gains unless told otherwise, and the least that may be told."""


class _OnlyAskedError(Exception):
    """Undoes the transaction of a dry run."""


class Upkeep:
    """One for a controller. `drain` and `undrain` may be called from any thread, `observe` from the watcher's.

    A link that lives again is avoided for `hold_off_s` more; what a link carried that has been dead for
    `repair_after_s` is planned anew, and again, with growing patience, as long as something has no place, or less than
    it was promised.
    """

    def __init__(
        self,
        reconciler: Reconciler,
        now: Callable[[], datetime],
        *,
        hold_off_s: float = 10.0,
        repair_after_s: float = 5.0,
        policy: AdmissionPolicy | None = None,
    ) -> None:
        self._policy = policy
        self._repair_after_s = repair_after_s
        self._reconciler = reconciler
        self._now = now
        self._health = LinkHealth(reconciler.topology, hold_off_s=hold_off_s)
        self._repaired: frozenset[str] = frozenset()
        self._told: frozenset[str] = frozenset()
        self._wait_s = _RETRY_S
        self._due_s = -inf
        """When to look at once more: what may be wanting from an earlier life is found at the first look."""

    def drains(self) -> tuple[StoredDrain, ...]:
        with self._reconciler.store.read() as read:
            return read.drains()

    def drain(self, target: str, *, force: bool, also: AlsoDrained | None = None) -> DrainResult:
        """Raises NotFoundError, ConflictError (nothing moved)."""
        reconciler = self._reconciler
        with reconciler.store.write() as write:
            before = _drain_of(write.drains(), target)
            found = drain(
                write,
                reconciler.topology,
                target,
                reconciler.broken,
                reconciler.dead,
                self._now(),
                force=force,
                policy=self._policy,
            )
            result = DrainResult(target, found.moved, found.staying, found.stuck, found.leaving)
            if also is not None:
                also(write, result, before)
        if found.weakened:
            self.look_again()
        log.info("drained", target=target, moved=found.moved, staying=found.staying, stuck=found.stuck)
        reconciler.queue.add([*found.moved, *found.staying, *(name for name, _ in found.stuck)])
        return result

    def undrain(self, target: str, *, also: AlsoDrained | None = None) -> DrainResult:
        """Raises NotFoundError."""
        reconciler = self._reconciler
        with reconciler.store.write() as write:
            before = _drain_of(write.drains(), target)
            names = undrain(write, reconciler.topology, target)
            result = DrainResult(target, (), tuple(sorted(names)), ())
            if also is not None:
                also(write, result, before)
        reconciler.queue.add(result.staying)
        self.look_again()
        return result

    def look_again(self) -> None:
        """See at the next look what is wanting: there may be room, or need, that was not there before."""
        self._due_s, self._wait_s = -inf, _RETRY_S

    def reoptimise(
        self, aim: Aim = "shorter", *, gain: float = LEAST_GAIN, dry_run: bool = False, also: AlsoMoved | None = None
    ) -> Reoptimised:
        """The slices that move (or would) to where the network now carries them better. Raises InputError."""
        if not FINEST_GAIN <= gain <= 1:
            raise InputError(f"a gain of {gain:.4g}", field="gain", expected="a share from 1% to 100%, such as 10%")
        reconciler, result = self._reconciler, Reoptimised({}, 0.0, 0.0)
        try:
            with reconciler.store.write() as write:
                result = reoptimise(
                    write, reconciler.topology, reconciler.avoid(write), self._now(), aim, gain, self._policy
                )
                if dry_run:
                    raise _OnlyAskedError
                if also is not None:
                    also(write, result)
        except _OnlyAskedError:
            return result
        log.info("reoptimised", aim=aim, moved=sorted(result.moved))
        reconciler.queue.add(result.moved)
        return result

    def renew(self) -> Renewal:
        """Plan anew what an older version stored and this one programs otherwise, before any rule is compared. Raises
        StoreUnavailable, or ProgramError where the program fails verification and no slice is to blame."""
        reconciler = self._reconciler
        with reconciler.turn:
            unfit = reconciler.view(()).desired.unfit
        with reconciler.store.write() as write:
            found = renew(write, reconciler.topology, unfit, reconciler.avoid(write), self._now(), self._policy)
        if found.renewed or found.weakened:
            log.info("renewed", names=found.renewed, weakened=found.weakened)
        reconciler.queue.add([*found.renewed, *found.weakened])
        return found

    def observe(self, statuses: Mapping[str, SwitchStatus]) -> None:
        """Put living paths first, and plan anew what has been without its protection for some seconds."""
        now_s = time.monotonic()
        avoid, down = self._health.observe(statuses, now_s), self._health.dead()
        reconciler = self._reconciler
        changed = (avoid ^ reconciler.broken) | (down ^ reconciler.dead)
        if changed:
            if avoid != reconciler.broken:
                log.info("links to avoid", links=sorted(avoid))
            self._due_s = -inf if reconciler.broken - avoid else self._due_s
            reconciler.broken, reconciler.dead = avoid, down
            ends = (reconciler.topology.links[link] for link in changed)
            reconciler.enqueue_nodes({node for link in ends for node in (link.a, link.b)})
        dead = frozenset(
            link for link, for_s in self._health.dead_for_s(now_s).items() if for_s >= self._repair_after_s
        )
        fresh = bool(dead - self._repaired)
        if fresh or now_s >= self._due_s:
            news = self._repair(dead)
            took_s = time.monotonic() - now_s
            soon = fresh or news
            self._wait_s = max(_RETRY_S if soon else min(2 * self._wait_s, _LONGEST_S), _REST * took_s)
            self._due_s = now_s + self._wait_s
        self._repaired = dead

    def _repair(self, dead: frozenset[str]) -> bool:
        """Whether something is wanting that was not before."""
        reconciler, told = self._reconciler, self._told
        with reconciler.store.write() as write:
            without = reconciler.dead | drained_links(reconciler.topology, write.drains())
            found = relocate(
                write,
                reconciler.topology,
                without,
                dead,
                self._now(),
                dead=True,
                weaken=True,
                told=told,
                policy=self._policy,
                broken=reconciler.broken,
            )
        self._told = frozenset((*found.weakened, *found.staying, *(name for name, _ in found.stuck)))
        news = self._told - told
        if found.moved or news:
            log.info(
                "repaired",
                links=sorted(dead),
                moved=found.moved,
                weakened=found.weakened,
                staying=found.staying,
                stuck=found.stuck,
            )
        reconciler.queue.add([*found.moved, *sorted(news)])
        return bool(news)


def _drain_of(drains: Sequence[StoredDrain], target: str) -> StoredDrain | None:
    return next((item for item in drains if item.name == target), None)
