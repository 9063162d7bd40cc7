"""What is out of service on purpose, and the network that is left to plan on."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from types import MappingProxyType

from carelane.controller.pipeline.slice_plan import Decision
from carelane.store import StoredDrain
from carelane.topology.model import Topology

__all__ = ["carried", "drained_links", "links_of", "usable"]


def drained_links(topology: Topology, drains: Iterable[StoredDrain]) -> frozenset[str]:
    """Links that are out of service: drained themselves, or at a drained switch."""
    return links_of(topology, ((drain.kind, drain.name) for drain in drains))


def links_of(topology: Topology, parts: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Links among `parts` (kind and name), or at a switch among them."""
    names = set(parts)
    return frozenset(
        link.id
        for link in topology.links.values()
        if ("link", link.id) in names or ("node", link.a) in names or ("node", link.b) in names
    )


def usable(topology: Topology, without: Collection[str]) -> Topology:
    """The topology that may be planned on: without these links."""
    if not without:
        return topology
    links = {name: link for name, link in topology.links.items() if name not in without}
    return replace(topology, links=MappingProxyType(links))


def carried(decision: Decision, without: Collection[str]) -> bool:
    """Whether every pair has a path that needs none of these links."""
    pairs = {(path.source, path.to) for path in decision.paths}
    whole = {(p.source, p.to) for p in decision.paths if not any(hop.link in without for hop in p.hops)}
    return pairs == whole
