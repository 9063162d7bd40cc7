"""Is each promise kept? Objective by objective, from what was measured, with how sure one can be.

- **bandwidth**: of what a site offered, up to its declaration in each epoch, everything was let through (meters and
  edge counters).
- **loss**: packets dropped in the slice's own queues (exact), and packets that went in and never came out (up to what
  may be on the way, or not yet counted: flow entries are counted up to half a second late).
- **delay** and **jitter**: probes at the sites, in the slice's own class. Without a fresh one they are *unknown*. A
  probe that reports less than light needs, or contradicts its own round trip, is doubted by name and not believed.
- **availability**: the part of the measured time in which no objective was broken; its budget burns at the rates of
  `burn`.

`unknown` is never `met`. The confidence of an objective without any violation in n samples is what n successes say
about a violation rate as large as tolerated (binomial: 1 - (1 - p)^n), p being the promised loss or one in a
thousand.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from carelane.controller.pipeline.slice_plan import Decision
from carelane.controller.telemetry.burn import Budget
from carelane.controller.telemetry.passages import History
from carelane.controller.telemetry.probes import ProbeReport
from carelane.controller.telemetry.sharing import Observation
from carelane.controller.telemetry.sources import Tap
from carelane.errors import InputError

__all__ = ["ComplianceBook", "IntentCompliance", "ObjectiveStatus"]

State = Literal["met", "broken", "unknown"]
Objective = Literal["bandwidth", "loss", "delay", "jitter", "availability"]

_FRESH_EPOCHS = 5
_PROBE_FRESH_S = 30.0
_WINDOW_S = 60.0
_RATE_EPOCHS = 10
_TOLERANCE = 0.98
_RARE = 0.001


@dataclass(frozen=True, slots=True)
class ObjectiveStatus:
    """One objective: `promised` and `measured` in `unit`; `margin` is what is left before it breaks, in that unit.

    `where` is the site or hop that decided it, `cause` what is suspected, or why it is unknown.
    """

    objective: Objective
    state: State
    promised: float
    measured: float | None
    unit: str
    margin: float | None
    samples: int
    confidence: float | None
    where: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class IntentCompliance:
    """All objectives of one intent; `burn_rates` by window, of the availability's error budget."""

    name: str
    state: State
    objectives: tuple[ObjectiveStatus, ...]
    burn_rates: Mapping[str, float]
    budget_left: float | None


@dataclass(slots=True)
class _Site:
    """What one source did lately: (time, arrived and carried bit/s), and what became of its packets."""

    tap: Tap
    epochs: deque[tuple[float, float, float]] = field(default_factory=lambda: deque(maxlen=_RATE_EPOCHS))
    history: History = field(default_factory=lambda: History(_WINDOW_S))


@dataclass(slots=True)
class _Intent:
    decision: Decision
    sites: dict[str, _Site]
    probes: dict[tuple[str, str], tuple[float, ProbeReport]] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)
    rows: tuple[ObjectiveStatus, ...] = ()
    broken: str | None = None
    doubted: Mapping[tuple[str, str], str] = field(default_factory=dict)


