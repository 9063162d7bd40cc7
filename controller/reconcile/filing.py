"""Storing what admission decided, and asking for a withdrawal; both inside the caller's transaction."""

from __future__ import annotations

from datetime import datetime

from carelane.controller.pipeline import decision_json
from carelane.controller.reconcile.admission import Filing
from carelane.controller.reconcile.codec import encode_decision
from carelane.controller.reconcile.conditions import ADMITTED, INSTALLED, Finding, merge_conditions
from carelane.controller.pipeline.slice_plan import Decision
from carelane.controller.views import ApplyResult
from carelane.intents.lifecycle import Phase
from carelane.store import StoredIntent, Writer

__all__ = ["record", "withdraw"]


def record(write: Writer, filing: Filing, now: datetime) -> ApplyResult:
    """Store one filing whole: manifest, decision, numbers, capacity, status and history."""
    if filing.decision is None:
        return _unchanged(write, filing, now)
    name = filing.intent.name
    generation = _generation(write, filing)
    status = write.intent(name).status
    finding = _finding(filing.decision, generation, running=_running_generation(write, name))
    phase = _phase_after(Phase(status.phase), filing.decision, running=_running_generation(write, name) is not None)
    if filing.ids is not None:
        ids = filing.ids
        write.hold(
            name,
            generation,
            number=ids.number,
            first_label=ids.first_label,
            labels=ids.labels,
            decision=encode_decision(filing.decision),
            floors=filing.floors,
        )
    decided = decision_json(filing.decision)
    write.set_status(
        name,
        phase=phase,
        reason=finding.reason,
        message=finding.message,
        conditions=merge_conditions(status.conditions, [finding], generation=generation, now=now),
        observed_generation=generation if filing.ids is None else None,
        decision=decided,
    )
    if phase == status.phase:
        write.note(name, finding.reason, finding.message)
    return ApplyResult(name, filing.outcome, generation, phase, decided)


def withdraw(write: Writer, name: str, now: datetime) -> StoredIntent:
    """Ask for a withdrawal; idempotent. Raises NotFoundError for a name that is unknown or withdrawn already."""
    intent = write.intent(name)
    if intent.status.phase in (Phase.WITHDRAWING, Phase.WITHDRAWN) and intent.deleted_at is not None:
        return intent
    write.mark_deleted(name)
    write.retire(name)
    if write.slices(name):
        phase, reason, message = Phase.WITHDRAWING, "WithdrawalAsked", "its rules are being removed from the switches"
    else:
        phase, reason, message = Phase.WITHDRAWN, "NothingHeld", "it held nothing on any switch"
    finding = Finding(INSTALLED, "False", reason, message)
    write.set_status(
        name,
        phase=phase,
        reason=reason,
        message=message,
        conditions=merge_conditions(intent.status.conditions, [finding], generation=intent.generation, now=now),
        observed_generation=intent.generation if phase == Phase.WITHDRAWN else None,
    )
    return write.intent(name)


def _unchanged(write: Writer, filing: Filing, now: datetime) -> ApplyResult:
    """Nothing to decide. Filing a failed intent again is how its owner asks for another try."""
    name = filing.intent.name
    intent = write.intent(name)
    phase = Phase(intent.status.phase)
    if phase == Phase.FAILED:
        phase = Phase.ADMITTED
        message = "filed again after a failure: installation starts anew"
        finding = Finding(INSTALLED, "Unknown", "TriedAgain", message)
        write.set_status(
            name,
            phase=phase,
            reason=finding.reason,
            message=message,
            conditions=merge_conditions(intent.status.conditions, [finding], generation=intent.generation, now=now),
        )
    return ApplyResult(name, "unchanged", intent.generation, phase, intent.status.decision or {})


def _generation(write: Writer, filing: Filing) -> int:
    """A changed manifest starts a generation; one that is decided again for the same words does not."""
    if filing.outcome == "unchanged" and filing.record is not None:
        return filing.record.generation
    return write.file(filing.intent.name, filing.intent.tenant, filing.manifest, phase=Phase.REQUESTED)


def _running_generation(write: Writer, name: str) -> int | None:
    return next((held.generation for held in write.slices(name) if not held.retiring), None)


def _phase_after(before: Phase, decision: Decision, *, running: bool) -> Phase:
    if decision.admitted:
        return Phase.ADMITTED
    if running or before == Phase.WITHDRAWING:
        return before
    return Phase.REFUSED


def _finding(decision: Decision, generation: int, *, running: int | None) -> Finding:
    if decision.admitted:
        return Finding(ADMITTED, "True", "Fits", f"generation {generation} is admitted")
    reasons = "; ".join(
        f"{reason.constraint}{f' at {reason.at}' if reason.at else ''}{f': {reason.detail}' if reason.detail else ''}"
        for reason in decision.reasons
    )
    message = f"generation {generation} is refused: {reasons}"
    if running is None:
        return Finding(ADMITTED, "False", "Refused", message)
    return Finding(ADMITTED, "False", "UpdateRefused", f"{message}; the slice of generation {running} stays as it is")
