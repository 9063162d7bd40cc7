"""Figures for people and JSON, rounded against the promise: delays and losses up, availabilities and room down."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from fractions import Fraction
from math import ceil, floor

__all__ = [
    "DELAY_STEP_PS",
    "PROMISED_DIGITS",
    "availability_above",
    "floor_availability",
    "mbps",
    "ms_up",
    "offered_delay_s",
    "ratio_up",
]

DELAY_STEP_PS = 10**8
"""Offered delays are multiples of 0.1 ms."""
PROMISED_DIGITS = 12
"""Of an admitted slice's availability, so that what is shown is still at least what was asked for."""


def ms_up(seconds: float) -> float:
    """Milliseconds, to the nanosecond, rounded up."""
    exact = Decimal(repr(float(seconds))) * 1000
    return float(exact.quantize(Decimal("1e-6"), ROUND_CEILING))


def mbps(rate_bps: float) -> float:
    """Mbit/s; exact for whole bits per second."""
    return float((Decimal(repr(rate_bps)) / 10**6).quantize(Decimal("1e-6"), ROUND_FLOOR))


def offered_delay_s(delay_ps: int) -> float:
    """Seconds, rounded up to the next 0.1 ms."""
    return float(Decimal(-(-delay_ps // DELAY_STEP_PS)) / 10_000)


def floor_availability(availability: Fraction | float, digits: int = 7) -> float:
    """At least `digits` digits, and four beyond the leading nines, rounded down."""
    steps, digits = _steps(availability, digits)
    return float(Decimal(steps).scaleb(-digits))


def availability_above(availability: Fraction | float) -> float:
    """The least that `floor_availability` would show as more."""
    steps, digits = _steps(availability, 7)
    return float(Decimal(steps + 1).scaleb(-digits))


def _steps(availability: Fraction | float, digits: int) -> tuple[int, int]:
    exact = availability if isinstance(availability, Fraction) else Fraction(repr(float(availability)))
    while digits < 15 and 0 < (1 - exact) * 10 ** (digits - 3) < 1:
        digits += 1
    return floor(exact * 10**digits), digits


def ratio_up(ratio: float) -> float:
    """Twelve digits, rounded up."""
    return float(Decimal(ceil(Fraction(repr(float(ratio))) * 10**12)).scaleb(-12))
