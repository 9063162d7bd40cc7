"""`zhoushan-consultation`: from one line of intent to measured packets, with the real product.

The ring of the Zhoushan network with 30 Mbit/s links, ten island clinics, and the real `carelane up` beside it. A
surgery from Daishan to Lincheng, a consultation that ten clinics join on the hour, and a bulk transfer are declared;
then a flood that, with the rest, is more than the links carry runs inside the bulk transfer's slice, and another,
undeclared, at the console. The same traffic is first sent over plain forwarding: shortest paths, one queue a port.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from carelane.lab.carelane_server import CarelaneServer
from carelane.lab.from_topology import lab_network
from carelane.lab.lab import Lab
from carelane.lab.measure import figures, judge_delay, judge_jitter, judge_loss
from carelane.lab.network import LabNetwork
from carelane.lab.plain import plain_flows
from carelane.lab.plots import Curve
from carelane.lab.report import Check, Report
from carelane.lab.samples import RunSamples
from carelane.lab.scenario import ScenarioContext
from carelane.lab.scenarios.inspect import leftovers, queues_in_kernel
from carelane.lab.traffic.models import HAPTIC, Periodic, flood
from carelane.lab.traffic.plan import Bucket, Flow, TrafficPlan, join_consultation
from carelane.topology import Topology, cut, load_topology

__all__ = ["ZhoushanConsultation", "zhoushan_cut"]

SURGEON, PATIENT = "lincheng/console-1", "daishan/or-1"
HUB, BULK_FROM, BULK_TO, STRANGER = "lincheng/consult-1", "jintang/imaging-1", "lincheng/imaging-1", "jintang/consult-1"
STATIONS = tuple(f"{island}-s{number:02}/clinic" for island in ("daishan", "jintang") for number in range(1, 6))
RING = ("lincheng", "putuo", "zhujiajian", "shengsi", "qushan", "daishan", "jintang", "dinghai")

SURGERY = f"remote surgery {PATIENT} -> {SURGEON}: 20 ms, 99.999%"
IMPOSSIBLE = "remote surgery surgeon/console-1 -> patient/or-1: 20 ms round trip, 99.999%"
LINK_BPS = 30_000_000
FLOOD_BPS = 26_000_000
STRANGER_BPS = 3_000_000
_DELAY_S, _JITTER_S, _LOSS = 0.020, 0.010, 0.0
_CONSULT_DELAY_S, _CONSULT_LOSS = 0.150, 0.01
_TO, _FRO = "surgery: patient to surgeon", "surgery: surgeon to patient"
_UNDECLARED = "undeclared flood"
_REFUSED = 3


def zhoushan_cut() -> Topology:
    """The eight centres, with ten clinics attached without their spurs, every capacity at most 30 Mbit/s."""
    keep = (SURGEON, PATIENT, HUB, BULK_FROM, BULK_TO, STRANGER, *STATIONS)
    return cut(load_topology("zhoushan"), RING, keep, name="zhoushan-ring", fold_spurs=True, max_capacity_bps=LINK_BPS)


@dataclass(frozen=True, slots=True)
class ZhoushanConsultation:
    """`seconds` is the length of each of the two measurements."""

    seconds: float = 20.0
    name: str = "zhoushan-consultation"
    summary: str = "the product's main job: a surgery kept whole while ten clinics join and floods run"

    def run(self, context: ScenarioContext) -> Report:
        """Raises LabError when the lab or the product fails to do its part; a broken promise is a result."""
        topology = zhoushan_cut()
        network = lab_network(topology)
        say = context.say
        say("-- 1 of 4: the same traffic over plain forwarding, for comparison")
        with context.open() as lab:
            report = context.report(self.name, lab)
            plain = self._plain(lab, network, context)
        with context.open() as lab:
            carelane = self._carelane(lab, network, topology, context, report)
        _conclude(report, plain, carelane)
        return report

    def _plain(self, lab: Lab, network: LabNetwork, context: ScenarioContext) -> RunSamples:
        lab.build(network, plain=True, controller=False)
        for switch, flows in plain_flows(network).items():
            lab.add_flows(switch, flows)
        return self._measure(lab, context)

    def _carelane(
        self, lab: Lab, network: LabNetwork, topology: Topology, context: ScenarioContext, report: Report
    ) -> RunSamples:
        say = context.say
        say("-- 2 of 4: declare, plan, program")
        lab.build(network, controller=True)
        server = CarelaneServer(lab, topology)
        try:
            say(f"carelane up: {server.start(switches=len(network.switches)):.1f} s until all switches were connected")
            self._declare(server, context, report)
            report.checks.append(queues_in_kernel(lab, network, server, ("surgery", *_MANIFEST_NAMES)))
            say("-- 3 of 4: the burst and the floods, measured")
            run = self._measure(lab, context)
            say("-- 4 of 4: withdraw; nothing may remain")
            for intent in ("surgery", *_MANIFEST_NAMES):
                say(server.check_cli("delete", intent).strip() or f"{intent} withdrawn")
            remains = leftovers(lab, network)
            detail = "no flow of a slice, no group, no meter, no queue, no HTB class is left on any switch"
            report.checks.append(
                Check("withdrawing leaves nothing", not remains, "; ".join(sorted(remains)[:5]) or detail)
            )
        finally:
            server.stop()
            if server.log.exists():
                report.attachments["controller.log"] = server.log.read_bytes()
        return run

    def _declare(self, server: CarelaneServer, context: ScenarioContext, report: Report) -> None:
        """File the surgery, be refused the impossible, file the rest; the words are the command line's own."""
        say = context.say
        say(f"$ carelane apply '{SURGERY}' --name surgery")
        say(server.check_cli("apply", SURGERY, "--name", "surgery"))
        say(f"$ carelane plan -t telesurgery-3700km '{IMPOSSIBLE}'")
        refused = server.cli("plan", "-t", "telesurgery-3700km", IMPOSSIBLE)
        say(refused.stdout + refused.stderr)
        physics = refused.returncode == _REFUSED and "propagation alone is 37 ms" in refused.stdout
        offer = "would be accepted" in refused.stdout
        detail = "20 ms there and back over 3700 km: refused for propagation, with an offer"
        report.checks.append(Check("physics is a reason", physics and offer, detail if physics and offer else "not so"))
        manifest = resources.files("carelane.lab.scenarios").joinpath("zhoushan-intents.yaml")
        intents = server.put("intents.yaml", manifest.read_text(encoding="utf-8"))
        say("$ carelane apply -f intents.yaml")
        say(server.check_cli("apply", "-f", intents))
        say("$ carelane describe surgery")
        say(server.check_cli("describe", "surgery"))

    def _measure(self, lab: Lab, context: ScenarioContext) -> RunSamples:
        context.say(f"lab: surgery both ways, ten clinics, floods: {self.seconds:g} s")
        before = _processor_time(lab)
        lab.start(traffic(self.seconds, context.seed))
        run = lab.collect()
        busy, total = (now - then for now, then in zip(_processor_time(lab), before, strict=True))
        context.say(f"lab: the switches' processor was busy {busy / total:.0%} of the time")
        return run


