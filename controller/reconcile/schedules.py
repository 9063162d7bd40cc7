"""Which slices are on the switches at a moment, by their schedules: only the clock and the store count.

A slice is put on the switches `LEAD` before its window opens where the ports have room for it then, so that its rules
are there at the first packet; where others still hold that room, at the moment the window opens. It is taken off as
soon as the window has closed. What is on the switches therefore never holds more than a port has.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from carelane.controller.pipeline.schedules import as_text, us_of
from carelane.controller.reconcile.holdings import Held
from carelane.topology.ledger import PortKey
from carelane.topology.model import Topology
from carelane.topology.windows import Window

__all__ = ["LEAD", "Alarm", "Outside", "next_turn", "outside", "waiting"]

LEAD = timedelta(seconds=10)
_LEAD_US = LEAD // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Outside:
    """Why a slice in force is not on the switches. `over`: it never will be again."""

    reason: str
    message: str
    over: bool


def outside(held: Held, now: datetime) -> Outside:
    """For a slice that is `waiting`."""
    window = held.decision.requirement.window or Window()
    if window.closes_us is not None and window.is_over(us_of(now)):
        message = f"its window closed at {as_text(window.closes_us)}; file it again with a later one, or withdraw it"
        return Outside("ScheduleOver", message, over=True)
    opens = "" if window.opens_us is None else f" at {as_text(window.opens_us)}"
    return Outside("Scheduled", f"opens{opens}; its capacity is held for then", over=False)


def waiting(topology: Topology, slices: Sequence[Held], now: datetime) -> frozenset[str]:
    """Names of slices in force that are not to be on the switches now: their window is closed."""
    moment = us_of(now)
    timed = [(held, window) for held in slices if not held.retiring and (window := held.decision.requirement.window)]
    closed = [(held, window) for held, window in timed if not window.contains(moment)]
    soon = [(held, window) for held, window in closed if window.contains(moment + _LEAD_US)]
    names = frozenset(held.name for held, _ in closed)
    if not soon:
        return names
    held_now: dict[PortKey, int] = {}
    for held in slices:
        if not held.retiring and held.name not in names:
            _add(held_now, held)
    early = set()
    for held, _ in sorted(soon, key=lambda item: (item[1].opens_us or 0, item[0].id)):
        if all(held_now.get(port, 0) + rate <= _capacity(topology, port) for port, rate in held.floors.items()):
            early.add(held.name)
            _add(held_now, held)
    return names - early


def next_turn(slices: Sequence[Held], now: datetime) -> datetime | None:
    """The next moment at which `waiting` may say something else."""
    moment = us_of(now)
    coming = [turn for held in slices if not held.retiring for turn in _turns(held) if turn > moment]
    return None if not coming else now + timedelta(microseconds=min(coming) - moment)


def _turns(held: Held) -> Iterator[int]:
    window = held.decision.requirement.window
    if window is not None and window.opens_us is not None:
        yield from (window.opens_us - _LEAD_US, window.opens_us)
    if window is not None and window.closes_us is not None:
        yield window.closes_us


def _add(total: dict[PortKey, int], held: Held) -> None:
    for port, rate_bps in held.floors.items():
        total[port] = total.get(port, 0) + rate_bps


def _capacity(topology: Topology, port: PortKey) -> int:
    """Of a link's or an endpoint's port, what may be reserved; none where it is no longer declared."""
    link, endpoint = topology.links.get(port[1]), topology.endpoints.get(port[1])
    if link is not None:
        return link.reservable_bps or 0
    return (endpoint.capacity_bps or 0) if endpoint is not None else 0


class Alarm:
    """The earliest moment that was asked for. Thread-safe."""

    def __init__(self) -> None:
        self._at: datetime | None = None
        self._lock = threading.Lock()

    def set(self, at: datetime | None) -> None:
        with self._lock:
            if at is not None and (self._at is None or at < self._at):
                self._at = at

    def rings(self, now: datetime) -> bool:
        """Whether the moment has come; then it is forgotten."""
        with self._lock:
            if self._at is None or now < self._at:
                return False
            self._at = None
            return True
