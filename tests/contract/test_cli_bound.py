"""`carelane bound`: the contract's file and JSON, what has no bound, and every kind of bad input by its place."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

Cli = Any
EXAMPLE = """\
apiVersion: carelane/v1
kind: CalculusNetwork
spec:
  servers: [{id: s0, rate: 20, latency: 20}, {id: s1, rate: 20, latency: 20}]
  flows:
    - {id: f0, path: [s0, s1], rate: 5, burst: 25}
    - {id: f1, path: [s1], rate: 5, burst: 25}
"""


@pytest.fixture
def network_file(tmp_path: Path) -> Path:
    path = tmp_path / "network.yaml"
    path.write_text(EXAMPLE, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("analysis", "multiplexing", "expected"),
    [
        ("tfa", "fifo", {"f0": 48.75, "f1": 27.5}),
        ("sfa", "fifo", {"f0": 515 / 12, "f1": 335 / 12}),
        ("sfa", "arbitrary", {"f0": 50.0, "f1": 110 / 3}),
    ],
)
def test_it_prints_the_bound_of_each_flow(
    call: Cli, network_file: Path, analysis: str, multiplexing: str, expected: dict[str, float]
) -> None:
    ran = call("bound", str(network_file), "--analysis", analysis, "--multiplexing", multiplexing, "-o", "json")
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out) == pytest.approx(expected, rel=1e-14)


def test_a_printed_bound_is_never_below_the_exact_one(call: Cli, network_file: Path) -> None:
    ran = call("bound", str(network_file), "--analysis", "sfa", "-o", "json")
    assert json.loads(ran.out)["f0"] == 42.9166666666667


def test_line_shaping_uses_the_peaks_of_the_file(call: Cli, tmp_path: Path) -> None:
    servers = [{"id": f"s{n}", "rate": 10_000, "latency": 10, "peak": 10_000} for n in range(12)]
    flows = [
        {"id": f"f{n}", "path": [f"s{x}" for x in range(n, 12)], "rate": 10_000 / 24, "burst": 8000} for n in range(12)
    ]
    document = {"apiVersion": "carelane/v1", "kind": "CalculusNetwork", "spec": {"servers": servers, "flows": flows}}
    path = tmp_path / "tree.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    shaped = json.loads(call("bound", str(path), "--line-shaping", "-o", "json").out)
    plain = json.loads(call("bound", str(path), "-o", "json").out)
    assert round(shaped["f0"], 3) == 142.018
    assert round(plain["f0"], 1) == 584.8


def test_line_shaping_without_a_peak_changes_nothing_and_says_so(call: Cli, network_file: Path) -> None:
    ran = call("bound", str(network_file), "--line-shaping", "-o", "json")
    assert json.loads(ran.out)["f0"] == 48.75
    assert "no server states a peak" in ran.err


def test_details_hold_the_exact_fractions_of_flows_and_servers(call: Cli, network_file: Path) -> None:
    details = yaml.safe_load(call("bound", str(network_file), "--details", "-o", "yaml").out)
    assert details["flows"]["f0"] == {"delay": 48.75, "exact": "195/4", "reason": None}
    assert details["servers"]["s0"]["exact"] == "85/4"
    assert details["propagation"] == "service"
    assert "195/4" in call("bound", str(network_file)).out


def test_no_bound_is_null_with_the_reason_beside_it(call: Cli, network_file: Path) -> None:
    network_file.write_text(EXAMPLE.replace("rate: 5", "rate: 15"), encoding="utf-8")
    ran = call("bound", str(network_file), "-o", "json")
    assert ran.code == 1
    assert json.loads(ran.out) == {"f0": None, "f1": None}
    assert "no bound for f0: server s1 is overloaded: its flows bring 30, it serves 20" in ran.err
    details = json.loads(call("bound", str(network_file), "--details", "-o", "json").out)
    assert details["flows"]["f1"]["reason"].startswith("server s1 is overloaded")
    assert "no bound" in call("bound", str(network_file)).out


def test_circles_are_bounded_by_tfa_and_refused_by_sfa(call: Cli, network_file: Path) -> None:
    network_file.write_text(EXAMPLE.replace("path: [s1]", "path: [s1, s0]"), encoding="utf-8")
    ran = call("bound", str(network_file), "-o", "json")
    assert ran.code == 0
    assert json.loads(ran.out)["f0"] == pytest.approx(2 * 22.5 / 0.75, rel=1e-9)
    refused = call("bound", str(network_file), "--analysis", "sfa")
    assert refused.code == 2
    assert "in a circle: s" in refused.err


@pytest.mark.parametrize(
    ("wrong", "right", "place", "message"),
    [
        ("rate: 20, latency: 20}, ", "rate: 0, latency: 20}, ", ":4: spec.servers[0].rate", "0 is not more than 0"),
        ("rate: 5, burst: 25}\n    -", "rate: -5, burst: 25}\n    -", ":6: spec.flows[0].rate", "-5 is not more than"),
        ("latency: 20}]", "latency: -1}]", ":4: spec.servers[1].latency", "-1 is negative"),
        ("burst: 25}\n    -", "burst: .nan}\n    -", ":6: spec.flows[0].burst", "'.nan' is not a plain number"),
        ("burst: 25}\n    -", "burst: .inf}\n    -", ":6: spec.flows[0].burst", "'.inf' is not a plain number"),
        ("burst: 25}\n    -", "burst: 1e999}\n    -", ":6: spec.flows[0].burst", "out of all proportion"),
        ("burst: 25}\n    -", "burst: 1e-99}\n    -", ":6: spec.flows[0].burst", "out of all proportion"),
        ("burst: 25}\n    -", "burst: 25KB}\n    -", ":6: spec.flows[0].burst", "not a plain number"),
        ("burst: 25}\n    -", "burst: true}\n    -", ":6: spec.flows[0].burst", "not a plain number"),
        ("[s0, s1]", "[s0, s9]", ":6: spec.flows[0].path", "crosses unknown server s9"),
        ("[s0, s1]", "[s0, s1, s0]", ":6: spec.flows[0].path", "crosses s0 twice"),
        ("[s0, s1]", "[]", ":6: spec.flows[0].path", "crosses no server"),
        ("id: f1", "id: f0", ":7: spec.flows[1].id", "a second flow f0"),
        ("id: s1", "id: s0", ":4: spec.servers[1].id", "a second server s0"),
        ("latency: 20}]", "latency: 20, peak: 19}]", ":4: spec.servers[1].peak", "peak below its rate"),
        ("latency: 20}]", "latency: 20, speed: 19}]", ":4: spec.servers[1].speed", "unknown field"),
        ("CalculusNetwork", "CalculusNet", ":2: kind", "is not a known kind"),
        ("CalculusNetwork", "Topology", "network.yaml", "no calculus network in this file"),
    ],
)
def test_bad_input_is_named_with_its_line(
    call: Cli, network_file: Path, wrong: str, right: str, place: str, message: str
) -> None:
    assert wrong in EXAMPLE
    network_file.write_text(EXAMPLE.replace(wrong, right, 1), encoding="utf-8")
    ran = call("bound", str(network_file), "-o", "json")
    assert (ran.code, ran.out) == (2, "")
    assert place in ran.err
    assert message in ran.err


def test_servers_with_a_queue_for_each_class(call: Cli, network_file: Path) -> None:
    """f0 goes first: [20 (t - 20)]+ of each server; without a class a flow has no queue, and its line is named."""
    queues = EXAMPLE.replace("latency: 20}", "latency: 20, priorities: [care, rest]}").replace(
        "id: f0", "id: f0, class: care"
    )
    network_file.write_text(queues.replace("id: f1", "id: f1, class: rest"), encoding="utf-8")
    ran = call("bound", str(network_file), "-o", "json")
    assert ran.code == 0
    assert json.loads(ran.out)["f0"] == 20 + 25 / 20 + 20 + (25 + 5 * 20) / 20
    detailed = json.loads(call("bound", str(network_file), "--details", "-o", "json").out)
    assert "s1 rest" in detailed["servers"]
    network_file.write_text(queues, encoding="utf-8")
    refused = call("bound", str(network_file))
    assert refused.code == 2
    assert ":7: spec.flows[1].class" in refused.err
    assert "flow f1 is of no class, for which server s1 has no queue" in refused.err


def test_a_missing_file_and_a_wrong_word_are_bad_input(call: Cli, network_file: Path) -> None:
    assert call("bound", str(network_file) + "x").code == 2
    assert call("bound", str(network_file), "--analysis", "guess").code == 2


def test_class_queues_print_a_bound_for_every_path_and_whom_more_would_break(
    call: Cli, topology_file: Path, intent_file: Path, intent_text: str, tmp_path: Path
) -> None:
    ran = call("class-queues", "-t", str(topology_file), "-f", str(intent_file), "-o", "json")
    assert ran.code == 0
    rows = json.loads(ran.out)["slices"]
    assert [row["role"] for row in rows] == ["primary", "primary", "backup", "backup"]
    assert all(row["keeps"] and row["class"] == "telephony" for row in rows)
    assert 2.5 < rows[0]["delay_bound_ms"] < 2.7
    more = tmp_path / "more.yaml"
    bursty = intent_text.replace("or1-surgery", "bursty").replace("jitter: 5ms", "jitter: none")
    more.write_text(bursty.replace("  objectives", "  burst: 2MB\n  objectives"), encoding="utf-8")
    more.write_text(more.read_text(encoding="utf-8").replace("delay: 20ms", "delay: none"), encoding="utf-8")
    broken = call("class-queues", "-t", str(topology_file), "-f", str(intent_file), "--adding", str(more), "-o", "json")
    assert broken.code == 1
    assert {row["name"] for row in json.loads(broken.out)["broken"]} == {"or1-surgery"}
    table = call("class-queues", "-t", str(topology_file), "-f", str(intent_file), "--adding", str(more)).out
    assert "broken by what was added: or1-surgery" in table


def test_port_waits_count_what_goes_first(call: Cli, topology_file: Path, intent_file: Path, tmp_path: Path) -> None:
    """Alone the figures are the plan's; behind the bursts of another slice of its class they are not kept."""
    files = ("-t", str(topology_file), "-f", str(intent_file))
    ran = call("port-waits", *files, "-o", "json")
    assert ran.code == 0
    planned = json.loads(call("plan", *files, "-o", "json").out)["decisions"][0]["paths"]
    assert [row["delay_bound_ms"] for row in json.loads(ran.out)["slices"][::2]] == pytest.approx(
        [path["delay_bound_ms"] for path in planned], abs=1e-5
    )
    more = tmp_path / "more.yaml"
    text = intent_file.read_text(encoding="utf-8").replace("or1-surgery", "bursty").replace("20ms", "none")
    more.write_text(text.replace("jitter: 5ms", "jitter: none").replace("  objectives", "  burst: 2MB\n  objectives"))
    broken = call("port-waits", *files, "--adding", str(more))
    assert broken.code == 1
    assert "broken by what was added: or1-surgery" in broken.out


