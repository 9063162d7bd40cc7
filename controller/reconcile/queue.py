"""A work queue of names, after controller-runtime's: a name waits at most once, whatever happened how often.

A name that is added while it is being worked on is handed out again afterwards, never to two workers at once.
Names that failed come back after an exponential delay with jitter; their overall rate is bounded, so that a
network that is down as a whole is not hammered by every intent at its own pace.
"""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from carelane.tracing import Origin, current_origin

__all__ = ["Backoff", "WorkQueue"]


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delay before try n + 1: `base_s` * 2^n, at most `cap_s`, less up to `jitter` of it at random."""

    base_s: float = 0.2
    cap_s: float = 60.0
    jitter: float = 0.25
    rate_per_s: float = 50.0

    def delay_s(self, failures: int, random_unit: float) -> float:
        full = min(self.cap_s, self.base_s * 2.0 ** min(max(failures - 1, 0), 60))
        return full * (1.0 - self.jitter * random_unit)


class WorkQueue:
    """Thread-safe. `clock` is monotonic seconds."""

    def __init__(self, backoff: Backoff | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._changed = threading.Condition()
        self._ready: dict[str, None] = {}
        self._working: set[str] = set()
        self._again: set[str] = set()
        self._due: dict[str, float] = {}
        self._timers: list[tuple[float, str]] = []
        self._failures: dict[str, int] = {}
        self._origins: dict[str, Origin] = {}
        self._next_slot = 0.0
        self._closed = False

    def add(self, names: Iterable[str]) -> None:
        """Work on these as soon as possible, waiting ones included. The request that asks is remembered."""
        origin = current_origin()
        with self._changed:
            for name in names:
                self._add(name)
                if origin is not None:
                    self._origins[name] = origin
            self._changed.notify_all()

    def add_idle(self, names: Iterable[str]) -> None:
        """Work on those of them that are neither waiting, nor worked on, nor due for a retry."""
        with self._changed:
            self.add([name for name in names if name not in self._working and name not in self._due])

    def take(self, timeout_s: float | None = None) -> frozenset[str]:
        """All names that are ready; empty after `timeout_s` or `close`. Each is to be given to `done` or `retry`."""
        with self._changed:
            if not self.wait(timeout_s):
                return frozenset()
            batch = frozenset(self._ready)
            self._ready.clear()
            self._working |= batch
            return batch

    def wait(self, timeout_s: float | None = None) -> bool:
        """Whether a name is ready, as soon as one is, or after `timeout_s` or `close`."""
        end = None if timeout_s is None else self._clock() + timeout_s
        with self._changed:
            while True:
                self._promote()
                if self._closed or self._ready:
                    return not self._closed
                waits = [moment - self._clock() for moment in (end, self._next_due()) if moment is not None]
                if end is not None and end <= self._clock():
                    return False
                self._changed.wait(max(0.0, min(waits)) if waits else None)

    def origins(self, names: Iterable[str]) -> dict[str, Origin]:
        """The requests that asked last for these names; names that none asked for are left out."""
        with self._changed:
            return {name: self._origins[name] for name in names if name in self._origins}

    def done(self, name: str) -> None:
        """`name` was worked on and is as it should be, or nothing more can be done."""
        with self._changed:
            self._failures.pop(name, None)
            if name not in self._again:
                self._origins.pop(name, None)
            self._finish(name)

    def retry(self, name: str) -> tuple[int, float]:
        """`name` failed and may succeed later; returns how often it failed in a row and the delay in seconds."""
        with self._changed:
            failures = self._failures[name] = self._failures.get(name, 0) + 1
            now = self._clock()
            self._next_slot = max(now, self._next_slot) + 1.0 / self._backoff.rate_per_s
            wanted = now + self._backoff.delay_s(failures, random.random())  # noqa: S311 - jitter, not a secret
            due = max(wanted, self._next_slot)
            self._due[name] = due
            heapq.heappush(self._timers, (due, name))
            self._finish(name)
            return failures, due - now

    def depth(self) -> int:
        """Names that are ready, worked on or due later."""
        with self._changed:
            return len(self._ready.keys() | self._working | self._due.keys())

    def clear(self) -> None:
        """Forget every name that is not worked on just now."""
        with self._changed:
            self._ready.clear()
            self._again.clear()
            self._due.clear()
            self._failures.clear()
            self._origins.clear()

    def close(self) -> None:
        """Let every `take` return; nothing is handed out after it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _add(self, name: str) -> None:
        self._due.pop(name, None)
        if name in self._working:
            self._again.add(name)
        else:
            self._ready[name] = None

    def _finish(self, name: str) -> None:
        self._working.discard(name)
        if name in self._again:
            self._again.discard(name)
            self._add(name)
        self._changed.notify_all()

    def _next_due(self) -> float | None:
        while self._timers and self._due.get(self._timers[0][1]) != self._timers[0][0]:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _promote(self) -> None:
        now = self._clock()
        while (due := self._next_due()) is not None and due <= now:
            self._add(heapq.heappop(self._timers)[1])
