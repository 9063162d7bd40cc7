"""The controller dies at any point; the next one converges, and nobody else's packets notice."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from carelane.controller.pipeline.changes import SwitchChanges
from carelane.controller.pipeline.diff import diff
from carelane.controller.southbound.protocol import DiscoveredLink, Receipt, SwitchState, SwitchStatus
from carelane.controller.southbound.simulator import Simulator
from carelane.topology.model import Topology

Manifest = Callable[..., str]


class Death(BaseException):
    """The process ends here: nothing below catches it."""


class Mortal:
    """Switches of a controller that dies after so many operations; what was done to the switches stays done."""

    def __init__(self, simulator: Simulator, life: int) -> None:
        self.simulator = simulator
        self.life = life

    def statuses(self) -> dict[str, SwitchStatus]:
        self._breathe()
        return dict(self.simulator.statuses())

    def read(self, node: str) -> SwitchState:
        self._breathe()
        return self.simulator.read(node)

    def links(self) -> frozenset[DiscoveredLink]:
        return self.simulator.links()

    def apply(self, changes: SwitchChanges) -> Receipt:
        for operation in changes.operations:
            self._breathe()
            self.life -= 1
            self.simulator.apply(replace(changes, operations=(operation,)))
        return Receipt(changes.node, len(changes.operations), 0.0)

    def _breathe(self) -> None:
        if self.life <= 0:
            raise Death


def _state(simulator: Simulator, topology: Topology) -> dict[str, Any]:
    return {node: simulator.read(node).own for node in topology.nodes}


def _counters(simulator: Simulator, topology: Topology) -> dict[tuple[str, str], int]:
    """Packet counters of every flow that has seen any."""
    return {(node, key): n for node in topology.nodes for key, n in simulator.read(node).flow_packets.items() if n}


def _file(rig: Any, make_manifest: Manifest, step: str) -> None:
    if step == "install":
        rig.apply(make_manifest("new", "west/b", "east/b", 30))
    elif step == "move":
        rig.apply(make_manifest("moved", "west/c", "east/c", 95))
    elif step == "grow":
        rig.apply(make_manifest("moved", "west/c", "east/c", 20))
    else:
        rig.service.delete("moved")


def _lived_before(make_rig: Any, topology: Topology, make_manifest: Manifest, database: Path) -> dict[str, Any]:
    """A first life that files two intents; the switches' state it leaves, beside its database."""
    simulator = Simulator(topology)
    first = make_rig(f"sqlite:///{database}", simulator)
    first.drift.run()
    first.apply(make_manifest("kept", "west/a", "east/a", 10), make_manifest("moved", "west/c", "east/c", 15))
    first.settle()
    first.close()
    return _state(simulator, topology)


