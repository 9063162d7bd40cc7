"""How long 100 intents take on CERNET, against the floor: NetworkX finding one shortest path for each of them.

    python benchmarks/plan_time.py [--intents 100] [--runs 5] [--report reports/bench]

CERNET's file states neither capacity nor availability, so both are given here, in the open: 10 Gbit/s, and 99.999%
for links and nodes.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import networkx

from carelane.controller.pipeline import plan, resolve
from carelane.controller.pipeline.slice_plan import PlanResult
from carelane.intents import ServiceIntent, parse_line
from carelane.topology import Topology, load_topology, to_graph

CAPACITY_BPS = 10_000_000_000
AVAILABILITY = 0.99999
MIX = (
    "remote surgery: 60 ms, 99.99%, 40 Mbps, loss none",
    "remote consultation: 150 ms, 99.9%, 5 Mbps",
    "emergency rescue: 100 ms, 99.9%, 16 Mbps, loss none",
    "remote monitoring: 100 ms, 99.9%, 1 Mbps",
)


def intents_of(topology: Topology, count: int, seed: int) -> list[ServiceIntent]:
    """`count` intents of the mix between random pairs of endpoints; the same seed gives the same intents."""
    dice = random.Random(seed)
    names = sorted(topology.endpoints)
    made = []
    for index in range(count):
        a, b = dice.sample(names, 2)
        made.append(parse_line(MIX[index % len(MIX)], source=(a,), to=(b,), name=f"intent-{index}"))
    return made


def timed(work: Callable[[], object], runs: int) -> list[float]:
    """Wall seconds of each run."""
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return taken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--intents", type=int, default=100)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, default=Path("reports/bench"))
    options = parser.parse_args()
    topology = load_topology("cernet", default_capacity_bps=CAPACITY_BPS, default_availability=AVAILABILITY)
    intents = intents_of(topology, options.intents, options.seed)
    graph = to_graph(topology)
    weighted: networkx.Graph[str] = networkx.Graph()
    for a, b, data in graph.edges(data=True):
        weighted.add_edge(a, b, delay_s=data["data"].delay_s or 0.0)
    pairs = [(topology.endpoints[i.source[0]].node, topology.endpoints[i.to[0]].node) for i in intents]

    def decide(*, optimize: bool = False) -> PlanResult:
        return plan(topology, [resolve(intent, topology) for intent in intents], optimize=optimize)

    def floor() -> None:
        for a, b in pairs:
            networkx.shortest_path(weighted, a, b, weight="delay_s")

    work: dict[str, Callable[[], object]] = {
        "networkx shortest path (peer)": floor,
        "carelane plan": decide,
        "carelane plan --optimize": lambda: decide(optimize=True),
    }
    taken = {name: timed(run, options.runs) for name, run in work.items()}
    result = decide()
    admitted = sum(decision.admitted for decision in result.decisions)
    base_s = statistics.median(taken["networkx shortest path (peer)"])
    rows = {
        name: {
            "median_s": round(statistics.median(times), 4),
            "ms_per_intent": round(1e3 * statistics.median(times) / options.intents, 3),
            "ratio": round(statistics.median(times) / base_s, 1),
        }
        for name, times in taken.items()
    }
    print(f"{options.intents} intents on {topology.name}: {admitted} admitted, gap {result.totals.gap:.2%}")
    print(f"{'':30} {'median':>9} {'an intent':>11} {'x peer':>8}")
    for name, row in rows.items():
        print(f"{name:30} {row['median_s']:8.3f}s {row['ms_per_intent']:9.2f}ms {row['ratio']:8.1f}")
    options.report.mkdir(parents=True, exist_ok=True)
    document = {
        "benchmark": "plan_time",
        "python": platform.python_version(),
        "intents": options.intents,
        "runs": options.runs,
        "seed": options.seed,
        "topology": topology.name,
        "admitted": admitted,
        "gap": result.totals.gap,
        "rows": rows,
    }
    (options.report / "plan_time.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
