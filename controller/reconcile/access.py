"""The access policy at work: asked at every admission, and again while slices run, because windows close and open.

A slice that is no longer allowed is taken off the switches by the ordinary loop and its intent becomes Refused with the
reason; once the policy allows it, it is decided anew. Violations are counted by the rule that forbids.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.slice_plan import Decision, Reason
from carelane.controller.reconcile.closing import take_out
from carelane.controller.reconcile.holdings import Held
from carelane.policies.access import AccessPolicy, Contact, Violation, first_violation, reachable
from carelane.store import StoredIntent, Writer
from carelane.topology.model import Endpoint, Topology

__all__ = ["ACCESS", "AccessControl", "close", "refused_for_access"]

ACCESS = "access"
"""How the detail of an access reason begins, which tells it from other reasons of policy."""


class AccessControl:
    """One policy for one network. Thread-safe. Without a policy everything is allowed, and tenants that file see
    their own endpoints only."""

    def __init__(
        self, topology: Topology, policy: AccessPolicy | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.policy = policy
        self._topology, self._now = topology, now
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def violation(self, requirement: Requirement) -> Violation | None:
        """What forbids the slice now, if anything does."""
        if self.policy is None:
            return None
        return first_violation(self.policy, self._topology, _contacts(requirement), self._now())

    def refusal(self, requirement: Requirement) -> Decision | None:
        """The refused decision for a slice that is not allowed, counted; None when it is allowed."""
        found = self.violation(requirement)
        if found is None:
            return None
        with self._lock:
            self._counts[found.rule] += 1
        reason = Reason("policy", found.contact.device.id, None, None, None, f"{ACCESS}: {found.message}")
        return Decision(
            requirement,
            admitted=False,
            reasons=(reason,),
            assumptions=requirement.assumptions,
            remedies_searched="whole",  # no capacity cures it
        )

    def knows(self, tenant: str, endpoint: Endpoint) -> bool:
        """Whether a tenant may know that an endpoint exists."""
        if self.policy is None:
            return endpoint.tenant in (None, tenant)
        return reachable(self.policy, tenant, endpoint)

    def counts(self) -> Mapping[str, int]:
        """Violations so far, by rule."""
        with self._lock:
            return dict(self._counts)


def _contacts(requirement: Requirement) -> Iterable[Contact]:
    rate_bps = max(requirement.forward_bps, requirement.reverse_bps)
    for pair in requirement.pairs:
        yield Contact(
            requirement.tenant,
            pair.source,
            pair.destination,
            requirement.service,
            requirement.traffic_class,
            rate_bps,
        )


def close(write: Writer, held: Held, why: Violation, now: datetime) -> None:
    """Take a slice out of force; the loop takes its rules off the switches, and then its intent is Refused."""
    message = f"{ACCESS}: {why.message}"
    reason = {"constraint": "policy", "at": why.contact.device.id, "required": None, "available": None, "unit": None,
              "detail": message}  # fmt: skip
    decision = {"name": held.name, "decision": "refused", "availability": None, "paths": [], "reasons": [reason],
                "offers": [], "assumptions": [], "proven": True}  # fmt: skip
    take_out(write, held.name, reason="AccessClosed", message=message, decision=decision, now=now)


def refused_for_access(intent: StoredIntent) -> bool:
    """Whether the access policy is why an intent holds nothing."""
    reasons = (intent.status.decision or {}).get("reasons") or []
    return intent.deleted_at is None and any(str(row.get("detail", "")).startswith(f"{ACCESS}: ") for row in reasons)
