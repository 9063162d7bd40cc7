"""How wrong this machine's clock may be, as the kernel was told by whoever keeps it (NTP, PTP)."""

from __future__ import annotations

import ctypes

__all__ = ["UNKEPT_S", "clock_error_s"]

UNKEPT_S = 16.0
"""What is said of a clock that nobody keeps (MAXDISP, RFC 5905 section 7.2): nothing one way can be told by it."""

_UNSYNCHRONISED = 0x0040  # STA_UNSYNC of linux/timex.h
_NEVER = -1


class _Timex(ctypes.Structure):
    """The head of `struct timex` (adjtimex(2)), and room for the rest of it."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def clock_error_s() -> float:
    """The kernel's bound of the error in seconds; UNKEPT_S where nobody keeps the clock, or the kernel does not say."""
    asked = _Timex()  # no mode set: nothing is changed, and no privilege is needed
    try:
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(asked))
    except (AttributeError, OSError):
        return UNKEPT_S
    if answer == _NEVER or asked.status & _UNSYNCHRONISED:
        return UNKEPT_S
    return min(UNKEPT_S, float(asked.maxerror) / 1e6)
