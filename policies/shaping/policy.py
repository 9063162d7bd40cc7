"""How each traffic class takes part in sharing, and with which weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
    """Weights multiply: of the class, of the tenant, of the site (an endpoint's id). What is not named weighs 1."""

    classes: Mapping[str, float] = field(default_factory=dict)
    tenants: Mapping[str, float] = field(default_factory=dict)
    sites: Mapping[str, float] = field(default_factory=dict)

    def weight(self, traffic_class: str, tenant: str, site: str) -> float:
        return self.classes.get(traffic_class, 1.0) * self.tenants.get(tenant, 1.0) * self.sites.get(site, 1.0)
