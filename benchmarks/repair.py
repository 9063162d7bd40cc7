"""How long it takes to plan again what the busiest link of a large network carried, on one core.

    python benchmarks/repair.py [--nodes 3800] [--intents 8900] [--report reports/bench]

A grid with gaps; half of the intents lead to one national centre, the others between random places, so that the
busiest link carries about 1,500 of them. That link fails, and each of them is decided again with its bounds proven.
The peer is NetworkX finding one shortest path for each struck intent on the network that is left, with no bounds, no
capacity, no availability. Processor time is counted (one thread); the wall clock is printed beside it.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import time
from collections import Counter
from pathlib import Path
from types import MappingProxyType

import networkx as nx

from carelane.controller.pipeline import plan
from carelane.controller.pipeline.replan import replan
from carelane.controller.pipeline.requirement import Objectives, Pair, Requirement
from carelane.topology import to_graph
from carelane.topology.failure import Failure
from carelane.topology.model import Endpoint, Link, Node, Topology

MBPS = 10**6


def network(count: int, seed: int) -> Topology:
    """A grid over 2000 km with a tenth of its links taken out at random (never cut apart), 100 Gbit/s each."""
    side = max(2, round(count**0.5))
    graph = nx.grid_2d_graph(side, side)
    dice = random.Random(seed)
    kept = {frozenset(edge) for edge in nx.minimum_spanning_edges(graph, data=False)}
    for edge in sorted(graph.edges):
        if frozenset(edge) not in kept and dice.random() < 0.2:
            graph.remove_edge(*edge)
    name = {place: f"n{index}" for index, place in enumerate(sorted(graph.nodes))}
    links = {}
    for number, (a, b) in enumerate(sorted(graph.edges)):
        length_m = 2e6 / side * dice.uniform(0.8, 1.4)
        links[f"l{number}"] = Link(
            f"l{number}", name[a], name[b], 10 + number, 10 + number, 100_000 * MBPS, length_m * 5e-9, 0.9999
        )
    return Topology(
        f"grid-{len(name)}",
        MappingProxyType({node: Node(node, index + 1, 0.999999) for index, node in enumerate(name.values())}),
        MappingProxyType(links),
        MappingProxyType({f"e{n}": Endpoint(f"e{n}", n, 1, capacity_bps=100_000 * MBPS) for n in name.values()}),
        MappingProxyType({}),
    )


def wishes(topology: Topology, count: int, seed: int) -> list[Requirement]:
    """Every other one to the centre: the place with four links that is nearest to the middle of the list."""
    dice = random.Random(seed)
    ends = list(topology.endpoints.values())
    degree = Counter(node for link in topology.links.values() for node in (link.a, link.b))
    middle = len(ends) // 2
    _, centre = min((abs(place - middle), place) for place, end in enumerate(ends) if degree[end.node] == 4)
    found = []
    for number in range(count):
        a, b = dice.sample(ends, 2)
        if number % 2 and a is not ends[centre]:
            b = ends[centre]
        rate_bps = dice.randint(1, 20) * MBPS
        found.append(
            Requirement(
                f"i{number}",
                "t",
                "s",
                "telephony",
                dice.randint(1, 5),
                "point-to-point",
                (Pair(a, b),),
                rate_bps,
                rate_bps,
                1500,
                1500,
                Objectives(delay_s=0.5, availability=0.9),
            )
        )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=3800)
    parser.add_argument("--intents", type=int, default=8_900)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, default=Path("reports/bench"))
    options = parser.parse_args()
    topology = network(options.nodes, options.seed)
    start = time.perf_counter()
    planned = plan(topology, wishes(topology, options.intents, options.seed))
    plan_s = time.perf_counter() - start
    held = [decision for decision in planned.decisions if decision.admitted]
    load = Counter(hop.link for decision in held for path in decision.paths for hop in path.hops)
    busiest, struck = load.most_common(1)[0]
    failure = Failure(links=frozenset({busiest}))
    replanned = replan(topology, held, planned.ledger, failure)  # the first one may compile
    times = []
    for _ in range(3):
        start, began = time.perf_counter(), time.thread_time()
        replan(topology, held, planned.ledger, failure)
        times.append((time.thread_time() - began, time.perf_counter() - start))
    repair_s, wall_s = sorted(times)[1]
    left = nx.Graph()
    for a, b, data in to_graph(replanned.topology).edges(data=True):
        left.add_edge(a, b, delay_s=data["data"].delay_s)
    ends = [fate.before.requirement.pairs[0] for fate in replanned.fates if fate.outcome != "kept"]
    start = time.thread_time()
    for pair in ends:
        if nx.has_path(left, pair.source.node, pair.destination.node):
            nx.shortest_path(left, pair.source.node, pair.destination.node, weight="delay_s")
    peer_s = time.thread_time() - start
    outcomes = Counter(fate.outcome for fate in replanned.fates)
    document = {
        "benchmark": "repair",
        "python": platform.python_version(),
        "nodes": options.nodes,
        "links": len(topology.links),
        "intents": options.intents,
        "admitted": len(held),
        "plan_s": round(plan_s, 3),
        "struck": struck,
        "outcomes": dict(outcomes),
        "repair_s": round(repair_s, 3),
        "wall_s": round(wall_s, 3),
        "peer_s": round(peer_s, 3),
        "ratio": round(repair_s / peer_s, 3),
    }
    print(
        f"{topology.name}: {len(topology.links)} links, {len(held)} of {options.intents} intents held ({plan_s:.1f} s)"
    )
    print(f"busiest link {busiest} fails under {struck} of them: {dict(outcomes)}")
    print(f"{'carelane replan (median of 3)':34} {repair_s:8.3f} s {repair_s / peer_s:8.2f} x peer (at most 3 s)")
    print(f"{'the same by the clock':34} {wall_s:8.3f} s")
    print(f"{'networkx shortest paths (peer)':34} {peer_s:8.3f} s {1.0:8.2f} x peer")
    options.report.mkdir(parents=True, exist_ok=True)
    (options.report / "repair.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
