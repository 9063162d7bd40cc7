"""How long it takes to prove the program of 2,000 intents on CERNET, and one more intent beside them.

    python benchmarks/verify.py [--intents 2000] [--added 50] [--report reports/bench]

CERNET's own links are too small for so many and its file states no availability and no addresses: 100 Gbit/s and
99.999% are given here, 1 ms for the links whose length is not known, and every node there gets eight endpoints with
addresses of their own. All sit within CERNET's largest biconnected part, so that every pair has two disjoint paths.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import random
import statistics
import time
from dataclasses import replace
from ipaddress import ip_network
from itertools import count
from pathlib import Path
from typing import Any

import networkx

from carelane.controller.pipeline import plan, resolve
from carelane.controller.pipeline.compile import Compilation
from carelane.controller.pipeline.diff import diff
from carelane.controller.pipeline.identifiers import labels_needed
from carelane.controller.pipeline.program import FIRST_LABEL, SliceIds
from carelane.controller.pipeline.slice_plan import Decision
from carelane.controller.pipeline.verify import Verifier
from carelane.intents import parse_line
from carelane.topology import Topology, load_topology, to_graph

ENDPOINTS_A_NODE = 8
CAPACITY_BPS = 100_000_000_000
LINE = "remote consultation: 150 ms, jitter none, availability none, 5 Mbps, loss none, protected"


def populated() -> Topology:
    """CERNET with eight addressed endpoints a node."""
    topology = load_topology("cernet", default_capacity_bps=CAPACITY_BPS, default_availability=0.99999)
    ports = {
        node: count(1 + max(max(link.a_port, link.b_port) for link in topology.links.values()))
        for node in topology.nodes
    }
    endpoints = {}
    parts: Any = networkx.biconnected_components(networkx.Graph(to_graph(topology)))
    for node in sorted(max(parts, key=len)):
        for k in range(ENDPOINTS_A_NODE):
            number = len(endpoints) + 1
            address = ip_network(f"10.{number >> 8}.{number & 255}.1/32")
            template = next(iter(topology.endpoints.values()))
            name = f"{node}/{k}"
            endpoints[name] = replace(template, id=name, node=node, port=next(ports[node]), address=address)
    links = {
        link.id: replace(link, capacity_bps=CAPACITY_BPS, delay_s=0.001 if link.delay_s is None else link.delay_s)
        for link in topology.links.values()
    }
    return replace(topology, endpoints=endpoints, links=links)


def admitted(topology: Topology, wanted: int, seed: int) -> list[tuple[Decision, SliceIds]]:
    """Protected slices between random pairs, as many as wanted."""
    dice = random.Random(seed)
    names = sorted(topology.endpoints)
    pairs: dict[tuple[str, str], None] = {}
    while len(pairs) < 2 * wanted:
        a, b = sorted(dice.sample(names, 2))
        if topology.endpoints[a].node != topology.endpoints[b].node:
            pairs[a, b] = None
    lines = [parse_line(LINE, source=(a,), to=(b,), name=f"i{i}") for i, (a, b) in enumerate(pairs)]
    decisions = plan(topology, [resolve(line, topology) for line in lines]).decisions
    slices: list[tuple[Decision, SliceIds]] = []
    label = FIRST_LABEL
    for decision in (item for item in decisions if item.admitted):
        ids = SliceIds(len(slices) + 1, label, labels_needed(decision))
        slices.append((decision, ids))
        label += ids.labels
    return slices[:wanted]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--intents", type=int, default=2000)
    parser.add_argument("--added", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    topology = populated()
    slices = admitted(topology, options.intents + options.added, options.seed)
    held, coming = slices[: options.intents], slices[options.intents :]
    compilation = Compilation(topology)
    began = time.thread_time()
    program = compilation.program(held)
    compiled_s = time.thread_time() - began
    rules = sum(len(switch.flows) for switch in program.values())
    gc.collect()
    verifier = Verifier(topology)
    start, began = time.perf_counter(), time.thread_time()
    faults = verifier.check(program, held)
    full_s, full_cpu_s = time.perf_counter() - start, time.thread_time() - began
    taken_ms: list[float] = []
    taken_cpu_ms: list[float] = []
    compile_cpu_ms: list[float] = []
    diff_cpu_ms: list[float] = []
    for item in coming:
        held = [*held, item]
        began = time.thread_time()
        after = compilation.program(held)
        compile_cpu_ms.append((time.thread_time() - began) * 1e3)
        began = time.thread_time()
        changes = [diff(program[node], after[node]) for node in program if program[node] is not after[node]]
        diff_cpu_ms.append((time.thread_time() - began) * 1e3)
        start, began = time.perf_counter(), time.thread_time()
        faults += verifier.check_change(changes, [item])
        taken_ms.append((time.perf_counter() - start) * 1e3)
        taken_cpu_ms.append((time.thread_time() - began) * 1e3)
        program = after
    figures = {
        "intents": options.intents,
        "rules": rules,
        "faults": len(faults),
        "full_check_s": round(full_s, 3),
        "full_check_cpu_s": round(full_cpu_s, 3),
        "added_intent_median_ms": round(statistics.median(taken_ms), 3),
        "added_intent_median_cpu_ms": round(statistics.median(taken_cpu_ms), 3),
        "added_intent_worst_ms": round(max(taken_ms), 3),
        "compile_all_cpu_s": round(compiled_s, 3),
        "added_intent_compile_median_cpu_ms": round(statistics.median(compile_cpu_ms), 3),
        "added_intent_diff_median_cpu_ms": round(statistics.median(diff_cpu_ms), 3),
        "python": platform.python_version(),
    }
    for name, figure in figures.items():
        print(f"{name:34} {figure}")
    for fault in faults[:5]:
        print(fault)
    if options.report is not None:
        options.report.mkdir(parents=True, exist_ok=True)
        (options.report / "verify.json").write_text(json.dumps(figures, indent=2) + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
