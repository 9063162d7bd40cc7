"""The rules and dashboards we ship, against the real Prometheus and a real `carelane up`."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "carelane-rules.yml"
DASHBOARDS = sorted((DEPLOY / "grafana").glob("*.json"))
MANIFEST = """
apiVersion: carelane/v1
kind: ServiceIntent
metadata: {name: rounds, tenant: county}
spec:
  service: video-conference
  from: [county/or-1]
  to: [province/console-3]
  objectives: {bandwidth: 5Mbps, delay: 150ms, jitter: none, loss: 1%, availability: 99%}
"""

pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None, reason="needs the prometheus package"
)


def expressions() -> list[str]:
    """Every query of every dashboard, its variables standing for anything."""
    boards = [json.loads(path.read_text()) for path in DASHBOARDS]
    found = [target["expr"] for board in boards for panel in board["panels"] for target in panel["targets"]]
    return [re.sub(r"\$\w+", ".*", expression) for expression in found]


@pytest.fixture(scope="module")
def prometheus(start_server: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A Prometheus with our configuration, scraping a simulated carelane that holds a slice."""
    server = start_server()
    httpx.post(
        f"{server.url}/v1/intents", content=MANIFEST, headers={"content-type": "application/yaml", **server.headers}
    ).raise_for_status()
    home = tmp_path_factory.mktemp("prometheus")
    config = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
    config = config.replace("127.0.0.1:8642", server.url.removeprefix("http://")).replace(
        "interval: 5s", "interval: 1s"
    )
    (home / "prometheus.yml").write_text(config)
    (home / "carelane.key").write_text(server.key)
    shutil.copy(RULES, home)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["prometheus", f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/data"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    with subprocess.Popen(command, cwd=home) as process, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        try:
            until(lambda: client.get("/-/ready").status_code == 200)
            yield client
        finally:
            process.terminate()
            process.wait(20)


def until(condition: Callable[[], bool], seconds: float = 40) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < end, "Prometheus did not come to it"
        time.sleep(0.1)


def query(client: httpx.Client, expression: str) -> list[Any]:
    answer = client.get("/api/v1/query", params={"query": expression}).json()
    assert answer["status"] == "success", f"{expression}: {answer}"
    found: list[Any] = answer["data"]["result"]
    return found


def test_the_rules_are_rules() -> None:
    done = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("alert", "series", "silent_at", "firing_at"),
    [
        ("BudgetBurnsFast", {'budget_burn_rate{slice="or",window="1h"}': "15x30",
                             'budget_burn_rate{slice="or",window="5m"}': "1x4 20x4 0x30"}, (3, 12), 6),
        ("BudgetBurns", {'budget_burn_rate{slice="or",window="6h"}': "7x30",
                         'budget_burn_rate{slice="or",window="30m"}': "5x4 7x4 1x30"}, (3, 12), 6),
        ("PromiseBroken", {'objective_state{slice="or",objective="delay"}': "1x4 0x4 1x30"}, (3, 12), 8),
        ("LinkDead", {'link_avoided{link="l1",works="no"}': "_x4 1x4", 'link_avoided{link="l2",works="yes"}': "1x30"},
         (3, 14), 6),
        ("Drift", {"switch_mismatches": "0x4 1x4 0x30"}, (3, 12), 6),
        ("TelemetryStale", {'telemetry_age_seconds{node="a"}': "1x4 60x4 1x30"}, (3, 12), 8),
        ("TelemetryIncredible", {'telemetry_incredible_total{node="a"}': "0x4 60+60x3 240x30"}, (3, 20), 8),
        ("LoopStopped", {"loop_epochs_total": "0+60x4 240x6 300+60x30"}, (3, 16), 9),
        ("PortAlmostReserved", {'port_reserved_bits_per_second{link="a:1"}': "95x15 80x30",
                                'port_capacity_bits_per_second{link="a:1"}': "100x60"}, (5, 20), 14),
        ("PortFull", {'port_sent_bytes_total{link="a:1"}': "0+750x15 11250x30",
                      'port_capacity_bits_per_second{link="a:1"}': "100x60"}, (5, 20), 14),
        ("ControllerDown", {'up{job="carelane"}': "1x4 0x4 1x30"}, (3, 12), 8),
    ],
)  # fmt: skip
def test_an_alert_fires_when_it_should_and_at_no_other_time(
    tmp_path: Path, alert: str, series: dict[str, str], silent_at: tuple[int, ...], firing_at: int
) -> None:
    """`series` by the minute, as promtool writes them; the rest is in minutes."""
    named = {name if name.startswith("up") else f"carelane_{name}": values for name, values in series.items()}
    count = f'count(ALERTS{{alertname="Carelane{alert}",alertstate="firing"}}) or vector(0)'
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in named.items()],
        "promql_expr_test": [
            {"expr": count, "eval_time": f"{minute}m", "exp_samples": [{"labels": "{}", "value": value}]}
            for minute, value in (*((minute, 0) for minute in silent_at), (firing_at, 1))
        ],
    }
    file = tmp_path / "rules-test.yml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}))
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_load_the_target_is_up_and_every_panel_can_be_drawn(prometheus: httpx.Client) -> None:
    until(lambda: len(query(prometheus, "carelane_loop_epochs_total > 2")) == 1)
    targets = prometheus.get("/api/v1/targets").json()["data"]["activeTargets"]
    assert [target["health"] for target in targets] == ["up"]
    groups = prometheus.get("/api/v1/rules").json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == RULES.read_text().count("expr:")
    until(lambda: bool(query(prometheus, "carelane:port_utilisation:ratio")))
    until(lambda: bool(query(prometheus, 'carelane_objective_unknown{slice="rounds"}')))
    assert query(prometheus, "carelane:port_reserved:ratio > 0")
    groups = prometheus.get("/api/v1/rules").json()["data"]["groups"]
    assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
    assert not [rule for group in groups for rule in group["rules"] if rule.get("state") == "firing"]
    assert expressions()
    for expression in expressions():
        query(prometheus, expression)


def test_dashboards_and_rules_ask_only_for_what_exists(prometheus: httpx.Client) -> None:
    # These need what a quiet simulated network does not have: time, and bad luck.
    rare = {"carelane_budget_burn_rate", "carelane_objective_state", "carelane_contained_sources"}
    rare |= {"carelane_link_avoided"}
    rare |= {"carelane_certificate_expiry_timestamp_seconds", "carelane_switch_refusals_total"}  # only with TLS
    asked = set(re.findall(r"carelane[_:][a-z_:]+[a-z]", " ".join(expressions()) + RULES.read_text()))
    names = {name for name in asked if not name.startswith("carelane-")} - rare

    def missing() -> set[str]:
        return names - set(prometheus.get("/api/v1/label/__name__/values").json()["data"])

    until(lambda: not missing() or len(query(prometheus, "carelane_loop_epochs_total > 30")) == 1)
    assert missing() == set()
