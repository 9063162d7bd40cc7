"""Compiled slices on real switches: read, diff, apply, read back, until nothing differs and nothing is left."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from carelane.controller.pipeline.compile import compile_program
from carelane.controller.pipeline.diff import diff
from carelane.controller.pipeline.identifiers import allocate, group_label, slice_number
from carelane.controller.pipeline.program import SwitchProgram
from carelane.controller.pipeline.requirement import Objectives, Pair, Requirement
from carelane.controller.pipeline.slice_plan import Decision, PlannedPath
from carelane.controller.reconcile.programmer import Programmer, Scope
from carelane.controller.reconcile.staging import Owners
from carelane.controller.reconcile.turn import Turn
from carelane.controller.southbound.links import check_links
from carelane.controller.southbound.openflow import OpenFlowSouthbound
from carelane.topology.model import Endpoint, Hop, Link, Node, Topology

pytestmark = [pytest.mark.root, pytest.mark.ovs]

NODES = {name: Node(name, dpid) for dpid, name in enumerate(("s1", "s2", "s3"), 1)}
LINKS = {
    "direct": Link("direct", "s1", "s3", 1, 1, 50_000_000),
    "near": Link("near", "s1", "s2", 2, 1, 50_000_000),
    "far": Link("far", "s2", "s3", 2, 2, 50_000_000),
}
ENDS = {
    name: Endpoint(name, node, port, ip_network(f"10.0.0.{n}/32"), 50_000_000, f"02:00:00:00:00:{n:02x}")
    for n, (name, node, port) in enumerate((("or", "s1", 9), ("scan", "s1", 8), ("console", "s3", 9)), 1)
}
TOPOLOGY = Topology("triangle", NODES, LINKS, ENDS, {})


def decide(name: str, source: str) -> Decision:
    """A protected service from a hospital's switch s1 to the console at s3, by the direct link and around."""
    requirement = Requirement(
        name,
        "t",
        "test",
        "telephony",
        1,
        "point-to-point",
        (Pair(ENDS[source], ENDS["console"]),),
        *(5_000_000, 1_000_000, 24_000, 1500),
        Objectives(),
    )
    ways = (
        ("primary", ("s1", "s3"), (Hop("direct", "s1", "s3"),)),
        ("backup", ("s1", "s2", "s3"), (Hop("near", "s1", "s2"), Hop("far", "s2", "s3"))),
    )
    paths = tuple(
        PlannedPath(role, source, "console", nodes, hops, 5_000_000, 1_000_000, None, None, 0.001)
        for role, nodes, hops in ways
    )
    return Decision(requirement, True, paths)


SURGERY, IMAGING = decide("surgery", "or"), decide("imaging", "scan")
IDS = allocate(SURGERY, ())
SLICES = [(SURGERY, IDS), (IMAGING, allocate(IMAGING, [IDS]))]


