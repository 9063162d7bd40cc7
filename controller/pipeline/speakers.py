"""Where the sites of a consultation share a reservation because only so many of them speak at once. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from carelane.controller.pipeline.slice_plan import Decision
from carelane.topology.ledger import PortKey

__all__ = ["SharedPort", "shared_ports"]


@dataclass(frozen=True, slots=True)
class SharedPort:
    """An egress port that more sites use than may speak: `reserved_bps` is what one direction of them holds there."""

    node: str
    link: str
    sites: int
    reserved_bps: int


def shared_ports(decision: Decision) -> tuple[SharedPort, ...]:
    """By node and link; empty where no ceiling was asked for, or no port has more sites than it allows."""
    requirement = decision.requirement
    if requirement.speakers is None:
        return ()
    held: dict[tuple[PortKey, bool], dict[str, int]] = {}
    for path in decision.paths:
        for hop in path.hops:
            for node, rate_bps, forward in (
                (hop.node, path.reserved_bps, True),
                (hop.next_node, path.reverse_bps, False),
            ):
                sites = held.setdefault(((node, hop.link), forward), {})
                sites[path.source] = max(rate_bps, sites.get(path.source, 0))
    return tuple(_shared(held, requirement.together))


def _shared(held: dict[tuple[PortKey, bool], dict[str, int]], together: int) -> Iterator[SharedPort]:
    for ((node, link), _), sites in sorted(held.items()):
        reserved = sum(sorted(sites.values(), reverse=True)[:together])
        if len(sites) > together and reserved:
            yield SharedPort(node, link, len(sites), reserved)
