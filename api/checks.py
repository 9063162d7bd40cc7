"""What a topology cannot promise: figures that are missing, parts cut off, things that fail alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import networkx

from carelane.topology import Topology, to_graph

__all__ = ["Finding", "check_topology"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A `warning` takes promises away; a `note` is for the planner of the network to know."""

    level: Literal["warning", "note"]
    at: str | None
    message: str


def check_topology(topology: Topology) -> tuple[Finding, ...]:
    """Findings, warnings first: what the loader warned of, then single points of failure."""
    graph = to_graph(topology)
    notes = [*_bridges(topology, graph), *_cut_nodes(topology, graph)]
    return (*(Finding("warning", None, text) for text in topology.warnings), *notes)


def _bridges(topology: Topology, graph: networkx.MultiGraph[str]) -> list[Finding]:
    """Links without which the network falls apart. Parallel links are none, unless they share their fate."""
    simple = networkx.Graph(graph)
    found = []
    for a, b in networkx.bridges(simple):
        parallel = sorted(graph[a][b])
        shared = frozenset.intersection(*(topology.links[link].risk_groups for link in parallel))
        if len(parallel) == 1 or shared:
            together = f" (parallel links share {', '.join(sorted(shared))})" if len(parallel) > 1 else ""
            found.append(Finding("note", parallel[0], f"the only connection between {a} and {b}{together}"))
    return sorted(found, key=lambda finding: str(finding.at))


def _cut_nodes(topology: Topology, graph: networkx.MultiGraph[str]) -> list[Finding]:
    """Nodes whose failure separates others, told with the number of endpoints on the smaller sides."""
    simple = networkx.Graph(graph)
    found = []
    at_node: dict[str, int] = {}
    for endpoint in topology.endpoints.values():
        at_node[endpoint.node] = at_node.get(endpoint.node, 0) + 1
    for node in sorted(networkx.articulation_points(simple)):
        home = networkx.node_connected_component(simple, node) - {node}
        parts = sorted(networkx.connected_components(simple.subgraph(home)), key=len)
        lost = sum(at_node.get(member, 0) for part in parts[:-1] for member in part)
        found.append(Finding("note", node, f"its failure cuts off {lost} endpoint{'' if lost == 1 else 's'} elsewhere"))
    return found
