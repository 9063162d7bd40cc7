"""Every exception carelane raises on purpose, in one tree.

CarelaneError
├── PermanentError          retrying cannot help; somebody has to change something
│   ├── InputError          a file, line of text or field is wrong (file, line, field, expected, remedy)
│   ├── NotFoundError       a named thing does not exist
│   ├── ConflictError       the request contradicts the current state
│   │   ├── CollisionError      slices cannot be carried side by side
│   │   └── PreconditionError   it was made from a state that has moved on
│   ├── UnauthenticatedError    nobody, or nobody that can be believed, is asking
│   ├── ForbiddenError      the one who asks may not
│   └── ProgramError        a program cannot be carried out by the switch (rejected by it)
└── TransientError          the same call may succeed later; the reconciler retries with backoff
    ├── SwitchUnreachable   no connection to a switch, or it did not confirm in time
    ├── StoreUnavailable    the database did not answer
    ├── NotLeader           another controller leads, or none does yet
    ├── TooManyRequests     one caller asks for more than its share
    └── ServerUnavailable   the carelane server did not answer the command line

A refusal is not an error: it is a decision with reasons (`carelane.controller.pipeline.slice_plan`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = [
    "CarelaneError",
    "CollisionError",
    "ConflictError",
    "ForbiddenError",
    "InputError",
    "NotFoundError",
    "NotLeader",
    "PermanentError",
    "PreconditionError",
    "ProgramError",
    "ServerUnavailable",
    "StoreUnavailable",
    "SwitchUnreachable",
    "TooManyRequests",
    "TransientError",
    "UnauthenticatedError",
]


class CarelaneError(Exception):
    """Base of all deliberate errors."""


class PermanentError(CarelaneError):
    """Retrying the same call cannot succeed."""


class TransientError(CarelaneError):
    """The same call may succeed later."""


@dataclass(eq=False)
class InputError(PermanentError, ValueError):
    """Bad input, located as exactly as the source allows.

    Also a ValueError, so that pydantic validators may raise it and `carelane.documents` can place it.

    `field` is a dotted path such as ``spec.links[3].capacity``; `line` counts from 1.
    """

    message: str
    file: str | None = None
    line: int | None = None
    field: str | None = None
    expected: str | None = None
    remedy: str | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        parts = [f"{place}: " if place else "", f"{self.field}: " if self.field else "", self.message]
        if self.expected:
            parts.append(f"; expected {self.expected}")
        if self.remedy:
            parts.append(f"; {self.remedy}")
        return "".join(parts)


class NotFoundError(PermanentError):
    """The named object does not exist."""


class ConflictError(PermanentError):
    """The request contradicts the current state."""


class CollisionError(ConflictError):
    """Slices that cannot be carried side by side: which ones, and the `fact` that stands between them."""

    def __init__(self, slices: Iterable[str], fact: str) -> None:
        self.slices = tuple(slices)
        self.fact = fact
        super().__init__(f"slices {' and '.join(self.slices)} {fact}")


class PreconditionError(ConflictError):
    """The caller's picture of the object is older than the object."""


class UnauthenticatedError(PermanentError):
    """No credential, or one that is wrong, expired or revoked. Which of these stays untold."""


class ForbiddenError(PermanentError):
    """The caller is known and lacks the role or the tenant."""


class ProgramError(PermanentError):
    """A switch rejected part of a program; retrying the same program cannot succeed."""


class SwitchUnreachable(TransientError):
    """A switch is not connected, or did not confirm a change in time."""


class StoreUnavailable(TransientError):
    """The database did not answer."""


class NotLeader(TransientError):
    """This controller follows; `leader` is the address of the one that leads, as far as that is known."""

    def __init__(self, leader: str | None = None) -> None:
        where = f"{leader} leads: ask there" if leader else "no controller leads at the moment: ask again in a second"
        super().__init__(f"this controller only reads; {where}")
        self.leader = leader


class TooManyRequests(TransientError):
    """The caller used up its allowance; it grows again within `retry_after_s` seconds."""

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ServerUnavailable(TransientError):
    """The carelane server did not answer."""
