"""Every quantity an intent may state, parsed and bounded.

The bounds mark what cannot be meant (a delay of zero, an availability of 100%), not what a network can do.
"""

from __future__ import annotations

import re
from decimal import Decimal

from carelane.errors import InputError
from carelane.intents._shape import MAX_ENDPOINTS
from carelane.units import parse_duration_s, parse_rate_bps, parse_ratio, parse_size_bytes

__all__ = [
    "MAX_PRIORITY",
    "MIN_PRIORITY",
    "availability",
    "bandwidth_bps",
    "burst_bytes",
    "check_endpoint",
    "check_label",
    "check_priority",
    "check_speakers",
    "delay_s",
    "jitter_s",
    "loss",
    "percent_text",
    "volume_bytes",
]

MAX_DELAY_S = 86_400.0
MIN_TIME_S = 1e-9
MAX_RATE_BPS = 10**14
MIN_BURST_BYTES = 64
MAX_BURST_BYTES = 10**9
MAX_VOLUME_BYTES = 10**18
MIN_LOSS = 1e-15
MIN_AVAILABILITY = 0.01
MIN_PRIORITY, MAX_PRIORITY = 0, 9
MAX_ENDPOINT = 128
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")


def _time(value: object, what: str, why: str) -> float:
    seconds = parse_duration_s(value)
    if seconds == 0:
        raise InputError(
            f"a {what} of zero is impossible: {why}",
            expected=f"a {what} such as 20ms",
            remedy=f"write '{what}: none' to ask for no bound",
        )
    if not MIN_TIME_S <= seconds <= MAX_DELAY_S:
        raise InputError(f"{value} cannot be meant as a {what}", expected=f"a {what} between 1ns and 1d")
    return seconds


def delay_s(value: object) -> float:
    """Seconds, more than none and at most a day. Raises InputError."""
    return _time(value, "delay", "light in fibre takes 5 us a kilometre")


def jitter_s(value: object) -> float:
    """Seconds, more than none and at most a day. Raises InputError."""
    return _time(value, "jitter", "a packet may always find another one just being sent")


def loss(value: object) -> float:
    """A loss ratio from a percentage; a bare number is refused (is 0.01 one in a hundred or 0.01%?).

    Zero is refused: no network can prove that no packet is ever lost. Raises InputError.
    """
    expected = "a percentage such as 0.01%"
    if not isinstance(value, str) or not value.strip().endswith(("%", "\uff05")):
        raise InputError(f"{str(value)[:40]!r} as loss has no unit", expected=expected, remedy="write the % sign")
    ratio = parse_ratio(value)
    if ratio == 0:
        raise InputError(
            "no network can prove that no packet is ever lost",
            expected=expected,
            remedy="state the loss the service can bear, or 'loss: none' to ask for no bound",
        )
    if not MIN_LOSS <= ratio < 1:
        what = "is no bound at all" if ratio >= 1 else "is less than anyone could ever count"
        raise InputError(f"a loss of {value} {what}", expected=expected, remedy="write 'loss: none' for no bound")
    return ratio


def availability(value: object) -> float:
    """A ratio below 1 from ``99.999%`` or ``0.99999``. Raises InputError."""
    ratio = parse_ratio(value)
    expected = "an availability such as 99.999%"
    if ratio >= 1:
        raise InputError(
            f"an availability of {value} is impossible: nothing can be proven never to fail",
            expected=expected,
            remedy="state how much of a year the service must work, such as 99.999% (all but 5.3 minutes)",
        )
    if ratio < MIN_AVAILABILITY:
        raise InputError(
            f"an availability of {value} promises nothing",
            expected=expected,
            remedy="write 'availability: none' to ask for no promise",
        )
    return ratio


def bandwidth_bps(value: object) -> int:
    """Bits per second at layer 2, more than none. Raises InputError."""
    rate = parse_rate_bps(value)
    if rate == 0:
        raise InputError(
            "a bandwidth of zero carries nothing",
            expected="a rate such as 40Mbps",
            remedy="for a service that sends one way only, state its direction: forward or reverse",
        )
    if rate > MAX_RATE_BPS:
        raise InputError(f"{value} is more than any link carries", expected="at most 100Tbps")
    return rate


def burst_bytes(value: object) -> int:
    """The token bucket's depth in bytes. Raises InputError."""
    size = parse_size_bytes(value)
    if not MIN_BURST_BYTES <= size <= MAX_BURST_BYTES:
        raise InputError(f"a burst of {value} cannot be meant", expected="a size between 64B (one packet) and 1GB")
    return size


def volume_bytes(value: object) -> int:
    """How much a scheduled transfer moves. Raises InputError."""
    size = parse_size_bytes(value)
    if not 0 < size <= MAX_VOLUME_BYTES:
        raise InputError(f"a volume of {value} cannot be meant", expected="a size such as 100GB, up to 1000000TB")
    return size


def check_priority(value: object) -> int:
    """A whole number from 0 to 9, larger matters more. Raises InputError."""
    if isinstance(value, bool) or not isinstance(value, int) or not MIN_PRIORITY <= value <= MAX_PRIORITY:
        raise InputError(
            f"{str(value)[:40]!r} is not a priority",
            expected=f"a whole number from {MIN_PRIORITY} (least) to {MAX_PRIORITY} (surgery)",
        )
    return value


def check_speakers(value: object) -> int:
    """How many sites speak at once. Raises InputError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_ENDPOINTS:
        raise InputError(
            f"{str(value)[:40]!r} is no number of speakers",
            expected=f"a whole number from 1 to {MAX_ENDPOINTS}: how many sites speak at once",
        )
    return value


def check_label(value: object) -> str:
    """An RFC 1123 label, the syntax of names and tenants. Raises InputError."""
    text = _name_text(value)
    if text is None or not _LABEL.fullmatch(text):
        raise InputError(
            f"{str(value)[:70]!r} is not a name",
            expected="1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or digit (RFC 1123)",
        )
    return text


def check_endpoint(value: object) -> str:
    """The id of an endpoint as topologies write it: any printable text without outer blanks. Raises InputError."""
    text = _name_text(value)
    if text is None or not 0 < len(text) <= MAX_ENDPOINT or text != text.strip():
        fault = f"{str(value)[:40]!r} is not the name of an endpoint"
        remedy = "write it in quotes" if isinstance(value, float) else None
    elif not text.isprintable():
        fault, remedy = f"{text[:40]!r} holds a character that cannot be printed", "remove it"
    else:
        return text
    raise InputError(fault, expected=f"text of 1 to {MAX_ENDPOINT} characters such as county/or-1", remedy=remedy)


def _name_text(value: object) -> str | None:
    """Names that look like whole numbers, as nodes of the Topology Zoo have, need no quotes: they are read exactly."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**30:
        return str(value)
    return value if isinstance(value, str) else None


def percent_text(ratio: float) -> str:
    """``99.999%``; parses back to exactly `ratio`."""
    return f"{(Decimal(repr(ratio)) * 100).normalize():f}%"