@pytest.mark.parametrize("step", ["install", "move", "grow", "withdraw"])
def test_death_after_any_operation_is_survived(
    make_rig: Any, walk: Any, diamond: Topology, make_manifest: Manifest, tmp_path: Path, step: str
) -> None:
    """For every k: a controller dies after k operations of `step`; a fresh one on the same database converges."""
    base = tmp_path / "base.db"
    before = _lived_before(make_rig, diamond, make_manifest, base)
    goal = None
    for life in range(1, 200):
        simulator = Simulator(diamond)
        for node, program in before.items():
            simulator.apply(diff(simulator.read(node).own, program))
        url = f"sqlite:///{shutil.copy(base, tmp_path / f'life-{life}.db')}"
        for _ in range(3):
            assert walk(simulator, "west/a", "east/a").reached == ["east/a"]
        counted = _counters(simulator, diamond)

        mortal = Mortal(simulator, life)
        dying = make_rig(url, mortal)
        _file(dying, make_manifest, step)
        died = False
        try:
            dying.settle()
        except Death:
            died = True
        assert walk(simulator, "west/a", "east/a").reached == ["east/a"]

        last = make_rig(url, simulator)
        last.reconciler.enqueue_all()
        last.settle()
        state = _state(simulator, diamond)
        after = _counters(simulator, diamond)
        assert {key: after[key] for key in counted} == {key: n // 3 * 4 for key, n in counted.items()}
        assert last.drift.run()
        assert _state(simulator, diamond) == state, "a full check finds nothing left to do"
        assert last.phase("kept") == "Active"
        assert last.phase("new" if step == "install" else "moved") == ("Withdrawn" if step == "withdraw" else "Active")
        if not died:
            goal = state
            assert life > 4, "the step should take several operations"
            break
    assert goal is not None


def test_every_death_leads_to_the_same_network(
    make_rig: Any, diamond: Topology, make_manifest: Manifest, tmp_path: Path
) -> None:
    """Whatever happened on the way, the stored intents alone decide what the switches hold in the end."""
    goals = []
    for life in (1, 3, 5, 9, 10_000):
        simulator = Simulator(diamond)
        url = f"sqlite:///{tmp_path}/same-{life}.db"
        dying = make_rig(url, Mortal(simulator, life))
        dying.apply(make_manifest("one", "west/a", "east/a", 60), make_manifest("two", "west/b", "east/b", 60))
        with suppress(Death):
            dying.settle()
        last = make_rig(url, simulator)
        last.reconciler.enqueue_all()
        last.settle()
        last.drift.run()
        goals.append(_state(simulator, diamond))
    assert all(goal == goals[0] for goal in goals)


def test_a_restart_with_nothing_to_do_sends_nothing(
    make_rig: Any, simulator: Simulator, make_manifest: Manifest
) -> None:
    first = make_rig()
    first.drift.run()
    first.apply(make_manifest("one", "west/a", "east/a"))
    first.settle()
    before = first.service.describe("one")
    second = make_rig(southbound=Mortal(simulator, 1))
    second.reconciler.enqueue_all()
    second.settle()
    assert all(check.repaired == 0 for check in second.drift.run().values())
    assert second.service.describe("one") == before


def test_slices_on_a_link_that_is_no_longer_declared_fail_and_the_others_go_on(
    make_rig: Any, simulator: Simulator, diamond: Topology, make_manifest: Manifest
) -> None:
    first = make_rig()
    first.apply(make_manifest("north", "west/a", "east/a", 60), make_manifest("south", "west/b", "east/b", 60))
    first.settle()
    later = make_rig()
    later.topology = replace(diamond, links={key: link for key, link in diamond.links.items() if key != "ne"})
    later.__post_init__()
    later.reconciler.enqueue_all()
    later.settle()
    assert later.phase("north") == "Failed"
    assert later.condition("north", "Installed")[0] == "False"
    assert later.phase("south") == "Active"
    later.service.delete("north")
    later.settle()
    assert later.phase("north") == "Withdrawn"


def test_a_pass_of_a_former_term_sends_nothing_in_a_later_one(
    make_rig: Any, simulator: Simulator, make_manifest: Manifest
) -> None:
    """Its controller leads again, but another did meanwhile: what it read and planned is of before that."""
    between: list[Callable[[], None]] = []

    class Interrupted(Mortal):
        def read(self, node: str) -> SwitchState:
            state = super().read(node)
            if between:
                between.pop()()
            return state

    rig, other = make_rig(southbound=Interrupted(simulator, 10**6)), make_rig()
    other.drift.run()
    rig.apply(make_manifest("one", "west/a", "east/a"))

    def lead_meanwhile() -> None:
        rig.reconciler.turn.end_term()
        other.service.delete("one")
        other.settle()
        assert other.phase("one") == "Withdrawn"

    between.append(lead_meanwhile)
    sent = rig.southbound.life
    rig.reconciler.work(timeout_s=1.0)
    assert not between
    assert rig.southbound.life == sent
    assert other.slice_state() == []
    rig.reconciler.enqueue_all()  # as its new term begins
    rig.settle()
    assert other.slice_state() == []
    assert rig.phase("one") == "Withdrawn"
