"""Taking a slice out of force against its owner's will, with the reason: inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from carelane.controller.reconcile.standing import moved
from carelane.intents.lifecycle import ADMITTED, Phase, with_condition
from carelane.store import Writer

__all__ = ["take_out"]


def take_out(
    write: Writer, name: str, *, reason: str, message: str, decision: Mapping[str, Any], now: datetime
) -> None:
    """The loop takes its rules off the switches, then its intent is Refused; `decision` is its decision from now."""
    before = write.intent(name).status.standing
    write.retire(name)
    after = moved(before, Phase.WITHDRAWING, (), reason=reason, message=message, at=now)
    after = with_condition(after, ADMITTED, "False", reason=reason, message=message, at=now)
    write.set_status(name, after, decision=decision)
