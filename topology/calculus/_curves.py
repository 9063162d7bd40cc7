"""Arrival and service curves, piecewise linear, in exact fractions.

An arrival curve is the minimum of token buckets, b + r t for t > 0 (concave); a service curve is the maximum of
rate-latency lines, R (t - T) where positive (convex). Units are the caller's: data, time, and data per time, as long as
they fit each other. Sources of the formulas: Le Boudec and Thiran, "Network Calculus" (LNCS 2050), theorems 1.4.1 to
1.4.3 and proposition 6.2.1; Bouillard, Boyer and Le Corronc, "Deterministic Network Calculus" (2018), chapters 5 to 7.

"None" always means: no finite bound exists here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

__all__ = [
    "ArrivalCurve",
    "RateLatency",
    "ServiceCurve",
    "TokenBucket",
    "backlog",
    "convolve",
    "delay_arbitrary",
    "delay_fifo",
    "left_over_arbitrary",
    "left_over_fifo",
    "output",
    "rate_latency",
    "rounded_up",
    "sum_of",
    "token_bucket",
]

ZERO = Fraction(0)
MAX_BITS = 4096
"""Denominators longer than this (only ever met in very large networks) are cut, upwards."""


def rounded_up(exact: Fraction) -> Fraction:
    """`exact` itself, or, when its denominator has grown beyond MAX_BITS, the next multiple of 2 ** -MAX_BITS."""
    if exact.denominator.bit_length() <= MAX_BITS:
        return exact
    return Fraction(-((-exact.numerator << MAX_BITS) // exact.denominator), 1 << MAX_BITS)


class TokenBucket(NamedTuple):
    """At most `burst` at once and `rate` in the long run."""

    rate: Fraction
    burst: Fraction


class RateLatency(NamedTuple):
    """At least `rate` after `latency` of a busy period."""

    rate: Fraction
    latency: Fraction


@dataclass(frozen=True, slots=True)
class ArrivalCurve:
    """The minimum of `buckets`: rates rise, bursts fall, and each bucket is the smallest somewhere."""

    buckets: tuple[TokenBucket, ...]

    @staticmethod
    def of(buckets: Iterable[TokenBucket]) -> ArrivalCurve:
        """The minimum of `buckets`, those that are nowhere the smallest left out. At least one is needed."""
        kept: list[TokenBucket] = []
        for bucket in sorted(buckets):
            if kept and bucket.burst >= kept[-1].burst:
                continue
            while len(kept) > 1 and _meet(kept[-1], bucket) >= _meet(kept[-2], kept[-1]):
                kept.pop()
            kept.append(bucket)
        return ArrivalCurve(tuple(kept))

    @property
    def rate(self) -> Fraction:
        """The long-run rate."""
        return self.buckets[0].rate

    @property
    def burst(self) -> Fraction:
        """What may come at once."""
        return self.buckets[-1].burst

    def at(self, t: Fraction) -> Fraction:
        """The most that may come within any interval of length `t` > 0."""
        return min(bucket.burst + bucket.rate * t for bucket in self.buckets)

    def corners(self) -> list[Fraction]:
        """0 and where the slope changes, falling."""
        return [*(_meet(low, high) for low, high in pairwise(self.buckets)), ZERO]

    def limited(self, line: Fraction) -> ArrivalCurve:
        """The same traffic after a link that carries `line` at most (fluid: no packet is ahead of the line)."""
        return ArrivalCurve.of((*self.buckets, TokenBucket(line, ZERO)))


def _meet(low: TokenBucket, high: TokenBucket) -> Fraction:
    """Where the bucket of the lower rate becomes the smaller one."""
    return (low.burst - high.burst) / (high.rate - low.rate)


@dataclass(frozen=True, slots=True)
class ServiceCurve:
    """The maximum of `lines`: rates and latencies rise, and each line is the largest somewhere."""

    lines: tuple[RateLatency, ...]

    @staticmethod
    def of(lines: Iterable[RateLatency]) -> ServiceCurve:
        """The maximum of `lines`, those that are nowhere the largest left out. At least one is needed."""
        kept: list[RateLatency] = []
        for line in sorted(lines, key=lambda line: (line.rate, -line.latency)):
            while kept and line.latency <= kept[-1].latency:
                kept.pop()
            while len(kept) > 1 and _overtakes(kept[-1], line) <= _overtakes(kept[-2], kept[-1]):
                kept.pop()
            kept.append(line)
        return ServiceCurve(tuple(kept))

    @property
    def rate(self) -> Fraction:
        """The long-run rate."""
        return self.lines[-1].rate

    @property
    def latency(self) -> Fraction:
        """Until when nothing needs to be served."""
        return self.lines[0].latency

    def at(self, t: Fraction) -> Fraction:
        """What is served at least in a busy period of length `t`."""
        return max(ZERO, *(line.rate * (t - line.latency) for line in self.lines))

    def corners(self) -> list[Fraction]:
        """Where the slope changes, rising; the latency first."""
        return [self.latency, *(_overtakes(low, high) for low, high in pairwise(self.lines))]


def _overtakes(low: RateLatency, high: RateLatency) -> Fraction:
    """When the line of the higher rate becomes the larger one."""
    return (high.rate * high.latency - low.rate * low.latency) / (high.rate - low.rate)


def token_bucket(rate: Fraction, burst: Fraction) -> ArrivalCurve:
    return ArrivalCurve((TokenBucket(rate, burst),))


def rate_latency(rate: Fraction, latency: Fraction) -> ServiceCurve:
    return ServiceCurve((RateLatency(rate, latency),))


def sum_of(curves: Sequence[ArrivalCurve]) -> ArrivalCurve:
    """All of `curves` together; at least one."""
    if all(len(curve.buckets) == 1 for curve in curves):
        return token_bucket(sum((c.rate for c in curves), ZERO), sum((c.burst for c in curves), ZERO))
    corners = sorted({corner for curve in curves for corner in curve.corners()})
    buckets = []
    for start in corners:
        rate = sum((_bucket_after(curve, start).rate for curve in curves), ZERO)
        burst = sum((_bucket_after(curve, start).burst for curve in curves), ZERO)
        buckets.append(TokenBucket(rate, burst))
    return ArrivalCurve.of(buckets)


def _bucket_after(curve: ArrivalCurve, t: Fraction) -> TokenBucket:
    """The bucket that is the smallest just after `t`."""
    return min(curve.buckets, key=lambda bucket: (bucket.burst + bucket.rate * t, bucket.rate))


def delay_fifo(arrival: ArrivalCurve, service: ServiceCurve) -> Fraction | None:
    """The most that a bit waits when bits are served in the order of arrival (horizontal deviation)."""
    if arrival.rate > service.rate:
        return None
    times = set(arrival.corners())
    for corner in service.corners():
        level = service.at(corner)
        times |= {(level - b.burst) / b.rate for b in arrival.buckets if b.rate > 0 and level > b.burst}
    return max(_served_by(service, arrival.at(t)) - t for t in times)


def _served_by(service: ServiceCurve, amount: Fraction) -> Fraction:
    return min(line.latency + amount / line.rate for line in service.lines)


def delay_arbitrary(arrival: ArrivalCurve, service: ServiceCurve) -> Fraction | None:
    """The most that a bit waits in whatever order: the longest busy period of a strict server."""
    ends = [
        (bucket.burst + line.rate * line.latency) / (line.rate - bucket.rate)
        for bucket in arrival.buckets
        for line in service.lines
        if line.rate > bucket.rate
    ]
    return min(ends, default=None)


def backlog(arrival: ArrivalCurve, service: ServiceCurve) -> Fraction | None:
    """The most that waits at one time (vertical deviation): the buffer that loses nothing."""
    if arrival.rate > service.rate:
        return None
    return max(arrival.at(t) - service.at(t) for t in (*arrival.corners(), *service.corners()))


def output(arrival: ArrivalCurve, service: ServiceCurve) -> ArrivalCurve | None:
    """What leaves: each bucket deconvolved with the service curve, b + sup of (r t - service).

    Exact for one token bucket; the minimum over several is never below the exact deconvolution.
    """
    corners = [(corner, service.at(corner)) for corner in service.corners()]
    leaving = [
        TokenBucket(bucket.rate, rounded_up(bucket.burst + max(bucket.rate * t - served for t, served in corners)))
        for bucket in arrival.buckets
        if bucket.rate <= service.rate
    ]
    return ArrivalCurve.of(leaving) if leaving else None


def left_over_fifo(service: ServiceCurve, cross: ArrivalCurve) -> ServiceCurve | None:
    """What a FIFO server that `cross` shares has left for others, at theta = the delay of the cross traffic alone.

    [service(t) - cross(t - theta)]+ for t > theta; one bucket and one line give rate R - r, latency T + b/R.
    """
    theta = delay_fifo(cross, service)
    if theta is None:
        return None
    lines = []
    for line in service.lines:
        for bucket in cross.buckets:
            rate = line.rate - bucket.rate
            if rate > 0:
                owed = bucket.burst - line.rate * (theta - line.latency)
                lines.append(RateLatency(rate, theta + max(ZERO, owed / rate)))
    return ServiceCurve.of(lines) if lines else None


def left_over_arbitrary(service: ServiceCurve, cross: ArrivalCurve) -> ServiceCurve | None:
    """What a strict server has left when `cross` always goes first: [service - cross]+.

    One bucket and one line give rate R - r, latency (b + R T) / (R - r).
    """
    lines = [
        RateLatency(line.rate - bucket.rate, (bucket.burst + line.rate * line.latency) / (line.rate - bucket.rate))
        for line in service.lines
        for bucket in cross.buckets
        if line.rate > bucket.rate
    ]
    return ServiceCurve.of(lines) if lines else None


def convolve(first: ServiceCurve, second: ServiceCurve) -> ServiceCurve:
    """One server after the other as one server: the segments of both, the flattest first."""
    segments = sorted(_segments(first) + _segments(second), key=lambda segment: segment[0])
    lines, start, level = [], first.latency + second.latency, ZERO
    for rate, length in segments:
        lines.append(RateLatency(rate, start - level / rate))
        if length is None:
            break
        start, level = start + length, level + rate * length
    return ServiceCurve.of(lines)


def _segments(service: ServiceCurve) -> list[tuple[Fraction, Fraction | None]]:
    """(rate, length) of the pieces after the latency; the last one has no end."""
    corners = service.corners()
    lengths: list[Fraction | None] = [after - before for before, after in pairwise(corners)]
    return list(zip((line.rate for line in service.lines), [*lengths, None], strict=True))
