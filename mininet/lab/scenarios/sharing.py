"""Scenarios of sharing: the same traffic under five regimes in one run, beside the clairvoyant sixth.

| regime | stations declare | beyond that |
|---|---|---|
| plain | nothing | one queue a port, first in, first out |
| static-peak | their peak; who does not fit is refused | nothing |
| static-mean | their mean | nothing |
| aimd | their mean | additive increase, multiplicative decrease |
| carelane | their mean | weighted max-min shares by measured demand |
| oracle | their mean | the same shares, from traffic that was not sent yet (computed) |
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from carelane.lab.carelane_server import CarelaneServer
from carelane.lab.from_topology import lab_network
from carelane.lab.lab import Lab
from carelane.lab.measure import judge_delay, judge_jitter, judge_loss, noise_floor
from carelane.lab.network import LabNetwork
from carelane.lab.plain import plain_flows
from carelane.lab.plots import Curve
from carelane.lab.report import Check, Report
from carelane.lab.samples import FlowSamples, RunSamples
from carelane.lab.scenario import ScenarioContext
from carelane.lab.scenarios._containment import contained, containment_checks
from carelane.lab.scenarios._loop_watch import LoopWatch
from carelane.lab.scenarios._oracle import clairvoyant, layout_of, offered, sent
from carelane.lab.scenarios.consultation import (
    BULK,
    HUB,
    MEAN_BPS,
    PEAK_BPS,
    SURGERY,
    Declared,
    Script,
    region,
    station,
    traffic,
)
from carelane.lab.traffic.models import TcpTransfer
from carelane.lab.traffic.packet import ETHERNET_BYTES
from carelane.policies.shaping import Layout

__all__ = ["EPOCH_S", "SharingScenario"]

Floats = npt.NDArray[np.float64]
EPOCH_S = 1.0
"""Of the figures below; the controller's own epochs are shorter."""
INTERVAL_S = 0.25
_DELAY_S, _JITTER_S, _MONITOR_S = 0.020, 0.010, 0.100
_SETTLE = 2
_GOODPUT, _JAIN, _RESERVED = 0.95, 0.98, 1.15
_STEP_EPOCHS = 3
_DEAD_S = 2.0
_GENOME = 0.85
"""Of the wire's share: TCP's headers and acknowledgements take 5%, its probing for the rate some more."""


