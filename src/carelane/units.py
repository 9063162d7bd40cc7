"""Quantities with explicit units, parsed exactly and printed plainly.

Inside the product: seconds (float), bits per second (int), bytes (int), metres (float), ratios 0..1 (float).
Text always carries its unit; a bare number is refused, because 20 may be ms, s or Mbit/s to different people.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, localcontext
from types import MappingProxyType

from carelane.errors import InputError

__all__ = [
    "DURATION_UNITS",
    "LENGTH_UNITS",
    "RATE_UNITS",
    "SIZE_UNITS",
    "duration_text",
    "format_duration",
    "format_rate",
    "parse_duration_s",
    "parse_length_m",
    "parse_rate_bps",
    "parse_ratio",
    "parse_size_bytes",
    "rate_text",
    "size_text",
]


def _table(units: dict[str, str]) -> Mapping[str, Decimal]:
    return MappingProxyType({name: Decimal(scale) for name, scale in units.items()})


DURATION_UNITS = _table(
    {
        "ns": "1e-9", "us": "1e-6", "µs": "1e-6", "μs": "1e-6", "ms": "1e-3", "s": "1", "min": "60",
        "h": "3600", "d": "86400", "y": "31557600", "微秒": "1e-6", "毫秒": "1e-3", "秒": "1", "分钟": "60",
        "小时": "3600", "天": "86400", "年": "31557600",
    }
)  # fmt: skip
RATE_UNITS = _table(
    {
        "bps": "1", "bit/s": "1", "kbps": "1e3", "kbit/s": "1e3", "Kbps": "1e3", "Kbit/s": "1e3",
        "Mbps": "1e6", "Mbit/s": "1e6", "Gbps": "1e9", "Gbit/s": "1e9", "Tbps": "1e12", "Tbit/s": "1e12",
        "兆": "1e6", "兆比特/秒": "1e6", "千兆": "1e9",
    }
)  # fmt: skip
SIZE_UNITS = _table(
    {
        "B": "1", "KB": "1e3", "kB": "1e3", "MB": "1e6", "GB": "1e9", "TB": "1e12",
        "KiB": "1024", "MiB": "1048576", "GiB": "1073741824",
    }
)  # fmt: skip
LENGTH_UNITS = _table({"m": "1", "km": "1e3", "米": "1", "公里": "1e3", "千米": "1e3"})

_MAX_RATE_BPS = Decimal("1e15")
_MAX_DURATION_S = Decimal("3.15576e10")
_MAX_SIZE_BYTES = Decimal("1e18")
_MAX_LENGTH_M = Decimal("1e9")

_QUANTITY = re.compile(r"\s*([+-]?[0-9]{1,18}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,2})?)\s*(\S{0,16})\s*")
_BARE = re.compile(r"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?")
_RATIO = re.compile(r"\s*([+-]?[0-9]{0,18}\.?[0-9]{1,40}(?:[eE][+-]?[0-9]{1,3})?)\s*([%\uff05]?)\s*")


def _shown(value: object) -> str:
    return repr(str(value)[:40])


def _quantity(value: object, units: Mapping[str, Decimal], limit: Decimal, what: str, example: str) -> Decimal:
    expected = f"{what} such as {example}"
    number_alone = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number_alone or (isinstance(value, str) and _BARE.fullmatch(value.strip())):
        raise InputError(f"{_shown(value)} has no unit", expected=expected, remedy="write the unit after the number")
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise InputError(f"{_shown(value)} is not {what}", expected=expected)
    number, unit = match.groups()
    if unit[:1].isdigit():  # what is left of a number with more digits than any quantity needs
        raise InputError(f"the number in {_shown(value)} is too long", expected=expected)
    if unit not in units:
        raise InputError(f"unknown unit {unit!r} in {_shown(value)}", expected=f"{what} in one of {', '.join(units)}")
    with localcontext(prec=100):
        amount = Decimal(number) * units[unit]
    if amount < 0:
        raise InputError(f"{_shown(value)} is negative", expected=expected)
    if amount > limit:
        raise InputError(f"{_shown(value)} is too large", expected=expected)
    return abs(amount)


def parse_duration_s(value: object) -> float:
    """Seconds from text such as ``20ms`` or ``6h``. Raises InputError."""
    return float(_quantity(value, DURATION_UNITS, _MAX_DURATION_S, "a duration", "20ms"))


def _whole(amount: Decimal, value: object, unit: str) -> int:
    if amount != amount.to_integral_value():
        raise InputError(f"{_shown(value)} is not a whole number of {unit}", expected=f"whole {unit}")
    return int(amount)


def parse_rate_bps(value: object) -> int:
    """Bits per second, layer 2, from text such as ``40Mbps``. Raises InputError."""
    return _whole(_quantity(value, RATE_UNITS, _MAX_RATE_BPS, "a rate", "40Mbps"), value, "bits per second")


def parse_size_bytes(value: object) -> int:
    """Bytes from text such as ``64KB`` (1 KB = 1000 B, 1 KiB = 1024 B). Raises InputError."""
    return _whole(_quantity(value, SIZE_UNITS, _MAX_SIZE_BYTES, "a size", "64KB"), value, "bytes")


def parse_length_m(value: object) -> float:
    """Metres from text such as ``200km``. Raises InputError."""
    return float(_quantity(value, LENGTH_UNITS, _MAX_LENGTH_M, "a length", "200km"))


def parse_ratio(value: object) -> float:
    """A ratio between 0 and 1 from ``99.999%`` or a plain number such as ``0.99999``. Raises InputError."""
    expected = "a ratio from 0 to 1, such as 99.999% or 0.99999"
    text = str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""
    match = _RATIO.fullmatch(text)
    if match is None:
        raise InputError(f"{_shown(value)} is not a ratio", expected=expected)
    number, percent = match.groups()
    with localcontext(prec=100):
        ratio = Decimal(number) / 100 if percent else Decimal(number)
    if not 0 <= ratio <= 1:
        raise InputError(f"{_shown(text)} is outside 0..1", expected=expected, remedy="write percentages with %")
    return float(abs(ratio))


def rate_text(rate_bps: int) -> str:
    """``40Mbps``: exact, and parses back to the same rate."""
    return _whole_text(rate_bps, (("Tbps", 10**12), ("Gbps", 10**9), ("Mbps", 10**6), ("kbps", 10**3)), "bps")


def size_text(size_bytes: int) -> str:
    """``64KB``: exact, and parses back to the same size."""
    return _whole_text(size_bytes, (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("KB", 10**3)), "B")


def _whole_text(amount: int, scales: tuple[tuple[str, int], ...], base: str) -> str:
    for unit, scale in scales:
        if amount and amount % scale == 0:
            return f"{amount // scale}{unit}"
    return f"{amount}{base}"


def duration_text(seconds: float) -> str:
    """``20ms``: exact, and parses back to the same duration."""
    exact = Decimal(repr(seconds))
    unit = "s" if exact >= 1 else "ms" if exact >= Decimal("1e-3") else "us" if exact >= Decimal("1e-6") else "ns"
    with localcontext(prec=100):
        return f"{(exact / DURATION_UNITS[unit]).normalize():f}{unit}"


def format_rate(rate_bps: float) -> str:
    """``40 Mbit/s``; for people, not for parsing back."""
    for scale, unit in ((1e12, "Tbit/s"), (1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s")):
        if rate_bps >= scale:
            return f"{rate_bps / scale:.6g} {unit}"
    return f"{rate_bps:.6g} bit/s"


def format_duration(seconds: float) -> str:
    """``20 ms``; for people, not for parsing back."""
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= scale:
            return f"{seconds / scale:.6g} {unit}"
    return f"{seconds / 1e-9:.6g} ns" if seconds else "0 ms"
