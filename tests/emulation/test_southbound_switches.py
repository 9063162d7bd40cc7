"""The southbound against a real Open vSwitch: what is applied is what is there, and nothing is assumed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from carelane.controller.pipeline.changes import Operation, SwitchChanges
from carelane.controller.pipeline.program import (
    CONTROLLER_PORT,
    COOKIE_OWNER,
    GROUP_TAG,
    IN_PORT,
    Bucket,
    FlowRule,
    GotoTable,
    Group,
    Match,
    Meter,
    Output,
    PopMpls,
    PushMpls,
    SetDscp,
    SetEthDst,
    SetMplsLabel,
    SetMplsTc,
    SetQueue,
    SwitchProgram,
    ToGroup,
    ToMeter,
)
from carelane.controller.southbound.links import check_links
from carelane.controller.southbound.openflow import OpenFlowSouthbound
from carelane.controller.southbound.protocol import SwitchState, flow_key_text
from carelane.errors import ConflictError, NotFoundError, ProgramError, SwitchUnreachable
from carelane.topology.model import Link, Node, Topology

pytestmark = [pytest.mark.root, pytest.mark.ovs]

COOKIE = COOKIE_OWNER << 48 | 7
LLDP = FlowRule(0, 65000, Match(eth_type=0x88CC), (Output(CONTROLLER_PORT, 0xFFFF),), COOKIE_OWNER << 48)


def network(*dpids: int, links: tuple[Link, ...] = ()) -> Topology:
    nodes = {f"s{dpid}": Node(f"s{dpid}", dpid) for dpid in dpids}
    return Topology("test", nodes, {link.id: link for link in links}, {}, {})


def rule(priority: int, match: Match, *actions: Any, table: int = 0) -> FlowRule:
    return FlowRule(table, priority, match, actions, COOKIE)


def until(condition: Callable[[], bool], *, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the awaited state did not come"
        time.sleep(0.02)


def changes(*operations: Operation, node: str = "s1") -> SwitchChanges:
    return SwitchChanges(node, int(node[1:]), operations)


def adding(*targets: Any, node: str = "s1") -> SwitchChanges:
    return changes(*(Operation("add", target) for target in targets), node=node)


def as_set(program: SwitchProgram) -> set[Any]:
    return {*program.flows, *program.groups, *program.meters, *program.ports}


@pytest.fixture
def south(ovs: Any) -> Iterator[OpenFlowSouthbound]:
    """One connected switch, s1, with ports 1 to 3."""
    southbound = OpenFlowSouthbound(network(1), port=0, echo_interval_s=0.5, lldp_interval_s=0.2)
    southbound.start()
    try:
        ovs.add_bridge("s1", 1, controller_port=southbound.port)
        ovs.add_bridge("peer", 99)
        for port in (1, 2, 3):
            ovs.add_patch("s1", port, "peer", port)
        until(lambda: set(southbound.statuses()["s1"].ports_up) >= {1, 2, 3})
        yield southbound
    finally:
        southbound.stop()


EVERYTHING = (
    Meter(16, 40_000, 512),
    Meter(199_999, 1, 1),
    Group(GROUP_TAG | 16, "fast-failover", (Bucket((Output(1),), 1), Bucket((SetMplsLabel(17), Output(IN_PORT)), 2))),
    Group(GROUP_TAG | 18, "all", (Bucket((SetDscp(46), SetQueue(3), Output(1))), Bucket((Output(2),)))),
    Group(GROUP_TAG | 20, "indirect", (Bucket((PushMpls(), SetMplsLabel(20), SetQueue(1), Output(3))),)),
    LLDP,
    rule(0, Match()),
    rule(
        100,
        Match(in_port=1, eth_type=0x0800, ip_src="10.1.0.11/32", ip_dst="10.3.0.0/16"),
        *(ToMeter(16), SetDscp(46), PushMpls(), SetMplsLabel(16), SetQueue(7), ToGroup(GROUP_TAG | 16)),
    ),
    rule(100, Match(in_port=2), ToMeter(199_999), GotoTable(1)),
    rule(90, Match(in_port=1, eth_src="0a:00:00:00:00:01", eth_dst="0a:00:00:00:00:02"), Output(2)),
    rule(90, Match(eth_type=0x0800, ip_proto=6, l4_dst=443), Output(2)),
    rule(90, Match(eth_type=0x0800, ip_proto=17, l4_src=5000, l4_dst=5001), ToGroup(GROUP_TAG | 18)),
    rule(90, Match(eth_type=0x86DD, ip_src="2001:db8::/32", ip_dst="2001:db8::1/128"), ToGroup(GROUP_TAG | 20)),
    rule(90, Match(eth_type=0x86DD, ip_proto=132, l4_src=9), Output(2)),
    rule(90, Match(eth_type=0x0806, ip_src="10.1.0.0/24", ip_dst="10.1.0.11/32"), Output(1)),
    rule(80, Match(eth_type=0x8847, mpls_label=16), SetQueue(7), Output(2), table=1),
    rule(
        *(81, Match(in_port=3, eth_type=0x8847, mpls_label=19)),
        *(PopMpls(0x0800), SetEthDst("0a:00:00:00:00:0b"), SetQueue(0), Output(1)),
        table=1,
    ),
    rule(82, Match(eth_type=0x8847, mpls_label=21), PopMpls(0x86DD), Output(1), table=1),
    rule(84, Match(eth_type=0x8847, mpls_label=22, mpls_tc=1), PopMpls(0x0806), Output(1), table=1),
    rule(84, Match(eth_type=0x0806, in_port=1), PushMpls(), SetMplsTc(1), SetMplsLabel(22), Output(2)),
    rule(83, Match(in_port=3, eth_type=0x8847, mpls_label=17), SetMplsLabel(18), Output(IN_PORT), table=1),
)


def test_what_is_applied_is_read_back_identical(south: OpenFlowSouthbound) -> None:
    receipt = south.apply(adding(*EVERYTHING))
    state = south.read("s1")
    assert receipt.operations == len(EVERYTHING)
    assert as_set(state.own) == set(EVERYTHING)
    assert state.strangers == ()
    assert state.mismatches == ()
    assert set(state.flow_packets) == {flow_key_text(t) for t in EVERYTHING if isinstance(t, FlowRule)}


def test_everything_is_removed_again(south: OpenFlowSouthbound) -> None:
    south.apply(adding(*EVERYTHING))
    south.apply(changes(*(Operation("delete", target) for target in reversed(EVERYTHING))))
    assert as_set(south.read("s1").own) == set()


def test_changes_are_carried_out_and_keep_what_they_must(ovs: Any, south: OpenFlowSouthbound) -> None:
    match = Match(in_port=1)
    south.apply(adding(Meter(16, 1000, 10), rule(5, match, Output(2))))
    ovs.ofctl("packet-out", "peer", "in_port=LOCAL,packet=ffffffffffff0a00000000010800,actions=output:1")
    until(lambda: south.read("s1").flow_packets[flow_key_text(rule(5, match))] == 1)
    south.apply(changes(Operation("modify", Meter(16, 2000, 20)), Operation("modify", rule(5, match, Output(3)))))
    state = south.read("s1")
    assert as_set(state.own) == {Meter(16, 2000, 20), rule(5, match, Output(3))}
    assert state.flow_packets[flow_key_text(rule(5, match))] == 1
    taken_over = FlowRule(0, 5, match, (Output(3),), COOKIE + 1)
    south.apply(adding(taken_over))
    state = south.read("s1")
    assert state.own.flows == (taken_over,)
    assert state.flow_packets[flow_key_text(taken_over)] == 0


def test_an_error_names_the_operation(south: OpenFlowSouthbound) -> None:
    good = rule(1, Match(in_port=1), Output(2))
    bad = rule(2, Match(in_port=2), ToGroup(GROUP_TAG | 999))
    with pytest.raises(ProgramError, match=r"s1: .*add flow table=0,priority=2,in_port=2: OFPET_BAD_ACTION/OFPBAC_BAD"):
        south.apply(adding(good, bad))
    assert south.read("s1").own.flows == (), "nothing of a bundle with a fault is carried out"
    south.apply(adding(good))
    assert south.read("s1").own.flows == (good,)


def test_what_the_state_belied_is_put_right(south: OpenFlowSouthbound) -> None:
    """A diff against a state that has changed since still ends in the wanted state."""
    group = Group(GROUP_TAG | 16, "all", (Bucket((Output(1),)),))
    changed = Group(GROUP_TAG | 16, "all", (Bucket((Output(2),)),))
    south.apply(adding(Meter(16, 1000, 10), group))
    south.apply(adding(Meter(16, 2000, 10), changed))
    assert as_set(south.read("s1").own) == {Meter(16, 2000, 10), changed}
    for _ in range(2):
        south.apply(changes(Operation("delete", group), Operation("delete", Meter(16, 1, 1))))
    assert as_set(south.read("s1").own) == set()
    south.apply(changes(Operation("modify", Meter(16, 3000, 10)), Operation("modify", group)))
    assert as_set(south.read("s1").own) == {Meter(16, 3000, 10), group}


def test_strangers_are_reported_and_left_alone(ovs: Any, south: OpenFlowSouthbound) -> None:
    own = rule(5, Match(in_port=1), Output(2))
    south.apply(adding(own))
    ovs.ofctl("add-flow", "s1", "cookie=0x1,priority=9,ip,nw_src=10.0.0.1,actions=output:1")
    ovs.ofctl("add-flow", "s1", "table=3,priority=9,ct_state=+trk+est,ct_mark=5,ip,actions=ct(commit),resubmit(,4)")
    ovs.ofctl("add-flow", "s1", "table=3,tun_id=7,actions=learn(table=9,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[])")
    ovs.ofctl("add-flow", "s1", f"cookie={COOKIE:#x},priority=9,in_port=2,vlan_tci=0x1000/0x1000,actions=output:1")
    ovs.ofctl("add-flow", "s1", f"cookie={COOKIE:#x},priority=8,idle_timeout=900,in_port=2,actions=output:1")
    ovs.ofctl("add-group", "s1", "group_id=5,type=select,bucket=output:1")
    ovs.ofctl("add-meter", "s1", "meter=200001,kbps,band=type=drop,rate=5")
    state = south.read("s1")
    assert as_set(state.own) == {own}
    assert len(state.strangers) == 7
    assert [text for text in state.strangers if "10.0.0.1" in text and "cookie=0x1" in text]
    assert [text for text in state.strangers if "group 0x5" in text]
    assert [text for text in state.strangers if "meter 200001" in text]
    assert len([text for text in state.strangers if "bears carelane's mark" in text]) == 2
    south.apply(changes(Operation("delete", own)))
    assert len(south.read("s1").strangers) == 7


def test_a_strangers_entry_is_not_overwritten(ovs: Any, south: OpenFlowSouthbound) -> None:
    ovs.ofctl("add-flow", "s1", "priority=9,in_port=1,actions=output:3")
    south.read("s1")
    with pytest.raises(ProgramError, match=r"did not make.*table=0,priority=9,in_port=1.*remove it"):
        south.apply(adding(rule(9, Match(in_port=1), Output(2))))
    assert "actions=output:3" in ovs.ofctl("dump-flows", "s1")
    south.apply(changes(Operation("delete", rule(9, Match(in_port=1)))))
    assert "actions=output:3" in ovs.ofctl("dump-flows", "s1")


def test_drift_is_seen(ovs: Any, south: OpenFlowSouthbound) -> None:
    south.apply(adding(*EVERYTHING))
    ovs.ofctl("del-flows", "s1", "table=1,mpls,mpls_label=16")
    ovs.ofctl("mod-group", "s1", f"group_id={GROUP_TAG | 18},type=all,bucket=output:3")
    ovs.ofctl("mod-meter", "s1", "meter=16,kbps,burst,band=type=drop,rate=7,burst_size=8")
    state = as_set(south.read("s1").own)
    assert Meter(16, 7, 8) in state
    assert Group(GROUP_TAG | 18, "all", (Bucket((Output(3),)),)) in state
    assert len(set(EVERYTHING) - state) == 3


def test_many_operations_in_one_apply(south: OpenFlowSouthbound) -> None:
    rules = [rule(5, Match(eth_type=0x8847, mpls_label=16 + n), Output(1 + n % 3)) for n in range(5000)]
    south.apply(adding(*rules))
    assert set(south.read("s1").own.flows) == set(rules)


def test_undeclared_and_unknown_switches(ovs: Any, south: OpenFlowSouthbound) -> None:
    with pytest.raises(NotFoundError, match="s77"):
        south.read("s77")
    ovs.add_bridge("guest", 0xABC, controller_port=south.port)
    until(lambda: "dpid:abc" in south.statuses())
    assert south.statuses()["dpid:abc"].connected
    ovs.vsctl("del-br", "guest")
    until(lambda: "dpid:abc" not in south.statuses())


def test_nothing_is_changed_on_connect(ovs: Any, south: OpenFlowSouthbound) -> None:
    """Neither by the first connection nor by a controller that comes back."""
    assert ovs.ofctl("dump-flows", "s1").count("cookie") == 0
    south.apply(adding(*EVERYTHING))
    port = south.port
    south.stop()
    again = OpenFlowSouthbound(network(1), port=port)
    again.start()
    try:
        until(lambda: again.statuses()["s1"].connected)
        assert as_set(again.read("s1").own) == set(EVERYTHING)
    finally:
        again.stop()


def test_a_port_that_goes_down_is_known(ovs: Any, south: OpenFlowSouthbound) -> None:
    ovs.add_veth("s1", 9, "v9")
    until(lambda: south.statuses()["s1"].ports_up.get(9) is True)
    ovs.run("ip", "link", "set", "v9-x", "down")
    until(lambda: south.statuses()["s1"].ports_up.get(9) is False)
    ovs.vsctl("del-port", "s1", "v9")
    until(lambda: 9 not in south.statuses()["s1"].ports_up)


def test_a_switch_that_hangs_is_noticed(ovs: Any, south: OpenFlowSouthbound) -> None:
    ovs.signal("ovs-vswitchd", "STOP")
    started = time.monotonic()
    with pytest.raises(SwitchUnreachable, match="s1"):
        south.apply(adding(rule(5, Match(in_port=1), Output(2))))
    assert time.monotonic() - started < 9  # by echo, before the 10 s of the barrier
    status = south.statuses()["s1"]
    assert not status.connected
    assert "echo" in status.reason
    ovs.signal("ovs-vswitchd", "CONT")
    until(lambda: south.statuses()["s1"].connected)
    south.apply(adding(rule(5, Match(in_port=1), Output(2))))


def test_a_switch_killed_while_it_is_programmed(ovs: Any, south: OpenFlowSouthbound) -> None:
    rules = [rule(5, Match(eth_type=0x8847, mpls_label=16 + n), Output(1)) for n in range(60_000)]
    killer = threading.Timer(0.3, lambda: ovs.kill("ovs-vswitchd"))
    everything = adding(*rules)
    killer.start()
    with pytest.raises(SwitchUnreachable, match=r"s1: connection lost"):
        south.apply(everything)
    killer.join()
    with pytest.raises(SwitchUnreachable, match=r"s1: disconnected"):
        south.read("s1")
    ovs.start_vswitchd()
    until(lambda: south.statuses()["s1"].connected)
    assert south.read("s1").own.flows == ()


def test_stopping_ends_everything_and_starting_again_works(ovs: Any) -> None:
    before = threading.active_count()
    noticed: list[str] = []
    southbound = OpenFlowSouthbound(network(1), port=0, lldp_interval_s=0.2, on_change=noticed.append)
    southbound.start()
    port = southbound.port
    ovs.add_bridge("s1", 1, controller_port=port)
    until(lambda: southbound.statuses()["s1"].connected)
    with pytest.raises(ConflictError, match="one OpenFlow listener"):
        OpenFlowSouthbound(network(1), port=0).start()
    southbound.stop()
    southbound.stop()
    assert threading.active_count() == before
    assert not southbound.statuses()["s1"].connected
    assert noticed.count("s1") >= 2
    again = OpenFlowSouthbound(network(1), port=port)
    again.start()
    try:
        until(lambda: again.statuses()["s1"].connected)
        assert isinstance(again.read("s1"), SwitchState)
    finally:
        again.stop()
    assert threading.active_count() == before


def test_links_are_discovered_and_wrong_wiring_is_reported(ovs: Any) -> None:
    declared = (Link("l12", "s1", "s2", 1, 1), Link("l23", "s2", "s3", 2, 1))
    topology = network(1, 2, 3, links=declared)
    southbound = OpenFlowSouthbound(topology, port=0, lldp_interval_s=0.1)
    southbound.start()
    try:
        for dpid in (1, 2, 3):
            ovs.add_bridge(f"s{dpid}", dpid, controller_port=southbound.port)
        ovs.add_patch("s1", 1, "s2", 1)
        ovs.add_patch("s2", 2, "s3", 5)  # declared: port 1
        until(lambda: all(status.connected for status in southbound.statuses().values()))
        for node in topology.nodes:
            southbound.apply(adding(LLDP, node=node))
        until(lambda: len(southbound.links()) == 4)
        problems = check_links(topology, southbound.links(), southbound.statuses())
        assert problems == (
            "link l23: s2 port 2 -> s3 port 1 is declared, but the port leads to s3 port 5",
            "link l23: s3 has no port 1",
            "s3 port 5 -> s2 port 2 is seen but not declared",
        )
        ovs.vsctl("del-port", "s2", "s2p2")
        until(lambda: len(southbound.links()) == 2)
    finally:
        southbound.stop()
