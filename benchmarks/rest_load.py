"""How long filing takes: 200 intents by 20 clients at once, each with a key of its own, planner and database included.

    python benchmarks/rest_load.py [--clients 20] [--intents 10] [--database URL] [--report reports/bench]

The server is `carelane up -t zhoushan --simulate` as a process; intents run between random endpoints of the network.
Every client sends its next intent as soon as the last is answered. Times are of whole HTTP calls, seen by the client.
`clients_share` is what the clients themselves take of one processor.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from carelane.topology import load_topology

TENANT_MIX = (
    "remote consultation: 150 ms, 5 Mbps, availability none, jitter none, loss none",
    "remote monitoring: 100 ms, 1 Mbps, availability none",
    "emergency rescue: 100 ms, 4 Mbps, availability none, loss none",
)


@contextmanager
def server(folder: Path, database: str | None) -> Iterator[tuple[str, str]]:
    """A server of its own: its URL and its admin key."""
    argv = [sys.executable, "-m", "carelane", "up", "-t", "zhoushan", "--simulate", "--rest-port", "0"]
    argv += ["--database", database] if database else []
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CARELANE_")}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        try:
            for line in process.stdout:
                found = re.search(r"REST (http://\S+?),", line)
                if found:
                    yield found.group(1), (folder / ".carelane" / "admin.key").read_text().strip()
                    return
            raise SystemExit((folder / "log").read_text())
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()


def bodies(clients: int, each: int, seed: int) -> list[list[dict[str, Any]]]:
    """The intents of each client; no two of them join the same endpoints."""
    dice = random.Random(seed)
    names = sorted(load_topology("zhoushan").endpoints)
    pairs: set[tuple[str, str]] = set()
    while len(pairs) < clients * each:
        a, b = dice.sample(names, 2)
        if (b, a) not in pairs:
            pairs.add((a, b))
    rows = [
        {"line": TENANT_MIX[n % len(TENANT_MIX)], "from": [a], "to": [b], "name": f"load-{n}"}
        for n, (a, b) in enumerate(sorted(pairs))
    ]
    dice.shuffle(rows)
    return [rows[n::clients] for n in range(clients)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--intents", type=int, default=10)
    parser.add_argument("--database")
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, server(Path(folder), arguments.database) as (url, admin):
        with httpx.Client(base_url=url, headers={"authorization": f"Bearer {admin}"}, trust_env=False) as client:
            keys = [
                client.post("/v1/keys", json={"label": f"client {n}", "role": "engineer"}).json()["key"]
                for n in range(arguments.clients)
            ]

        def send(client: httpx.Client, rows: list[dict[str, Any]]) -> list[tuple[float, str]]:
            taken = []
            at_once.wait()
            for row in rows:
                begun = time.perf_counter()
                answer = client.post("/v1/intents", json=row)
                answer.raise_for_status()
                decision = answer.json()["intents"][0]["decision"]["decision"]
                taken.append((time.perf_counter() - begun, decision))
            return taken

        # Made beforehand: each reads the certificates that this machine trusts, which is the clients' time and not
        # the server's.
        crowd = [
            httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=60, trust_env=False)
            for key in keys
        ]
        at_once = threading.Barrier(arguments.clients)
        begun, own_s = time.perf_counter(), time.process_time()
        with concurrent.futures.ThreadPoolExecutor(arguments.clients) as pool:
            work = bodies(arguments.clients, arguments.intents, seed=1)
            taken = [row for rows in pool.map(send, crowd, work) for row in rows]
        whole_s, own_s = time.perf_counter() - begun, time.process_time() - own_s
        for client in crowd:
            client.close()
    times = sorted(seconds * 1e3 for seconds, _ in taken)
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    result = {
        "clients": arguments.clients,
        "intents": len(times),
        "database": (arguments.database or "sqlite").partition(":")[0],
        "decisions": dict(Counter(decision for _, decision in taken)),
        "p50_ms": round(cuts[49], 1),
        "p95_ms": round(cuts[94], 1),
        "p99_ms": round(cuts[98], 1),
        "intents_per_s": round(len(times) / whole_s, 1),
        "clients_share": round(own_s / whole_s, 2),
        "machine": f"{os.cpu_count()} processors, Python {platform.python_version()}",
    }
    for name, value in result.items():
        print(f"{name:15} {value}")
    if arguments.report:
        arguments.report.mkdir(parents=True, exist_ok=True)
        (arguments.report / "rest_load.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