LADDER = """\
apiVersion: carelane/v1
kind: Topology
metadata: {name: ladder}
spec:
  nodes: [{id: a}, {id: b}, {id: c}, {id: d}, {id: e}, {id: f}]
  links:
    - {id: ab, a: a, b: b, capacity: 10Mbps, delay: 1ms}
    - {id: cd, a: c, b: d, capacity: 10Mbps, delay: 1ms}
    - {id: ae, a: a, b: e, capacity: 10Mbps, delay: 1ms}
    - {id: ce, a: c, b: e, capacity: 10Mbps, delay: 1ms}
    - {id: ef, a: e, b: f, capacity: 10Mbps, delay: 1ms}
    - {id: fb, a: f, b: b, capacity: 10Mbps, delay: 1ms}
    - {id: fd, a: f, b: d, capacity: 10Mbps, delay: 1ms}
  endpoints:
    - {id: a/1, node: a, address: 10.0.0.1/32, capacity: 100Mbps}
    - {id: b/1, node: b, address: 10.0.0.2/32, capacity: 100Mbps}
    - {id: c/1, node: c, address: 10.0.0.3/32, capacity: 100Mbps}
    - {id: d/1, node: d, address: 10.0.0.4/32, capacity: 100Mbps}
"""
PAIR = """\
apiVersion: carelane/v1
kind: ServiceIntent
metadata: {name: NAME}
spec:
  service: remote-consultation
  from: [FROM/1]
  to: [TO/1]
  protection: required
  objectives: {delay: 150ms, bandwidth: 9Mbps, availability: none, loss: none, jitter: none}
"""


