"""`carelane plan --policy`: contract JSON, exit codes, and faults placed in the policy's file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

Cli = Any
SCHEMA = json.loads((Path(__file__).parent / "plan.schema.json").read_text(encoding="utf-8"))

NETWORK = """\
apiVersion: carelane/v1
kind: Topology
metadata: {name: line}
spec:
  nodes: [{id: s, kind: switch, availability: 0.99999}, {id: t, kind: switch, availability: 0.99999}]
  links: [{id: l1, a: s, b: t, capacity: 100Mbps, length: 10km, availability: 0.9999}]
  endpoints: [{id: s/1, node: s, capacity: 1Gbps}, {id: t/1, node: t, capacity: 1Gbps}]
"""
INTENTS = "---\n".join(
    f"""\
apiVersion: carelane/v1
kind: ServiceIntent
metadata: {{name: {name}, tenant: {tenant}}}
spec:
  service: {service}
  from: [s/1]
  to: [t/1]
  objectives: {{bandwidth: {rate}Mbps, delay: none, jitter: none, loss: none, availability: none}}
"""
    for name, tenant, service, rate in (
        ("images", "county", "imaging-transfer", 50),
        ("genome", "county", "genome-transfer", 30),
        ("rescue", "ambulance", "emergency-rescue", 25),
    )
)
POLICY = """\
apiVersion: carelane/v1
kind: Policy
metadata: {name: province}
spec:
  maxReservable: 80%
  quotas: {ambulance: {bandwidth: 40Mbps}}
  preemption: {by: [emergency-rescue], minimumPriorityGap: 2}
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, text in (("network", NETWORK), ("intents", INTENTS), ("policy", POLICY)):
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def plan(call: Cli, files: Path, *more: str) -> tuple[int, dict[str, Any]]:
    ran = call("plan", "-t", f"{files}/network.yaml", "-f", f"{files}/intents.yaml", *more, "-o", "json")
    document: dict[str, Any] = json.loads(ran.out)
    jsonschema.validate(document, SCHEMA)
    return ran.code, document


def test_a_rescue_takes_the_place_of_the_genome_which_is_told(call: Cli, files: Path) -> None:
    assert plan(call, files)[0] == 3  # without policy the rescue finds 20 of its 25 Mbit/s
    code, document = plan(call, files, "--policy", f"{files}/policy.yaml")
    images, genome, rescue = document["decisions"]
    assert code == 3
    assert [row["decision"] for row in (images, genome, rescue)] == ["admitted", "refused", "admitted"]
    assert (rescue["preempts"], rescue["preempts_of"]) == (["genome"], ["county"])
    assert genome["reasons"][0]["constraint"] == "policy"
    assert (
        "pre-empted by another tenant's slice (emergency-rescue, priority 8 over 1)" in genome["reasons"][0]["detail"]
    )
    assert document["totals"]["admitted_mbps"] == 75.0
    assert document["totals"]["upper_bound_mbps"] == 80.0


def test_the_table_says_whose_place_it_takes(call: Cli, files: Path) -> None:
    ran = call("plan", "-t", f"{files}/network.yaml", "-f", f"{files}/intents.yaml", "--policy", f"{files}/policy.yaml")
    assert "rescue: takes the place of: genome" in ran.out


def test_a_batch_keeps_share_and_quota(call: Cli, files: Path) -> None:
    (files / "policy.yaml").write_text(POLICY.replace("40Mbps", "20Mbps"), encoding="utf-8")
    code, document = plan(call, files, "--policy", f"{files}/policy.yaml", "--optimize")
    rescue = document["decisions"][2]
    assert code == 3
    assert [row["decision"] for row in document["decisions"]] == ["admitted", "admitted", "refused"]
    reason = rescue["reasons"][0]
    assert (reason["constraint"], reason["required"], reason["available"], reason["unit"]) == ("policy", 25, 20, "Mbps")
    assert document["totals"]["admitted_mbps"] == document["totals"]["upper_bound_mbps"] == 80.0


def test_whatif_adds_under_quota_and_names_who_would_go(call: Cli, files: Path) -> None:
    asked = ("whatif", "-t", f"{files}/network.yaml", "-f", f"{files}/intents.yaml", "--add")
    line = "emergency rescue s/1 -> t/1: 12 Mbps, delay none, jitter none, loss none, availability none"
    plain = call(*asked, line, "-o", "json")
    assert "preempts" not in json.loads(plain.out)["added"][0]
    under = call(*asked, line, "--policy", f"{files}/policy.yaml", "-o", "json")
    document = json.loads(under.out)
    assert under.code == 3
    assert (document["added"][0]["decision"], document["added"][0]["preempts"]) == ("admitted", ["images"])
    outcomes = {row["name"]: row["outcome"] for row in document["intents"]}
    assert outcomes == {"images": "broken", "rescue": "kept"}
    assert "pre-empted" in document["intents"][0]["reasons"][0]["detail"]
    (files / "policy.yaml").write_text(POLICY.replace("ambulance", '"*"').replace("40Mbps", "60Mbps"))
    wide = call(*asked, line.replace("12", "61"), "--policy", f"{files}/policy.yaml", "-o", "json")
    assert json.loads(wide.out)["added"][0]["reasons"][0]["constraint"] == "policy"
    swept = call(*asked[:-1], "--sweep", "--workers", "1", "--policy", f"{files}/policy.yaml", "-o", "json")
    assert swept.code == 3
    assert call("whatif", "--policy", f"{files}/policy.yaml").code == 2


def test_explain_speaks_of_the_policy(call: Cli, files: Path) -> None:
    line = "emergency rescue s/1 -> t/1: 61 Mbps, delay none, jitter none, loss none, availability none"
    assert call("explain", line, "-t", f"{files}/network.yaml").code == 0
    (files / "policy.yaml").write_text(POLICY.replace("80%", "60%"), encoding="utf-8")
    ran = call("explain", line, "-t", f"{files}/network.yaml", "--policy", f"{files}/policy.yaml")
    assert ran.code == 3
    assert "60%" in ran.out
    assert call("explain", "rescue", "--policy", f"{files}/policy.yaml").code == 2


def test_a_fault_of_the_policy_is_told_with_its_place_and_nothing_is_decided(call: Cli, files: Path) -> None:
    (files / "policy.yaml").write_text(POLICY.replace("80%", "{links: {l7: 10%}}"), encoding="utf-8")
    ran = call("plan", "-t", f"{files}/network.yaml", "-f", f"{files}/intents.yaml", "--policy", f"{files}/policy.yaml")
    assert (ran.code, ran.out) == (2, "")
    assert "policy.yaml:5" in ran.err
    assert "spec.maxReservable.links.l7" in ran.err
    missing = call("plan", "-t", f"{files}/network.yaml", "-f", f"{files}/intents.yaml", "--policy", "nowhere.yaml")
    assert missing.code == 2
    assert "cannot read the policy" in missing.err
