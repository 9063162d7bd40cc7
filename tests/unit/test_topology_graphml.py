"""GraphML: Topology Zoo files become networks, nothing is guessed, and XML tricks are refused."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import pytest

from carelane.errors import InputError
from carelane.topology import find_endpoint, load_topology, parse_topology
from carelane.topology.geo import great_circle_m, route_length_m

HEAD = """<?xml version="1.0" encoding="utf-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <key attr.name="label" attr.type="string" for="node" id="d0" />
  <key attr.name="Latitude" attr.type="double" for="node" id="d1" />
  <key attr.name="Longitude" attr.type="double" for="node" id="d2" />
  <key attr.name="LinkSpeedRaw" attr.type="double" for="edge" id="d3" />
  <key attr.name="Network" attr.type="string" for="graph" id="d4" />
"""


def place(key: str, label: str, lat: float | None = None, lon: float | None = None) -> str:
    where = f'<data key="d1">{lat}</data><data key="d2">{lon}</data>' if lat is not None else ""
    return f'<node id="{key}"><data key="d0">{label}</data>{where}</node>\n'


def edge(a: str, b: str, inner: str = "", more: str = "") -> str:
    return f'<edge source="{a}" target="{b}"{more}>{inner}</edge>\n'


def graph(*parts: str, attributes: str = 'edgedefault="undirected"') -> str:
    return HEAD + f"<graph {attributes}>\n" + "".join(parts) + "</graph></graphml>\n"


BEIJING, XIAN, LASA = (39.9075, 116.39723), (34.25833, 108.92861), (29.65, 91.1)


def test_nodes_endpoints_lengths_and_speeds() -> None:
    text = graph(
        '<data key="d4">Small</data>\n',
        place("0", "Beijing", *BEIJING),
        place("1", "Xi'an", *XIAN),
        place("2", "Lasa", *LASA),
        place("3", "Japan"),
        edge("0", "1", '<data key="d3">155000000.0</data>'),
        edge("0", "2"),
        edge("0", "3"),
    )
    topology = parse_topology(text)
    assert topology.name == "Small"
    assert list(topology.nodes) == ["0", "1", "2", "3"] == list(topology.endpoints)
    assert all(e.node == e.id and e.address is None for e in topology.endpoints.values())
    assert topology.nodes["1"].site == "Xi'an"
    near, far, unknown = topology.links.values()
    assert (near.id, near.a, near.b, near.capacity_bps) == ("0--1", "0", "1", 155_000_000)
    assert near.length_m == pytest.approx(911_000, rel=0.01)
    assert near.delay_s == pytest.approx((near.length_m or 0) * 5e-9)
    assert far.length_m == pytest.approx(1.25 * great_circle_m(*BEIJING, *LASA))
    assert (far.capacity_bps, unknown.length_m, unknown.delay_s) == (None, None, None)
    assert all(x.availability is None for x in topology.links.values())
    assert any("0--3" in w and "delay" in w for w in topology.warnings)


def test_great_circle_against_known_distances() -> None:
    # One degree of a meridian on the mean sphere; Paris to New York is about 5837 km.
    assert great_circle_m(0, 0, 1, 0) == pytest.approx(111_195, abs=1)
    assert great_circle_m(48.8566, 2.3522, 40.7128, -74.0060) == pytest.approx(5_837_000, rel=0.002)
    assert great_circle_m(0, 0, 0, 180) == pytest.approx(20_015_115, abs=1)
    assert great_circle_m(10, 20, 10, 20) == 0
    assert route_length_m(1_200_000) == 1_200_000
    assert route_length_m(2_000_000) == 2_500_000


def test_defaults_are_explicit_and_fill_gaps_only() -> None:
    text = graph(place("0", "A", *BEIJING), place("1", "B", *XIAN), edge("0", "1", '<data key="d3">2e6</data>'))
    topology = parse_topology(text, default_capacity_bps=10**10, default_availability=0.999)
    assert topology.links["0--1"].capacity_bps == 2_000_000
    assert topology.endpoints["0"].capacity_bps == 10**10
    assert topology.nodes["1"].availability == topology.links["0--1"].availability == 0.999
    assert topology.warnings == ()


def test_parallel_edges_keep_distinct_stable_ids() -> None:
    parts = [place("0", "A"), place("1", "B"), edge("0", "1"), edge("0", "1"), edge("0", "1", more=' id="third"')]
    topology = parse_topology(graph(*parts))
    assert list(topology.links) == ["0--1", "0--1~2", "third"]
    grown = parse_topology(graph(*parts, edge("0", "1")))
    assert list(grown.links) == ["0--1", "0--1~2", "third", "0--1~3"]


def test_ids_that_are_no_identifiers_are_made_so_and_kept_apart() -> None:
    text = graph(place("n0::n1", "A"), place("n0  n1", "B"), place("x", "C"), edge("n0::n1", "x"), edge("n0  n1", "x"))
    topology = parse_topology(text)
    assert list(topology.nodes) == ["n0__n1", "n0__n1_2", "x"]
    assert [x.a for x in topology.links.values()] == ["n0__n1", "n0__n1_2"]


def test_an_edge_id_that_a_node_has_too_does_not_clash_with_its_endpoint(tmp_path: Path) -> None:
    network: nx.MultiGraph[str] = nx.MultiGraph()
    network.add_edge("0", "1")
    network.add_edge("0", "1")
    path = tmp_path / "written.graphml"
    nx.write_graphml(network, path)
    topology = load_topology(path)
    assert topology.name == "written"
    assert not set(topology.links) & set(topology.endpoints)
    assert len(topology.links) == 2


def test_labels_find_endpoints_unless_ambiguous() -> None:
    topology = parse_topology(graph(place("0", "Beijing"), place("1", "None"), place("2", "None"), edge("0", "1")))
    found = find_endpoint(topology, "Beijing")
    assert found is not None
    assert found.id == "0"
    assert find_endpoint(topology, "None") is None
    assert find_endpoint(topology, "Atlantis") is None


def test_a_loop_is_left_out_with_a_warning() -> None:
    topology = parse_topology(graph(place("0", "A"), edge("0", "0")))
    assert not topology.links
    assert "line 10: an edge from 0 to itself is left out" in topology.warnings


def test_key_defaults_apply() -> None:
    key = '<key id="d9" for="edge" attr.name="LinkSpeedRaw" attr.type="double"><default>1000000</default></key>\n'
    text = HEAD + key + '<graph edgedefault="undirected">' + place("a", "") + place("b", "") + edge("a", "b")
    topology = parse_topology(text + "</graph></graphml>")
    assert topology.links["a--b"].capacity_bps == 1_000_000


BOMB = """<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;">]>
<graphml><graph edgedefault="undirected"><node id="&lol2;"/></graph></graphml>"""
EXTERNAL = """<?xml version="1.0"?>
<!DOCTYPE graphml SYSTEM "file:///etc/passwd">
<graphml/>"""


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (BOMB, 2, "a DOCTYPE is not accepted"),
        (EXTERNAL, 2, "a DOCTYPE is not accepted"),
        ("<graphml>", 1, "not XML"),
        ("<graphml></graphml>", None, "no <graph>"),
        ("<html/>", 1, "not GraphML"),
        ("<", 1, "not XML"),
        (graph(), None, "no nodes"),
        (graph(place("0", "A"), "<graph/>"), 10, "a second or nested <graph>"),
        (graph(place("0", "A"), attributes='edgedefault="directed"'), 8, "directed"),
        (graph(place("0", "A"), place("1", "B"), edge("0", "1", more=' directed="true"')), 11, "directed"),
        (graph("<node/>"), 9, "<node> without id"),
        (graph(place("0", "A"), '<edge source="0"/>'), 10, "<edge> without target"),
        (graph(place("0", "A"), edge("0", "9")), 10, "'9', which is not a node"),
        (graph(place("0", "A"), place("0", "B")), 10, "appears twice"),
        (graph(place("0", "A", 95, 0)), 9, "no place on Earth"),
        (graph('<node id="0"><data key="d1">north</data><data key="d2">1</data></node>'), 9, "is not a number"),
        (graph('<node id="0"><data key="d1">nan</data><data key="d2">1</data></node>'), 9, "is not a number"),
        (graph(place("0", "A"), place("1", "B"), edge("0", "1", '<data key="d3">0</data>')), 11, "a capacity of 0"),
        (graph(place("0", "A"), "<hyperedge/>"), 10, "<hyperedge> is not supported"),
        (graph("<a>" * 100_000), 9, "nested deeper"),
        (graph(place("0", "x" * 20_000)), 9, "more than 10000 characters"),
        (HEAD + "".join(f'<key id="k{i}"/>' for i in range(2000)), 8, "more than 1000 keys"),
    ],
)
def test_bad_graphml_is_refused_at_its_line(text: str, line: int | None, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_topology(text, "net.graphml")
    assert message in caught.value.message
    assert (caught.value.file, caught.value.line) == ("net.graphml", line)


def test_cernet_against_networkx() -> None:
    """NetworkX's own reader is the oracle for nodes, edges, labels and speeds of the bundled Zoo file."""
    data = Path(__file__).parents[2] / "topology/data/cernet.graphml"
    oracle = nx.read_graphml(data, force_multigraph=True)
    topology = load_topology("cernet")
    assert {(n.id, n.site, n.lat, n.lon) for n in topology.nodes.values()} == {
        (key, d["label"], d.get("Latitude"), d.get("Longitude")) for key, d in oracle.nodes(data=True)
    }
    assert sorted((x.a, x.b, x.capacity_bps or 0) for x in topology.links.values()) == sorted(
        (a, b, int(d.get("LinkSpeedRaw", 0))) for a, b, d in oracle.edges(data=True)
    )
    assert [x.id for x in topology.links.values() if {x.a, x.b} == {"21", "37"}] == ["21--37", "21--37~2"]
    without_place = {n for n, d in oracle.nodes(data=True) if "Latitude" not in d}
    assert {x.id for x in topology.links.values() if x.length_m is None} == {
        x.id for x in topology.links.values() if {x.a, x.b} & without_place
    }
    renamed = load_topology(data)
    assert (renamed.name, renamed.links) == ("cernet", topology.links)
