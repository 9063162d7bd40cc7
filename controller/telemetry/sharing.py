"""One epoch: what the counters say, what each source wants, what each may have. No clock, no switch, no store.

Rates come from two readings of the same switch by the reader's own clock. A reading that spans much less than the
interval (the switch was read again after a change) is kept and joined with the next one: a short span makes every
video frame look like a step.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from carelane.controller.pipeline.ceilings import NO_CEILINGS, Ceilings, QueuePlace
from carelane.controller.southbound.counters import SwitchCounters
from carelane.controller.telemetry.passages import Passage, Passages, sent
from carelane.controller.telemetry.rates import Gain, gain, gained
from carelane.controller.telemetry.sources import Tap, Wiring
from carelane.policies.shaping import DemandPolicy, HeldDemand, Sample, Source, aimd, follow, settled, share

__all__ = ["Mode", "Observation", "Outcome", "Sharing"]

Mode = Literal["fair", "aimd", "off"]
"""`fair` is the product; `aimd` is there to be compared with; `off` measures and holds nobody but to floors."""

_LEAST_SPAN = 0.8
_GLANCE = 0.35
"""Of an interval: enough to see how far a source has jumped, or that it has ceased to send."""
_AMPLE = 2.0
_ENOUGH = 0.99
_LABEL_ROOM = 1.02
_AIMD_STEP = 0.1


@dataclass(frozen=True, slots=True)
class Observation:
    """One source in the last epoch. `gain` is None without a fresh sample: then nothing is known, not zero.

    `changes` counts how often its ceiling moved since the loop began.
    """

    tap: Tap
    gain: Gain | None
    passage: Passage
    demand: HeldDemand
    granted_bps: float
    ceiling_bps: float
    changes: int = 0

    @property
    def fresh(self) -> bool:
        return self.gain is not None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an epoch found. `spoofed` has the frames a second with a foreign source, by (node, port); `loads` how full
    egress ports were, by link, from 0 to 1. `stale` switches were not read again, `incredible` ones told of more than a
    line of theirs carries. `unsure`: something jumped, and only a second look can tell how to share what is left;
    ceilings are those of before."""

    observations: tuple[Observation, ...]
    ceilings: Ceilings
    spoofed: Mapping[tuple[str, int], float]
    stale: tuple[str, ...]
    loads: Mapping[str, float] = field(default_factory=dict)
    incredible: tuple[str, ...] = ()
    unsure: bool = False


