"""How long one path search takes, against NetworkX and SciPy on the same graph in the same run.

    python benchmarks/path_search.py [--queries 60] [--intents 1000] [--report reports/bench]

Random geometric graphs (2000 nodes and 6000 links, 4000 and 12,000), links 10 ms across the square. Peers: NetworkX's
Dijkstra from one source and its edge-disjoint pair, SciPy's csgraph Dijkstra from one source. Ours: the fastest path;
a constrained path whose bound on availability the fastest path breaks (half way between what it reaches and what the
most available path reaches); the cheapest node-disjoint pair. Beside each ratio stands what is asked for; over SciPy
that is twice what a search compiled by numba took on the reference machine (`SIZES`).

Then intents planned one by one on CERNET, warm, with as many disjoint paths as they need or with a backup each. Queries
take turns, and processor time is counted (all run in one thread), so that a busy moment of the machine hits all alike.
Beside them, NetworkX finds one shortest path for each, and promises nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import Any

import networkx as nx
import numpy as np
from plan_time import AVAILABILITY, CAPACITY_BPS, intents_of
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import KDTree

from carelane.controller.pipeline import plan, resolve
from carelane.topology import CapacityLedger, Topology, load_topology
from carelane.topology.disjoint import disjoint_routes
from carelane.topology.model import Link, Node
from carelane.topology.paths import Effort, PathGraph, PathLimits, Query, best_route
from carelane.topology.search import _engine
from carelane.topology.search._route import least_wear

SIZES = {(2000, 6000): (0.17, 0.43, 0.37), (4000, 12_000): (0.34, 0.91, 0.77)}
"""Nodes and links, with the reference: ms of SciPy from one source, of a constrained path, of a disjoint pair."""
PLENTY = 10**9
FREE = PathLimits(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, inf, inf, inf, inf, False, inf)
PEER_PAIR, PEER, SCIPY = "networkx edge-disjoint pair", "networkx dijkstra, one source", "scipy csgraph, one source"


def geometric(nodes: int, links: int, seed: int) -> Topology:
    """The `links` shortest of all links between random places in a square."""
    dice = random.Random(seed)
    places = [(dice.random(), dice.random()) for _ in range(nodes)]
    near = KDTree(places).query_pairs(2 * math.sqrt(2 * links / (math.pi * nodes * nodes)))
    chosen = sorted(near, key=lambda pair: math.dist(places[pair[0]], places[pair[1]]))[:links]
    made = {
        f"l{k}": Link(
            f"l{k}", f"n{a}", f"n{b}", 1, 1, 10**9, math.dist(places[a], places[b]) / 100, 1 - 10 ** -dice.uniform(2, 5)
        )
        for k, (a, b) in enumerate(chosen)
    }
    return Topology(
        f"geometric-{nodes}-{links}",
        MappingProxyType({f"n{k}": Node(f"n{k}", k + 1, 0.99999) for k in range(nodes)}),
        MappingProxyType(made),
        MappingProxyType({}),
        MappingProxyType({}),
    )


class Bench:
    """One graph and its competitors."""

    def __init__(self, topology: Topology, queries: int, seed: int) -> None:
        self.graph = graph = PathGraph(topology)
        self.peer: nx.Graph[int] = nx.Graph()
        for k, name in enumerate(graph.link_ids):
            a, b = graph.tail[2 * k], graph.tail[2 * k + 1]
            self.peer.add_edge(a, b, weight=topology.links[name].delay_s or 0.0)
        size = len(graph.node_ids)
        ends = list(self.peer.edges(data="weight"))
        half = csr_matrix(([w for _, _, w in ends], ([a for a, _, _ in ends], [b for _, b, _ in ends])), (size, size))
        self.matrix: Any = half + half.T
        dice = random.Random(seed)
        joined = sorted(max(nx.connected_components(self.peer), key=len))
        self.pairs = [tuple(dice.sample(joined, 2)) for _ in range(queries)]
        self.everywhere, self.room = np.ones(2 * len(graph.link_ids), dtype=np.bool_), np.array(graph.capacity)
        self.bounds = {pair: self._half_way(*pair) for pair in self.pairs}

    def query(self, a: int, b: int, max_wear: float = inf) -> Query:
        return Query(self.graph, a, b, self.everywhere, self.room, lambda _: True, max_wear, limits=FREE)

    def _half_way(self, a: int, b: int) -> float:
        query = self.query(a, b)
        route = best_route(query, Effort(PLENTY))
        assert route is not None
        fastest = query.metrics(self.graph.arcs(route)).wear
        return (fastest + least_wear(query, frozenset(), frozenset())) / 2

    def pair(self, a: int, b: int) -> object:
        query = self.query(a, b)
        return disjoint_routes([query, query], Effort(PLENTY))

    def work(self) -> dict[str, Callable[[int, int], object]]:
        return {
            PEER: lambda a, _: nx.single_source_dijkstra_path_length(self.peer, a),
            SCIPY: lambda a, _: dijkstra(self.matrix, indices=a),
            PEER_PAIR: lambda a, b: list(nx.edge_disjoint_paths(self.peer, a, b, cutoff=2)),
            "fastest path": lambda a, b: best_route(self.query(a, b), Effort(PLENTY)),
            "constrained path": lambda a, b: best_route(self.query(a, b, self.bounds[a, b]), Effort(PLENTY)),
            "disjoint pair": self.pair,
        }


def measure(bench: Bench) -> dict[str, float]:
    """Median milliseconds of each, after one round to warm up."""
    work = bench.work()
    taken: dict[str, list[float]] = {name: [] for name in work}
    for place, (a, b) in enumerate([bench.pairs[0], *bench.pairs]):
        for name, run in work.items():
            start = time.thread_time()
            run(a, b)
            if place:
                taken[name].append(1e3 * (time.thread_time() - start))
    return {name: statistics.median(times) for name, times in taken.items()}


def compared(
    median_ms: dict[str, float], scipy_ms: float, constrained_ms: float, pair_ms: float
) -> dict[str, tuple[float, float]]:
    """What was measured over its peers, and what it may be: from SciPy, twice the reference's own ratio."""
    marks = {
        ("constrained path", PEER): 0.2,
        ("disjoint pair", PEER_PAIR): 0.02,
        ("constrained path", SCIPY): 2 * constrained_ms / scipy_ms,
        ("disjoint pair", SCIPY): 2 * pair_ms / scipy_ms,
    }
    return {f"{ours} / {peer}": (median_ms[ours] / median_ms[peer], mark) for (ours, peer), mark in marks.items()}


