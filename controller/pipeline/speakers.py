"""Where the sites of a consultation share a reservation because only so many of them speak at once. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from carelane.controller.pipeline.slice_plan import Decision
from carelane.topology.ledger import PortKey

__all__ = ["SharedPort", "shared_ports"]


@dataclass(frozen=True, slots=True)
class SharedPort:
    """An egress port that more sites use than may speak, and what it holds for all of them."""

    node: str
    link: str
    sites: int
    reserved_bps: int


def shared_ports(decision: Decision) -> tuple[SharedPort, ...]:
    """By node and link; empty where no ceiling was asked for, or no port has more sites than it allows."""
    most = decision.requirement.speakers
    if most is None:
        return ()
    held: dict[PortKey, tuple[dict[str, int], dict[str, int]]] = {}
    for path in decision.paths:
        for hop in path.hops:
            for way, (node, rate_bps) in enumerate(((hop.node, path.reserved_bps), (hop.next_node, path.reverse_bps))):
                rates = held.setdefault((node, hop.link), ({}, {}))[way]
                if rate_bps:
                    rates[path.source] = max(rate_bps, rates.get(path.source, 0))
    return tuple(
        SharedPort(node, link, len(up | down), sum(sum(sorted(way.values())[-most:]) for way in (up, down)))
        for (node, link), (up, down) in sorted(held.items())
        if max(len(up), len(down)) > most
    )
