"""Trees outlive a link or a switch: one copy to each receiver that has a path left, and to nobody two."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from ipaddress import ip_network
from itertools import combinations

import pytest
from worlds import tree_world

from carelane.controller.pipeline.diff import diff
from carelane.controller.pipeline.identifiers import branch_label, labels_needed, multicast_address
from carelane.controller.pipeline.planner import plan
from carelane.controller.pipeline.requirement import Objectives, Pair, Requirement
from carelane.controller.pipeline.trees import branches_of, grow
from carelane.controller.pipeline.verify import verify_program
from carelane.controller.southbound.simulator import Packet, Simulator
from carelane.topology.model import Endpoint, Link, Node, Topology

TREE = {("h1", "h3"): ["ab", "cd"], ("h1", "h2"): ["a", "cdb"], ("h1", "h1b"): [""]}
"""Behind link a are s2 and, by b, s3; their second paths share c and d."""


def lesson(net, routes=TREE, **more):
    decision = net.decide("lesson", routes, connectivity="point-to-multipoint", **more)
    ((_, ids),) = net.number([decision])
    return net.install(decision), net.packet("h1", "h3", ip_dst=str(multicast_address(ids))), decision, ids


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("link", "abcd")
def test_one_link(net, link, silent):
    simulator, packet, *_ = lesson(net)
    simulator.set_link(link, up=False, silent=silent)
    walk = simulator.send("h1", packet)
    assert Counter(walk.reached) == Counter(["h1b", "h2", "h3"])
    assert walk.delivered == walk.copies, "nobody else gets a copy, and none is lost"
    assert walk.queues == {1}
    assert all(copy.packet.labels == () and copy.packet.dscp == 32 for copy in walk.copies)


def test_one_switch(net):
    simulator, packet, *_ = lesson(net)
    for link in "abe":
        simulator.set_link(link, up=False)
    assert sorted(simulator.send("h1", packet).reached) == ["h1b", "h3"]


def test_only_what_is_behind_the_dead_link_goes_the_other_way(net):
    simulator, packet, *_ = lesson(net)
    simulator.set_link("b", up=False)
    ways = {copy.endpoints: [visit.node for visit in copy.visits] for copy in simulator.send("h1", packet).copies}
    assert ways[("h2",)] == ["s1", "s2"]
    assert ways[("h3",)] == ["s1", "s2", "s1", "s4", "s3"]


def test_receivers_without_another_path_are_lost_and_the_others_are_not(net):
    simulator, packet, *_ = lesson(net, {**TREE, ("h1", "h5"): ["ae"]})
    assert sorted(simulator.send("h1", packet).reached) == ["h1b", "h2", "h3", "h5"]
    simulator.set_link("a", up=False)
    assert sorted(simulator.send("h1", packet).reached) == ["h1b", "h2", "h3"]


def test_two_failures_end_in_drops_and_not_in_doubles(net):
    for pair in ("ac", "bd", "ad", "bc"):
        simulator, packet, *_ = lesson(net)
        for link in pair:
            simulator.set_link(link, up=False)
        assert max(Counter(simulator.send("h1", packet).reached).values()) == 1


def test_whoever_has_a_living_path_gets_one_copy_whatever_two_links_are_dead():
    """What the availability of two paths counts on is what switches do by themselves."""
    receivers = 0
    for seed in range(24):
        world = tree_world(seed)
        for decision, ids in world.slices:
            simulator = Simulator(world.topology)
            for node, wanted in world.program().items():
                simulator.apply(diff(simulator.read(node).own, wanted))
            source = decision.requirement.pairs[0].source
            assert source.address is not None
            asked = Packet(
                eth_type=0x0800, ip_src=str(source.address.network_address), ip_dst=str(multicast_address(ids)),
                eth_src=source.mac or "02:00:00:00:00:ff",
            )  # fmt: skip
            used = sorted({hop.link for path in decision.paths for hop in path.hops})
            for dead in combinations(used, 2):
                for link in dead:
                    simulator.set_link(link, up=False)
                reached = Counter(simulator.send(source.id, asked).reached)
                alive = {path.to for path in decision.paths if not {hop.link for hop in path.hops} & set(dead)}
                assert reached == Counter(alive), (seed, dead)
                receivers += len(alive)
                for link in dead:
                    simulator.set_link(link, up=True)
    assert receivers > 500


def test_a_third_path_is_counted_for_pairs_and_never_for_trees():
    """Three ways of 98% each: five nines need all of them, and switches would not use the third for copies."""
    nodes = {name: Node(name, k + 1, availability=1.0) for k, name in enumerate(("a", "b", "x", "y", "z"))}
    joins = [(end, via) for via in ("x", "y", "z") for end in ("a", "b")]
    links = {
        f"{end}{via}": Link(f"{end}{via}", end, via, k // 2 + 1, k % 2 + 1, 10**9, 0.001, availability=0.99)
        for k, (end, via) in enumerate(joins)
    }
    ends = {
        f"h{k}": Endpoint(f"h{k}", node, 10 + k, ip_network(f"10.0.0.{k}/32"), 10**9)
        for k, node in enumerate(("a", "b", "b"))
    }
    topology = Topology("three", nodes, links, ends, {})
    pairs = tuple(Pair(ends["h0"], ends[name]) for name in ("h1", "h2"))
    objectives = Objectives(availability=0.99999)

    def asked(connectivity, *pairs, availability=0.99999):
        return plan(topology, [Requirement(
            "s", "t", "test", "realtime-interactive", 1, connectivity, pairs, 10**6, 0, 3000, 1500,
            replace(objectives, availability=availability), protection="auto",
        )]).decisions[0]  # fmt: skip

    assert [path.role for path in asked("point-to-point", pairs[0]).paths] == ["primary", "backup", "backup-2"]
    refused = asked("point-to-multipoint", *pairs)
    assert not refused.admitted
    assert refused.reasons[0].constraint == "availability"
    held = asked("point-to-multipoint", *pairs, availability=0.999)
    assert held.admitted
    assert {path.role for path in held.paths} == {"primary", "backup"}
    assert held.availability is not None
    assert held.availability <= 1 - (1 - 0.99**2) ** 2


def test_backups_share_one_floor_and_stand_beside_the_first_tree(net):
    """Link b carries the first tree towards s3 and the second towards s2; c and d the second alone."""

    def floors_of(decision):
        switches = net.compile(decision).items()
        return {(node, port.port): port.queues[-1].min_rate_bps for node, switch in switches for port in switch.ports}

    *_, decision, _ = lesson(net, reverse_bps=0)
    floors = floors_of(decision)
    assert [floors[place] for place in (("s1", 1), ("s2", 2), ("s1", 2), ("s4", 2), ("s3", 1))] == [10_000_000] * 5
    crossed = {("h1", "h3"): ["ab", "cd"], ("h1", "h2"): ["cdb", "a"]}
    floors = floors_of(net.decide("lesson", crossed, connectivity="point-to-multipoint", reverse_bps=0))
    assert floors["s1", 1] == floors["s1", 2] == 20_000_000, "the first tree's copy and the second's"
    assert floors["s3", 11] == 10_000_000, "what is delivered is delivered once"


def test_labels_are_few_without_backups(net):
    plain = net.decide("lesson", {("h1", "h3"): ["ab"], ("h1", "h2"): ["a"]}, connectivity="point-to-multipoint")
    assert labels_needed(plain) == 5
    *_, decision, ids = lesson(net)
    assert labels_needed(decision) == ids.labels == 2 * 5 + 2 + 2 * (2 + 3)


def test_everything_goes_when_the_slice_does(net):
    simulator, *_ = lesson(net)
    assert any(simulator.read(node).own.groups for node in net.topology.nodes)
    net.bring(simulator, net.compile())
    assert all(simulator.read(node).own == program for node, program in net.compile().items())


def test_a_counter_example_names_the_receiver_and_the_way(net):
    *_, decision, ids = lesson(net)
    program = net.compile(decision)
    label = branch_label(ids, 5, grow(branches_of(decision.paths)), (0, "s3"), 0)
    turned = tuple(item for item in program["s1"].flows if item.match.mpls_label == label)
    assert len(turned) == 1
    broken = replace(program["s1"], flows=tuple(item for item in program["s1"].flows if item not in turned))
    fault = next(
        fault for fault in verify_program(net.topology, {**program, "s1": broken}, [(decision, ids)]) if fault.failed
    )
    text = str(fault)
    assert (fault.kind, fault.node, fault.failed) == ("not-delivered", "s3", "link b")
    assert f"packet IPv4 10.0.0.1 to {multicast_address(ids)}" in text
    assert [(visit.node, visit.in_port, visit.out_port) for visit in fault.walk] == [("s1", 11, 1), ("s2", 1, 1)]
