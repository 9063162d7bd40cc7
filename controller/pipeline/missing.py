"""Figures that a topology does not state: what they would be at best, and which of them a plan lacks."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from types import MappingProxyType

from carelane.controller.pipeline.admit import Embedding
from carelane.controller.pipeline.requirement import Pair, Requirement
from carelane.controller.pipeline.slice_plan import Reason
from carelane.topology.model import Endpoint, Link, Topology
from carelane.topology.paths import PathGraph

__all__ = ["all_stated", "idealised", "missing_figures"]

_BOUNDLESS_BPS = 10**15


def all_stated(graph: PathGraph, requirement: Requirement) -> bool:
    """Whether the topology states every figure that a promise on `requirement` could need."""
    objectives = requirement.objectives
    needed = {"capacity"}
    if objectives.delay_s is not None or objectives.jitter_s is not None:
        needed.add("delay")
    if objectives.availability is not None:
        needed.add("availability")
    ends = [end for pair in requirement.pairs for end in (pair.source, pair.destination)]
    return needed.isdisjoint(graph.unstated) and all(end.capacity_bps is not None for end in ends)


def idealised(graph: PathGraph, requirement: Requirement, detour_s: float = 0.0) -> tuple[PathGraph, Requirement]:
    """The same, with every figure that is not stated as good as it could be.

    With `detour_s`, each link that lacks a figure takes that much longer, so that the fastest way lacks the fewest.
    """
    pairs = tuple(Pair(_ideal(pair.source), _ideal(pair.destination)) for pair in requirement.pairs)
    asked = requirement if pairs == requirement.pairs else replace(requirement, pairs=pairs)
    slowed: frozenset[str] = frozenset()
    if detour_s:
        slowed = frozenset(link.id for link in graph.topology.links.values() if _lacks(link, asked))
    kept = graph.kept_ideal.get(slowed)  # nothing else of the requirement makes a difference
    if kept is None:
        same = not slowed and not _any_unstated(graph.topology)
        kept = graph.kept_ideal[slowed] = graph if same else _ideal_graph(graph, slowed, detour_s)
    return kept, asked


def _any_unstated(topology: Topology) -> bool:
    return any(node.availability is None for node in topology.nodes.values()) or any(
        link.capacity_bps is None or link.delay_s is None or link.availability is None
        for link in topology.links.values()
    )


def _ideal_graph(graph: PathGraph, slowed: Collection[str] = (), detour_s: float = 0.0) -> PathGraph:
    """The network with what is not stated at its best, and `slowed` links slower by `detour_s`."""
    topology = graph.topology
    nodes = {
        name: replace(node, availability=1.0) if node.availability is None else node
        for name, node in topology.nodes.items()
    }
    links = {
        name: replace(
            link,
            capacity_bps=_BOUNDLESS_BPS if link.capacity_bps is None else link.capacity_bps,
            delay_s=(link.delay_s or 0.0) + (detour_s if name in slowed else 0.0),
            availability=1.0 if link.availability is None else link.availability,
        )
        for name, link in topology.links.items()
    }
    ideal = Topology(
        topology.name, MappingProxyType(nodes), MappingProxyType(links), topology.endpoints, topology.risk_groups
    )
    return PathGraph(ideal)


def _lacks(link: Link, requirement: Requirement) -> bool:
    return any(True for _ in _link_figures(link, requirement))


def _ideal(endpoint: Endpoint) -> Endpoint:
    return replace(endpoint, capacity_bps=_BOUNDLESS_BPS) if endpoint.capacity_bps is None else endpoint


def missing_figures(topology: Topology, requirement: Requirement, wanted: Embedding) -> list[Reason]:
    """One reason for each figure that `wanted`, a plan on the idealised topology, takes for granted."""
    found = dict.fromkeys(_missing(topology, requirement, wanted))
    return [
        Reason("unknown-data", name, figure, None, None, f"{kind} {name} states no {figure}")
        for kind, name, figure in found
    ]


def _missing(topology: Topology, requirement: Requirement, wanted: Embedding) -> Iterator[tuple[str, str, str]]:
    for pair in requirement.pairs:
        for endpoint in (pair.source, pair.destination):
            if endpoint.capacity_bps is None:
                yield "endpoint", endpoint.id, "capacity"
    for row in wanted.rows:
        for name in row.route.links:
            for figure in _link_figures(topology.links[name], requirement):
                yield "link", name, figure
        for name in row.route.nodes:
            if requirement.objectives.availability is not None and topology.nodes[name].availability is None:
                yield "node", name, "availability"


def _link_figures(link: Link, requirement: Requirement) -> Iterator[str]:
    """The figures that a promise needs of a link and it does not state."""
    objectives = requirement.objectives
    if link.capacity_bps is None:
        yield "capacity"
    if link.delay_s is None and (objectives.delay_s is not None or objectives.jitter_s is not None):
        yield "delay"
    if link.availability is None and objectives.availability is not None:
        yield "availability"
