"""Where packets go once a slice is installed: asserted by sending them through simulated tables."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest

from carelane.controller.pipeline.compile._layout import ARP_TC
from carelane.controller.pipeline.identifiers import CookieKind, cookie_of, multicast_address
from carelane.controller.southbound.simulator import Label, Packet
from carelane.errors import ConflictError, InputError, ProgramError
from carelane.policies.classes import CLASSES

ROUTES = {("h1", "h3"): ["ab", "cd"]}


def way(copy):
    return [visit.node for visit in copy.visits]


def test_both_directions_are_delivered_marked_and_queued(net):
    simulator = net.install(net.decide("surgery", ROUTES))
    (copy,) = simulator.send("h1", net.packet("h1", "h3")).copies
    assert (copy.outcome, copy.endpoints, way(copy)) == ("delivered", ("h3",), ["s1", "s2", "s3"])
    assert {visit.queue for visit in copy.visits} == {1}
    assert copy.packet.labels == ()
    assert copy.packet.dscp == CLASSES["realtime-interactive"].dscp
    assert copy.packet.eth_dst == "02:00:00:00:00:03"
    (back,) = simulator.send("h3", net.packet("h3", "h1")).copies
    assert (back.endpoints, way(back), back.packet.labels) == (("h1",), ["s3", "s2", "s1"], ())


def test_first_link_down_moves_the_packet_to_the_backup_without_the_controller(net):
    simulator = net.install(net.decide("surgery", ROUTES))
    simulator.set_link("a", up=False)
    (copy,) = simulator.send("h1", net.packet("h1", "h3")).copies
    assert (copy.endpoints, way(copy)) == (("h3",), ["s1", "s4", "s3"])
    assert {visit.queue for visit in copy.visits} == {1}
    simulator.set_link("c", up=False)
    (lost,) = simulator.send("h1", net.packet("h1", "h3")).copies
    assert (lost.outcome, "no live bucket" in lost.reason) == ("dropped", True)


def test_spoofed_sources_stop_at_the_edge_and_are_counted_apart(net):
    simulator = net.install(net.decide("surgery", ROUTES))
    honest = net.packet("h1", "h3")
    for lie in (
        replace(honest, ip_src="10.0.0.2"),
        replace(honest, eth_src="02:00:00:00:00:99"),
        replace(honest, labels=(Label(16),)),
        Packet(eth_type=0x0806, ip_src="10.0.0.2", ip_dst="10.0.0.3"),
        Packet(eth_type=0x88CC),
    ):
        (copy,) = simulator.send("h1", lie).copies
        assert (copy.outcome, copy.node) == ("dropped", "s1")
        assert copy.rule is not None
        assert copy.rule.cookie == cookie_of(CookieKind.SPOOFED_SOURCE)


def test_nobody_else_is_reached_and_nothing_enters_at_another_port(net):
    simulator = net.install(net.decide("surgery", ROUTES))
    (copy,) = simulator.send("h1", net.packet("h1", "h2")).copies
    assert copy.outcome == "dropped"
    assert copy.rule is not None
    assert copy.rule.cookie == cookie_of(CookieKind.UNADMITTED)
    (copy,) = simulator.send("h1b", net.packet("h1", "h3")).copies
    assert copy.outcome == "dropped"
    (copy,) = simulator.send(("s1", 1), net.packet("h1", "h3")).copies
    assert copy.rule is not None
    assert copy.rule.cookie == cookie_of(CookieKind.FOREIGN_FRAME)


def test_a_label_at_the_wrong_port_matches_nothing(net):
    simulator = net.install(net.decide("surgery", ROUTES))
    labelled = replace(net.packet("h1", "h3"), labels=(Label(16),))
    (right,) = simulator.send(("s2", 1), labelled).copies
    assert right.outcome == "delivered"
    (wrong,) = simulator.send(("s2", 3), labelled).copies
    assert wrong.rule is not None
    assert wrong.rule.cookie == cookie_of(CookieKind.UNKNOWN_LABEL)


def test_discovery_frames_reach_the_controller_from_link_ports_only(net):
    simulator = net.install()
    (copy,) = simulator.send(("s2", 3), Packet(eth_type=0x88CC)).copies
    assert copy.outcome == "controller"


def test_members_resolve_each_other_and_nobody_else(net):
    simulator = net.install(net.decide("surgery", ROUTES))
    ask = Packet(eth_type=0x0806, ip_src="10.0.0.1", ip_dst="10.0.0.3", eth_src="02:00:00:00:00:01")
    for link_up in (True, False):
        simulator.set_link("a", up=link_up)
        (copy,) = simulator.send("h1", ask).copies
        assert (copy.endpoints, copy.packet) == (("h3",), ask)
        assert {visit.queue for visit in copy.visits} == {1}
    answer = Packet(eth_type=0x0806, ip_src="10.0.0.3", ip_dst="10.0.0.1", eth_src="02:00:00:00:00:03")
    simulator.set_link("a", up=True)
    assert simulator.send("h3", answer).reached == ["h1"]
    assert simulator.send("h1", replace(ask, ip_dst="10.0.0.2")).reached == []


def test_no_class_looks_like_arp_under_a_label():
    assert all(item.dscp & 7 != ARP_TC for item in CLASSES.values())


def test_a_pair_on_one_switch_is_delivered_directly(net):
    simulator = net.install(net.decide("local", {("h1", "h1b"): [""]}))
    (copy,) = simulator.send("h1", net.packet("h1", "h1b")).copies
    assert (copy.endpoints, way(copy)) == (("h1b",), ["s1"])
    (back,) = simulator.send("h1b", net.packet("h1b", "h1")).copies
    assert (back.endpoints, back.packet.eth_dst) == (("h1",), "02:00:00:00:00:01")
    ask = Packet(eth_type=0x0806, ip_src="10.0.0.1", ip_dst="10.0.0.101", eth_src="02:00:00:00:00:01")
    assert simulator.send("h1", ask).reached == ["h1b"]


def test_a_direction_that_carries_nothing_has_no_rules(net):
    simulator = net.install(net.decide("camera", ROUTES, reverse_bps=0))
    assert simulator.send("h1", net.packet("h1", "h3")).reached == ["h3"]
    assert simulator.send("h3", net.packet("h3", "h1")).reached == []


MULTI = {("h1", "h3"): ["ab", "cd"], ("h1", "h5"): ["ae"], ("h1", "h5b"): ["ae"], ("h1", "h2"): ["a"]}


def test_point_to_multipoint_delivers_exactly_once_to_each_receiver(net):
    decision = net.decide("teaching", MULTI, connectivity="point-to-multipoint")
    (_, ids), *_ = net.number([decision])
    simulator = net.install(decision)
    packet = net.packet("h1", "h3", ip_dst=str(multicast_address(ids)))
    walk = simulator.send("h1", packet)
    assert walk.reached == ["h2", "h3", "h5", "h5b"]
    assert walk.delivered == walk.copies
    assert walk.queues == {1}
    assert all(copy.packet.labels == () and copy.packet.dscp == 32 for copy in walk.copies)
    for to in ("h2", "h3", "h5", "h5b"):
        assert simulator.send("h1", net.packet("h1", to)).reached == [to]
        assert simulator.send(to, net.packet(to, "h1")).reached == ["h1"]
    assert simulator.send("h3", replace(net.packet("h3", "h1"), ip_dst=packet.ip_dst)).reached == []


def test_the_tree_stays_a_tree_when_paths_meet_again(net):
    routes = {("h1", "h2"): ["a"], ("h1", "h3"): ["cd"], ("h1", "h5"): ["cdbe"], ("h1", "h1b"): [""]}
    decision = net.decide("teaching", routes, connectivity="point-to-multipoint")
    (_, ids), *_ = net.number([decision])
    walk = net.install(decision).send("h1", net.packet("h1", "h3", ip_dst=str(multicast_address(ids))))
    assert walk.reached == ["h1b", "h2", "h3", "h5"]


def test_all_traffic_of_a_multipoint_source_shares_one_meter(net):
    program = net.compile(net.decide("teaching", MULTI, connectivity="point-to-multipoint", forward_bps=20_000_000))
    (meter,) = program["s1"].meters
    assert meter.rate_kbps == 20_000
    leaf_meters = [item for node in ("s2", "s3", "s5") for item in program[node].meters]
    assert [item.rate_kbps for item in leaf_meters] == [500] * 4


def test_hub_sites_reach_the_hub_and_not_each_other(net):
    routes = {("h1", "h2"): ["a"], ("h3", "h2"): ["b"], ("h5", "h2"): ["e"]}
    simulator = net.install(net.decide("consultation", routes, connectivity="hub"))
    for site in ("h1", "h3", "h5"):
        assert simulator.send(site, net.packet(site, "h2")).reached == ["h2"]
        assert simulator.send("h2", net.packet("h2", site)).reached == [site]
    assert simulator.send("h1", net.packet("h1", "h3")).reached == []


def test_slices_never_use_each_others_queues(net):
    one = net.decide("one", ROUTES)
    two = net.decide("two", {("h1b", "h5"): ["ae"]}, traffic_class="high-throughput-data")
    simulator = net.install(one, two)
    assert simulator.send("h1", net.packet("h1", "h3")).queues == {1}
    assert simulator.send("h1b", net.packet("h1b", "h5")).queues == {2}
    assert simulator.send("h1", net.packet("h1", "h5")).reached == []


def test_ipv6_pairs_work_like_ipv4_pairs(net):
    for number, name in ((1, "h1"), (3, "h3")):
        end = net.topology.endpoints[name]
        net.replace_endpoint(replace(end, address=ip_network(f"2001:db8::{number}/128")))
    decision = net.decide("v6", {("h1", "h3"): ["ab"]}, connectivity="point-to-multipoint")
    (_, ids), *_ = net.number([decision])
    simulator = net.install(decision)
    packet = net.packet("h1", "h3", eth_type=0x86DD)
    assert simulator.send("h1", packet).reached == ["h3"]
    assert simulator.send("h1", replace(packet, ip_dst=str(multicast_address(ids, version=6)))).reached == ["h3"]


def test_nested_prefixes_go_to_the_longest(net):
    net.replace_endpoint(replace(net.topology.endpoints["h5"], address=ip_network("10.0.0.0/24")))
    simulator = net.install(net.decide("host", {("h1", "h3"): ["ab"]}), net.decide("site", {("h1", "h5"): ["ae"]}))
    assert simulator.send("h1", net.packet("h1", "h3")).reached == ["h3"]
    assert simulator.send("h1", net.packet("h1", "h5", ip_dst="10.0.0.77")).reached == ["h5"]


def test_missing_address_names_the_endpoint_and_the_way_out(net):
    net.replace_endpoint(replace(net.topology.endpoints["h3"], address=None))
    with pytest.raises(InputError, match=r"h3 has no address.*state the address of h3"):
        net.compile(net.decide("surgery", ROUTES))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"traffic_class": "gold"}, "unknown traffic class 'gold'"),
    ],
)
def test_decisions_that_do_not_fit_are_named(net, change, text):
    with pytest.raises(ProgramError, match=text):
        net.compile(net.decide("surgery", ROUTES, **change))


def test_broken_paths_are_refused(net):
    decision = net.decide("surgery", {("h1", "h3"): ["ab"]})
    with pytest.raises(ProgramError, match="no simple path from s1 to s3"):
        net.compile(replace(decision, paths=(replace(decision.paths[0], hops=decision.paths[0].hops[:1]),)))
    hop = replace(decision.paths[0].hops[0], link="zz")
    with pytest.raises(ProgramError, match=r"link zz .* is not in topology"):
        net.compile(replace(decision, paths=(replace(decision.paths[0], hops=(hop,)),)))
    with pytest.raises(ProgramError, match="has no path from h1 to h3"):
        net.compile(replace(decision, paths=()))


def test_mixed_address_families_are_refused(net):
    net.replace_endpoint(replace(net.topology.endpoints["h3"], address=ip_network("2001:db8::3/128")))
    with pytest.raises(InputError, match="one family"):
        net.compile(net.decide("surgery", ROUTES))


def test_two_slices_with_the_same_traffic_are_told_apart_by_nobody(net):
    with pytest.raises(ConflictError, match=r"slices one and two cannot be told apart at s1.*10\.0\.0\.1/32"):
        net.compile(net.decide("one", ROUTES), net.decide("two", ROUTES))
