"""Token buckets, one for each caller."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from carelane.errors import TooManyRequests

__all__ = ["Buckets"]

MAX_CALLERS = 10_000


class Buckets:
    """`burst` calls at once, `rate_per_s` in the long run, for each name. Thread-safe; forgets the longest unseen."""

    def __init__(self, rate_per_s: float, burst: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate_per_s, burst, clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, name: str) -> None:
        """One call of `name`. Raises TooManyRequests."""
        with self._lock:
            now = self._clock()
            level, seen = self._levels.pop(name, (float(self._burst), now))
            level = min(self._burst, level + (now - seen) * self._rate)
            allowed = level >= 1.0
            self._levels[name] = (level - 1.0 if allowed else level, now)
            if len(self._levels) > MAX_CALLERS:
                self._levels.popitem(last=False)
        if not allowed:
            wait_s = max(1, math.ceil((1.0 - level) / self._rate))
            raise TooManyRequests(f"more than {self._rate:g} calls a second; wait {wait_s} s", wait_s)
