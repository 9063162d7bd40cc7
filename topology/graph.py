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
    """Connected parts, largest first, each in declaration order."""
    import networkx as nx

    order = {node: index for index, node in enumerate(topology.nodes)}
    parts = [sorted(part, key=order.__getitem__) for part in nx.connected_components(topology.graph)]
    return sorted(parts, key=lambda part: (-len(part), order[part[0]]))
