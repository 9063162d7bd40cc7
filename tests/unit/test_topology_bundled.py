"""The bundled networks and the examples are what they say they are."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path

import networkx as nx
import pytest

from carelane.topology import BUNDLED, Topology, find_endpoint, load_topology, summarize, to_graph
from carelane.topology.data.generate_zhoushan import CENTRES, render

ROOT = Path(__file__).parents[2]
CENTRE_IDS = [centre[0] for centre in CENTRES]


def unavailability(topology: Topology, path: list[str]) -> float:
    """Of a path's links and interior nodes, summed: an upper bound."""
    down = 0.0
    for a, b in pairwise(path):
        [link] = (x for x in topology.links.values() if {x.a, x.b} == {a, b})
        down += 1 - (link.availability or 0)
    return down + sum(1 - (topology.nodes[n].availability or 0) for n in path[1:-1])


def protected_availability(topology: Topology, source: str, target: str) -> float:
    """At least this, with two disjoint paths: both end nodes up, and not both paths down."""
    first, second = list(nx.node_disjoint_paths(nx.Graph(to_graph(topology)), source, target))[:2]
    ends = 1 - sum(1 - (topology.nodes[n].availability or 0) for n in (source, target))
    return ends - unavailability(topology, first) * unavailability(topology, second)


@pytest.mark.parametrize("name", [n for n in BUNDLED if n != "cernet"])
def test_schematic_networks_state_every_figure(name: str) -> None:
    topology = load_topology(name)
    assert topology.name == name
    assert topology.warnings == ()
    assert all(e.address and e.tenant for e in topology.endpoints.values())


def test_zhoushan_is_eight_centres_on_a_ring_and_208_stations_on_spurs() -> None:
    topology = load_topology("zhoushan")
    assert len(topology.nodes) == 8 + 208
    stations = [n for n in topology.nodes if n not in CENTRE_IDS]
    graph = to_graph(topology)
    ring = graph.subgraph(CENTRE_IDS)
    assert nx.is_connected(ring)
    assert all(degree == 2 for _, degree in ring.degree())
    assert all(graph.degree(station) == 1 for station in stations)
    summary = summarize(topology)
    assert len(summary.components) == 1
    assert set(summary.bridges) == {x.id for x in topology.links.values() if {x.a, x.b} & set(stations)}
    assert {e.node for e in topology.endpoints.values()} == set(topology.nodes)
    assert all(e.mac for e in topology.endpoints.values())


def test_zhoushan_protects_centres_to_five_nines_and_cannot_protect_stations() -> None:
    topology = load_topology("zhoushan")
    for a, b in combinations(CENTRE_IDS, 2):
        assert protected_availability(topology, a, b) >= 0.99999
    for node in topology.nodes.values():
        if node.id not in CENTRE_IDS:
            assert (node.availability or 0) < 0.99999


def test_zhoushan_file_is_what_its_generator_writes() -> None:
    assert (ROOT / "topology/data/zhoushan.yaml").read_text(encoding="utf-8") == render()


def test_telesurgery_leaves_20_ms_one_way_just_feasible_and_a_round_trip_impossible() -> None:
    topology = load_topology("telesurgery-3700km")
    routes = list(nx.all_simple_paths(nx.Graph(to_graph(topology)), "surgeon", "patient"))
    lengths_km = []
    for route in routes:
        links = [x for x in topology.links.values() if {x.a, x.b} <= set(route)]
        lengths_km.append(sum(x.length_m or 0 for x in links) / 1000)
        propagation_s = sum(x.delay_s or 0 for x in links)
        # A 64 kB burst served at 1 Gbit/s, and at each of three ports one packet at that rate and one in the way.
        queueing_s = 64_000 * 8 / 1e9 + 3 * (12_000 / 1e9 + 12_000 / 10e9)
        assert propagation_s + queueing_s < 0.020
        assert 2 * propagation_s > 0.020
    assert sorted(lengths_km) == [3700, 3720]
    assert protected_availability(topology, "surgeon", "patient") >= 0.99999


def test_gaotai_reaches_the_province_by_two_disjoint_routes() -> None:
    topology = load_topology("gaotai")
    assert protected_availability(topology, "gaotai-people", "lanzhou") >= 0.99999
    assert sum("township" in (n.site or "") for n in topology.nodes.values()) == 9


def test_cernet_finds_cities_by_label() -> None:
    topology = load_topology("cernet", default_capacity_bps=10**10, default_availability=0.9999)
    beijing = find_endpoint(topology, "Beijing")
    assert beijing is not None
    assert topology.nodes[beijing.node].site == "Beijing"
    assert find_endpoint(topology, "Shijiazhuang") is None


def test_the_example_matches_the_figures_its_comments_claim() -> None:
    topology = load_topology(ROOT / "examples/topology.yaml")
    assert topology.warnings == ()
    delay = {x.id: x.delay_s or 0 for x in topology.links.values()}
    assert delay["l1"] + delay["l2"] == pytest.approx(0.0162)
    assert delay["l3"] + delay["l4"] < 0.020
    assert 2 * (delay["l1"] + delay["l2"] + delay["l5"]) == pytest.approx(0.037)
    assert protected_availability(topology, "county", "province") >= 0.99999
