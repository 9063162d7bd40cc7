"""The closed loop: read, estimate, share, and hand the result to the reconciler as new desired state.

One thread of its own. Each epoch asks every switch once, spread over the interval, then computes. Only when a ceiling
changed is anything sent, by the same pass that installs slices: diffed, confirmed, read back. At most one such pass an
epoch, so switches are never flooded. A pass that takes longer than an epoch (a switch is slow to confirm) goes on by
itself, and until it is over nothing else is sent; measuring, judging and naming go on. If the loop dies or is killed,
the switches keep the ceilings they have; floors are theirs to keep in any case. A controller that starts adopts the
ceilings it finds.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from carelane.controller.pipeline.ceilings import adopted
from carelane.controller.reconcile.holdings import Holdings
from carelane.controller.reconcile.reconciler import Reconciler
from carelane.controller.reconcile.standing import Finding
from carelane.controller.southbound.counters import CounterSource, DelaySource, LinkDelay, SwitchCounters
from carelane.controller.southbound.protocol import DiscoveredLink
from carelane.controller.telemetry.compliance import ComplianceBook, IntentCompliance
from carelane.controller.telemetry.containment import Containment, Offence
from carelane.controller.telemetry.metrics import TelemetryMetrics
from carelane.controller.telemetry.poller import Poller
from carelane.controller.telemetry.probes import ProbeReport
from carelane.controller.telemetry.sharing import Mode, Outcome, Sharing
from carelane.controller.telemetry.sources import Wiring, wire
from carelane.errors import CarelaneError
from carelane.intents.lifecycle import KEPT, Phase
from carelane.policies.shaping import Layout, SharePolicy
from carelane.store import StoredIntent

__all__ = ["CONFORMING", "MEASURED", "PROBES", "TelemetryLoop"]

log = structlog.get_logger("carelane.telemetry")

CONFORMING = "Conforming"
"""Condition: every source of the slice keeps to its contract."""

PROBES = "ProbesCredible"
"""Condition: what probes at the sites report can be true."""

MEASURED = "Measured"
"""Condition: all switches of the slice tell what they count."""

_SILENT_EPOCHS, _SILENT_S = 5, 3.0
_SPREAD = 0.3
"""Of an interval: what is read first is that much old when it is used."""
_SECOND_LOOK = 0.4
"""Of an interval: so soon is looked again after a step."""
_REFRESH_S = 1.0
_REWIRE_LATEST_S = 5.0
"""Every rewiring compiles all slices. While filings come in it is put off, but no longer than this."""

_STAND_BY_S = 0.1
_JOIN_FACTOR = 2.0
"""An I-frame is 1.5 to 2 times a P-frame (3GPP TR 38.838 section 5.1)."""
_JOIN_BEFORE, _JOIN_AFTER = 2, 5
_EMPTY = Wiring((), Layout((), {}, {}), ())


@dataclass
class TelemetryLoop:
    """`run` until `stop`, in epochs while it `acts`; or `epoch` by epoch, as tests do. Reading its results is
    thread-safe. `now` is for schedules only: everything measured goes by `clock`, which nobody sets."""

    reconciler: Reconciler
    southbound: CounterSource
    interval_s: float = 1.0
    mode: Mode = "fair"
    weights: SharePolicy = field(default_factory=SharePolicy)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.monotonic
    acts: Callable[[], bool] = lambda: True
    outcome: Outcome | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self.poller = Poller(self.southbound, self._stopping.wait)
        self.sharing = Sharing(self.interval_s, self.mode)
        self.containment = Containment()
        self.compliance = ComplianceBook(self.interval_s, clock=self.clock)
        self.metrics = TelemetryMetrics(self)
        self._hand = ThreadPoolExecutor(1, thread_name_prefix="carelane-shape")
        self._shaping: Future[Mapping[str, SwitchCounters]] | None = None
        self._shaped_at_s = -math.inf
        self._wiring = _EMPTY
        self._mark: object = None
        self._put_off_at: float | None = None
        self.busy: Callable[[], bool] = lambda: False
        self._starts: Mapping[str, datetime] = {}
        self._missed: Mapping[str, int] = {}
        self.reconciler.observe = self.findings

    # What it knows

    def findings(self, name: str) -> tuple[Finding, ...]:
        """What measurements say about one intent, for its conditions; nothing where nothing was measured."""
        found: list[Finding] = []
        offences = self.containment.of(name)
        if offences:
            said = "; ".join(item.message for item in offences)
            found.append(Finding(CONFORMING, "False", _offending(offences), said))
        elif self.compliance.knows(name):
            found.append(Finding(CONFORMING, "True", "WithinContract", "every source keeps to what it declared"))
        doubts = self.compliance.doubts(name)
        if doubts:
            told = "; ".join(f"{source} to {target} {why}" for (source, target), why in doubts.items())
            found.append(Finding(PROBES, "False", "ProbeDoubted", told))
        elif self.compliance.probed(name):
            found.append(Finding(PROBES, "True", "NoDoubt", "nothing that probes report contradicts light or itself"))
        silent = self._silent(name)
        if silent:
            found.append(Finding(MEASURED, "False", "CountersStale", "; ".join(silent)))
        elif self.compliance.knows(name):
            found.append(Finding(MEASURED, "True", "CountersFresh", "every switch of the slice tells what it counts"))
        broken = self.compliance.breach(name)
        if broken is not None:
            found.append(Finding(KEPT, "False", "ObjectiveBroken", broken))
        return tuple(found)

    def _silent(self, name: str) -> list[str]:
        """Switches of the slice that have told nothing for a while, with the reason where there is one."""
        nodes = {node for tap in self._wiring.taps if tap.slice == name for node in tap.nodes}
        silent = sorted(node for node in nodes if self._missed.get(node, 0) >= self._silent_epochs)
        errors = self.poller.errors()
        incredible = self.outcome.incredible if self.outcome else ()
        why = {node: errors.get(node, (0, ""))[1] or "it does not answer" for node in silent}
        why |= {node: "it tells of more than its lines carry" for node in silent if node in incredible}
        return [f"no counters from {node}: {why[node]}; its sites keep what they have" for node in silent]

    @property
    def _silent_epochs(self) -> int:
        return max(_SILENT_EPOCHS, math.ceil(_SILENT_S / self.interval_s))

    def _count_missed(self, stale: Collection[str]) -> frozenset[str]:
        """Gives the slices of switches that tell nothing credible since now, or do again."""
        before, limit = self._missed, self._silent_epochs
        self._missed = {node: before.get(node, 0) + 1 for node in stale}
        fell = {node for node, count in self._missed.items() if count == limit}
        spoke = {node for node, count in before.items() if count >= limit and node not in self._missed}
        return frozenset(tap.slice for tap in self._wiring.taps if not (fell | spoke).isdisjoint(tap.nodes))

    @property
    def layout(self) -> Layout:
        """Sources and egress ports as they are shared now."""
        return self._wiring.layout

    def compliance_of(self, name: str) -> IntentCompliance | None:
        """Promised and measured, objective by objective; None for an intent that holds no slice."""
        return self.compliance.of(name)

    def offences(self) -> tuple[Offence, ...]:
        return tuple(self.containment.offences.values())

    def link_delays(self) -> Mapping[DiscoveredLink, LinkDelay]:
        """One-way delay by link direction, where the southbound measures it."""
        return self.southbound.link_delays() if isinstance(self.southbound, DelaySource) else {}

    def report(self, report: ProbeReport) -> None:
        """Take what a probe at a site measured. Raises InputError when it cannot be true."""
        self.compliance.report(report)

    # What it does

    def adopt(self) -> None:
        """Take over the ceilings under which the switches run, so that a restart changes nothing."""
        if self.mode == "off":
            return
        with self.reconciler.turn:
            compiled = self.reconciler.view(()).desired.compiled
            found = self.reconciler.programmer.read(compiled)
            self.reconciler.ceilings = adopted(compiled, [state.own for state in found.values()])
            self.sharing.adopt(self.reconciler.ceilings)

    def run(self) -> None:
        """Epoch after epoch until `stop`."""
        while not self._stopping.is_set():
            if not self.acts():
                self._forget()
                self._stopping.wait(_STAND_BY_S)
                continue
            begun = time.monotonic()
            nodes = self._wiring.nodes
            if nodes:
                self.poller.spread(nodes, _SPREAD * self.interval_s)
            try:
                self.epoch()
            except CarelaneError as error:
                if self._stopping.is_set():
                    break
                self.metrics.failures.inc()
                log.warning("epoch failed", error=str(error), kind=type(error).__name__)
            except Exception:
                self.metrics.failures.inc()
                log.exception("epoch broke")
            self._stopping.wait(self._rest_s(begun))
        self._hand.shutdown(cancel_futures=True)

    def _rest_s(self, begun: float) -> float:
        """Until the next epoch; a second look comes sooner, and what was changed takes a while to show anything."""
        now, glance = time.monotonic(), _SECOND_LOOK * self.interval_s
        if self.outcome is not None and self.outcome.unsure:
            return glance
        return max(0.0, begun + self.interval_s - now, self._shaped_at_s + glance - now)

    def _forget(self) -> None:
        """Another controller acts: what was measured is of no use to whoever acts next, who adopts ceilings anyway."""
        if self._mark is None:
            return
        self.outcome = self._mark = None
        self._missed = {}
        self._wiring = _EMPTY
        self.sharing = Sharing(self.interval_s, self.mode)

    def stop(self) -> None:
        """End `run`, which first finishes what is being sent to switches."""
        self._stopping.set()
        self.poller.close()

    def poll(self) -> None:
        """Read every switch now; for a loop that is not run by its thread."""
        self.poller.refresh(self._wiring.nodes, _REFRESH_S)

    def epoch(self) -> Outcome:
        """One epoch over the newest readings. Raises StoreUnavailable."""
        begun, used = time.perf_counter(), time.thread_time()
        self._rewire()
        self._end_shaping(0.0)
        wiring, at_s = self._wiring, self.clock()
        outcome = self.sharing.step(wiring, self.poller.readings(), self._announced(self.now()))
        troubled = (
            self.containment.step(at_s, outcome.observations, outcome.spoofed, wiring.edges)
            | self.compliance.step(at_s, outcome.observations, outcome.loads)
            | self._count_missed((*outcome.stale, *outcome.incredible))
        )
        self.outcome = outcome
        if self.mode != "off" and self._shaping is None and outcome.ceilings != self.reconciler.ceilings:
            self._begin_shaping(outcome)
        if troubled:  # after the ceilings: telling of it reads every switch of these slices
            self.reconciler.queue.add(sorted(troubled))
        self.metrics.incredible.update(outcome.incredible)
        self.metrics.epochs.inc()
        self.metrics.duration.observe(time.perf_counter() - begun)
        self.metrics.processor.inc(time.thread_time() - used)
        return outcome

    def _announced(self, moment: datetime) -> dict[str, float]:
        """Demands of sessions whose start is near, by source: everybody joins at once, with aligned I-frames."""
        joining = {
            name
            for name, start in self._starts.items()
            if -_JOIN_BEFORE <= (moment - start).total_seconds() / self.interval_s <= _JOIN_AFTER
        }
        taps = (tap for tap in self._wiring.taps if tap.slice in joining)
        return {tap.key: _JOIN_FACTOR * tap.source.declared_bps for tap in taps}

    def _begin_shaping(self, outcome: Outcome) -> None:
        """Set ceilings, and wait for it as long as an epoch lasts."""
        if not self._stopping.is_set():
            self._shaping = self._hand.submit(self._shape, outcome)
            self._end_shaping(self.interval_s + _REFRESH_S)

    def _end_shaping(self, timeout_s: float) -> None:
        if self._shaping is None:
            return
        try:
            readings = self._shaping.result(timeout_s)
        except (TimeoutError, CancelledError):
            self._shaping = None if self._shaping.cancelled() else self._shaping
            return
        except BaseException:
            self._shaping = None
            raise
        self._shaping = None
        self._shaped_at_s = time.monotonic()
        self.sharing.rebase(readings)

    def _shape(self, outcome: Outcome) -> Mapping[str, SwitchCounters]:
        """Set ceilings; gives fresh readings of the switches that were changed."""
        result = self.reconciler.shape(outcome.ceilings)
        self.metrics.changes.inc(sum(len(changes.operations) for changes in result.changed.values()))
        for node, error in result.errors.items():
            log.warning("ceilings not set", node=node, error=str(error))
        changed = tuple(result.changed)
        self.poller.refresh(changed, _REFRESH_S)
        readings = self.poller.readings()
        return {node: readings[node] for node in changed if node in readings}

    def _rewire(self) -> None:
        """Look at the slices again when the store's have changed; a little later while more are being filed."""
        now = time.monotonic()
        if self.busy():
            self._put_off_at = self._put_off_at or now
            if now - self._put_off_at < _REWIRE_LATEST_S:
                return
        self._put_off_at = None
        reconciler = self.reconciler
        with reconciler.store.read() as read:
            mark = (read.slices_mark(), reconciler.waiting)
            if mark == self._mark:
                return
            holdings = Holdings.of(read.slices())
            failed = read.in_phase((Phase.FAILED,))
            self._starts = _starts(read.intents(names={held.name for held in holdings.slices}))
        with reconciler.turn:
            view = reconciler.view(())
        compiled, out = view.desired.compiled, failed | view.waiting
        in_force = [held for held in holdings.slices if not held.retiring and held.name not in out]
        slices = [(held.decision, held.ids) for held in in_force]
        self._wiring = wire(reconciler.topology, slices, compiled, self.weights)
        self.compliance.watch({held.name: held.decision for held in in_force}, self._wiring.taps)
        self._mark = mark


def _offending(offences: Iterable[Offence]) -> str:
    """The reason that stands for all of them: what somebody forged first, then what somebody broke."""
    kinds = {item.kind for item in offences}
    if "forged-source" in kinds:
        return "ForgedSource"
    return "TooManySpeakers" if kinds == {"too-many-speakers"} else "BeyondContract"


def _starts(intents: Iterable[StoredIntent]) -> dict[str, datetime]:
    """When scheduled sessions begin, by intent."""
    stated = {intent.name: (intent.manifest.get("spec", {}).get("schedule") or {}).get("start") for intent in intents}
    return {name: datetime.fromisoformat(start.upper()) for name, start in stated.items() if start}
