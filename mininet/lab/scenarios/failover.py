"""`failover`: links are cut under a 1 kHz haptic stream, and the packets that are lost are counted.

Five switches: west - p1 - p2 - east is the primary path (1 ms a link), west - b - east the backup (2 ms a link).
Two protected directions carry 1 kHz. With carelane the controller is killed before the first cut: what repairs is in
the switches. Links of the primary are cut in turn, with loss of carrier and then silently; each is restored before
the next. Beside it, the same network with an unprotected intent and a controller that plans anew at once, which is
what a controller alone can do.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from carelane.lab.carelane_server import CarelaneServer
from carelane.lab.from_topology import lab_network
from carelane.lab.lab import Lab
from carelane.lab.report import Check, Report
from carelane.lab.samples import FlowSamples, RunSamples
from carelane.lab.scenario import ScenarioContext
from carelane.lab.traffic.models import HAPTIC
from carelane.lab.traffic.plan import Bucket, Flow, TrafficPlan
from carelane.policies.liveness import bfd_interval_ms
from carelane.topology import Topology
from carelane.topology.load import parse_topology

__all__ = ["Cut", "Failover", "diamond", "lost_by_cut"]

WEST, EAST = "west/or-1", "east/console-1"
PRIMARY = ("w-p1", "p1-p2", "p2-e")
BACKUP = ("w-b", "b-e")
_THERE, _BACK = "west to east", "east to west"
_INTENT = f"remote surgery {WEST} -> {EAST}: 100 ms, jitter none, loss none, 5.2 Mbps, burst 1500B, availability none"
_MODEL_MS = HAPTIC.period_s * 1e3
_LEAD_S = 0.3
_ALLOWED_MS = {"host": 10.0, "lab-kernel": 50.0, "userspace": 10.0}
_NOISE_PERIOD_S = 0.005
"""The lab kernel's one processor is to see to switches at a cut, not to probes of its own lateness."""
_BFD_RETURNS_S = 6.0
"""A session that was down sends once a second until it is up again (RFC 5880, section 6.8.3)."""

_TOPOLOGY = """
apiVersion: carelane/v1
kind: Topology
metadata: {name: failover}
spec:
  nodes: [{id: west, kind: switch}, {id: p1, kind: switch}, {id: p2, kind: switch}, {id: b, kind: switch},
          {id: east, kind: switch}]
  links:
    - {id: w-p1, a: west, b: p1, capacity: 20Mbps, delay: 1ms}
    - {id: p1-p2, a: p1, b: p2, capacity: 20Mbps, delay: 1ms}
    - {id: p2-e, a: p2, b: east, capacity: 20Mbps, delay: 1ms}
    - {id: w-b, a: west, b: b, capacity: 20Mbps, delay: 2ms}
    - {id: b-e, a: b, b: east, capacity: 20Mbps, delay: 2ms}
  endpoints:
    - {id: west/or-1, node: west, address: 10.1.0.1/32, mac: "02:00:0a:01:00:01", capacity: 20Mbps}
    - {id: east/console-1, node: east, address: 10.2.0.1/32, mac: "02:00:0a:02:00:01", capacity: 20Mbps}
"""


@dataclass(frozen=True, slots=True)
class Cut:
    """One failure, in seconds since the traffic's first packet, on the clock of the samples."""

    link: str
    silent: bool
    at_s: float


