"""One epoch of sharing, 1,000 slices on 500 links, against plain Python water-filling of the same problem.

    python benchmarks/shaping.py [--slices 1000] [--links 500] [--runs 20] [--report reports/bench]

An epoch is all between counters and ceilings: rates of every source from two readings of its switch, demands, shares on
all links at once, lending, what may stay as it is, and who sends beyond its contract. The plain one is the textbook
algorithm that the tests use as their oracle; it fills adaptive sources once, which is a part of what an epoch does.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
from waterfill import plain_fill

from carelane.controller.southbound.counters import Count, SwitchCounters
from carelane.controller.telemetry.containment import Containment
from carelane.controller.telemetry.sharing import Sharing
from carelane.controller.telemetry.sources import Tap, Wiring
from carelane.policies.shaping import Kind, Layout, Source
from carelane.policies.shaping._fill import Incidence, fill

KINDS: tuple[Kind, ...] = ("contract", "adaptive", "adaptive", "elastic")


def network(slices: int, links: int, seed: int) -> Layout:
    """Slices of every kind over 3 to 8 links each; every link keeps a part that nobody was promised."""
    dice = random.Random(seed)
    names = [f"l{number}" for number in range(links)]
    reserved = dict.fromkeys(names, 0)
    sources = []
    for number in range(slices):
        path = tuple(dice.sample(names, dice.randint(3, 8)))
        declared = dice.choice((1, 2, 5, 10)) * 1_000_000
        sources.append(Source(f"s{number}", KINDS[number % len(KINDS)], declared, path, dice.choice((1.0, 2.0))))
        for link in path:
            reserved[link] += declared
    capacity = {link: int(reserved[link] * dice.uniform(1.1, 2.0)) + 1_000_000 for link in names}
    return Layout(tuple(sources), capacity, reserved)


def wired(layout: Layout) -> Wiring:
    """Each source behind a meter and a queue of its own, a hundred switches in all."""
    taps = []
    for number, source in enumerate(layout.sources, 1):
        node = f"n{number % SWITCHES}"
        place = (node, 1, number)
        taps.append(
            Tap(source, source.key, "region", "any", f"{node}/s{number}", ("hub",), True, node, number, number,
                (place,), (place,), (), (), None)
        )  # fmt: skip
    return Wiring(tuple(taps), layout, ())


def counted(wiring: Wiring, totals: dict[int, int], at_s: float, dice: random.Random) -> dict[str, SwitchCounters]:
    """The next readings, a second later: every source sent between half and four times what it declared."""
    meters: dict[str, dict[int, Count]] = {}
    for tap in wiring.taps:
        assert tap.meter is not None
        totals[tap.meter] += int(tap.source.declared_bps * dice.uniform(0.5, 4.0) / 8)
        octets = totals[tap.meter]
        meters.setdefault(tap.node, {})[tap.meter] = Count(octets // 1000, octets)
    return {node: SwitchCounters(node, at_s, meters=counts) for node, counts in meters.items()}


SWITCHES = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=1000)
    parser.add_argument("--links", type=int, default=500)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    layout = network(options.slices, options.links, seed=1)
    wiring, dice = wired(layout), random.Random(2)
    sharing, containment = Sharing(1.0), Containment()
    totals = dict.fromkeys(range(1, options.slices + 1), 0)
    outcome = sharing.step(wiring, counted(wiring, totals, 0.0, dice))
    epochs = []
    for number in range(1, options.runs + 1):
        readings = counted(wiring, totals, float(number), dice)
        start = time.perf_counter()
        outcome = sharing.step(wiring, readings)
        containment.step(float(number), outcome.observations, outcome.spoofed, ())
        epochs.append(time.perf_counter() - start)
    held = np.array([seen.demand.bps for seen in outcome.observations])
    wanted = np.where(layout.of_kind("adaptive"), np.maximum(held - layout.declared, 0.0), 0.0)
    paths: Incidence = layout.paths
    start = time.perf_counter()
    got = fill(paths, layout.unreserved, layout.weights, wanted)
    ours = time.perf_counter() - start
    lists = [paths.link[paths.flow == number].tolist() for number in range(paths.flows)]
    start = time.perf_counter()
    plain = plain_fill(lists, layout.unreserved.tolist(), layout.weights.tolist(), wanted.tolist())
    theirs = time.perf_counter() - start
    np.testing.assert_allclose(got, plain, rtol=1e-6, atol=1.0)
    figures = {
        "slices": options.slices,
        "links": options.links,
        "epoch_median_s": statistics.median(epochs),
        "epoch_worst_s": max(epochs),
        "one_filling_s": ours,
        "plain_python_filling_s": theirs,
        "python": platform.python_version(),
    }
    print(f"{options.slices} slices, {options.links} links")
    print(f"  one epoch (counters to ceilings), median {figures['epoch_median_s'] * 1e3:.1f} ms,"
          f" worst {figures['epoch_worst_s'] * 1e3:.1f} ms")  # fmt: skip
    print(f"  one filling: {ours * 1e3:.1f} ms; the same in plain Python: {theirs * 1e3:.0f} ms; equal results")
    if options.report:
        options.report.mkdir(parents=True, exist_ok=True)
        (options.report / "shaping.json").write_text(json.dumps(figures, indent=2) + "\n")
    return 0 if figures["epoch_median_s"] < 0.1 else 1


if __name__ == "__main__":
    raise SystemExit(main())
