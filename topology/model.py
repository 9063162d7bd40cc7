"""What the network is: an immutable snapshot. The capacity ledger lives beside it (`topology.ledger`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from math import floor
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["Endpoint", "Hop", "Link", "Node", "Repair", "RiskGroup", "Topology"]

_ALL = Fraction(1)


@dataclass(frozen=True, slots=True)
class Repair:
    """Mean time between failures and to repair, where a file states them; the availability follows from both."""

    mtbf_s: float
    mttr_s: float


@dataclass(frozen=True, slots=True)
class Node:
    """A switch. `availability` None means not stated, which is unknown data, never perfection."""

    id: str
    dpid: int
    availability: float | None = None
    site: str | None = None
    lat: float | None = None
    lon: float | None = None
    risk_groups: frozenset[str] = frozenset()
    repair: Repair | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A duplex link; both directions share the figures. `a_port` and `b_port` are OpenFlow port numbers.

    `max_reservable` is the share of the capacity that the operator's policy lets be reserved.
    """

    id: str
    a: str
    b: str
    a_port: int
    b_port: int
    capacity_bps: int | None = None
    delay_s: float | None = None
    availability: float | None = None
    loss: float | None = None
    length_m: float | None = None
    risk_groups: frozenset[str] = frozenset()
    repair: Repair | None = None
    max_reservable: Fraction = _ALL

    @property
    def reservable_bps(self) -> int | None:
        """What floors may sum to in each direction, rounded down; None where the capacity is not stated."""
        return None if self.capacity_bps is None else floor(self.capacity_bps * self.max_reservable)

    def other(self, node: str) -> str:
        return self.b if node == self.a else self.a

    def port_at(self, node: str) -> int:
        return self.a_port if node == self.a else self.b_port


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a service attaches: a port of a switch, with the addresses that belong there."""

    id: str
    node: str
    port: int
    address: IPv4Network | IPv6Network | None = None
    capacity_bps: int | None = None
    mac: str | None = None
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class RiskGroup:
    """Things that fail together. `availability` None: serves disjointness only."""

    id: str
    availability: float | None = None
    repair: Repair | None = None


@dataclass(frozen=True, slots=True)
class Hop:
    """One traversal of a link, from `node` to `next_node`; `node` is where the egress port is."""

    link: str
    node: str
    next_node: str


@dataclass(frozen=True)
class Topology:
    """The snapshot. Mappings keep declaration order and are read-only; `warnings` are data, not errors."""

    name: str
    nodes: Mapping[str, Node]
    links: Mapping[str, Link]
    endpoints: Mapping[str, Endpoint]
    risk_groups: Mapping[str, RiskGroup]
    warnings: tuple[str, ...] = ()

    def __reduce__(self) -> tuple[object, ...]:
        """For other processes: read-only views cannot be pickled, so what they show travels and is wrapped again."""
        maps = (dict(self.nodes), dict(self.links), dict(self.endpoints), dict(self.risk_groups))
        return _read_only, (self.name, *maps, self.warnings)

    @cached_property
    def graph(self) -> nx.MultiGraph[str]:
        """The frozen NetworkX view that `carelane.topology.to_graph` documents; built at first use."""
        import networkx as nx  # here, so that reading a manifest does not cost its import

        graph: nx.MultiGraph[str] = nx.MultiGraph(name=self.name)
        for node in self.nodes.values():
            graph.add_node(node.id, data=node)
        for link in self.links.values():
            graph.add_edge(link.a, link.b, key=link.id, data=link)
        nx.freeze(graph)
        return graph


def _read_only(
    name: str,
    nodes: dict[str, Node],
    links: dict[str, Link],
    endpoints: dict[str, Endpoint],
    risk_groups: dict[str, RiskGroup],
    warnings: tuple[str, ...],
) -> Topology:
    return Topology(
        name,
        MappingProxyType(nodes),
        MappingProxyType(links),
        MappingProxyType(endpoints),
        MappingProxyType(risk_groups),
        warnings,
    )
