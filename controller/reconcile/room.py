"""Which slices have to wait until others are off the switches, so that no port's floors sum to more than it carries."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from carelane.controller.reconcile.holdings import Holdings
from carelane.topology.model import Topology

__all__ = ["blockers"]


def blockers(
    topology: Topology, holdings: Holdings, starting: Collection[str], now: datetime
) -> Mapping[str, frozenset[str]]:
    """Names of `starting` with the retiring slices of others whose place at a link's port they take.

    Admission counts a slice until it is off the switches; only those that were displaced are taken over before.
    """
    leaving = [held for held in holdings.slices if held.retiring]
    found: dict[str, frozenset[str]] = {}
    if not leaving or not starting:
        return found
    ledger = holdings.ledger(topology, now)
    for name in starting:
        held = holdings.in_force(name)
        if held is None:
            continue
        full = {port for port in held.floors if _over(topology, port, ledger.reserved_bps(port))}
        names = {item.name for item in leaving if item.name != name and not full.isdisjoint(item.floors)}
        if names:
            found[name] = frozenset(names)
    return found


def _over(topology: Topology, port: tuple[str, str], floors_bps: int) -> bool:
    link = topology.links.get(port[1])
    return link is not None and link.capacity_bps is not None and floors_bps > link.capacity_bps
