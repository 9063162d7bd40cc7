"""The life of an intent: its phases, the steps between them as data, and Kubernetes-style conditions.

Everything here is pure: the time of a step is an argument. A phase follows from facts wherever facts exist
(`derive_phase`); a level-triggered loop then calls `settle`, which takes the shortest way of permitted steps. No
phase is a dead end: `WAYS_OUT` says in plain words how each is left.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from carelane.errors import ConflictError

__all__ = [
    "ADMITTED",
    "IMPLIED",
    "INSTALLED",
    "KEPT",
    "SETTLED",
    "TRANSITIONS",
    "WAYS_OUT",
    "Condition",
    "Facts",
    "IntentStatus",
    "InvalidTransition",
    "Phase",
    "Transition",
    "advance",
    "allowed",
    "derive_phase",
    "requested",
    "route",
    "settle",
    "with_condition",
]


class Phase(StrEnum):
    """Where an intent stands."""

    REQUESTED = "Requested"
    ADMITTED = "Admitted"
    REFUSED = "Refused"
    INSTALLING = "Installing"
    ACTIVE = "Active"
    DEGRADED = "Degraded"
    SUSPENDED = "Suspended"
    WITHDRAWING = "Withdrawing"
    WITHDRAWN = "Withdrawn"
    FAILED = "Failed"


Actor = Literal["caller", "controller", "either"]
Status = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True)
class Transition:
    """One permitted step. `actor` is who may take it: the caller (a person or the API), the controller, or either."""

    start: Phase
    end: Phase
    actor: Actor
    when: str


def _steps(start: Phase, *rows: tuple[Phase, Actor, str]) -> tuple[Transition, ...]:
    return tuple(Transition(start, end, actor, when) for end, actor, when in rows)


_SUSPEND: tuple[Phase, Actor, str] = (Phase.SUSPENDED, "either", "suspended, pre-empted or outside its schedule")
_WITHDRAW: tuple[Phase, Actor, str] = (Phase.WITHDRAWING, "caller", "deleted")
_FAIL: tuple[Phase, Actor, str] = (Phase.FAILED, "controller", "a permanent error that retrying cannot cure")
_CHANGE: tuple[Phase, Actor, str] = (Phase.REQUESTED, "either", "filed with changes, or the network has changed")

TRANSITIONS: tuple[Transition, ...] = (
    *_steps(
        Phase.REQUESTED,
        (Phase.ADMITTED, "controller", "the plan can promise it"),
        (Phase.REFUSED, "controller", "the plan cannot promise it"),
        _SUSPEND,
        _WITHDRAW,
        _FAIL,
    ),
    *_steps(
        Phase.ADMITTED,
        (Phase.INSTALLING, "controller", "the first change is sent to a switch"),
        _CHANGE,
        _SUSPEND,
        _WITHDRAW,
        _FAIL,
    ),
    *_steps(Phase.REFUSED, _CHANGE, _WITHDRAW),
    *_steps(
        Phase.INSTALLING,
        (Phase.ACTIVE, "controller", "the switches were read back and hold what the slice needs"),
        (Phase.DEGRADED, "controller", "installed, but the promise does not hold yet"),
        _CHANGE,
        _SUSPEND,
        _WITHDRAW,
        _FAIL,
    ),
    *_steps(
        Phase.ACTIVE,
        (Phase.DEGRADED, "controller", "the promise is broken, unprotected or cannot be observed"),
        (Phase.INSTALLING, "controller", "other paths are being installed, or drift is being repaired"),
        _CHANGE,
        _SUSPEND,
        _WITHDRAW,
        _FAIL,
    ),
    *_steps(
        Phase.DEGRADED,
        (Phase.ACTIVE, "controller", "the promise holds again"),
        (Phase.INSTALLING, "controller", "other paths are being installed, or drift is being repaired"),
        _CHANGE,
        _SUSPEND,
        _WITHDRAW,
        _FAIL,
    ),
    *_steps(Phase.SUSPENDED, (Phase.REQUESTED, "either", "resumed, and decided anew"), _WITHDRAW),
    *_steps(
        Phase.WITHDRAWING,
        (Phase.WITHDRAWN, "controller", "nothing of it is left on the switches"),
        (Phase.REQUESTED, "caller", "filed again before it was gone"),
        _FAIL,
    ),
    *_steps(Phase.WITHDRAWN, (Phase.REQUESTED, "caller", "filed again under the same name")),
    *_steps(Phase.FAILED, (Phase.REQUESTED, "caller", "filed again, changed or not"), _WITHDRAW),
)
"""Every permitted step. What is not here is refused with InvalidTransition."""

WAYS_OUT: Mapping[Phase, str] = MappingProxyType(
    {
        Phase.REQUESTED: "wait for the decision, or withdraw it",
        Phase.ADMITTED: "wait for the switches, or withdraw it",
        Phase.REFUSED: "file it again within one of the offers, or withdraw it",
        Phase.INSTALLING: "wait for the switches, or withdraw it",
        Phase.ACTIVE: "suspend, change or withdraw it",
        Phase.DEGRADED: "repair what the reason names, or change or withdraw it",
        Phase.SUSPENDED: "resume or withdraw it",
        Phase.WITHDRAWING: "wait until nothing of it is left, or file it again",
        Phase.WITHDRAWN: "file it again",
        Phase.FAILED: "repair what the reason names and file it again, or withdraw it",
    }
)
"""What a person can do about an intent in each phase."""

SETTLED: frozenset[Phase] = frozenset(
    {Phase.ACTIVE, Phase.DEGRADED, Phase.REFUSED, Phase.SUSPENDED, Phase.WITHDRAWN, Phase.FAILED}
)
"""Phases that last until something new happens; waiting for an intent ends in one of them."""

ADMITTED = "Admitted"
"""Condition: the last decision on what was filed."""
INSTALLED = "Installed"
"""Condition: the switches were read back and hold exactly what the slice needs."""
KEPT = "Kept"
"""Condition: the promise holds now, protection included."""

_NOT_IN_FORCE: Mapping[str, Status] = MappingProxyType({INSTALLED: "False", KEPT: "Unknown"})
IMPLIED: Mapping[Phase, Mapping[str, Status]] = MappingProxyType(
    {
        # An intent filed with changes may still have its former slice in force: nothing is said about that here.
        Phase.REQUESTED: MappingProxyType({ADMITTED: "Unknown"}),
        Phase.ADMITTED: MappingProxyType({ADMITTED: "True", **_NOT_IN_FORCE}),
        Phase.REFUSED: MappingProxyType({ADMITTED: "False", **_NOT_IN_FORCE}),
        Phase.INSTALLING: MappingProxyType({ADMITTED: "True", INSTALLED: "False"}),
        Phase.ACTIVE: MappingProxyType({ADMITTED: "True", INSTALLED: "True", KEPT: "True"}),
        Phase.DEGRADED: MappingProxyType({ADMITTED: "True", KEPT: "False"}),
        Phase.SUSPENDED: _NOT_IN_FORCE,
        Phase.WITHDRAWING: MappingProxyType({KEPT: "Unknown"}),
        Phase.WITHDRAWN: MappingProxyType({ADMITTED: "Unknown", **_NOT_IN_FORCE}),
        Phase.FAILED: MappingProxyType({KEPT: "Unknown"}),
    }
)
"""What being in a phase says about the conditions; the others stay as they were."""

_ALLOWED: Mapping[Phase, frozenset[Phase]] = MappingProxyType(
    {phase: frozenset(step.end for step in TRANSITIONS if step.start is phase) for phase in Phase}
)
_REASON = re.compile(r"[A-Z][A-Za-z0-9]{0,63}")


class InvalidTransition(ConflictError):
    """The step is not one an intent can take from where it stands."""


@dataclass(frozen=True, slots=True)
class Condition:
    """As in the Kubernetes API conventions; `since` is when `status` last changed."""

    type: str
    status: Status
    reason: str
    message: str
    since: datetime


@dataclass(frozen=True, slots=True)
class IntentStatus:
    """Where an intent stands and why; `since` is when the phase was entered."""

    phase: Phase
    reason: str
    message: str
    since: datetime
    conditions: tuple[Condition, ...] = ()

    def condition(self, type_: str) -> Condition | None:
        """The condition of that type."""
        return next((item for item in self.conditions if item.type == type_), None)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about an intent, from which its phase follows.

    `present`: something of it may still be on switches. `admitted` None: not decided. `started`: a change was sent.
    `installed` None: switches cannot be read. `kept` None: the promise cannot be observed, which is not good news.
    """

    wanted: bool = True
    present: bool = False
    suspended: bool = False
    admitted: bool | None = None
    started: bool = False
    installed: bool | None = False
    kept: bool | None = None
    failed: bool = False