@dataclass(frozen=True, slots=True)
class Failover:
    """Numbers of cuts: with loss of carrier, silent ones, and of the controller-only comparison (0: none is made)."""

    carrier: int = 50
    silent: int = 9
    rerouted: int = 8
    name: str = "failover"
    summary: str = "links cut under a haptic stream: repaired in the switches, beside a controller that reroutes"

    def run(self, context: ScenarioContext) -> Report:
        """Raises LabError when the lab or the product fails to do its part; a broken promise is a result."""
        with context.open() as lab:
            report = context.report(self.name, lab)
            cuts, run = self._switches(lab, context, report)
        report.add_run("switches", run)
        outages = {name: lost_by_cut(run.flows[name], run.start_ns, cuts) for name in (_THERE, _BACK)}
        baseline = self._baseline(context, report) if self.rerouted else []
        _conclude(report, cuts, outages, baseline)
        return report

    def _baseline(self, context: ScenarioContext, report: Report) -> list[float]:
        """Milliseconds lost in each cut, both directions, when the controller alone repairs."""
        with context.open() as lab:
            cuts, run = self._controller(lab, context)
        report.add_run("controller", run)
        by_cut = {name: lost_by_cut(run.flows[name], run.start_ns, cuts) for name in (_THERE, _BACK)}
        report.notes += [f"controller alone, {_told(name, cuts, got)}" for name, got in by_cut.items()]
        return [ms for got in by_cut.values() for ms in got]

    def _switches(self, lab: Lab, context: ScenarioContext, report: Report) -> tuple[list[Cut], RunSamples]:
        server = _installed(lab, context, "protected", {})
        try:
            report.checks.append(_proven(server))
            server.kill()
            context.say("the controller is killed; the switches are on their own")
            plan = [(PRIMARY[i % 3], False) for i in range(self.carrier)]
            plan += [(PRIMARY[i % 3], True) for i in range(self.silent)]
            return _cut_all(lab, context, plan, cut_s=0.7, rest_s=1.9)
        finally:
            server.stop()
            report.attachments["controller.log"] = server.log.read_bytes()

    def _controller(self, lab: Lab, context: ScenarioContext) -> tuple[list[Cut], RunSamples]:
        server = _installed(lab, context, "unprotected", {"CARELANE_REPAIR_AFTER_S": "0", "CARELANE_HOLD_OFF_S": "0"})
        try:
            # Each cut moves the slice to the other path, where the next cut finds it.
            plan = [((PRIMARY[1], BACKUP[0])[i % 2], False) for i in range(self.rerouted)]
            return _cut_all(lab, context, plan, cut_s=3.0, rest_s=1.5)
        finally:
            server.stop()


def diamond(more_endpoints: str = "") -> Topology:
    """The network of this scenario, with further lines of endpoints."""
    return parse_topology(_TOPOLOGY + more_endpoints)


def lost_by_cut(flow: FlowSamples, start_ns: int, cuts: Sequence[Cut]) -> list[float]:
    """Milliseconds of lost packets for each cut: those sent from shortly before it until shortly before the next.

    A packet that was lost was sent between its neighbours, whose times are known; a sender that pauses does not catch
    up, so that counting from the start would drift.
    """
    order = np.argsort(flow.sequence)
    missing = np.setdiff1d(np.arange(flow.attempted), flow.sequence)
    at_s = (np.interp(missing, flow.sequence[order], flow.sent_ns[order]) - start_ns) / 1e9
    starts = [cut.at_s - _LEAD_S for cut in cuts]
    ends = [*starts[1:], float("inf")]
    return [
        float(np.count_nonzero((at_s >= start) & (at_s < end))) * _MODEL_MS
        for start, end in zip(starts, ends, strict=True)
    ]


def _installed(lab: Lab, context: ScenarioContext, protection: str, settings: dict[str, str]) -> CarelaneServer:
    topology = diamond()
    network = lab_network(topology)
    lab.build(network, controller=True, each=True)
    server = CarelaneServer(lab, topology, settings=settings)
    context.say(f"carelane up: {server.start(switches=len(network.switches)):.1f} s")
    context.say(server.check_cli("apply", f"{_INTENT}, {protection}", "--name", "surgery"))
    time.sleep(4.0)  # BFD sessions come up within about two seconds
    return server


def _proven(server: CarelaneServer) -> Check:
    done = server.cli("verify")
    return Check("what the switches hold is proven", done.returncode == 0, done.stdout.strip().splitlines()[-1])


