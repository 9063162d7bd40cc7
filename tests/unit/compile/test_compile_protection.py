"""What switches do by themselves when links die: asserted by sending packets through simulated tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carelane.controller.pipeline.compile import compile_program
from carelane.controller.pipeline.program import PortBfd
from carelane.policies.liveness import bfd_interval_ms

ROUTES = {("h1", "h3"): ["ab", "cd"]}
THREE = {("h1", "h3"): ["ab", "cd", "fg"]}


def way(copy):
    return [visit.node for visit in copy.visits]


def sent(net, simulator, source="h1", to="h3"):
    (copy,) = simulator.send(source, net.packet(source, to)).copies
    return copy


@pytest.mark.parametrize(
    ("link", "there", "back"),
    [
        ("a", ["s1", "s4", "s3"], ["s3", "s2", "s3", "s4", "s1"]),
        ("b", ["s1", "s2", "s1", "s4", "s3"], ["s3", "s4", "s1"]),
    ],
)
def test_both_directions_survive_any_link_of_the_path_in_their_own_queue(net, link, there, back):
    simulator = net.install(net.decide("surgery", ROUTES))
    for silent in (False, True):
        simulator.set_link(link, up=False, silent=silent)
        for copy, end, nodes in ((sent(net, simulator), "h3", there), (sent(net, simulator, "h3", "h1"), "h1", back)):
            assert (copy.endpoints, way(copy), copy.packet.labels) == ((end,), nodes, ())
            assert {visit.queue for visit in copy.visits} == {1}
        simulator.set_link(link, up=True)
        assert way(sent(net, simulator)) == ["s1", "s2", "s3"]


def test_a_dead_switch_on_the_path_is_passed_by(net):
    simulator = net.install(net.decide("surgery", ROUTES))
    simulator.set_node("s2", up=False)
    assert way(sent(net, simulator)) == ["s1", "s4", "s3"]
    assert way(sent(net, simulator, "h3", "h1")) == ["s3", "s4", "s1"]


def test_two_broken_paths_end_in_a_drop_and_not_in_a_loop(net):
    simulator = net.install(net.decide("surgery", ROUTES))
    simulator.set_link("b", up=False)
    simulator.set_link("d", up=False)
    assert sent(net, simulator).outcome == "dropped"
    assert sent(net, simulator, "h3", "h1").outcome == "dropped"


def test_three_paths_are_tried_in_their_order(net):
    net.add_third_path()
    simulator = net.install(net.decide("surgery", THREE))
    for dead, nodes in (
        ("", ["s1", "s2", "s3"]),
        ("b", ["s1", "s2", "s1", "s4", "s3"]),
        ("d", ["s1", "s2", "s1", "s4", "s1", "s6", "s3"]),
        ("g", None),
    ):
        if dead:
            simulator.set_link(dead, up=False)
        copy = sent(net, simulator)
        assert (way(copy) if copy.outcome == "delivered" else None) == nodes
    simulator.set_link("g", up=True)
    simulator.set_link("c", up=False)
    assert way(sent(net, simulator)) == ["s1", "s2", "s1", "s6", "s3"]


def test_arp_comes_through_a_returned_label_too(net):
    simulator = net.install(net.decide("surgery", ROUTES))
    simulator.set_link("b", up=False)
    ask = net.packet("h1", "h3", eth_type=0x0806)
    (copy,) = simulator.send("h1", ask).copies
    assert (copy.endpoints, copy.packet) == (("h3",), ask)


def test_avoided_links_put_the_other_path_first_and_change_no_core_rule(net):
    slices = net.number([net.decide("surgery", ROUTES)])
    usual, moved = (compile_program(net.topology, slices, avoid) for avoid in ((), ("b",)))
    simulator = net.install()
    net.bring(simulator, moved)
    assert way(sent(net, simulator)) == ["s1", "s4", "s3"]
    simulator.set_link("d", up=False)
    assert way(sent(net, simulator)) == ["s1", "s4", "s1", "s2", "s3"]
    assert {node for node in usual if usual[node] != moved[node]} == {"s1", "s3"}


def test_an_unprotected_slice_has_no_groups_and_a_silent_link_takes_it_down(net):
    simulator = net.install(net.decide("one", {("h1", "h3"): ["ab"]}))
    assert not any(simulator.read(node).own.groups for node in net.topology.nodes)
    simulator.set_link("b", up=False, silent=True)
    assert sent(net, simulator).outcome == "dropped"


def test_a_one_way_slice_has_a_queue_where_its_packets_come_back_and_reserves_nothing_there(net):
    program = net.compile(net.decide("camera", ROUTES, reverse_bps=0))
    (port,) = (port for port in program["s2"].ports if port.port == 1)
    queue = port.queues[1]
    assert (queue.slice, queue.min_rate_bps) == ("camera", 16_000)
    simulator = net.install(net.decide("camera", ROUTES, reverse_bps=0))
    simulator.set_link("b", up=False)
    assert {visit.queue for visit in sent(net, simulator).visits} == {1}


def test_every_link_port_is_watched_at_an_interval_the_link_bears(net):
    program = net.compile()
    assert program["s2"].watches == tuple(PortBfd(port, 100) for port in (1, 2, 3))
    link = net.topology.links["a"]
    rates = (None, 10**7, 300_000, 64_000)
    assert [bfd_interval_ms(replace(link, capacity_bps=rate)) for rate in rates] == [100, 100, 200, 1000]
