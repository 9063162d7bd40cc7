"""Quantities: exact, with their unit, or refused with what was expected."""

from __future__ import annotations

import pytest

from carelane.errors import InputError
from carelane.units import (
    duration_text,
    format_duration,
    format_rate,
    parse_duration_s,
    parse_length_m,
    parse_rate_bps,
    parse_ratio,
    parse_size_bytes,
    rate_text,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("20ms", 0.02), ("20 ms", 0.02), ("20 毫秒", 0.02), ("5us", 5e-6), ("5µs", 5e-6), ("5μs", 5e-6), ("6h", 21600.0),
     ("1.5s", 1.5), ("0ms", 0.0), ("-0ms", 0.0), ("1e-3s", 0.001), ("1y", 31557600.0)],
)  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize(
    ("text", "bps"),
    [("40Mbps", 40_000_000), ("40 Mbit/s", 40_000_000), ("1Gbps", 10**9), ("40兆", 40_000_000),
     ("2.5Gbps", 2_500_000_000),
     ("0.000001Mbps", 1), ("123456789.123456Mbps", 123456789123456)],
)  # fmt: skip
def test_rates_are_whole_bits_per_second(text: str, bps: int) -> None:
    assert parse_rate_bps(text) == bps


@pytest.mark.parametrize(("text", "size"), [("64KB", 64_000), ("64KiB", 65_536), ("1500B", 1500), ("1.5KB", 1500)])
def test_sizes(text: str, size: int) -> None:
    assert parse_size_bytes(text) == size


@pytest.mark.parametrize(("text", "metres"), [("200km", 200_000.0), ("15m", 15.0), ("3700公里", 3_700_000.0)])
def test_lengths(text: str, metres: float) -> None:
    assert parse_length_m(text) == metres


@pytest.mark.parametrize(
    ("value", "ratio"),
    [("99.999%", 0.99999), ("99.999 %", 0.99999), ("99.999％", 0.99999), (0.99999, 0.99999), ("0.9997", 0.9997),
     (1, 1.0),
     ("0", 0.0), ("0.01%", 0.0001), ("1e-4", 0.0001), (".5", 0.5)],
)  # fmt: skip
def test_ratios(value: object, ratio: float) -> None:
    assert parse_ratio(value) == ratio


@pytest.mark.parametrize("value", [20, 20.0, "20", "20.5", "1e3", 0])
def test_a_bare_number_is_refused_with_the_remedy(value: object) -> None:
    for parse in (parse_duration_s, parse_rate_bps, parse_size_bytes, parse_length_m):
        with pytest.raises(InputError, match="has no unit") as caught:
            parse(value)
        assert caught.value.expected
        assert caught.value.remedy == "write the unit after the number"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("20 parsecs", "unknown unit 'parsecs'"),
        ("20MS", "unknown unit"),
        ("-20ms", "is negative"),
        ("20ms 5", "is not a duration"),
        ("ms", "is not a duration"),
        ("", "is not a duration"),
        ("nan s", "is not a duration"),
        ("inf s", "is not a duration"),
        ("٢٠ms", "is not a duration"),
        ("1_000ms", "unknown unit"),
        ("9e99y", "is too large"),
        (None, "is not a duration"),
        (True, "is not a duration"),
        ([1], "is not a duration"),
        ({"ms": 20}, "is not a duration"),
        ("9" * 100_000 + "ms", "is not a duration"),
    ],
)
def test_what_is_not_a_duration(value: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_duration_s(value)
    assert caught.value.expected
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("value", ["1.5bps", "0.0001kbps", "1.0000000000000000001Gbps"])
def test_part_of_a_bit_is_refused_not_rounded(value: str) -> None:
    with pytest.raises(InputError, match="whole number of bits per second"):
        parse_rate_bps(value)


@pytest.mark.parametrize(
    "value", [99.999, "99.999", "101%", "-1%", "nan", "inf", "1_0%", "5%%", "", "%", None, True, "٩٩%", "1" * 60]
)
def test_what_is_not_a_ratio(value: object) -> None:
    with pytest.raises(InputError) as caught:
        parse_ratio(value)
    assert caught.value.expected


def test_texts_for_people_and_for_files() -> None:
    assert format_rate(40e6) == "40 Mbit/s"
    assert format_rate(999) == "999 bit/s"
    assert format_duration(0.0185) == "18.5 ms"
    assert format_duration(0) == "0 ms"
    assert rate_text(40_000_000) == "40Mbps"
    assert rate_text(1_500_001) == "1500001bps"
    assert duration_text(0.02) == "20ms"


@pytest.mark.parametrize("value", ["9" * 23 + "Gbps", "1e300Gbps"])
def test_a_number_with_too_many_digits_is_no_unknown_unit(value: str) -> None:
    with pytest.raises(InputError, match="is too long"):
        parse_rate_bps(value)
