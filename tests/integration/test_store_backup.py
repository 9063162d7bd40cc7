"""Backup and restore: the same store on either database, and nothing half restored."""

from __future__ import annotations

import gzip
import stat
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from carelane.errors import ConflictError, InputError, PermanentError
from carelane.intents.lifecycle import Phase, advance
from carelane.store import Store, backup
from carelane.store._engine import make_engine
from carelane.store.backup import back_up

MOMENT = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
MANIFEST = {"metadata": {"name": "or1", "z": 1, "a": "远程手术"}, "figures": [0.1, 1e-7, 2**60]}


def filled(url: str) -> str:
    """Two intents: one decided and holding capacity, one only filed (its decision is SQL's NULL)."""
    store = Store(url, now=lambda: MOMENT)
    with store.write() as write:
        write.file("or1", "county", MANIFEST)
        write.hold("or1", 1, number=7, first_label=16, labels=4, decision='{"x": 0.1}', floors={("a", "l"): 10**11})
        admitted = advance(write.intent("or1").status.standing, Phase.ADMITTED, reason="Fits", message="m", at=MOMENT)
        write.set_status("or1", admitted, decision={"a": 0.1}, observed_generation=1, attempts=3, next_retry_at=MOMENT)
        write.file("or2", "county", {})
    store.close()
    return url


def restore(url: str, source: Path, *, force: bool = False) -> backup.BackupReport:
    return backup.restore(url, source, subject="local:test", force=force)


def content(url: str) -> list[Any]:
    store = Store(url)
    with store.read() as read:
        found = [read.intents(), read.slices(), read.history("or1"), read.history("or2")]
    store.close()
    return found


def scalar(url: str, sql: str) -> Any:
    engine = make_engine(url)
    with engine.connect() as connection:
        value = connection.scalar(text(sql))
    engine.dispose()
    return value


def test_a_restored_store_is_the_same_and_goes_on_counting(database_url: str, tmp_path: Path) -> None:
    filled(database_url)
    before = content(database_url)
    copy = tmp_path / "copy.carelane"
    report = back_up(database_url, copy)
    assert report.rows.items() >= {"intents": 2, "slices": 1, "history": 3, "reservations": 1, "status": 2}.items()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600

    with pytest.raises(ConflictError, match="not empty"):
        restore(database_url, copy)
    store = Store(database_url)
    with store.write() as write:
        write.file("later", "county", {})
    store.close()
    assert restore(database_url, copy, force=True) == report
    assert content(database_url) == before
    store = Store(database_url)
    with store.read() as read:
        (entry,) = read.audit(action="store.restore")
    store.close()
    assert (entry.subject, entry.role, (entry.after or {})["taken_at"]) == ("local:test", "admin", report.taken_at)
    assert scalar(database_url, "SELECT count(*) FROM status WHERE decision IS NULL") == 1
    assert str(scalar(database_url, "SELECT CAST(manifest AS TEXT) FROM intents WHERE name = 'or1'")).startswith(
        '{"metadata":{"name":"or1","z":1'
    ), "documents come back to the byte"
    store = Store(database_url)
    with store.write() as write:  # numbers that the database hands out itself must not clash
        write.file("new", "county", {})
        write.hold("new", 1, number=8, first_label=32, labels=2, decision="{}", floors={})
    store.close()


@pytest.mark.postgres
@pytest.mark.parametrize("to_postgres", [True, False])
def test_a_backup_moves_between_databases(postgres: Callable[[str], str], tmp_path: Path, to_postgres: bool) -> None:
    lite, post = f"sqlite:///{tmp_path}/lite.db", postgres("carelane_moved")
    source, target = (lite, post) if to_postgres else (post, lite)
    back_up(filled(source), tmp_path / "copy")
    restore(target, tmp_path / "copy")
    assert content(target) == content(source)
    back_up(target, tmp_path / "again")
    copy, again = (gzip.decompress((tmp_path / name).read_bytes()).splitlines()[1:-1] for name in ("copy", "again"))
    assert copy == [line for line in again if b"store.restore" not in line], "the way there and back changes no byte"
    assert len(again) == len(copy) + 1, "and adds the entry that tells of it"


def test_a_backup_under_writers_is_one_state(database_url: str, tmp_path: Path) -> None:
    """Each writer's transaction adds an intent and its slice; no backup holds one without the other."""
    store = Store(database_url)
    stop = threading.Event()

    def file() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with store.write() as write:
                write.file(f"i{number}", "t", {})
                write.hold(f"i{number}", 1, number=number, first_label=16 * number, labels=2, decision="{}", floors={})

    thread = threading.Thread(target=file)
    thread.start()
    try:
        rows = [back_up(database_url, tmp_path / f"b{n}").rows for n in range(5)]
    finally:
        stop.set()
        thread.join()
        store.close()
    assert all(row["intents"] == row["slices"] == row["status"] for row in rows)
    restore(f"sqlite:///{tmp_path}/other.db", tmp_path / "b4")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[: len(data) // 2], "not a whole backup"),
        (lambda data: gzip.compress(b"".join(gzip.decompress(data).splitlines(keepends=True)[:-1])), "count of rows"),
        (lambda data: gzip.compress(b'{"carelane_backup":99}\n'), "not a backup that this version reads"),
        (lambda _: b"not gzip at all", "not a whole backup"),
        (lambda data: gzip.compress(gzip.decompress(data).replace(b'["history"', b'["users"')), "'users' is not one"),
        (lambda data: gzip.compress(gzip.decompress(data).replace(b'"tenant"', b'"tenent"')), "'tenant'"),
    ],
)
def test_a_damaged_backup_changes_nothing(tmp_path: Path, damage: Callable[[bytes], bytes], message: str) -> None:
    source, target = filled(f"sqlite:///{tmp_path}/a.db"), filled(f"sqlite:///{tmp_path}/b.db")
    before = content(target)
    back_up(source, tmp_path / "copy")
    (tmp_path / "copy").write_bytes(damage((tmp_path / "copy").read_bytes()))
    with pytest.raises(InputError, match=message):
        restore(target, tmp_path / "copy", force=True)
    assert content(target) == before


def test_a_newer_version_s_backup_is_refused(tmp_path: Path) -> None:
    back_up(filled(f"sqlite:///{tmp_path}/a.db"), tmp_path / "copy")
    head, rest = gzip.decompress((tmp_path / "copy").read_bytes()).split(b"\n", 1)
    revision = scalar(f"sqlite:///{tmp_path}/a.db", "SELECT version_num FROM alembic_version")
    newer = head.replace(f'"{revision}"'.encode(), b'"m9999"')
    (tmp_path / "newer").write_bytes(gzip.compress(newer + b"\n" + rest))
    with pytest.raises(PermanentError, match="another version"):
        restore(f"sqlite:///{tmp_path}/b.db", tmp_path / "newer")


def test_no_backup_of_what_is_not_there_nor_over_another(tmp_path: Path) -> None:
    missing = tmp_path / "missing.db"
    with pytest.raises(InputError, match="no database"):
        back_up(f"sqlite:///{missing}", tmp_path / "copy")
    assert not missing.exists()
    (tmp_path / "copy").write_text("precious")
    with pytest.raises(InputError, match="exists already"):
        back_up(filled(f"sqlite:///{tmp_path}/a.db"), tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "precious"
