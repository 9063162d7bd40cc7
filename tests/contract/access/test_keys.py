"""API keys: shown once, hashed, revoked, expired; the first one; and how much one caller may ask."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from carelane.api.auth import Buckets, KeyRing, Role
from carelane.cli._keys import run_key_recover
from carelane.errors import ForbiddenError, InputError, TooManyRequests, UnauthenticatedError
from carelane.store import Store

Door = Any
CHEAP = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)


@pytest.fixture
def store(tmp_path: Path) -> Any:
    opened = Store(f"sqlite:///{tmp_path}/keys.db")
    yield opened
    opened.close()


def test_a_key_is_shown_once_and_only_its_hash_is_kept(door: Door) -> None:
    made = door.call("admin", "POST", "/v1/keys", json={"label": "PACS", "role": "hospital-it", "tenant": "alpha"})
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    text = made.json()["key"]
    secret = text.split("_", 2)[2]
    assert len(secret) >= 43
    database = Path(door.controller._url.removeprefix("sqlite:///"))
    kept = database.read_bytes() + database.with_name(database.name + "-wal").read_bytes()
    assert made.json()["id"].encode() in kept
    assert text[20:].encode() not in kept
    listed = door.call("admin", "GET", "/v1/keys").text
    audit = door.call("admin", "GET", "/v1/audit?action=key.create").text
    assert secret not in listed + audit
    assert "argon2" not in listed + audit
    door.keys["made"] = text
    assert door.call("made", "GET", "/v1/whoami").json()["tenant"] == "alpha"
    assert door.call("admin", "DELETE", f"/v1/keys/{made.json()['id']}").json()["revoked_at"]
    assert door.call("made", "GET", "/v1/whoami").status_code == 401
    assert door.call("admin", "DELETE", f"/v1/keys/{made.json()['id']}").status_code == 200
    assert door.call("admin", "DELETE", "/v1/keys/nonesuch").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"label": "x", "role": "hospital-it"},
        {"label": "x", "role": "admin", "tenant": "alpha"},
        {"label": "x", "role": "engineer", "tenant": "alpha"},
        {"label": "x", "role": "king"},
        {"label": "", "role": "viewer"},
        {"label": "x", "role": "viewer", "expires_at": "2001-01-01T00:00:00Z"},
        {"label": "x", "role": "viewer", "more": 1},
        [],
    ],
)
def test_keys_that_make_no_sense_are_refused(door: Door, body: Any) -> None:
    answer = door.call("admin", "POST", "/v1/keys", json=body)
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:carelane:problem:input"


def test_a_key_ends_when_it_should(store: Store) -> None:
    moment = [datetime(2026, 1, 1, tzinfo=UTC)]
    ring = KeyRing(store, hasher=CHEAP, now=lambda: moment[0])
    key, text = ring.create(label="x", role=Role.VIEWER, expires_at=moment[0] + timedelta(hours=1))
    assert ring.verify(text).subject == f"key:{key.id}"
    moment[0] += timedelta(hours=1)
    with pytest.raises(UnauthenticatedError):
        ring.verify(text)


def test_a_revocation_elsewhere_holds_within_seconds(store: Store) -> None:
    clock = [0.0]
    here, there = KeyRing(store, hasher=CHEAP, clock=lambda: clock[0]), KeyRing(store, hasher=CHEAP)
    key, text = here.create(label="x", role=Role.VIEWER)
    here.verify(text)
    there.revoke(key.id)
    clock[0] += 5.1
    with pytest.raises(UnauthenticatedError):
        here.verify(text)


def test_nearly_the_key_is_not_the_key(store: Store) -> None:
    ring = KeyRing(store, hasher=CHEAP)
    _, text = ring.create(label="x", role=Role.VIEWER)
    for wrong in (text[:-1], text + "A", text[:-1] + ("A" if text[-1] != "A" else "B"), text.upper(), " " + text, ""):
        with pytest.raises(UnauthenticatedError):
            ring.verify(wrong)
    assert ring.verify(text).role is Role.VIEWER


def test_the_first_key_is_made_once_and_only_its_owner_can_read_it(store: Store, tmp_path: Path) -> None:
    ring, file = KeyRing(store, hasher=CHEAP), tmp_path / "state" / "admin.key"
    assert ring.first(file) is True
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ring.verify(file.read_text().strip()).role is Role.ADMIN
    assert ring.first(tmp_path / "other.key") is False
    assert not (tmp_path / "other.key").exists()
    with store.read() as read:
        assert [entry.action for entry in read.audit()] == ["key.create"]


def test_a_key_file_that_cannot_be_written_makes_no_key(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        KeyRing(store, hasher=CHEAP).first(tmp_path / "file" / "admin.key")
    with store.read() as read:
        assert read.api_keys() == ()


def test_a_bucket_fills_again_and_one_caller_does_not_empty_another_s() -> None:
    clock = [0.0]
    buckets = Buckets(2.0, 3, clock=lambda: clock[0])
    for _ in range(3):
        buckets.take("a")
    with pytest.raises(TooManyRequests) as refused:
        buckets.take("a")
    assert refused.value.retry_after_s == 1
    buckets.take("b")
    clock[0] += 0.5
    buckets.take("a")
    with pytest.raises(TooManyRequests):
        buckets.take("a")


def test_too_much_is_429_with_the_time_to_wait(open_door: Any) -> None:
    doors = open_door(rate_per_s=0.5, burst=3)
    door = next(doors)
    answers = [door.call("viewer", "GET", "/v1/whoami") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert int(answers[-1].headers["retry-after"]) in (1, 2)
    assert answers[-1].json()["type"] == "urn:carelane:problem:too-many-requests"
    assert door.call("engineer", "GET", "/v1/whoami").status_code == 200
    assert door.client.get("/healthz").status_code == 200
    doors.close()


def test_a_lost_admin_key_is_replaced_by_whoever_owns_the_store(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = KeyRing(store, hasher=CHEAP)
    lost, lost_text = ring.create(label="lost", role=Role.ADMIN)
    _, other_text = ring.create(label="desk", role=Role.VIEWER)
    url = str(store._engine.url)
    monkeypatch.setenv("CARELANE_KEY_FILE", str(tmp_path / "admin.key"))
    monkeypatch.setattr("carelane.cli._keys.os.geteuid", lambda: 12345)
    with pytest.raises(ForbiddenError, match="another account"):
        run_key_recover(url, revoke_admins=True)
    monkeypatch.undo()
    monkeypatch.setenv("CARELANE_KEY_FILE", str(tmp_path / "admin.key"))
    assert run_key_recover(url, revoke_admins=True) == 0
    assert stat.S_IMODE((tmp_path / "admin.key").stat().st_mode) == 0o600
    fresh = KeyRing(store, hasher=CHEAP)
    new = fresh.verify((tmp_path / "admin.key").read_text().strip())
    assert (new.role, new.tenant) == (Role.ADMIN, None)
    assert fresh.verify(other_text).role is Role.VIEWER
    with pytest.raises(UnauthenticatedError):
        fresh.verify(lost_text)
    with store.read() as read:
        entries = [(entry.action, entry.target, entry.subject[:6]) for entry in read.audit()]
    made = new.subject.removeprefix("key:")
    assert set(entries) == {("key.create", made, "local:"), ("key.revoke", lost.id, "local:")}


def test_where_there_is_no_store_no_key_is_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no store"):
        run_key_recover(f"sqlite:///{tmp_path}/none.db", revoke_admins=False)
    assert not (tmp_path / "none.db").exists()
