"""The access policy: first matching rule, else own and common endpoints only; windows; documents with their faults."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from carelane.errors import InputError
from carelane.policies.access import Contact, first_violation, reachable
from carelane.policies.access.manifest import parse_policy
from carelane.topology import parse_topology

TOPOLOGY = parse_topology("""\
apiVersion: carelane/v1
kind: Topology
metadata: {name: t}
spec:
  nodes: [{id: s1, site: county}, {id: s2, site: province}]
  links: [{id: l, a: s1, b: s2, capacity: 1Gbps, length: 1km}]
  endpoints:
    - {id: county/or, node: s1, port: 7, address: 10.0.0.1/32, tenant: county}
    - {id: county/desk, node: s1, address: 10.0.0.2/32, tenant: county}
    - {id: province/console, node: s2, address: 10.0.0.3/32, tenant: province}
    - {id: cloud, node: s2, address: 10.0.0.4/32}
""")
NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)  # a Monday


BACKWARDS = {"device": "province/console", "to": "county/or"}


def policy(rules: str) -> Any:
    head = "apiVersion: carelane/v1\nkind: AccessPolicy\nmetadata: {name: p}\nspec:\n  rules:\n"
    return parse_policy(head + rules)


def contact(device: str = "county/or", to: str = "province/console", **changes: Any) -> Contact:
    ends = TOPOLOGY.endpoints
    made = Contact("county", ends[device], ends[to], "remote-surgery", "telephony", 40_000_000)
    return replace(made, **changes)


def forbids(rules: str, asked: Contact, moment: datetime = NOON) -> str | None:
    found = first_violation(policy(rules), TOPOLOGY, [asked], moment)
    return None if found is None else found.rule


def test_between_tenants_nothing_and_within_one_everything() -> None:
    assert forbids("    []", contact()) == "default-deny"
    assert forbids("    []", contact(to="county/desk")) is None
    assert forbids("    []", contact(to="cloud")) is None
    assert forbids("    []", contact(tenant="province")) == "default-deny"


@pytest.mark.parametrize(
    ("condition", "other"),
    [
        ("tenants: [county]", {"tenant": "else"}),
        ("devices: ['county/or*']", {"device": "county/desk"}),
        ("ports: ['s1:7']", {"device": "county/desk"}),
        ("sites: [county]", {"device": "cloud"}),
        ("to: ['province/*']", BACKWARDS),
        ("toSites: [province]", BACKWARDS),
        ("services: [remote-surgery]", {"service": "video-conference"}),
        ("classes: [telephony]", {"traffic_class": "standard"}),
        ("maxRate: 40Mbps", {"rate_bps": 40_000_001}),
    ],
)  # fmt: skip
def test_each_condition_binds(condition: str, other: dict[str, Any]) -> None:
    rule = f"    - {{name: r, {condition}}}\n"
    assert forbids(rule, contact()) is None
    assert forbids(rule, contact(**other)) in ("default-deny", "r")


def test_the_first_rule_that_matches_decides() -> None:
    rules = "    - {name: no-desks, effect: deny, devices: ['*/desk']}\n    - {name: all, tenants: [county]}\n"
    assert forbids(rules, contact()) is None
    assert forbids(rules, contact(device="county/desk")) == "no-desks"
    assert forbids(rules, contact(device="county/desk", to="cloud")) == "no-desks", "within the tenant too"
    faster = "    - {name: slow, maxRate: 1Mbps}\n    - {name: fast, classes: [telephony]}\n"
    assert forbids(faster, contact()) is None, "a rule that only lacks the rate does not forbid what another allows"
    assert forbids("    - {name: slow, maxRate: 1Mbps}\n", contact()) == "slow"


@pytest.mark.parametrize(
    ("window", "moment", "open_"),
    [
        ("from: '08:00', to: '18:00'", "2026-06-01T08:00:00+00:00", True),
        ("from: '08:00', to: '18:00'", "2026-06-01T18:00:00+00:00", False),
        ("from: '08:00', to: '18:00', days: [tue]", "2026-06-01T12:00:00+00:00", False),
        ("from: '08:00', to: '18:00', zone: Asia/Shanghai", "2026-06-01T00:30:00+00:00", True),
        ("from: '08:00', to: '18:00', zone: Asia/Shanghai", "2026-06-01T12:00:00+00:00", False),
        ("from: '22:00', to: '06:00', days: [mon]", "2026-06-01T23:00:00+00:00", True),
        ("from: '22:00', to: '06:00', days: [mon]", "2026-06-02T05:59:00+00:00", True),
        ("from: '22:00', to: '06:00', days: [mon]", "2026-06-01T05:00:00+00:00", False),
    ],
)
def test_windows(window: str, moment: str, open_: bool) -> None:
    rule = f"    - {{name: r, tenants: [county], when: {{{window}}}}}\n"
    assert (forbids(rule, contact(), datetime.fromisoformat(moment)) is None) is open_


def test_a_tenant_knows_what_it_may_reach() -> None:
    ends = TOPOLOGY.endpoints
    rules = policy("    - {name: r, tenants: [county], to: ['province/*'], when: {from: '01:00', to: '02:00'}}\n")
    assert reachable(rules, "county", ends["province/console"])
    assert reachable(rules, "county", ends["cloud"])
    assert not reachable(rules, "other", ends["province/console"])
    assert not reachable(rules, "province", ends["county/or"])
    assert not reachable(
        policy("    - {name: r, tenants: [county], effect: deny}\n"), "county", ends["province/console"]
    )


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ("    - {name: r, maxRate: 40}\n", "maxRate"),
        ("    - {name: r, classes: [voice]}\n", "rules[0]"),
        ("    - {name: r, effect: perhaps}\n", "effect"),
        ("    - {name: r, tenant: county}\n", "tenant"),
        ("    - {name: r, effect: deny, maxRate: 1Mbps}\n", "rules[0]"),
        ("    - {name: r, when: {from: '25:00', to: '01:00'}}\n", "from"),
        ("    - {name: r, when: {from: '05:00', to: '01:00', zone: Mars/Base}}\n", "zone"),
        ("    - {name: r}\n    - {name: r}\n", "rules[1].name"),
    ],
)
def test_faults_are_placed(rules: str, field: str) -> None:
    with pytest.raises(InputError) as found:
        policy(rules)
    assert field in (found.value.field or "")
    assert found.value.line is not None
    assert found.value.line >= 6
