"""`changes`: what an engineer or a tenant changes, under a 1 kHz haptic stream, and the packets that are lost by it.

On the network of `failover` an operation runs in both directions beside another slice between the same switches.
Turn by turn its link is drained and put back, it is re-optimised (which brings it home), its rate is changed (up, and
down again the next time), the other, more important slice is filed beside it (its other way is drained meanwhile), it
leaves that slice its link when the network is evened out, comes back when that is undone, and the other slice is
withdrawn. Every packet that is lost, doubled or overtaken
is counted for the change it happened in; what the stream loses before the first change is the noise floor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from carelane.lab.carelane_server import CarelaneServer
from carelane.lab.from_topology import lab_network
from carelane.lab.lab import Lab
from carelane.lab.measure import figures
from carelane.lab.report import Check, Report
from carelane.lab.samples import RunSamples
from carelane.lab.scenario import ScenarioContext
from carelane.lab.scenarios.failover import BACKUP, EAST, PRIMARY, WEST, Cut, diamond, lost_by_cut
from carelane.lab.traffic.models import HAPTIC, Periodic
from carelane.lab.traffic.plan import Bucket, Flow, TrafficPlan
from carelane.topology import Topology

__all__ = ["KINDS", "Changes"]

KINDS = ("drain", "undrain", "re-optimise", "re-rate", "file another", "even out", "undo", "withdraw another")
_INTENT = "100 ms, jitter none, loss none, burst 1500B, availability none, unprotected"
_RATES = ("5.2 Mbps", "6 Mbps")
_HOME, _AWAY = PRIMARY[1], BACKUP[0]
_STILL_S, _CHANGE_S, _LAP_TURNS = 5.0, 12.0, 5
_SETTLE_S = 4.0


@dataclass(frozen=True, slots=True)
class Changes:
    """`turns` of every kind of change. `stream` is what both directions carry."""

    turns: int = 20
    stream: Periodic = HAPTIC
    name: str = "changes"
    summary: str = "drains, re-optimisations, re-ratings and withdrawals of others under a haptic stream: none is lost"

    def run(self, context: ScenarioContext) -> Report:
        """Raises LabError when the lab or the product fails to do its part; a lost packet is a result."""
        with context.open() as lab:
            report = context.report(self.name, lab)
            lab.build(lab_network(_topology()), controller=True)
            server = CarelaneServer(lab, _topology(), settings={"CARELANE_HOLD_OFF_S": "0"})
            try:
                server.start(switches=len(_topology().nodes))
                session = _Session(lab, server, context, self.stream)
                session.rate(_RATES[0])
                time.sleep(_SETTLE_S)
                for first in range(0, self.turns, _LAP_TURNS):
                    report.add_run(
                        f"turns from {first + 1}", session.lap(range(first, min(first + _LAP_TURNS, self.turns)))
                    )
                _conclude(report, session)
            finally:
                server.stop()
                report.attachments["controller.log"] = server.log.read_bytes()
        return report


@dataclass
class _Session:
    """`lost` are packets of both directions a change, by kind."""

    lab: Lab
    server: CarelaneServer
    context: ScenarioContext
    stream: Periodic
    lost: dict[str, list[int]] = field(default_factory=lambda: {kind: [] for kind in ("still", *KINDS)})
    doubled: int = 0
    overtaken: int = 0
    sent: int = 0
    stayed: list[str] = field(default_factory=list)

    def lap(self, turns: Sequence[int]) -> RunSamples:
        """The turns under one stream, which is ended as soon as they are over."""
        seconds = _STILL_S + len(turns) * len(KINDS) * _CHANGE_S
        opening = [Flow(f"open {a}", a, b, self.stream, 46, 0.0, 0.8, measured=False) for a, b in _ENDS]
        flows = [
            Flow(f"{a} to {b}", a, b, self.stream, 46, 1.0, seconds, realtime=True, bucket=Bucket(5_200_000, 1_500))
            for a, b in _ENDS
        ]
        start_ns = self.lab.start(TrafficPlan((*opening, *flows), self.context.seed))
        changes = [Cut("still", False, 1.0)]
        time.sleep(2.0 + _STILL_S)
        for turn in turns:
            for kind, change in self._changes(turn):
                changes.append(Cut(kind, False, (self.lab.clock_ns() - start_ns) / 1e9))
                change()
            self.context.say(f"changes: turn {turn + 1}")
        time.sleep(1.0)
        run = self.lab.collect(early=True)
        self._count(run, changes)
        return run

    def rate(self, rate: str) -> None:
        self._file("surgery", WEST, EAST, f"{rate}, priority 5")

    def _file_beside(self) -> None:
        self.server.check_cli("drain", _AWAY)
        self._file("other", f"{WEST[:-1]}2", f"{EAST[:-1]}2", _RATES[0])
        self.server.check_cli("undrain", _AWAY)

    def _changes(self, turn: int) -> Iterator[tuple[str, Callable[[], object]]]:
        tell = self.server.check_cli
        yield "drain", lambda: self._moving("1 slices moved", "drain", _HOME)
        yield "undrain", lambda: tell("undrain", _HOME)
        yield "re-optimise", lambda: self._moving("surgery", "reoptimise")
        yield "re-rate", lambda: self.rate(_RATES[(turn + 1) % 2])
        yield "file another", self._file_beside
        yield "even out", lambda: self._moving("surgery", "reoptimise", "--balance")
        yield "undo", lambda: self._moving("surgery", "reoptimise", "--undo")
        yield "withdraw another", lambda: tell("delete", "other")

    def _moving(self, expected: str, *command: str) -> None:
        told = self.server.check_cli(*command)
        if expected not in told:
            self.stayed.append(told.strip())

    def _file(self, name: str, source: str, target: str, rate: str) -> None:
        self.server.check_cli("apply", f"remote surgery {source} -> {target}: {rate}, {_INTENT}", "--name", name)

    def _count(self, run: RunSamples, changes: Sequence[Cut]) -> None:
        found = [lost_by_cut(flow, run.start_ns, changes) for flow in run.flows.values()]
        per_packet_ms = HAPTIC.period_s * 1e3
        for change, *lost_ms in zip(changes, *found, strict=True):
            self.lost[change.link].append(round(sum(lost_ms) / per_packet_ms))
        got = [figures(flow) for flow in run.flows.values()]
        self.doubled += sum(item.duplicates for item in got)
        self.overtaken += sum(item.reordered for item in got)
        self.sent += sum(item.attempted for item in got)


_ENDS = ((WEST, EAST), (EAST, WEST))


def _topology() -> Topology:
    """The diamond with a second place at each end."""
    return diamond(
        f'    - {{id: {WEST[:-1]}2, node: west, address: 10.1.0.2/32, mac: "02:00:0a:01:00:02", capacity: 20Mbps}}\n'
        f'    - {{id: {EAST[:-1]}2, node: east, address: 10.2.0.2/32, mac: "02:00:0a:02:00:02", capacity: 20Mbps}}\n'
    )


def _conclude(report: Report, session: _Session) -> None:
    for kind in KINDS:
        lost = session.lost[kind]
        detail = f"{len(lost)} times, {sum(lost)} packets lost; each: {', '.join(map(str, lost))}"
        report.checks.append(Check(f"{kind}: no packet lost", not any(lost), detail))
    detail = f"{session.doubled} of {session.sent} packets came twice"
    report.checks.append(Check("no packet doubled", session.doubled == 0, detail))
    detail = f"{len(session.stayed)} times it did not: {'; '.join(session.stayed[:2])}"
    report.checks.append(
        Check(
            "each drain and evening out moved the slice; re-optimising and undoing brought it home",
            not session.stayed,
            detail,
        )
    )
    still = session.lost["still"]
    report.notes.append(f"noise floor: {sum(still)} packets lost in {len(still)} times {_STILL_S:g} s without a change")
    report.notes.append(
        f"{session.overtaken} of {session.sent} packets were overtaken, where a way was left for a shorter one"
    )
