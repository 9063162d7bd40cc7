"""What the surfaces see."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from carelane.controller.leadership import Standing
from carelane.controller.runner import Controller
from carelane.controller.southbound.protocol import DiscoveredLink, SwitchStatus
from carelane.controller.southbound.simulator import Simulator
from carelane.controller.views import LinkMismatch
from carelane.errors import InputError, StoreUnavailable, SwitchUnreachable
from carelane.intents import load_intents
from carelane.topology.model import Topology

Manifest = Callable[..., str]


def test_a_dry_run_says_what_filing_would_and_stores_nothing(rig: Any, make_manifest: Manifest) -> None:
    rig.apply(make_manifest("big", "west/a", "east/a", 90), make_manifest("too", "west/b", "east/b", 90))
    rig.settle()
    documents = (make_manifest("more", "west/c", "east/c", 50), make_manifest("big", "west/a", "east/a", 80))
    planned = rig.service.plan(rig.intents(*documents))
    assert [row["decision"] for row in planned["decisions"]] == ["refused", "admitted"]
    assert [item.name for item in rig.service.list()] == ["big", "too"]
    assert rig.service.describe("big").summary.generation == 1
    assert rig.reconciler.queue.depth() == 0
    assert [result.admitted for result in rig.service.apply(rig.intents(*documents))] == [False, True]
    alone = rig.service.plan(rig.intents(make_manifest("more", "west/c", "east/c", 5)))
    assert alone["decisions"][0]["decision"] == "admitted"
    assert alone["topology"] == "diamond"


def test_diff_is_what_apply_then_sends(rig: Any, simulator: Simulator, make_manifest: Manifest) -> None:
    rig.drift.run()
    intents = rig.intents(make_manifest("one", "west/a", "east/a"))
    changes = rig.service.diff(intents)
    assert {item.node for item in changes} == {"west", "north", "east"}
    assert rig.service.list() == ()
    before = {node: simulator.read(node).own for node in rig.topology.nodes}
    rig.service.apply(intents)
    rig.settle()
    added = {
        (node, rule) for node in before for rule in simulator.read(node).own.flows if rule not in before[node].flows
    }
    said = {(item.node, op.target) for item in changes for op in item.operations}
    assert added <= said
    assert rig.service.diff() == rig.service.diff(intents) == ()


def test_diff_does_not_hide_a_switch_that_it_cannot_read(
    rig: Any, simulator: Simulator, make_manifest: Manifest
) -> None:
    rig.drift.run()
    simulator.set_connected("south", False)
    intents = rig.intents(make_manifest("one", "west/a", "east/a"))
    assert {item.node for item in rig.service.diff(intents)} == {"west", "north", "east"}
    simulator.set_connected("north", False)
    with pytest.raises(SwitchUnreachable, match="north"):
        rig.service.diff(intents)


def test_links_unlike_the_declared_ones_are_reported(rig: Any, simulator: Simulator) -> None:
    assert rig.service.link_mismatches() == ()
    simulator.set_link("wn", up=False)
    simulator.set_connected("south", False)
    assert rig.service.link_mismatches() == (), "what is down or away is not a wrong cable"

    class Recabled:
        def __getattr__(self, name: str) -> Any:
            return getattr(simulator, name)

        def links(self) -> frozenset[DiscoveredLink]:
            seen = DiscoveredLink("west", 9, "east", 9)
            return frozenset(link for link in simulator.links() if (link.node, link.next_node) != ("east", "north")) | {
                seen
            }

    rig.service._southbound = Recabled()
    kinds = {(item.kind, item.node, item.next_node) for item in rig.service.link_mismatches()}
    assert kinds == {("missing", "east", "north"), ("undeclared", "west", "east")}
    assert all(isinstance(item, LinkMismatch) for item in rig.service.link_mismatches())


def test_waiting_ends_when_the_latest_generation_has_settled(rig: Any, make_manifest: Manifest) -> None:
    rig.apply(make_manifest("one", "west/a", "east/a"))
    (early,) = rig.service.wait(["one"], 0.0)
    assert early.phase == "Admitted"
    rig.settle()
    (late,) = rig.service.wait(["one"], 30.0)
    assert (late.phase, late.observed_generation) == ("Active", 1)


def test_an_unreachable_database_is_not_ready_and_says_why(rig: Any, make_manifest: Manifest, tmp_path: Path) -> None:
    assert rig.service.health().ready
    rig.store.close()
    for file in tmp_path.glob("rig.db*"):
        file.unlink()
    (tmp_path / "rig.db").mkdir()
    health = rig.service.health()
    assert (health.live, health.ready) == (True, False)
    assert "database" in health.reasons[0]
    with pytest.raises(StoreUnavailable):
        rig.apply(make_manifest("one", "west/a", "east/a"))


@pytest.fixture
def controller(diamond: Topology, simulator: Simulator, tmp_path: Path) -> Iterator[Controller]:
    running = Controller(diamond, f"sqlite:///{tmp_path}/run.db", lambda _: simulator, drift_interval_s=0.2)
    with running:
        yield running


def _eventually(check: Callable[[], bool], timeout_s: float = 30.0) -> None:
    end = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def test_a_running_controller_installs_repairs_and_follows_its_switches(
    controller: Controller, simulator: Simulator, make_manifest: Manifest
) -> None:
    service = controller.service
    assert service.health().ready
    service.apply(load_intents(make_manifest("one", "west/a", "east/a")))
    assert service.wait(["one"], 30.0)[0].phase == "Active"
    _eventually(lambda: all(view.checked_at is not None for view in service.switches()))
    good = simulator.read("north").own
    simulator.wipe("north")
    _eventually(lambda: simulator.read("north").own == good)
    simulator.set_connected("west", False)
    _eventually(lambda: service.describe("one").summary.phase == "Degraded")
    assert "west" in service.describe("one").summary.message
    simulator.set_connected("west", True)
    _eventually(lambda: service.describe("one").summary.phase == "Active")
    service.delete("one")
    assert service.wait(["one"], 30.0)[0].phase == "Withdrawn"
    registry = CollectorRegistry()
    registry.register(service.metrics)
    text = generate_latest(registry).decode()
    assert 'carelane_reconcile_total{result="success"}' in text
    assert "carelane_reconcile_time_seconds_count" in text
    assert "carelane_drift_repairs_total" in text
    assert "carelane_reconcile_errors_total" in text


def test_a_switch_that_restarts_between_two_looks_is_programmed_at_once(
    diamond: Topology, simulator: Simulator, make_manifest: Manifest, tmp_path: Path
) -> None:
    """Its daemon, in less time than passes between two looks at who is connected; not at the next check of all."""
    connections = [1]

    class Restarting(Simulator):
        def statuses(self) -> Mapping[str, SwitchStatus]:
            return {n: replace(s, connection=connections[0]) for n, s in super().statuses().items()}

    switches = Restarting(diamond)
    url = f"sqlite:///{tmp_path}/run.db"
    with Controller(diamond, url, lambda _: switches, drift_interval_s=3600) as controller:
        service = controller.service
        service.apply(load_intents(make_manifest("one", "west/a", "east/a")))
        assert service.wait(["one"], 30.0)[0].phase == "Active"
        _eventually(lambda: all(view.checked_at is not None for view in service.switches()))
        good = switches.read("north").own
        switches.wipe("north")
        connections[0] += 1
        _eventually(lambda: switches.read("north").own == good)


def test_a_new_term_does_not_wait_for_a_switch_that_is_away(
    diamond: Topology, simulator: Simulator, make_manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a controller that has just started does: one that takes over has heard of its switches long before."""
    clock = [0.0]
    frozen = SimpleNamespace(monotonic=lambda: clock[0], thread_time=time.thread_time)
    monkeypatch.setattr("carelane.controller.runner.time", frozen)
    with Controller(diamond, f"sqlite:///{tmp_path}/run.db", lambda _: simulator) as controller:
        _eventually(controller._adopted.is_set)
        clock[0] = 60.0
        simulator.set_connected("south", False)
        controller._seat(Standing("follower", "http://other", 7))  # and acts again at once
        _eventually(controller._adopted.is_set)
        controller.service.apply(load_intents(make_manifest("one", "west/a", "east/a")))
        assert controller.service.wait(["one"], 30.0)[0].phase == "Active"


def test_stopping_keeps_rules_and_a_stopped_controller_is_not_live(
    diamond: Topology, simulator: Simulator, make_manifest: Manifest, tmp_path: Path, walk: Any
) -> None:
    with Controller(diamond, f"sqlite:///{tmp_path}/stop.db", lambda _: simulator) as controller:
        service = controller.service
        service.apply(load_intents(make_manifest("one", "west/a", "east/a")))
        service.wait(["one"], 30.0)
    assert not service.health().live
    assert walk(simulator, "west/a", "east/a").reached == ["east/a"]


def test_a_controller_that_cannot_start_lets_go_of_everything(diamond: Topology, tmp_path: Path) -> None:
    def broken(_: Topology) -> Simulator:
        raise InputError("no such port")

    with pytest.raises(InputError):
        Controller(diamond, f"sqlite:///{tmp_path}/x.db", broken).start()
