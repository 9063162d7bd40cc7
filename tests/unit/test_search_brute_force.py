"""Feasible whenever feasible: every pair of networks of at most 41 nodes, against brute force and min-cost flow.

The oracles enumerate simple paths, or let NetworkX solve the flow, and share no code with the search.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from math import inf, log
from pathlib import Path
from types import MappingProxyType

import networkx as nx
import pytest

from carelane.topology import load_topology
from carelane.topology.disjoint import disjoint_routes
from carelane.topology.model import Link, Node, Topology
from carelane.topology.paths import Effort, Metrics, PathGraph, PathLimits, Query, Route, best_route

ZOO = Path(__file__).parents[1] / "data" / "topology-zoo"
NETWORKS = (
    "gaotai",
    "telesurgery-3700km",
    "cernet",
    str(ZOO / "Janetbackbone.graphml"),
    str(ZOO / "Janetlense.graphml"),
    str(ZOO / "Geant2012.graphml"),
)
BITS, PACKET = 24_000, 12_000
PLENTY = 10**9


def network(name: str, seed: int = 1) -> PathGraph:
    """The network with capacities, availabilities and some ducts drawn by lot, so that bounds bind."""
    dice = random.Random(seed)
    topology = load_topology(name, default_capacity_bps=10**9, default_availability=0.9999)
    links = {
        key: replace(
            link,
            capacity_bps=dice.choice([10, 100, 1000]) * 10**6,
            delay_s=link.delay_s if link.delay_s is not None else dice.randint(1, 9) / 1000,
            availability=dice.choice([0.99, 0.999, 0.9999]),
            risk_groups=frozenset({f"duct-{dice.randint(1, 12)}"} if dice.random() < 0.3 else ()),
        )
        for key, link in topology.links.items()
    }
    return PathGraph(replace(topology, links=MappingProxyType(links)))


@dataclass(frozen=True)
class Way:
    """A simple path, and what it may not share as bits."""

    cost: tuple[int, int, list[int]]
    metrics: Metrics
    bits: int


def all_ways(graph: PathGraph, query: Query) -> list[Way]:
    """Every simple path, cheapest first."""
    groups = {group: 1 << place for place, group in enumerate(sorted(graph.group_links))}
    nodes, links = len(graph.node_ids), len(graph.link_ids)
    found: list[Way] = []
    path: list[int] = []
    passed = {query.source}

    def onwards(node: int, bits: int) -> None:
        if node == query.target:
            metrics = query.metrics(path)
            found.append(Way((metrics.propagation_ps, metrics.hops, list(path)), metrics, bits))
            return
        for following, arc in graph.leaving[node]:
            if following not in passed and query.usable[arc]:
                own = 1 << (nodes + (arc >> 1)) | (1 << following if following != query.target else 0)
                for group in graph.link_groups[arc >> 1]:
                    own |= groups[group] << (nodes + links)
                passed.add(following)
                path.append(arc)
                onwards(following, bits | own)
                path.pop()
                passed.discard(following)

    onwards(query.source, 0)
    return sorted(found, key=lambda way: way.cost)


def ask(graph: PathGraph, a: int, b: int, delay_ps: int, max_wear: float) -> Query:
    """A bound on delay at a rate of at least 20 Mbit/s, and one on wear."""

    def acceptable(metrics: Metrics) -> bool:
        bits = BITS + (metrics.hops + 1) * PACKET
        left = delay_ps - metrics.propagation_ps - metrics.latency_ps
        return metrics.room >= 20 * 10**6 and left > 0 and bits * 10**12 <= left * metrics.room

    room = [capacity or 0 for capacity in graph.capacity]
    limits = PathLimits(20e6, 0.0, BITS, 0.0, PACKET, 0.0, 0.0, inf, inf, float(delay_ps), inf, False, inf)
    usable = [free >= 20 * 10**6 for free in room]
    return Query(graph, a, b, usable, room, acceptable, max_wear, limits=limits)


def bounds(ways: list[Way], dice: random.Random) -> tuple[int, float]:
    """A delay that some ways keep and some do not, and a wear likewise."""
    fastest = ways[0].metrics.propagation_ps
    return round(fastest * dice.choice([1.05, 1.3, 2]) + 10**9), -log(dice.choice([0.97, 0.985, 0.995, 0.5]))


def pairs_of(graph: PathGraph, most: int | None = None) -> list[tuple[int, int]]:
    pairs = list(combinations(range(len(graph.node_ids)), 2))
    return pairs if most is None else random.Random(1).sample(pairs, most)


def cost_of(graph: PathGraph, query: Query, routes: tuple[Route, ...]) -> tuple[int, int]:
    each = [query.metrics(graph.arcs(route)) for route in routes]
    return sum(metrics.propagation_ps for metrics in each), sum(metrics.hops for metrics in each)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_constrained_path_and_pair_that_brute_force_finds(name: str) -> None:
    graph, dice = network(name), random.Random(2)
    met = missed = 0
    for a, b in pairs_of(graph):
        free = ask(graph, a, b, 10**18, inf)
        ways = all_ways(graph, free)
        if not ways:
            assert best_route(free, Effort(PLENTY)) is None
            continue
        delay_ps, max_wear = bounds(ways, dice)
        query = ask(graph, a, b, delay_ps, max_wear)
        good = [way for way in ways if query.passes(way.metrics)]
        route, effort = best_route(query, Effort(PLENTY)), Effort(PLENTY)
        assert route == (graph.route(a, good[0].cost[2]) if good else None)
        expected = cheapest_pair(good)
        pair = disjoint_routes([query, query], effort)
        assert not effort.exhausted
        assert (cost_of(graph, query, pair) if pair else None) == expected
        met += expected is not None
        missed += expected is None
    assert len(graph.node_ids) < 20 or (met and missed)  # the bounds bind, but not always


def cheapest_pair(ways: list[Way]) -> tuple[int, int] | None:
    best: tuple[int, int] | None = None
    for place, first in enumerate(ways):
        if best is not None and (2 * first.cost[0], 2 * first.cost[1]) >= best:
            break
        for second in ways[place + 1 :]:
            total = first.cost[0] + second.cost[0], first.cost[1] + second.cost[1]
            if best is not None and total >= best:
                break
            if not first.bits & second.bits:
                best = total
                break
    return best


def flow_cost(graph: PathGraph, a: int, b: int, count: int) -> tuple[int, int] | None:
    """Least propagation and hops of node-disjoint paths by NetworkX's network simplex; hops in the last digits."""
    unit = 10**4
    net: nx.MultiDiGraph[tuple[int, str]] = nx.MultiDiGraph()
    for node in range(len(graph.node_ids)):
        net.add_edge((node, "in"), (node, "out"), capacity=count if node in (a, b) else 1, weight=0)
    for arc, tail in enumerate(graph.tail):
        weight = graph.propagation[arc >> 1] * unit + 1
        net.add_edge((tail, "out"), (graph.tail[arc ^ 1], "in"), capacity=1, weight=weight)
    net.add_node((a, "in"), demand=-count)
    net.add_node((b, "out"), demand=count)
    try:
        return divmod(nx.network_simplex(net)[0], unit)
    except nx.NetworkXUnfeasible:
        return None


