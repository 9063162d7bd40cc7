"""How long delay bounds and availabilities take, and what line shaping is worth.

    python benchmarks/calculus.py [--runs 3] [--report reports/bench]

Sink trees of N servers (flow i crosses i to N - 1), and 1000 flows over 3 to 6 of 40 servers, half loaded. The peer of
the availability is the sum over subsets of paths, which is exact too and doubles with every path.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import combinations
from math import prod
from pathlib import Path

from carelane.topology.calculus import Flow, Network, Server, delay_bounds
from carelane.topology.reliability import union_probability


def sink_tree(count: int) -> Network:
    """Bits and seconds, 10 Gbit/s, half loaded, as in Panco's example."""
    rate = Fraction(10**10)
    return Network.of(
        [Server(f"s{n}", rate, Fraction(1, 10**5), peak=rate) for n in range(count)],
        [
            Flow(f"f{n}", tuple(f"s{x}" for x in range(n, count)), rate / 2 / count, Fraction(8000))
            for n in range(count)
        ],
    )


def crowd(flows: int, servers: int, seed: int, *, circles: bool = False) -> Network:
    """Random paths; every server is half loaded."""
    dice = random.Random(seed)
    paths = [dice.sample(range(servers), dice.randint(3, 6)) for _ in range(flows)]
    if not circles:
        paths = [sorted(path) for path in paths]
    load = [sum(n in path for path in paths) for n in range(servers)]
    return Network.of(
        [Server(f"s{n}", Fraction(2 * max(1, load[n])), Fraction(1)) for n in range(servers)],
        [Flow(f"f{n}", tuple(f"s{x}" for x in path), Fraction(1), Fraction(1)) for n, path in enumerate(paths)],
    )


def grid_ways(rows: int, columns: int) -> list[frozenset[tuple[str, int, int]]]:
    """Every way right and down through a grid of links."""
    ways = []
    for turns in combinations(range(rows + columns), rows):
        x = y = 0
        used = set()
        for step in range(rows + columns):
            used.add(("down", x, y) if step in turns else ("right", x, y))
            x, y = (x, y + 1) if step in turns else (x + 1, y)
        ways.append(frozenset(used))
    return ways


def by_subsets(ways: list[frozenset[tuple[str, int, int]]], up: Fraction) -> Fraction:
    """Inclusion and exclusion."""
    total = Fraction(0)
    for size in range(1, len(ways) + 1):
        for chosen in combinations(ways, size):
            total += (-1) ** (size + 1) * prod((up for _ in frozenset().union(*chosen)), start=Fraction(1))
    return total


def timed(work: Callable[[], object], runs: int) -> float:
    """Median seconds."""
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--report", type=Path, default=Path("reports/bench"))
    options = parser.parse_args()
    up = Fraction(99, 100)
    twelve, many = grid_ways(2, 12)[:12], grid_ways(2, 12)
    chances = {link: up for way in many for link in way}
    assert by_subsets(twelve, up) == union_probability(twelve, chances)
    forward, around = crowd(1000, 40, 1), crowd(1000, 40, 1, circles=True)
    work: dict[str, Callable[[], object]] = {
        "sink tree of 12, TFA, line shaping": lambda: delay_bounds(sink_tree(12), "tfa", "fifo", line_shaping=True),
        "sink tree of 200, TFA, line shaping": lambda: delay_bounds(sink_tree(200), "tfa", "fifo", line_shaping=True),
        "sink tree of 60, SFA": lambda: delay_bounds(sink_tree(60), "sfa", "fifo"),
        "1000 flows, 40 servers, TFA": lambda: delay_bounds(forward, "tfa", "fifo"),
        "1000 flows, 40 servers, TFA by delay": lambda: delay_bounds(forward, "tfa", "fifo", propagation="delay"),
        "1000 flows, 40 servers in circles, TFA": lambda: delay_bounds(around, "tfa", "fifo"),
        "availability of 12 paths, by subsets (peer)": lambda: by_subsets(twelve, up),
        "availability of 12 paths": lambda: union_probability(twelve, chances),
        "availability of 91 paths": lambda: union_probability(many, chances),
    }
    rows = {name: {"median_s": round(timed(run, options.runs), 5)} for name, run in work.items()}
    for name, row in rows.items():
        print(f"{name:45} {row['median_s']:9.4f}s")
    tree = sink_tree(12)
    worth = {}
    for name, shaping in (("plain", False), ("line shaping", True)):
        delay = delay_bounds(tree, "tfa", "fifo", line_shaping=shaping).flows["f0"].delay
        worth[name] = None if delay is None else round(float(delay * 10**6), 3)
    print(f"sink tree of 12, flow 0: {worth['plain']} us plain, {worth['line shaping']} us with line shaping")
    options.report.mkdir(parents=True, exist_ok=True)
    document = {"benchmark": "calculus", "python": platform.python_version(), "runs": options.runs, "rows": rows,
                "sink_tree_us": worth}  # fmt: skip
    (options.report / "calculus.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