def singly(count: int, protection: str, *, alone: bool) -> dict[str, float]:
    """Intents decided one by one on CERNET: each alone, or beside all admitted before it, when many are refused.

    A refusal takes longer than a promise: it is explained with offers, each of which is planned.
    """
    topology = load_topology("cernet", default_capacity_bps=CAPACITY_BPS, default_availability=AVAILABILITY)
    wanted = [
        replace(resolve(intent, topology), protection=protection)  # type: ignore[arg-type]
        for intent in intents_of(topology, count, seed=1)
    ]
    peer: nx.Graph[str] = nx.Graph()
    for link in topology.links.values():
        peer.add_edge(link.a, link.b, weight=link.delay_s or 0.0)
    plan(topology, wanted[: count // 10])  # warm
    ledger, paths = CapacityLedger(), 0
    admitted, refused, peers = list[float](), list[float](), list[float]()
    for requirement in wanted:
        start = time.thread_time()
        result = plan(topology, [requirement], ledger)
        taken = 1e3 * (time.thread_time() - start)
        ledger = ledger if alone else result.ledger
        (refused, admitted)[result.decisions[0].admitted].append(taken)
        paths += len(result.decisions[0].paths)
        (pair,) = requirement.pairs
        start = time.thread_time()
        nx.shortest_path(peer, pair.source.node, pair.destination.node, weight="weight")
        peers.append(1e3 * (time.thread_time() - start))
    medians = {"all": [*admitted, *refused], "admitted": admitted, "refused": refused, "peer": peers}
    return {
        "intents": count,
        "admitted": len(admitted),
        "paths": paths,
        **{f"median_ms_{name}": round(statistics.median(times), 3) for name, times in medians.items() if times},
        "worst_ms": round(max(*admitted, *refused), 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=60)
    parser.add_argument("--intents", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, default=Path("reports/bench"))
    options = parser.parse_args()
    _engine.engine(_engine.PATIENCE)  # warm: the compiled kernels from the start
    document: dict[str, Any] = {"benchmark": "path_search", "python": platform.python_version(), "graphs": {}}
    for (nodes, links), reference_ms in SIZES.items():
        rows = measure(Bench(geometric(nodes, links, options.seed), options.queries, options.seed))
        print(f"{nodes} nodes, {links} links{'':14} {'median':>9} {'x scipy':>8}")
        for name, median_ms in rows.items():
            print(f"  {name:32} {median_ms:7.3f}ms {median_ms / rows[SCIPY]:8.2f}")
        ratios = compared(rows, *reference_ms)
        for name, (ratio, at_most) in ratios.items():
            print(f"  {name:64} {ratio:7.4f} (at most {at_most:.4g})")
        document["graphs"][f"{nodes}-{links}"] = {"median_ms": rows, "ratios": ratios}
    columns = ("all", "admitted", "refused", "peer")
    print(f"{options.intents} intents singly on CERNET, median ms (at most 2) {'':4}", *(f"{c:>9}" for c in columns))
    for protection in ("auto", "required"):
        for alone in (True, False):
            name = f"protection {protection}, {'each alone' if alone else 'one beside the other'}"
            row = document[f"cernet, {name}"] = singly(options.intents, protection, alone=alone)
            medians = (f"{row.get(f'median_ms_{column}', math.nan):9.3f}" for column in columns)
            print(f"  {name:44}", *medians, f" {row['admitted']} admitted on {row['paths']} paths")
    options.report.mkdir(parents=True, exist_ok=True)
    (options.report / "path_search.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
