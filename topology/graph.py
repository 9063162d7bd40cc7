"""The snapshot as a NetworkX graph: the public face, and the oracle that faster searches are tested against."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carelane.topology.model import Topology

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["components", "to_graph"]


def to_graph(topology: Topology) -> nx.MultiGraph[str]:
    """The frozen multigraph: edge key = link id, node and edge attribute `data` = the Node or Link. Built once."""
    return topology.graph


def components(topology: Topology) -> list[list[str]]:
    """Connected parts, largest first, each in declaration order.

    By hand, because every loaded file is asked for its parts and importing NetworkX takes as long as all of a plan.
    """
    neighbours: dict[str, list[str]] = {node: [] for node in topology.nodes}
    for link in topology.links.values():
        neighbours[link.a].append(link.b)
        neighbours[link.b].append(link.a)
    part_of: dict[str, int] = {}
    for number, start in enumerate(topology.nodes):
        waiting = [start]
        while waiting:
            node = waiting.pop()
            if node not in part_of:
                part_of[node] = number
                waiting.extend(neighbours[node])
    parts: dict[int, list[str]] = {}
    for node in topology.nodes:
        parts.setdefault(part_of[node], []).append(node)
    return sorted(parts.values(), key=len, reverse=True)
