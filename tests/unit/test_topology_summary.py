"""The graph view and what `topology show` and `check` say about a network."""

from __future__ import annotations

import json

import networkx as nx
import pytest

from carelane.topology import load_topology, parse_topology, summarize, summary_json, to_graph

NETWORK = """
apiVersion: carelane/v1
kind: Topology
metadata: {name: net}
spec:
  nodes: [{id: a}, {id: b}, {id: c}, {id: d, riskGroups: [building]}, {id: lonely}]
  links:
    - {id: ab, a: a, b: b, capacity: 1Gbps, length: 10km, availability: 0.99, riskGroups: [duct]}
    - {id: bc, a: b, b: c, capacity: 1Gbps, length: 10km, availability: 0.99}
    - {id: ca, a: c, b: a, capacity: 1Gbps, length: 10km, availability: 0.99, riskGroups: [duct]}
    - {id: cd, a: c, b: d}
    - {id: cd-2, a: c, b: d, riskGroups: [harmless]}
    - {id: ae, a: a, b: lonely, capacity: 1Gbps, length: 1km, availability: 0.99}
"""


def test_single_points_of_failure_and_missing_figures() -> None:
    summary = summarize(parse_topology(NETWORK))
    assert (summary.nodes, summary.links, summary.endpoints) == (5, 6, 0)
    assert (summary.capacity_bps, summary.length_m) == (4 * 10**9, 31_000.0)
    assert summary.bridges == ("ae",)
    assert summary.articulation_nodes == ("a", "c")
    groups = {g.id: g for g in summary.risk_groups}
    assert groups["duct"].links == ("ab", "ca")
    assert {g.id: g.divides for g in summary.risk_groups} == {"duct": True, "building": False, "harmless": False}
    assert summary.missing["no capacity stated, so no bandwidth can be promised on links"] == ("cd", "cd-2")
    assert "no endpoints: no service can attach" in summary.warnings


def test_a_summary_is_plain_data() -> None:
    for name in ("zhoushan", "cernet"):
        plain = summary_json(summarize(load_topology(name)))
        assert json.loads(json.dumps(plain))["name"] == name


def test_the_graph_is_frozen_built_once_and_carries_the_data() -> None:
    topology = parse_topology(NETWORK)
    graph = to_graph(topology)
    assert to_graph(topology) is graph
    assert graph.nodes["a"]["data"] is topology.nodes["a"]
    assert graph.edges["c", "d", "cd-2"]["data"] is topology.links["cd-2"]
    with pytest.raises(nx.NetworkXError):
        graph.add_node("x")
    with pytest.raises(nx.NetworkXError):
        graph.remove_edge("a", "b", key="ab")