def _cut_all(
    lab: Lab, context: ScenarioContext, plan: Sequence[tuple[str, bool]], *, cut_s: float, rest_s: float
) -> tuple[list[Cut], RunSamples]:
    """Cut and restore one link after the other under the stream."""
    rests = [rest_s + (_BFD_RETURNS_S if silent else 0.0) for _, silent in plan]
    seconds = 3.0 + sum(cut_s + rest + 0.2 for rest in rests)
    context.say(f"lab: {len(plan)} cuts in about {seconds:.0f} s")
    flows = [
        Flow(name, source, target, HAPTIC, 46, 0.0, seconds, realtime=True, bucket=Bucket(5_200_000, 1_500))
        for name, source, target in ((_THERE, WEST, EAST), (_BACK, EAST, WEST))
    ]
    start_ns = lab.start(TrafficPlan(tuple(flows), context.seed, _NOISE_PERIOD_S))
    cuts: list[Cut] = []
    time.sleep(2.5)
    for (link, silent), rest in zip(plan, rests, strict=True):
        cuts.append(Cut(link, silent, (lab.clock_ns() - start_ns) / 1e9))
        lab.cut(link, silent=silent)
        time.sleep(cut_s)
        lab.restore(link)
        time.sleep(rest)
    return cuts, lab.collect()


def _conclude(report: Report, cuts: Sequence[Cut], outages: dict[str, list[float]], baseline: Sequence[float]) -> None:
    """The promise: 99% of cuts within `_ALLOWED_MS`, twice that with crank-back, 3 BFD intervals + 20 ms silent."""
    kinds = _by_kind(cuts, outages)
    # A direction may get through without: on the userspace datapath a move takes as long as the next packet.
    unseen = sum(not any(both) for both in zip(*outages.values(), strict=True))
    detail = f"{unseen} of {len(cuts)} cuts without a lost packet in either direction"
    report.checks.append(Check("each cut is seen in the stream", unseen == 0, detail))
    for kind, mark_ms in _marks(_ALLOWED_MS[report.substrate]):
        got = kinds[kind]
        if not got:
            continue
        worst = float(np.quantile(got, 0.99, method="higher"))
        detail = f"lost packets {kind}: p50 {np.median(got):.0f} ms, p99 {worst:.0f} ms, worst {max(got):.0f} ms"
        report.checks.append(Check(f"{kind}: p99 <= {mark_ms:g} ms", worst <= mark_ms, f"{detail}, n {len(got)}"))
    if baseline:
        repaired = [*kinds["at the first switch"], *kinds["with crank-back"]]
        ours, theirs = float(np.mean(repaired)), float(np.mean(baseline))
        detail = f"mean {ours:.1f} ms in the switches, {theirs:.0f} ms by the controller alone (n {len(baseline)})"
        report.checks.append(Check("at least five times better than rerouting", theirs >= 5 * ours, detail))
    report.notes += [_told(name, cuts, got) for name, got in outages.items()]
    report.notes.append("Milliseconds of lost 1 kHz packets a cut (~: silent), restoring included.")


def _marks(allowed_ms: float) -> Iterator[tuple[str, float]]:
    yield "at the first switch", allowed_ms
    yield "with crank-back", 2 * allowed_ms
    yield "silent", 3 * bfd_interval_ms(next(iter(diamond().links.values()))) + 20.0


def _told(name: str, cuts: Sequence[Cut], lost_ms: Sequence[float]) -> str:
    each = (f"{cut.link}{'~' if cut.silent else ''} {ms:g}" for cut, ms in zip(cuts, lost_ms, strict=True))
    return f"{name}: {', '.join(each)}"


def _by_kind(cuts: Sequence[Cut], outages: dict[str, list[float]]) -> dict[str, list[float]]:
    """A direction that enters the dead link at its own edge moves there; the other turns around further down."""
    edge = {_THERE: PRIMARY[0], _BACK: PRIMARY[2]}
    kinds: dict[str, list[float]] = {"at the first switch": [], "with crank-back": [], "silent": []}
    for name, got in outages.items():
        for cut, ms in zip(cuts, got, strict=True):
            kind = "silent" if cut.silent else "at the first switch" if cut.link == edge[name] else "with crank-back"
            kinds[kind].append(ms)
    return kinds
