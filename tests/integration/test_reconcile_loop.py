"""From filing to packets and back, over simulated switches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from carelane.controller.pipeline.changes import SwitchChanges
from carelane.controller.pipeline.program import FlowRule, Match, Output
from carelane.controller.southbound.protocol import DiscoveredLink, Receipt, SwitchState, SwitchStatus
from carelane.controller.southbound.simulator import Simulator
from carelane.errors import ConflictError, InputError, NotFoundError, ProgramError
from carelane.intents.lifecycle import Phase
from carelane.topology.model import Topology

Manifest = Callable[..., str]


class Switches:
    """Passes calls on to the simulator; tests override what they want to go otherwise."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.operations = 0

    def statuses(self) -> dict[str, SwitchStatus]:
        return dict(self.simulator.statuses())

    def read(self, node: str) -> SwitchState:
        return self.simulator.read(node)

    def apply(self, changes: SwitchChanges) -> Receipt:
        for operation in changes.operations:
            self.before(changes.node)
            self.simulator.apply(replace(changes, operations=(operation,)))
            self.operations += 1
            self.after(changes.node)
        return Receipt(changes.node, len(changes.operations), 0.0)

    def links(self) -> frozenset[DiscoveredLink]:
        return self.simulator.links()

    def before(self, node: str) -> None:
        """Called before every single operation."""

    def after(self, node: str) -> None:
        """Called after every single operation."""


def reached(rig: Any, packet_between: Any, source: str, to: str) -> list[str]:
    """Where a packet arrives, as the simulator says."""
    network = rig.southbound.simulator if isinstance(rig.southbound, Switches) else rig.southbound
    walk = network.send(source, packet_between(rig.topology, source, to))
    return list(walk.reached)


def slice_state(simulator: Simulator, topology: Topology) -> list[object]:
    """Everything on all switches that belongs to some slice."""
    states = [simulator.read(node).own for node in topology.nodes]
    flows = [rule for state in states for rule in state.flows if rule.cookie & 0xFFFFFFFF]
    queues = [queue for state in states for port in state.ports for queue in port.queues if queue.slice]
    return [*flows, *queues, *(group for s in states for group in s.groups), *(m for s in states for m in s.meters)]


def packets(simulator: Simulator, topology: Topology) -> dict[tuple[str, str], int]:
    return {(node, key): count for node in topology.nodes for key, count in simulator.read(node).flow_packets.items()}


def test_a_filed_intent_carries_packets_both_ways_and_nothing_else(
    rig: Any, make_manifest: Manifest, packet_between: Any
) -> None:
    assert rig.apply(make_manifest("one", "west/a", "east/a")) == {"one": "Admitted"}
    rig.settle()
    assert rig.phase("one") == "Active"
    assert reached(rig, packet_between, "west/a", "east/a") == ["east/a"]
    assert reached(rig, packet_between, "east/a", "west/a") == ["west/a"]
    assert reached(rig, packet_between, "west/b", "east/a") == []
    detail = rig.service.describe("one")
    assert detail.decision["decision"] == "admitted"
    assert {(port.node, port.towards) for port in detail.placement.ports} >= {("west", "wn"), ("north", "ne")}
    assert all(port.floor_bps == 10_000_000 for port in detail.placement.ports if port.towards in ("wn", "ne"))
    assert [event.phase_to for event in detail.history] == ["Requested", "Admitted", "Installing", "Active"]
    held = {queue.id for port in rig.southbound.read("west").own.ports for queue in port.queues}
    assert detail.placement.queue in held


def test_filing_the_same_words_again_changes_nothing_anywhere(
    make_rig: Any, simulator: Simulator, make_manifest: Manifest
) -> None:
    switches = Switches(simulator)
    rig = make_rig(southbound=switches)
    document = make_manifest("one", "west/a", "east/a")
    rig.apply(document)
    rig.settle()
    sent, before = switches.operations, rig.service.describe("one")
    (result,) = rig.service.apply(rig.intents(document))
    rig.settle()
    assert (result.outcome, result.generation, result.phase) == ("unchanged", 1, "Active")
    assert switches.operations == sent
    assert rig.service.describe("one") == before


