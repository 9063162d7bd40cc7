"""Exit codes, and the one place where errors become text on stderr. No traceback unless asked for."""

from __future__ import annotations

import os
import sys
import traceback
from enum import IntEnum

from carelane.errors import CarelaneError, InputError, ServerUnavailable, TransientError

__all__ = ["Exit", "debug_wanted", "report", "tell", "warn"]


class Exit(IntEnum):
    """What the process says when it ends; 64 and above as in sysexits.h."""

    DONE = 0
    BROKEN = 1
    """A promise was broken, a check found faults, or an intent failed."""
    BAD_INPUT = 2
    REFUSED = 3
    UNAVAILABLE = 69
    """The server did not answer."""
    UNEXPECTED = 70
    TIMED_OUT = 75
    INTERRUPTED = 130


def tell(text: str) -> None:
    """One line for the person, on stderr, so that stdout stays parseable."""
    print(text, file=sys.stderr)  # noqa: T201


def warn(text: str) -> None:
    tell(f"warning: {text}")


def debug_wanted() -> bool:
    return os.environ.get("CARELANE_DEBUG", "") not in ("", "0")


def report(error: Exception) -> Exit:
    """Say what is wrong on stderr and return the exit code for it."""
    if debug_wanted():
        traceback.print_exception(error)
    if isinstance(error, InputError):
        _report_input(error)
        return Exit.BAD_INPUT
    if isinstance(error, CarelaneError):
        tell(f"carelane: {error}")
        if isinstance(error, ServerUnavailable):
            return Exit.UNAVAILABLE
        return Exit.TIMED_OUT if isinstance(error, TransientError) else Exit.BAD_INPUT
    if isinstance(error, OSError) and error.filename is not None:
        tell(f"carelane: {error.filename}: {error.strerror or error}")
        return Exit.BAD_INPUT
    first_line = (str(error).splitlines() or [""])[0][:300]
    tell(f"carelane: unexpected {type(error).__name__}: {first_line}")
    tell("  this is a defect in carelane; run the same command with --debug for the details to report")
    return Exit.UNEXPECTED


def _report_input(error: InputError) -> None:
    place = ":".join(str(part) for part in (error.file, error.line) if part is not None)
    parts = [part for part in (place, error.field, error.message) if part]
    tell("carelane: " + ": ".join(parts))
    if error.expected:
        tell(f"  expected: {error.expected}")
    if error.remedy:
        tell(f"  remedy: {error.remedy}")
