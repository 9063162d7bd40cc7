"""Polling: each switch at its own moment, and none that waits for another."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from carelane.controller.southbound.counters import SwitchCounters
from carelane.controller.telemetry.poller import Poller
from carelane.errors import SwitchUnreachable


class Switches:
    """`late` answers when it may; `never` does not."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.asked: Counter[str] = Counter()

    def counters(self, node: str) -> SwitchCounters:
        self.asked[node] += 1
        if node == "late":
            self.free.wait(60)
        if node == "never":
            raise SwitchUnreachable("no confirmation within 5 s")
        return SwitchCounters(node, time.monotonic())


@pytest.fixture
def switches() -> Iterator[Switches]:
    made = Switches()
    yield made
    made.free.set()


def until_read(poller: Poller, node: str) -> None:
    end = time.monotonic() + 60
    while node not in poller.readings():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_late_switch_holds_up_nobody_and_is_not_asked_twice(switches: Switches) -> None:
    poller = Poller(switches, threading.Event().wait)
    for _ in range(3):
        poller.ask("late")
        poller.ask("prompt")
        until_read(poller, "prompt")
    assert set(poller.readings()) == {"prompt"}
    assert switches.asked["late"] == 1, "its answer is still due"
    switches.free.set()
    until_read(poller, "late")
    assert poller.errors()["late"] == (0, "")
    poller.close()


def test_a_switch_that_never_answers_is_counted_with_the_reason(switches: Switches) -> None:
    poller = Poller(switches, threading.Event().wait)
    for _ in range(2):
        poller.refresh(["never", "prompt"], 60)
    assert poller.errors() == {"never": (2, "no confirmation within 5 s"), "prompt": (0, "")}
    assert "never" not in poller.readings(), "no reading is no zero"
    poller.close()


def test_an_interval_is_divided_among_the_switches(switches: Switches) -> None:
    waits: list[float] = []

    def pause(seconds: float) -> bool:
        waits.append(seconds)
        return False

    poller = Poller(switches, pause)
    poller.spread([f"s{n}" for n in range(4)], 1000.0)  # so long that what this machine takes meanwhile is nothing
    assert waits == pytest.approx([0, 250, 500, 750, 1000], abs=60)
    poller.close()
