"""How long the command line takes to start and to decide one small file, against Python doing nothing.

    python benchmarks/cli_start.py [--runs 15] [--report reports/bench] [--check]

Every command runs in a fresh process, all commands in turn, so that a busy moment of the machine hits all alike.
The target is 0.4 s; `--check` exits 1 when a median is above it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TARGET_S = 0.4
TOPOLOGY = """\
apiVersion: carelane/v1
kind: Topology
metadata: {name: small}
spec:
  nodes:
    - {id: county, availability: 0.99999}
    - {id: city, availability: 0.99999}
    - {id: province, availability: 0.99999}
  links:
    - {id: l1, a: county, b: city, capacity: 1Gbps, length: 200km, availability: 0.9997}
    - {id: l2, a: city, b: province, capacity: 1Gbps, length: 300km, availability: 0.9997}
    - {id: l3, a: county, b: province, capacity: 1Gbps, length: 600km, availability: 0.9997}
  endpoints:
    - {id: county/or-1, node: county, address: 10.1.0.11/32, capacity: 1Gbps}
    - {id: province/console-3, node: province, address: 10.1.0.13/32, capacity: 1Gbps}
"""
INTENTS = """\
apiVersion: carelane/v1
kind: ServiceIntent
metadata: {name: or1-surgery, tenant: county-hospital}
spec:
  service: remote-surgery
  from: [county/or-1]
  to: [province/console-3]
  objectives: {delay: 20ms, availability: 99.99%, bandwidth: 40Mbps, jitter: none, loss: none}
"""
BASELINE = "python -c pass"


def commands(folder: Path) -> dict[str, list[str]]:
    """What is timed, the floor first and a well-known Python program of other hands last."""
    topology, intents = folder / "topology.yaml", folder / "intents.yaml"
    topology.write_text(TOPOLOGY, encoding="utf-8")
    intents.write_text(INTENTS, encoding="utf-8")
    carelane = [sys.executable, "-m", "carelane"]
    return {
        BASELINE: [sys.executable, "-c", "pass"],
        "carelane --version": [*carelane, "--version"],
        "carelane --help": [*carelane, "--help"],
        "carelane plan": [*carelane, "plan", "-t", str(topology), "-f", str(intents), "-o", "json"],
        "pip --version (peer)": [sys.executable, "-m", "pip", "--version"],
    }


def measure(timed: dict[str, list[str]], runs: int) -> dict[str, list[float]]:
    """Wall seconds of each run; a first round warms the file cache and is thrown away."""
    taken: dict[str, list[float]] = {name: [] for name in timed}
    for turn in range(runs + 1):
        for name, command in timed.items():
            start = time.perf_counter()
            done = subprocess.run(command, capture_output=True, check=False, env=os.environ)
            if turn:
                taken[name].append(time.perf_counter() - start)
            if done.returncode:
                raise SystemExit(f"{name} ended with {done.returncode}:\n{done.stderr.decode()}")
    return taken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--report", type=Path, default=Path("reports/bench"))
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        taken = measure(commands(Path(folder)), options.runs)
    floor_s = statistics.median(taken[BASELINE])
    rows = {
        name: {
            "median_s": round(statistics.median(times), 4),
            "min_s": round(min(times), 4),
            "ratio": round(statistics.median(times) / floor_s, 2),
        }
        for name, times in taken.items()
    }
    print(f"{'command':24} {'median':>9} {'best':>9} {'x python':>9}")
    for name, row in rows.items():
        print(f"{name:24} {row['median_s']:8.3f}s {row['min_s']:8.3f}s {row['ratio']:9.1f}")
    slow = [name for name, row in rows.items() if name.startswith("carelane") and row["median_s"] > TARGET_S]
    print(f"target {TARGET_S} s: " + (f"missed by {', '.join(slow)}" if slow else "met by every carelane command"))
    options.report.mkdir(parents=True, exist_ok=True)
    document = {
        "benchmark": "cli_start",
        "python": platform.python_version(),
        "runs": options.runs,
        "target_s": TARGET_S,
        "met": not slow,
        "commands": rows,
    }
    (options.report / "cli_start.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 1 if slow and options.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