def test_more_bandwidth_on_the_same_path_keeps_numbers_and_counters(
    rig: Any, simulator: Simulator, make_manifest: Manifest, packet_between: Any
) -> None:
    rig.apply(make_manifest("one", "west/a", "east/a", 10))
    rig.settle()
    for _ in range(7):
        reached(rig, packet_between, "west/a", "east/a")
    counted, numbers = packets(simulator, rig.topology), rig.service.describe("one").placement
    (result,) = rig.service.apply(rig.intents(make_manifest("one", "west/a", "east/a", 20)))
    rig.settle()
    assert (result.outcome, result.generation) == ("changed", 2)
    after = rig.service.describe("one")
    assert (after.placement.number, after.placement.labels) == (numbers.number, numbers.labels)
    assert {port.floor_bps for port in after.placement.ports if port.towards == "wn"} == {20_000_000}
    assert packets(simulator, rig.topology) == counted
    assert after.running_generation == after.summary.observed_generation == 2


def test_a_move_to_other_paths_never_loses_a_packet(
    make_rig: Any, simulator: Simulator, make_manifest: Manifest, packet_between: Any
) -> None:
    """A packet is sent both ways after every single operation on every switch."""
    lost: list[str] = []

    class Watched(Switches):
        moving = False

        def after(self, node: str) -> None:
            if self.moving:
                for source, to in (("west/a", "east/a"), ("east/a", "west/a")):
                    if reached(rig, packet_between, source, to) != [to]:
                        lost.append(f"{source} to {to} after an operation on {node}")

    switches = Watched(simulator)
    rig = make_rig(southbound=switches)
    rig.apply(make_manifest("one", "west/a", "east/a", 10), make_manifest("big", "west/b", "east/b", 70))
    rig.settle()
    before = rig.service.describe("one")
    assert {port.towards for port in before.placement.ports} >= {"wn", "ne"}
    switches.moving = True
    rig.apply(make_manifest("one", "west/a", "east/a", 60))
    rig.settle()
    after = rig.service.describe("one")
    assert after.summary.phase == "Active"
    assert {port.towards for port in after.placement.ports} >= {"ws", "se"}
    assert after.placement.number == before.placement.number
    assert set(after.placement.labels).isdisjoint(before.placement.labels)
    assert lost == []
    assert not [rule for rule in simulator.read("north").own.flows if rule.match.mpls_label in before.placement.labels]


def test_a_refusal_has_reasons_and_offers_and_is_decided_again_on_request(
    rig: Any, make_manifest: Manifest, simulator: Simulator
) -> None:
    rig.apply(make_manifest("one", "west/a", "east/a", 90), make_manifest("two", "west/b", "east/b", 90))
    document = make_manifest("three", "west/c", "east/c", 90)
    assert rig.apply(document) == {"three": "Refused"}
    rig.settle()
    detail = rig.service.describe("three")
    assert detail.decision["decision"] == "refused"
    assert detail.decision["reasons"]
    assert detail.decision["offers"]
    assert rig.condition("three", "Admitted")[:2] == ("False", "Refused")
    assert detail.placement is None
    rig.service.delete("one")
    rig.settle()
    assert rig.apply(document) == {"three": "Admitted"}
    rig.settle()
    assert rig.phase("three") == "Active"
    assert rig.service.describe("three").summary.generation == 1


def test_a_refused_change_leaves_the_running_slice_untouched_and_says_so(
    make_rig: Any, simulator: Simulator, make_manifest: Manifest, packet_between: Any
) -> None:
    switches = Switches(simulator)
    rig = make_rig(southbound=switches)
    rig.apply(make_manifest("one", "west/a", "east/a", 10))
    rig.settle()
    sent = switches.operations
    (result,) = rig.service.apply(rig.intents(make_manifest("one", "west/a", "east/a", 500)))
    rig.settle()
    assert (result.outcome, result.generation, result.phase, result.admitted) == ("changed", 2, "Active", False)
    assert switches.operations == sent
    assert reached(rig, packet_between, "west/a", "east/a") == ["east/a"]
    detail = rig.service.describe("one")
    assert detail.running_generation == 1
    assert detail.running_decision["decision"] == "admitted"
    assert detail.decision["decision"] == "refused"
    status, reason, message = rig.condition("one", "Admitted")
    assert (status, reason) == ("False", "UpdateRefused")
    assert "generation 1 stays" in message
    simulator.set_link("wn", up=False)
    rig.reconciler.enqueue_nodes({"west"})
    rig.settle()
    assert rig.phase("one") == "Degraded"
    assert rig.condition("one", "Admitted")[1] == "UpdateRefused", "news from switches do not change the decision"


