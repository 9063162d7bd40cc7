"""What became of a source's packets: how many went in, came out, were dropped on the way, and vanished.

In and out are counted on different switches, read at different moments; Open vSwitch counts flow entries up to half a
second late (its revalidators), meters at once. So running totals are compared, never single epochs: what a reading
misses is made up by the next, and whatever went in within the last `_ON_THE_WAY_S` may still be on its way. Errors
are on the side of seeing too little: a meter that was changed starts anew in Open vSwitch, and what it had counted
since it was read is not known to anybody.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from carelane.controller.southbound.counters import Count, SwitchCounters
from carelane.controller.telemetry.rates import gain, gained
from carelane.controller.telemetry.sources import Tap

__all__ = ["Fate", "History", "Passage", "Passages", "sent"]

_ON_THE_WAY_S = 2.5


@dataclass(frozen=True, slots=True)
class Passage:
    """Packets of one source since it was counted last.

    `passed` went into the network, `delivered` came out at the far ends (None: nobody counts that there), `drops` are
    those of the slice's own queues by link. `behind`: a far end was not read; what it delivered comes with its next
    reading. `restarted`: a far end counts anew, so that nothing before can be compared.
    """

    passed: int = 0
    delivered: int | None = None
    drops: tuple[tuple[str, int], ...] = ()
    behind: bool = False
    restarted: bool = False


class Passages:
    """Counts from the last reading of each switch, whatever rates are computed from."""

    def __init__(self) -> None:
        self._base: dict[str, SwitchCounters] = {}

    def step(self, taps: Sequence[Tap], fresh: Mapping[str, SwitchCounters]) -> list[Passage]:
        """The passages of `taps`, in their order, by these new readings."""
        found = [self._passage(tap, fresh) for tap in taps]
        self._base |= fresh
        return found

    def _passage(self, tap: Tap, fresh: Mapping[str, SwitchCounters]) -> Passage:
        passed = 0
        now, base = fresh.get(tap.node), self._base.get(tap.node)
        if now is not None and base is not None:
            found = gained(*sent(tap, base, now), now.at_s - base.at_s, line_bps=None)
            passed = 0 if found is None else found.packets - found.dropped
        far = [(fresh.get(node), self._base.get(node), key) for node, key in tap.delivered]
        counted = [
            gain(base.flows[key].packets, now.flows[key].packets)
            for now, base, key in far
            if now is not None and base is not None and key in now.flows and key in base.flows
        ]
        return Passage(
            max(0, passed),
            sum(packets for packets, _ in counted) if far else None,
            tuple(self._drops(tap, fresh)),
            len(counted) < len(far),
            any(reset for _, reset in counted),
        )

    def _drops(self, tap: Tap, fresh: Mapping[str, SwitchCounters]) -> Iterator[tuple[str, int]]:
        for node, port, queue in tap.way:
            now, base = fresh.get(node), self._base.get(node)
            if now is None or base is None or (port, queue) not in now.queues or (port, queue) not in base.queues:
                continue
            lost = now.queues[port, queue].dropped - base.queues[port, queue].dropped
            if lost > 0:
                yield f"{node}:{port}", lost


@dataclass(frozen=True, slots=True)
class Fate:
    """Packets of one source in a window: `vanished` neither came out nor may still be on their way (None: the far
    ends have not been read lately, so that nobody knows)."""

    passed: int
    dropped: int
    vanished: int | None


@dataclass(slots=True)
class History:
    """The passages of one source in the last `window_s`; `hop` is where most were dropped when some last were."""

    window_s: float
    epochs: deque[tuple[float, Passage]] = field(default_factory=deque)
    hop: str = ""

    def add(self, at_s: float, passage: Passage) -> None:
        if passage.restarted:
            self.epochs.clear()
            return
        if passage.drops:
            self.hop = max(passage.drops, key=lambda drop: drop[1])[0]
        self.epochs.append((at_s, passage))
        while self.epochs[0][0] <= at_s - self.window_s:
            self.epochs.popleft()

    def fate(self, fresh_since_s: float) -> Fate:
        """Of what happened in the window; deliveries must have been counted after `fresh_since_s`."""
        recent = self.epochs
        passed = sum(passage.passed for _, passage in recent)
        dropped = sum(count for _, passage in recent if passage.drops for _, count in passage.drops)
        if not recent or recent[-1][1].delivered is None:
            return Fate(passed, dropped, 0)
        until_s = next((at_s for at_s, passage in reversed(recent) if not passage.behind), -math.inf)
        if until_s < fresh_since_s:
            return Fate(passed, dropped, None)
        due = sum(passage.passed for at_s, passage in recent if at_s <= until_s - _ON_THE_WAY_S)
        came = sum(passage.delivered or 0 for at_s, passage in recent if at_s <= until_s)
        return Fate(passed, dropped, max(0, due - came))


def sent(tap: Tap, before: SwitchCounters, after: SwitchCounters) -> tuple[Count | None, Count | None]:
    """What the source had sent at two readings of its switch, by counters that both have; None where there is none.

    The meter counts at once; flow entries of Open vSwitch lag behind.
    """
    if tap.meter is not None and tap.meter in before.meters and tap.meter in after.meters:
        return before.meters[tap.meter], after.meters[tap.meter]
    keys = [key for key in tap.sent if key in before.flows and key in after.flows]
    if not keys:
        return None, None
    return _sum(before.flows[key] for key in keys), _sum(after.flows[key] for key in keys)


def _sum(counts: Iterable[Count]) -> Count:
    found = list(counts)
    return Count(sum(count.packets for count in found), sum(count.bytes for count in found))
