"""What it costs to admit only what holds with port waits (policy `portWaits: counted`), and what holds without that.

    python benchmarks/port_waits.py [--intents 400] [--report reports/bench]

Cogentco with 1 Gbit/s links; services of the catalogue between random pairs, with its delays and bursts and without an
availability to prove.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

from carelane.controller.pipeline import plan, resolve
from carelane.controller.pipeline.port_waits import waited_bounds
from carelane.controller.pipeline.requirement import Requirement
from carelane.intents.model import ServiceIntent, StatedObjectives
from carelane.policies.admission import AdmissionPolicy
from carelane.topology import Topology, load_topology

DATA = Path(__file__).parent / "data"
SERVICES = (
    "remote-surgery",
    "remote-surgery-video",
    "remote-consultation",
    "remote-ultrasound",
    "emergency-rescue",
    "video-conference",
    "remote-teaching",
)


def crowd(topology: Topology, count: int) -> list[Requirement]:
    dice, ends = random.Random(1), sorted(topology.endpoints)
    made = []
    for number in range(count):
        a, b = dice.sample(ends, 2)
        asked = StatedObjectives(availability="none", loss="none")
        intent = ServiceIntent(f"i{number}", "t", dice.choice(SERVICES), (a,), (b,), objectives=asked)
        made.append(resolve(intent, topology))
    return made


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--intents", type=int, default=400)
    options.add_argument("--report", type=Path)
    given = options.parse_args()
    network = load_topology(str(DATA / "Cogentco.graphml"), default_capacity_bps=10**9, default_availability=0.9999)
    wanted, found = crowd(network, given.intents), {}
    for name, policy in (("stated", None), ("counted", AdmissionPolicy("counted", port_waits=True))):
        began = time.perf_counter()
        result = plan(network, wanted, policy=policy)
        took_s = time.perf_counter() - began
        broken = {row.name for row in waited_bounds(network, result.decisions) if not row.keeps}
        admitted = sum(decision.admitted for decision in result.decisions)
        found[name] = {"admitted": admitted, "not_kept_with_port_waits": len(broken), "seconds": round(took_s, 2)}
        print(
            f"{name:8} {admitted:5} of {given.intents} admitted, {len(broken)} not kept with port waits, {took_s:.1f} s"
        )
    if given.report:
        given.report.mkdir(parents=True, exist_ok=True)
        (given.report / "port_waits.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