@dataclass
class Sharing:
    """Carries what one epoch hands to the next: demands by source, and the readings rates count from."""

    interval_s: float
    mode: Mode = "fair"
    policy: DemandPolicy = field(default_factory=DemandPolicy)
    _held: dict[str, HeldDemand] = field(default_factory=dict)
    _base: dict[str, SwitchCounters] = field(default_factory=dict)
    _pending: dict[str, Gain] = field(default_factory=dict)
    _passages: Passages = field(default_factory=Passages)
    _ceilings: dict[str, float] = field(default_factory=dict)
    _changes: Counter[str] = field(default_factory=Counter)
    _adopted: Ceilings = NO_CEILINGS
    _unsure: bool = False

    def adopt(self, ceilings: Ceilings) -> None:
        """Meters and queues that a controller found in force when it started: no reason to move them."""
        self._adopted = ceilings

    def rebase(self, readings: Mapping[str, SwitchCounters]) -> None:
        """Count from these readings on: the switches were changed, and changed meters start anew."""
        self._base |= readings

    def step(
        self, wiring: Wiring, readings: Mapping[str, SwitchCounters], expected: Mapping[str, float] | None = None
    ) -> Outcome:
        """One epoch. `expected` are demands that a schedule announces, by source."""
        fresh = {node: now for node, now in readings.items() if self._is_news(now)}
        incredible: set[str] = set()
        samples = [self._sample(tap, fresh, incredible) for tap in wiring.taps]
        passages = self._passages.step(wiring.taps, fresh)
        spoofed, loads = self._spoofed(wiring, fresh), self._loads(wiring, fresh)
        for tap, sample, passage in zip(wiring.taps, samples, passages, strict=True):
            self._follow(tap, sample, dropped=bool(passage.drops), expected_bps=(expected or {}).get(tap.key, 0.0))
        granted, ceiling = self._share(wiring, samples)
        self._unsure = not self._unsure and self._is_unsure(wiring, ceiling)
        if self._unsure:
            ceiling = [self._ceilings[tap.key] for tap in wiring.taps]
        after = {tap.key: rate for tap, rate in zip(wiring.taps, ceiling, strict=True)}
        self._changes.update(key for key, rate in after.items() if self._ceilings.get(key) != rate)
        self._ceilings = after
        observations = tuple(
            Observation(tap, sample, passages[i], self._held[tap.key], granted[i], ceiling[i], self._changes[tap.key])
            for i, (tap, sample) in enumerate(zip(wiring.taps, samples, strict=True))
        )
        stale = tuple(node for node in wiring.nodes if node not in fresh)
        self._base |= fresh
        keys = self._ceilings.keys()
        self._held = {key: state for key, state in self._held.items() if key in keys}
        limits = self._limits(wiring, ceiling)
        return Outcome(observations, limits, spoofed, stale, loads, tuple(sorted(incredible)), self._unsure)

    def _is_news(self, reading: SwitchCounters) -> bool:
        base = self._base.get(reading.node)
        return base is None or reading.at_s > base.at_s

    def _sample(self, tap: Tap, fresh: Mapping[str, SwitchCounters], incredible: set[str]) -> Gain | None:
        now, base = fresh.get(tap.node), self._base.get(tap.node)
        if now is None or base is None:
            return None
        counts = sent(tap, base, now)
        found = gained(*counts, now.at_s - base.at_s, line_bps=tap.line_bps)
        if found is None:
            if None not in counts:
                incredible.add(tap.node)
            return None
        found = _joined(self._pending.pop(tap.key, None), found)
        if found.seconds < (_GLANCE if self._in_haste(tap, found) else _LEAST_SPAN) * self.interval_s:
            self._pending[tap.key] = found
            return None
        return found

    def _in_haste(self, tap: Tap, found: Gain) -> bool:
        """In a second look: who has jumped, and who has fallen silent."""
        held = self._held.get(tap.key, HeldDemand())
        adaptive = self._unsure and tap.source.kind == "adaptive"
        return adaptive and (held.jumped or found.rate_bps < self.policy.half * held.bps)

    def _is_unsure(self, wiring: Wiring, ceiling: list[float]) -> bool:
        """Somebody jumped, and gets less than twice what an epoch, which may have seen the end of it, lets expect."""
        return (
            self.mode == "fair"
            and any(
                self._held[tap.key].jumped and rate < _AMPLE * self._held[tap.key].bps
                for tap, rate in zip(wiring.taps, ceiling, strict=True)
                if tap.source.kind == "adaptive"
            )
            and all(tap.key in self._ceilings for tap in wiring.taps)
        )

    def _spoofed(self, wiring: Wiring, fresh: Mapping[str, SwitchCounters]) -> dict[tuple[str, int], float]:
        found: dict[tuple[str, int], float] = {}
        for edge in wiring.edges:
            now, base = fresh.get(edge.node), self._base.get(edge.node)
            if now is not None and base is not None:
                seconds = now.at_s - base.at_s
                got = gained(base.flows.get(edge.spoofed), now.flows.get(edge.spoofed), seconds, line_bps=None)
                found[(edge.node, edge.port)] = got.packets / got.seconds if got else 0.0
        return found

    def _loads(self, wiring: Wiring, fresh: Mapping[str, SwitchCounters]) -> dict[str, float]:
        found: dict[str, float] = {}
        for node, now in fresh.items():
            base = self._base.get(node)
            for port, (_, out) in now.ports.items() if base is not None else ():
                capacity = wiring.layout.capacity_bps.get(f"{node}:{port}")
                if base is not None and capacity and port in base.ports:
                    octets, _ = gain(base.ports[port][1].bytes, out.bytes)
                    found[f"{node}:{port}"] = octets * 8 / (now.at_s - base.at_s) / capacity
        return found

    def _follow(self, tap: Tap, sample: Gain | None, *, dropped: bool, expected_bps: float) -> None:
        elastic = tap.source.kind == "elastic"
        held = self._held.get(tap.key, HeldDemand())
        if sample is None and tap.key in self._pending:
            self._held[tap.key] = held  # not missing, only not long enough yet
            return
        given = None if sample is None else Sample(sample.rate_bps, self._ceilings.get(tap.key), dropped)
        self._held[tap.key] = follow(held, given, self.policy, elastic=elastic, expected_bps=expected_bps)

    def _share(self, wiring: Wiring, samples: list[Gain | None]) -> tuple[list[float], list[float]]:
        layout = wiring.layout
        declared = [float(source.declared_bps) for source in layout.sources]
        if self.mode == "off" or not layout.sources:
            return declared, declared
        if self.mode == "aimd":
            rates = np.array([0.0 if gain is None else gain.carried_bps for gain in samples])
            now = np.array([self._ceilings.get(source.key, source.declared_bps) for source in layout.sources])
            after = aimd(layout, now, rates, step_bps=_AIMD_STEP * float(np.mean(declared)))
            return after.tolist(), after.tolist()
        sharers = Counter(place for tap in wiring.taps for place in tap.queues)
        before = [self._in_force(tap, sharers) for tap in wiring.taps]
        held = [self._held[source.key] for source in layout.sources]
        known = [not math.isnan(state.bps) for state in held]
        # Whose demand is not known is taken to want what it may have now.
        may = np.where(np.isnan(before), declared, before).tolist()
        wants = [state.bps if sure else rate for state, sure, rate in zip(held, known, may, strict=True)]
        jumped = [state.jumped for state in held]
        shares = share(layout, wants, jumped)
        adaptive = layout.of_kind("adaptive")
        stepped = self._unsure or any(jumped)
        if stepped and (adaptive & (shares.granted < _ENOUGH * np.nan_to_num(wants))).any():
            lent = [
                state.lendable(self.policy) if sure and can else want
                for state, sure, can, want in zip(held, known, adaptive, wants, strict=True)
            ]
            shares = share(layout, lent, jumped)
        fresh = replace(shares, ceiling=np.array([*map(_ceiling, layout.sources, shares.granted, shares.ceiling)]))
        # Nothing is told to those of which nothing is known, as after a start: they keep what they have.
        kept = layout.of_kind("elastic") & ~np.array(known) & ~np.isnan(before)
        return shares.granted.tolist(), np.where(kept, before, settled(layout, fresh, before)).tolist()

    def _in_force(self, tap: Tap, sharers: Mapping[QueuePlace, int]) -> float:
        """NaN where nothing is known of a ceiling. `sharers`: how many sources a queue's ceiling is the sum of."""
        if tap.key in self._ceilings:
            return self._ceilings[tap.key]
        if tap.meter is not None:
            return float(self._adopted.meters.get(tap.meter, math.nan))
        found = [self._adopted.queues[place] / sharers[place] for place in tap.queues if place in self._adopted.queues]
        return min(found, default=math.nan) / _LABEL_ROOM

    def _limits(self, wiring: Wiring, ceiling: list[float]) -> Ceilings:
        if self.mode == "off":
            return NO_CEILINGS
        meters: dict[int, int] = {}
        queues: defaultdict[QueuePlace, float] = defaultdict(float)
        for tap, rate in zip(wiring.taps, ceiling, strict=True):
            if tap.source.kind == "contract":
                continue
            if tap.meter is not None and rate > tap.source.declared_bps:
                meters[tap.meter] = int(rate)
            for place in tap.queues:
                queues[place] += rate * _LABEL_ROOM
        return Ceilings(meters, {place: round(rate) for place, rate in queues.items()})


def _ceiling(source: Source, granted_bps: float, ceiling_bps: float) -> float:
    """In figures that a switch can hold, and rounded: down, but never below what was granted or declared."""
    if source.kind == "contract":
        return ceiling_bps
    return float(max(_rounded(ceiling_bps, 2), _rounded(granted_bps, 3), source.declared_bps))


def _joined(before: Gain | None, after: Gain) -> Gain:
    if before is None:
        return after
    return replace(
        after,
        seconds=before.seconds + after.seconds,
        packets=before.packets + after.packets,
        bytes=before.bytes + after.bytes,
        dropped=before.dropped + after.dropped,
        dropped_bytes=before.dropped_bytes + after.dropped_bytes,
        reset=before.reset or after.reset,
    )


def _rounded(rate_bps: float, digits: int) -> int:
    """Down to so many digits: three of what was granted, two of the headroom."""
    if rate_bps < 10**digits:
        return int(rate_bps)
    unit = int(10 ** (math.floor(math.log10(rate_bps)) - digits + 1))
    return int(rate_bps // unit) * unit
