"""`carelane whatif` as a user runs it: the JSON, exit codes, bad input, and the same sweep on every kind of workers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

Cli = Any

DETOUR = """\
    - {id: l4, a: county, b: town, capacity: 30Mbps, length: 100km, availability: 0.9997}
    - {id: l5, a: town, b: city, capacity: 30Mbps, length: 100km, availability: 0.9997}
  endpoints:
"""


@pytest.fixture
def network(tmp_path: Path, topology_text: str) -> Path:
    """The example, without its second way to the province, and with a narrow detour by a town."""
    lines = [line for line in topology_text.splitlines(keepends=True) if "id: l3" not in line]
    text = "".join(lines).replace("  endpoints:\n", DETOUR)
    text = text.replace("  links:\n", "    - {id: town, kind: switch, availability: 0.99999}\n  links:\n")
    path = tmp_path / "network.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def intents(tmp_path: Path, intent_text: str) -> Path:
    path = tmp_path / "intents.yaml"
    path.write_text(intent_text.replace("99.99%", "99.9%"), encoding="utf-8")
    return path


def asked(run: Cli, network: Path, intents: Path, *arguments: str, expect: int) -> dict[str, Any]:
    ran = run("whatif", "-t", str(network), "-f", str(intents), *arguments, "-o", "json")
    assert ran.code == expect, ran.err
    document: dict[str, Any] = json.loads(ran.out)
    return document


def test_a_failure_that_breaks_a_promise_says_why(call: Cli, network: Path, intents: Path) -> None:
    document = asked(call, network, intents, "--fail", "l1", expect=3)
    (fate,) = document["intents"]
    assert (fate["name"], fate["outcome"], fate["carried"], fate["after"]) == ("or1-surgery", "broken", False, None)
    assert fate["before"]["paths"] == 1
    assert fate["reasons"][0]["constraint"] == "bandwidth"
    assert document["summary"] == {"kept": 0, "restored": 0, "weakened": 0, "broken": 1}
    assert document["question"]["failed"] == {"links": ["l1"], "nodes": [], "risk_groups": []}


def test_an_upgrade_beforehand_saves_it(call: Cli, network: Path, intents: Path) -> None:
    wider = ("--upgrade", "l4=100Mbps", "--upgrade", "l5=100Mbps")
    document = asked(call, network, intents, "--drain", "duct-7", *wider, expect=0)
    (fate,) = document["intents"]
    assert fate["outcome"] == "restored"
    assert fate["paths"][0]["links"] == ["l4", "l5", "l2"]
    assert fate["after"]["delay_bound_ms"] <= 20.0
    assert document["harmless"] is True


def test_added_traffic_is_decided_last(call: Cli, network: Path, intents: Path) -> None:
    line = "remote surgery county/or-1 -> province/console-3: 20 ms, 99.9%, 970 Mbps, loss none"
    document = asked(call, network, intents, "--add", line, expect=3)
    assert document["summary"]["kept"] == 1
    assert [(d["name"], d["decision"]) for d in document["added"]] == [("added-1", "refused")]
    assert document["added"][0]["reasons"]


def test_the_table_tells_a_person(call: Cli, network: Path, intents: Path) -> None:
    ran = call("whatif", "-t", str(network), "-f", str(intents), "--fail", "l1")
    assert ran.code == 3
    assert "or1-surgery  broken   stops" in ran.out
    assert "bandwidth at" in ran.out
    ran = call("whatif", "-t", str(network), "-f", str(intents), "--sweep", "--workers", "1")
    assert "9 single failures" in ran.out
    assert "risk group duct-7" in ran.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--fail", "nowhere"), "--fail: 'nowhere' is no link, node or risk group of example"),
        (("--drain", "l9"), "--drain: 'l9'"),
        (("--upgrade", "l1"), "expected: LINK=RATE"),
        (("--upgrade", "l1=fast"), "--upgrade"),
        (("--upgrade", "l1=10Mbps"), "more than 10000000 bit/s"),
        (("--upgrade", "zz=10Gbps"), "'zz' is no link"),
        (("--add", "remote surgery a -> b: 20 ms"), "a"),
        (("--sweep", "--fail", "l1"), "every single failure"),
        (("--sweep", "--ray", "10.0.0.1:1", "--workers", "2"), "--workers"),
    ],
)
def test_bad_questions_are_refused_by_name(
    call: Cli, network: Path, intents: Path, arguments: tuple[str, ...], says: str
) -> None:
    ran = call("whatif", "-t", str(network), "-f", str(intents), *arguments)
    assert ran.code == 2
    assert says in ran.err
    assert not ran.out


def test_every_kind_of_workers_gives_the_same_sweep(cli: Cli, network: Path, intents: Path) -> None:
    """In this process, in two processes, and on a Ray cluster of two workers that is started for it."""
    alone = asked(cli, network, intents, "--sweep", "--workers", "1", expect=3)
    broken = {row["label"]: row["broken"] for row in alone["failures"]}
    everything = {"link l1", "link l2", "node county", "node city", "node province", "risk group duct-7"}
    assert {label for label, names in broken.items() if names} == everything
    assert asked(cli, network, intents, "--sweep", "--workers", "2", expect=3) == alone
    assert asked(cli, network, intents, "--sweep", "--ray", "local", "--workers", "2", expect=3) == alone
