"""The nearest other window in which a requirement fits that has none beside the ledger. Pure.

Input: a trial and a requirement with a schedule. Output: the requirement with all its times moved alike. Decisions:

- Only moments matter at which what others hold changes. A window that is moved later gains room only as its start
  passes such a moment, and one that is moved earlier only as its end does. So the shortest move that helps begins or
  ends exactly at one of them, and trying these in order of distance finds it: to the microsecond, without a raster.
- Of a move later and one as far the other way, the later is taken. Nothing is moved before the moment from which on the
  ledger counts. A window without a start can only be given one where the ledger has such a moment; one without an end
  is moved later only.
- The `TRIED` nearest are tried, as far as the effort of the trial lasts. What is found was planned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from carelane.controller.pipeline.relax import Trial
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.schedules import as_text, moved_by
from carelane.intents.model import Schedule

__all__ = ["TRIED", "nearest_window"]

TRIED = 256


def nearest_window(trial: Trial, requirement: Requirement) -> Requirement | None:
    """`requirement` at another time, moved as little as possible; None where no move helps, or it has no schedule.

    `requirement` itself is taken to be impossible.
    """
    since = trial.ledger.since_us
    schedule = _with_start(requirement.schedule, since)
    window = replace(requirement, schedule=schedule).window
    if schedule is None or window is None or window.opens_us is None:
        return None
    moments = trial.ledger.without_slice(requirement.name).moments()
    for shift in islice(_shifts(moments, window.opens_us, window.closes_us, since), TRIED):
        moved = moved_by(schedule, shift)
        if moved is not None and trial.possible(variant := replace(requirement, schedule=moved)):
            return variant
        if trial.effort.exhausted:
            return None
    return None


def _with_start(schedule: Schedule | None, since_us: int | None) -> Schedule | None:
    """A window that is open from now on begins now."""
    if schedule is None or schedule.start or since_us is None:
        return schedule
    return replace(schedule, start=as_text(since_us))


def _shifts(moments: list[int], opens_us: int, closes_us: int | None, since_us: int | None) -> Iterator[int]:
    """Moves (microseconds) after which the window begins or ends where something changes, the shortest first."""
    later = {moment - opens_us for moment in moments if moment > opens_us}
    earlier = {moment - closes_us for moment in moments if moment < closes_us} if closes_us is not None else set()
    possible = later | earlier
    if since_us is not None:
        possible = {shift for shift in possible if opens_us + shift >= since_us}
    yield from sorted(possible, key=lambda shift: (abs(shift), shift < 0))
