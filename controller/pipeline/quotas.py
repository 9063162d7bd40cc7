"""Quotas: what each tenant holds, and the refusal of what would exceed what it may hold. Pure.

A slice counts from its admission until it is withdrawn, scheduled or not, with the rate it declares: the larger of
both directions, once for all receivers of a tree and once for each site of a hub that may speak at once. Neither
backups nor rates raised to meet a delay count: what they cost is the planner's affair.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from carelane.controller.pipeline.limits import AMPLE_BPS
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.rounding import mbps
from carelane.controller.pipeline.slice_plan import Decision, Reason
from carelane.controller.pipeline.value import demand_bps
from carelane.policies.admission import AdmissionPolicy
from carelane.units import format_rate

__all__ = ["Usage", "counted_bps"]


def counted_bps(requirement: Requirement) -> int:
    """What a slice counts for."""
    rate = max(requirement.forward_bps, requirement.reverse_bps)
    return rate * requirement.together if requirement.connectivity == "hub" else rate


class Usage:
    """What slices are held, by name, and how much of its quota each tenant uses. For one run, in one thread."""

    def __init__(self, policy: AdmissionPolicy | None, held: Iterable[Requirement] = ()) -> None:
        self._policy = policy
        self._by_tenant: dict[str, tuple[int, int]] = {}
        self.held: dict[str, Requirement] = {}
        for requirement in held:
            self.add(requirement)

    def add(self, requirement: Requirement) -> None:
        """It is held now, instead of what its name held before."""
        self.remove(requirement.name)
        self.held[requirement.name] = requirement
        self._count(requirement, 1)

    def remove(self, name: str) -> None:
        before = self.held.pop(name, None)
        if before is not None:
            self._count(before, -1)

    def _count(self, requirement: Requirement, sign: int) -> None:
        rate_bps, slices = self._by_tenant.get(requirement.tenant, (0, 0))
        self._by_tenant[requirement.tenant] = (rate_bps + sign * counted_bps(requirement), slices + sign)

    def refusal(self, requirement: Requirement) -> Decision | None:
        """The refusal of what its tenant's quota has no room for; None when it has."""
        reasons = self._reasons(requirement) if self._policy is not None else ()
        if not reasons:
            return None
        return Decision(
            requirement,
            admitted=False,
            reasons=reasons,
            assumptions=requirement.assumptions,
            remedies_searched="whole",  # no capacity cures it
        )

    def cap_bps(self, requirements: Sequence[Requirement]) -> int:
        """What of `requirements` no planner can admit more of within the quotas, beside what is held under other
        names."""
        names = {requirement.name for requirement in requirements}
        used: dict[str, int] = {}
        for item in self.held.values():
            if item.name not in names:
                used[item.tenant] = used.get(item.tenant, 0) + counted_bps(item)
        asked: dict[str, int] = {}
        for item in requirements:
            asked[item.tenant] = asked.get(item.tenant, 0) + demand_bps(item)
        return sum(min(rate, self._left_bps(tenant, used.get(tenant, 0))) for tenant, rate in asked.items())

    def _left_bps(self, tenant: str, used_bps: int) -> int:
        limit = None if self._policy is None else self._policy.quota(tenant).bandwidth_bps
        return AMPLE_BPS if limit is None else max(0, limit - used_bps)

    def _reasons(self, requirement: Requirement) -> tuple[Reason, ...]:
        assert self._policy is not None
        tenant, quota = requirement.tenant, self._policy.quota(requirement.tenant)
        used_bps, slices = self._by_tenant.get(tenant, (0, 0))
        own = self.held.get(requirement.name)
        if own is not None and own.tenant == tenant:  # it would be replaced
            used_bps, slices = used_bps - counted_bps(own), slices - 1
        asked_bps, found = counted_bps(requirement), []
        if quota.bandwidth_bps is not None and used_bps + asked_bps > quota.bandwidth_bps:
            left = max(0, quota.bandwidth_bps - used_bps)
            detail = f"quota: tenant {tenant} may hold {format_rate(quota.bandwidth_bps)} and holds "
            detail += f"{format_rate(used_bps)}; withdraw some of it, or ask the operator for more"
            found.append(Reason("policy", None, mbps(asked_bps), mbps(left), "Mbps", detail))
        if quota.slices is not None and slices + 1 > quota.slices:
            detail = f"quota: tenant {tenant} may hold {quota.slices} slices and holds {slices}; withdraw one of them, "
            detail += "or ask the operator for more"
            found.append(Reason("policy", None, 1.0, float(max(0, quota.slices - slices)), "slices", detail))
        return tuple(found)
