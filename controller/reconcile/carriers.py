"""Which slices carry what the edge tells by the same addresses at the same port: of two of them, only one can be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network

from carelane.controller.pipeline.requirement import Requirement
from carelane.topology.model import Topology

__all__ = ["Carriers", "collide"]

_Flow = tuple[str, int, IPv4Network | IPv6Network | None, IPv4Network | IPv6Network | None]
"""Switch and port where packets come in, their source, their destination."""


class Carriers:
    """What each name carries now. Not thread-safe."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._flows: dict[str, frozenset[_Flow]] = {}
        self._names: defaultdict[_Flow, set[str]] = defaultdict(set)

    def put(self, requirement: Requirement) -> None:
        """A slice in force, in place of the one that its name had."""
        for flow in self._flows.pop(requirement.name, ()):
            self._names[flow].discard(requirement.name)
        flows = self._flows[requirement.name] = _flows_of(self._topology, requirement)
        for flow in flows:
            self._names[flow].add(requirement.name)

    def rivals(self, requirement: Requirement) -> set[str]:
        """Other names that carry some of what this one would."""
        found: set[str] = set()
        for flow in _flows_of(self._topology, requirement):
            found |= self._names.get(flow, set())
        return found - {requirement.name}


def collide(topology: Topology, held: Iterable[Requirement], wanted: Iterable[Requirement]) -> bool:
    """Whether some of the `wanted` carry the same packets as one another, or as what is `held` under another name."""
    carriers = Carriers(topology)
    for requirement in held:
        carriers.put(requirement)
    for requirement in wanted:
        if carriers.rivals(requirement):
            return True
        carriers.put(requirement)
    return False


def _flows_of(topology: Topology, requirement: Requirement) -> frozenset[_Flow]:
    """What the edge tells the packets of a slice by, in each direction that carries some."""
    flows: set[_Flow] = set()
    for pair in requirement.pairs:
        near, far = (topology.endpoints.get(end.id, end) for end in (pair.source, pair.destination))
        if requirement.forward_bps > 0:
            flows.add((near.node, near.port, near.address, far.address))
        if requirement.reverse_bps > 0:
            flows.add((far.node, far.port, far.address, near.address))
    return frozenset(flows)
