"""From two readings of a counter to what happened in between, whatever the counter did meanwhile.

- A counter that went down was reset (a switch restarted, a meter was changed: Open vSwitch then starts it anew) or
  wrapped. Within the last sixteenth of a 32- or 64-bit counter's range it wrapped; else what it shows now came since
  the reset, which is a lower bound of what came since the last reading.
- Two readings at the same moment, or in the wrong order, say nothing. Neither does a gain that no line could carry:
  then the switch answers nonsense, and it counts as no sample.

Times are of the reader's own monotonic clock: a switch whose clock is wrong cannot disturb anything here.
"""

from __future__ import annotations

from dataclasses import dataclass

from carelane.controller.southbound.counters import Count

__all__ = ["Gain", "gain", "gained"]

_WIDTHS = (1 << 32, 1 << 64)
_NEAR_END = 16


@dataclass(frozen=True, slots=True)
class Gain:
    """What one thing counted in `seconds`. `reset` when the counter began anew meanwhile."""

    seconds: float
    packets: int
    bytes: int
    dropped: int
    dropped_bytes: int
    reset: bool

    @property
    def rate_bps(self) -> float:
        return self.bytes * 8 / self.seconds

    @property
    def carried_bps(self) -> float:
        """Without what was dropped here."""
        return (self.bytes - self.dropped_bytes) * 8 / self.seconds


def gain(before: int, after: int) -> tuple[int, bool]:
    """What a running total gained, and whether it was reset in between."""
    if after >= before:
        return after - before, False
    for width in _WIDTHS:
        if width - width // _NEAR_END <= before < width and after < width // _NEAR_END:
            return after + width - before, False
    return after, True


def gained(before: Count | None, after: Count | None, seconds: float, *, line_bps: float | None) -> Gain | None:
    """The gain between two readings; None when they do not tell (see the module)."""
    if before is None or after is None or seconds <= 0:
        return None
    pairs = (
        (before.packets, after.packets),
        (before.bytes, after.bytes),
        (before.dropped, after.dropped),
        (before.dropped_bytes, after.dropped_bytes),
    )
    found = [gain(*pair) for pair in pairs]
    reset = any(anew for _, anew in found)
    # One that began anew did so with all its figures, also those that have passed their old value by now.
    packets, octets, dropped, dropped_bytes = (
        new if reset else more for (_, new), (more, _) in zip(pairs, found, strict=True)
    )
    result = Gain(seconds, packets, octets, dropped, dropped_bytes, reset)
    if line_bps is not None and result.rate_bps > 2 * line_bps:
        return None
    return result