def derive_phase(facts: Facts) -> Phase:
    """The phase that the facts amount to."""
    if facts.failed:
        return Phase.FAILED
    if not facts.wanted:
        return Phase.WITHDRAWING if facts.present else Phase.WITHDRAWN
    if facts.suspended:
        return Phase.SUSPENDED
    if facts.admitted is None:
        return Phase.REQUESTED
    if not facts.admitted:
        return Phase.REFUSED
    if facts.installed is False:
        return Phase.INSTALLING if facts.started else Phase.ADMITTED
    return Phase.ACTIVE if facts.installed and facts.kept else Phase.DEGRADED


def allowed(phase: Phase) -> frozenset[Phase]:
    """The phases one step away."""
    return _ALLOWED[phase]


def requested(at: datetime, *, reason: str = "Filed", message: str = "filed, not decided yet") -> IntentStatus:
    """The status an intent begins with."""
    return _entered(Phase.REQUESTED, (), reason, message, at)


def advance(status: IntentStatus, phase: Phase, *, reason: str, message: str, at: datetime) -> IntentStatus:
    """The status after one step to `phase`; staying in a phase renews its reason and message, not its `since`.

    `reason` is one CamelCase word for programs, `message` a sentence for people. Raises InvalidTransition.
    """
    if phase is status.phase:
        return replace(_entered(phase, status.conditions, reason, message, at), since=status.since)
    if phase not in _ALLOWED[status.phase]:
        ways = ", ".join(sorted(_ALLOWED[status.phase]))
        raise InvalidTransition(
            f"an intent that is {status.phase} cannot become {phase} ({reason}: {message}); "
            f"from here it can become {ways}: {WAYS_OUT[status.phase]}"
        )
    return _entered(phase, status.conditions, reason, message, at)


