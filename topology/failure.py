"""What fails together, and the network that is left. Pure.

A risk group takes its member links and nodes with it; a node takes the links that end at it and its endpoints.
Draining for maintenance asks for the same network, only that it is known beforehand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from types import MappingProxyType

from carelane.errors import InputError
from carelane.topology.model import Topology

__all__ = ["NOTHING", "Failure", "single_failures"]

_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Failure:
    """Ids of what fails; `label` names it for people. False where nothing does."""

    links: frozenset[str] = _NONE
    nodes: frozenset[str] = _NONE
    risk_groups: frozenset[str] = _NONE

    @classmethod
    def of(cls, topology: Topology, ids: Iterable[str], field: str = "failure") -> Failure:
        """The failure of everything named; an id that names several kinds of things is written ``link:ID``,
        ``node:ID`` or ``group:ID``.

        Raises InputError, naming `field`, for what is not in the topology or not unique.
        """
        found: dict[str, set[str]] = {"link": set(), "node": set(), "group": set()}
        for text in ids:
            kind, name = _looked_up(topology, text, field)
            found[kind].add(name)
        return cls(frozenset(found["link"]), frozenset(found["node"]), frozenset(found["group"]))

    @property
    def label(self) -> str:
        named = (("link", self.links), ("node", self.nodes), ("risk group", self.risk_groups))
        return ", ".join(f"{kind} {name}" for kind, names in named for name in sorted(names))

    def __bool__(self) -> bool:
        return bool(self.links or self.nodes or self.risk_groups)

    def __or__(self, other: Failure) -> Failure:
        return Failure(self.links | other.links, self.nodes | other.nodes, self.risk_groups | other.risk_groups)

    def extent(self, topology: Topology) -> tuple[frozenset[str], frozenset[str]]:
        """Every link and node that is gone."""
        nodes = self.nodes | {n.id for n in topology.nodes.values() if not n.risk_groups.isdisjoint(self.risk_groups)}
        links = self.links | {
            link.id
            for link in topology.links.values()
            if link.a in nodes or link.b in nodes or not link.risk_groups.isdisjoint(self.risk_groups)
        }
        return links, nodes

    def leaves(self, topology: Topology) -> Topology:
        """The network that is left; port numbers and figures stay. The topology itself when nothing is gone."""
        links, nodes = self.extent(topology)
        if not links and not nodes:
            return topology
        return replace(
            topology,
            nodes=MappingProxyType({name: node for name, node in topology.nodes.items() if name not in nodes}),
            links=MappingProxyType({name: link for name, link in topology.links.items() if name not in links}),
            endpoints=MappingProxyType({name: e for name, e in topology.endpoints.items() if e.node not in nodes}),
        )


NOTHING = Failure()


def single_failures(topology: Topology) -> Iterator[Failure]:
    """Each link, each node and each risk group by itself, in order of declaration."""
    yield from (Failure(links=frozenset({link})) for link in topology.links)
    yield from (Failure(nodes=frozenset({node})) for node in topology.nodes)
    yield from (Failure(risk_groups=frozenset({group})) for group in topology.risk_groups)


def _looked_up(topology: Topology, text: str, field: str) -> tuple[str, str]:
    places = {"link": topology.links, "node": topology.nodes, "group": topology.risk_groups}
    prefix, _, rest = text.partition(":")
    if prefix in places and rest in places[prefix]:
        return prefix, rest
    kinds = [kind for kind, known in places.items() if text in known]
    if len(kinds) == 1:
        return kinds[0], text
    if not kinds:
        raise InputError(
            f"{text!r} is no link, node or risk group of {topology.name}",
            field=field,
            remedy="`carelane topology show` lists them",
        )
    raise InputError(
        f"{text!r} is the id of a {' and of a '.join(kinds)}", field=field, remedy=f"write {kinds[0]}:{text}"
    )
