"""How many more protected intents are admitted where backups share capacity (policy `backups: shared`).

    python benchmarks/shared_backups.py [--intents 150] [--report reports/bench]

Cernet (bundled) with 1 Gbit/s links of 99.99 % and Cogentco with the same: video conferences of 5 to 25 Mbit/s between
random pairs that can be protected at all, each with a backup, decided one after the other; once without an
availability to prove and once with 99.9 %. Both ways are decided in one run, and every single failure is then replayed
from the paths: what it wakes fits.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from carelane.controller.pipeline import plan, resolve
from carelane.controller.pipeline.admit import embed
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.slice_plan import Decision, PlannedPath
from carelane.intents.model import ServiceIntent, StatedObjectives
from carelane.policies.admission import AdmissionPolicy
from carelane.topology import Topology, load_topology
from carelane.topology.failure import single_failures
from carelane.topology.ledger import CapacityLedger, PortKey
from carelane.topology.paths import Effort, PathGraph

DATA = Path(__file__).parent / "data"
SHARED = AdmissionPolicy("shared", shared_backups=True)


def crowd(topology: Topology, count: int, availability: float | Literal["none"]) -> list[Requirement]:
    """So many that an empty network has a place for."""
    dice, ends = random.Random(1), sorted(topology.endpoints)
    made: list[Requirement] = []
    graph = PathGraph.of(topology)
    while len(made) < count:
        a, b = dice.sample(ends, 2)
        rate = dice.randint(5, 25) * 10**6
        asked = StatedObjectives("none", "none", "none", availability, forward_bps=rate, reverse_bps=rate)
        intent = ServiceIntent(f"i{len(made)}", "t", "video-conference", (a,), (b,), asked, protection="required")
        wanted = resolve(intent, topology)
        if embed(graph, wanted, CapacityLedger(), Effort(50_000)) is not None:
            made.append(wanted)
    return made


def fullest(topology: Topology, decisions: Iterable[Decision]) -> float:
    """The most that any single failure makes of a port, as a part of its capacity: primaries, backups of their own and
    the shared ones that it wakes."""
    always: Counter[PortKey] = Counter()
    sleeping: defaultdict[str, list[PlannedPath]] = defaultdict(list)
    for decision in decisions:
        for path in decision.paths:
            if path.role == "primary" or decision.backups == "dedicated":
                always += _load(path)
            else:
                primary = decision.paths[0]
                for risk in (*primary.nodes, *(hop.link for hop in primary.hops)):
                    sleeping[risk].append(path)
    most = 0.0
    for failure in single_failures(topology):
        (risk,) = failure.links | failure.nodes or {""}
        load = always.copy()
        for path in sleeping[risk]:
            load += _load(path)
        most = max(most, *(rate / (topology.links[link].capacity_bps or 1) for (_, link), rate in load.items()))
    return most


def _load(path: PlannedPath) -> Counter[PortKey]:
    there = {(hop.node, hop.link): path.reserved_bps for hop in path.hops}
    return Counter(there | {(hop.next_node, hop.link): path.reverse_bps for hop in path.hops})


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--intents", type=int, default=150)
    options.add_argument("--report", type=Path)
    given = options.parse_args()
    rows = []
    asking: tuple[float | Literal["none"], ...] = ("none", 0.999)
    for name, source in (("Cernet", "cernet"), ("Cogentco", str(DATA / "Cogentco.graphml"))):
        network = load_topology(source, default_capacity_bps=10**9, default_availability=0.9999)
        for asked in asking:
            wanted = crowd(network, given.intents, asked)
            row: dict[str, object] = {"network": name, "availability": asked, "intents": len(wanted)}
            for kind, policy in (("dedicated", None), ("shared", SHARED)):
                began = time.process_time()
                decisions = plan(network, wanted, policy=policy).decisions
                took_s = time.process_time() - began
                admitted = [decision for decision in decisions if decision.admitted]
                full = fullest(network, admitted)
                assert full <= 1, f"{name}: a failure makes {full:.3f} of a port"
                row |= {kind: len(admitted), f"{kind}_s": round(took_s, 2), f"{kind}_fullest": round(full, 4)}
                row[f"{kind}_sharing"] = sum(decision.backups == "shared" for decision in admitted)
            row["ratio"] = round(int(str(row["shared"])) / int(str(row["dedicated"])), 3)
            rows.append(row)
            print(
                f"{name}, availability {asked}: of {len(wanted)} protected intents {row['dedicated']} with backups of "
                f"their own ({row['dedicated_s']} s), {row['shared']} where they share ({row['shared_s']} s; "
                f"{row['shared_sharing']} do), ratio {row['ratio']}"
            )
    if given.report:
        given.report.mkdir(parents=True, exist_ok=True)
        (given.report / "shared_backups.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
