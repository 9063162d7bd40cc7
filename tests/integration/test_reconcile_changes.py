"""Changed intents: nothing half-applied, nothing lost on the way, and back when switches refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from carelane.controller.southbound.simulator import Simulator

Manifest = Callable[..., str]


def test_more_bandwidth_on_the_same_path_keeps_numbers_and_counters(
    rig: Any, simulator: Simulator, make_manifest: Manifest
) -> None:
    rig.apply(make_manifest("one", "west/a", "east/a", 10))
    rig.settle()
    for _ in range(7):
        assert rig.walk("west/a", "east/a").reached == ["east/a"]
    counted, numbers = rig.counters(), rig.service.describe("one").placement
    (result,) = rig.service.apply(rig.intents(make_manifest("one", "west/a", "east/a", 20)))
    rig.settle()
    assert (result.outcome, result.generation) == ("changed", 2)
    after = rig.service.describe("one")
    assert (after.placement.number, after.placement.labels) == (numbers.number, numbers.labels)
    assert {port.floor_bps for port in after.placement.ports if port.towards == "wn"} == {20_000_000}
    assert rig.counters() == counted
    assert after.running_generation == after.summary.observed_generation == 2


def _about_to_move(rig: Any, make_manifest: Manifest) -> str:
    """A slice of 10 Mbit/s by north beside one of 70, south empty; and the change to 60, which fits south only.

    Which path a slice takes by itself depends on link prices; so both paths are filled, and south is given back.
    """
    rig.apply(
        make_manifest("one", "west/a", "east/a", 10),
        make_manifest("big", "west/b", "east/b", 70),
        make_manifest("other", "west/c", "east/c", 70),
    )
    rig.settle()
    by_south = [name for name in ("one", "big", "other") if _leaves_by(rig, name, "ws")]
    assert len(by_south) == 1
    assert by_south != ["one"]
    rig.service.delete(by_south[0])
    rig.settle()
    return make_manifest("one", "west/a", "east/a", 60)


def _leaves_by(rig: Any, name: str, link: str) -> bool:
    return link in {port.towards for port in rig.service.describe(name).placement.ports}


def test_a_move_to_other_paths_never_loses_a_packet(
    make_rig: Any, switches: Any, simulator: Simulator, make_manifest: Manifest
) -> None:
    """A packet is sent both ways after every single operation on every switch."""
    lost: list[str] = []

    def watch(node: str) -> None:
        for source, to in (("west/a", "east/a"), ("east/a", "west/a")):
            if rig.walk(source, to).reached != [to]:
                lost.append(f"{source} to {to} after an operation on {node}")

    rig = make_rig(southbound=switches)
    change = _about_to_move(rig, make_manifest)
    before = rig.service.describe("one")
    assert {port.towards for port in before.placement.ports} >= {"wn", "ne"}
    switches.after = watch
    rig.apply(change)
    rig.settle()
    after = rig.service.describe("one")
    assert after.summary.phase == "Active"
    assert {port.towards for port in after.placement.ports} >= {"ws", "se"}
    assert after.placement.number == before.placement.number
    assert set(after.placement.labels).isdisjoint(before.placement.labels)
    assert lost == []
    assert not [rule for rule in simulator.read("north").own.flows if rule.match.mpls_label in before.placement.labels]


def test_a_move_to_a_switch_that_is_away_waits_with_the_old_path_in_use(
    rig: Any, simulator: Simulator, make_manifest: Manifest
) -> None:
    change = _about_to_move(rig, make_manifest)
    simulator.set_connected("south", False)
    rig.apply(change)
    rig.settle(3)
    assert rig.phase("one") == "Installing"
    walk = rig.walk("west/a", "east/a")
    assert walk.reached == ["east/a"]
    assert "north" in {visit.node for visit in walk.delivered[0].visits}
    assert 0 not in walk.queues, "its queues stay with it"
    assert rig.apply(make_manifest("late", "west/c", "east/c", 50)) == {"late": "Refused"}, "both paths are held"
    simulator.set_connected("south", True)
    rig.settle()
    assert rig.phase("one") == "Active"
    walk = rig.walk("west/a", "east/a")
    assert "south" in {visit.node for visit in walk.delivered[0].visits}


def test_a_slice_moves_off_a_switch_that_is_away(rig: Any, simulator: Simulator, make_manifest: Manifest) -> None:
    change = _about_to_move(rig, make_manifest)
    old = rig.service.describe("one").placement.labels
    simulator.set_connected("north", False)
    rig.apply(change)
    rig.settle(3)
    assert rig.phase("one") == "Active"
    assert "not all removed yet" in rig.condition("one", "Installed")[2]
    walk = rig.walk("west/a", "east/a")
    assert "south" in {visit.node for visit in walk.delivered[0].visits}
    with rig.store.read() as read:
        assert [held.retiring for held in read.slices("one")] == [True, False], "its old labels are not given away"
    simulator.set_connected("north", True)
    rig.settle()
    with rig.store.read() as read:
        assert [held.retiring for held in read.slices("one")] == [False]
    assert not [rule for rule in simulator.read("north").own.flows if rule.match.mpls_label in old]


def test_a_refused_change_leaves_the_running_slice_untouched_and_says_so(
    make_rig: Any, switches: Any, simulator: Simulator, make_manifest: Manifest
) -> None:
    rig = make_rig(southbound=switches)
    rig.apply(make_manifest("one", "west/a", "east/a", 10))
    rig.settle()
    sent = switches.operations
    (result,) = rig.service.apply(rig.intents(make_manifest("one", "west/a", "east/a", 500)))
    rig.settle()
    assert (result.outcome, result.generation, result.phase, result.admitted) == ("changed", 2, "Active", False)
    assert switches.operations == sent
    assert rig.walk("west/a", "east/a").reached == ["east/a"]
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


def test_a_rejected_slice_fails_alone_with_a_way_out(
    make_rig: Any, switches: Any, simulator: Simulator, make_manifest: Manifest
) -> None:
    switches.reject_slice(2)
    rig = make_rig(southbound=switches)
    rig.apply(*(make_manifest(name, f"west/{site}", f"east/{site}") for name, site in zip("xyz", "abc", strict=True)))
    rig.settle()
    assert [rig.phase(name) for name in "xyz"] == ["Active", "Failed", "Active"]
    status, reason, message = rig.condition("y", "Installed")
    assert (status, reason) == ("False", "ProgramError")
    assert "TABLE_FULL" in message
    assert "file it again, or delete it" in message
    assert rig.walk("west/c", "east/c").reached == ["east/c"]
    assert not [r for n in rig.topology.nodes for r in simulator.read(n).own.flows if r.cookie & 0xFFFFFFFF == 2]
    assert rig.reconciler.queue.depth() == 0, "a permanent error is not retried"
    switches.rejects = lambda _: False
    assert rig.apply(make_manifest("y", "west/b", "east/b")) == {"y": "Admitted"}
    rig.settle()
    assert rig.phase("y") == "Active"


def test_a_rejected_change_brings_the_former_slice_back(
    make_rig: Any, switches: Any, simulator: Simulator, make_manifest: Manifest
) -> None:
    rig = make_rig(southbound=switches)
    change = _about_to_move(rig, make_manifest)
    before = rig.service.describe("one").placement
    switches.reject_slice(before.number, "south")
    rig.apply(change)
    rig.settle()
    detail = rig.service.describe("one")
    assert detail.summary.phase == "Active"
    assert (detail.summary.generation, detail.running_generation) == (2, 1)
    assert detail.placement == before
    assert rig.walk("west/a", "east/a").reached == ["east/a"]
    assert "UpdateRejected" in [event.reason for event in detail.history]
    assert rig.condition("one", "Admitted")[:2] == ("False", "UpdateRejected")
    switches.rejects = lambda _: False
    rig.apply(change)
    rig.settle()
    assert rig.service.describe("one").running_generation == 2
