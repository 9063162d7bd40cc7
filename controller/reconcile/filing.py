"""Storing what admission decided, and asking for a withdrawal; both inside the caller's transaction."""

from __future__ import annotations

from datetime import datetime

from carelane.controller.pipeline import decision_json
from carelane.controller.pipeline.slice_plan import Decision
from carelane.controller.reconcile.admission import Filing
from carelane.controller.reconcile.closing import take_out
from carelane.controller.reconcile.codec import encode_decision
from carelane.controller.reconcile.standing import Finding, moved
from carelane.controller.views import ApplyResult
from carelane.intents.lifecycle import ADMITTED, INSTALLED, Phase, with_condition
from carelane.store import StoredIntent, Writer

__all__ = ["record", "withdraw"]


def record(write: Writer, filing: Filing, now: datetime) -> ApplyResult:
    """Store one filing whole: manifest, decision, numbers, capacity, status and history."""
    if filing.decision is None:
        return _unchanged(write, filing, now)
    name = filing.intent.name
    generation = filing.generation or _generation(write, filing)
    latest = write.intent(name)
    before = latest.status.standing
    running = _running_generation(write, name) if filing.record is not None else None
    finding = _finding(filing.decision, generation, running=running)
    phase = _phase_after(before.phase, filing.decision, running=running is not None)
    stays = phase is before.phase and not filing.decision.admitted and phase is not Phase.REFUSED
    reason, message = finding.reason, finding.message
    after = before if stays else moved(before, phase, (), reason=reason, message=message, at=now)
    decided = decision_json(filing.decision)
    told = generation == latest.generation  # what was refused of a later filing stays refused when the slice moves
    if told:
        after = with_condition(after, ADMITTED, finding.status, reason=reason, message=message, at=now)
    if phase is before.phase:
        write.note(name, reason, message)
    for victim in filing.victims:
        _displace(write, victim, now)
    observed = generation if filing.ids is None else None
    write.set_status(name, after, observed_generation=observed, decision=decided if told else None)
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
    victims = tuple(victim.name for victim in filing.victims)
    return ApplyResult(name, filing.outcome, generation, phase, decided, preempted=victims)


def withdraw(write: Writer, name: str, now: datetime) -> StoredIntent:
    """Ask for a withdrawal; idempotent. Raises NotFoundError for a name that is unknown or withdrawn already."""
    intent = write.intent(name)
    if intent.deleted_at is not None:
        return intent
    write.mark_deleted(name)
    write.retire(name)
    if write.slices(name):
        phase, reason, message = Phase.WITHDRAWING, "WithdrawalAsked", "its rules are being removed from the switches"
    else:
        phase, reason, message = Phase.WITHDRAWN, "NothingHeld", "it held nothing on any switch"
    standing = moved(intent.status.standing, phase, (), reason=reason, message=message, at=now)
    observed = intent.generation if phase is Phase.WITHDRAWN else None
    write.set_status(name, standing, observed_generation=observed)
    return write.intent(name)


def _unchanged(write: Writer, filing: Filing, now: datetime) -> ApplyResult:
    """Nothing to decide. Filing a failed intent again is how its owner asks for another try."""
    intent = write.intent(filing.intent.name)
    phase = intent.phase
    if phase is Phase.FAILED:
        phase = Phase.ADMITTED
        message = "filed again after a failure: installation starts anew"
        finding = Finding(INSTALLED, "Unknown", "TriedAgain", message)
        standing = moved(intent.status.standing, phase, [finding], reason=finding.reason, message=message, at=now)
        write.set_status(intent.name, standing)
    return ApplyResult(intent.name, "unchanged", intent.generation, phase, intent.status.decision or {}, decided=False)


def _displace(write: Writer, victim: Decision, now: datetime) -> None:
    """Nothing is in force of one that was filed and displaced in one go."""
    if _running_generation(write, victim.name) is not None:
        message = victim.reasons[0].detail
        row = decision_json(victim)
        take_out(write, victim.name, reason="PreEmpted", message=message, decision=row, now=now)


def _generation(write: Writer, filing: Filing) -> int:
    """A changed manifest starts a generation; one that is decided again for the same words does not."""
    if filing.outcome == "unchanged" and filing.record is not None:
        return filing.record.generation
    return write.file(filing.intent.name, filing.intent.tenant, filing.manifest)


def _running_generation(write: Writer, name: str) -> int | None:
    return next((held.generation for held in write.slices(name) if not held.retiring), None)


def _phase_after(before: Phase, decision: Decision, *, running: bool) -> Phase:
    if decision.admitted:
        return Phase.ADMITTED
    if running or before is Phase.WITHDRAWING:
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
