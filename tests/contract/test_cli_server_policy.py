"""`carelane up` under CARELANE_POLICY, and `carelane apply --preempt`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

Cli = Any
POLICY = """\
apiVersion: carelane/v1
kind: Policy
metadata: {name: p}
spec:
  maxReservable: 50%
  preemption: {minimumPriorityGap: 2}
"""
TOPOLOGY = """\
apiVersion: carelane/v1
kind: Topology
metadata: {name: line}
spec:
  nodes: [{id: s, kind: switch, availability: 0.99999}, {id: t, kind: switch, availability: 0.99999}]
  links: [{id: l1, a: s, b: t, capacity: 100Mbps, length: 10km, availability: 0.9999}]
  endpoints:
    - {id: s/1, node: s, capacity: 1Gbps, address: 10.0.0.1/32}
    - {id: s/2, node: s, capacity: 1Gbps, address: 10.0.0.2/32}
    - {id: t/1, node: t, capacity: 1Gbps, address: 10.0.0.3/32}
"""


def intent(name: str, source: str, priority: int) -> str:
    return f"""\
apiVersion: carelane/v1
kind: ServiceIntent
metadata: {{name: {name}, tenant: county}}
spec:
  service: imaging-transfer
  from: [{source}]
  to: [t/1]
  priority: {priority}
  objectives: {{bandwidth: 30Mbps, delay: none, jitter: none, loss: none, availability: none}}
"""


def test_apply_preempt_consents_and_the_server_reads_its_policy(
    start_server: Any, call: Cli, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("server")
    (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
    server = start_server(topology=TOPOLOGY, folder=folder, env={"CARELANE_POLICY": "policy.yaml"})
    bulk, urgent = tmp_path / "bulk.yaml", tmp_path / "urgent.yaml"
    bulk.write_text(intent("bulk", "s/1", 1), encoding="utf-8")
    urgent.write_text(intent("urgent", "s/2", 9), encoding="utf-8")
    assert call("apply", "-f", str(bulk), "--url", server.url).code == 0
    refused = call("apply", "-f", str(urgent), "--url", server.url)
    assert refused.code == 3
    assert "take the place of bulk" in refused.out
    assert "carelane apply --preempt" in refused.out
    dry = call("apply", "--dry-run", "--preempt", "-f", str(urgent), "-o", "json", "--url", server.url)
    assert json.loads(dry.out)["decisions"][0]["preempts"] == ["bulk"]
    assert "Active" in call("get", "bulk", "--url", server.url).out
    done = call("apply", "--preempt", "-f", str(urgent), "--url", server.url)
    assert done.code == 0, done.err
    assert "urgent: Active" in done.err
    described = call("describe", "bulk", "--url", server.url).out
    assert "PreEmpted" in described
    assert "Refused" in described


def test_a_faulty_policy_keeps_the_server_from_starting(
    tmp_path: Path, call: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    topology, policy = tmp_path / "topology.yaml", tmp_path / "policy.yaml"
    topology.write_text(TOPOLOGY, encoding="utf-8")
    policy.write_text(POLICY.replace("50%", "{links: {l9: 50%}}"), encoding="utf-8")
    monkeypatch.setenv("CARELANE_POLICY", str(policy))
    monkeypatch.chdir(tmp_path)
    ran = call("up", "-t", str(topology), "--simulate", "--rest-port", "0")
    assert ran.code == 2
    assert "policy.yaml" in ran.err
    assert "l9" in ran.err
