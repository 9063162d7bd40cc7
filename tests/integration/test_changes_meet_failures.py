"""Filings, drains and moves while links are dead, switches away, or say no: what runs goes on, and is told truly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from passing import Passing

from carelane.controller.pipeline.program import FlowRule
from carelane.controller.southbound.simulator import Simulator
from carelane.store import Store
from carelane.topology import load_topology

Manifest = Callable[..., str]

NORTH, SOUTH = ["west", "north", "east"], ["west", "south", "east"]


def way(rig: Any, source: str = "west/a", to: str = "east/a") -> list[str]:
    """Switches on the way of a packet; none where it does not arrive."""
    (copy,) = rig.walk(source, to).copies
    return [visit.node for visit in copy.visits] if copy.outcome == "delivered" else []


def kept(rig: Any, name: str) -> tuple[str, str]:
    return rig.phase(name), rig.condition(name, "Kept")[1]


def test_what_is_filed_or_changed_beside_a_dead_link_keeps_off_it(
    make_rig: Any, switches: Any, make_manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig(southbound=switches)
    rig.drift.run()
    rig.apply(make_manifest("one", "west/a", "east/a"))
    rig.settle()
    assert way(rig) == NORTH
    passing = Passing(rig, switches.simulator, monkeypatch)
    switches.simulator.set_link("wn", up=False)
    passing.seconds(8)
    assert way(rig) == SOUTH
    foretold = rig.service.plan(rig.intents(make_manifest("two", "west/b", "east/b")))
    assert foretold["decisions"][0]["paths"][0]["nodes"] == SOUTH
    lost: list[bool] = []
    switches.after = lambda _: lost.append(way(rig) != SOUTH)
    rig.apply(make_manifest("one", "west/a", "east/a", 12), make_manifest("two", "west/b", "east/b"))
    rig.settle()
    assert way(rig) == way(rig, "west/b", "east/b") == SOUTH
    assert kept(rig, "one") == kept(rig, "two") == ("Active", "PathsUp")
    assert rig.apply(make_manifest("one", "west/a", "east/a", 95)) == {"one": "Active"}, "only a dead link has room"
    assert rig.condition("one", "Admitted")[:2] == ("False", "UpdateRefused")
    rig.settle()
    assert lost
    assert not any(lost), "a change cut off what ran"


def test_what_only_a_dead_link_has_room_for_is_carried_as_soon_as_there_is_room_elsewhere(
    rig: Any, simulator: Simulator, make_manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.drift.run()
    passing = Passing(rig, simulator, monkeypatch)
    simulator.set_link("wn", up=False)
    passing.seconds(8)
    rig.apply(make_manifest("big", "west/b", "east/b", 95))
    rig.settle()
    passing.seconds(70)
    assert rig.apply(make_manifest("one", "west/a", "east/a")) == {"one": "Admitted"}, "the declared network has room"
    rig.settle()
    assert kept(rig, "one") == ("Degraded", "PathsDown")
    passing.seconds(70)
    (told,) = [event.message for event in rig.service.describe("one").history if event.reason == "NotMoved"]
    assert "no place without wn: " in told
    rig.service.delete("big")
    rig.settle()
    passing.seconds(70)
    assert way(rig) == SOUTH
    assert kept(rig, "one") == ("Active", "PathsUp")


def test_a_refused_change_stays_refused_when_its_slice_moves(rig: Any, make_manifest: Manifest) -> None:
    rig.apply(make_manifest("one", "west/a", "east/a"))
    rig.settle()
    too_much = make_manifest("one", "west/a", "east/a", 500)
    rig.apply(too_much)
    refused = rig.service.describe("one").decision
    assert rig.service.drain("ne").moved == ("one",)
    rig.settle()
    assert way(rig) == SOUTH
    assert rig.condition("one", "Admitted")[:2] == ("False", "UpdateRefused")
    assert rig.service.describe("one").decision == refused, "its offers can still be taken"
    (again,) = rig.service.apply(rig.intents(too_much))
    assert (again.decided, again.decision["decision"]) == (True, "refused")
    rig.apply(make_manifest("one", "west/a", "east/a"))
    rig.settle()
    assert (rig.phase("one"), rig.condition("one", "Admitted")[0]) == ("Active", "True")


def test_a_move_that_a_switch_rejects_ends_where_it_began(
    make_rig: Any, switches: Any, make_manifest: Manifest
) -> None:
    rig = make_rig(southbound=switches)
    rig.drift.run()
    rig.apply(make_manifest("one", "west/a", "east/a"))
    rig.settle()
    before = rig.programs()
    lost: list[bool] = []
    switches.after = lambda _: lost.append(way(rig) != NORTH)
    switches.rejects = lambda changes: (
        changes.node == "south"
        and any(item.verb != "delete" and isinstance(item.target, FlowRule) for item in changes.operations)
    )
    assert rig.service.drain("ne").moved == ("one",)
    rig.settle()
    assert lost
    assert not any(lost)
    assert kept(rig, "one") == ("Active", "PathsUp")
    assert rig.condition("one", "Admitted")[0] == "True"
    assert "MoveRejected" in [event.reason for event in rig.service.describe("one").history]
    assert rig.programs() == before
    switches.rejects = lambda _: False
    switches.after = lambda _: None
    assert rig.service.drain("ne").moved == ("one",), "asked again, it goes on"
    rig.settle()
    assert way(rig) == SOUTH


def test_what_failed_before_a_drain_is_tried_again_without_the_drained_link(
    make_rig: Any, switches: Any, make_manifest: Manifest
) -> None:
    rig = make_rig(southbound=switches)
    switches.reject_slice(1)
    rig.apply(make_manifest("one", "west/a", "east/a"))
    rig.settle()
    assert rig.phase("one") == "Failed"
    switches.rejects = lambda _: False
    rig.service.drain("ne")
    rig.apply(make_manifest("one", "west/a", "east/a"))
    rig.settle()
    assert rig.phase("one") == "Active"
    assert way(rig) == SOUTH


def test_while_a_move_waits_for_a_switch_the_old_way_keeps_its_queues(
    rig: Any, simulator: Simulator, make_manifest: Manifest
) -> None:
    """Neither the pass of another slice at the same ports nor a drift check takes them."""
    rig.apply(make_manifest("one", "west/a", "east/a"), make_manifest("gone", "west/b", "east/b"))
    rig.settle()
    (queue,) = rig.walk("west/a", "east/a").queues
    simulator.set_connected("south", False)
    rig.service.drain("ne")
    rig.service.delete("gone")
    rig.settle(5)
    rig.drift.run()
    assert way(rig) == NORTH
    assert rig.service.drain("wn").leaving == ("one",), "it is to be gone already, and is not"
    rig.service.undrain("wn")
    rig.settle(5)
    assert rig.walk("west/a", "east/a").queues == {queue}
    with rig.store.read() as read:
        (number,) = {held.number for held in read.slices("one")}
    left = {item.slice for port in simulator.read("north").own.ports for item in port.queues if item.slice}
    assert left == {"one"}, "queues of what was withdrawn go all the same"
    simulator.set_connected("south", True)
    rig.settle()
    assert way(rig) == SOUTH
    assert not simulator.read("north").own.ports
    assert number == queue


def test_a_silent_link_is_no_path_that_works(
    rig: Any, simulator: Simulator, make_manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.drift.run()
    safe = make_manifest("safe", "west/b", "east/b", protection="required")
    rig.apply(make_manifest("one", "west/a", "east/a", 85), safe)
    rig.settle()
    assert way(rig) == NORTH
    passing = Passing(rig, simulator, monkeypatch)
    passing.seconds(12)
    simulator.set_link("wn", up=False, silent=True)
    passing.seconds(5)
    rig.reconciler.enqueue_all()
    rig.settle()
    assert kept(rig, "safe") == ("Degraded", "Unprotected")
    assert kept(rig, "one") == ("Degraded", "PathsDown")
    assert "silent" in rig.condition("one", "Kept")[2]
    simulator.set_link("wn", up=True, silent=True)
    passing.seconds(2)
    assert kept(rig, "safe") == kept(rig, "one") == ("Active", "PathsUp"), "it is avoided for a while, and works"


def test_what_needs_a_link_that_comes_and_goes_is_planned_off_it(
    rig: Any, simulator: Simulator, make_manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dead for three seconds in five it is never dead for long, and carries nothing half of the time."""
    rig.drift.run()
    rig.apply(make_manifest("one", "west/a", "east/a"))
    rig.settle()
    passing = Passing(rig, simulator, monkeypatch)
    for _ in range(3):
        simulator.set_link("wn", up=False)
        passing.seconds(3)
        simulator.set_link("wn", up=True)
        passing.seconds(2)
    assert way(rig) == SOUTH
    assert kept(rig, "one") == ("Active", "PathsUp")
    assert [event.reason for event in rig.service.describe("one").history].count("Moved") == 1


