"""From samples to figures and verdicts.

**Noise floor.** Beside every run a probe of 1 kHz crosses a wire on which nothing can queue
(`carelane.lab.agent.noise`). Whatever it takes beyond that wire's delay is the lab's own lateness: the probe's
*excess*. The lab counts as disturbed from the moment a probe was due until it arrived, for every probe that was at
least 0.5 ms late; a kernel that was not running delays the probe and the measured packet alike. The noise enters a
verdict in one way only:

    A packet sent at s, received at r, with delay d = r - s counts against the promise "delay <= X" when

        d - X  >  N(s, r)

    where N(s, r) is the time between s and r during which the lab was disturbed.

So a packet is excused only by disturbances that were measured, on an idle path, while the packet travelled, and by
no more than they lasted. A queue disturbs no probe and excuses nothing; lateness under 0.5 ms excuses nothing. And a
run in which more than 5% of the packets would need an excuse proves nothing and is judged broken. What the rule
cannot see: whether a disturbance while a packet was waiting out its wire's delay really made it later. Both counts,
before and after the excuse, and the noise itself are therefore reported beside every verdict.

**Jitter** is named, because there are two: `ipdv_y1541_s` is the 99.9th percentile of delay minus the smallest
(ITU-T Y.1541), on which objectives are judged; `jitter_rfc3550_s` is the smoothed estimate of RFC 3550 section 6.4.1.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from carelane.lab.samples import FlowSamples, RunSamples

__all__ = ["Figures", "NoiseTrace", "Spread", "Verdict", "figures", "judge_bandwidth", "judge_delay", "judge_jitter"]
__all__ += ["judge_loss", "noise_floor", "spread"]

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]
# A probe less late than this excuses nothing.
_DISTURBED_S = 0.0005
# A run in which more packets than this share need an excuse proves nothing.
_MAX_EXCUSED = 0.05
# Y.1541 and our jitter objectives let one packet in a thousand be later.
_JITTER_QUANTILE = 0.999


@dataclass(frozen=True, slots=True)
class Spread:
    """Of a set of delays, in seconds. Quantiles are of the samples themselves, rounded up to the next one."""

    minimum_s: float
    p50_s: float
    p99_s: float
    p999_s: float
    maximum_s: float

    def to_json(self) -> dict[str, float]:
        """Milliseconds, by name."""
        return {name.removesuffix("_s") + "_ms": round(value * 1e3, 6) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Figures:
    """What one flow got. Rates in bit/s of IP packets between the first and the last arrival."""

    attempted: int
    received: int
    lost: int
    duplicates: int
    reordered: int
    delay: Spread | None
    ipdv_y1541_s: float
    jitter_rfc3550_s: float
    goodput_bps: float

    @property
    def loss_ratio(self) -> float:
        """Lost of all attempted; 1 when nothing was attempted, for nothing was proven."""
        return self.lost / self.attempted if self.attempted else 1.0


def spread(delays: Floats) -> Spread | None:
    """The spread of delays in seconds, None of none."""
    if not len(delays):
        return None
    low, p50, p99, p999, high = np.quantile(delays, (0, 0.5, 0.99, 0.999, 1), method="higher")
    return Spread(float(low), float(p50), float(p99), float(p999), float(high))


def figures(flow: FlowSamples) -> Figures:
    """All figures of one flow. Of duplicates the first arrival counts; reordering is as in RFC 4737."""
    _, first = np.unique(flow.sequence, return_index=True)
    first.sort()
    sequence = flow.sequence[first]
    delays = _delays(flow)[first]
    got = spread(delays)
    reordered = int(np.count_nonzero(sequence < np.maximum.accumulate(sequence))) if len(sequence) else 0
    span_s = float(flow.received_ns.max() - flow.received_ns.min()) / 1e9 if len(first) > 1 else math.inf
    # The first packet opens the interval in which the others arrive, so its bytes are not counted.
    goodput = 8 * float(flow.ip_bytes[first][1:].sum()) / span_s if span_s > 0 else 0.0
    return Figures(
        attempted=flow.attempted,
        received=len(first),
        lost=flow.attempted - len(first),
        duplicates=len(flow.sequence) - len(first),
        reordered=reordered,
        delay=got,
        ipdv_y1541_s=got.p999_s - got.minimum_s if got else math.inf,
        jitter_rfc3550_s=_jitter_rfc3550(delays),
        goodput_bps=goodput,
    )


def _delays(flow: FlowSamples) -> Floats:
    return (flow.received_ns - flow.sent_ns).astype(np.float64) / 1e9


def _jitter_rfc3550(delays: Floats) -> float:
    estimate = 0.0
    for difference in np.abs(np.diff(delays)).tolist():
        estimate += (difference - estimate) / 16
    return estimate


class NoiseTrace:
    """The noise probe of one run: how late the lab itself was, at any moment of it."""

    def __init__(self, probe: FlowSamples, wire_delay_s: float) -> None:
        self.excess_s: Floats = np.maximum(0.0, _delays(probe) - wire_delay_s)
        late = self.excess_s >= _DISTURBED_S
        due = probe.sent_ns[late] + round(wire_delay_s * 1e9)
        self._begin, self._end = _union(due, probe.received_ns[late])
        self._total = np.concatenate(([0], np.cumsum(self._end - self._begin)))

    @property
    def spread(self) -> Spread | None:
        """Of the excess over the wire's delay."""
        return spread(self.excess_s)

    def during(self, sent_ns: Int64s, received_ns: Int64s) -> Floats:
        """N(s, r) in seconds for each packet."""
        return (self._disturbed_before(received_ns) - self._disturbed_before(sent_ns)) / 1e9

    def _disturbed_before(self, moments: Int64s) -> Floats:
        """Nanoseconds of disturbance up to each moment."""
        if not len(self._begin):
            return np.zeros(len(moments))
        index = np.searchsorted(self._begin, moments, side="right")
        within = np.minimum(moments, self._end[index - 1]) - self._begin[index - 1]
        before = self._total[np.maximum(index - 1, 0)]
        return np.where(index > 0, before + within, 0).astype(np.float64)


