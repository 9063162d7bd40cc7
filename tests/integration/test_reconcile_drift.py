"""Switches that do not hold what they should: repaired, reported, or not believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from carelane.controller.pipeline.changes import Operation, SwitchChanges
from carelane.controller.pipeline.program import FlowRule, Match, Output
from carelane.controller.southbound.simulator import Simulator

Manifest = Callable[..., str]


def _break_something(simulator: Simulator, node: str, what: str) -> None:
    state = simulator.read(node).own
    if what == "missing flow":
        operation = Operation("delete", next(rule for rule in state.flows if rule.cookie & 0xFFFFFFFF))
    elif what == "changed flow":
        rule = next(rule for rule in state.flows if rule.cookie & 0xFFFFFFFF)
        operation = Operation("modify", replace(rule, actions=()))
    elif what == "pipeline flow":
        operation = Operation("delete", next(rule for rule in state.flows if not rule.cookie & 0xFFFFFFFF))
    elif what == "queues":
        operation = Operation("delete", state.ports[0])
    else:
        rule = next(rule for rule in state.flows if rule.cookie & 0xFFFFFFFF)
        other = replace(rule, cookie=rule.cookie + 40_000, match=replace(rule.match, mpls_label=77_777))
        operation = Operation("add", other)
    simulator.apply(SwitchChanges(node, state.dpid, (operation,)))


@pytest.mark.parametrize("what", ["missing flow", "changed flow", "pipeline flow", "queues", "left over", "everything"])
def test_drift_of_our_own_state_is_repaired(rig: Any, simulator: Simulator, make_manifest: Manifest, what: str) -> None:
    rig.drift.run()
    rig.apply(make_manifest("one", "west/a", "east/a"))
    rig.settle()
    before = rig.programs()
    if what == "everything":
        simulator.wipe("north")
    else:
        _break_something(simulator, "north", what)
    assert simulator.read("north").own != before["north"]
    checks = rig.drift.run()
    assert checks["north"].repaired >= 1
    assert checks["west"].repaired == 0
    assert rig.programs() == before
    assert rig.drift.run()["north"].repaired == 0
    assert rig.reconciler.metrics.repairs._value.get() == checks["north"].repaired


def test_a_switch_that_refuses_a_repair_takes_down_nothing_that_runs(
    make_rig: Any, switches: Any, make_manifest: Manifest
) -> None:
    """Somebody put queues of his own on one port: slices at others are not harmed, and all come back by themselves."""
    rig = make_rig(southbound=switches)
    rig.drift.run()
    rig.apply(make_manifest("one", "west/a", "east/a"), make_manifest("two", "west/b", "east/b"))
    rig.settle()
    ways = [rig.walk(f"west/{site}", f"east/{site}").copies[0].visits[1].node for site in "ab"]
    assert ways == ["north", "south"]
    own = switches.read("west").own
    port = next(item for item in own.ports if item.port == rig.topology.links["ws"].a_port)
    switches.simulator.apply(SwitchChanges("west", own.dpid, (Operation("delete", port),)))
    switches.rejects = lambda changes: any(item.target == port for item in changes.operations)
    rig.drift.run()
    rig.settle(5)
    for name, site in (("one", "a"), ("two", "b")):
        assert rig.phase(name) == "Degraded"
        assert rig.condition(name, "Installed")[:2] == ("False", "ProgramError")
        assert rig.walk(f"west/{site}", f"east/{site}").reached == [f"east/{site}"]
    switches.rejects = lambda _: False
    rig.drift.run()
    rig.settle()
    assert (rig.phase("one"), rig.phase("two")) == ("Active", "Active")


def test_a_switch_that_is_away_hides_no_failure_that_others_see(
    rig: Any, simulator: Simulator, make_manifest: Manifest
) -> None:
    rig.drift.run()
    rig.apply(make_manifest("one", "west/a", "east/a", protection="required"))
    rig.settle()
    simulator.set_connected("west", False)
    rig.reconciler.enqueue_nodes({"west"})
    rig.settle(5)
    assert rig.service.describe("one").summary.reason == "SwitchUnreachable"
    assert rig.condition("one", "Kept")[:2] == ("Unknown", "SwitchUnreachable")
    for link in ("ne", "se"):
        simulator.set_link(link, up=False)
    rig.reconciler.enqueue_nodes({"east"})
    rig.settle(5)
    assert rig.service.describe("one").summary.reason == "PathsDown"
    assert rig.condition("one", "Kept")[:2] == ("False", "PathsDown")
    assert rig.condition("one", "Installed")[:2] == ("Unknown", "SwitchUnreachable")


def test_strangers_are_reported_and_left_alone(rig: Any, simulator: Simulator, make_manifest: Manifest) -> None:
    stranger = FlowRule(0, 9, Match(in_port=99), (Output(1),), 0x1234)
    simulator.add_stranger("north", stranger)
    rig.apply(make_manifest("one", "west/a", "east/a"))
    rig.settle()
    rig.drift.run()
    rig.service.delete("one")
    rig.settle()
    (line,) = next(view for view in rig.service.switches() if view.node == "north").strangers
    assert "0x1234" in line
    assert len(simulator.read("north").strangers) == 1
    assert rig.reconciler.metrics.strangers.labels("north")._value.get() == 1


def test_queues_that_the_kernel_does_not_have_break_the_promise(
    make_rig: Any, switches: Any, make_manifest: Manifest
) -> None:
    switches.mismatches["north"] = "port 2: queue 1 has no tc class"
    rig = make_rig(southbound=switches)
    rig.apply(make_manifest("one", "west/a", "east/a"))
    rig.settle(3)
    assert rig.phase("one") == "Degraded"
    assert rig.condition("one", "Installed") == ("False", "KernelMismatch", "port 2: queue 1 has no tc class")
    switches.mismatches.clear()
    rig.settle()
    assert rig.phase("one") == "Active"


def test_a_confirmed_change_that_reads_back_otherwise_is_not_believed(
    make_rig: Any, switches: Any, make_manifest: Manifest
) -> None:
    switches.forgets = lambda node: node == "north"
    rig = make_rig(southbound=switches)
    rig.apply(make_manifest("one", "west/a", "east/a"))
    rig.settle(3)
    assert rig.phase("one") == "Installing"
    assert rig.condition("one", "Installed")[1] == "VerificationFailed"
    switches.forgets = lambda _: False
    rig.settle()
    assert rig.phase("one") == "Active"
