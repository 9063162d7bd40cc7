"""How each traffic class takes part in sharing, and with which weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from carelane.policies.classes import TrafficClass
from carelane.policies.shaping.share import Kind

__all__ = ["ADAPTIVE", "SharePolicy", "kind_of"]

ADAPTIVE = frozenset({"multimedia-conferencing", "broadcast-video"})
"""Classes whose sources vary and may be given more than they declared: consultations, conferences, teaching."""


def kind_of(traffic_class: TrafficClass) -> Kind:
    if traffic_class.elastic:
        return "elastic"
    return "adaptive" if traffic_class.name in ADAPTIVE else "contract"


@dataclass(frozen=True, slots=True)
class SharePolicy:
    """Weights multiply: of the class, of the tenant, of the site (an endpoint's id). What is not named weighs 1.

    `tiers` are weights of all sites whose id matches a pattern (`town/*`): the longest that matches counts, unless the
    site has a weight of its own.
    """

    classes: Mapping[str, float] = field(default_factory=dict)
    tenants: Mapping[str, float] = field(default_factory=dict)
    sites: Mapping[str, float] = field(default_factory=dict)
    tiers: Mapping[str, float] = field(default_factory=dict)

    def weight(self, traffic_class: str, tenant: str, site: str) -> float:
        """The weight of one source; above 0."""
        own = self.sites.get(site)
        if own is None:
            tiers = [pattern for pattern in self.tiers if fnmatchcase(site, pattern)]
            own = self.tiers[max(tiers, key=len)] if tiers else 1.0
        return self.classes.get(traffic_class, 1.0) * self.tenants.get(tenant, 1.0) * own
