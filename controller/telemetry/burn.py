"""Error budgets: how much of it is left, and how fast it is being spent. Pure.

The windows are those of multi-window burn-rate alerting (The Site Reliability Workbook, chapter 5): the short one of
a pair tells that it is happening, the long one that it matters. A burn rate of 1 spends the budget exactly in the
period the objective is over; 14.4 over an hour spends 2% of a month's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["WINDOWS_S", "Budget"]

WINDOWS_S: Mapping[str, float] = {"5m": 300.0, "30m": 1800.0, "1h": 3600.0, "6h": 21600.0}
_BUCKET_S = 30.0


@dataclass(slots=True)
class Budget:
    """Good and bad seconds of the last six hours, in buckets. Time nobody measured is neither."""

    _buckets: deque[list[float]] = field(default_factory=lambda: deque(maxlen=int(WINDOWS_S["6h"] / _BUCKET_S) + 1))

    def add(self, at_s: float, seconds: float, *, bad: bool) -> None:
        start = at_s - at_s % _BUCKET_S
        if not self._buckets or self._buckets[-1][0] < start:
            self._buckets.append([start, 0.0, 0.0])
        self._buckets[-1][2 if bad else 1] += seconds

    def share_bad(self, at_s: float, window_s: float) -> float | None:
        """The bad part of what was measured in the window; None when nothing was."""
        recent = [bucket for bucket in self._buckets if bucket[0] > at_s - window_s - _BUCKET_S]
        good, bad = sum(bucket[1] for bucket in recent), sum(bucket[2] for bucket in recent)
        return bad / (good + bad) if good + bad else None

    def burn_rates(self, at_s: float, target: float) -> dict[str, float]:
        """By window, of an objective met in the share `target` of all time (below 1); windows without data left out."""
        found = {name: self.share_bad(at_s, window) for name, window in WINDOWS_S.items()}
        return {name: bad / (1 - target) for name, bad in found.items() if bad is not None}
