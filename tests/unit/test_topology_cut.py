"""A cut keeps what it keeps unchanged, changes only what it is told to, and says what it left out."""

from __future__ import annotations

from fractions import Fraction

import pytest

from carelane.errors import InputError
from carelane.topology import cut, load_topology

RING = ["lincheng", "putuo", "zhujiajian", "shengsi", "qushan", "daishan", "jintang", "dinghai"]


def test_a_ring_keeps_its_numbers_addresses_and_figures() -> None:
    whole = load_topology("zhoushan")
    ring = cut(whole, RING)
    assert list(ring.nodes.items()) == [(n, whole.nodes[n]) for n in RING]
    assert all(whole.links[x.id] == x for x in ring.links.values())
    assert all(whole.endpoints[e.id] == e for e in ring.endpoints.values())
    assert (len(ring.links), len(ring.endpoints)) == (8, 32)
    assert ring.name == "zhoushan-cut"
    assert not ring.risk_groups


def test_endpoints_bring_their_nodes() -> None:
    small = cut(load_topology("zhoushan"), ["putuo"], ["putuo-s01/clinic", "putuo/or-1"], name="small")
    assert (small.name, list(small.nodes)) == ("small", ["putuo", "putuo-s01"])
    assert list(small.links) == ["putuo--putuo-s01"]
    assert list(small.endpoints) == ["putuo-s01/clinic", "putuo/or-1"]
    assert list(small.risk_groups) == ["duct-putuo-1"]


def test_capacities_change_only_as_told() -> None:
    whole = load_topology("zhoushan")
    half = cut(whole, RING, capacity_scale=Fraction(1, 200), max_capacity_bps=20_000_000)
    assert {x.capacity_bps for x in half.links.values()} == {20_000_000}
    assert {e.capacity_bps for e in half.endpoints.values()} == {5_000_000}


def test_folded_stations_attach_to_the_port_their_spur_left() -> None:
    whole = load_topology("zhoushan")
    stations = [f"putuo-s{i:02d}/clinic" for i in range(1, 11)]
    lab = cut(whole, RING, ["shengsi/or-1", *stations], fold_spurs=True)
    assert list(lab.nodes) == RING
    for station in stations:
        endpoint, before = lab.endpoints[station], whole.endpoints[station]
        assert (endpoint.node, endpoint.address, endpoint.mac) == ("putuo", before.address, before.mac)
        assert endpoint.port == whole.links[f"putuo--{before.node}"].port_at("putuo")
        assert endpoint.capacity_bps == 100_000_000
    ports = [(e.node, e.port) for e in lab.endpoints.values()]
    ports += [(n, x.port_at(n)) for x in lab.links.values() for n in (x.a, x.b)]
    assert len(ports) == len(set(ports))
    assert any("without their spurs" in w and stations[0] in w for w in lab.warnings)


def test_two_endpoints_of_one_folded_spur_get_two_ports() -> None:
    whole = load_topology("gaotai")
    lab = cut(whole, ["gaotai-people", "zhangye-a"], ["lanzhou/console-1", "heli/clinic"], fold_spurs=True)
    assert set(lab.nodes) == {"gaotai-people", "zhangye-a", "lanzhou"}
    assert lab.endpoints["lanzhou/console-1"].node == "lanzhou"
    assert lab.endpoints["heli/clinic"].node == "gaotai-people"


def test_a_cut_in_pieces_is_refused_with_what_joins_it() -> None:
    with pytest.raises(InputError, match="not connected") as caught:
        cut(load_topology("zhoushan"), ["lincheng", "zhujiajian"])
    assert caught.value.remedy == "keep putuo too"


def test_unknown_names_and_empty_cuts() -> None:
    whole = load_topology("gaotai")
    with pytest.raises(InputError, match="'atlantis' is not a node of gaotai"):
        cut(whole, ["atlantis"])
    with pytest.raises(InputError, match="'atlantis/x' is not an endpoint of gaotai"):
        cut(whole, [], ["atlantis/x"])
    with pytest.raises(InputError, match="keeps nothing"):
        cut(whole)
