"""Windows of time, and what is held over time as a step function: a finite partition of the time line.

Times are whole microseconds since 1970-01-01 UTC, the finest that a manifest states. A window is half-open, so that one
may begin at the very moment at which another ends.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["ALWAYS", "NOTHING", "Profile", "Window"]


@dataclass(frozen=True, slots=True)
class Window:
    """From `opens_us` until just before `closes_us`; None: since ever, or for ever."""

    opens_us: int | None = None
    closes_us: int | None = None

    def contains(self, moment_us: int) -> bool:
        return not self.is_over(moment_us) and (self.opens_us is None or self.opens_us <= moment_us)

    def is_over(self, moment_us: int) -> bool:
        """Whether it has closed for good."""
        return self.closes_us is not None and self.closes_us <= moment_us

    def meets(self, other: Window) -> bool:
        """Whether some moment is in both."""
        return _before(self.opens_us, other.closes_us) and _before(other.opens_us, self.closes_us)


ALWAYS = Window()


def _before(opens_us: int | None, closes_us: int | None) -> bool:
    return opens_us is None or closes_us is None or opens_us < closes_us


@dataclass(frozen=True, slots=True)
class Profile:
    """`levels[0]` before `moments[0]`, `levels[k]` from `moments[k - 1]` on; neighbours differ."""

    moments: tuple[int, ...] = ()
    levels: tuple[int, ...] = (0,)

    def peak(self, window: Window = ALWAYS) -> int:
        """The largest level at any moment of `window`."""
        first, last = self._span(window)
        return max(self.levels[first : last + 1])

    def at(self, moment_us: int) -> int:
        """The level at one moment."""
        return self.levels[bisect_right(self.moments, moment_us)]

    def plus(self, window: Window, amount: int) -> Profile:
        """The same with `amount` more during `window`. Costs what there are moments."""
        moments, levels = list(self.moments), list(self.levels)
        for edge in (window.opens_us, window.closes_us):
            place = bisect_left(moments, edge) if edge is not None else 0
            if edge is not None and (place == len(moments) or moments[place] != edge):
                moments.insert(place, edge)
                levels.insert(place, levels[place])
        split = Profile(tuple(moments), tuple(levels))
        first, last = split._span(window)
        for place in range(first, last + 1):
            levels[place] += amount
        return _joined(moments, levels)

    def pieces(self, window: Window = ALWAYS) -> Iterator[tuple[Window, int]]:
        """`window` cut where the level changes, with the level of each part."""
        first, last = self._span(window)
        for place in range(first, last + 1):
            opens = window.opens_us if place == first else self.moments[place - 1]
            closes = window.closes_us if place == last else self.moments[place]
            yield Window(opens, closes), self.levels[place]

    def _span(self, window: Window) -> tuple[int, int]:
        """The first and the last level that `window` meets."""
        first = 0 if window.opens_us is None else bisect_right(self.moments, window.opens_us)
        last = len(self.moments) if window.closes_us is None else bisect_left(self.moments, window.closes_us)
        return first, max(first, last)


NOTHING = Profile()


def _joined(moments: list[int], levels: list[int]) -> Profile:
    """Without the moments at which nothing changes."""
    kept = [place for place in range(len(moments)) if levels[place] != levels[place + 1]]
    return Profile(tuple(moments[place] for place in kept), (levels[0], *(levels[place + 1] for place in kept)))
