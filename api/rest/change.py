"""From the intent that is to the one that is wanted, and the audit of what was changed."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from carelane.api.rest.bodies import REQUEST, Body, decode_json
from carelane.api.rest.caller import Caller
from carelane.controller.pipeline import resolve
from carelane.controller.views import ApplyResult, IntentSummary
from carelane.errors import ConflictError, InputError, NotFoundError, PreconditionError
from carelane.intents import OFF, ServiceIntent, StatedObjectives, from_manifest
from carelane.intents.lifecycle import Phase
from carelane.store import StoredIntent, Writer
from carelane.topology import Topology

__all__ = [
    "accepted_offer",
    "audit_change",
    "audit_filings",
    "audit_withdrawal",
    "etag",
    "merge_patch",
    "own",
    "patched",
    "unmoved",
]

MAX_DEPTH = 20


def etag(generation: int) -> str:
    """The entity tag of an intent's declaration."""
    return f'"g{generation}"'


def own(intent: StoredIntent, who: Caller) -> StoredIntent:
    """Raises NotFoundError for another tenant's intent, PreconditionError when it has moved on."""
    if who.tenant is not None and intent.tenant != who.tenant:
        raise NotFoundError(f"there is no intent named {intent.name!r}")
    who.expect(etag(intent.generation), intent.name)
    return intent


def unmoved(name: str, before: Mapping[str, StoredIntent], who: Caller) -> None:
    """Raises PreconditionError when the intent, as it was before this filing, is not what the caller read."""
    if who.if_match is None:
        return
    found = before.get(name)
    if found is None or found.phase is Phase.WITHDRAWN:
        raise PreconditionError(f"there is no intent named {name!r} that If-Match could mean")
    who.expect(etag(found.generation), name)


def patched(topology: Topology, intent: StoredIntent, body: Body, who: Caller) -> ServiceIntent:
    """The intent after a merge patch of its manifest. `topology` is as the caller sees it. Raises InputError."""
    _alive(own(intent, who))
    _, patch = decode_json(body.data)
    if not isinstance(patch, dict):
        raise InputError("not a merge patch", REQUEST, expected="an object with the members that change (RFC 7396)")
    changed = from_manifest(merge_patch(intent.manifest, patch), REQUEST)
    if (changed.name, changed.tenant) != (intent.name, intent.tenant):
        raise InputError(
            "name and tenant stay", REQUEST, field="metadata", remedy="file a new intent and withdraw this one"
        )
    resolve(changed, topology)
    return changed


def merge_patch(target: Any, patch: Any, depth: int = 0) -> Any:
    """RFC 7396, section 2. Raises InputError for a patch that is nested too deeply."""
    if depth > MAX_DEPTH:
        raise InputError("nested too deeply", REQUEST)
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(copy.copy(target)) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value, depth + 1)
    return merged


def accepted_offer(intent: StoredIntent, index: int, who: Caller) -> ServiceIntent:
    """The intent with every figure of an offer. What the offer leaves out has to be switched off, as it says."""
    _alive(own(intent, who))
    offers = (intent.status.decision or {}).get("offers") or []
    if index >= len(offers):
        raise NotFoundError(f"intent {intent.name!r} has {len(offers)} offers; {index} is none of them")
    offer = offers[index]
    wanted = from_manifest(_at_the_time_of(offer, intent.manifest))
    objectives = StatedObjectives(
        delay_s=_or_off(offer.get("delay_ms"), 1e-3),
        jitter_s=_or_off(offer.get("jitter_ms"), 1e-3),
        loss=_or_off(offer.get("loss")),
        availability=_or_off(offer.get("availability")),
        forward_bps=None if wanted.direction == "reverse" else _bps(offer.get("bandwidth_mbps")),
        reverse_bps=None if wanted.direction == "forward" else _bps(offer.get("reverse_mbps")),
    )
    return replace(
        wanted,
        objectives=objectives,
        round_trip=bool(offer.get("round_trip")) and objectives.delay_s != OFF,
        protection=offer.get("protection") or wanted.protection,
    )


def _at_the_time_of(offer: Mapping[str, Any], manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    if "schedule" not in offer:
        return manifest
    return {**manifest, "spec": {**manifest["spec"], "schedule": offer["schedule"]}}


def _alive(intent: StoredIntent) -> None:
    if intent.deleted_at is not None or intent.phase is Phase.WITHDRAWN:
        raise ConflictError(f"intent {intent.name!r} is withdrawn; file it again")


def _or_off(value: float | None, unit: float = 1.0) -> Any:
    return OFF if value is None else round(value * unit, 12)


def _bps(mbps: float | None) -> int | None:
    return round(mbps * 1e6) if mbps else None


def audit_filings(
    write: Writer, who: Caller, results: Sequence[ApplyResult], before: Mapping[str, StoredIntent]
) -> None:
    """One entry for each intent that was changed, in the transaction that changes it."""
    for result in results:
        if result.outcome == "unchanged" and not (result.decided and result.admitted) and not result.preempted:
            continue
        after = write.intent(result.name)
        earlier = before.get(result.name)
        if earlier is not None and earlier.tenant != after.tenant:
            earlier = None  # a name that was given up by another tenant comes without its past
        audit_change(
            write,
            who,
            after.tenant,
            "intent.file",
            result.name,
            _shown(earlier),
            {**(_shown(after) or {}), "outcome": result.outcome, "decision": result.decision.get("decision")},
        )
        for name in result.preempted:
            _audit_displaced(write, who, after, write.intent(name), before.get(name))


def _audit_displaced(
    write: Writer, who: Caller, by: StoredIntent, victim: StoredIntent, before: StoredIntent | None
) -> None:
    """For the operator alone where another tenant's slice was displaced: the entry names who called, and for what."""
    after = {**(_shown(victim) or {}), "message": victim.status.standing.message, "preempted_by": by.name}
    tenant = victim.tenant if victim.tenant == by.tenant else None
    audit_change(write, who, tenant, "intent.preempt", victim.name, _shown(before), after)


def audit_withdrawal(write: Writer, who: Caller, summary: IntentSummary, before: StoredIntent) -> None:
    """One entry, unless the intent was on its way out already."""
    if before.deleted_at is None:
        after = {"generation": summary.generation, "phase": str(summary.phase)}
        audit_change(write, who, before.tenant, "intent.withdraw", before.name, _shown(before), after)


def audit_change(
    write: Writer,
    who: Caller,
    tenant: str | None,
    action: str,
    target: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    """One entry on what `who` did, in the transaction that does it. No secret may be in `before` or `after`."""
    write.record_audit(
        subject=who.principal.subject,
        role=who.principal.role,
        tenant=tenant,
        action=action,
        target=target,
        before=before,
        after=after,
        request_id=who.request_id,
    )


def _shown(intent: StoredIntent | None) -> dict[str, Any] | None:
    if intent is None:
        return None
    return {"generation": intent.generation, "phase": str(intent.phase), "manifest": dict(intent.manifest)}