def until(condition: Callable[[], bool], *, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the awaited state did not come"
        time.sleep(0.02)


@pytest.fixture
def south(ovs: Any) -> Iterator[OpenFlowSouthbound]:
    southbound = OpenFlowSouthbound(TOPOLOGY, port=0, ovsdb=ovs.ovsdb, lldp_interval_s=0.2)
    southbound.start()
    try:
        ovs.add_network(TOPOLOGY, controller_port=southbound.port)
        until(lambda: all(status.connected for status in southbound.statuses().values()))
        yield southbound
    finally:
        southbound.stop()


def converge(southbound: OpenFlowSouthbound, slices: list[Any]) -> None:
    for node, wanted in compile_program(TOPOLOGY, slices).items():
        southbound.apply(diff(southbound.read(node).own, wanted))
        state = southbound.read(node)
        assert state.own == wanted
        assert not diff(state.own, wanted)
        assert state.strangers == ()
        assert state.mismatches == ()


def test_slices_come_and_go(ovs: Any, south: OpenFlowSouthbound) -> None:
    converge(south, SLICES)
    until(lambda: len(south.links()) == 6)
    assert check_links(TOPOLOGY, south.links(), south.statuses()) == ()
    converge(south, SLICES[:1])
    converge(south, SLICES[1:])
    converge(south, [])
    for node in NODES.values():
        south.apply(diff(south.read(node.id).own, SwitchProgram(node.id, node.dpid)))
        assert "cookie" not in ovs.ofctl("dump-flows", node.id)
        assert "group_id" not in ovs.ofctl("dump-groups", node.id)
        assert "meter" not in ovs.ofctl("dump-meters", node.id).replace("OFPST_METER", "")
    assert ovs.vsctl("list", "qos") == ovs.vsctl("list", "queue") == ""


def test_an_untouched_slice_keeps_its_counters(ovs: Any, south: OpenFlowSouthbound) -> None:
    converge(south, SLICES[:1])
    frame = "020000000003020000000001" + "0800" + "4500001c00010000401166cd0a0000010a000003" + "0001000200080000"
    ovs.ofctl("packet-out", "s1", f"in_port=9,packet={frame},actions=table")
    counted = south.read("s1").flow_packets
    surgery = {text for text, packets in counted.items() if "ip_src=10.0.0.1/32" in text and packets == 1}
    assert surgery
    converge(south, SLICES)
    converge(south, SLICES[:1])
    counted = south.read("s1").flow_packets
    assert all(counted[text] == 1 for text in surgery)


def test_any_damage_is_repaired(ovs: Any, south: OpenFlowSouthbound) -> None:
    converge(south, SLICES)
    ovs.ofctl("del-flows", "s1")
    ovs.ofctl("del-groups", "s3")
    ovs.vsctl("--all", "destroy", "qos", "--", "--all", "destroy", "queue", *clear_ports())
    converge(south, SLICES)
    ovs.kill("ovs-vswitchd")
    until(lambda: not any(status.connected for status in south.statuses().values()))
    ovs.start_vswitchd()
    until(lambda: all(status.connected for status in south.statuses().values()))
    converge(south, SLICES)


@pytest.mark.parametrize("bundles", [True, False])
def test_a_wiped_switch_is_given_all_rules_of_its_slices_in_one_commit(
    ovs: Any, south: OpenFlowSouthbound, tmp_path: Path, bundles: bool
) -> None:
    """By what arrives at the switch. Without bundles the same look sees it half programmed, so it would be noticed."""
    converge(south, SLICES)
    program = compile_program(TOPOLOGY, SLICES)
    switches = program.values()
    owners = Owners(
        {
            slice_number(rule.cookie): "slices"
            for switch in switches
            for rule in switch.flows
            if slice_number(rule.cookie)
        },
        {group_label(item.id): "slices" for switch in switches for item in (*switch.groups, *switch.meters)},
    )
    everything = tmp_path / "everything"
    everything.write_text("flow delete\ngroup delete group_id=all\n")
    south._switches.session(1)._takes_bundles = bundles
    programmer = Programmer(south, Turn())
    try:
        whole = rules_of_slices(ovs.ofctl("dump-flows", "s1"))
        ovs.ofctl("bundle", "s1", str(everything))
        assert rules_of_slices(ovs.ofctl("dump-flows", "s1")) == 0
        with ovs.snooped("s1") as heard:
            done = programmer.run(program, owners, Scope({"slices": frozenset(NODES)}, {}), tuple(NODES))
            until(lambda: whole in states(heard()))
        assert (done.errors, list(done.changed)) == ({}, ["s1"])
        shown = states(heard())
        assert max(shown) == whole > 5
        assert (shown == {0, whole}) == bundles, shown
    finally:
        programmer.close()


def states(heard: str) -> set[int]:
    """How many rules of slices a wiped switch holds after each thing that it is told and carries out."""
    held, waiting, bundled, found = 0, 0, False, {0}
    for line in heard.splitlines():
        if line.startswith("OFPT_FLOW_MOD") and ": ADD " in line:
            held, waiting = held + (not bundled) * rules_of_slices(line), waiting + bundled * rules_of_slices(line)
        elif "type=COMMIT_REQUEST" in line:
            held, waiting = held + waiting, 0
        if line.startswith(("OFPT", "ONFT", "OFPST")):
            bundled = line.startswith("ONFT_BUNDLE_ADD")
        found.add(held)
    return found


def rules_of_slices(text: str) -> int:
    cookies = re.findall(r"cookie[=:]0x([0-9a-f]+)", text)
    return sum(slice_number(int(cookie, 16)) != 0 for cookie in cookies)


def clear_ports() -> list[str]:
    ports = [f"{link.a}-{link.a_port}" for link in LINKS.values()]
    ports += [f"{link.b}-{link.b_port}" for link in LINKS.values()]
    ports += [f"{end.node}-{end.port}" for end in ENDS.values()]
    return [word for port in ports for word in ("--", "clear", "port", port, "qos")]