def test_what_a_forced_drain_weakened_has_its_promise_again_as_soon_as_another_makes_room(
    make_rig: Any, diamond: Any, make_manifest: Manifest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "three.yaml"
    text = (tmp_path / "diamond.yaml").read_text()
    text = text.replace("  links:\n", "    - {id: middle, kind: switch, availability: 99.9999%}\n  links:\n")
    text = text.replace("  endpoints:\n", "".join(
        f"    - {{id: {name}, a: {a}, b: {b}, capacity: 100Mbps, length: 90km, availability: 90%}}\n"
        for name, a, b in (("wm", "west", "middle"), ("me", "middle", "east"))) + "  endpoints:\n")  # fmt: skip
    file.write_text(text)
    topology = load_topology(file)
    simulator = Simulator(topology)
    rig = type(make_rig())(topology, simulator, Store(f"sqlite:///{tmp_path}/three.db"))
    rig.drift.run()
    wanted = make_manifest("one", "west/a", "east/a", 60).replace("availability: none", "availability: 99.9%")
    rig.apply(wanted, make_manifest("two", "west/b", "east/b", 60))
    rig.settle()
    passing = Passing(rig, simulator, monkeypatch)
    passing.seconds(70)
    assert (way(rig), way(rig, "west/b", "east/b")) == (NORTH, SOUTH)
    rig.service.drain("north", force=True)
    rig.settle()
    passing.seconds(2)
    assert way(rig) == ["west", "middle", "east"]
    assert kept(rig, "one") == ("Degraded", "Weakened")
    rig.service.delete("two")
    rig.settle()
    passing.seconds(70)
    assert way(rig) == SOUTH
    assert kept(rig, "one") == ("Active", "PathsUp")
    rig.close()
