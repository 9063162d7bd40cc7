"""Packets through one port of linux-htb (net/sched/sch_htb.c), on a line that sends at the port's rate.

Queues with tokens go first, by priority, then those that borrow, by priority; who goes first among equals is drawn by
the caller to be as bad as possible. What is sent with tokens is charged and may overdraw them by one packet; what is
borrowed is not. Time in seconds, sizes in bits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Line", "through_htb"]

Arrivals = Sequence[tuple[float, float]]
"""(time, size) of packets in order of time."""


@dataclass(slots=True)
class Line:
    """A queue: priority (0 first), floor, burst allowance, what arrives; `last` among equals where `rank` is high."""

    priority: int
    rate: float
    burst: float
    arrivals: Arrivals
    rank: int = 0
    tokens: float = 0.0
    counted: float = 0.0
    waiting: deque[tuple[float, float]] = field(default_factory=deque)

    def earn(self, now: float) -> None:
        self.tokens = min(self.burst, self.tokens + self.rate * (now - self.counted))
        self.counted = now


def through_htb(capacity: float, lines: Sequence[Line]) -> list[list[float]]:
    """When each packet of each queue has left, in its order of arrival. Queues start with all their tokens."""
    pending = [deque(line.arrivals) for line in lines]
    left: list[list[float]] = [[] for _ in lines]
    for line in lines:
        line.tokens = line.burst
    now = 0.0
    while any(pending) or any(line.waiting for line in lines):
        for line, coming in zip(lines, pending, strict=True):
            while coming and coming[0][0] <= now:
                line.waiting.append(coming.popleft())
        ready = [number for number, line in enumerate(lines) if line.waiting]
        if not ready:
            now = min(coming[0][0] for coming in pending if coming)
            continue
        for line in lines:
            line.earn(now)
        # a float's breath below nothing is nothing: the kernel counts in nanoseconds
        green = [number for number in ready if lines[number].tokens >= -1e-6]
        first = min(green or ready, key=lambda number: (lines[number].priority, lines[number].rank))
        size = lines[first].waiting.popleft()[1]
        if green:
            lines[first].tokens -= size
        now += size / capacity
        left[first].append(now)
    return left
