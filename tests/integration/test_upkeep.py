"""Drains and repairs: slices move away from links, none loses its promise unasked, and all of it survives a restart."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from passing import Passing

from carelane.controller._whatif import Asked
from carelane.controller.pipeline.identifiers import labels_needed, multicast_address
from carelane.controller.reconcile.codec import encode_decision
from carelane.controller.reconcile.holdings import Held, Holdings
from carelane.controller.reconcile.liveness import LinkHealth
from carelane.controller.reconcile.upkeep import Renewal
from carelane.controller.runner import Controller
from carelane.controller.southbound.protocol import SwitchStatus
from carelane.controller.southbound.simulator import Packet, Simulator
from carelane.errors import ConflictError, InputError, NotFoundError
from carelane.policies.admission import AdmissionPolicy
from carelane.store import Store
from carelane.topology.model import Topology

Manifest = Callable[..., str]


def way(rig: Any, source: str = "west/a", to: str = "east/a") -> list[str]:
    (copy,) = rig.walk(source, to).copies
    assert copy.outcome == "delivered"
    return [visit.node for visit in copy.visits]


def test_a_drained_link_carries_nothing_and_new_labels_come_before_old_ones_go(
    make_rig: Any, switches: Any, make_manifest: Manifest
) -> None:
    rig = make_rig(southbound=switches)
    rig.drift.run()
    rig.apply(make_manifest("one", "west/a", "east/a"))
    rig.settle()
    assert way(rig) == ["west", "north", "east"]
    lost = []
    switches.after = lambda _: lost.append(rig.walk("west/a", "east/a").reached != ["east/a"])
    result = rig.service.drain("ne")
    rig.settle()
    assert (result.moved, result.staying, result.stuck) == (("one",), (), ())
    assert way(rig) == ["west", "south", "east"]
    assert rig.phase("one") == "Active"
    assert len(lost) > 5
    assert not any(lost), "a packet sent between two operations did not arrive"
    assert rig.service.verify().proven
    held = [rule for rule in switches.read("north").own.flows if rule.cookie & 0xFFFFFFFF]
    assert held == []
    rig.apply(make_manifest("two", "west/b", "east/b"))
    rig.settle()
    assert way(rig, "west/b", "east/b") == ["west", "south", "east"]
    rig.service.undrain("ne")
    rig.apply(make_manifest("three", "west/c", "east/c"))
    rig.settle()
    assert way(rig, "west/c", "east/c") == ["west", "north", "east"]


def test_what_a_drain_left_behind_is_put_in_order_when_asked_and_only_once(
    make_rig: Any, switches: Any, make_manifest: Manifest
) -> None:
    rig = make_rig(southbound=switches)
    rig.drift.run()
    rig.apply(make_manifest("one", "west/a", "east/a"))
    rig.settle()
    rig.service.drain("ne")
    rig.settle()
    assert not rig.service.reoptimise().moved, "a drained link attracts nothing"
    rig.service.undrain("ne")
    rig.settle()
    before = rig.programs()
    assert list(rig.service.reoptimise(dry_run=True).moved) == ["one"]
    rig.settle()
    assert rig.programs() == before
    lost = []
    switches.after = lambda _: lost.append(rig.walk("west/a", "east/a").reached != ["east/a"])
    assert list(rig.service.reoptimise().moved) == ["one"]
    rig.settle()
    assert way(rig) == ["west", "north", "east"]
    assert rig.phase("one") == "Active"
    assert len(lost) > 5
    assert not any(lost), "a packet sent between two operations did not arrive"
    assert rig.service.verify().proven
    assert not rig.service.reoptimise().moved
    assert "re-optimised" in " ".join(event.message for event in rig.service.describe("one").history)


def crowded(rig: Any, make_manifest: Manifest, sizes: dict[str, tuple[int, int]]) -> None:
    """Slices of west/SITE to east/SITE, (Mbit/s, priority) by site, which all share the northern way."""
    rig.drift.run()
    rig.service.drain("ws")
    for site, (mbps, priority) in sizes.items():
        text = make_manifest(site, f"west/{site}", f"east/{site}", mbps=mbps)
        rig.apply(text.replace("protection: none", f"protection: none\n  priority: {priority}"))
    rig.settle()
    rig.service.undrain("ws")
    rig.settle()


def test_slices_leave_the_fullest_link_for_a_stated_gain_and_it_can_be_undone(
    make_rig: Any, switches: Any, make_manifest: Manifest
) -> None:
    """Of those that share the north, the larger of the two that matter less moves: every packet arrives meanwhile."""
    rig, sites = make_rig(southbound=switches), "abc"
    crowded(rig, make_manifest, {"a": (30, 9), "b": (30, 5), "c": (20, 5)})
    north, south = ["west", "north", "east"], ["west", "south", "east"]
    lost: list[str] = []

    def watch(_: str) -> None:
        lost.extend(s for s in sites if rig.walk(f"west/{s}", f"east/{s}").reached != [f"east/{s}"])

    def ways() -> list[list[str]]:
        return [way(rig, f"west/{site}", f"east/{site}") for site in sites]

    switches.after = watch
    before, sent = rig.programs(), switches.operations
    asked = rig.service.reoptimise("balance", dry_run=True)
    assert (list(asked.moved), asked.fullest_before, asked.fullest_after) == (["b"], 0.8, 0.5)
    assert not rig.service.reoptimise("balance", gain=0.7).moved, "no move gains so much"
    rig.settle()
    assert rig.programs() == before
    assert ways() == [north, north, north]
    assert rig.service.reoptimise("balance") == asked
    rig.settle()
    assert ways() == [north, south, north]
    assert rig.service.verify().proven
    assert not rig.service.reoptimise("balance").moved
    assert list(rig.service.reoptimise("undo").moved) == ["b"]
    rig.settle()
    assert ways() == [north, north, north]
    assert rig.service.verify().proven
    assert not rig.service.reoptimise("undo").moved, "it is undone once"
    assert not lost, "a packet sent between two operations did not arrive"
    assert switches.operations > sent + 10
    assert {rig.phase(site) for site in sites} == {"Active"}


def test_the_most_important_make_no_room_for_others(rig: Any, make_manifest: Manifest) -> None:
    crowded(rig, make_manifest, {"a": (30, 9), "b": (30, 9)})
    assert not rig.service.reoptimise("balance").moved
    with pytest.raises(InputError, match="a gain of 0") as refused:
        rig.service.reoptimise("balance", gain=0.0)
    assert "1% to 100%" in str(refused.value)


def test_a_protected_slice_stays_on_its_other_path_until_the_switch_is_back(
    make_rig: Any, switches: Any, make_manifest: Manifest
) -> None:
    rig = make_rig(southbound=switches)
    rig.drift.run()
    rig.apply(make_manifest("one", "west/a", "east/a", protection="required"))
    rig.settle()
    lost = []
    switches.after = lambda _: lost.append(rig.walk("west/a", "east/a").reached != ["east/a"])
    result = rig.service.drain("north")
    rig.settle()
    assert (result.moved, result.staying) == ((), ("one",))
    assert way(rig) == ["west", "south", "east"]
    assert rig.service.verify().proven
    rig.service.undrain("north")
    rig.settle()
    assert way(rig) == ["west", "north", "east"]
    assert not any(lost)
    assert lost


def test_a_drain_that_would_leave_a_slice_without_a_path_moves_nothing(rig: Any, make_manifest: Manifest) -> None:
    rig.apply(make_manifest("one", "west/a", "east/a", mbps=60), make_manifest("two", "west/b", "east/b", mbps=60))
    rig.settle()
    before = rig.programs()
    with pytest.raises(ConflictError, match="ne cannot be drained: 1 slices would be left without a path"):
        rig.service.drain("ne")
    with pytest.raises(ConflictError, match="east cannot be drained: one, two begin or end there"):
        rig.service.drain("east")
    with pytest.raises(NotFoundError, match="no link and no node 'moon'"):
        rig.service.drain("moon")
    with pytest.raises(NotFoundError, match="link ne is not drained"):
        rig.service.undrain("ne")
    rig.settle()
    assert rig.service.drains() == ()
    assert rig.programs() == before


def test_a_slice_is_planned_anew_away_from_a_link_that_stays_dead(
    rig: Any, simulator: Simulator, make_manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("carelane.controller._upkeep.time.monotonic", lambda: clock[0])
    rig.drift.run()
    rig.apply(make_manifest("one", "west/a", "east/a"))
    rig.settle()
    simulator.set_link("wn", up=False)
    for _ in range(8):
        rig.service.upkeep.observe(simulator.statuses())
        clock[0] += 1.0
    rig.settle()
    assert way(rig) == ["west", "south", "east"]
    assert rig.phase("one") == "Active"
    assert any(event.reason == "Moved" for event in rig.service.describe("one").history)


def test_what_has_no_path_left_is_carried_with_less_as_foretold_until_it_can_have_its_promise_again(
    rig: Any, diamond: Topology, make_manifest: Manifest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    links = {**diamond.links, "ws": replace(diamond.links["ws"], availability=0.99)}
    frail = replace(diamond, links=MappingProxyType(links))
    simulator = Simulator(frail)
    rig = type(rig)(frail, simulator, Store(f"sqlite:///{tmp_path}/frail.db"))
    rig.drift.run()
    wanted = make_manifest("one", "west/a", "east/a").replace("availability: none", "availability: 99.9%")
    assert rig.apply(wanted) == {"one": "Admitted"}
    rig.settle()
    (foretold,) = rig.service.what_if(Asked(failed=["wn"]))["intents"]
    passing = Passing(rig, simulator, monkeypatch)
    simulator.set_link("wn", up=False)
    passing.seconds(8)
    assert way(rig) == ["west", "south", "east"] == foretold["paths"][0]["nodes"]
    assert foretold["outcome"] == "weakened"
    assert rig.phase("one") == "Degraded"
    assert rig.condition("one", "Kept")[:2] == ("False", "Weakened")
    assert rig.service.verify().proven
    simulator.set_link("wn", up=True)
    passing.seconds(12)
    assert way(rig) == ["west", "north", "east"]
    assert rig.phase("one") == "Active"
    assert rig.condition("one", "Kept")[:2] == ("True", "PathsUp")
    reasons = [event.reason for event in rig.service.describe("one").history]
    assert reasons.count("Moved") == 2
    rig.close()


@pytest.mark.parametrize("policy", [None, AdmissionPolicy("p", port_waits=True)], ids=["stated", "counted"])
def test_a_repair_breaks_nobody_by_what_policy_counts(
    make_rig: Any,
    simulator: Simulator,
    make_manifest: Manifest,
    monkeypatch: pytest.MonkeyPatch,
    policy: AdmissionPolicy | None,
) -> None:
    rig = make_rig(policy=policy)
    rig.drift.run()
    bulk = make_manifest("bulk", "west/b", "east/b").replace("6KB", "160KB").replace("50ms", "none")
    rig.apply(make_manifest("one", "west/a", "east/a").replace("50ms", "12ms"), bulk)
    rig.settle()
    assert (way(rig)[1], way(rig, "west/b", "east/b")[1]) == ("north", "south")
    simulator.set_link("wn", up=False)
    Passing(rig, simulator, monkeypatch).seconds(8)
    assert rig.condition("one", "Kept")[1] == ("PathsUp" if policy is None else "PathsDown")
    assert rig.phase("bulk") == "Active"


def test_what_found_no_place_has_one_as_soon_as_there_is_room(
    rig: Any, simulator: Simulator, make_manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.drift.run()
    rig.apply(make_manifest("one", "west/a", "east/a", mbps=60), make_manifest("two", "west/b", "east/b", mbps=60))
    rig.settle()
    assert way(rig) == ["west", "north", "east"]
    passing = Passing(rig, simulator, monkeypatch)
    simulator.set_link("wn", up=False)
    passing.seconds(8)
    assert rig.condition("one", "Kept")[:2] == ("False", "PathsDown")
    rig.service.delete("two")
    rig.settle()
    passing.seconds(60)
    assert way(rig) == ["west", "south", "east"]
    assert rig.phase("one") == "Active"


def test_a_link_that_lives_again_carries_at_once_what_has_no_other_way(
    rig: Any, simulator: Simulator, make_manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it is avoided for its flaps."""
    rig.drift.run()
    rig.apply(make_manifest("one", "west/a", "east/a"))
    rig.settle()
    passing = Passing(rig, simulator, monkeypatch)
    for up in (False, True) * 5:
        simulator.set_link("ws", up=up)
        passing.seconds(2)
    simulator.set_link("wn", up=False)
    passing.seconds(8)
    assert [(out.link, out.works) for out in rig.service.links_avoided()] == [("wn", False), ("ws", True)]
    assert way(rig) == ["west", "south", "east"]
    assert rig.phase("one") == "Active"


