"""The store on SQLite and on a real PostgreSQL server: what is written whole, what is refused, who waits for whom."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from carelane.errors import ConflictError, InputError, NotFoundError, PermanentError, StoreUnavailable
from carelane.intents.lifecycle import IntentStatus, Phase, advance
from carelane.store import Store
from carelane.store._engine import make_engine
from carelane.store._tables import Base


def _hold(store: Store, name: str, number: int, first_label: int) -> None:
    with store.write() as write:
        generation = write.file(name, "hospital", {"kind": "ServiceIntent"})
        write.hold(
            name, generation, number=number, first_label=first_label, labels=2, decision="{}",
            floors={("a", "l1"): 3_000_000_000 + number},
        )  # fmt: skip


def test_everything_written_comes_back_equal(database_url: str) -> None:
    moment = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
    store = Store(database_url, now=lambda: moment)
    manifest = {"metadata": {"name": "or1", "z": 1, "a": "远程手术"}, "figures": [0.1, 1e-7, 99.999, 2**60]}
    decision = {"name": "or1", "decision": "admitted", "availability": 0.9999931}
    with store.write() as write:
        assert write.file("or1", "county", manifest) == 1
        write.hold("or1", 1, number=7, first_label=16, labels=4, decision='{"x": 0.1}', floors={("a", "l"): 10**11})
        filed = write.intent("or1").status.standing
        admitted = advance(filed, Phase.ADMITTED, reason="Fits", message="m", at=moment)
        write.set_status("or1", admitted, decision=decision, observed_generation=1, attempts=3, next_retry_at=moment)
    store.close()

    reopened = Store(database_url)
    with reopened.read() as read:
        intent = read.intent("or1")
        (held,) = read.slices()
        history = read.history("or1")
    reopened.close()
    assert dict(intent.manifest) == manifest
    assert list(intent.manifest["metadata"]) == ["name", "z", "a"], "key order is part of the same bytes"
    assert intent.created_at == intent.status.next_retry_at == moment
    assert intent.status.decision == decision
    assert intent.status.standing == admitted
    assert (intent.phase, intent.status.attempts) == (Phase.ADMITTED, 3)
    assert (held.number, held.first_label, held.labels, held.decision) == (7, 16, 4, '{"x": 0.1}')
    assert dict(held.floors) == {("a", "l"): 10**11}
    assert [(event.phase_from, event.phase_to) for event in history] == [(None, "Requested"), ("Requested", "Admitted")]


def test_a_failed_transaction_leaves_nothing(database_url: str) -> None:
    store = Store(database_url)
    _hold(store, "kept", 1, 16)

    def fail_half_way() -> None:
        with store.write() as write:
            write.file("lost", "hospital", {})
            write.file("kept", "hospital", {"changed": True})
            write.release([held.id for held in write.slices()])
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail_half_way()
    with store.read() as read:
        assert [intent.name for intent in read.intents()] == ["kept"]
        assert read.intent("kept").generation == 1
        assert [held.number for held in read.slices()] == [1]
        with pytest.raises(NotFoundError, match="lost"):
            read.intent("lost")
    store.close()


def test_numbers_in_force_are_unique_and_retiring_ones_keep_their_capacity(database_url: str) -> None:
    store = Store(database_url)
    _hold(store, "one", 1, 16)
    with pytest.raises(ConflictError):
        _hold(store, "two", 1, 18)
    _hold(store, "one", 1, 20)
    with store.read() as read:
        assert [(held.first_label, held.retiring) for held in read.slices("one")] == [(16, True), (20, False)]
        assert all(held.floors for held in read.slices())
        old = read.slices("one")[0].id
    with store.write() as write:
        write.restore("one", old)
    with store.read() as read:
        assert [(held.first_label, held.retiring) for held in read.slices("one")] == [(16, False), (20, True)]
    with store.write() as write:
        write.release([held.id for held in write.slices() if held.retiring])
    with store.read() as read:
        assert [held.first_label for held in read.slices()] == [16]
    store.close()


def test_migrations_and_models_agree(database_url: str) -> None:
    store = Store(database_url)
    store.close()
    engine = make_engine(database_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


def test_a_database_of_a_newer_version_is_refused(database_url: str) -> None:
    Store(database_url).close()
    engine = make_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(PermanentError, match="another version of carelane"):
        Store(database_url)


def _start(url: str, name: str) -> None:
    store = Store(url)
    with store.write() as write:
        write.file(name, "hospital", {})
    store.close()


def test_processes_that_start_at_once_share_one_database(database_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=_start, args=(database_url, f"p{index}")) for index in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    store = Store(database_url)
    with store.read() as read:
        assert {intent.name for intent in read.intents()} == {"p0", "p1", "p2", "p3"}
    store.close()


def test_a_reader_sees_one_state_while_others_write(database_url: str) -> None:
    store = Store(database_url)
    _hold(store, "one", 1, 16)
    with store.read() as read:
        assert len(read.intents()) == 1
        thread = threading.Thread(target=_hold, args=(store, "two", 2, 18))
        thread.start()
        thread.join(30)
        assert len(read.slices()) == 1
    with store.read() as read:
        assert len(read.slices()) == 2
    store.close()


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense", "sqlite://", "sqlite:///:memory:", "sqlite+aiosqlite:///x"])
def test_other_urls_are_refused_with_what_is_expected(url: str) -> None:
    with pytest.raises(InputError, match="expected sqlite:///path or postgresql"):
        Store(url)


def test_a_server_that_is_not_there_is_a_transient_error(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        Store(f"postgresql+psycopg://carelane@/none?host={tmp_path}")


@pytest.mark.postgres
def test_a_connection_that_is_cut_is_transient_and_the_next_one_works(postgres: Callable[[str], str]) -> None:
    url = postgres("carelane_cut")
    store = Store(url)

    def write_while_cut() -> None:
        with store.write() as write:
            write.file("lost", "hospital", {})
            _cut_all_others(url)
            write.intents()

    with pytest.raises(StoreUnavailable):
        write_while_cut()
    with store.write() as write:
        write.file("kept", "hospital", {})
    with store.read() as read:
        assert [intent.name for intent in read.intents()] == ["kept"]
    store.close()


def _cut_all_others(url: str) -> None:
    killer = make_engine(url)
    others = "pid <> pg_backend_pid() AND datname = current_database()"
    with killer.begin() as connection:
        connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))
    killer.dispose()


def test_the_mark_differs_when_one_slice_replaces_another(database_url: str) -> None:
    """Also where the database gives the second the row number of the first."""
    store = Store(database_url)
    _hold(store, "first", 1, 16)
    with store.write() as write:
        before = write.slices_mark()
        write.release([held.id for held in write.slices()])
    _hold(store, "second", 1, 16)
    with store.read() as read:
        assert read.slices_mark() != before
    store.close()


def test_marks_change_with_the_state_of_their_intent_only(database_url: str) -> None:
    def standing(phase: Phase) -> IntentStatus:
        return IntentStatus(phase, phase.value, "", datetime(2026, 11, 1, tzinfo=UTC))

    store = Store(database_url)
    with store.write() as write:
        write.file("mine", "hospital", {})
        write.file("other", "hospital", {})
        write.file("gone", "elsewhere", {})
        write.set_status("gone", standing(Phase.WITHDRAWN))
    with store.read() as read:
        before = read.marks()
        assert read.marks(["gone", "mine"]).keys() == {"gone", "mine"}
        for name in ("gone", "nobody"):
            with pytest.raises(NotFoundError, match=name):
                read.marks(["mine", name], tenant="hospital")
    with store.write() as write:
        write.set_status("mine", standing(Phase.ADMITTED))
    with store.read() as read:
        after = read.marks(tenant="hospital")
    assert before.keys() == after.keys() == {"mine", "other"}
    assert {name for name in after if after[name] != before[name]} == {"mine"}
    store.close()