def settle(status: IntentStatus, facts: Facts, *, reason: str, message: str, at: datetime) -> IntentStatus:
    """The status after the shortest way of permitted steps to the phase that the facts amount to.

    A degraded intent says what it is short of: Installed and Kept are as the facts have them.
    """
    for phase in route(status.phase, derive_phase(facts)) or (status.phase,):
        status = advance(status, phase, reason=reason, message=message, at=at)
    if status.phase is Phase.DEGRADED:
        for type_, fact in ((INSTALLED, facts.installed), (KEPT, facts.kept)):
            value: Status = "Unknown" if fact is None else "True" if fact else "False"
            status = with_condition(status, type_, value, reason=reason, message=message, at=at)
    return status


def route(start: Phase, end: Phase) -> tuple[Phase, ...]:
    """The fewest permitted steps from `start` to `end`, without `start`; always exists, and is the same every time."""
    before: dict[Phase, Phase] = {}
    queue = deque([start])
    while end not in before and end is not start:
        here = queue.popleft()
        for step in TRANSITIONS:
            if step.start is here and step.end not in before:
                before[step.end] = here
                queue.append(step.end)
    way: list[Phase] = []
    while end is not start:
        way.append(end)
        end = before[end]
    return tuple(reversed(way))


def with_condition(
    status: IntentStatus, type_: str, value: Status, *, reason: str, message: str, at: datetime
) -> IntentStatus:
    """The status with one condition set; its `since` moves only when its status changes."""
    _check(reason, at)
    before = status.condition(type_)
    since = before.since if before is not None and before.status == value else at
    new = Condition(type_, value, reason, message, since)
    if before is None:
        return replace(status, conditions=(*status.conditions, new))
    return replace(status, conditions=tuple(new if item is before else item for item in status.conditions))


def _entered(phase: Phase, conditions: tuple[Condition, ...], reason: str, message: str, at: datetime) -> IntentStatus:
    _check(reason, at)
    status = IntentStatus(phase, reason, message, at, conditions)
    for type_, value in IMPLIED[phase].items():
        status = with_condition(status, type_, value, reason=reason, message=message, at=at)
    return status


def _check(reason: str, at: datetime) -> None:
    """Faults of the calling code, not of anybody's input."""
    if not _REASON.fullmatch(reason):
        raise ValueError(f"a reason is one CamelCase word, not {reason!r}")
    if at.tzinfo is None:
        raise ValueError("the time of a step needs its zone")
