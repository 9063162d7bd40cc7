"""The admission policy as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from types import MappingProxyType

from carelane.policies.shaping import SharePolicy
from carelane.topology.model import Topology

__all__ = ["EVERYBODY", "AdmissionPolicy", "Preemption", "Quota", "bounded"]

EVERYBODY = "*"
"""The quota of each tenant that has none of its own."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What one tenant may hold at most; None: no limit. `bandwidth_bps` bounds the sum over its slices."""

    bandwidth_bps: int | None = None
    slices: int | None = None


@dataclass(frozen=True, slots=True)
class Preemption:
    """Services `by` (empty: any) may take the place of services `of` (empty: any) whose priority is lower by at least
    `minimum_gap`, which is never less than 1: what is as important never has to go."""

    by: frozenset[str] = frozenset()
    of: frozenset[str] = frozenset()
    minimum_gap: int = 1

    def permits(self, service: str) -> bool:
        """Whether `service` may take anybody's place."""
        return not self.by or service in self.by

    def gives_way(self, service: str, priority: int, to_priority: int) -> bool:
        """Whether a slice of `service` has to go for one of `to_priority`."""
        return (not self.of or service in self.of) and to_priority - priority >= max(1, self.minimum_gap)


@dataclass(frozen=True, slots=True)
class AdmissionPolicy:
    """`links` are shares of single links, instead of `max_reservable`; `weights` are those of shares beyond floors.
    `port_waits`: delays are to hold with what queues wait for each other at ports; `class_queues`: they are to hold as
    if slices shared a queue for each class. `shared_backups`: whether backups may share capacity, `shared_services` for
    single services."""

    name: str
    max_reservable: Fraction = Fraction(1)
    links: Mapping[str, Fraction] = field(default_factory=lambda: MappingProxyType({}))
    quotas: Mapping[str, Quota] = field(default_factory=lambda: MappingProxyType({}))
    preemption: Preemption | None = None
    port_waits: bool = False
    class_queues: bool = False
    weights: SharePolicy = field(default_factory=SharePolicy)
    shared_backups: bool = False
    shared_services: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))

    def shares(self, service: str) -> bool:
        """Whether the backups of `service` may share capacity with others."""
        return self.shared_services.get(service, self.shared_backups)

    @property
    def lenient(self) -> bool:
        """Whether it says nothing but how full links may be, and whether backups may share."""
        return not (self.quotas or self.preemption or self.port_waits or self.class_queues)

    @property
    def lasting(self) -> AdmissionPolicy:
        """What of it holds for slices that are moved, too: what promises have to hold by. Fit for other processes."""
        return AdmissionPolicy(
            self.name,
            links={},
            quotas={},
            port_waits=self.port_waits,
            class_queues=self.class_queues,
            shared_backups=self.shared_backups,
            shared_services=dict(self.shared_services),
        )

    def quota(self, tenant: str) -> Quota:
        """A tenant's own quota, else everybody's, else one without limits."""
        return self.quotas.get(tenant) or self.quotas.get(EVERYBODY) or Quota()


def bounded(topology: Topology, policy: AdmissionPolicy | None) -> Topology:
    """The network of which no more is reserved than `policy` lets."""
    if policy is None or (policy.max_reservable == 1 and not policy.links):
        return topology
    links = {
        name: replace(link, max_reservable=policy.links.get(name, policy.max_reservable))
        for name, link in topology.links.items()
    }
    return replace(topology, links=MappingProxyType(links))
