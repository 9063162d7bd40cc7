"""What a caller sees of the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from carelane.api.auth import Principal
from carelane.api.auth.principals import visible
from carelane.controller.reconcile.holdings import Held, Holdings
from carelane.topology.model import Endpoint, Topology

__all__ = ["Views", "capacity_json"]

MAX_TENANTS = 1024


class Views:
    """The topology as each tenant knows it, made once for each: its own endpoints, those of nobody, and those that the
    access policy may let it reach."""

    def __init__(self, topology: Topology, knows: Callable[[str, Endpoint], bool]) -> None:
        self._whole, self._knows = topology, knows
        self._made: dict[str, Topology] = {}

    def topology(self, principal: Principal) -> Topology:
        tenant = principal.tenant
        if tenant is None:
            return self._whole
        made = self._made.get(tenant)
        if made is None:
            if len(self._made) >= MAX_TENANTS:
                self._made.clear()
            made = self._made[tenant] = visible(self._whole, tenant, self._knows)
        return made


def capacity_json(topology: Topology, held: Iterable[Held]) -> dict[str, Any]:
    """Each direction of each link: the most that the given slices hold there at any one moment. A name counts once,
    with its larger floor, when it holds an old slice and a new one."""
    ledger = Holdings(tuple(held)).ledger(topology)
    rows = []
    for link in topology.links.values():
        for node in (link.a, link.b):
            reserved = ledger.reserved_bps((node, link.id))
            capacity = link.capacity_bps
            rows.append(
                {
                    "link": link.id,
                    "from": node,
                    "to": link.other(node),
                    "capacity_mbps": None if capacity is None else capacity / 1e6,
                    "reserved_mbps": reserved / 1e6,
                    "free_mbps": None if capacity is None else (capacity - reserved) / 1e6,
                    "slices": len(ledger.floors.get((node, link.id), ())),
                }
            )
    return {"links": rows}
