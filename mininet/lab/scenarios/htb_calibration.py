"""`htb-calibration`: what real HTB ports do, beside the model that every delay bound rests on.

The model (`carelane.topology.delay`): a queue with a floor of R at a port of C serves its backlog at R or more after at
most T = L/R + Lmax/C, so what keeps to a token bucket of depth b waits at most b/R + T. One port of 20 Mbit/s, queues
set as carelane sets them (floor, burst, priority), three cases:

- *saturated*: two queues overloaded at once, and a 1 kHz stream with the highest priority that keeps to its bucket.
  The fitted T of both, and the worst delay of the stream.
- *bursts*: a queue sends frames of 16 kB at once, another of lower priority keeps to its bucket. Its worst delay.
- *borrowing*: only one queue is overloaded: what nobody uses is its.

What this cannot show: a wire of the lab takes any rate, and a queue within its allowance is not held to the port's. So
a burst that the allowance covers leaves at once here, where a real line would make the others wait for it: b/C for
each burst of a higher priority, which the model does not count either.

T is fitted as the largest time by which service ever fell behind R while there was a backlog: over packets i < j,
t_j - t_i - bits(i+1..j)/R. A rate below R shows as a T that grows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from carelane.lab.lab import Lab
from carelane.lab.measure import NoiseTrace, judge_loss, noise_floor
from carelane.lab.network import LabHost, LabNetwork, LabSwitch, LabWire
from carelane.lab.plain import plain_flows
from carelane.lab.plots import Curve
from carelane.lab.report import Check, Report
from carelane.lab.samples import FlowSamples, RunSamples
from carelane.lab.scenario import ScenarioContext
from carelane.lab.traffic.models import HAPTIC, Model, Video, flood
from carelane.lab.traffic.packet import ETHERNET_BYTES
from carelane.lab.traffic.plan import Bucket, Flow, TrafficPlan
from carelane.topology.delay import FRAME_BYTES

__all__ = ["HtbCalibration", "fitted_latency_s"]

_PORT_BPS = 20_000_000
_WIRE_S = 0.001
_BEGIN_S = 0.5
_BULK_BYTES = 1400
_MAX_DISTURBED = 0.05
_LINE_SHARE = 0.98


@dataclass(frozen=True, slots=True)
class _Class:
    """A queue of the port as carelane would set it, and the longest packet (layer 2) that uses it."""

    number: int
    host: str
    floor_bps: int
    burst_bytes: int
    priority: int
    packet_bytes: int

    @property
    def latency_s(self) -> float:
        """T of the model: L/R + Lmax/C."""
        return 8 * self.packet_bytes / self.floor_bps + 8 * FRAME_BYTES / _PORT_BPS

    @property
    def delay_s(self) -> float:
        """Worst delay of what keeps to the bucket: b/R + T."""
        return 8 * self.burst_bytes / self.floor_bps + self.latency_s


CARE = _Class(1, "console", 2_000_000, 1_514, 0, 88 + ETHERNET_BYTES)
MEDIA = _Class(2, "hub", 13_000_000, 17_500, 2, _BULK_BYTES + ETHERNET_BYTES)
DATA = _Class(3, "archive", 4_000_000, 3_044, 5, _BULK_BYTES + ETHERNET_BYTES)
_CLASSES = (CARE, MEDIA, DATA)

NETWORK = LabNetwork(
    switches=(LabSwitch("county", 1), LabSwitch("city", 2)),
    wires=(LabWire("county-city", "county", 1, "city", 1, delay_s=_WIRE_S, rate_bps=_PORT_BPS),),
    hosts=(
        LabHost("or-1", "county", 10, "10.1.0.11/32", "02:00:0a:01:00:0b"),
        LabHost("clinic", "county", 11, "10.1.0.12/32", "02:00:0a:01:00:0c"),
        LabHost("scan", "county", 12, "10.1.0.13/32", "02:00:0a:01:00:0d"),
        LabHost("console", "city", 10, "10.3.0.11/32", "02:00:0a:03:00:0b"),
        LabHost("hub", "city", 11, "10.3.0.12/32", "02:00:0a:03:00:0c"),
        LabHost("archive", "city", 12, "10.3.0.13/32", "02:00:0a:03:00:0d"),
    ),
)


@dataclass(frozen=True, slots=True)
class HtbCalibration:
    """`seconds` is the length of each of the three measurements."""

    seconds: float = 6.0
    name: str = "htb-calibration"
    summary: str = "real HTB ports beside the model of the delay bounds: latency, floor, priority, borrowing"

    def run(self, context: ScenarioContext) -> Report:
        """Needs a substrate with a kernel's HTB; on userspace there is none to measure."""
        with context.open() as lab:
            report = context.report(self.name, lab)
            lab.build(NETWORK, controller=False)
            _program(lab)
            stream = self._flow("care", "or-1", CARE, HAPTIC, realtime=True, bucket=_bucket(CARE))
            media = self._flow("media", "clinic", MEDIA, flood(30_000_000, _BULK_BYTES))
            data = self._flow("data", "scan", DATA, flood(8_000_000, _BULK_BYTES))
            kept = self._flow("data", "scan", DATA, flood(3_600_000, _BULK_BYTES), bucket=_bucket(DATA))
            burst = self._flow("media", "clinic", MEDIA, _frames(16_000))
            runs = {
                "saturated": self._measure(lab, context, "saturated", (stream, media, data)),
                "bursts": self._measure(lab, context, "bursts", (stream, burst, kept)),
                "borrowing": self._measure(lab, context, "borrowing", (stream, media)),
            }
        _conclude(report, runs)
        return report

    def _flow(
        self,
        name: str,
        source: str,
        queue: _Class,
        model: Model,
        *,
        realtime: bool = False,
        bucket: Bucket | None = None,
    ) -> Flow:
        lasting = self.seconds - _BEGIN_S
        return Flow(name, source, queue.host, model, 0, _BEGIN_S, lasting, realtime=realtime, bucket=bucket)

    def _measure(self, lab: Lab, context: ScenarioContext, name: str, flows: tuple[Flow, ...]) -> RunSamples:
        context.say(f"lab: {name}, {self.seconds:g} s")
        opening = tuple(
            Flow(
                f"opening {flow.name}", flow.source, flow.target, flood(8_000, 100), flow.dscp, 0.0, 0.3, measured=False
            )
            for flow in flows
        )
        lab.start(TrafficPlan((*opening, *flows), context.seed))
        return lab.collect()


