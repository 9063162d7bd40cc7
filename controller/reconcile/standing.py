"""Moving an intent to where the facts put it, with what was found out about each condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from carelane.intents.lifecycle import ADMITTED, IntentStatus, Phase, Status, advance, route, with_condition

__all__ = ["Finding", "moved"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one condition now. `reason` is one CamelCase word, `message` a sentence."""

    type: str
    status: Status
    reason: str
    message: str


def moved(
    before: IntentStatus, phase: Phase, findings: Sequence[Finding], *, reason: str, message: str, at: datetime
) -> IntentStatus:
    """The standing after the shortest permitted way to `phase`, and the findings.

    Whether the last filing was admitted is for admission alone to say: an update that was refused stays refused
    while the slice that runs comes and goes.
    """
    after = before
    for step in route(before.phase, phase) or (phase,):
        after = advance(after, step, reason=reason, message=message, at=at)
    decided = before.condition(ADMITTED)
    if decided is not None and phase is not Phase.WITHDRAWN:
        kept = (decided if item.type == ADMITTED else item for item in after.conditions)
        after = replace(after, conditions=tuple(kept))
    for item in findings:
        after = with_condition(after, item.type, item.status, reason=item.reason, message=item.message, at=at)
    return after
