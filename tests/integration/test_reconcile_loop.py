"""From filing to packets and back, over simulated switches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from carelane.controller.southbound.simulator import Simulator
from carelane.errors import ConflictError, InputError, NotFoundError
from carelane.intents.lifecycle import Phase

Manifest = Callable[..., str]


def test_a_filed_intent_carries_packets_both_ways_and_nothing_else(rig: Any, make_manifest: Manifest) -> None:
    assert rig.apply(make_manifest("one", "west/a", "east/a")) == {"one": "Admitted"}
    rig.settle()
    assert rig.phase("one") == "Active"
    assert rig.walk("west/a", "east/a").reached == ["east/a"]
    assert rig.walk("east/a", "west/a").reached == ["west/a"]
    assert rig.walk("west/b", "east/a").reached == []
    detail = rig.service.describe("one")
    assert detail.decision["decision"] == "admitted"
    assert {(port.node, port.towards) for port in detail.placement.ports} >= {("west", "wn"), ("north", "ne")}
    assert all(port.floor_bps == 10_000_000 for port in detail.placement.ports if port.towards in ("wn", "ne"))
    assert [event.phase_to for event in detail.history] == ["Requested", "Admitted", "Installing", "Active"]
    held = {queue.id for port in rig.southbound.read("west").own.ports for queue in port.queues}
    assert detail.placement.queue in held


def test_filing_the_same_words_again_changes_nothing_anywhere(
    make_rig: Any, switches: Any, make_manifest: Manifest
) -> None:
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


def test_a_withdrawal_leaves_nothing_and_gives_everything_back(
    rig: Any, simulator: Simulator, make_manifest: Manifest
) -> None:
    rig.drift.run()
    empty = rig.programs()
    document = make_manifest("one", "west/a", "east/a", 60, "required")
    rig.apply(document)
    rig.settle()
    first = rig.service.describe("one").placement
    assert rig.slice_state()
    assert rig.service.delete("one").phase == "Withdrawing"
    assert rig.service.delete("one").phase == "Withdrawing"
    rig.settle()
    assert rig.phase("one") == "Withdrawn"
    assert rig.programs() == empty
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


def test_filing_again_while_withdrawing_brings_it_back(rig: Any, make_manifest: Manifest) -> None:
    document = make_manifest("one", "west/a", "east/a")
    rig.apply(document)
    rig.settle()
    rig.service.delete("one")
    assert rig.apply(document) == {"one": "Admitted"}
    rig.settle()
    assert rig.phase("one") == "Active"
    assert rig.walk("west/a", "east/a").reached == ["east/a"]


def test_an_installation_waits_for_a_switch_without_sending_packets_into_nothing(
    rig: Any, simulator: Simulator, make_manifest: Manifest
) -> None:
    simulator.set_connected("north", False)
    rig.apply(make_manifest("one", "west/a", "east/a"))
    rig.settle(3)
    detail = rig.service.describe("one")
    assert detail.summary.phase == "Installing"
    assert detail.attempts >= 1
    assert "north" in rig.condition("one", "Installed")[2]
    walk = rig.walk("west/a", "east/a")
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


def test_bad_input_anywhere_in_a_file_files_nothing(rig: Any, make_manifest: Manifest) -> None:
    good, bad = make_manifest("one", "west/a", "east/a"), make_manifest("two", "west/b", "nowhere/b")
    with pytest.raises(InputError, match="nowhere/b"):
        rig.apply(good, bad)
    assert rig.service.list() == ()
    one = rig.intents(good)[0]
    with pytest.raises(InputError, match="twice"):
        rig.service.apply([one, one])
    rig.apply(good)
    with pytest.raises(ConflictError, match="taken by another tenant"):
        rig.service.apply([replace(one, tenant="elsewhere")])


def test_traffic_that_switches_cannot_tell_apart_is_refused(rig: Any, make_manifest: Manifest) -> None:
    rig.apply(make_manifest("one", "west/a", "east/a"))
    assert rig.apply(make_manifest("same", "west/a", "east/a")) == {"same": "Refused"}
    (reason,) = rig.service.describe("same").decision["reasons"]
    assert reason["constraint"] == "policy"
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
    make_rig: Any, switches: Any, simulator: Simulator, make_manifest: Manifest, phase: str, way: str
) -> None:
    if phase == "Failed":
        switches.reject_slice(1)
    rig = make_rig(southbound=switches)
    _to_requested_states(rig, simulator, make_manifest, Phase(phase))
    assert rig.phase("it") == phase
    switches.rejects = lambda _: False
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
        assert rig.slice_state() == []
    else:
        rig.apply(make_manifest("it", "west/a", "east/a", 10))
        rig.settle()
        assert rig.phase("it") == "Active"
