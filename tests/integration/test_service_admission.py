"""Many clients at once, on SQLite and on PostgreSQL: nothing is promised twice, and nothing is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from carelane.controller.reconcile.holdings import Holdings
from carelane.errors import StoreUnavailable
from carelane.store import Store
from carelane.topology.model import Topology

Manifest = Callable[..., str]
SITES = "abcdefghijklmnopqrst"


def over_booked(topology: Topology, holdings: Holdings) -> list[str]:
    """Ports on which more is reserved than the link has."""
    ledger = holdings.ledger(topology)
    return [
        f"{node} towards {port}"
        for node, port in ledger.floors
        if port in topology.links and ledger.reserved_bps((node, port)) > (topology.links[port].capacity_bps or 0)
    ]


def test_twenty_clients_on_a_bottleneck_never_over_book_it(
    make_rig: Any, database_url: str, make_manifest: Manifest
) -> None:
    rig = make_rig(database_url)
    documents = [make_manifest(f"n{site}", f"west/{site}", f"east/{site}", 15) for site in SITES]
    with ThreadPoolExecutor(20) as pool:
        phases = Counter(phase for answer in pool.map(rig.apply, documents) for phase in answer.values())
    assert sum(phases.values()) == 20
    assert 0 < phases["Admitted"] <= 2 * (100 // 15)
    assert phases["Refused"] == 20 - phases["Admitted"]
    with rig.store.read() as read:
        holdings = Holdings.of(read.slices())
    assert len(holdings.slices) == phases["Admitted"]
    assert over_booked(rig.topology, holdings) == []
    labels = [label for held in holdings.slices for label in range(held.ids.first_label, held.ids.first_label + 2)]
    assert len(set(labels)) == len(labels)
    rig.settle()
    settled = Counter(summary.phase for summary in rig.service.list())
    assert settled == {"Active": phases["Admitted"], "Refused": phases["Refused"]}
    # One at a time, the planner cannot admit more either: the last refused one still does not fit.
    refused = next(item.name for item in rig.service.list() if item.phase == "Refused")
    assert rig.apply(documents[SITES.index(refused[1])]) == {refused: "Refused"}


def test_clients_that_file_change_and_delete_the_same_names_leave_a_sound_store(
    make_rig: Any, database_url: str, make_manifest: Manifest
) -> None:
    rig = make_rig(database_url)

    def client(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(6):
            site = dice.choice("abcd")
            if dice.random() < 0.3:
                if any(item.name == f"n{site}" for item in rig.service.list()):
                    rig.service.delete(f"n{site}")
            else:
                rig.apply(make_manifest(f"n{site}", f"west/{site}", f"east/{site}", dice.choice([10, 30, 60])))
            rig.reconciler.work(timeout_s=0.0)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(client, range(8)))
    rig.settle()
    with rig.store.read() as read:
        holdings = Holdings.of(read.slices())
    assert over_booked(rig.topology, holdings) == []
    assert not [held for held in holdings.slices if held.retiring]
    running = {item.name for item in rig.service.list() if item.phase == "Active"}
    assert running == {held.name for held in holdings.slices}
    assert all(item.phase in ("Active", "Refused") for item in rig.service.list())
    assert all(check.repaired == 0 for check in rig.drift.run(["west", "east", "north", "south"]).values())


CHILD = """
import sys
from carelane.errors import StoreUnavailable
from carelane.store import Store
store = Store(sys.argv[1])
print("ready", flush=True)
number = 0
while True:
    number += 1
    print(number, flush=True)
    with store.write() as write:
        for half in ("left", "right"):
            name = f"{half}-{number}"
            write.file(name, "hospital", {"number": number})
            write.hold(name, 1, number=2 * number + (half == "right"), first_label=100 * number, labels=2,
                       decision="{}", floors={("a", "b"): number})
    if number % 3 == 0:
        with store.write() as write:
            for half in ("left", "right"):
                write.retire(f"{half}-{number}")
                write.release([held.id for held in write.slices(f"{half}-{number}")])
"""


def test_a_killed_process_leaves_no_half_of_anything(database_url: str) -> None:
    """kill -9 while transactions follow each other without pause, again and again on the same database."""
    for transactions in (2, 5, 9):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, database_url], stdout=subprocess.PIPE, env={**os.environ}, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        while int(child.stdout.readline()) <= transactions:
            pass
        os.kill(child.pid, signal.SIGKILL)
        child.wait(30)
        child.stdout.close()
        store = Store(database_url)
        with store.read() as read:
            numbers = Counter(intent.manifest["number"] for intent in read.intents())
            held = Counter(int(item.name.split("-")[1]) for item in read.slices())
            floors = {item.name: dict(item.floors) for item in read.slices()}
            histories = {name: len(read.history(name)) for name in floors}
        assert numbers, "the child should have come to write something"
        assert set(numbers.values()) == {2}
        assert set(held.values()) <= {2}
        assert set(numbers) - set(held) <= {number for number in numbers if number % 3 == 0}
        assert all(floor == {("a", "b"): int(name.split("-")[1])} for name, floor in floors.items())
        assert set(histories.values()) == {1}
        with store.write() as write:
            for item in write.slices():
                write.release([item.id])
        store.close()
        if database_url.startswith("sqlite"):
            Path(database_url.removeprefix("sqlite:///")).unlink()
        else:
            return


def test_two_controllers_on_one_database_share_the_work(
    make_rig: Any, database_url: str, make_manifest: Manifest
) -> None:
    """An intent filed through one process is installed by the other, which is never told of it."""
    facade, worker = make_rig(database_url), make_rig(database_url)
    facade.apply(make_manifest("one", "west/a", "east/a"))
    worker.reconciler.enqueue_unfinished()
    worker.settle()
    assert facade.phase("one") == "Active"
    facade.service.delete("one")
    worker.reconciler.enqueue_unfinished()
    worker.settle()
    assert facade.phase("one") == "Withdrawn"


def test_a_database_that_somebody_else_holds_is_waited_for_and_then_reported(
    make_rig: Any, database_url: str, make_manifest: Manifest
) -> None:
    """Another process sits in a transaction: filing says so, and the loop comes back to its work afterwards."""
    rig, other = make_rig(database_url, lock_timeout_s=0.2), make_rig(database_url)
    rig.apply(make_manifest("one", "west/a", "east/a"))
    with other.store.write():
        with pytest.raises(StoreUnavailable):
            rig.apply(make_manifest("two", "west/b", "east/b"))
        assert rig.reconciler.work(timeout_s=1.0)
        assert rig.phase("one") == "Admitted"
        assert rig.reconciler.queue.depth() == 1
    rig.settle()
    assert rig.phase("one") == "Active"
    assert [item.name for item in rig.service.list()] == ["one"]
