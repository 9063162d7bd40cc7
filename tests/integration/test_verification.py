"""Nothing unproven reaches a switch, and what switches hold is proven again on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from carelane.controller.pipeline.changes import Operation, SwitchChanges
from carelane.controller.pipeline.identifiers import slice_number
from carelane.controller.pipeline.program import FlowRule, Match, PopMpls, SetQueue
from carelane.controller.reconcile import desired
from carelane.controller.southbound.simulator import Simulator

Manifest = Callable[..., str]


def _without_pop(program: Any, number: int) -> Any:
    """A compiler's mistake: the labels of one slice are never popped."""

    def mend(rule: Any) -> Any:
        kept = tuple(action for action in rule.actions if not isinstance(action, PopMpls))
        return replace(rule, actions=kept) if slice_number(rule.cookie) == number else rule

    return {node: replace(switch, flows=tuple(map(mend, switch.flows))) for node, switch in program.items()}


def test_a_slice_that_fails_verification_is_not_sent_and_stops_nobody(
    rig: Any, make_manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = desired.Compilation.program
    monkeypatch.setattr(desired.Compilation, "program", lambda *given: _without_pop(compiled(*given), 2))
    rig.apply(make_manifest("good", "west/a", "east/a", protection="required"))
    rig.apply(make_manifest("bad", "west/b", "east/b", protection="required"))
    rig.settle()
    assert (rig.phase("good"), rig.phase("bad")) == ("Active", "Failed")
    status, reason, message = rig.condition("bad", "Installed")
    assert (status, reason) == ("False", "ProgramError")
    assert "fails verification and was not sent: wrong-header at east: slice bad: label" in message
    assert "packet IPv4 10.0.1.2 to 10.0.2.2" in message
    assert "way west " in message
    held = rig.slice_state()
    assert held
    assert all(slice_number(getattr(item, "cookie", 1)) == 1 for item in held)
    assert rig.walk("west/a", "east/a").reached == ["east/a"]


def test_the_state_read_back_is_proven_and_a_fault_in_it_is_shown(
    rig: Any, simulator: Simulator, make_manifest: Manifest
) -> None:
    rig.drift.run()
    rig.apply(make_manifest("one", "west/a", "east/a", protection="required"))
    rig.settle()
    found = rig.service.verify()
    assert (found.proven, found.slices, found.switches) == (True, 1, 4)
    own = simulator.read("south").own
    group = own.groups[0]
    bucket = replace(group.buckets[0], actions=(SetQueue(0), *group.buckets[0].actions[1:]))
    broken = replace(group, buckets=(bucket, *group.buckets[1:]))
    simulator.apply(SwitchChanges("south", own.dpid, (Operation("modify", broken),)))
    faults = rig.service.verify().faults
    assert {(fault.kind, fault.slice, fault.node) for fault in faults} >= {("wrong-queue", "one", "south")}
    shown = next(str(fault) for fault in faults if fault.failed.startswith("link ") and fault.kind == "wrong-queue")
    assert "packet MPLS label " in shown, "the packet that shows it, as it is there"
    assert "way west " in shown, "and the way it takes"
    rig.drift.run()
    assert rig.service.verify().proven


def test_a_switch_that_cannot_be_read_is_no_proof(rig: Any, simulator: Simulator, make_manifest: Manifest) -> None:
    rig.drift.run()
    rig.apply(make_manifest("one", "west/a", "east/a"))
    rig.settle()
    simulator.set_connected("north", False)
    found = rig.service.verify()
    assert (found.faults, list(found.unread), found.proven) == ((), ["north"], False)


def test_beside_a_strangers_rule_nothing_is_proven(rig: Any, simulator: Simulator, make_manifest: Manifest) -> None:
    rig.drift.run()
    rig.apply(make_manifest("one", "west/a", "east/a"))
    rig.settle()
    simulator.add_stranger("west", FlowRule(0, 60_000, Match(), (), 0x1234))
    assert rig.walk("west/a", "east/a").reached == [], "it takes every packet first"
    found = rig.service.verify()
    assert (found.proven, found.faults, list(found.beside)) == (False, (), ["west"])
    assert found.beside["west"][0].startswith("not made by carelane: ")
    assert "0x1234" in found.beside["west"][0]


def test_queues_that_the_kernel_does_not_have_are_no_part_of_the_proof(
    make_rig: Any, switches: Any, make_manifest: Manifest
) -> None:
    switches.mismatches["north"] = "port 2: queue 1 has no tc class"
    rig = make_rig(southbound=switches)
    rig.drift.run()
    found = rig.service.verify()
    assert (found.proven, found.beside) == (False, {"north": ("port 2: queue 1 has no tc class",)})
