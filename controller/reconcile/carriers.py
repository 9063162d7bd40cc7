"""Which slices carry what the edge tells by the same addresses at the same port: of two of them, only one can be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from carelane.controller.pipeline.compile import Flow, flows_of
from carelane.controller.pipeline.requirement import Requirement
from carelane.topology.model import Topology

__all__ = ["Carriers", "collide"]


class Carriers:
    """What each name carries now. Not thread-safe."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._flows: dict[str, frozenset[Flow]] = {}
        self._names: defaultdict[Flow, set[str]] = defaultdict(set)

    def put(self, requirement: Requirement) -> None:
        """A slice in force, in place of the one that its name had."""
        for flow in self._flows.pop(requirement.name, ()):
            self._names[flow].discard(requirement.name)
        flows = self._flows[requirement.name] = flows_of(self._topology, requirement)
        for flow in flows:
            self._names[flow].add(requirement.name)

    def rivals(self, requirement: Requirement) -> set[str]:
        """Other names that carry some of what this one would."""
        found: set[str] = set()
        for flow in flows_of(self._topology, requirement):
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
