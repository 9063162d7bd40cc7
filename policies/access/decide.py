"""The decision: the first rule that matches, else the default."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from carelane.policies.access.model import AccessPolicy, AccessRule
from carelane.topology.model import Endpoint, Topology

__all__ = ["Contact", "Violation", "first_violation", "reachable"]

DEFAULT = "default-deny"


@dataclass(frozen=True, slots=True)
class Contact:
    """One device reaching one other for a tenant's service; `rate_bps` is the larger of both directions."""

    tenant: str
    device: Endpoint
    to: Endpoint
    service: str
    traffic_class: str
    rate_bps: int


@dataclass(frozen=True, slots=True)
class Violation:
    """`rule` names what forbids it: a rule of the policy, or the default."""

    rule: str
    contact: Contact
    message: str


def first_violation(
    policy: AccessPolicy, topology: Topology, contacts: Iterable[Contact], moment: datetime
) -> Violation | None:
    """The first contact that is not allowed at `moment`; None when all are."""
    for contact in contacts:
        found = _judge(policy, topology, contact, moment)
        if found is not None:
            return found
    return None


def reachable(policy: AccessPolicy, tenant: str, endpoint: Endpoint) -> bool:
    """Whether some rule may let `tenant` use `endpoint`, some time: then it may know that it exists."""
    return endpoint.tenant in (None, tenant) or any(
        rule.effect == "allow"
        and rule.tenants
        and _matches(rule.tenants, tenant)
        and ((rule.to and _matches(rule.to, endpoint.id)) or (rule.devices and _matches(rule.devices, endpoint.id)))
        for rule in policy.rules
    )


def _judge(policy: AccessPolicy, topology: Topology, contact: Contact, moment: datetime) -> Violation | None:
    place = f"{contact.device.id} to {contact.to.id}"
    too_fast: AccessRule | None = None
    for rule in policy.rules:
        if not _applies(rule, topology, contact, moment):
            continue
        if rule.effect == "deny":
            return Violation(rule.name, contact, f"access rule {rule.name} denies {place}")
        if rule.max_rate_bps is None or contact.rate_bps <= rule.max_rate_bps:
            return None
        too_fast = too_fast or rule
    if too_fast is not None:
        limit = (too_fast.max_rate_bps or 0) / 1e6
        return Violation(too_fast.name, contact, f"access rule {too_fast.name} allows {place} at most {limit:g} Mbit/s")
    foreign = next((end for end in (contact.device, contact.to) if end.tenant not in (None, contact.tenant)), None)
    if foreign is None:
        return None
    return Violation(
        DEFAULT, contact, f"no access rule lets tenant {contact.tenant} use {foreign.id}, which is another tenant's"
    )


def _applies(rule: AccessRule, topology: Topology, contact: Contact, moment: datetime) -> bool:
    device, to = contact.device, contact.to
    return (
        _matches(rule.tenants, contact.tenant)
        and _matches(rule.devices, device.id)
        and _matches(rule.ports, f"{device.node}:{device.port}")
        and _matches(rule.sites, _site(topology, device))
        and _matches(rule.to, to.id)
        and _matches(rule.to_sites, _site(topology, to))
        and _matches(rule.services, contact.service)
        and _matches(rule.classes, contact.traffic_class)
        and (rule.when is None or rule.when.holds(moment))
    )


def _site(topology: Topology, endpoint: Endpoint) -> str:
    node = topology.nodes.get(endpoint.node)
    return (node.site if node is not None else None) or endpoint.node


def _matches(patterns: tuple[str, ...], value: str) -> bool:
    return not patterns or any(fnmatchcase(value, pattern) for pattern in patterns)