def _union(begin: Int64s, end: Int64s) -> tuple[Int64s, Int64s]:
    """Merge overlapping intervals; both results ascend."""
    if not len(begin):
        return begin, end
    order = np.argsort(begin, kind="stable")
    begin, end = begin[order], np.maximum.accumulate(end[order])
    first = np.concatenate(([True], begin[1:] > end[:-1]))
    last = np.concatenate((first[1:], [True]))
    return begin[first], end[last]


def noise_floor(run: RunSamples) -> NoiseTrace:
    """The noise trace of a run."""
    return NoiseTrace(run.noise, run.noise_delay_s)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One objective, judged. `promised` and `measured` share `unit`; `measured` is the worst sample for a delay.

    `over` counts samples beyond the promise, `over_noise` those still beyond it when the noise is granted.
    """

    intent: str
    objective: Literal["delay", "jitter", "loss", "bandwidth"]
    promised: float
    measured: float
    unit: str
    samples: int
    passed: bool
    mode: str
    noise_floor: Spread | None
    p999: float | None = None
    over: int = 0
    over_noise: int = 0
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """A row of report.json."""
        row = asdict(self)
        row["pass"] = row.pop("passed")
        row["noise_floor"] = self.noise_floor.to_json() if self.noise_floor else None
        for name in ("promised", "measured", "p999"):
            if row[name] is not None:
                row[name] = round(row[name], 6) if math.isfinite(row[name]) else None
        return row


def judge_delay(run: RunSamples, flow: str, promised_s: float, *, intent: str = "", mode: str = "carelane") -> Verdict:
    """Every packet within `promised_s` one way, noise granted as the module says. No packet at all is a failure."""
    delays = _delays(run.flows[flow])
    got = spread(delays)
    measured = got.maximum_s if got else math.inf
    return _judge_late(run, flow, "delay", promised_s, (measured, delays, 0.0), intent, mode)


def judge_jitter(run: RunSamples, flow: str, promised_s: float, *, intent: str = "", mode: str = "carelane") -> Verdict:
    """Y.1541: at most one packet in a thousand later than the fastest by more than `promised_s`, noise granted."""
    delays = _delays(run.flows[flow])
    got = spread(delays)
    measured = got.p999_s - got.minimum_s if got else math.inf
    lateness = delays - got.minimum_s if got else delays
    return _judge_late(run, flow, "jitter", promised_s, (measured, lateness, 1 - _JITTER_QUANTILE), intent, mode)


def _judge_late(
    run: RunSamples,
    flow: str,
    objective: Literal["delay", "jitter"],
    promised_s: float,
    judged: tuple[float, Floats, float],
    intent: str,
    mode: str,
) -> Verdict:
    """`judged` is the figure to report, the value of each packet, and the share of packets that may exceed."""
    measured_s, values, allowed = judged
    samples, noise = run.flows[flow], noise_floor(run)
    excess = values - promised_s
    over = int(np.count_nonzero(excess > 0))
    over_noise = int(np.count_nonzero(excess > noise.during(samples.sent_ns, samples.received_ns)))
    count = len(values)
    noisy = over - over_noise > _MAX_EXCUSED * count
    got = spread(_delays(samples))
    detail = "no packet arrived" if got is None else "too noisy to prove anything; run it again" if noisy else ""
    return Verdict(
        intent=intent or flow,
        objective=objective,
        promised=promised_s * 1e3,
        measured=measured_s * 1e3,
        unit="ms",
        samples=count,
        passed=count > 0 and not noisy and over_noise <= allowed * count,
        mode=mode,
        noise_floor=noise.spread,
        p999=got.p999_s * 1e3 if got else None,
        over=over,
        over_noise=over_noise,
        detail=detail,
    )


def judge_loss(run: RunSamples, flow: str, promised: float, *, intent: str = "", mode: str = "carelane") -> Verdict:
    """At most `promised` (a ratio) of the packets lost. A receiver that dropped packets itself proves nothing."""
    got = figures(run.flows[flow])
    return Verdict(
        intent=intent or flow,
        objective="loss",
        promised=promised,
        measured=got.loss_ratio,
        unit="ratio",
        samples=got.attempted,
        passed=run.overflow == 0 and got.loss_ratio <= promised,
        mode=mode,
        noise_floor=None,
        over=got.lost,
        over_noise=got.lost,
        detail=f"{got.lost} of {got.attempted} lost" + (f"; receiver dropped {run.overflow}" if run.overflow else ""),
    )


def judge_bandwidth(
    run: RunSamples, flow: str, promised_bps: float, *, intent: str = "", mode: str = "carelane"
) -> Verdict:
    """Goodput of at least `promised_bps` (bit/s of IP packets)."""
    got = figures(run.flows[flow])
    return Verdict(
        intent=intent or flow,
        objective="bandwidth",
        promised=promised_bps,
        measured=got.goodput_bps,
        unit="bit/s",
        samples=got.received,
        passed=got.goodput_bps >= promised_bps,
        mode=mode,
        noise_floor=None,
        detail=f"{got.lost} of {got.attempted} lost",
    )
