"""The Topology manifest: what a good one means, and where a bad one is wrong."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from ipaddress import ip_network
from pathlib import Path

import pytest

from carelane.errors import InputError
from carelane.topology import load_topology, parse_topology

GOOD = """\
apiVersion: carelane/v1
kind: Topology
metadata: {name: example}
spec:
  nodes:
    - {id: county, kind: switch, availability: 0.99999}
    - {id: city, mtbf: 99996h, mttr: 4h, site: City, lat: 30.0, lon: 122, dpid: 0x1f, riskGroups: [building-2]}
  links:
    - {id: l1, a: county, b: city, capacity: 1Gbps, length: 200km, availability: 0.9997, riskGroups: [duct-7]}
    - {id: l2, a: city, b: county, capacity: 100Mbps, delay: 1.5ms, length: 200km, aPort: 7, loss: 0.001%}
  endpoints:
    - {id: county/or-1, node: county, address: 10.1.0.11/32, capacity: 1Gbps}
    - {id: city/console, node: city, address: 'fd00::/64', capacity: 1Gbps, port: 3, mac: 02-00-0A-01-00-0B, tenant: city}
  riskGroups:
    - {id: duct-7, availability: 0.9995}
"""  # noqa: E501


def test_a_manifest_in_full() -> None:
    topology = parse_topology(GOOD)
    assert topology.name == "example"
    county, city = topology.nodes.values()
    assert (county.id, county.dpid, county.availability, county.site) == ("county", 1, 0.99999, None)
    assert (city.dpid, city.availability, city.lat, city.lon) == (31, 0.99996, 30.0, 122.0)
    assert city.risk_groups == {"building-2"}
    l1, l2 = topology.links.values()
    assert (l1.capacity_bps, l1.length_m, l1.availability, l1.loss) == (10**9, 200_000.0, 0.9997, None)
    assert l1.delay_s == pytest.approx(0.001, rel=1e-12)
    assert (l2.delay_s, l2.length_m, l2.loss) == (0.0015, 200_000.0, 1e-5)
    assert (l2.a_port, l2.port_at("city"), l2.other("city")) == (7, 7, "county")
    room, console = topology.endpoints.values()
    assert (room.address, room.mac, room.tenant, room.port) == (ip_network("10.1.0.11/32"), None, None, 1001)
    assert (console.address, console.mac, console.port) == (ip_network("fd00::/64"), "02:00:0a:01:00:0b", 3)
    assert {g.id: g.availability for g in topology.risk_groups.values()} == {"duct-7": 0.9995, "building-2": None}
    assert topology.warnings == ("no availability stated, so none can be promised over links: l2",)


def test_a_topology_cannot_be_changed() -> None:
    topology = parse_topology(GOOD)
    with pytest.raises(TypeError):
        topology.nodes["x"] = topology.nodes["county"]  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        topology.name = "other"  # type: ignore[misc]


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "message"),
    [
        ("carelane/v1", "carelane/v9", 1, "apiVersion", "'carelane/v9' is not known"),
        ("kind: Topology", "kind: Toplogy", 2, "kind", "'Toplogy' is not a known kind"),
        ("{name: example}", "{name: two words}", 3, "metadata.name", "is not an identifier"),
        ("kind: switch", "kind: router", 6, "spec.nodes[0].kind", "'router' is not known"),
        ("availability: 0.99999}", "availability: 1.5}", 6, "spec.nodes[0].availability", "outside 0..1"),
        ("availability: 0.99999}", "availability: 99.999}", 6, "spec.nodes[0].availability", "outside 0..1"),
        ("id: city,", "id: county,", 7, "spec.nodes[1].id", "'county' appears twice"),
        ("dpid: 0x1f", "dpid: 0", 7, "spec.nodes[1].dpid", "not a datapath id"),
        ("lat: 30.0, ", "", 7, "spec.nodes[1]", "lat and lon go together"),
        ("lat: 30.0", "lat: 130.0", 7, "spec.nodes[1].lat", "less than or equal to 90"),
        ("mttr: 4h, ", "", 7, "spec.nodes[1]", "mtbf and mttr go together"),
        ("mttr: 4h", "mttr: 0h", 7, "spec.nodes[1].mttr", "a time of zero"),
        ("mttr: 4h", "mttr: 4h, availability: 0.9", 7, "spec.nodes[1]", "availability is stated twice"),
        ("b: city, capacity", "b: ciyt, capacity", 9, "spec.links[0].b", "'ciyt', which is not a node"),
        ("b: city, capacity", "b: county, capacity", 9, "spec.links[0].b", "joins 'county' to itself"),
        ("capacity: 1Gbps, length", "capacity: 0Gbps, length", 9, "spec.links[0].capacity", "a capacity of zero"),
        ("capacity: 1Gbps, length", "capacity: -1Gbps, length", 9, "spec.links[0].capacity", "is negative"),
        ("capacity: 1Gbps, length", "capacity: 1000, length", 9, "spec.links[0].capacity", "has no unit"),
        ("capacity: 1Gbps, length", "capcity: 1Gbps, length", 9, "spec.links[0].capcity", "unknown field"),
        ("length: 200km, avail", "length: 200miles, avail", 9, "spec.links[0].length", "unknown unit 'miles'"),
        ("riskGroups: [duct-7]", "riskGroups: duct-7", 9, "spec.links[0].riskGroups", "does not fit here"),
        ("id: l2", "id: l1", 10, "spec.links[1].id", "'l1' appears twice"),
        ("delay: 1.5ms", "delay: 0.5ms", 10, "spec.links[1].delay", "shorter than light needs"),
        ("aPort: 7", "aPort: 3", 13, "spec.endpoints[1].port", "port 3 of 'city' is that of 'l2' already"),
        ("aPort: 7", "aPort: 70000", 10, "spec.links[1].aPort", "less than or equal to 65279"),
        ("loss: 0.001%", "loss: 2", 10, "spec.links[1].loss", "outside 0..1"),
        ("node: county,", "node: town,", 12, "spec.endpoints[0].node", "'town', which is not a node"),
        ("10.1.0.11/32", "10.1.0.11/24", 12, "spec.endpoints[0].address", "has host bits set"),
        ("10.1.0.11/32", "10.1.0.300", 12, "spec.endpoints[0].address", "is not an address"),
        ("10.1.0.11/32", "224.0.0.1", 12, "spec.endpoints[0].address", "cannot belong to an endpoint"),
        ("'fd00::/64'", "10.1.0.0/16", 13, "spec.endpoints[1].address", "overlaps 10.1.0.11/32 of 'county/or-1'"),
        ("02-00-0A-01-00-0B", "03:00:00:00:00:01", 13, "spec.endpoints[1].mac", "cannot belong to an endpoint"),
        ("02-00-0A-01-00-0B", "02:00", 13, "spec.endpoints[1].mac", "is not a MAC address"),
        ("id: city/console", "id: l1", 13, "spec.endpoints[1].id", "names a link too"),
        ("id: city/console", "id: 'a,b'", 13, "spec.endpoints[1].id", "is not an identifier"),
        ("0.9995}", "0.9995}\n    - {id: duct-7}", 16, "spec.riskGroups[1].id", "'duct-7' appears twice"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_line_field_and_message(old: str, new: str, line: int, field: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_topology(changed(old, new), "net.yaml")
    error = caught.value
    assert (error.file, error.line, error.field) == ("net.yaml", line, field)
    assert message in error.message
    assert str(error).startswith(f"net.yaml:{line}: {field}: ")


def test_equal_macs_and_dpids_are_refused() -> None:
    with pytest.raises(InputError, match="dpid 31 is that of 'city' already"):
        parse_topology(changed("  links:", "    - {id: town, dpid: 31}\n  links:"))
    twice = changed("capacity: 1Gbps}", "capacity: 1Gbps, mac: '02:00:0a:01:00:0b'}")
    with pytest.raises(InputError, match="is the MAC of 'county/or-1' already"):
        parse_topology(twice)


def test_missing_parts() -> None:
    with pytest.raises(InputError, match="no topology in this file"):
        parse_topology("")
    with pytest.raises(InputError, match="no topology in this file"):
        parse_topology("kind: ServiceIntent")
    with pytest.raises(InputError) as caught:
        parse_topology("apiVersion: carelane/v1\nkind: Topology\nmetadata: {name: x}\n", "f")
    assert (caught.value.field, caught.value.message, caught.value.remedy) == ("spec", "missing", "add spec")
    with pytest.raises(InputError) as caught:
        parse_topology("apiVersion: carelane/v1\nkind: Topology\nmetadata: {name: x}\nspec: {nodes: []}\n", "f")
    assert (caught.value.line, caught.value.field) == (4, "spec.nodes")


def test_intents_may_stand_beside_the_topology_but_not_a_second_topology() -> None:
    assert parse_topology(GOOD + "---\nkind: ServiceIntent\nwhatever: 1\n").name == "example"
    with pytest.raises(InputError, match="a second topology") as caught:
        parse_topology(GOOD + "---\n" + GOOD, "f")
    assert caught.value.line == 18


def test_explicit_defaults_fill_only_what_is_not_stated() -> None:
    text = GOOD.replace("capacity: 1Gbps, length", "length")
    topology = parse_topology(text, default_capacity_bps=5_000_000, default_availability=0.9)
    assert topology.links["l1"].capacity_bps == 5_000_000
    assert topology.links["l2"].capacity_bps == 100_000_000
    assert topology.links["l2"].availability == 0.9
    assert topology.links["l1"].availability == 0.9997
    assert topology.warnings == ()


def test_shortcomings_load_with_warnings_that_name_them() -> None:
    topology = parse_topology(
        """
