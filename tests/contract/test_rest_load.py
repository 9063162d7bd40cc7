"""200 intents by 20 hospitals at once on either database, and a server that is killed in the middle of it.

Nothing is lost, nothing is doubled, no link carries more promises than it has room, and everything is decided.
"""

from __future__ import annotations

import concurrent.futures
import signal
import threading
import time
from typing import Any

import httpx
import pytest

Server = Any
CLIENTS, EACH, MBPS = 20, 10, 90
TOPOLOGY = """\
apiVersion: carelane/v1
kind: Topology
metadata: {name: rush}
spec:
  nodes: [{id: west, kind: switch}, {id: middle, kind: switch}, {id: east, kind: switch}]
  links:
    - {id: l1, a: west, b: middle, capacity: 4Gbps, length: 20km}
    - {id: l2, a: middle, b: east, capacity: 4Gbps, length: 20km}
    - {id: l3, a: west, b: east, capacity: 3Gbps, length: 70km}
  endpoints:
"""
TOPOLOGY += "".join(
    f"    - {{id: h{client}/{side}-{n}, node: {node}, address: 10.{net}.{client}.{n + 1}/32, capacity: 1Gbps, "
    f"tenant: hospital-{client}}}\n"
    for client in range(CLIENTS)
    for net, (side, node) in enumerate((("or", "west"), ("console", "east")), 1)
    for n in range(EACH)
)


def intent(client: int, number: int) -> dict[str, Any]:
    return {
        "apiVersion": "carelane/v1",
        "kind": "ServiceIntent",
        "metadata": {"name": f"rush-{client}-{number}"},
        "spec": {
            "service": "remote-consultation",
            "from": [f"h{client}/or-{number}"],
            "to": [f"h{client}/console-{number}"],
            "protection": "none",
            "objectives": {
                "bandwidth": f"{MBPS}Mbps", "delay": "50ms", "jitter": "none", "loss": "none", "availability": "none",
            },
        },
    }  # fmt: skip


class Rush:
    """Clients that send until everything is answered, also over a restart, each request with a key of its own."""

    def __init__(self, server: Server) -> None:
        self.url = server.url
        self.answered = 0
        self.lock = threading.Lock()
        with httpx.Client(base_url=server.url, headers=server.headers, trust_env=False) as client:
            self.keys = [
                client.post("/v1/keys", json={"label": "x", "role": "hospital-it", "tenant": f"hospital-{n}"}).json()[
                    "key"
                ]
                for n in range(CLIENTS)
            ]

    def client(self, number: int) -> list[dict[str, Any]]:
        with httpx.Client(timeout=30, trust_env=False) as client:
            return [self.send(client, number, index) for index in range(EACH)]

    def send(self, client: httpx.Client, number: int, index: int) -> dict[str, Any]:
        deadline = time.monotonic() + 240
        while True:
            headers = {"authorization": f"Bearer {self.keys[number]}", "idempotency-key": f"{number}-{index}"}
            try:
                answer = client.post(f"{self.url}/v1/intents", json=intent(number, index), headers=headers)
            except httpx.TransportError:
                assert time.monotonic() < deadline, "the server did not come back"
                time.sleep(0.2)  # twenty who ask all the time would keep it from starting
                continue
            assert answer.status_code == 200, answer.text
            with self.lock:
                self.answered += 1
            (row,) = answer.json()["intents"]
            return dict(row)


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_two_hundred_at_once_and_a_kill_in_the_middle(
    start_server: Any, database: str, request: pytest.FixtureRequest
) -> None:
    options = []
    if database == "postgres":
        options = ["--database", request.getfixturevalue("postgres")("rush")]
    server = start_server(*options, topology=TOPOLOGY)
    rush = Rush(server)
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        waiting = [pool.submit(rush.client, number) for number in range(CLIENTS)]
        deadline = time.monotonic() + 60
        while rush.answered < CLIENTS * EACH // 3 and time.monotonic() < deadline:
            time.sleep(0.005)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait(30)
        assert rush.answered < CLIENTS * EACH, "killed in the middle"
        server = start_server(*options, topology=TOPOLOGY, folder=server.folder)
        rush.url = server.url
        told = {row["name"]: row for client in waiting for row in client.result(300)}
    assert len(told) == CLIENTS * EACH
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=60, trust_env=False) as client:
        truth = whole(client)
        assert truth.keys() == told.keys(), "none lost, none added"
        for name, row in told.items():
            detail = client.get(f"/v1/intents/{name}").json()
            assert detail["decision"]["decision"] == row["decision"]["decision"], "what was said holds"
            assert (detail["running_generation"] == 1) is row["admitted"]
            assert detail["summary"]["generation"] == 1, "none doubled"
        admitted = sum(row["admitted"] for row in told.values())
        for link in client.get("/v1/capacity").json()["links"]:
            assert 0 <= link["reserved_mbps"] <= link["capacity_mbps"], link
        reserved = sum(link["reserved_mbps"] for link in client.get("/v1/capacity").json()["links"])
        assert 0 < admitted < CLIENTS * EACH, "the network is too small for all of them"
        assert reserved >= admitted * MBPS * 2, "both directions of every admitted one"
        entries = client.get("/v1/audit?action=intent.file&limit=1000").json()["entries"]
        assert sorted(entry["target"] for entry in entries) == sorted(told), "one entry each"
        first = {name: row["phase"] for name, row in truth.items()}
        assert set(first.values()) <= {"Admitted", "Installing", "Active", "Refused"}


def whole(client: httpx.Client) -> dict[str, dict[str, Any]]:
    """All intents, page by page."""
    rows: dict[str, dict[str, Any]] = {}
    cursor = None
    while True:
        query = {"limit": "70", **({"cursor": cursor} if cursor else {})}
        page = client.get("/v1/intents", params=query).json()
        assert not rows.keys() & {row["name"] for row in page["intents"]}
        rows |= {row["name"]: row for row in page["intents"]}
        cursor = page["next_cursor"]
        if cursor is None:
            return rows