def _bucket(queue: _Class) -> Bucket:
    return Bucket(queue.floor_bps, queue.burst_bytes)


def _frames(size_bytes: int) -> Video:
    """A frame of about that size at once, ten times a second: within the bucket, and far below the floor."""
    return Video(80 * size_bytes, fps=10.0, gop=1, i_ratio=1.0, packet_bytes=_BULK_BYTES, sigma=0.01)


def _program(lab: Lab) -> None:
    """Static forwarding; at the port towards the city a queue for what goes to each of its hosts."""
    for switch, flows in plain_flows(NETWORK).items():
        lab.add_flows(switch, flows)
    steer = [
        f"priority=40000,ip,nw_dst={NETWORK.host(item.host).ip},actions=set_queue:{item.number},output:1"
        for item in _CLASSES
    ]
    lab.add_flows("county", steer)
    rate = f"other_config:max-rate={_PORT_BPS}"
    words: list[str] = []
    for item in _CLASSES:
        words += ["--", f"--id=@q{item.number}", "create", "Queue", f"other_config:min-rate={item.floor_bps}", rate]
        words += [f"other_config:burst={8 * item.burst_bytes}", f"other_config:priority={item.priority}"]
    queues = [f"queues:{item.number}=@q{item.number}" for item in _CLASSES]
    words += ["--", "--id=@qos", "create", "QoS", "type=linux-htb", rate, *queues]
    lab.run(["ovs-vsctl", *words, "--", "set", "Port", NETWORK.interface("county", 1), "qos=@qos"])


def fitted_latency_s(
    received_ns: npt.NDArray[np.int64], bits: npt.NDArray[np.int64], rate_bps: float, late_s: npt.NDArray[np.float64]
) -> float:
    """The least T with bits(i+1..j) >= rate (t_j - t_i - T) for all i < j; `late_s` is the lab's own lateness by then.

    Packets in order of arrival, all of them of one backlog.
    """
    behind = (received_ns - received_ns[0]) / 1e9 - np.cumsum(bits) / rate_bps - late_s
    return float(np.max(behind - np.minimum.accumulate(behind)))