apiVersion: carelane/v1
kind: Topology
metadata: {name: poor}
spec:
  nodes: [{id: a}, {id: b}, {id: c, availability: 0.9}, {id: d}]
  links: [{id: bare, a: a, b: b}]
  endpoints: [{id: a/x, node: a}]
  riskGroups: [{id: forgotten}]
"""
    )
    assert topology.warnings == (
        "endpoints without an address can be planned for, not programmed: a/x",
        "the network is in 3 parts that cannot reach each other: a (2 nodes), c (1 node), d (1 node)",
        "no capacity stated, so no bandwidth can be promised on links: bare",
        "no delay or length stated, so no delay can be promised over links: bare",
        "no availability stated, so none can be promised over links: bare",
        "no availability stated, so none can be promised through nodes: a, b, d",
        "no capacity stated, so no bandwidth can be promised to endpoints: a/x",
        "risk groups that no node or link names: forgotten",
    )
    assert topology.links["bare"].delay_s is None


def test_numbers_are_taken_as_names_when_nothing_is_lost() -> None:
    topology = parse_topology(
        "apiVersion: carelane/v1\nkind: Topology\nmetadata: {name: 7}\n"
        "spec: {nodes: [{id: 1}, {id: 007}], links: [{id: 12, a: 1, b: 007}]}"
    )
    assert list(topology.nodes) == ["1", "007"]
    assert topology.links["12"].b == "007"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such topology file") as caught:
        load_topology(tmp_path / "none.yaml")
    assert "zhoushan" in str(caught.value.expected)
    with pytest.raises(InputError, match="Is a directory"):
        load_topology(tmp_path)


def test_a_file_wins_over_a_bundled_name_when_written_as_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gaotai").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    assert load_topology("./gaotai").name == "example"
    assert load_topology("gaotai").name == "gaotai"