class ComplianceBook:
    """One writer (the loop) and any readers: what is read is replaced as a whole."""

    def __init__(self, interval_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._intents: dict[str, _Intent] = {}
        self._loads: Mapping[str, float] = {}

    def watch(self, decisions: Mapping[str, Decision], taps: Sequence[Tap]) -> None:
        """From now on these slices; what is known of one that stays as it is, stays."""
        after: dict[str, _Intent] = {}
        for name, decision in decisions.items():
            known = self._intents.get(name)
            sites = known.sites if known else {}
            mine = {
                tap.key: sites[tap.key] if tap.key in sites and sites[tap.key].tap == tap else _Site(tap)
                for tap in taps
                if tap.slice == name
            }
            after[name] = _Intent(decision, mine, known.probes if known else {}, known.budget if known else Budget())
        self._intents = after

    def report(self, report: ProbeReport) -> None:
        """A probe's figures; of a slice that is not there they are ignored.

        Raises InputError for ends between which the slice has no path: nobody can fill the book with made-up sites.
        """
        intent = self._intents.get(report.slice)
        if intent is None:
            return
        ends = {(path.source, path.to) for path in intent.decision.paths}
        if not ends & {(report.source, report.target), (report.target, report.source)}:
            known = ", ".join(f"{source} and {to}" for source, to in sorted(ends)[:5])
            raise InputError(f"{report.slice} has no path between {report.source} and {report.target}",
                             field="source", expected=known)  # fmt: skip
        intent.probes[(report.source, report.target)] = (self._clock(), report)

    def step(
        self, at_s: float, observations: Sequence[Observation], loads: Mapping[str, float] | None = None
    ) -> frozenset[str]:
        """One epoch; gives the intents that began or ceased to break an objective. `loads`: how full ports were."""
        self._loads = loads or {}
        for seen in observations:
            intent = self._intents.get(seen.tap.slice)
            site = intent.sites.get(seen.tap.key) if intent else None
            if site is not None:
                site.history.add(at_s, seen.passage)
                if seen.gain is not None:
                    site.epochs.append((at_s, seen.gain.rate_bps, seen.gain.carried_bps))
        changed = set()
        for name, intent in self._intents.items():
            intent.rows = self._rows(at_s, intent)
            judged = [row for row in intent.rows if row.state != "unknown"]
            worst = next((row for row in judged if row.state == "broken"), None)
            if judged:
                intent.budget.add(at_s, self._interval_s, bad=worst is not None)
            broken = None if worst is None else _sentence(worst)
            doubted = _doubted(intent, self._fresh_probes(at_s, intent))
            if (broken is None) != (intent.broken is None) or doubted.keys() != intent.doubted.keys():
                changed.add(name)
            intent.broken, intent.doubted = broken, doubted
        return frozenset(changed)

    def knows(self, name: str) -> bool:
        """Whether anything of the intent has been measured lately."""
        intent = self._intents.get(name)
        return intent is not None and any(row.state != "unknown" for row in intent.rows)

    def breach(self, name: str) -> str | None:
        """Which objective is broken now, where and why, in words; None when none is known to be."""
        intent = self._intents.get(name)
        return intent.broken if intent else None

    def doubts(self, name: str) -> Mapping[tuple[str, str], str]:
        """Probes that cannot be right, by their ends, with the reason."""
        intent = self._intents.get(name)
        return intent.doubted if intent else {}

    def probed(self, name: str) -> bool:
        """Whether a probe ever reported on the intent."""
        intent = self._intents.get(name)
        return intent is not None and bool(intent.probes)

    def of(self, name: str) -> IntentCompliance | None:
        intent = self._intents.get(name)
        if intent is None:
            return None
        at_s = self._clock()
        target = intent.decision.requirement.objectives.availability
        rates = intent.budget.burn_rates(at_s, target) if target is not None and target < 1 else {}
        rows = (*intent.rows, *_availability(intent, at_s))
        states = [row.state for row in rows]
        state: State = "broken" if "broken" in states else "met" if states and set(states) == {"met"} else "unknown"
        left = max(0.0, 1 - rates["6h"]) if "6h" in rates else None
        return IntentCompliance(name, state, rows, rates, left)

    def names(self) -> tuple[str, ...]:
        return tuple(self._intents)

    def _rows(self, at_s: float, intent: _Intent) -> tuple[ObjectiveStatus, ...]:
        wanted = intent.decision.requirement.objectives
        fresh = [
            site
            for site in intent.sites.values()
            if site.epochs and at_s - site.epochs[-1][0] <= _FRESH_EPOCHS * self._interval_s
        ]
        rows = _measured([_bandwidth(at_s, site) for site in fresh])
        found = [_worst(rows) if rows else _unknown("bandwidth", intent.decision.requirement.forward_bps, "bit/s")]
        if wanted.loss is not None:
            losses = _measured([self._loss(at_s, site, wanted.loss) for site in fresh])
            found.append(_worst(losses) if losses else _unknown("loss", wanted.loss, "ratio"))
        probes = self._fresh_probes(at_s, intent)
        if wanted.delay_s is not None:
            found.append(_delay(intent, probes, wanted.delay_s, self._loads, round_trip=wanted.round_trip))
        if wanted.jitter_s is not None:
            found.append(_jitter(intent, probes, wanted.jitter_s, self._loads))
        return tuple(found)

    def _loss(self, at_s: float, site: _Site, promised: float) -> ObjectiveStatus:
        """Drops in own queues count one by one; what vanished counts beyond what may still be on its way."""
        fate = site.history.fate(at_s - _FRESH_EPOCHS * self._interval_s)
        if fate.passed == 0:
            return _unknown("loss", promised, "ratio", f"{site.tap.site} sends nothing")
        vanished = fate.vanished or 0
        measured = max(fate.dropped, vanished) / fate.passed
        if fate.vanished is None and measured <= promised:
            cause = f"what comes out at {', '.join(site.tap.to)} is not counted now"
            return ObjectiveStatus(
                "loss", "unknown", promised, None, "ratio", None, fate.passed, None, site.tap.site, cause
            )
        state: State = "met" if measured <= promised else "broken"
        confidence = 1 - (1 - promised) ** fate.passed if promised > 0 and measured == 0 else None
        cause = ""
        if state == "broken":
            full = fate.dropped >= vanished
            cause = f"its queue at {site.history.hop} is full" if full else "packets vanish on the way"
        where = site.history.hop if fate.dropped else f"{site.tap.site} to {', '.join(site.tap.to)}"
        margin = promised - measured
        return ObjectiveStatus(
            "loss", state, promised, measured, "ratio", margin, fate.passed, confidence, where, cause
        )

    @staticmethod
    def _fresh_probes(at_s: float, intent: _Intent) -> list[ProbeReport]:
        return [report for heard, report in intent.probes.values() if at_s - heard <= _PROBE_FRESH_S]


def _doubted(intent: _Intent, probes: Sequence[ProbeReport]) -> Mapping[tuple[str, str], str]:
    doubts = {(report.source, report.target): report.doubt(_propagation(intent.decision, report)) for report in probes}
    return {ends: doubt for ends, doubt in doubts.items() if doubt is not None}


def _unknown(objective: Objective, promised: float, unit: str, cause: str = "no fresh measurement") -> ObjectiveStatus:
    return ObjectiveStatus(objective, "unknown", promised, None, unit, None, 0, None, "", cause)


def _measured(rows: Sequence[ObjectiveStatus]) -> Sequence[ObjectiveStatus]:
    """Without sites that send nothing, as long as one does: there is nothing of theirs to break."""
    return [row for row in rows if row.samples] or rows


def _worst(rows: Sequence[ObjectiveStatus]) -> ObjectiveStatus:
    order = {"broken": 0, "unknown": 1, "met": 2}
    return min(rows, key=lambda row: (order[row.state], row.margin if row.margin is not None else 0.0))


def _bandwidth(at_s: float, site: _Site) -> ObjectiveStatus:
    declared = float(site.tap.source.declared_bps)
    recent = [epoch for epoch in site.epochs if epoch[0] > at_s - _WINDOW_S]
    arrived = sum(epoch[1] for epoch in recent) / len(recent)
    carried = sum(epoch[2] for epoch in recent) / len(recent)
    if arrived == 0:
        return _unknown("bandwidth", declared, "bit/s", f"{site.tap.site} sends nothing")
    # Epoch by epoch: what a burst brings beyond the declaration does not make up for quiet before it.
    due = sum(min(epoch[1], declared) for epoch in recent) / len(recent)
    state: State = "met" if carried >= due * _TOLERANCE else "broken"
    cause = "" if state == "met" else f"its meter at {site.tap.node} drops what it was promised"
    return ObjectiveStatus(
        "bandwidth", state, declared, carried, "bit/s", carried - due, len(recent), None, site.tap.site, cause
    )


def _propagation(decision: Decision, report: ProbeReport) -> float:
    ends = {(report.source, report.target), (report.target, report.source)}
    known = [path.propagation_s for path in decision.paths if (path.source, path.to) in ends]
    return min((value for value in known if value is not None), default=0.0)


def _queueing(intent: _Intent, report: ProbeReport, loads: Mapping[str, float]) -> str:
    """Where packets of the probe most likely wait: at the fullest port on their way."""
    ways = [
        f"{node}:{port}"
        for site in intent.sites.values()
        if site.tap.site == report.source and report.target in site.tap.to
        for node, port, _ in site.tap.way
    ]
    hop = max(ways, key=lambda link: loads.get(link, 0.0), default=None)
    if hop is None or hop not in loads:
        return "queueing on the way"
    return f"queueing at {hop}, which is {loads[hop]:.0%} full"


def _delay(
    intent: _Intent,
    probes: Sequence[ProbeReport],
    promised_s: float,
    loads: Mapping[str, float],
    *,
    round_trip: bool,
) -> ObjectiveStatus:
    rows = []
    for report in probes:
        where, samples = f"{report.source} to {report.target}", report.received
        doubt = report.doubt(_propagation(intent.decision, report))
        if doubt is not None or not samples:
            cause = doubt or "no probe packet came back"
            rows.append(ObjectiveStatus("delay", "unknown", promised_s, None, "s", None, samples, None, where, cause))
            continue
        factor = 2.0 if round_trip else 1.0
        best, worst = (factor * (report.delay_max_s + sign * report.clock_error_s) for sign in (-1, 1))
        state: State = "met" if worst <= promised_s else "broken" if best > promised_s else "unknown"
        cause = "" if state == "met" else "clocks are too far apart"
        if state == "broken":
            cause = _queueing(intent, report, loads)
        confidence = 1 - (1 - _RARE) ** samples if state == "met" else None
        rows.append(
            ObjectiveStatus(
                "delay", state, promised_s, worst, "s", promised_s - worst, samples, confidence, where, cause
            )
        )
    return _worst(rows) if rows else _unknown("delay", promised_s, "s", "no probe reports on it")


def _jitter(
    intent: _Intent, probes: Sequence[ProbeReport], promised_s: float, loads: Mapping[str, float]
) -> ObjectiveStatus:
    rows = []
    for report in probes:
        where, samples = f"{report.source} to {report.target}", report.received
        doubt = report.doubt(_propagation(intent.decision, report))
        if doubt is not None or not samples:
            cause = doubt or "no probe packet came back"
            rows.append(ObjectiveStatus("jitter", "unknown", promised_s, None, "s", None, samples, None, where, cause))
            continue
        state: State = "met" if report.jitter_s <= promised_s else "broken"
        margin = promised_s - report.jitter_s
        cause = "" if state == "met" else _queueing(intent, report, loads)
        confidence = 1 - (1 - _RARE) ** samples if state == "met" else None
        rows.append(
            ObjectiveStatus(
                "jitter", state, promised_s, report.jitter_s, "s", margin, samples, confidence, where, cause
            )
        )
    return _worst(rows) if rows else _unknown("jitter", promised_s, "s", "no probe reports on it")


def _availability(intent: _Intent, at_s: float) -> tuple[ObjectiveStatus, ...]:
    target = intent.decision.requirement.objectives.availability
    if target is None:
        return ()
    bad = intent.budget.share_bad(at_s, 21600.0)
    if bad is None:
        return (_unknown("availability", target, "ratio"),)
    state: State = "met" if 1 - bad >= target else "broken"
    return (ObjectiveStatus("availability", state, target, 1 - bad, "ratio", 1 - bad - target, 0, None, "last 6 h"),)


def _sentence(row: ObjectiveStatus) -> str:
    measured = "nothing" if row.measured is None else f"{row.measured:.4g}"
    where = f" at {row.where}" if row.where else ""
    cause = f"; suspected: {row.cause}" if row.cause else ""
    return f"{row.objective}: promised {row.promised:.4g} {row.unit}, measured {measured}{where}{cause}"