@dataclass(frozen=True, slots=True)
class SharingScenario:
    """`changes_s` are the moments at which demand steps; `equal` the stations whose figures should be alike.
    `steady_s` begins twenty of the controller's epochs after the last step: so long may it take to settle.

    `kill_s`: then the controller dies (SIGKILL), and comes back two seconds later.
    """

    name: str
    summary: str
    script: Script
    changes_s: tuple[float, ...]
    equal: tuple[int, ...]
    steady_s: tuple[float, float]
    modes: tuple[str, ...] = ("plain", "carelane", "aimd", "static-mean", "static-peak")
    stations: int = field(default=10)
    kill_s: float | None = None

    def run(self, context: ScenarioContext) -> Report:
        """Raises LabError when the lab or the product fails to do its part; a missed figure is a result."""
        topology = region()
        network = lab_network(topology)
        runs: dict[str, RunSamples] = {}
        if "plain" in self.modes:
            with context.open() as lab:
                lab.build(network, plain=True, controller=False)
                for switch, flows in plain_flows(network).items():
                    lab.add_flows(switch, flows)
                runs["plain"] = self._measure(lab, context, "plain")
        with context.open() as lab:
            report = context.report(self.name, lab)
            lab.build(network, controller=True)
            watches: dict[str, LoopWatch] = {}
            for mode in (mode for mode in self.modes if mode != "plain"):
                runs[mode], watches[mode] = self._under(lab, network, mode, context, report)
        self._conclude(report, runs, watches, context)
        return report

    def _under(
        self, lab: Lab, network: LabNetwork, mode: str, context: ScenarioContext, report: Report
    ) -> tuple[RunSamples, LoopWatch]:
        declared = self._declared(PEAK_BPS if mode == "static-peak" else MEAN_BPS)
        sharing = {"carelane": "fair", "aimd": "aimd"}.get(mode, "off")
        settings = {"CARELANE_SHARING": sharing, "CARELANE_TELEMETRY_INTERVAL_S": str(INTERVAL_S)}
        server = CarelaneServer(lab, region(), name=mode, settings=settings)
        try:
            server.start(switches=len(network.switches))
            intents = server.put("intents.yaml", declared.manifest())
            out = server.check_cli("apply", "-f", intents, allowed=(0, 3) if mode == "static-peak" else (0,))
            context.say(f"{mode}: {out.count('Active')} of {len(declared.names)} intents active")
            watch = LoopWatch(server, 0.5)
            with watch, _reaper(server, self.kill_s, len(network.switches), context):
                run = self._measure(lab, context, mode)
            if mode != self.modes[-1]:
                server.withdraw(declared.names)
        finally:
            server.stop()
            if server.log.exists():
                report.attachments[f"{mode}.log"] = server.log.read_bytes()
        return run, watch

    def _declared(self, station_bps: int) -> Declared:
        return Declared(station_bps, self.stations, rogue=self.script.rogue is not None)

    def _measure(self, lab: Lab, context: ScenarioContext, mode: str) -> RunSamples:
        context.say(f"lab: {mode}, {self.script.seconds:g} s")
        lab.start(traffic(self.script, context.seed))
        return lab.collect()

    def _conclude(
        self, report: Report, runs: Mapping[str, RunSamples], watches: Mapping[str, LoopWatch], context: ScenarioContext
    ) -> None:
        plan = traffic(self.script, context.seed)
        demands, due = offered(plan, EPOCH_S), offered(plan, INTERVAL_S)
        layout = layout_of(region(), self._declared(MEAN_BPS).manifest())
        sites = [station(number) for number in range(1, self.script.stations + 1)]
        granted = clairvoyant(layout, demands, frozenset())
        best = np.sum([np.minimum(granted[site], demands[site, HUB]) for site in sites], axis=0)
        measured = self._counted_epochs(len(best))
        figures: dict[str, Any] = {
            **_genome(self.script, layout, demands),
            "epoch_s": EPOCH_S,
            "controller_epoch_s": INTERVAL_S,
            "counted_epochs": np.flatnonzero(measured).tolist(),
            "oracle_mbps": _mbps(best),
            "offered_mbps": _mbps(np.sum([demands[site, HUB] for site in sites], axis=0)),
            "regimes": {},
        }
        for mode, run in runs.items():
            rows = report.objectives if mode == "carelane" else report.comparisons
            report.add_run(mode, run)
            for flow in SURGERY:
                way = f"{mode}, {flow[9:]}"
                rows.append(judge_delay(run, flow, _DELAY_S, intent="surgery", mode=way))
                rows.append(judge_jitter(run, flow, _JITTER_S, intent="surgery", mode=way))
                rows.append(judge_loss(run, flow, 0.0, intent="surgery", mode=way))
            rows.append(judge_delay(run, "monitor", _MONITOR_S, intent="monitor", mode=mode))
            rows.append(judge_loss(run, "monitor", 0.0, intent="monitor", mode=mode))
            series = {site: _carried(run, site, len(best)) for site in sites}
            total = np.sum(list(series.values()), axis=0)
            equal = [float(series[station(number)][measured].mean()) for number in self.equal]
            figures["regimes"][mode] = {
                "goodput_mbps": _mbps(total),
                "goodput_of_oracle": round(float(total[measured].sum() / best[measured].sum()), 4),
                "jain_equal_sites": round(_jain(equal), 4),
                "epochs_to_serve_a_step": self._step_epochs(run, sent(run, INTERVAL_S), layout),
                "epochs_to_serve_a_step_as_due": self._step_epochs(run, due, layout),
                "surgery_violated_epochs": sum(_violated_epochs(run, flow, _DELAY_S) for flow in SURGERY),
                "monitor_violated_epochs": _violated_epochs(run, "monitor", _MONITOR_S),
                "noise_floor_ms": _noise_ms(run),
                **({"genome_mbps": _genome_mbps(run)} if run.tcp else {}),
                **(watches[mode].figures(run.start_ns, self.steady_s) if mode in watches else {}),
            }
        if self.script.rogue is not None:
            log = report.attachments["carelane.log"].decode(errors="replace")
            figures["containment"] = contained(runs["carelane"], log, self.script.rogue)
            report.checks += containment_checks(figures["containment"], EPOCH_S, INTERVAL_S)
        report.figures = figures
        self._check(report, figures["regimes"])
        curves = [Curve(mode, run.flows[SURGERY[0]], run.start_ns) for mode, run in runs.items()]
        report.add_plot("surgery", "Surgery, patient to surgeon", curves, _DELAY_S)

    def _step_epochs(self, run: RunSamples, demands: Mapping[tuple[str, str], Floats], layout: Layout) -> int:
        """Whole controller epochs that pass after the slowest step before 90% of the oracle's share gets through."""
        sites = [station(number) for number in range(1, self.script.stations + 1)]
        granted = clairvoyant(layout, demands, frozenset())
        epochs = len(next(iter(demands.values())))
        due = np.sum([np.minimum(granted[site], demands[site, HUB]) for site in sites], axis=0)
        got = np.sum([_carried(run, site, epochs, INTERVAL_S) for site in sites], axis=0)
        slowest = 0
        for change in self.changes_s:
            first = round(change / INTERVAL_S)
            served = np.flatnonzero(got[first:] >= 0.9 * due[first:])
            slowest = max(slowest, int(served[0]) if len(served) else epochs)
        return slowest

    def _counted_epochs(self, epochs: int) -> npt.NDArray[np.bool_]:
        """All epochs from the join on, without the first two after each step, and without the last, cut one."""
        counted = np.zeros(epochs, dtype=bool)
        counted[math.ceil(self.script.join_s) : math.floor(self.script.seconds)] = True
        for change in (self.script.join_s, *self.changes_s):
            first = math.floor(change / EPOCH_S)
            counted[first : first + _SETTLE] = False
        return counted

    def _check(self, report: Report, regimes: Mapping[str, Any]) -> None:
        ours = regimes["carelane"]
        whole = {mode: row for mode, row in regimes.items() if row["surgery_violated_epochs"] == 0}
        share, jain = ours["goodput_of_oracle"], ours["jain_equal_sites"]
        others = [row["goodput_of_oracle"] for mode, row in whole.items() if mode != "carelane"]
        rival = max(others, default=0.0)
        report.checks += [
            Check(
                "surgery has no violated epoch",
                ours["surgery_violated_epochs"] == 0,
                f"{ours['surgery_violated_epochs']} epochs above the noise floor",
            ),
            Check(
                "monitoring has no violated epoch",
                ours["monitor_violated_epochs"] == 0,
                f"{ours['monitor_violated_epochs']} epochs above the noise floor",
            ),
            Check("consultation gets 95% of the oracle", share >= _GOODPUT, f"{share:.1%} after two epochs"),
            Check(
                "more than every baseline that keeps surgery whole",
                share >= rival,
                f"{share:.1%} against {rival:.1%} of {sorted(set(whole) - {'carelane'})}",
            ),
            Check(
                "a step is served to 90% within three epochs",
                ours["epochs_to_serve_a_step"] <= _STEP_EPOCHS,
                f"{ours['epochs_to_serve_a_step']} epochs of {INTERVAL_S} s",
            ),
            Check("equal sites get equal shares", jain >= _JAIN, f"Jain {jain}"),
        ]
        if "genome_mbps" in ours and "genome_oracle_mbps" in report.figures:
            got, could = ours["genome_mbps"], report.figures["genome_oracle_mbps"]
            detail = f"{got} Mbit/s of payload; the oracle's share on the wire is {could} Mbit/s"
            report.checks.append(Check("the genome gets 85% of what was idle", got >= _GENOME * could, detail))
        if "reserved_of_used" in ours:
            ratio = ours["reserved_of_used"]
            report.checks.append(Check("no more reserved than 1.15 of what is used", ratio <= _RESERVED, f"{ratio}"))
        if "steady_changes_per_20_epochs" in ours:
            rate = ours["steady_changes_per_20_epochs"]
            detail = f"{rate} changes of one ceiling in 20 epochs of steady demand"
            report.checks.append(Check("no oscillation", rate is not None and rate <= 1.0, detail))


