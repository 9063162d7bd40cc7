"""`carelane availability`: exact figures for paths given as nodes, parallel links, and bad paths by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

Cli = Any
HEAD = "apiVersion: carelane/v1\nkind: Topology\nmetadata: {name: net}\nspec:\n"


def topology(path: Path, links: dict[str, tuple[str, str]], ratio: str, nodes: str = "1") -> str:
    names = sorted({end for ends in links.values() for end in ends})
    text = HEAD + "  nodes:\n" + "".join(f"    - {{id: {name}, availability: {nodes}}}\n" for name in names)
    text += "  links:\n"
    for name, (a, b) in links.items():
        text += f"    - {{id: {name}, a: {a}, b: {b}, capacity: 1Gbps, length: 1km, availability: {ratio}}}\n"
    text += f"  endpoints: [{{id: {names[0]}/e, node: {names[0]}, address: 10.0.0.1/32, capacity: 1Gbps}}]\n"
    file = path / "net.yaml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def paths(*texts: str) -> list[str]:
    return [argument for text in texts for argument in ("--paths", text)]


def figure(call: Cli, file: str, *texts: str) -> float:
    ran = call("availability", "-t", file, *paths(*texts), "-o", "json")
    assert ran.code == 0, ran.err
    found: float = json.loads(ran.out)["availability"]
    return found


BRIDGE = {"sa": ("s", "a"), "sb": ("s", "b"), "ab": ("a", "b"), "at": ("a", "t"), "bt": ("b", "t")}


def test_the_five_edge_bridge(call: Cli, tmp_path: Path) -> None:
    file = topology(tmp_path, BRIDGE, "0.9")
    assert figure(call, file, "s,a,t", "s,b,t", "s,a,b,t", "s,b,a,t") == 0.97848
    assert figure(call, file, "s,a,t") == 0.81


@pytest.mark.parametrize(("count", "digits", "expected"), [(2, 6, 0.999857), (3, 7, 0.9999983)])
def test_disjoint_three_hop_paths_of_links_failing_at_four_per_mille(
    call: Cli, tmp_path: Path, count: int, digits: int, expected: float
) -> None:
    links = {}
    for k in range(count):
        links |= {f"x{k}": ("s", f"a{k}"), f"y{k}": (f"a{k}", f"b{k}"), f"z{k}": (f"b{k}", "t")}
    file = topology(tmp_path, links, "0.996")
    assert round(figure(call, file, *(f"s,a{k},b{k},t" for k in range(count))), digits) == expected


def test_parallel_links_serve_a_hop_together_unless_one_is_named(call: Cli, tmp_path: Path) -> None:
    file = topology(tmp_path, {"l1": ("a", "b"), "l2": ("a", "b"), "l3": ("b", "c")}, "0.9")
    assert figure(call, file, "a,b,c") == round(0.99 * 0.9, 15)
    assert figure(call, file, "a@l1,b,c") == 0.81
    assert figure(call, file, "a@l1,b,c", "a@l2,b,c") == round(0.99 * 0.9, 15)
    document = json.loads(call("availability", "-t", file, *paths("a,b,c"), "-o", "json").out)
    assert document["paths"][0]["links"] == [["l1", "l2"], ["l3"]]
    assert "l1 or l2, l3" in call("availability", "-t", file, *paths("a,b,c")).out


def test_nodes_and_defaults_count(call: Cli, tmp_path: Path) -> None:
    file = topology(tmp_path, {"l1": ("a", "b")}, "0.9", nodes="0.99")
    assert figure(call, file, "a,b") == round(0.9 * 0.99**2, 15)
    assert figure(call, file, "a") == 0.99
    silent = Path(file).read_text(encoding="utf-8").replace(", availability: 0.9}", "}")
    Path(file).write_text(silent, encoding="utf-8")
    ran = call("availability", "-t", file, *paths("a,b"))
    assert ran.code == 2
    assert "link l1 states no availability" in ran.err
    defaulted = call("availability", "-t", file, "--default-availability", "90%", *paths("a,b"), "-o", "json")
    assert json.loads(defaulted.out)["availability"] == round(0.9 * 0.99**2, 15)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("s,t", "no link joins s and t"),
        ("s,x,t", "unknown node 'x'"),
        ("s,a,s", "visits s twice"),
        ("s,,t", "unknown node ''"),
        ("", "unknown node ''"),
        ("s@bt,a", "link bt does not join s and a"),
        ("s@nope,a", "unknown link 'nope'"),
        ("s,a@at", "ends with a link"),
        ("a/e,t", "is an endpoint, not a node"),
    ],
)
def test_a_bad_path_is_named(call: Cli, tmp_path: Path, path: str, message: str) -> None:
    ran = call("availability", "-t", topology(tmp_path, BRIDGE, "0.9"), "--paths", path)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert "--paths" in ran.err


def test_no_path_is_bad_input_and_different_ends_are_mentioned(call: Cli, tmp_path: Path) -> None:
    file = topology(tmp_path, BRIDGE, "0.9")
    assert call("availability", "-t", file).code == 2
    assert "do not join the same two nodes" in call("availability", "-t", file, *paths("s,a", "s,b")).err
