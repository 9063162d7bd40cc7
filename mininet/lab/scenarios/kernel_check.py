"""`kernel-check`: the lab proves itself, without a controller.

Three switches in a row, 5 ms of wire between them, 20 Mbit/s a port. A 1 kHz haptic stream crosses them, first alone,
then beside a paced flood of 40 Mbit/s, once in an HTB queue of its own and once in the flood's. With the queue it must
stay within 13 ms (10 ms of wire, 0.57 ms at each of two ports behind one packet of the flood, and lateness of the
lab too small to be excused); without it, it cannot.
"""

from __future__ import annotations

from dataclasses import dataclass

from carelane.lab.lab import Lab
from carelane.lab.measure import judge_delay, judge_jitter, judge_loss
from carelane.lab.network import LabHost, LabNetwork, LabSwitch, LabWire
from carelane.lab.plain import plain_flows
from carelane.lab.plots import Curve
from carelane.lab.report import Check, Report
from carelane.lab.samples import RunSamples
from carelane.lab.scenario import ScenarioContext
from carelane.lab.traffic.models import HAPTIC, Periodic, flood
from carelane.lab.traffic.plan import Bucket, Flow, TrafficPlan

__all__ = ["NETWORK", "KernelCheck"]

_RATE_BPS = 20_000_000
_FLOOD_BPS = 40_000_000
_PROMISE_S = 0.013
_JITTER_S = 0.002
_EF = 46
_FLOW = "or-1/haptic"

NETWORK = LabNetwork(
    switches=(LabSwitch("county", 1), LabSwitch("city", 2), LabSwitch("province", 3)),
    wires=(
        LabWire("county-city", "county", 2, "city", 1, delay_s=0.005, rate_bps=_RATE_BPS),
        LabWire("city-province", "city", 2, "province", 1, delay_s=0.005, rate_bps=_RATE_BPS),
    ),
    hosts=(
        LabHost("or-1", "county", 10, "10.1.0.11/32", "02:00:0a:01:00:0b"),
        LabHost("clinic", "county", 11, "10.1.0.12/32", "02:00:0a:01:00:0c"),
        LabHost("console", "province", 10, "10.3.0.11/32", "02:00:0a:03:00:0b"),
        LabHost("archive", "province", 11, "10.3.0.12/32", "02:00:0a:03:00:0c"),
    ),
)


@dataclass(frozen=True, slots=True)
class KernelCheck:
    """`seconds` is the length of each of the three measurements."""

    seconds: float = 10.0
    name: str = "kernel-check"
    summary: str = "the lab's own proof: a haptic stream beside a flood, with and without a queue of its own"

    def run(self, context: ScenarioContext) -> Report:
        """Needs a substrate with delay; on userspace the verdicts are about functions only and will fail."""
        with context.open() as lab:
            report = context.report(self.name, lab)
            lab.build(NETWORK, controller=False)
            _program(lab)
            reached = all(lab.ping(a, b) for a, b in (("or-1", "console"), ("clinic", "archive")))
            report.checks.append(Check("hosts reach each other", reached, "ping both ways over three switches"))
            runs = {
                "idle": self._measure(lab, context, _EF, flooded=False),
                "queue": self._measure(lab, context, _EF, flooded=True),
                "no-queue": self._measure(lab, context, 0, flooded=True),
            }
        _conclude(report, runs)
        return report

    def _measure(self, lab: Lab, context: ScenarioContext, dscp: int, *, flooded: bool) -> RunSamples:
        haptic = Flow(
            _FLOW,
            "or-1",
            "console",
            HAPTIC,
            dscp=dscp,
            start_s=1.0,
            duration_s=self.seconds,
            realtime=True,
            # After a pause of the machine the sender must not pour out what it missed: no device would.
            bucket=Bucket(rate_bps=1_000_000, burst_bytes=1514),
        )
        # The first packet of a flow visits each switch's daemon, in life as here; that is set-up, not the stream.
        opening = Periodic(period_s=0.1, ip_bytes=88)
        first = Flow("opening", "or-1", "console", opening, dscp=dscp, duration_s=0.8, measured=False)
        flows = [first, haptic]
        if flooded:
            # Early, so that the queues are full when the first haptic packet comes; late, so that they stay full.
            length = self.seconds + 1.5
            flows.append(Flow("flood", "clinic", "archive", flood(_FLOOD_BPS), duration_s=length, measured=False))
        context.say(f"lab: haptic stream, DSCP {dscp}, {'beside a flood' if flooded else 'alone'}, {self.seconds:g} s")
        lab.start(TrafficPlan(tuple(flows), context.seed))
        return lab.collect()


def _program(lab: Lab) -> None:
    """Static forwarding, and on both ports towards the province an HTB queue 1 for what is marked EF."""
    for switch, flows in plain_flows(NETWORK).items():
        lab.add_flows(switch, flows)
    for switch in ("county", "city"):
        # The flow that only says "queue 1 for EF" must keep the forwarding of the province's hosts.
        marked = [
            f"priority=40000,ip,ip_dscp={_EF},nw_dst={host.ip},actions=set_queue:1,output:2"
            for host in NETWORK.hosts
            if host.switch == "province"
        ]
        lab.add_flows(switch, marked)
        lab.run(["ovs-vsctl", *_queues(NETWORK.interface(switch, 2))])


def _queues(interface: str) -> list[str]:
    rate = f"other_config:max-rate={_RATE_BPS}"
    rest = ["create", "Queue", "other_config:min-rate=10000000", rate, "other_config:priority=7"]
    # The stream's own token bucket, in bits; OVS's default is about one packet.
    care = ["create", "Queue", "other_config:min-rate=2000000", rate, "other_config:priority=0"]
    care.append("other_config:burst=24224")
    return [
        *("--", "--id=@rest", *rest),
        *("--", "--id=@care", *care),
        *("--", "--id=@qos", "create", "QoS", "type=linux-htb", rate, "queues:0=@rest", "queues:1=@care"),
        *("--", "set", "Port", interface, "qos=@qos"),
    ]


def _conclude(report: Report, runs: dict[str, RunSamples]) -> None:
    for name, run in runs.items():
        report.add_run(name, run)
    for name in ("idle", "queue"):
        run = runs[name]
        report.objectives.append(judge_delay(run, _FLOW, _PROMISE_S, mode=name))
        report.objectives.append(judge_loss(run, _FLOW, 0.0, mode=name))
    report.objectives.append(judge_jitter(runs["queue"], _FLOW, _JITTER_S, mode="queue"))
    plain = judge_delay(runs["no-queue"], _FLOW, _PROMISE_S, mode="no-queue")
    report.comparisons += [plain, judge_loss(runs["no-queue"], _FLOW, 0.0, mode="no-queue")]
    share = plain.over_noise / plain.samples if plain.samples else 1.0
    detail = f"{share:.0%} of the packets later than promised without the queue"
    report.checks.append(Check("the flood breaks the promise where there is no queue", share > 0.5, detail))
    curves = [Curve(name, run.flows[_FLOW], run.start_ns) for name, run in runs.items()]
    curves.append(Curve("noise probe (5 ms wire), with queue", runs["queue"].noise, runs["queue"].start_ns))
    report.add_plot("delay", "Haptic stream over three switches", curves, _PROMISE_S)