@contextmanager
def _reaper(server: CarelaneServer, kill_s: float | None, switches: int, context: ScenarioContext) -> Iterator[None]:
    """Kill the controller in the middle of what happens meanwhile, and start it again."""
    if kill_s is None:
        yield
        return

    def die() -> None:
        server.kill()
        context.say("controller killed")
        time.sleep(_DEAD_S)
        context.say(f"controller back after {server.start(switches=switches):.1f} s")

    # Traffic starts a second after it was asked for.
    timer = threading.Timer(kill_s + 1.0, die)
    timer.start()
    yield
    timer.join()


def _genome(script: Script, layout: Layout, demands: Mapping[tuple[str, str], Floats]) -> dict[str, float]:
    """The mean share of a genome transfer that wants all there is, while it runs."""
    if not isinstance(script.bulk, TcpTransfer):
        return {}
    granted = clairvoyant(layout, demands, frozenset({BULK[0]}))[BULK[0]]
    moved = np.cumsum(granted[1:]) * EPOCH_S / 8
    last = int(np.searchsorted(moved, script.bulk.size_bytes)) + 1
    return {"genome_oracle_mbps": round(float(granted[1 : last + 1].mean()) / 1e6, 3)}


def _genome_mbps(run: RunSamples) -> float:
    size, seconds = run.tcp["bulk"]
    return round(size * 8 / seconds / 1e6, 3)


