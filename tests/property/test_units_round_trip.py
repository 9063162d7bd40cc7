"""What is written is read back exactly; garbage is refused, never a crash."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carelane.errors import InputError
from carelane.units import (
    DURATION_UNITS,
    RATE_UNITS,
    duration_text,
    parse_duration_s,
    parse_length_m,
    parse_rate_bps,
    parse_ratio,
    parse_size_bytes,
    rate_text,
    size_text,
)


@given(st.integers(0, 10**15))
def test_rates(rate_bps: int) -> None:
    assert parse_rate_bps(rate_text(rate_bps)) == rate_bps


@given(st.integers(0, 10**18))
def test_sizes(size: int) -> None:
    assert parse_size_bytes(size_text(size)) == size


@given(st.floats(min_value=1e-12, max_value=3e10) | st.just(0.0))
def test_durations(seconds: float) -> None:
    assert parse_duration_s(duration_text(seconds)) == seconds


@given(st.floats(0, 1))
def test_ratios_as_numbers(ratio: float) -> None:
    assert parse_ratio(ratio) == ratio


@given(st.integers(0, 10**6), st.sampled_from(sorted(RATE_UNITS)), st.sampled_from(["", " ", "\u00a0"]))
def test_every_rate_unit_is_exact(number: int, unit: str, gap: str) -> None:
    exact = Decimal(number) * RATE_UNITS[unit]
    if exact <= 10**15:
        assert parse_rate_bps(f"{number}{gap}{unit}") == exact


@given(st.integers(0, 1000), st.sampled_from(sorted(DURATION_UNITS)))
def test_every_duration_unit(number: int, unit: str) -> None:
    assert parse_duration_s(f"{number}{unit}") == float(Decimal(number) * DURATION_UNITS[unit])


@pytest.mark.parametrize("parse", [parse_duration_s, parse_rate_bps, parse_size_bytes, parse_length_m, parse_ratio])
@given(
    value=st.text(max_size=40) | st.binary(max_size=8) | st.none() | st.floats() | st.integers() | st.lists(st.text())
)
def test_garbage(parse: Callable[[object], float], value: object) -> None:
    try:
        amount = parse(value)
    except InputError as refusal:
        error = refusal
    else:
        assert amount >= 0
        return
    assert error.message
    assert error.expected
