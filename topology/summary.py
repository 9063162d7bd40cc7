"""What `carelane topology show` and `check` tell: counts, parts, single points of failure, missing figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from carelane.topology.build import missing_figures
from carelane.topology.graph import components
from carelane.topology.model import Endpoint, Topology

__all__ = ["RiskGroupSummary", "TopologySummary", "find_endpoint", "summarize", "summary_json"]


@dataclass(frozen=True, slots=True)
class RiskGroupSummary:
    """Members of a risk group; `divides` when losing them all cuts nodes that stay up off from each other."""

    id: str
    availability: float | None
    nodes: tuple[str, ...]
    links: tuple[str, ...]
    divides: bool


@dataclass(frozen=True, slots=True)
class TopologySummary:
    """`bridges` and `articulation_nodes` are the links and nodes whose loss alone cuts others off.

    `missing` lists, by kind, the ids of what carries no promise for want of figures.
    """

    name: str
    nodes: int
    links: int
    endpoints: int
    capacity_bps: int
    length_m: float
    components: tuple[tuple[str, ...], ...]
    bridges: tuple[str, ...]
    articulation_nodes: tuple[str, ...]
    risk_groups: tuple[RiskGroupSummary, ...]
    missing: Mapping[str, tuple[str, ...]]
    warnings: tuple[str, ...]


def summarize(topology: Topology) -> TopologySummary:
    """Everything worth knowing about a topology before planning on it."""
    import networkx as nx

    graph = topology.graph
    spans = {frozenset(pair) for pair in nx.bridges(graph)}
    links = topology.links.values()
    articulation = set(nx.articulation_points(nx.Graph(graph)))
    return TopologySummary(
        name=topology.name,
        nodes=len(topology.nodes),
        links=len(topology.links),
        endpoints=len(topology.endpoints),
        capacity_bps=sum(link.capacity_bps or 0 for link in links),
        length_m=sum(link.length_m or 0.0 for link in links),
        components=tuple(tuple(part) for part in components(topology)),
        bridges=tuple(link.id for link in links if frozenset((link.a, link.b)) in spans),
        articulation_nodes=tuple(node for node in topology.nodes if node in articulation),
        risk_groups=_risk_groups(topology),
        missing=missing_figures(topology),
        warnings=topology.warnings,
    )


def _risk_groups(topology: Topology) -> tuple[RiskGroupSummary, ...]:
    import networkx as nx

    parts = {node: index for index, part in enumerate(components(topology)) for node in part}
    groups = []
    for group in topology.risk_groups.values():
        nodes = tuple(n.id for n in topology.nodes.values() if group.id in n.risk_groups)
        links = tuple(x.id for x in topology.links.values() if group.id in x.risk_groups)
        rest: nx.MultiGraph[str] = nx.MultiGraph(topology.graph)
        for link in links:
            rest.remove_edge(topology.links[link].a, topology.links[link].b, key=link)
        rest.remove_nodes_from(nodes)
        before = len({parts[node] for node in rest})
        divides = nx.number_connected_components(rest) > before
        groups.append(RiskGroupSummary(group.id, group.availability, nodes, links, divides))
    return tuple(groups)


def summary_json(summary: TopologySummary) -> dict[str, Any]:
    """Plain data for JSON or YAML; units are in the key names."""
    plain = {field.name: getattr(summary, field.name) for field in fields(summary)}
    return plain | {
        "components": [list(part) for part in summary.components],
        "risk_groups": [asdict(group) for group in summary.risk_groups],
        "missing": {what: list(ids) for what, ids in summary.missing.items()},
    }


def find_endpoint(topology: Topology, name: str) -> Endpoint | None:
    """The endpoint of that id, or else the only endpoint at the node whose id or site is `name`."""
    if name in topology.endpoints:
        return topology.endpoints[name]
    found = [e for e in topology.endpoints.values() if name in (e.node, topology.nodes[e.node].site)]
    return found[0] if len(found) == 1 else None
