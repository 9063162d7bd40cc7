"""Schedules as windows of time, and back. Pure: whoever asks brings the clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from carelane.intents.model import Schedule
from carelane.topology.windows import Window

__all__ = ["as_text", "moved_by", "us_of", "window_of"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


@lru_cache(maxsize=4096)
def window_of(schedule: Schedule | None) -> Window | None:
    """When a slice holds its capacity: from the start (or since ever) until the end, else the deadline (or for ever).

    None: always.
    """
    if schedule is None:
        return None
    return Window(_moment(schedule.start), _moment(schedule.end or schedule.deadline))


def us_of(moment: datetime) -> int:
    """Microseconds since 1970-01-01 UTC."""
    return (moment - _EPOCH) // _US


def as_text(moment_us: int) -> str:
    """The moment as RFC 3339 in UTC."""
    return (_EPOCH + moment_us * _US).isoformat().replace("+00:00", "Z")


def moved_by(schedule: Schedule, shift_us: int) -> Schedule | None:
    """Every time of `schedule` later by `shift_us` (earlier when negative), in the zone it is written in.

    None where that leaves the calendar.
    """
    try:
        start, end, deadline = (
            None if text is None else (datetime.fromisoformat(text.upper()) + shift_us * _US).isoformat()
            for text in (schedule.start, schedule.end, schedule.deadline)
        )
    except OverflowError:
        return None
    return replace(schedule, start=start, end=end, deadline=deadline)


def _moment(text: str | None) -> int | None:
    return None if text is None else us_of(datetime.fromisoformat(text.upper()))
