"""`carelane plan`: the contract's JSON, exit codes, and every kind of bad input located in the user's own file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

Cli = Any
SCHEMA = json.loads((Path(__file__).parent / "plan.schema.json").read_text(encoding="utf-8"))


def plan(run: Cli, topology: Path | str, *arguments: str, expect: int = 0, **options: str) -> dict[str, Any]:
    ran = run("plan", "-t", str(topology), *arguments, "-o", "json", **options)
    assert ran.code == expect, ran.err
    document: dict[str, Any] = json.loads(ran.out)
    jsonschema.validate(document, SCHEMA)
    return document


def test_the_example_is_admitted_within_its_objectives(cli: Cli, topology_file: Path, intent_file: Path) -> None:
    document = plan(cli, topology_file, "-f", str(intent_file))
    assert document["topology"] == "example"
    (decision,) = document["decisions"]
    assert (decision["name"], decision["decision"]) == ("or1-surgery", "admitted")
    assert decision["availability"] >= 0.9999
    primary = decision["paths"][0]
    assert primary["role"] == "primary"
    assert primary["nodes"] == ["county", "city", "province"]
    assert primary["links"] == ["l1", "l2"]
    assert primary["to"] == "province/console-3"
    assert primary["reserved_mbps"] >= 40.0
    assert 2.5 == primary["propagation_ms"] <= primary["delay_bound_ms"] <= 20.0
    assert primary["jitter_bound_ms"] <= 5.0
    assert document["totals"]["offered_mbps"] == document["totals"]["admitted_mbps"] == 40.0
    assert document["totals"]["gap"] == 0.0


def test_availability_beyond_one_path_takes_a_disjoint_backup(
    call: Cli, topology_file: Path, intent_file: Path
) -> None:
    """One path is at best 0.9994; 99.99% therefore needs both ways round."""
    (decision,) = plan(call, topology_file, "-f", str(intent_file))["decisions"]
    roles = {path["role"]: set(path["links"]) for path in decision["paths"]}
    assert roles == {"primary": {"l1", "l2"}, "backup": {"l3"}}


def test_a_refusal_names_the_constraint_and_an_offer_that_is_then_accepted(
    call: Cli, topology_file: Path, intent_file: Path, intent_text: str
) -> None:
    intent_file.write_text(intent_text.replace("delay: 20ms", "delay: 1ms"), encoding="utf-8")
    (decision,) = plan(call, topology_file, "-f", str(intent_file), expect=3)["decisions"]
    reason = decision["reasons"][0]
    assert (reason["constraint"], reason["required"], reason["unit"]) == ("delay", 1.0, "ms")
    assert reason["available"] > 2.5
    offer = decision["offers"][0]
    taken = intent_text.replace("delay: 20ms", f"delay: {offer['delay_ms']}ms")
    intent_file.write_text(taken, encoding="utf-8")
    plan(call, topology_file, "-f", str(intent_file))


def test_bandwidth_is_refused_when_the_ledger_is_full(
    call: Cli, topology_file: Path, intent_file: Path, intent_text: str
) -> None:
    big = intent_text.replace("40Mbps", "600Mbps")
    intent_file.write_text(big + "---\n" + big.replace("or1-surgery", "or2-surgery"), encoding="utf-8")
    first, second = plan(call, topology_file, "-f", str(intent_file), expect=3)["decisions"]
    assert (first["decision"], second["decision"]) == ("admitted", "refused")
    assert second["reasons"][0]["constraint"] == "bandwidth"
    assert second["reasons"][0]["required"] == 600.0


def test_a_refusal_names_what_would_cure_it_and_doing_that_does(
    call: Cli, topology_file: Path, intent_file: Path, intent_text: str
) -> None:
    topology = topology_file.read_text(encoding="utf-8")
    big = intent_text.replace("40Mbps", "600Mbps")
    second = big.replace("or1-surgery", "or2-surgery")
    intent_file.write_text(big + "---\n" + second, encoding="utf-8")
    refused = plan(call, topology_file, "-f", str(intent_file), expect=3)["decisions"][1]
    upgrades = [row for row in refused["remedies"] if row["kind"].startswith("upgrade-")]
    removals = [row["name"] for row in refused["remedies"] if row["kind"] == "remove-intent"]
    assert removals == ["or1-surgery"]
    assert upgrades == [], "its two paths and both lines are full: no single one is enough"
    assert refused["remedies_searched"] == "whole"
    intent_file.write_text(second, encoding="utf-8")
    plan(call, topology_file, "-f", str(intent_file))
    wide = topology.replace("/32, capacity: 1Gbps", "/32, capacity: 9Gbps")
    topology_file.write_text(wide, encoding="utf-8")
    line = "remote surgery county/or-1 -> province/console-3: 20 ms, 1200 Mbps, no availability, loss none"
    [refused] = plan(call, topology_file, line, expect=3)["decisions"]
    assert refused["remedies"] == [{"kind": "upgrade-link", "link": "l3", "from_mbps": 1000.0, "to_mbps": 1200.0}]
    told = "if link l3 had 1200 Mbit/s instead of 1000 Mbit/s"
    assert f"would be admitted {told}" in call("plan", "-t", str(topology_file), line).out
    assert told in call("explain", "-t", str(topology_file), line).out
    topology_file.write_text(
        wide.replace("l3, a: county, b: province, capacity: 1Gbps", "l3, a: county, b: province, capacity: 1200Mbps")
    )
    plan(call, topology_file, line)


def test_a_consultation_shares_what_so_many_speakers_need(call: Cli, topology_file: Path) -> None:
    """Five townships behind one county, whose way to the city has room for two speakers."""
    spec = {
        "nodes": [{"id": name, "kind": "switch"} for name in ("city", "county", "a", "b", "c", "d", "e")],
        "links": [{"id": "trunk", "a": "county", "b": "city", "capacity": "10Mbps", "delay": "1ms"}]
        + [{"id": f"l-{n}", "a": n, "b": "county", "capacity": "100Mbps", "delay": "1ms"} for n in "abcde"],
        "endpoints": [{"id": f"{n}/1", "node": n, "capacity": "100Mbps"} for n in ("city", "a", "b", "c", "d", "e")],
    }
    network = {"apiVersion": "carelane/v1", "kind": "Topology", "metadata": {"name": "county"}, "spec": spec}
    topology_file.write_text(yaml.safe_dump(network), encoding="utf-8")
    line = "remote consultation a/1, b/1, c/1, d/1, e/1 -> city/1: 150 ms, 5 Mbps, burst 10KB, jitter none, loss none"
    assert plan(call, topology_file, line, expect=3)["decisions"][0]["reasons"][0]["at"] == "trunk"
    document = plan(call, topology_file, f"{line}, 2 speakers")
    [decision] = document["decisions"]
    assert decision["speakers"] == 2
    assert [(row["link"], row["node"], row["sites"], row["reserved_mbps"]) for row in decision["shared"]] == [
        ("trunk", "city", 5, 10.0), ("trunk", "county", 5, 10.0)
    ]  # fmt: skip
    assert len(decision["paths"]) == 5
    assert all(path["delay_bound_ms"] <= 150 for path in decision["paths"])
    assert [text for text in decision["assumptions"] if "at most 2 of the 5 sites speak at once" in text]
    assert document["totals"] == {"offered_mbps": 10.0, "admitted_mbps": 10.0, "upper_bound_mbps": 10.0, "gap": 0.0}
    table = call("plan", "-t", str(topology_file), f"{line}, 2 speakers").out
    assert "5 sites, of which 2 speak at once, share 10 Mbit/s on trunk from county" in table
    [three] = plan(call, topology_file, f"{line}, 3 speakers", expect=3)["decisions"]
    assert three["remedies"] == [{"kind": "upgrade-link", "link": "trunk", "from_mbps": 10.0, "to_mbps": 15.0}]


def test_the_same_input_gives_the_same_bytes(cli: Cli, topology_file: Path, intent_file: Path) -> None:
    runs = {
        cli("plan", "-t", str(topology_file), "-f", str(intent_file), "-o", "json", env={"PYTHONHASHSEED": seed}).out
        for seed in ("1", "2", "3")
    }
    assert len(runs) == 1


def test_yaml_says_what_json_says(call: Cli, topology_file: Path, intent_file: Path) -> None:
    document = plan(call, topology_file, "-f", str(intent_file))
    assert yaml.safe_load(call("plan", "-t", str(topology_file), "-f", str(intent_file), "-o", "yaml").out) == document


def test_the_table_shows_paths_reasons_and_offers(call: Cli, topology_file: Path, intent_file: Path) -> None:
    text = call("plan", "-t", str(topology_file), "-f", str(intent_file)).out
    for part in ("or1-surgery", "admitted", "county city province", "primary", "backup", "40 of 40 Mbit/s"):
        assert part in text
    line = "remote surgery county/or-1 -> province/console-3: 1 ms, 99.99%"
    ran = call("plan", "-t", str(topology_file), line)
    assert ran.code == 3
    assert "refused: delay" in ran.out
    assert "would be accepted: delay" in ran.out


def test_the_table_shows_both_directions_where_they_differ(
    call: Cli, topology_file: Path, intent_file: Path, intent_text: str
) -> None:
    intent_file.write_text(intent_text + "  direction: reverse\n", encoding="utf-8")
    assert "0 / 40 Mbit/s" in call("plan", "-t", str(topology_file), "-f", str(intent_file)).out


def test_a_topology_and_its_intents_may_share_a_file(
    call: Cli, topology_file: Path, intent_file: Path, intent_text: str
) -> None:
    both = topology_file.read_text(encoding="utf-8") + "---\n" + intent_text
    intent_file.write_text(both, encoding="utf-8")
    assert len(plan(call, intent_file, "-f", str(intent_file))["decisions"]) == 1
    ran = call("plan", "-t", str(topology_file), "-f", str(intent_file))
    assert ran.code == 2, "another file's topology would be passed over unseen"
    assert f"{intent_file}:2: kind" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["remote surgery county/or-1 -> province/console-3: 20 ms, 99.99%"],
        ["远程手术 county/or-1 → province/console-3：20 毫秒，99.99%"],
        ["remote surgery: 20 ms, 99.99%", "--from", "county/or-1", "--to", "province/console-3"],
    ],
)
def test_one_line_is_an_intent(call: Cli, topology_file: Path, arguments: list[str]) -> None:
    document = plan(call, topology_file, *arguments, "--name", "or1")
    (decision,) = document["decisions"]
    assert (decision["name"], decision["decision"]) == ("or1", "admitted")
    assert any("bandwidth" in text for text in decision["assumptions"])


def test_a_line_without_endpoints_lists_those_that_fit(call: Cli, topology_file: Path) -> None:
    ran = call("plan", "-t", str(topology_file), "remote surgery: 20 ms, 99.99%")
    assert ran.code == 2
    assert "county/or-1" in ran.err
    assert "province/console-3" in ran.err


def test_intents_come_from_stdin_and_from_several_files(
    cli: Cli, topology_file: Path, intent_file: Path, intent_text: str
) -> None:
    second = intent_text.replace("or1-surgery", "or2-surgery")
    document = plan(cli, topology_file, "-f", str(intent_file), "-f", "-", stdin=second)
    assert [decision["name"] for decision in document["decisions"]] == ["or1-surgery", "or2-surgery"]


def test_cernet_with_explicit_defaults(call: Cli, tmp_path: Path) -> None:
    """The Topology Zoo states neither capacity nor availability: without defaults there is nothing to promise."""
    line = ["remote consultation: 150 ms, 99.9%", "--from", "0", "--to", "30"]
    defaults = ["--default-capacity", "10Gbps", "--default-availability", "99.99%"]
    (admitted,) = plan(call, "cernet", *line, *defaults)["decisions"]
    assert admitted["decision"] == "admitted"
    (refused,) = plan(call, "cernet", *line, expect=3)["decisions"]
    assert refused["reasons"][0]["constraint"] == "unknown-data"


def test_a_batch_can_be_optimized(call: Cli, topology_file: Path, intent_file: Path) -> None:
    document = plan(call, topology_file, "-f", str(intent_file), "--optimize")
    assert document["decisions"][0]["decision"] == "admitted"


def test_a_cut_off_part_loads_with_a_warning_and_is_unreachable(
    call: Cli, topology_file: Path, intent_file: Path
) -> None:
    text = topology_file.read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if "{id: l2" not in line and "{id: l3" not in line]
    topology_file.write_text("\n".join(kept), encoding="utf-8")
    ran = call("plan", "-t", str(topology_file), "-f", str(intent_file), "-o", "json")
    assert ran.code == 3
    assert "warning" in ran.err
    assert json.loads(ran.out)["decisions"][0]["reasons"][0]["constraint"] == "unreachable"


def test_a_link_without_figures_loads_with_a_warning_and_carries_no_promise(
    call: Cli, topology_file: Path, intent_file: Path
) -> None:
    text = topology_file.read_text(encoding="utf-8")
    for figures in (", length: 300km, availability: 0.9997", ", length: 700km, availability: 0.9997"):
        text = text.replace(figures, "")
    topology_file.write_text(text, encoding="utf-8")
    ran = call("plan", "-t", str(topology_file), "-f", str(intent_file), "-o", "json")
    assert ran.code == 3
    assert "l2" in ran.err
    constraints = {reason["constraint"] for reason in json.loads(ran.out)["decisions"][0]["reasons"]}
    assert "unknown-data" in constraints


BAD_INTENTS = {
    "unknown service": ("service: remote-surgery", "service: remote-surgry", "spec.service"),
    "unknown endpoint": ("[county/or-1]", "[county/or-9]", "spec.from"),
    "unknown unit": ("20ms", "20lightyears", "spec.objectives.delay"),
    "bare number": ("delay: 20ms", "delay: 20", "spec.objectives.delay"),
    "impossible availability": ("99.99%", "100.5%", "spec.objectives.availability"),
    "delay of zero": ("20ms", "0ms", "spec.objectives.delay"),
    "negative bandwidth": ("40Mbps", "-40Mbps", "spec.objectives.bandwidth"),
    "unknown field": ("objectives:", "objektives:", "spec.objektives"),
    "to itself": ("[province/console-3]", "[county/or-1]", "spec.to"),
    "wrong version": ("carelane/v1", "carelane/v9", "apiVersion"),
}


@pytest.mark.parametrize("case", BAD_INTENTS)
def test_a_bad_intent_is_located(
    call: Cli, topology_file: Path, intent_file: Path, intent_text: str, case: str
) -> None:
    """In the second of two documents, so that the line is not right by chance."""
    before, after, field = BAD_INTENTS[case]
    second = intent_text.replace("or1-surgery", "or2-surgery").replace(before, after)
    text = intent_text + "---\n" + second
    intent_file.write_text(text, encoding="utf-8")
    ran = call("plan", "-t", str(topology_file), "-f", str(intent_file), "-o", "json")
    assert ran.code == 2
    assert ran.out == ""
    line = text.count("\n", 0, text.rindex(after)) + 1
    assert f"{intent_file}:{line}: {field}" in ran.err


def test_duplicate_names_are_refused_in_one_file_and_across_files(
    call: Cli, topology_file: Path, intent_file: Path, intent_text: str, tmp_path: Path
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(intent_text, encoding="utf-8")
    ran = call("plan", "-t", str(topology_file), "-f", str(intent_file), "-f", str(other))
    assert ran.code == 2
    assert f"{other}:3: metadata.name" in ran.err
    intent_file.write_text(intent_text + "---\n" + intent_text, encoding="utf-8")
    ran = call("plan", "-t", str(topology_file), "-f", str(intent_file))
    assert ran.code == 2
    assert "or1-surgery" in ran.err


BAD_TOPOLOGIES = {
    "capacity of zero": ("capacity: 1Gbps, length: 300km", "capacity: 0Gbps, length: 300km", "spec.links[1].capacity"),
    "dangling link": ("b: province, capacity: 1Gbps, length: 300km", "b: nowhere, capacity: 1Gbps", "spec.links[1].b"),
    "unknown unit": ("length: 300km", "length: 300leagues", "spec.links[1].length"),
    "duplicate node": ("{id: city,", "{id: county,", "spec.nodes[1].id"),
    "duplicate link": ("{id: l2,", "{id: l1,", "spec.links[1].id"),
    "endpoint nowhere": ("node: province", "node: nowhere", "spec.endpoints[1].node"),
    "bad address": ("10.1.0.13/32", "10.1.0.1333/32", "spec.endpoints[1].address"),
}


@pytest.mark.parametrize("case", BAD_TOPOLOGIES)
def test_a_bad_topology_is_located(call: Cli, topology_file: Path, intent_file: Path, case: str) -> None:
    before, after, field = BAD_TOPOLOGIES[case]
    text = topology_file.read_text(encoding="utf-8")
    assert before in text
    topology_file.write_text(text.replace(before, after), encoding="utf-8")
    ran = call("plan", "-t", str(topology_file), "-f", str(intent_file), "-o", "json")
    assert ran.code == 2
    line = text.count("\n", 0, text.index(before)) + 1
    assert f"{topology_file}:{line}: {field}" in ran.err


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOMB, "alias"),
        ("[" * 5000, "nest"),
        ("\x00\x01", "YAML"),
        ("a: b: c", "YAML"),
        ("- 1\n- 2\n", "mapping"),
        ("", "no intents"),
        ("!!python/object/apply:os.system ['true']", ""),
    ],
)
def test_hostile_yaml_ends_quickly_and_plainly(
    call: Cli, topology_file: Path, tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "hostile.yaml"
    path.write_text(text, encoding="utf-8")
    for arguments in (["-t", str(topology_file), "-f", str(path)], ["-t", str(path), "-f", str(path)]):
        ran = call("plan", *arguments)
        assert ran.code == 2
        assert str(path) in ran.err
    assert says in call("plan", "-t", str(topology_file), "-f", str(path)).err


def test_ten_megabytes_are_too_much(call: Cli, topology_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_text("a: b\n" * 2_000_001, encoding="utf-8")
    for arguments in (["-t", str(topology_file), "-f", str(path)], ["-t", str(path), "x"]):
        ran = call("plan", *arguments)
        assert ran.code == 2
        assert "larger than 8 MiB" in ran.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-f", "nowhere.yaml"], "nowhere.yaml"),
        (["-f", "/"], "cannot read"),
        ([], "no intents"),
        (["line", "-f", "x.yaml"], "give one of them"),
        (["-f", "x.yaml", "--from", "a"], "--from"),
        (["x", "--default-capacity", "10"], "--default-capacity"),
        (["x", "--default-availability", "many"], "--default-availability"),
        (["fly me to the moon: 20 ms"], "column 15"),
        (["flying doctors: 20 ms"], "flying doctors"),
        (["remote surgery county/or-1 -> province/console-3: 20 parsecs"], "parsecs"),
    ],
)
def test_bad_arguments_are_bad_input(call: Cli, topology_file: Path, arguments: list[str], says: str) -> None:
    ran = call("plan", "-t", str(topology_file), *arguments)
    assert ran.code == 2
    assert says in ran.err