def test_a_withdrawal_leaves_nothing_and_gives_everything_back(
    rig: Any, simulator: Simulator, make_manifest: Manifest
) -> None:
    rig.drift.run()
    empty = {node: simulator.read(node).own for node in rig.topology.nodes}
    document = make_manifest("one", "west/a", "east/a", 60, "required")
    rig.apply(document)
    rig.settle()
    first = rig.service.describe("one").placement
    assert slice_state(simulator, rig.topology)
    assert rig.service.delete("one").phase == "Withdrawing"
    assert rig.service.delete("one").phase == "Withdrawing"
    rig.settle()
    assert rig.phase("one") == "Withdrawn"
    assert {node: simulator.read(node).own for node in rig.topology.nodes} == empty
    assert rig.service.list() == ()
    assert [summary.name for summary in rig.service.list(withdrawn=True)] == ["one"]
    assert rig.apply(document) == {"one": "Admitted"}
    rig.settle()
    assert rig.service.describe("one").placement == first
    with pytest.raises(NotFoundError):
        rig.service.delete("nobody")


def test_a_withdrawal_waits_for_a_switch_that_is_away_and_keeps_what_it_holds(
    rig: Any, simulator: Simulator, make_manifest: Manifest
) -> None:
    rig.apply(make_manifest("one", "west/a", "east/a", 60), make_manifest("two", "west/b", "east/b", 60))
    rig.settle()
    simulator.set_connected("north", False)
    rig.service.delete("one")
    rig.settle(3)
    assert rig.phase("one") == "Withdrawing"
    assert rig.condition("one", "Installed")[1] == "SwitchUnreachable"
    assert rig.service.describe("one").next_retry_at is not None
    assert rig.apply(make_manifest("three", "west/c", "east/c", 60)) == {"three": "Refused"}
    assert rig.phase("two") == "Active"
    simulator.set_connected("north", True)
    rig.settle()
    assert rig.phase("one") == "Withdrawn"
    assert rig.apply(make_manifest("three", "west/c", "east/c", 60)) == {"three": "Admitted"}


def test_filing_again_while_withdrawing_brings_it_back(rig: Any, make_manifest: Manifest, packet_between: Any) -> None:
    document = make_manifest("one", "west/a", "east/a")
    rig.apply(document)
    rig.settle()
    rig.service.delete("one")
    assert rig.apply(document) == {"one": "Admitted"}
    rig.settle()
    assert rig.phase("one") == "Active"
    assert reached(rig, packet_between, "west/a", "east/a") == ["east/a"]


def test_an_installation_waits_for_a_switch_without_sending_packets_into_nothing(
    rig: Any, simulator: Simulator, make_manifest: Manifest, packet_between: Any
) -> None:
    simulator.set_connected("north", False)
    rig.apply(make_manifest("one", "west/a", "east/a"))
    rig.settle(3)
    detail = rig.service.describe("one")
    assert detail.summary.phase == "Installing"
    assert detail.attempts >= 1
    assert "north" in rig.condition("one", "Installed")[2]
    walk = simulator.send("west/a", packet_between(rig.topology, "west/a", "east/a"))
    assert {copy.node for copy in walk.copies} == {"west"}, "the ingress rule comes after the path"
    simulator.set_connected("north", True)
    rig.settle()
    assert rig.phase("one") == "Active"
    assert rig.service.describe("one").attempts == 0


def test_an_active_slice_degrades_and_recovers_with_its_ports(
    rig: Any, simulator: Simulator, make_manifest: Manifest
) -> None:
    rig.apply(make_manifest("one", "west/a", "east/a"))
    rig.settle()
    simulator.set_link("ne", up=False)
    rig.reconciler.enqueue_nodes({"north"})
    rig.settle()
    assert rig.phase("one") == "Degraded"
    status, reason, message = rig.condition("one", "Kept")
    assert (status, reason) == ("False", "PathsDown")
    assert "ne" in message
    simulator.set_link("ne", up=True)
    rig.reconciler.enqueue_nodes({"north"})
    rig.settle()
    assert rig.phase("one") == "Active"


class Rejecting(Switches):
    """Switches that reject what a slice number or a queue rate marks as bad."""

    def __init__(self, simulator: Simulator, bad: Callable[[SwitchChanges], bool]) -> None:
        super().__init__(simulator)
        self.bad = bad

    def apply(self, changes: SwitchChanges) -> Receipt:
        if self.bad(changes):
            raise ProgramError(f"{changes.node} says OFPFMFC_TABLE_FULL")
        return super().apply(changes)


