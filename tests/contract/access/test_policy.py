"""The admission policy over REST: who is told what, by whom it is consented to, and what is on record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from carelane.policies.admission.manifest import parse_policy
from carelane.topology import parse_topology

Door = Any
POLICY = """\
apiVersion: carelane/v1
kind: Policy
metadata: {name: p}
spec:
  quotas: {alpha: {bandwidth: 900Mbps}}
  preemption: {minimumPriorityGap: 2}
"""
LINE = """\
apiVersion: carelane/v1
kind: Topology
metadata: {name: two-hospitals}
spec:
  nodes: [{id: west, kind: switch}, {id: east, kind: switch}]
  links: [{id: l1, a: west, b: east, capacity: 1Gbps, length: 100km}]
"""


@pytest.fixture
def door(open_door: Callable[..., Iterator[Door]]) -> Iterator[Door]:
    yield from open_door(policy=parse_policy(POLICY, parse_topology(LINE)))


def until(door: Door, name: str, phase: str) -> dict[str, Any]:
    """The intent once it is in this phase."""
    found: dict[str, Any] = {}
    for _ in range(2000):
        found = door.call("engineer", "GET", f"/v1/intents/{name}").json()
        if found["summary"]["phase"] == phase:
            return found
        time.sleep(0.01)
    raise AssertionError(f"{name} is not {phase}: {found}")


def ask(intent: Callable[..., dict[str, Any]], name: str, tenant: str, mbps: int, priority: int) -> dict[str, Any]:
    document = intent(name, tenant, mbps)
    document["spec"] |= {"priority": priority, "protection": "none"}
    return document


def fill(door: Door, make_intent: Callable[..., dict[str, Any]]) -> None:
    """Both links full of little importance."""
    for name, tenant in (("secret-one", "bravo"), ("secret-two", "bravo")):
        filed = door.call("it@bravo", "POST", "/v1/intents", json=ask(make_intent, name, tenant, 800, 1))
        assert filed.json()["intents"][0]["admitted"], filed.text
        until(door, name, "Active")


def test_consent_is_asked_for_given_and_on_record_and_no_neighbour_is_named(
    door: Door, make_intent: Callable[..., dict[str, Any]]
) -> None:
    fill(door, make_intent)
    urgent = ask(make_intent, "urgent", "alpha", 700, 9)
    for path in ("/v1/intents?dryRun=true", "/v1/plans", "/v1/intents"):
        answer = door.call("it@alpha", "POST", path, json=urgent)
        assert "secret" not in answer.text
        (row,) = answer.json().get("decisions") or [answer.json()["intents"][0]["decision"]]
        assert (row["decision"], row["preempts"]) == ("refused", [None])
        assert row["reasons"][0]["constraint"] == "policy"
        assert "another tenant's slice" in row["reasons"][0]["detail"]
        assert "preempt=true" in row["reasons"][0]["detail"]
    (seen,) = door.call("engineer", "POST", "/v1/plans", json=urgent).json()["decisions"]
    assert (len(seen["preempts"]), seen["preempts_of"]) == (1, ["bravo"])
    (victim,) = seen["preempts"]
    assert until(door, victim, "Active")
    assert door.call("it@alpha", "PATCH", "/v1/intents/urgent", json={}).json()["admitted"] is False

    with_consent = door.call("it@alpha", "POST", "/v1/intents?preempt=true", json=urgent)
    assert "secret" not in with_consent.text
    (filed,) = with_consent.json()["intents"]
    assert (filed["admitted"], filed["outcome"], filed["decision"]["preempts"]) == (True, "unchanged", [None])
    until(door, "urgent", "Active")
    until(door, victim, "Refused")
    own = door.call("it@bravo", "GET", f"/v1/intents/{victim}")
    assert "urgent" not in own.text
    condition = next(item for item in own.json()["conditions"] if item["type"] == "Admitted")
    assert condition["reason"] == "PreEmpted"
    assert "file it again" in condition["message"]

    (entry,) = door.call("engineer", "GET", "/v1/audit?action=intent.preempt").json()["entries"]
    assert (entry["target"], entry["role"], entry["after"]["preempted_by"]) == (victim, "hospital-it", "urgent")
    assert (entry["before"]["phase"], entry["after"]["phase"]) == ("Active", "Withdrawing")
    for who in ("it@alpha", "it@bravo"):
        assert door.call(who, "GET", "/v1/audit?action=intent.preempt").json()["entries"] == []
    newest = door.call("it@alpha", "GET", "/v1/audit?target=urgent").json()["entries"][0]
    assert (newest["action"], newest["after"]["decision"]) == ("intent.file", "admitted")


def test_a_key_answers_again_only_for_the_same_consent(door: Door, make_intent: Callable[..., dict[str, Any]]) -> None:
    fill(door, make_intent)
    urgent, key = ask(make_intent, "urgent", "alpha", 700, 9), {"idempotency-key": "one"}
    assert door.call("it@alpha", "POST", "/v1/intents", json=urgent, headers=key).status_code == 200
    other = door.call("it@alpha", "POST", "/v1/intents?preempt=true", json=urgent, headers=key)
    assert other.status_code == 409
    again = {"idempotency-key": "two"}
    answers = [door.call("it@alpha", "POST", "/v1/intents?preempt=true", json=urgent, headers=again) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len(door.call("engineer", "GET", "/v1/audit?action=intent.preempt").json()["entries"]) == 1


def test_a_quota_is_refused_with_what_is_left_and_the_parameter_is_documented(
    door: Door, make_intent: Callable[..., dict[str, Any]]
) -> None:
    big = ask(make_intent, "big", "alpha", 950, 9)
    (filed,) = door.call("it@alpha", "POST", "/v1/intents?preempt=true", json=big).json()["intents"]
    reason = filed["decision"]["reasons"][0]
    assert (filed["admitted"], reason["constraint"], reason["available"]) == (False, "policy", 900.0)
    paths = door.client.get("/openapi.json").json()["paths"]
    assert any(item["name"] == "preempt" for item in paths["/v1/intents"]["post"]["parameters"])
