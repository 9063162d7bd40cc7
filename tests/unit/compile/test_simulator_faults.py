"""The simulator as a Southbound: faults, strangers, refusals, and frames crafted with scapy."""

from __future__ import annotations

import sys
from threading import Thread

import pytest

from carelane.controller.pipeline.changes import Operation, SwitchChanges
from carelane.controller.pipeline.diff import diff
from carelane.controller.pipeline.program import (
    IN_PORT,
    Bucket,
    FlowRule,
    Group,
    Match,
    Meter,
    Output,
    PushMpls,
    SetMplsLabel,
    ToGroup,
    ToMeter,
)
from carelane.controller.southbound.protocol import DiscoveredLink, Southbound
from carelane.controller.southbound.simulator import Label, Packet, Simulator, packet_of
from carelane.errors import NotFoundError, ProgramError, SwitchUnreachable

ROUTES = {("h1", "h3"): ["ab", "cd"]}


def change(verb, target):
    return SwitchChanges("s1", 1, (Operation(verb, target),))


def rule(*actions, priority=5, match=None, cookie=7):
    return FlowRule(0, priority, match or Match(in_port=11), actions, cookie)


def test_it_is_a_southbound(net):
    southbound: Southbound = Simulator(net.topology)
    status = southbound.statuses()["s2"]
    assert (status.dpid, status.connected, status.ports_up) == (2, True, {1: True, 2: True, 3: True, 11: True})
    assert DiscoveredLink("s2", 2, "s3", 1) in southbound.links()
    assert len(southbound.links()) == 2 * len(net.topology.links)


def test_an_unreachable_switch_says_so_and_forwards_all_the_same(net):
    simulator = net.install(net.decide("surgery", ROUTES))
    simulator.set_connected("s2", False)
    assert not simulator.statuses()["s2"].connected
    with pytest.raises(SwitchUnreachable, match="s2"):
        simulator.read("s2")
    with pytest.raises(SwitchUnreachable, match="s2"):
        simulator.apply(SwitchChanges("s2", 2))
    assert simulator.send("h1", net.packet("h1", "h3")).reached == ["h3"]
    assert not [link for link in simulator.links() if "s2" in (link.node, link.next_node)]


def test_link_state_is_seen_in_statuses_and_links(net):
    simulator = Simulator(net.topology)
    simulator.set_link("a", up=False)
    assert simulator.statuses()["s1"].ports_up[1] is False
    assert not [link for link in simulator.links() if {link.node, link.next_node} == {"s1", "s2"}]
    simulator.set_link("a", up=True)
    assert len(simulator.links()) == 2 * len(net.topology.links)


def test_one_dead_end_of_a_link_is_a_silent_failure_for_the_other(net):
    simulator = net.install(net.decide("surgery", ROUTES))
    simulator.set_port("s2", 1, up=False)
    (copy,) = simulator.send("h1", net.packet("h1", "h3")).copies
    assert (copy.outcome, copy.node) == ("dropped", "s1")


def test_an_apply_that_breaks_off_leaves_the_first_part_done(net):
    simulator, wanted = Simulator(net.topology), net.compile(net.decide("surgery", ROUTES))["s1"]
    changes = diff(simulator.read("s1").own, wanted)
    simulator.fail_after(3)
    with pytest.raises(SwitchUnreachable):
        simulator.apply(changes)
    rest = diff(simulator.read("s1").own, wanted)
    assert len(rest.operations) == len(changes.operations) - 3
    assert simulator.apply(rest).operations == len(rest.operations)
    assert simulator.read("s1").own == wanted


def test_a_wiped_switch_forgets_and_is_filled_again(net):
    decision = net.decide("surgery", ROUTES)
    simulator = net.install(decision)
    simulator.wipe("s2")
    assert simulator.send("h1", net.packet("h1", "h3")).copies[0].reason == "no rule in table 0"
    net.bring(simulator, net.compile(decision))
    assert simulator.send("h1", net.packet("h1", "h3")).reached == ["h3"]


def test_strangers_are_reported_and_never_part_of_our_own(net):
    simulator, wanted = net.install(net.decide("surgery", ROUTES)), net.compile(net.decide("surgery", ROUTES))
    simulator.add_stranger("s1", rule(Output(2), cookie=0xBAD))
    simulator.add_stranger("s1", Group(5, "all", (Bucket((Output(2),)),)))
    simulator.add_stranger("s1", Meter(3, 100, 10))
    state = simulator.read("s1")
    assert state.own == wanted["s1"]
    assert [text.split("=")[0] for text in state.strangers] == ["cookie", "group_id", "meter"]
    assert not diff(state.own, wanted["s1"])


def test_a_switch_refuses_what_openflow_refuses(net):
    simulator = Simulator(net.topology)
    group, meter = Group(0xCA000010, "all", (Bucket((Output(2),)),)), Meter(16, 10, 10)
    with pytest.raises(ProgramError, match="unknown group"):
        simulator.apply(change("add", rule(ToGroup(group.id))))
    with pytest.raises(ProgramError, match="unknown meter"):
        simulator.apply(change("add", rule(ToMeter(16), Output(2))))
    with pytest.raises(ProgramError, match="is unknown"):
        simulator.apply(change("modify", group))
    simulator.apply(change("add", group))
    simulator.apply(change("add", meter))
    for again in (group, meter):
        with pytest.raises(ProgramError, match="exists"):
            simulator.apply(change("add", again))