def _adds_slice(number: int) -> Callable[[SwitchChanges], bool]:
    def bad(changes: SwitchChanges) -> bool:
        return any(
            isinstance(item.target, FlowRule) and item.target.cookie & 0xFFFFFFFF == number and item.verb != "delete"
            for item in changes.operations
        )

    return bad


def test_a_rejected_slice_fails_alone_with_a_way_out(
    make_rig: Any, simulator: Simulator, make_manifest: Manifest, packet_between: Any
) -> None:
    switches = Rejecting(simulator, _adds_slice(2))
    rig = make_rig(southbound=switches)
    rig.apply(*(make_manifest(name, f"west/{site}", f"east/{site}") for name, site in zip("xyz", "abc", strict=True)))
    rig.settle()
    assert [rig.phase(name) for name in "xyz"] == ["Active", "Failed", "Active"]
    status, reason, message = rig.condition("y", "Installed")
    assert (status, reason) == ("False", "ProgramError")
    assert "TABLE_FULL" in message
    assert "file it again, or delete it" in message
    assert reached(rig, packet_between, "west/c", "east/c") == ["east/c"]
    assert not [r for n in rig.topology.nodes for r in simulator.read(n).own.flows if r.cookie & 0xFFFFFFFF == 2]
    assert rig.reconciler.queue.depth() == 0, "a permanent error is not retried"
    switches.bad = lambda _: False
    assert rig.apply(make_manifest("y", "west/b", "east/b")) == {"y": "Admitted"}
    rig.settle()
    assert rig.phase("y") == "Active"


def test_a_rejected_change_brings_the_former_slice_back(
    make_rig: Any, simulator: Simulator, make_manifest: Manifest, packet_between: Any
) -> None:
    switches = Rejecting(simulator, lambda _: False)
    rig = make_rig(southbound=switches)
    rig.apply(make_manifest("one", "west/a", "east/a", 10), make_manifest("big", "west/b", "east/b", 70))
    rig.settle()
    before = rig.service.describe("one").placement
    adds = _adds_slice(before.number)
    switches.bad = lambda changes: changes.node == "south" and adds(changes)
    rig.apply(make_manifest("one", "west/a", "east/a", 60))
    rig.settle()
    detail = rig.service.describe("one")
    assert detail.summary.phase == "Active"
    assert (detail.summary.generation, detail.running_generation) == (2, 1)
    assert detail.placement == before
    assert reached(rig, packet_between, "west/a", "east/a") == ["east/a"]
    assert "UpdateRejected" in [event.reason for event in detail.history]
    assert rig.condition("one", "Admitted")[:2] == ("False", "UpdateRejected")
    switches.bad = lambda _: False
    rig.apply(make_manifest("one", "west/a", "east/a", 60))
    rig.settle()
    assert rig.service.describe("one").running_generation == 2


def test_bad_input_anywhere_in_a_file_files_nothing(rig: Any, make_manifest: Manifest) -> None:
    good, bad = make_manifest("one", "west/a", "east/a"), make_manifest("two", "west/b", "nowhere/b")
    with pytest.raises(InputError, match="nowhere/b"):
        rig.apply(good, bad)
    assert rig.service.list() == ()
    one = rig.intents(good)[0]
    with pytest.raises(InputError, match="twice"):
        rig.service.apply([one, one])
    rig.apply(good)
    with pytest.raises(ConflictError, match="belongs to tenant county"):
        rig.service.apply([replace(one, tenant="elsewhere")])


def test_traffic_that_switches_cannot_tell_apart_is_refused(rig: Any, make_manifest: Manifest) -> None:
    rig.apply(make_manifest("one", "west/a", "east/a"))
    assert rig.apply(make_manifest("same", "west/a", "east/a")) == {"same": "Refused"}
    (reason,) = rig.service.describe("same").decision["reasons"]
    assert reason["constraint"] == "policy"
    rig.settle()
    assert rig.phase("one") == "Active"