def test_backups_that_never_run_together_share_the_link_between(call: Cli, tmp_path: Path) -> None:
    """Two primaries of one link each; both backups need link ef, which holds one of them."""
    network, intents = tmp_path / "ladder.yaml", tmp_path / "pairs.yaml"
    network.write_text(LADDER, encoding="utf-8")
    pairs = [PAIR.replace("NAME", f"{a}{b}").replace("FROM", a).replace("TO", b) for a, b in ("ab", "cd")]
    intents.write_text("---\n".join(pairs), encoding="utf-8")
    ran = call("shared-backups", "-t", str(network), "-f", str(intents), "-o", "json")
    assert ran.code == 0
    document = json.loads(ran.out)
    assert (document["admitted"], document["admitted_shared"]) == (1, 2)
    assert [row["admitted"] for row in document["intents"]] == [True, False]
    assert [path["links"] for path in document["intents"][1]["paths"]] == [["cd"], ["ce", "ef", "fd"]]
    between = {(row["node"], row["link"]): row for row in document["ports"]}[("e", "ef")]
    assert between["reserved_mbps"] == between["reserved_shared_mbps"] <= 10, "one reservation for both"
    table = call("shared-backups", "-t", str(network), "-f", str(intents)).out
    assert "cd    refused      admitted        primary c d; backup c e f d" in table
    assert "1 with backups of their own, 2 with shared ones, of 2" in table
    ducts = re.sub("(id: (?:ab|cd), .*)}", r"\1, riskGroups: [duct]}", LADDER)
    network.write_text(ducts, encoding="utf-8")
    one_duct = call("shared-backups", "-t", str(network), "-f", str(intents), "-o", "json")
    assert one_duct.code == 3, "primaries in one duct fail together, so their backups cannot share"
    assert json.loads(one_duct.out)["admitted_shared"] == 1