def _carried(run: RunSamples, site: str, epochs: int, epoch_s: float = EPOCH_S) -> Floats:
    """Layer-2 bit/s delivered from a station, by epoch of sending: the same clock as the oracle's."""
    bits = np.zeros(epochs)
    for name, flow in run.flows.items():
        if name.startswith(f"{site}/") or name == f"opening {site}/screen":
            at = ((flow.sent_ns - run.start_ns) / 1e9 / epoch_s).astype(int)
            inside = (at >= 0) & (at < epochs)
            np.add.at(bits, at[inside], (flow.ip_bytes[inside] + ETHERNET_BYTES) * 8 / epoch_s)
    return bits


def _violated_epochs(run: RunSamples, flow: str, promised_s: float) -> int:
    """Epochs with a packet beyond the promise and beyond the noise measured while it travelled, or with a lost one."""
    samples = run.flows[flow]
    noise = noise_floor(run).during(samples.sent_ns, samples.received_ns)
    late = (samples.received_ns - samples.sent_ns) / 1e9 - promised_s > noise
    epochs = set(((samples.sent_ns[late] - run.start_ns) / 1e9 // EPOCH_S).astype(int).tolist())
    missing = np.setdiff1d(np.arange(samples.attempted), samples.sequence)
    return len(epochs | _epochs_of(missing, samples, run.start_ns))


def _epochs_of(missing: npt.NDArray[np.int64], samples: FlowSamples, start_ns: int) -> set[int]:
    if not len(missing) or not len(samples.sequence):
        return {0} if len(missing) else set()
    order = np.argsort(samples.sequence)
    near = np.clip(np.searchsorted(samples.sequence[order], missing), 0, len(order) - 1)
    return set(((samples.sent_ns[order][near] - start_ns) / 1e9 // EPOCH_S).astype(int).tolist())


def _jain(rates: list[float]) -> float:
    square = sum(rate * rate for rate in rates)
    return sum(rates) ** 2 / (len(rates) * square) if square else 0.0


def _noise_ms(run: RunSamples) -> dict[str, float]:
    spread = noise_floor(run).spread
    return spread.to_json() if spread else {}


def _mbps(series: Floats) -> list[float]:
    return [round(float(value) / 1e6, 3) for value in series]