def _processor_time(lab: Lab) -> tuple[int, int]:
    """Busy and total time of the processors beside the switches, in ticks (proc(5), /proc/stat)."""
    ticks = [int(word) for word in lab.run(["cat", "/proc/stat"]).splitlines()[0].split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


_MANIFEST_NAMES = ("morning-consultation", "genome-overnight")


def traffic(seconds: float, seed: int) -> TrafficPlan:
    """The surgery is under way, the floods start two seconds into it, the clinics join one second later."""
    begun, flooded, joined, end = 1.0, 3.0, 4.0, seconds + 1.0
    surgery = [
        Flow(name, source, target, HAPTIC, 46, begun, seconds, realtime=True, bucket=Bucket(5_200_000, 1_500))
        for name, source, target in ((_TO, PATIENT, SURGEON), (_FRO, SURGEON, PATIENT))
    ]
    buckets = {station: Bucket(880_000, 6_200) for station in STATIONS}
    clinics = join_consultation(
        STATIONS, HUB, start_s=joined, duration_s=end - joined, rate_bps=800_000, buckets=buckets
    )
    lasting = end + 0.5 - flooded
    floods = [
        Flow("flood", BULK_FROM, BULK_TO, flood(FLOOD_BPS), start_s=flooded, duration_s=lasting, measured=False),
        Flow(_UNDECLARED, STRANGER, SURGEON, flood(STRANGER_BPS), start_s=flooded, duration_s=lasting),
    ]
    return TrafficPlan((*_openings((*surgery, *clinics)), *surgery, *clinics, *floods), seed)


def _openings(flows: Sequence[Flow]) -> list[Flow]:
    """A keep-alive ten times a second until each flow starts: the first packet of a flow visits ovs-vswitchd on every
    switch, in life as here, and the report says how long that took."""
    keep_alive = Periodic(period_s=0.1, ip_bytes=88)
    return [
        Flow(
            f"opening {flow.name}", flow.source, flow.target, keep_alive, dscp=flow.dscp, duration_s=flow.start_s - 0.2
        )
        for flow in flows
    ]


def _conclude(report: Report, plain: RunSamples, carelane: RunSamples) -> None:
    for mode, run, rows in (("carelane", carelane, report.objectives), ("plain", plain, report.comparisons)):
        report.add_run(mode, run)
        for flow in (_TO, _FRO):
            rows.append(judge_delay(run, flow, _DELAY_S, intent="surgery", mode=f"{mode}, {flow[9:]}"))
            rows.append(judge_jitter(run, flow, _JITTER_S, intent="surgery", mode=f"{mode}, {flow[9:]}"))
            rows.append(judge_loss(run, flow, _LOSS, intent="surgery", mode=f"{mode}, {flow[9:]}"))
        for station in STATIONS:
            intent = "morning-consultation"
            for part in ("screen", "audio"):
                name = f"{station}/{part}"
                rows.append(judge_delay(run, name, _CONSULT_DELAY_S, intent=intent, mode=f"{mode}, {name}"))
                rows.append(judge_loss(run, name, _CONSULT_LOSS, intent=intent, mode=f"{mode}, {name}"))
    broken = [row for row in report.comparisons if row.intent == "surgery" and not row.passed]
    detail = f"{len(broken)} of 6 surgery objectives broken without carelane"
    report.checks.append(Check("the traffic breaks the promise over plain forwarding", bool(broken), detail))
    stranger = figures(carelane.flows[_UNDECLARED])
    detail = f"{stranger.received} of {stranger.attempted} undeclared packets arrived"
    report.checks.append(Check("what was not declared is not carried", stranger.received == 0, detail))
    curves = [
        Curve("carelane", carelane.flows[_TO], carelane.start_ns),
        Curve("plain forwarding", plain.flows[_TO], plain.start_ns),
        Curve("noise probe (idle wire), carelane run", carelane.noise, carelane.start_ns),
    ]
    report.add_plot("surgery", "Surgery, patient to surgeon", curves, _DELAY_S)
    station = f"{STATIONS[0]}/screen"
    screens = [Curve("carelane", carelane.flows[station], carelane.start_ns)]
    screens.append(Curve("plain forwarding", plain.flows[station], plain.start_ns))
    report.add_plot("consultation", f"Consultation, {STATIONS[0]}", screens, _CONSULT_DELAY_S)
    opening = carelane.flows[f"opening {_TO}"]
    first_ms = float((opening.received_ns - opening.sent_ns).max()) / 1e6
    report.notes.append(
        f"The first packet of the surgery's flow took {first_ms:.1f} ms: Open vSwitch's daemon decides on it at every "
        "switch, once, and again after ten seconds of silence. Flows are opened before they are measured."
    )
    report.notes.append(
        "Surgery flows are 88-byte packets at 1 kHz each way. The flood offers "
        f"{FLOOD_BPS / 1e6:g} Mbit/s into {LINK_BPS / 1e6:g} Mbit/s links, beside ten clinics of about 0.9 Mbit/s."
    )
