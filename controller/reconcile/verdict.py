"""What a pass means for one name: pure, from what is held and what the switches answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from carelane.controller.reconcile.holdings import Held
from carelane.controller.reconcile.standing import Finding
from carelane.errors import CarelaneError, PermanentError
from carelane.intents.lifecycle import INSTALLED, Phase
from carelane.store import StoredIntent

__all__ = ["Verdict", "judge"]


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


def judge(
    intent: StoredIntent,
    held: Sequence[Held],
    error: CarelaneError | None,
    promise: Finding | None,
    mismatches: Sequence[str],
) -> Verdict:
    """`promise` is None when no slice is in force, `mismatches` what the kernels on its way do otherwise."""
    in_force = next((item for item in held if not item.retiring), None)
    retiring = tuple(item.id for item in held if item.retiring)
    phase = intent.phase
    if in_force is None or promise is None:
        return _gone(intent, error, retiring)
    if phase == Phase.FAILED:
        return _failed(intent, error, retiring)
    if isinstance(error, PermanentError):
        return _rejected(intent, in_force, held, error)
    if error is not None:
        return _waiting(phase, error)
    installed = Finding(INSTALLED, "True", "ReadBack", "the switches hold exactly what the slice needs")
    if mismatches:
        installed = Finding(INSTALLED, "False", "KernelMismatch", "; ".join(mismatches))
        return Verdict(Phase.DEGRADED, (installed, promise), retry=True, release=retiring)
    kept = promise.status == "True"
    return Verdict(Phase.ACTIVE if kept else Phase.DEGRADED, (installed, promise), release=retiring)


def _gone(intent: StoredIntent, error: CarelaneError | None, retiring: tuple[int, ...]) -> Verdict:
    if error is not None:
        finding = Finding(INSTALLED, "Unknown", type(error).__name__, f"its rules are not all removed yet: {error}")
        return Verdict(Phase.WITHDRAWING, (finding,), retry=True)
    finding = Finding(INSTALLED, "False", "Removed", "the switches were read back and hold nothing of it")
    after = Phase.WITHDRAWN if intent.deleted_at is not None else Phase.REFUSED
    return Verdict(after, (finding,), release=retiring)


def _failed(intent: StoredIntent, error: CarelaneError | None, retiring: tuple[int, ...]) -> Verdict:
    """Its rules are off the switches, or on their way; the reason for the failure stays as it was told."""
    standing = intent.status.standing
    finding = Finding(INSTALLED, "False", standing.reason, standing.message)
    return Verdict(Phase.FAILED, (finding,), retry=error is not None, release=() if error else retiring)


def _rejected(intent: StoredIntent, in_force: Held, held: Sequence[Held], error: PermanentError) -> Verdict:
    before = [item for item in held if item.retiring and item.generation < in_force.generation]
    if before and in_force.generation == intent.generation:
        message = f"generation {in_force.generation} was rejected: {error}; generation {before[-1].generation} returns"
        finding = Finding(INSTALLED, "False", "UpdateRejected", message)
        return Verdict(Phase.INSTALLING, (finding,), again=True, restore=before[-1].id)
    message = (
        f"{error}; its rules are being removed and its capacity stays reserved: "
        "remove the cause and file it again, or delete it"
    )
    return Verdict(Phase.FAILED, (Finding(INSTALLED, "False", type(error).__name__, message),), again=True)


def _waiting(phase: Phase, error: CarelaneError) -> Verdict:
    """What ran before still runs, as far as anybody can tell; what did not is not there yet."""
    ran = phase in (Phase.ACTIVE, Phase.DEGRADED)
    finding = Finding(INSTALLED, "Unknown" if ran else "False", type(error).__name__, str(error))
    return Verdict(Phase.DEGRADED if ran else Phase.INSTALLING, (finding,), retry=True)