def _backlogged(flow: FlowSamples, begin_ns: int, end_ns: int) -> FlowSamples:
    kept = (flow.received_ns >= begin_ns) & (flow.received_ns < end_ns)
    return FlowSamples(
        flow.name,
        flow.sequence[kept],
        flow.sent_ns[kept],
        flow.received_ns[kept],
        flow.ip_bytes[kept],
        flow.attempted,
        flow.sent,
        flow.sent_bytes,
        flow.late_ms,
    )


def _latency(run: RunSamples, flow: str, queue: _Class, noise: NoiseTrace) -> dict[str, float]:
    """Fitted T, as it is and with the lab's own lateness taken off, and the rate, while the queue was never empty."""
    samples = _backlogged(run.flows[flow], run.start_ns + 1_500_000_000, run.start_ns + int(_end_s(run) * 1e9))
    bits = (samples.ip_bytes + ETHERNET_BYTES) * 8
    zero = np.zeros(len(bits))
    late = noise.during(np.full(len(bits), samples.received_ns[0]), samples.received_ns)
    seconds = float(samples.received_ns[-1] - samples.received_ns[0]) / 1e9
    return {
        "modelled_ms": round(queue.latency_s * 1e3, 3),
        "measured_ms": round(fitted_latency_s(samples.received_ns, bits, queue.floor_bps, late) * 1e3, 3),
        "measured_with_noise_ms": round(fitted_latency_s(samples.received_ns, bits, queue.floor_bps, zero) * 1e3, 3),
        "floor_mbps": queue.floor_bps / 1e6,
        "served_mbps": round(float(bits[1:].sum()) / seconds / 1e6, 4),
    }


def _end_s(run: RunSamples) -> float:
    return run.plan.duration_s


def _delay(run: RunSamples, name: str, queue: _Class, noise: NoiseTrace) -> dict[str, float]:
    flow = run.flows[name]
    delays = (flow.received_ns - flow.sent_ns) / 1e9 - _WIRE_S
    granted = delays - noise.during(flow.sent_ns, flow.received_ns)
    return {
        "modelled_ms": round(queue.delay_s * 1e3, 3),
        "measured_ms": round(float(granted.max()) * 1e3, 3),
        "measured_with_noise_ms": round(float(delays.max()) * 1e3, 3),
    }


def _conclude(report: Report, runs: Mapping[str, RunSamples]) -> None:
    figures: dict[str, Any] = {"port_mbps": _PORT_BPS / 1e6}
    for name, run in runs.items():
        report.add_run(name, run)
        report.objectives.append(judge_loss(run, "care", 0.0, intent="care", mode=name))
        noise = noise_floor(run)
        whole = noise.during(np.array([run.start_ns]), np.array([run.start_ns + int(_end_s(run) * 1e9)]))
        disturbed = float(whole[0]) / _end_s(run)
        quiet = Check(
            f"{name}: the lab was quiet enough", disturbed <= _MAX_DISTURBED, f"disturbed {disturbed:.1%} of the time"
        )
        report.checks.append(quiet)
        rows = figures[name] = {"delay of care": _delay(run, "care", CARE, noise)}
        if name in ("saturated", "borrowing"):
            rows |= {
                f"latency of {flow}": _latency(run, flow, queue, noise)
                for flow, queue in (("media", MEDIA), ("data", DATA))
                if flow in run.flows
            }
        else:
            rows["delay of data"] = _delay(run, "data", DATA, noise)
        for what, row in rows.items():
            detail = f"measured {row['measured_ms']} ms, modelled {row['modelled_ms']} ms"
            check = Check(f"{name}: {what} within the model", row["measured_ms"] <= row["modelled_ms"], detail)
            report.checks.append(check)
    alone = figures["borrowing"]["latency of media"]["served_mbps"]
    idle = _PORT_BPS / 1e6 - (CARE.packet_bytes * 8 * 1000) / 1e6
    figures["borrowing"]["line_mbps"] = round(idle, 3)
    detail = f"{alone} of {idle:.2f} Mbit/s that nobody else used"
    report.checks.append(Check("borrowing: a queue gets what others leave", alone >= _LINE_SHARE * idle, detail))
    report.figures = figures
    report.notes.append(
        "A wire of the lab takes any rate: a burst within a queue's allowance leaves at once, where on a real line the "
        "others would wait b/C for it. That this adds no more than the model holds is not measured here."
    )
    curves = [Curve(name, run.flows["care"], run.start_ns) for name, run in runs.items()]
    report.add_plot("care", "The stream of the highest priority", curves, CARE.delay_s + _WIRE_S)