def unconstrained(graph: PathGraph, a: int, b: int) -> Query:
    limits = PathLimits(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, inf, inf, inf, inf, False, inf)
    everywhere = [True] * len(graph.tail)
    return Query(graph, a, b, everywhere, [1] * len(everywhere), lambda _: True, limits=limits)


def without_ducts(graph: PathGraph) -> PathGraph:
    links = {name: replace(link, risk_groups=frozenset()) for name, link in graph.topology.links.items()}
    nodes = {name: replace(node, risk_groups=frozenset()) for name, node in graph.topology.nodes.items()}
    return PathGraph(replace(graph.topology, links=MappingProxyType(links), nodes=MappingProxyType(nodes)))


@pytest.mark.parametrize("name", NETWORKS)
def test_unconstrained_sets_cost_what_min_cost_flow_costs(name: str) -> None:
    graph = without_ducts(network(name))
    dice = random.Random(3)
    for a, b in pairs_of(graph):
        count = dice.choice([2, 2, 3])
        query = unconstrained(graph, a, b)
        found = disjoint_routes([query] * count, Effort(PLENTY))
        assert (cost_of(graph, query, found) if found else None) == flow_cost(graph, a, b, count)


def traps() -> Iterator[Topology]:
    """The classical trap: the shortest path from s to t crosses over and blocks both alternatives; n in a row."""
    for rungs in (1, 3, 6):
        links = []
        for rung in range(rungs):
            a, u, v, b = (f"{kind}{rung}" for kind in "auvb")
            following = f"a{rung + 1}"
            for tail, head, delay in ((a, u, 1), (u, v, 1), (v, b, 1), (a, v, 4), (u, b, 4), (b, following, 1)):
                links.append((tail, head, delay))
            links.append((f"x{rung}", f"x{rung + 1}", 9))
        links += [("a0", "x0", 1), (f"a{rungs}", f"x{rungs}", 1)]
        yield made(links)


def grid(width: int, dice: random.Random) -> Topology:
    links = []
    for x in range(width):
        for y in range(width):
            if x + 1 < width:
                links.append((f"g{x}.{y}", f"g{x + 1}.{y}", dice.randint(1, 4)))
            if y + 1 < width:
                links.append((f"g{x}.{y}", f"g{x}.{y + 1}", dice.randint(1, 4)))
    return made(links)


def made(links: list[tuple[str, str, int]]) -> Topology:
    nodes = sorted({end for link in links for end in link[:2]})
    return Topology(
        "made",
        MappingProxyType({name: Node(name, place + 1, 0.9999) for place, name in enumerate(nodes)}),
        MappingProxyType(
            {f"l{k}": Link(f"l{k}", a, b, 1, 1, 10**9, delay / 1000, 0.999) for k, (a, b, delay) in enumerate(links)}
        ),
        MappingProxyType({}),
        MappingProxyType({}),
    )


@pytest.mark.parametrize(
    "topology", [*traps(), grid(4, random.Random(4)), grid(7, random.Random(5)), grid(9, random.Random(6))]
)
def test_no_disjoint_pair_is_missed_on_traps_and_grids(topology: Topology) -> None:
    graph = PathGraph(topology)
    for a, b in pairs_of(graph, min(120, len(topology.nodes) * (len(topology.nodes) - 1) // 2)):
        query = unconstrained(graph, a, b)
        found = disjoint_routes([query, query], Effort(PLENTY))
        assert (cost_of(graph, query, found) if found else None) == flow_cost(graph, a, b, 2)