def test_deleting_a_group_or_meter_takes_its_flows_along(net):
    simulator = Simulator(net.topology)
    group, meter = Group(0xCA000010, "all", (Bucket((Output(2),)),)), Meter(16, 10, 10)
    for target in (group, meter, rule(ToGroup(group.id)), rule(ToMeter(16), Output(2), priority=6)):
        simulator.apply(change("add", target))
    simulator.apply(change("delete", meter))
    assert len(simulator.read("s1").strangers) == 1
    simulator.apply(change("delete", group))
    assert simulator.read("s1").strangers == ()


def test_loops_dead_ends_and_contradictions_are_found(net):
    simulator = Simulator(net.topology)
    simulator.add_stranger("s1", FlowRule(0, 1, Match(), (Output(1),), 0))
    simulator.add_stranger("s2", FlowRule(0, 1, Match(), (Output(IN_PORT),), 0))
    (copy,) = simulator.send("h1", net.packet("h1", "h3")).copies
    assert (copy.outcome, "unless told IN_PORT" in copy.reason) == ("dropped", True)
    simulator.add_stranger("s1", FlowRule(0, 2, Match(in_port=1), (Output(IN_PORT),), 0))
    assert simulator.send("h1", net.packet("h1", "h3")).copies[0].outcome == "looped"
    simulator.add_stranger("s1", FlowRule(0, 3, Match(in_port=11), (Output(77),), 0))
    assert "no port 77" in simulator.send("h1", net.packet("h1", "h3")).copies[0].reason
    simulator.add_stranger("s1", FlowRule(0, 3, Match(eth_type=0x0800), (Output(2),), 0))
    with pytest.raises(ProgramError, match="match the same packet"):
        simulator.send("h1", net.packet("h1", "h3"))


def test_unknown_names_are_told(net):
    simulator = Simulator(net.topology)
    for call in (
        lambda: simulator.read("s9"),
        lambda: simulator.send("h9", Packet()),
        lambda: simulator.set_link("z", up=False),
        lambda: simulator.send(("s9", 1), Packet()),
    ):
        with pytest.raises(NotFoundError):
            call()


def test_threads_may_share_it(net):
    simulator = Simulator(net.topology)
    programs = [net.compile(), net.compile(net.decide("surgery", {("h1", "h3"): ["cd"]}))]
    failures: list[BaseException] = []

    def work(offset):
        try:
            for i in range(20):
                wanted = programs[(i + offset) % 2]["s4"]
                simulator.apply(diff(simulator.read("s4").own, wanted))
                simulator.send("h1", net.packet("h1", "h3"))
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    assert failures == []


def test_labels_need_an_entry_to_be_set(net):
    simulator = Simulator(net.topology)
    simulator.add_stranger("s1", rule(SetMplsLabel(16), Output(12)))
    assert "does not apply" in simulator.send("h1", net.packet("h1", "h3")).copies[0].reason
    simulator.add_stranger("s1", rule(PushMpls(), SetMplsLabel(16), Output(12), priority=6))
    assert simulator.send("h1", net.packet("h1", "h3", dscp=46)).copies[0].packet.labels == (Label(16, 6),)


def test_frames_made_with_scapy_walk_the_tables(net):
    layers = pytest.importorskip("scapy.layers.all")
    mpls = pytest.importorskip("scapy.contrib.mpls").MPLS
    simulator = net.install(net.decide("surgery", ROUTES))
    ether = layers.Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:77")
    datagram = layers.IP(src="10.0.0.1", dst="10.0.0.3", tos=46 << 2) / layers.UDP(sport=5, dport=6) / b"beat"
    packet = packet_of(bytes(ether / datagram))
    assert (packet.dscp, packet.l4_src, packet.l4_dst, packet.ip_proto) == (46, 5, 6, 17)
    assert simulator.send("h1", packet).reached == ["h3"]
    ask = packet_of(bytes(ether / layers.ARP(op=1, psrc="10.0.0.1", pdst="10.0.0.3")))
    assert simulator.send("h1", ask).reached == ["h3"]
    labelled = packet_of(bytes(ether / mpls(label=16, cos=5, s=1) / datagram))
    assert (labelled.labels, labelled.ip_dst, labelled.eth_type) == ((Label(16, 5),), "10.0.0.3", 0x0800)
    assert simulator.send("h1", labelled).reached == []
    six = packet_of(bytes(ether / layers.IPv6(src="2001:db8::1", dst="2001:db8::2", tc=46 << 2) / layers.UDP()))
    assert (six.ip_src, six.dscp, six.l4_dst) == ("2001:db8::1", 46, 53)
    with pytest.raises(ValueError, match="too short"):
        packet_of(bytes(ether / datagram)[:20])
