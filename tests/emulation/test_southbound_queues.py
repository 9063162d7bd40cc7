"""Queues against a real OVSDB, ovs-vswitchd and kernel: what is asked for is what the kernel schedules by."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from carelane.controller.pipeline.changes import Operation, SwitchChanges
from carelane.controller.pipeline.program import FlowRule, Match, Output, PortQos, Queue, SetQueue
from carelane.controller.southbound.openflow import OpenFlowSouthbound
from carelane.controller.southbound.ovsdb import Ovsdb
from carelane.controller.southbound.tc import TcClass, read_classes
from carelane.errors import ProgramError, SwitchUnreachable
from carelane.topology.model import Node, Topology

pytestmark = [pytest.mark.root, pytest.mark.ovs]

BEST_EFFORT = Queue(0, 1_000_000, 20_000_000, 12_000, 7, "")
SURGERY = Queue(7, 5_000_000, 20_000_000, 800_000, 0, "or1-surgery")
BULK = Queue(61_000, 2_345_678, 10_000_000, 120_000, 5, "imaging")
PORT_1 = PortQos(1, 20_000_000, (BEST_EFFORT, SURGERY))
PORT_2 = PortQos(2, 1_000_000_000, (BEST_EFFORT, SURGERY, BULK))


def operations(verb: Any, *targets: PortQos) -> list[Operation]:
    return [Operation(verb, target) for target in targets]


def until(condition: Callable[[], bool], *, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the awaited state did not come"
        time.sleep(0.02)


def rows(ovs: Any, table: str) -> int:
    return len(ovs.vsctl("--bare", "--columns=_uuid", "list", table).split())


@pytest.fixture
def ovsdb(ovs: Any) -> Iterator[Ovsdb]:
    ovs.add_bridge("s1", 1)
    for port in (1, 2):
        ovs.add_veth("s1", port, f"v{port}")
    database = Ovsdb(ovs.ovsdb, timeout_s=5)
    yield database
    database.close()


def test_queues_reach_the_kernel_and_read_back_identical(ovsdb: Ovsdb) -> None:
    ovsdb.apply(1, operations("add", PORT_1, PORT_2))
    state = ovsdb.read(1)
    assert state.own == (PORT_1, PORT_2)
    assert state.strangers == ()
    assert state.mismatches == ()
    classes = {found.minor: found for found in read_classes("v1")}
    assert classes[8] == TcClass(8, 5_000_000, 20_000_000, 100_000, 0)
    assert classes[1].priority == 7
    assert {found.minor for found in read_classes("v2")} == {0xFFFE, 1, 8, 61_001}


def test_a_changed_queue_changes_alone(ovs: Any, ovsdb: Ovsdb) -> None:
    ovsdb.apply(1, operations("add", PORT_1))
    untouched = ovs.vsctl("--bare", "--columns=_uuid", "find", "queue", "external_ids:carelane\\:slice=or1-surgery")
    changed = PortQos(1, 20_000_000, (BEST_EFFORT, SURGERY, BULK))
    ovsdb.apply(1, operations("modify", changed))
    after = ovs.vsctl("--bare", "--columns=_uuid", "find", "queue", "external_ids:carelane\\:slice=or1-surgery")
    assert untouched == after
    assert untouched.strip()
    assert ovsdb.read(1).own == (changed,)
    slower = PortQos(1, 20_000_000, (BEST_EFFORT, Queue(7, 4_000_000, 6_000_000, 90_000, 2, "or1-surgery")))
    ovsdb.apply(1, operations("modify", slower))
    state = ovsdb.read(1)
    assert state.own == (slower,)
    assert state.mismatches == ()
    assert rows(ovs, "queue") == 2


def test_nothing_remains_after_deletion(ovs: Any, ovsdb: Ovsdb) -> None:
    ovsdb.apply(1, operations("add", PORT_1, PORT_2))
    ovsdb.apply(1, operations("delete", PORT_1, PORT_2))
    assert ovsdb.read(1).own == ()
    assert rows(ovs, "qos") == rows(ovs, "queue") == 0
    assert read_classes("v1") == ()
    ovsdb.apply(1, operations("delete", PORT_1))


def test_what_a_removed_port_leaves_behind_is_swept(ovs: Any, ovsdb: Ovsdb) -> None:
    ovsdb.apply(1, operations("add", PORT_1, PORT_2))
    ovs.vsctl("del-port", "s1", "v2")
    assert rows(ovs, "qos") == 2
    ovsdb.apply(1, operations("modify", PORT_1))
    assert rows(ovs, "qos") == 1
    assert rows(ovs, "queue") == 2


def test_strangers_are_reported_and_never_removed(ovs: Any, ovsdb: Ovsdb) -> None:
    ovs.vsctl("set", "port", "v1", "qos=@q", "--", "--id=@q", "create", "qos", "type=linux-htb")
    ovs.vsctl("create", "queue", "other-config:max-rate=5")
    ovsdb.apply(1, operations("add", PORT_2))
    assert ovsdb.read(1).strangers == ("port 1 (v1): a QoS of type 'linux-htb'",)
    with pytest.raises(ProgramError, match=r"port 1 .*did not make.*ovs-vsctl clear port v1 qos"):
        ovsdb.apply(1, operations("add", PORT_1))
    ovsdb.apply(1, operations("delete", PORT_1))
    assert ovsdb.read(1).own == (PORT_2,)
    assert rows(ovs, "qos") == 2
    assert rows(ovs, "queue") == 4


def test_a_strangers_queue_in_our_tree(ovs: Any, ovsdb: Ovsdb) -> None:
    ovsdb.apply(1, operations("add", PORT_1))
    ours = ovs.vsctl("get", "port", "v1", "qos").strip()
    ovs.vsctl("--id=@q", "create", "queue", "other-config:max-rate=5000000", "--", "set", "qos", ours, "queues:9=@q")
    state = ovsdb.read(1)
    assert state.own == (PORT_1,)
    assert state.strangers == ("port 1 (v1): queue 9",)
    with pytest.raises(ProgramError, match="queue 9 exists"):
        ovsdb.apply(1, operations("modify", PortQos(1, 20_000_000, (BEST_EFFORT, Queue(9, 1, 1, 1, 1, "x")))))
    ovsdb.apply(1, operations("modify", PortQos(1, 20_000_000, (BEST_EFFORT,))))
    assert ovsdb.read(1).strangers == ("port 1 (v1): queue 9",)


def test_a_tree_given_to_a_second_port_is_parted_again(ovs: Any, ovsdb: Ovsdb) -> None:
    ovsdb.apply(1, operations("add", PORT_1))
    ovs.vsctl("set", "port", "v2", f"qos={ovs.vsctl('get', 'port', 'v1', 'qos').strip()}")
    assert len(ovsdb.read(1).own) == 2
    ovsdb.apply(1, operations("modify", PORT_2))
    assert ovsdb.read(1).own == (PORT_1, PORT_2)
    ovs.vsctl("set", "port", "v2", f"qos={ovs.vsctl('get', 'port', 'v1', 'qos').strip()}")
    assert ovsdb.read(1).own != (PORT_1, PORT_2)
    ovsdb.apply(1, operations("delete", PORT_2))
    assert ovsdb.read(1).own == (PORT_1,)


def test_drift_in_the_database_is_seen(ovs: Any, ovsdb: Ovsdb) -> None:
    ovsdb.apply(1, operations("add", PORT_1))
    queue = ovs.vsctl("--bare", "--columns=_uuid", "find", "queue", "external_ids:carelane\\:slice=or1-surgery")
    ovs.vsctl("set", "queue", queue.strip(), "other-config:min-rate=1", "other-config:priority=6")
    assert ovsdb.read(1).own != (PORT_1,)
    ovsdb.apply(1, operations("modify", PORT_1))
    assert ovsdb.read(1).own == (PORT_1,)
    ovs.vsctl("clear", "port", "v1", "qos")
    assert ovsdb.read(1).own == ()


def test_drift_in_the_kernel_is_seen(ovs: Any, ovsdb: Ovsdb) -> None:
    ovsdb.apply(1, operations("add", PORT_1, PORT_2))
    tc = ("tc", "class", "change", "dev", "v1", "parent", "1:fffe", "classid", "1:8", "htb")
    ovs.run(*tc, "rate", "3mbit", "ceil", "20mbit", "burst", "9000", "prio", "3")
    ovs.run("tc", "class", "del", "dev", "v2", "classid", "1:ee49")
    assert ovsdb.read(1).mismatches == (
        "port 1 (v1) queue 7: kernel rate is 3000000 instead of 5000000",
        "port 1 (v1) queue 7: kernel burst is 9000 instead of 100000",
        "port 1 (v1) queue 7: kernel priority is 3 instead of 0",
        "port 2 (v2) queue 61000: no class in the kernel",
    )


def test_a_port_without_a_kernel_scheduler_is_a_mismatch(ovs: Any, ovsdb: Ovsdb) -> None:
    ovs.add_bridge("s2", 2)
    ovs.add_patch("s1", 5, "s2", 5)
    ovsdb.apply(1, operations("add", PortQos(5, 20_000_000, (BEST_EFFORT,))))
    (mismatch,) = ovsdb.read(1).mismatches
    assert "s1p5" in mismatch
    assert "cannot be read" in mismatch


def test_a_given_reader_is_asked(ovs: Any, ovsdb: Ovsdb) -> None:
    ovsdb.apply(1, operations("add", PORT_1))
    elsewhere = Ovsdb({1: ovs.ovsdb}, tc_reader=lambda interface: [TcClass(0xFFFE, 20_000_000, 20_000_000, 1500, 0)])
    try:
        assert len(elsewhere.read(1).mismatches) == 2
        with pytest.raises(ProgramError, match="no OVSDB remote is given for switch 0x2"):
            elsewhere.read(2)
    finally:
        elsewhere.close()


def test_refused_before_anything_changes(ovs: Any, ovsdb: Ovsdb) -> None:
    with pytest.raises(SwitchUnreachable, match="port 33 does not exist"):
        ovsdb.apply(1, operations("add", PORT_1, PortQos(33, 1_000_000, (BEST_EFFORT,))))
    assert ovsdb.read(1).own == ()
    assert rows(ovs, "qos") == 0
    with pytest.raises(SwitchUnreachable, match="no bridge with datapath id 00000000000000ff"):
        ovsdb.read(255)


def test_a_restarted_server_is_found_again(ovs: Any, ovsdb: Ovsdb) -> None:
    ovsdb.apply(1, operations("add", PORT_1))
    ovs.kill("ovsdb-server")
    with pytest.raises(SwitchUnreachable):
        ovsdb.read(1)
    with pytest.raises(SwitchUnreachable):
        ovsdb.apply(1, operations("add", PORT_2))
    ovs.start_ovsdb_server()
    until(lambda: readable(ovsdb))
    until(lambda: applicable(ovsdb))
    assert ovsdb.read(1).own == (PORT_1, PORT_2)


def readable(ovsdb: Ovsdb) -> bool:
    try:
        return bool(ovsdb.read(1).own)
    except SwitchUnreachable:
        return False


def applicable(ovsdb: Ovsdb) -> bool:
    try:
        ovsdb.apply(1, operations("add", PORT_2))
    except SwitchUnreachable:
        return False
    return True


def test_a_server_or_switch_that_hangs_is_unreachable(ovs: Any, ovsdb: Ovsdb) -> None:
    quick = Ovsdb(ovs.ovsdb, timeout_s=1)
    try:
        quick.apply(1, operations("add", PORT_1))
        ovs.signal("ovs-vswitchd", "STOP")
        with pytest.raises(SwitchUnreachable, match="did not confirm"):
            quick.apply(1, operations("add", PORT_2))
        ovs.signal("ovs-vswitchd", "CONT")
        ovs.signal("ovsdb-server", "STOP")
        with pytest.raises(SwitchUnreachable):
            quick.read(1)
        with pytest.raises(SwitchUnreachable):
            quick.apply(1, operations("delete", PORT_2))
        ovs.signal("ovsdb-server", "CONT")
    finally:
        ovs.signal("ovsdb-server", "CONT")
        quick.close()
    with pytest.raises(SwitchUnreachable, match="does not answer"):
        Ovsdb("unix:/nonexistent/db.sock", timeout_s=0.3).read(1)


def test_many_queues_are_one_transaction(ovs: Any) -> None:
    ovs.add_bridge("s1", 1)
    names = [f"v{port}" for port in range(1, 5)]
    for port, name in enumerate(names, 1):
        ovs.add_veth("s1", port, name)
    queues = tuple(Queue(n, 100_000, 10_000_000, 24_000, n % 8, f"slice-{n}") for n in range(100))
    ports = [PortQos(port, 100_000_000, queues) for port in range(1, 5)]
    database = Ovsdb(ovs.ovsdb)
    try:
        before = int(ovs.vsctl("get", "Open_vSwitch", ".", "next_cfg"))
        database.apply(1, operations("add", *ports))
        assert int(ovs.vsctl("get", "Open_vSwitch", ".", "next_cfg")) == before + 1
        state = database.read(1)
        assert state.own == tuple(ports)
        assert state.mismatches == ()
    finally:
        database.close()


def test_a_program_with_queues_through_the_whole_southbound(ovs: Any) -> None:
    topology = Topology("test", {"s1": Node("s1", 1)}, {}, {}, {})
    southbound = OpenFlowSouthbound(topology, port=0, ovsdb=ovs.ovsdb)
    southbound.start()
    try:
        ovs.add_bridge("s1", 1, controller_port=southbound.port)
        for port in (1, 2):
            ovs.add_veth("s1", port, f"v{port}")
        until(lambda: {1, 2} <= set(southbound.statuses()["s1"].ports_up))
        rule = FlowRule(0, 5, Match(in_port=1), (SetQueue(7), Output(2)), 0xCA9E << 48 | 7)
        done = (*operations("add", PORT_1, PORT_2), Operation("add", rule))
        receipt = southbound.apply(SwitchChanges("s1", 1, done))
        state = southbound.read("s1")
        assert receipt.operations == 3
        assert state.own.ports == (PORT_1, PORT_2)
        assert state.own.flows == (rule,)
        assert state.mismatches == ()
    finally:
        southbound.stop()


def test_queues_without_a_database_are_refused_before_anything_is_sent(ovs: Any) -> None:
    topology = Topology("test", {"s1": Node("s1", 1)}, {}, {}, {})
    southbound = OpenFlowSouthbound(topology, port=0)
    southbound.start()
    try:
        ovs.add_bridge("s1", 1, controller_port=southbound.port)
        until(lambda: southbound.statuses()["s1"].connected)
        rule = FlowRule(0, 5, Match(in_port=1), (), 0xCA9E << 48 | 7)
        with pytest.raises(ProgramError, match=r"s1: .*no OVSDB is configured"):
            southbound.apply(SwitchChanges("s1", 1, (Operation("add", rule), Operation("add", PORT_1))))
        assert southbound.read("s1").own.flows == ()
    finally:
        southbound.stop()