def test_a_silent_link_is_no_path_that_works(
    rig: Any, simulator: Simulator, make_manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said as soon as BFD is believed, again when it dies while it is still held off, and not after it lives."""
    rig.drift.run()
    rig.apply(make_manifest("one", "west/a", "east/a", protection="required"))
    rig.settle()
    passing = Passing(rig, simulator, monkeypatch)
    passing.seconds(12)
    for believed_after_s in (5, 12):
        simulator.set_link("ne", up=False, silent=True)
        passing.seconds(believed_after_s)
        assert rig.phase("one") == "Degraded"
        assert rig.condition("one", "Kept")[1] == "Unprotected"
        assert "link ne is silent" in rig.condition("one", "Kept")[2]
        assert {s.node: s.dead_ports for s in rig.service.switches()}["north"] == (2,)
        assert [(out.link, out.works) for out in rig.service.links_avoided()] == [("ne", False)]
        simulator.set_link("ne", up=True, silent=True)
        passing.seconds(2)
        assert (rig.phase("one"), rig.condition("one", "Kept")[1]) == ("Active", "PathsUp")
        assert [(out.link, out.works) for out in rig.service.links_avoided()] == [("ne", True)]


def test_a_port_that_is_gone_costs_what_needs_it_and_nobody_else(
    rig: Any, simulator: Simulator, make_manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a line card is pulled: its queues wait for it, and everything else on the switch is changed as ever."""
    rig.drift.run()
    rig.apply(make_manifest("one", "west/a", "east/a", protection="required"))
    rig.settle()
    passing = Passing(rig, simulator, monkeypatch)
    simulator.set_there("west", 1, False)
    passing.seconds(8)
    rig.drift.run()
    rig.settle()
    assert way(rig) == ["west", "south", "east"]
    assert rig.phase("one") == "Degraded"
    assert "needs port 1 of west, which is not there" in rig.condition("one", "Kept")[2]
    rig.apply(make_manifest("two", "west/b", "east/b"))
    rig.settle()
    assert (rig.phase("two"), way(rig, "west/b", "east/b")) == ("Active", ["west", "south", "east"])
    simulator.set_there("west", 1, True)
    passing.seconds(12)
    assert way(rig) == ["west", "north", "east"]
    assert rig.phase("one") == "Active"
    assert rig.service.verify().proven
    simulator.set_there("east", rig.topology.endpoints["east/b"].port, False)
    rig.reconciler.enqueue_all()
    rig.settle()
    assert "where east/b is" in rig.condition("two", "Kept")[2]


def test_silent_failures_and_flaps_are_waited_for_before_paths_change_places(diamond: Topology) -> None:
    health = LinkHealth(diamond, hold_off_s=10.0)
    link = diamond.links["wn"]

    def seen(now_s: float, *, up: bool = True, dead: bool = False, there: bool = True) -> bool:
        status = SwitchStatus("west", 1, there, "", {link.a_port: up}, frozenset({link.a_port} if dead else ()))
        return "wn" in health.observe({"west": status}, now_s)

    assert not seen(-20, dead=True)
    assert not seen(-11, dead=True), "its session may be coming up"
    assert not seen(-10)
    assert not seen(0, dead=True)
    assert not seen(2, dead=True)
    assert seen(3, dead=True)
    assert seen(4)
    assert seen(13)
    assert not seen(14)
    assert seen(20, up=False)
    assert seen(21)
    assert seen(40), "the second death within ten minutes doubles the hold-off"
    assert not seen(41)
    assert seen(42, up=False)
    assert seen(43)
    assert seen(82)
    assert not seen(83)
    assert seen(90, up=False)
    assert seen(5000, there=False), "while both ends are away, it is what it was"


def to_all(rig: Any, held: Held) -> Packet:
    """A packet from west/a to everybody in a slice."""
    host = rig.topology.endpoints["west/a"]
    source, group = str(host.address.network_address), str(multicast_address(held.ids))
    return Packet(eth_src=host.mac, eth_dst="01:00:5e:40:00:01", eth_type=0x0800, ip_src=source, ip_dst=group)


@pytest.mark.parametrize("whole", [True, False])
def test_a_tree_stored_by_a_version_that_gave_it_fewer_labels_is_planned_anew_before_any_rule_goes(
    make_rig: Any, switches: Any, make_manifest: Manifest, tmp_path: Path, whole: bool
) -> None:
    """By the controller that starts next; with less where a drained link leaves no room for the whole."""
    rig = make_rig(southbound=switches)
    rig.drift.run()
    rig.apply(make_manifest("lesson", "west/a", "east/a, east/b", protection="required"))
    rig.settle()
    with rig.store.write() as write:
        (held,) = Holdings.of(write.slices()).slices
        write.hold("lesson", held.generation, number=held.ids.number, first_label=held.ids.first_label,
                   labels=2 * len(held.decision.paths) + 1, decision=encode_decision(held.decision),
                   floors=held.floors)  # fmt: skip
        write.release([held.id])
        if not whole:
            write.put_drain("link", "se", datetime.now(UTC))
    reached: list[list[str]] = []
    switches.after = lambda _: reached.append(sorted(switches.simulator.send("west/a", to_all(rig, held)).reached))
    with Controller(rig.topology, f"sqlite:///{tmp_path}/rig.db", lambda _: switches) as controller:
        deadline = time.monotonic() + 30.0
        while not renewed(controller.service, whole) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert renewed(controller.service, whole), controller.service.describe("lesson")
        assert controller.service.verify().proven
    assert set(map(tuple, reached)) == {("east/a", "east/b")}, "a packet between two operations"
    with rig.store.read() as read:
        (now,) = Holdings.of(read.slices()).slices
    assert now.ids.labels == labels_needed(now.decision)
    assert rig.service.upkeep.renew() == Renewal((), ()), "once"


def renewed(service: Any, whole: bool) -> bool:
    seen = service.describe("lesson")
    kept = next((item.reason for item in seen.conditions if item.type == "Kept"), "")
    told = "Renewed" in [event.reason for event in seen.history] and not service.verify().moving
    return told and (seen.summary.phase, kept) == (("Active", "PathsUp") if whole else ("Degraded", "Weakened"))


def test_a_tree_that_lost_a_link_carries_on_and_is_drained_only_where_it_can_be_planned_away(
    make_rig: Any, switches: Any, make_manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """West sends to two sites of the east over two ways; every packet between two operations reaches both, once."""
    clock = [100.0]
    monkeypatch.setattr("carelane.controller._upkeep.time.monotonic", lambda: clock[0])
    rig = make_rig(southbound=switches)
    simulator = switches.simulator
    rig.drift.run()
    rig.apply(make_manifest("lesson", "west/a", "east/a, east/b", protection="required"))
    rig.settle()
    with rig.store.read() as read:
        (held,) = Holdings.of(read.slices()).slices
    asked = to_all(rig, held)
    reached = []
    switches.after = lambda _: reached.append(simulator.send("west/a", asked).reached)
    with pytest.raises(ConflictError, match="ne cannot be drained: 1 slices would be left without a path"):
        rig.service.drain("ne")
    simulator.set_link("ne", up=False)
    assert sorted(simulator.send("west/a", asked).reached) == ["east/a", "east/b"], "nobody was told yet"
    for _ in range(8):
        rig.service.upkeep.observe(simulator.statuses())
        clock[0] += 1.0
    rig.settle()
    rig.drift.run()
    rig.settle()
    assert reached, "the pairs put their living path first"
    assert {tuple(sorted(names)) for names in reached} == {("east/a", "east/b")}
    assert rig.phase("lesson") == "Degraded"
    assert rig.condition("lesson", "Kept")[:2] == ("False", "Unprotected")
    assert any(event.reason == "NotMoved" for event in rig.service.describe("lesson").history)
    assert rig.service.verify().proven
