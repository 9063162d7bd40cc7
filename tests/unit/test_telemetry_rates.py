"""Counters that wrap, reset, stand still or lie."""

from __future__ import annotations

import pytest

from carelane.controller.southbound.counters import Count
from carelane.controller.telemetry.rates import gain, gained


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (100, 350, (250, False)),
        (7, 7, (0, False)),
        (2**32 - 10, 30, (40, False)),
        (2**64 - 1, 4, (5, False)),
        (5_000_000, 120, (120, True)),  # far from any end: the switch or the meter began anew
        (2**40, 0, (0, True)),
    ],
)
def test_a_total_that_goes_down_wrapped_or_began_anew(before: int, after: int, expected: tuple[int, bool]) -> None:
    assert gain(before, after) == expected


def test_a_rate_is_of_what_arrived_and_of_what_went_on() -> None:
    found = gained(Count(10, 10_000), Count(110, 135_000, 20, 25_000), 1.0, line_bps=10e6)
    assert found is not None
    assert (found.rate_bps, found.carried_bps, found.dropped) == (1_000_000, 800_000, 20)


def test_what_cannot_be_is_no_sample() -> None:
    before, after = Count(0, 0), Count(1, 2_500_001)
    assert gained(before, after, 1.0, line_bps=10e6) is None, "more than the line carries, twice over"
    assert gained(before, after, 1.0, line_bps=None) is not None
    assert gained(before, after, 0.0, line_bps=None) is None
    assert gained(None, after, 1.0, line_bps=None) is None
    assert gained(before, None, 1.0, line_bps=None) is None


def test_a_meter_that_began_anew_did_so_with_its_drops() -> None:
    found = gained(Count(1000, 1_000_000, 50, 50_000), Count(300, 300_000, 80, 80_000), 1.0, line_bps=None)
    assert found is not None
    assert (found.packets, found.dropped, found.dropped_bytes, found.reset) == (300, 80, 80_000, True)
