"""Curve operators against their definitions, evaluated on a fine grid."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from carelane.topology.calculus import (
    ArrivalCurve,
    RateLatency,
    ServiceCurve,
    TokenBucket,
    backlog,
    convolve,
    delay_arbitrary,
    delay_fifo,
    left_over_arbitrary,
    left_over_fifo,
    output,
    sum_of,
)

small = st.integers(0, 12).map(Fraction)
positive = st.integers(1, 12).map(Fraction)
arrivals = st.lists(st.builds(TokenBucket, small, small), min_size=1, max_size=4).map(ArrivalCurve.of)
services = st.lists(st.builds(RateLatency, positive, small), min_size=1, max_size=4).map(ServiceCurve.of)
GRID = [Fraction(n, 2) for n in range(1, 61)]
HORIZON = GRID[-1]


@given(st.lists(st.builds(TokenBucket, small, small), min_size=1, max_size=5))
def test_an_arrival_curve_is_the_minimum_of_its_buckets(buckets: list[TokenBucket]) -> None:
    curve = ArrivalCurve.of(buckets)
    assert all(curve.at(t) == min(b.burst + b.rate * t for b in buckets) for t in GRID)
    assert [b.rate for b in curve.buckets] == sorted({b.rate for b in curve.buckets})


@given(st.lists(st.builds(RateLatency, positive, small), min_size=1, max_size=5))
def test_a_service_curve_is_the_maximum_of_its_lines(lines: list[RateLatency]) -> None:
    curve = ServiceCurve.of(lines)
    assert all(curve.at(t) == max(Fraction(0), *(x.rate * (t - x.latency) for x in lines)) for t in GRID)
    assert curve.latency == min(line.latency for line in lines)


@given(st.lists(arrivals, min_size=1, max_size=4))
def test_the_sum_is_the_sum(curves: list[ArrivalCurve]) -> None:
    total = sum_of(curves)
    assert all(total.at(t) == sum(curve.at(t) for curve in curves) for t in GRID)


@given(services, services)
@settings(deadline=None, max_examples=50)
def test_convolution_is_the_smallest_split(first: ServiceCurve, second: ServiceCurve) -> None:
    both = convolve(first, second)
    for t in GRID[::10]:
        splits = [Fraction(n, 2) for n in range(int(2 * t) + 1)]
        assert both.at(t) <= min(first.at(u) + second.at(t - u) for u in splits)
    corners = {u for curve in (first, second) for u in curve.corners()}
    for t in GRID[::5]:
        exact = min(
            first.at(u) + second.at(t - u) for c in corners for u in (c, t - c, Fraction(0), t) if 0 <= u <= t
        ) if any(c <= t for c in corners) else Fraction(0)  # fmt: skip
        assert both.at(t) == exact


@given(arrivals, services)
@settings(deadline=None)
def test_delay_and_backlog_are_the_largest_deviations(arrival: ArrivalCurve, service: ServiceCurve) -> None:
    delay, most = delay_fifo(arrival, service), backlog(arrival, service)
    if arrival.rate > service.rate:
        assert delay is None
        assert most is None
        return
    assert delay is not None
    assert most is not None
    assert all(service.at(t + delay) >= arrival.at(t) for t in GRID)
    assert all(arrival.at(t) - service.at(t) <= most for t in GRID)
    if delay > 0 and arrival.at(HORIZON) > 0:
        shorter = delay - delay / 1000
        assert any(service.at(t + shorter) < arrival.at(t) for t in _critical(arrival, service))


def _critical(arrival: ArrivalCurve, service: ServiceCurve) -> list[Fraction]:
    levels = [service.at(corner) for corner in service.corners()]
    reaching = [(level - b.burst) / b.rate for level in levels for b in arrival.buckets if b.rate]
    moments = [*arrival.corners(), *reaching, HORIZON]
    return [t + nudge for t in moments for nudge in (Fraction(0), Fraction(1, 10**9)) if t + nudge > 0]


@given(arrivals, services)
@settings(deadline=None)
def test_the_longest_busy_period_ends_where_the_curves_meet(arrival: ArrivalCurve, service: ServiceCurve) -> None:
    busy = delay_arbitrary(arrival, service)
    if busy is None:
        assert arrival.rate >= service.rate
        return
    assert all(arrival.at(t) <= service.at(t) for t in GRID if t >= busy)
    if busy > 0:
        assert arrival.at(busy * Fraction(999, 1000)) >= service.at(busy * Fraction(999, 1000))


@given(arrivals, services)
@settings(deadline=None)
def test_the_output_is_never_below_the_deconvolution(arrival: ArrivalCurve, service: ServiceCurve) -> None:
    leaving = output(arrival, service)
    if leaving is None:
        assert arrival.rate > service.rate
        return
    for t in GRID[::8]:
        assert all(leaving.at(t) >= arrival.at(t + u) - service.at(u) for u in GRID[::2])
    if len(arrival.buckets) == 1:
        t = GRID[0]
        assert leaving.at(t) == max(arrival.at(t + u) - service.at(u) for u in service.corners())


@given(arrivals, services)
@settings(deadline=None)
def test_left_over_service_is_what_cross_traffic_does_not_take(cross: ArrivalCurve, service: ServiceCurve) -> None:
    left = left_over_arbitrary(service, cross)
    if left is not None:
        for t in GRID:
            later = [u for u in GRID if u >= t]
            taken = min(service.at(u) - cross.at(u) for u in later)
            assert left.at(t) <= max(Fraction(0), taken) or t > HORIZON / 2
    theta = delay_fifo(cross, service)
    fifo = left_over_fifo(service, cross)
    if fifo is not None:
        assert theta is not None
        assert fifo.latency >= theta
        for t in GRID:
            room = service.at(t) - cross.at(t - theta) if t > theta else Fraction(0)
            assert fifo.at(t) <= max(Fraction(0), room)