def _break_something(simulator: Simulator, node: str, what: str) -> None:
    from carelane.controller.pipeline.changes import Operation

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
    before = {node: simulator.read(node).own for node in rig.topology.nodes}
    if what == "everything":
        simulator.wipe("north")
    else:
        _break_something(simulator, "north", what)
    assert simulator.read("north").own != before["north"]
    checks = rig.drift.run()
    assert checks["north"].repaired >= 1
    assert checks["west"].repaired == 0
    assert {node: simulator.read(node).own for node in rig.topology.nodes} == before
    assert rig.drift.run()["north"].repaired == 0
    assert rig.reconciler.metrics.repairs._value.get() == checks["north"].repaired


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


def _kernel_says(simulator: Simulator, line: str) -> Switches:
    class Kernel(Switches):
        trouble = line

        def read(self, node: str) -> SwitchState:
            state = super().read(node)
            return replace(state, mismatches=(self.trouble,)) if self.trouble and node == "north" else state

    return Kernel(simulator)


def test_queues_that_the_kernel_does_not_have_break_the_promise(
    make_rig: Any, simulator: Simulator, make_manifest: Manifest
) -> None:
    switches = _kernel_says(simulator, "port 2: queue 1 has no tc class")
    rig = make_rig(southbound=switches)
    rig.apply(make_manifest("one", "west/a", "east/a"))
    rig.settle(3)
    assert rig.phase("one") == "Degraded"
    assert rig.condition("one", "Installed") == ("False", "KernelMismatch", "port 2: queue 1 has no tc class")
    switches.trouble = ""  # type: ignore[attr-defined]
    rig.settle()
    assert rig.phase("one") == "Active"


def test_a_confirmed_change_that_reads_back_otherwise_is_not_believed(
    make_rig: Any, simulator: Simulator, make_manifest: Manifest
) -> None:
    class Forgetful(Switches):
        forgets = True

        def apply(self, changes: SwitchChanges) -> Receipt:
            if self.forgets and changes.node == "north":
                return Receipt(changes.node, len(changes.operations), 0.0)
            return super().apply(changes)

    switches = Forgetful(simulator)
    rig = make_rig(southbound=switches)
    rig.apply(make_manifest("one", "west/a", "east/a"))
    rig.settle(3)
    assert rig.phase("one") == "Installing"
    assert rig.condition("one", "Installed")[1] == "VerificationFailed"
    switches.forgets = False
    rig.settle()
    assert rig.phase("one") == "Active"


def _to_requested_states(rig: Any, simulator: Simulator, make_manifest: Manifest, phase: Phase) -> None:
    document = make_manifest("it", "west/a", "east/a", 500 if phase is Phase.REFUSED else 10)
    if phase in (Phase.INSTALLING, Phase.WITHDRAWING):
        if phase is Phase.WITHDRAWING:
            rig.apply(document)
            rig.settle()
        simulator.set_connected("north", False)
    rig.apply(document)
    if phase is Phase.ADMITTED:
        return
    if phase in (Phase.WITHDRAWING, Phase.WITHDRAWN):
        rig.service.delete("it")
    rig.settle(3)
    if phase is Phase.DEGRADED:
        simulator.set_link("wn", up=False)
        rig.reconciler.enqueue_nodes({"west"})
        rig.settle()


@pytest.mark.parametrize(
    "phase",
    ["Admitted", "Refused", "Installing", "Active", "Degraded", "Withdrawing", "Withdrawn", "Failed"],
)
@pytest.mark.parametrize("way", ["delete", "file again", "restart"])
def test_no_state_is_a_dead_end(
    make_rig: Any, simulator: Simulator, make_manifest: Manifest, phase: str, way: str
) -> None:
    switches = Rejecting(simulator, _adds_slice(1) if phase == "Failed" else lambda _: False)
    rig = make_rig(southbound=switches)
    _to_requested_states(rig, simulator, make_manifest, Phase(phase))
    assert rig.phase("it") == phase
    switches.bad = lambda _: False
    simulator.set_connected("north", True)
    simulator.set_link("wn", up=True)
    if way == "restart":
        rig = make_rig(southbound=switches)
        rig.reconciler.enqueue_all()
        rig.settle()
        stays = {"Refused", "Withdrawn", "Failed"}
        assert rig.phase("it") == (phase if phase in stays else "Withdrawn" if phase == "Withdrawing" else "Active")
    elif way == "delete":
        rig.service.delete("it")
        rig.settle()
        assert rig.phase("it") == "Withdrawn"
        assert slice_state(simulator, rig.topology) == []
    else:
        rig.apply(make_manifest("it", "west/a", "east/a", 10))
        rig.settle()
        assert rig.phase("it") == "Active"
