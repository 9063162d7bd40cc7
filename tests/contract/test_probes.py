"""`carelane probe` between two sites, and `POST /v1/probes`: what only packets can tell lands in compliance."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from carelane.controller.telemetry.clock import UNKEPT_S, clock_error_s
from carelane.controller.telemetry.stamp import reflect

NAME, ENDS = "or1-surgery", ("county/or-1", "province/console-3")
NETWORK = """\
apiVersion: carelane/v1
kind: Topology
metadata: {name: pair}
spec:
  nodes:
    - {id: county, kind: switch, availability: 0.99999}
    - {id: province, kind: switch, availability: 0.99999}
  links:
    - {id: l1, a: county, b: province, capacity: 1Gbps, length: 20m, availability: 0.9997}
  endpoints:
    - {id: county/or-1, node: county, address: 10.1.0.11/32, capacity: 1Gbps}
    - {id: province/console-3, node: province, address: 10.1.0.13/32, capacity: 1Gbps}
"""
INTENT = f"""\
apiVersion: carelane/v1
kind: ServiceIntent
metadata: {{name: {NAME}, tenant: county-hospital}}
spec:
  service: remote-surgery
  from: [county/or-1]
  to: [province/console-3]
  objectives: {{delay: 20ms, availability: none, bandwidth: 40Mbps, jitter: 5ms, loss: none}}
"""
REPORT = {
    "slice": NAME,
    "source": ENDS[0],
    "target": ENDS[1],
    "sent": 100,
    "received": 100,
    "delay_min_s": 0.0041,
    "delay_max_s": 0.0062,
    "jitter_s": 0.002,
    "round_trip_min_s": 0.0083,
}


@pytest.fixture(scope="module")
def client(start_server: Any) -> Iterator[httpx.Client]:
    """A server with one admitted slice, over a link so short that this machine's own delay can be true."""
    server = start_server(topology=NETWORK, env={"CARELANE_TELEMETRY_INTERVAL_S": "0.1"})
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=30, trust_env=False) as opened:
        filed = opened.post("/v1/intents", content=INTENT, headers={"content-type": "application/yaml"})
        assert filed.json()["intents"][0]["decision"]["decision"] == "admitted"
        yield opened


@pytest.fixture
def reflector() -> Iterator[int]:
    stop = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind(("127.0.0.1", 0))
        door.settimeout(0.02)
        worker = threading.Thread(target=reflect, args=(door, stop.is_set), kwargs={"clock_error_s": 1e-5})
        worker.start()
        yield door.getsockname()[1]
        stop.set()
        worker.join()


def post(client: httpx.Client, **changes: object) -> httpx.Response:
    return client.post("/v1/probes", json=REPORT | changes)


def objective(client: httpx.Client, name: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The objective once it is as wanted."""
    deadline = time.monotonic() + 30
    while True:
        rows = client.get(f"/v1/intents/{NAME}/compliance").json()["objectives"]
        row: dict[str, Any] | None = next((row for row in rows if row["objective"] == name), None)
        if row is not None and wanted(row):
            return row
        assert time.monotonic() < deadline, row
        time.sleep(0.05)


def unknown(cause: str) -> Callable[[dict[str, Any]], bool]:
    return lambda row: row["state"] == "unknown" and cause in row["cause"]


def test_a_probe_of_real_packets_makes_delay_and_jitter_known(client: httpx.Client, call: Any, reflector: int) -> None:
    objective(client, "delay", unknown("no probe reports"))
    arguments = ["probe", "run", NAME, "--from", ENDS[0], "--to", ENDS[1], "--target", "127.0.0.1"]
    arguments += ["--port", str(reflector), "--interval", "2ms", "--every", "100ms", "--reports", "1"]
    ran = call(*arguments, "--clock-error", "10us", "--url", str(client.base_url), "-o", "json")
    assert ran.code == 0, ran.err
    there, back = (json.loads(line) for line in ran.out.splitlines())
    assert (there["sent"], there["source"], back["source"]) == (50, *ENDS)
    assert there["received"] == back["sent"] > 0
    worst = max(row["delay_max_s"] + row["clock_error_s"] for row in (there, back))
    row = objective(client, "delay", lambda row: row["measured"] == pytest.approx(worst))
    assert row["state"] == ("met" if worst <= 0.020 else "broken")
    assert "county/or-1" in row["where"]
    jitter = max(there["jitter_s"], back["jitter_s"])
    objective(client, "jitter", lambda row: row["measured"] == pytest.approx(jitter))


def test_a_site_that_is_silent_is_told_and_nothing_is_made_up(client: httpx.Client, call: Any) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        arguments = ["probe", "run", NAME, "--from", ENDS[0], "--to", ENDS[1], "--target", "127.0.0.1"]
        arguments += ["--port", str(nobody.getsockname()[1]), "--interval", "5ms", "--every", "10ms", "--reports", "1"]
        ran = call(*arguments, "--clock-error", "1ms", "--url", str(client.base_url))
    assert ran.code == 1
    assert "none came back" in ran.out
    post(client, source=ENDS[1], target=ENDS[0], sent=2, received=0)
    objective(client, "delay", unknown("no probe packet came back"))


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--interval", "1us", "--interval"),
        ("--every", "1ms", "--interval"),
        ("--clock-error", "10", "--clock-error"),
        ("--bind", "203.0.113.9", "--bind"),
        ("--target", "not an address", "--target"),
    ],
)
def test_bad_options_are_named(client: httpx.Client, call: Any, option: str, value: str, named: str) -> None:
    options = {"--target": "127.0.0.1", "--clock-error": "1ms", "--reports": "1", "--every": "100ms", option: value}
    words = [word for pair in options.items() for word in pair]
    ran = call("probe", "run", NAME, "--from", ENDS[0], "--to", ENDS[1], *words, "--url", str(client.base_url))
    assert ran.code == 2
    assert named in ran.err


def test_a_report_is_judged_against_the_promise(client: httpx.Client) -> None:
    for source, target in (ENDS, ENDS[::-1]):
        assert post(client, source=source, target=target).status_code == 202
    objective(client, "delay", lambda row: row["state"] == "met" and row["measured"] == pytest.approx(0.0062))
    assert post(client, delay_max_s=0.035).status_code == 202
    row = objective(client, "delay", lambda row: row["state"] == "broken")
    assert row["where"] == f"{ENDS[0]} to {ENDS[1]}"
    assert post(client, delay_max_s=0.035, clock_error_s=UNKEPT_S).status_code == 202
    objective(client, "delay", unknown("clocks are too far apart"))
    assert post(client, delay_min_s=9.0, delay_max_s=9.1).status_code == 202
    objective(client, "delay", unknown("clocks disagree"))


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "x" * 254},
        {"slice": ""},
        {"received": 101},
        {"sent": -1},
        {"sent": 10**9, "received": 0},
        {"jitter_s": -0.1},
        {"delay_min_s": 0.5},
        {"delay_min_s": "0.001"},
        {"target": "made/up"},
        {"extra": 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_report_that_cannot_be_is_refused_by_field(client: httpx.Client, changes: dict[str, object]) -> None:
    answer = post(client, **changes)
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_report_on_nothing_is_not_found_and_numbers_are_numbers(client: httpx.Client) -> None:
    assert post(client, slice="nobody").status_code == 404
    body = json.dumps(REPORT).replace("0.0041", "NaN")
    headers = {"content-type": "application/json"}
    assert client.post("/v1/probes", content=body, headers=headers).status_code in (400, 422)


def test_the_kernel_is_asked_how_wrong_the_clock_is() -> None:
    assert 0 <= clock_error_s() <= UNKEPT_S
