"""Slices with schedules over simulated switches, the clock moved by the test: one link, taken in turns."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from carelane.controller.reconcile.schedules import LEAD
from carelane.controller.runner import Controller
from carelane.controller.southbound.simulator import Simulator
from carelane.errors import CarelaneError, ConflictError
from carelane.intents import load_intents
from carelane.store import Store
from carelane.topology.model import Topology

EIGHT = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
FULL_MBPS = 100
"""What the shortest way has; both ways together carry two such slices at once, and no third."""


class Clock:
    """Read by everything under test, moved by the test."""

    def __init__(self) -> None:
        self.now = EIGHT - timedelta(hours=1)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(make_rig: Callable[..., Any], clock: Clock) -> Any:
    rig = make_rig(now=clock)
    rig.drift.run()  # which prepares the switches
    return rig


def scheduled(text: str, start: datetime, end: datetime) -> str:
    """The manifest with a window."""
    return text.replace("  burst:", f"  schedule: {{start: '{start.isoformat()}', end: '{end.isoformat()}'}}\n  burst:")


def hour(manifest: Callable[..., str], name: str, site: str, start: datetime, mbps: int = FULL_MBPS) -> str:
    """A slice of one hour."""
    text = manifest(name, f"west/{site}", f"east/{site}", mbps)
    return scheduled(text, start, start + timedelta(hours=1))


def move(rig: Any, clock: Clock, to: datetime) -> None:
    """Let the time come, and the loop do what is due."""
    clock.now = to
    rig.reconciler.follow_schedules()
    rig.settle()
    assert rig.service.verify().proven
    floors = {
        (node, port.port): (sum(queue.min_rate_bps for queue in port.queues if queue.slice), port.max_rate_bps)
        for node, program in rig.programs().items()
        for port in program.ports
    }
    assert all(held <= room for held, room in floors.values()), floors


def reached(rig: Any, site: str) -> bool:
    return bool(rig.walk(f"west/{site}", f"east/{site}").reached)


def test_slices_take_turns_on_links_that_carry_only_one_of_them(timed: Any, clock: Clock, make_manifest: Any) -> None:
    rig, nine = timed, EIGHT + timedelta(hours=1)
    early = [hour(make_manifest, f"early-{site}", site, EIGHT) for site in "ab"]
    late = [hour(make_manifest, f"late-{site}", site, nine) for site in "cd"]
    assert set(rig.apply(*early, *late).values()) == {"Admitted"}
    rig.settle()
    assert rig.phase("early-a") == "Suspended"
    status, reason, message = rig.condition("early-a", "Installed")
    assert (status, reason) == ("False", "Scheduled")
    assert "opens at 2026-06-01T08:00:00Z" in message
    assert rig.slice_state() == []

    move(rig, clock, EIGHT - LEAD)  # nobody is there: the rules come before the first packet
    assert [rig.phase(name) for name in ("early-a", "late-c")] == ["Active", "Suspended"]
    assert reached(rig, "a")
    assert not reached(rig, "c")

    move(rig, clock, nine - timedelta(seconds=1))  # the links are full until the last moment
    assert [rig.phase(name) for name in ("early-a", "late-c")] == ["Active", "Suspended"]
    move(rig, clock, nine)
    assert [reached(rig, site) for site in "abcd"] == [False, False, True, True]
    assert [rig.phase(name) for name in ("early-a", "late-c")] == ["Suspended", "Active"]
    assert rig.condition("early-a", "Installed")[1] == "ScheduleOver"

    move(rig, clock, nine + timedelta(hours=1))
    assert rig.slice_state() == []
    assert rig.service.holdings().slices == ()
    assert rig.service.delete("early-a").phase == "Withdrawn"


def test_at_one_moment_no_link_is_promised_twice(timed: Any, clock: Clock, make_manifest: Any) -> None:
    rig = timed
    half = EIGHT + timedelta(minutes=30)
    phases = rig.apply(
        *(hour(make_manifest, f"x-{site}", site, EIGHT) for site in "ab"),
        hour(make_manifest, "x-c", "c", half),
        make_manifest("x-d", "west/d", "east/d", 1),
        hour(make_manifest, "x-e", "e", EIGHT + timedelta(hours=1)),
    )
    assert phases == {"x-a": "Admitted", "x-b": "Admitted", "x-c": "Refused", "x-d": "Refused", "x-e": "Admitted"}
    (reason,) = rig.service.describe("x-d").decision["reasons"]
    assert (reason["constraint"], reason["available"]) == ("bandwidth", 0.0)
    move(rig, clock, EIGHT + timedelta(hours=2))  # what is over is nobody's reservation
    assert rig.apply(make_manifest("x-d", "west/d", "east/d", FULL_MBPS)) == {"x-d": "Admitted"}
    rig.settle()
    assert reached(rig, "d")


def test_what_is_past_is_refused_and_what_ran_stays_as_it_is(timed: Any, clock: Clock, make_manifest: Any) -> None:
    rig, document = timed, hour(make_manifest, "once", "a", EIGHT)
    rig.apply(document)
    move(rig, clock, EIGHT)
    assert rig.phase("once") == "Active"
    move(rig, clock, EIGHT + timedelta(hours=1))
    (result,) = rig.service.apply(rig.intents(document))
    assert (result.outcome, result.phase) == ("unchanged", "Suspended")
    assert rig.apply(hour(make_manifest, "late", "b", EIGHT)) == {"late": "Refused"}
    (reason,) = rig.service.describe("late").decision["reasons"]
    assert reason["constraint"] == "policy"
    assert "2026-06-01T09:00:00+00:00, which is past" in reason["detail"]
    plan = rig.service.plan(rig.intents(hour(make_manifest, "later", "b", EIGHT)))
    assert plan["decisions"][0]["decision"] == "refused"
    again = EIGHT + timedelta(hours=3)
    assert rig.apply(hour(make_manifest, "once", "a", again)) == {"once": "Admitted"}
    move(rig, clock, again)
    assert rig.phase("once") == "Active"


def test_a_controller_that_was_down_while_windows_turned_follows_the_clock(
    timed: Any, clock: Clock, make_rig: Any, make_manifest: Any, simulator: Simulator
) -> None:
    rig, nine = timed, EIGHT + timedelta(hours=1)
    rig.apply(hour(make_manifest, "one", "a", EIGHT), hour(make_manifest, "two", "b", nine))
    move(rig, clock, EIGHT)
    assert reached(rig, "a")
    rig.close()
    clock.now = nine
    heir = make_rig(now=clock)
    heir.reconciler.enqueue_all()
    heir.settle()
    assert [heir.phase(name) for name in ("one", "two")] == ["Suspended", "Active"]
    assert [reached(heir, site) for site in "ab"] == [False, True]


def test_a_slice_whose_switch_is_away_when_its_window_closes_goes_when_it_returns(
    timed: Any, clock: Clock, make_manifest: Any, simulator: Simulator
) -> None:
    rig = timed
    rig.apply(hour(make_manifest, "one", "a", EIGHT))
    move(rig, clock, EIGHT)
    simulator.set_connected("west", False)
    clock.now = EIGHT + timedelta(hours=1)
    rig.reconciler.follow_schedules()
    rig.settle(passes=3)
    status, reason, message = rig.condition("one", "Installed")
    assert (status, reason) == ("Unknown", "ScheduleOver")
    assert "not all removed yet" in message
    assert len(rig.service.holdings().slices) == 1
    simulator.set_connected("west", True)
    rig.settle()
    assert rig.slice_state() == []
    assert rig.service.holdings().slices == ()


def test_drift_checks_leave_windows_to_the_loop(timed: Any, clock: Clock, make_manifest: Any) -> None:
    rig = timed
    rig.apply(hour(make_manifest, "one", "a", EIGHT))
    move(rig, clock, EIGHT)
    clock.now = EIGHT + timedelta(hours=1)
    before = rig.programs()
    assert rig.drift.run().keys() == {"south"}
    assert rig.programs() == before
    assert rig.reconciler.follow_schedules() == ("one",)
    rig.settle()
    assert not reached(rig, "a")
    assert [check.repaired for check in rig.drift.run().values()] == [0] * 4


def test_a_store_that_is_away_when_a_window_opens_is_asked_again(
    timed: Any, clock: Clock, make_manifest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = timed
    rig.apply(hour(make_manifest, "one", "a", EIGHT))
    rig.settle()
    clock.now = EIGHT

    def broken(_: Store) -> None:
        raise CarelaneError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "read", broken)
        with pytest.raises(CarelaneError, match="disk"):
            rig.reconciler.follow_schedules()
    assert rig.reconciler.follow_schedules() == ("one",)


def test_a_window_is_changed_while_it_runs_and_while_it_waits(timed: Any, clock: Clock, make_manifest: Any) -> None:
    rig, later = timed, EIGHT + timedelta(hours=5)
    rig.apply(hour(make_manifest, "one", "a", EIGHT))
    rig.settle()
    rig.apply(hour(make_manifest, "one", "a", later))
    rig.settle()
    move(rig, clock, EIGHT)
    assert rig.phase("one") == "Suspended"
    assert "opens at 2026-06-01T13:00:00Z" in rig.condition("one", "Installed")[2]
    assert rig.apply(make_manifest("one", "west/a", "east/a", FULL_MBPS)) == {"one": "Admitted"}
    rig.settle()
    assert rig.phase("one") == "Active"
    rig.apply(hour(make_manifest, "one", "a", later))
    rig.settle()
    assert (rig.phase("one"), rig.slice_state()) == ("Suspended", [])


def test_a_drain_moves_what_opens_later_and_is_not_held_up_by_it(timed: Any, clock: Clock, make_manifest: Any) -> None:
    rig = timed
    rig.apply(hour(make_manifest, "one", "a", EIGHT), hour(make_manifest, "full", "b", EIGHT + timedelta(hours=1)))
    rig.apply(hour(make_manifest, "too", "c", EIGHT + timedelta(hours=1)))
    rig.settle()
    result = rig.service.drain("ne")
    assert (result.moved, len(result.staying), result.stuck) == (("one",), 1, ())
    rig.settle()
    assert rig.phase("one") == "Suspended"
    move(rig, clock, EIGHT)
    assert "north" not in rig.service.describe("one").decision["paths"][0]["nodes"]
    assert reached(rig, "a")
    move(rig, clock, EIGHT + timedelta(hours=1))
    with pytest.raises(ConflictError, match="1 slices would be left without a path") as conflict:
        rig.service.drain("se")
    assert "one" not in str(conflict.value)


def test_a_running_controller_takes_windows_by_itself(
    diamond: Topology, simulator: Simulator, make_manifest: Any, tmp_path: Path
) -> None:
    later = hour(make_manifest, "later", "b", datetime.now(UTC) + timedelta(days=1))
    with Controller(diamond, f"sqlite:///{tmp_path}/run.db", lambda _: simulator) as controller:
        service = controller.service
        service.apply(load_intents(later))
        for seconds in (2, 10, 50):  # on a busy machine a short window may be past before it is filed
            begun = datetime.now(UTC)
            over = scheduled(make_manifest("over", "west/a", "east/a"), begun, begun + timedelta(seconds=seconds))
            if service.apply(load_intents(over))[0].phase == "Admitted":
                break
        end = time.monotonic() + 120.0
        while [service.describe(name).summary.reason for name in ("over", "later")] != ["ScheduleOver", "Scheduled"]:
            assert time.monotonic() < end, "the windows were not followed"
            time.sleep(0.05)
        assert [item.phase for item in service.wait(["over", "later"], 60.0)] == ["Suspended", "Suspended"]
