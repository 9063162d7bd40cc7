"""How much is admitted, how far from the optimum at most, and how long it takes.

    python benchmarks/admission.py [--networks Cogentco Kdl national] [--intents 10000] [--report reports/bench]

Cogentco and Kdl: unsplittable intents between random pairs, 1 to 10 Mbit/s one way, 1500 Mbit/s an arc, nothing else
asked for. The peer is a plain exponential-weight greedy (each intent in turn on the cheapest way with room, an arc
costing exp(9 * load / capacity)), written on NetworkX and nothing else; it promises and proves nothing.

National: a hierarchy of 30,000 switches (province, city, county, township; the upper levels dual-homed) and 100,000
access intents with the catalogue's objectives, from township to county hospital or city centre, decided online.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import resource
import time
from collections.abc import Sequence
from itertools import pairwise
from math import exp
from pathlib import Path
from types import MappingProxyType
from typing import Any

import networkx

from carelane.controller.pipeline import plan, resolve
from carelane.controller.pipeline.requirement import Requirement
from carelane.intents.model import ServiceIntent, StatedObjectives
from carelane.topology import Topology, load_topology
from carelane.topology.model import Endpoint, Link, Node

DATA = Path(__file__).parent / "data"
ARC_BPS = 1500 * 10**6
GBPS = 10**9


def crowd(topology: Topology, count: int, seed: int) -> list[ServiceIntent]:
    """Intents that ask for nothing but 1 to 10 Mbit/s from one random endpoint to another."""
    dice = random.Random(seed)
    names = sorted(topology.endpoints)
    made = []
    for index in range(count):
        a, b = dice.sample(names, 2)
        rate = dice.randint(1, 10) * 10**6
        asked = StatedObjectives("none", "none", "none", "none", forward_bps=rate, reverse_bps=rate)
        made.append(ServiceIntent(f"i{index}", "t", "video-conference", (a,), (b,), asked, direction="forward"))
    return made


def greedy(topology: Topology, requirements: Sequence[Requirement], steepness: float = 9.0) -> int:
    """The peer: bit/s admitted by a plain exponential-weight greedy."""
    graph: networkx.DiGraph[str] = networkx.DiGraph()
    for link in topology.links.values():
        for a, b in ((link.a, link.b), (link.b, link.a)):
            graph.add_edge(a, b, left=ARC_BPS, weight=1.0)
    admitted = 0
    for item in requirements:
        rate, (pair,) = item.forward_bps, item.pairs

        def cost(_a: str, _b: str, arc: dict[str, Any], rate: int = rate) -> float | None:
            return arc["weight"] if arc["left"] >= rate else None

        try:
            path = networkx.dijkstra_path(graph, pair.source.node, pair.destination.node, cost)
        except networkx.NetworkXNoPath:
            continue
        admitted += rate
        for a, b in pairwise(path):
            arc = graph[a][b]
            arc["left"] -= rate
            arc["weight"] = exp(steepness * (1.0 - arc["left"] / ARC_BPS))
    return admitted


def national(provinces: int = 30) -> Topology:
    """30 provinces of 10 cities of 10 counties of 9 townships: 30,330 switches.

    Province centres form a ring with chords; cities hang on their province and on the next city, counties on their
    city and on the next county; a township has one uplink. One endpoint at every township, hospital and centre.
    """
    nodes: list[str] = []
    links: list[tuple[str, str, int, float]] = []
    for p in range(provinces):
        province = f"p{p:02}"
        nodes.append(province)
        links += [(province, f"p{(p + step) % provinces:02}", 800 * GBPS, 400.0) for step in (1, 7)]
        for c in range(10):
            city = f"{province}c{c}"
            nodes.append(city)
            links += [(city, province, 200 * GBPS, 150.0), (city, f"{province}c{(c + 1) % 10}", 100 * GBPS, 120.0)]
            for y in range(10):
                county = f"{city}y{y}"
                nodes.append(county)
                links += [(county, city, 20 * GBPS, 50.0), (county, f"{city}y{(y + 1) % 10}", 10 * GBPS, 40.0)]
                for t in range(9):
                    nodes.append(f"{county}t{t}")
                    links.append((f"{county}t{t}", county, GBPS, 15.0))
    return Topology(
        "national",
        MappingProxyType({name: Node(name, k + 1, 0.99999) for k, name in enumerate(nodes)}),
        MappingProxyType({
            f"l{k}": Link(
                f"l{k}", a, b, 1000 + k, 1000 + k, capacity_bps=rate, delay_s=km * 5e-6, availability=1 - km * 1.46e-6,
                length_m=km * 1000,
            )
            for k, (a, b, rate, km) in enumerate(links)
        }),
        MappingProxyType({
            name: Endpoint(name, name, 1, capacity_bps=100 * GBPS if "y" not in name else 10 * GBPS) for name in nodes
        }),
        MappingProxyType({}),
    )  # fmt: skip


def access_intents(topology: Topology, count: int, seed: int) -> list[ServiceIntent]:
    """From township stations to the hospital of their county, or the centre of their city, with real objectives."""
    dice = random.Random(seed)
    stations = [name for name in sorted(topology.endpoints) if "t" in name]
    made = []
    for index in range(count):
        station = stations[index % len(stations)]
        county = station.split("t")[0]
        to = county if dice.random() < 0.7 else county.split("y")[0]
        service, rate = dice.choice([("remote-consultation", 5), ("remote-monitoring", 1), ("remote-ultrasound", 16)])
        asked = StatedObjectives(
            delay_s=0.1,
            jitter_s=0.01,
            loss="none",
            availability=0.999,
            forward_bps=rate * 10**6,
            reverse_bps=rate * 10**6,
        )
        made.append(ServiceIntent(f"a{index}", "t", service, (station,), (to,), asked, burst_bytes=3000))
    return made


def peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def crowded(name: str, count: int, seed: int) -> dict[str, Any]:
    topology = load_topology(DATA / f"{name}.graphml", default_capacity_bps=ARC_BPS)
    requirements = [resolve(intent, topology) for intent in crowd(topology, count, seed)]
    offered = sum(item.forward_bps for item in requirements)
    start = time.perf_counter()
    peer = greedy(topology, requirements)
    row: dict[str, Any] = {"peer_share": peer / offered, "peer_s": time.perf_counter() - start}
    for label, optimize in (("online", False), ("batch", True)):
        start = time.perf_counter()
        result = plan(topology, requirements, optimize=optimize)
        row |= {
            f"{label}_share": result.totals.admitted_bps / offered,
            f"{label}_bound": result.totals.upper_bound_bps / offered,
            f"{label}_gap": result.totals.gap,
            f"{label}_proven": sum(decision.proven for decision in result.decisions),
            f"{label}_s": time.perf_counter() - start,
        }
    print(f"{name}, {count} intents, {offered / 1e6:.0f} Mbit/s offered")
    print(f"  peer greedy     {row['peer_share']:8.2%} {row['peer_s']:7.1f} s")
    for label in ("online", "batch"):
        print(
            f"  carelane {label:6} {row[f'{label}_share']:8.2%} {row[f'{label}_s']:7.1f} s, at most "
            f"{row[f'{label}_bound']:.2%}, gap {row[f'{label}_gap']:.3%}, {row[f'{label}_proven']} decisions proven"
        )
    return row


def nationwide(count: int, seed: int) -> dict[str, Any]:
    topology = national()
    intents = access_intents(topology, count, seed)
    start = time.perf_counter()
    requirements = [resolve(intent, topology) for intent in intents]
    resolved = time.perf_counter()
    result = plan(topology, requirements)
    end = time.perf_counter()
    admitted = sum(decision.admitted for decision in result.decisions)
    row = {
        "nodes": len(topology.nodes),
        "links": len(topology.links),
        "resolve_s": resolved - start,
        "plan_s": end - resolved,
        "admitted": admitted,
        "proven": sum(decision.proven for decision in result.decisions),
        "gap": result.totals.gap,
        "peak_gib": peak_gib(),
    }
    print(f"national, {row['nodes']} switches, {row['links']} links, {count} access intents with objectives")
    print(
        f"  carelane online {admitted} admitted, gap {result.totals.gap:.3%}, resolve {row['resolve_s']:.1f} s, "
        f"plan {row['plan_s']:.1f} s, peak {row['peak_gib']:.2f} GiB"
    )
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["Cogentco", "Kdl", "national"])
    parser.add_argument("--intents", type=int, default=10_000)
    parser.add_argument("--access-intents", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, default=Path("reports/bench"))
    options = parser.parse_args()
    rows = {
        name: nationwide(options.access_intents, options.seed)
        if name == "national"
        else crowded(name, options.intents, options.seed)
        for name in options.networks
    }
    options.report.mkdir(parents=True, exist_ok=True)
    document = {"benchmark": "admission", "python": platform.python_version(), "seed": options.seed, "rows": rows}
    (options.report / "admission.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
