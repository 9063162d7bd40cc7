"""Filings that come together share a transaction: none waits for the disk alone, and none answers for another."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from carelane.controller.reconcile.admission import Desk, Rules
from carelane.controller.reconcile.desks import Desks
from carelane.controller.reconcile.filing import withdraw
from carelane.controller.reconcile.holdings import Holdings
from carelane.errors import ConflictError, NotFoundError, StoreUnavailable
from carelane.store import Writer
from carelane.topology.model import Topology

Rig = Any
Manifest = Callable[..., str]


class Crowd:
    """Filings that wait until all of them are there; `commits` counts the transactions they take."""

    def __init__(self, rig: Rig) -> None:
        self.rig, self.commits, self.lost = rig, 0, False
        self._write = rig.store.write
        rig.store.write = self._counted

    @contextmanager
    def _counted(self) -> Iterator[Writer]:
        with self._write() as write:
            yield write
            if self.lost:
                raise StoreUnavailable("the disk is full")
        self.commits += 1

    def file(self, calls: list[Callable[[], Any]]) -> list[Future[Any]]:
        """Start all of them while somebody else has the store, then let it go."""
        group = self.rig.service.filings._group
        with ThreadPoolExecutor(len(calls)) as pool, self._write():
            waiting = [pool.submit(call) for call in calls]
            while len(group._waiting) < len(calls):
                threading.Event().wait(0.001)
            self.commits = 0
        return waiting


@pytest.fixture
def crowd(rig: Rig) -> Crowd:
    return Crowd(rig)


def test_those_who_wait_share_one_transaction_and_each_is_stored(
    crowd: Crowd, make_manifest: Manifest, rig: Rig
) -> None:
    ends = [("west/a", "east/a"), ("west/b", "east/b"), ("west/c", "east/c")]
    done = crowd.file(
        [lambda n=n, e=e: rig.apply(make_manifest(f"one-{n}", *e)) for n, e in enumerate(ends)]  # type: ignore[misc]
    )
    assert [future.result() for future in done] == [{f"one-{n}": "Admitted"} for n in range(3)]
    assert crowd.commits == 1
    assert {row.name for row in rig.service.list()} == {"one-0", "one-1", "one-2"}
    rig.settle()
    assert rig.walk("west/b", "east/b").reached == ["east/b"]


def test_one_that_fails_undoes_itself_and_none_of_the_others(crowd: Crowd, make_manifest: Manifest, rig: Rig) -> None:
    def refuse(write: Writer, *_: object) -> None:
        write.note("bad", "Seen", "by the one that fails")
        raise ConflictError("somebody else has this session")

    def missing(_stored: object) -> Any:
        raise AssertionError("never asked")

    done = crowd.file(
        [
            lambda: rig.apply(make_manifest("good", "west/a", "east/a")),
            lambda: rig.service.apply(rig.intents(make_manifest("bad", "west/b", "east/b")), also=refuse),
            lambda: rig.service.change("nobody", missing),
            lambda: rig.apply(make_manifest("late", "west/b", "east/b")),
        ]
    )
    assert crowd.commits == 1
    assert isinstance(done[1].exception(), ConflictError)
    assert isinstance(done[2].exception(), NotFoundError)
    assert (done[0].result(), done[3].result()) == ({"good": "Admitted"}, {"late": "Admitted"})
    with rig.store.read() as read:
        assert {intent.name for intent in read.intents()} == {"good", "late"}
        assert {held.name for held in read.slices()} == {"good", "late"}
        assert read.history("bad") == ()
    assert rig.apply(make_manifest("bad", "west/c", "east/c")) == {"bad": "Admitted"}, "its name is free"


def test_when_the_database_fails_nobody_is_told_that_it_went_well(
    crowd: Crowd, make_manifest: Manifest, rig: Rig
) -> None:
    crowd.lost = True
    ends = [("west/a", "east/a"), ("west/b", "east/b"), ("west/c", "east/c")]
    done = crowd.file(
        [lambda n=n, e=e: rig.apply(make_manifest(f"one-{n}", *e)) for n, e in enumerate(ends)]  # type: ignore[misc]
    )
    assert [type(future.exception()) for future in done] == [StoreUnavailable] * 3
    assert rig.service.list() == ()
    crowd.lost = False
    assert rig.apply(make_manifest("one-0", "west/a", "east/a")) == {"one-0": "Admitted"}


def test_a_store_that_gives_no_turn_answers_everybody(make_rig: Any, make_manifest: Manifest) -> None:
    rig = make_rig(lock_timeout_s=0.2)
    with rig.store.write(), ThreadPoolExecutor(3) as pool:
        done = [pool.submit(rig.apply, make_manifest(f"one-{n}", "west/a", "east/a")) for n in range(3)]
        assert [type(future.exception(30)) for future in done] == [StoreUnavailable] * 3
    assert rig.apply(make_manifest("one-0", "west/a", "east/a")) == {"one-0": "Admitted"}


def test_more_than_fit_are_led_by_the_next_in_line(rig: Rig, make_manifest: Manifest, crowd: Crowd) -> None:
    rig.service.filings._group._most = 2
    same = make_manifest("one", "west/a", "east/a")
    done = crowd.file([lambda: rig.apply(same) for _ in range(7)])
    assert [future.result() for future in done] == [{"one": "Admitted"}] * 7
    assert crowd.commits == 4
    assert rig.service.describe("one").summary.generation == 1


@pytest.mark.parametrize("seed", range(3))
def test_a_kept_desk_knows_what_a_fresh_one_would(rig: Rig, make_manifest: Manifest, seed: int) -> None:
    """Whatever happens between filings, by whomever: the kept desk is either right or not used."""
    dice = random.Random(seed)
    desks: Desks = rig.service.filings._desks
    names = [f"one-{n}" for n in range(5)]
    kept = 0
    for _ in range(25):
        name, end = dice.choice(names), dice.choice("abc")
        match dice.choice(("file", "file", "file", "withdraw", "settle", "drain", "undrain", "fail")):
            case "file":
                rig.apply(make_manifest(name, f"west/{end}", f"east/{end}", dice.choice((5, 30, 60))))
            case "withdraw":
                with rig.store.write() as write:  # as another process would, without a word to this one
                    if write.find(name) is not None:
                        withdraw(write, name, rig.service._now())
            case "settle":
                rig.settle()
            case "drain":
                rig.service.drain("ne", force=True)
            case "undrain" if rig.service.drains():
                rig.service.undrain("ne")
            case "fail":
                with pytest.raises(ConflictError):
                    rig.service.apply(
                        rig.intents(make_manifest(name, "west/a", "east/b")),
                        also=lambda *_: (_ for _ in ()).throw(ConflictError("no")),
                    )
        with rig.store.write() as write:
            before = desks._desk
            desk = desks.of(write, [], rig.service._now())
            kept += desk is before
            fresh = Desk.of(rig.topology, write, rig.service._now(), Rules(rig.service.access))
            assert floors(desk) == floors(fresh) == floors_of(rig.topology, Holdings.of(write.slices()))
            assert sorted(map(repr, desk._used)) == sorted(map(repr, fresh._used))
            assert desk._running == fresh._running
            desks.seal(write)
    assert kept > 5, "and it is kept where nothing changed"


def floors(desk: Desk) -> dict[str, Any]:
    return {name: dict(desk.ledger.slice_floors(name)) for name in desk.ledger.names}


def floors_of(topology: Topology, holdings: Holdings) -> dict[str, Any]:
    ledger = holdings.ledger(topology)
    return {name: dict(ledger.slice_floors(name)) for name in ledger.names}
