"""What a pass means for one name: pure, from what is held and what the switches answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from carelane.controller.reconcile.holdings import Held
from carelane.controller.reconcile.schedules import Outside
from carelane.controller.reconcile.standing import Finding
from carelane.errors import CarelaneError, PermanentError
from carelane.intents.lifecycle import ADMITTED, INSTALLED, Phase, Status
from carelane.store import StoredIntent

__all__ = ["Evidence", "Verdict", "judge"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The next standing of a name. `release`: what it no longer holds; `restore`: the slice to put back in force."""

    phase: Phase
    findings: tuple[Finding, ...]
    retry: bool = False
    again: bool = False
    release: tuple[int, ...] = ()
    restore: int | None = None

    @property
    def reason(self) -> str:
        return self._telling.reason

    @property
    def message(self) -> str:
        return self._telling.message

    @property
    def _telling(self) -> Finding:
        """The first finding that is not as it should be, else the last."""
        return next((item for item in self.findings if item.status != "True"), self.findings[-1])


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a pass found: `error` on switches the slice in force needs, `left` on those that it only leaves; `unfit`
    says that it is not among what the switches are to hold.

    `promise` is None when no slice is in force; `mismatches` are what kernels on its way do otherwise; `outside` is why
    the slice in force is not to be on the switches now, if it is not.
    """

    error: CarelaneError | None
    left: CarelaneError | None
    promise: Finding | None
    mismatches: Sequence[str] = ()
    outside: Outside | None = None
    unfit: bool = False


def judge(intent: StoredIntent, held: Sequence[Held], evidence: Evidence) -> Verdict:
    """The standing that follows; a name keeps all that it is leaving until those switches were read back clean."""
    in_force = next((item for item in held if not item.retiring), None)
    release = tuple(item.id for item in held if item.retiring) if evidence.left is None else ()
    if in_force is None or evidence.promise is None:
        return _gone(intent, evidence.left, release)
    if intent.phase is Phase.FAILED:
        error = evidence.error or evidence.left
        return _failed(intent, error, release if error is None else ())
    if evidence.outside is not None:
        return _outside(evidence.outside, (*release, in_force.id), evidence.left)
    ran = intent.phase in (Phase.ACTIVE, Phase.DEGRADED) and not evidence.unfit
    if isinstance(evidence.error, PermanentError) and not ran:
        return _rejected(intent, in_force, held, evidence.error)
    if evidence.error is not None:
        return _running(evidence.error, evidence.promise) if ran else _waiting(evidence.error)
    return _standing(evidence.promise, evidence.mismatches, evidence.left, release)


def _standing(
    promise: Finding, mismatches: Sequence[str], left: CarelaneError | None, release: tuple[int, ...]
) -> Verdict:
    if mismatches:
        finding = Finding(INSTALLED, "False", "KernelMismatch", "; ".join(mismatches))
        return Verdict(Phase.DEGRADED, (finding, promise), retry=True, release=release)
    message = "the switches hold exactly what the slice needs"
    if left is not None:
        message += f"; what it used before is not all removed yet: {left}"
    phase = Phase.ACTIVE if promise.status == "True" else Phase.DEGRADED
    installed = Finding(INSTALLED, "True", "ReadBack", message)
    return Verdict(phase, (installed, promise), retry=left is not None, release=release)


def _outside(why: Outside, held: tuple[int, ...], left: CarelaneError | None) -> Verdict:
    """Its window is closed. What is over gives back all it holds, once the switches hold nothing of it."""
    if left is not None:
        message = f"{why.message}; its rules are not all removed yet: {left}"
        return Verdict(Phase.SUSPENDED, (Finding(INSTALLED, "Unknown", why.reason, message),), retry=True)
    finding = Finding(INSTALLED, "False", why.reason, why.message)
    return Verdict(Phase.SUSPENDED, (finding,), release=held if why.over else held[:-1])


def _gone(intent: StoredIntent, left: CarelaneError | None, release: tuple[int, ...]) -> Verdict:
    if left is not None:
        finding = Finding(INSTALLED, "Unknown", type(left).__name__, f"its rules are not all removed yet: {left}")
        return Verdict(Phase.WITHDRAWING, (finding,), retry=True)
    finding = Finding(INSTALLED, "False", "Removed", "the switches were read back and hold nothing of it")
    if intent.deleted_at is not None:
        return Verdict(Phase.WITHDRAWN, (finding,), release=release)
    decided = intent.status.standing.condition(ADMITTED)  # why it is refused tells more than that nothing is left
    why = () if decided is None else (Finding(ADMITTED, decided.status, decided.reason, decided.message),)
    return Verdict(Phase.REFUSED, (*why, finding), release=release)


def _failed(intent: StoredIntent, error: CarelaneError | None, release: tuple[int, ...]) -> Verdict:
    """Its rules are off the switches, or on their way; the reason for the failure stays as it was told."""
    standing = intent.status.standing
    finding = Finding(INSTALLED, "False", standing.reason, standing.message)
    return Verdict(Phase.FAILED, (finding,), retry=error is not None, release=release)


def _rejected(intent: StoredIntent, in_force: Held, held: Sequence[Held], error: PermanentError) -> Verdict:
    before = next((item for item in reversed(held) if item.retiring and item.id < in_force.id), None)
    if before is not None and before.generation == in_force.generation:
        message = f"its new paths were rejected: {error}; it returns to those that it had"
        finding = Finding(INSTALLED, "False", "MoveRejected", message)
        return Verdict(Phase.INSTALLING, (finding,), again=True, restore=before.id)
    if before is not None and in_force.generation == intent.generation:
        message = f"generation {in_force.generation} was rejected: {error}; generation {before.generation} returns"
        findings = tuple(Finding(kind, "False", "UpdateRejected", message) for kind in (INSTALLED, ADMITTED))
        return Verdict(Phase.INSTALLING, findings, again=True, restore=before.id)
    message = (
        f"{error}; its rules are being removed and its capacity stays reserved: "
        "remove the cause and file it again, or delete it"
    )
    return Verdict(Phase.FAILED, (Finding(INSTALLED, "False", type(error).__name__, message),), again=True)


def _waiting(error: CarelaneError) -> Verdict:
    """What did not run is not there yet."""
    return Verdict(Phase.INSTALLING, (Finding(INSTALLED, "False", type(error).__name__, str(error)),), retry=True)


def _running(error: CarelaneError, promise: Finding) -> Verdict:
    """What ran before still runs, as far as anybody can tell; also where a switch will not have put right what others
    changed there: taking the rest away would not help. That a promise is broken is told before that it is not known."""
    status: Status = "False" if isinstance(error, PermanentError) else "Unknown"
    finding = Finding(INSTALLED, status, type(error).__name__, str(error))
    findings = (promise, finding) if promise.status == "False" else (finding, promise)
    return Verdict(Phase.DEGRADED, findings, retry=True)
