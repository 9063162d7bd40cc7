"""Calls that change something: once and not twice, from the present state and not an older one, and on the record."""

from __future__ import annotations

import concurrent.futures
from typing import Any

import pytest
from sqlalchemy import text

from carelane.errors import ConflictError
from carelane.store import Store

Door = Any


def test_a_request_that_comes_again_is_carried_out_once(door: Door) -> None:
    key = {"headers": {"idempotency-key": "first-try"}}
    first = door.file("it@alpha", "once", "alpha", **key)
    again = door.file("it@alpha", "once", "alpha", **key)
    assert first.json() == again.json()
    assert "idempotent-replay" not in first.headers
    assert again.headers["idempotent-replay"] == "true"
    assert first.json()["intents"][0]["outcome"] == "created", "the second answer says so too: it is the first one's"
    other = door.file("it@alpha", "another", "alpha", **key)
    assert other.status_code == 409
    assert door.call("it@alpha", "GET", "/v1/intents/another").status_code == 404
    theirs = door.file("it@bravo", "once-b", "bravo", **key)
    assert theirs.status_code == 200, "keys belong to who sent them"
    entries = door.call("it@alpha", "GET", "/v1/audit?target=once").json()["entries"]
    assert len(entries) == 1


def test_at_once_from_many_sides_it_is_still_once(door: Door) -> None:
    def send(_number: int) -> tuple[int, str]:
        answer = door.file("it@alpha", "rush", "alpha", headers={"idempotency-key": "rush"})
        return answer.status_code, answer.text

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(send, range(16)))
    assert len(answers) == 1
    assert answers.pop()[0] == 200
    assert len(door.call("it@alpha", "GET", "/v1/audit?target=rush").json()["entries"]) == 1


def test_no_update_is_lost(door: Door, make_intent: Any) -> None:
    door.file("it@alpha", "tagged", "alpha")
    tag = door.call("it@alpha", "GET", "/v1/intents/tagged").headers["etag"]
    patch = {"spec": {"objectives": {"bandwidth": "20Mbps"}}}
    first = door.call("it@alpha", "PATCH", "/v1/intents/tagged", json=patch, headers={"if-match": tag})
    assert first.status_code == 200
    assert first.headers["etag"] != tag
    late = door.call("it@alpha", "PATCH", "/v1/intents/tagged", json=patch, headers={"if-match": tag})
    assert late.status_code == 412
    assert door.call("it@alpha", "DELETE", "/v1/intents/tagged", headers={"if-match": tag}).status_code == 412
    again = make_intent("tagged", "alpha", 5)
    for body in (again, [again]):
        filed = door.call("it@alpha", "POST", "/v1/intents", json=body, headers={"if-match": tag})
        assert filed.status_code == 412, "a whole manifest loses no update either"
    unheard = door.call(
        "it@alpha", "POST", "/v1/intents", json=make_intent("unheard", "alpha"), headers={"if-match": "*"}
    )
    assert unheard.status_code == 412
    both = [again, make_intent("unheard", "alpha")]
    assert door.call("it@alpha", "POST", "/v1/intents", json=both, headers={"if-match": "*"}).status_code == 422
    assert door.call("it@alpha", "GET", "/v1/intents/unheard").status_code == 404
    detail = door.call("it@alpha", "GET", "/v1/intents/tagged").json()
    assert detail["manifest"]["spec"]["objectives"]["bandwidth"] == "20Mbps"
    assert detail["summary"]["generation"] == 2
    fresh = {"if-match": first.headers["etag"]}
    assert door.call("it@alpha", "DELETE", "/v1/intents/tagged", headers=fresh).status_code == 202


def test_a_patch_changes_what_it_names_and_removes_what_is_null(door: Door) -> None:
    door.file("it@alpha", "patched", "alpha")
    patch = {"spec": {"burst": "6KB", "objectives": {"loss": None, "delay": "80ms"}}}
    answer = door.call("it@alpha", "PATCH", "/v1/intents/patched", json=patch)
    assert answer.json()["outcome"] == "changed"
    spec = door.call("it@alpha", "GET", "/v1/intents/patched").json()["manifest"]["spec"]
    assert spec["burst"] == "6KB"
    assert spec["objectives"] == {"delay": "80ms", "availability": "none", "bandwidth": "10Mbps"}
    for bad in ([], {"spec": {"from": ["nowhere"]}}, {"spec": {"bandwith": 3}}, {"metadata": {"name": "x"}}):
        assert door.call("it@alpha", "PATCH", "/v1/intents/patched", json=bad).status_code == 422
    deep: Any = {}
    for _ in range(200):
        deep = {"spec": deep}
    assert door.call("it@alpha", "PATCH", "/v1/intents/patched", json=deep).status_code == 422


def test_an_offer_is_accepted_in_one_call(door: Door) -> None:
    row = door.file("it@alpha", "greedy", "alpha", 3000).json()["intents"][0]
    assert row["admitted"] is False
    offers = row["decision"]["offers"]
    answer = door.call("it@alpha", "POST", "/v1/intents/greedy/offers/0")
    assert answer.status_code == 200, answer.text
    assert answer.json()["admitted"] is True, answer.text
    (path, *_) = answer.json()["decision"]["paths"]
    assert path["reserved_mbps"] <= offers[0]["reserved_mbps"]
    assert door.call("it@alpha", "POST", "/v1/intents/greedy/offers/7").status_code == 404
    door.call("it@alpha", "DELETE", "/v1/intents/greedy")
    assert door.call("it@alpha", "POST", "/v1/intents/greedy/offers/0").status_code in (404, 409)
    door.controller.service.wait(["greedy"], 20)  # until it is off the switches it holds its place


def test_an_offer_of_another_time_is_accepted_with_the_times_it_names(door: Door, make_intent: Any) -> None:
    def scheduled(name: str) -> dict[str, Any]:
        made: dict[str, Any] = make_intent(name, "alpha", 900)
        made["spec"]["schedule"] = {"start": "2090-01-01T08:00:00+08:00", "end": "2090-01-01T09:00:00+08:00"}
        return made

    names = ["early-1", "early-2", "early-3"]
    rows = [door.call("it@alpha", "POST", "/v1/intents", json=scheduled(name)).json()["intents"][0] for name in names]
    assert [row["admitted"] for row in rows] == [True, True, False]
    offers = rows[2]["decision"]["offers"]
    assert [offer["schedule"]["start"] for offer in offers if offer["relaxed"] != "schedule"] == [
        "2090-01-01T08:00:00+08:00"
    ]
    index = next(place for place, offer in enumerate(offers) if offer["relaxed"] == "schedule")
    answer = door.call("it@alpha", "POST", f"/v1/intents/early-3/offers/{index}")
    assert answer.json()["admitted"] is True, answer.text
    detail = door.call("it@alpha", "GET", "/v1/intents/early-3").json()
    assert detail["manifest"]["spec"]["schedule"] == {
        "start": "2090-01-01T09:00:00+08:00",
        "end": "2090-01-01T10:00:00+08:00",
    }
    assert detail["manifest"]["spec"]["objectives"]["bandwidth"] == "900Mbps"
    for name in names:
        assert door.call("it@alpha", "DELETE", f"/v1/intents/{name}").status_code == 202
    door.controller.service.wait(names, 20)


def test_who_what_before_after_and_which_request(door: Door) -> None:
    door.file("it@bravo", "told", "bravo", headers={"x-request-id": "req-1"})
    patch = {"spec": {"objectives": {"bandwidth": "11Mbps"}}}
    assert (
        door.call("engineer", "PATCH", "/v1/intents/told", json=patch, headers={"x-request-id": "req-2"}).headers[
            "x-request-id"
        ]
        == "req-2"
    )
    door.call("it@bravo", "DELETE", "/v1/intents/told", headers={"x-request-id": "not an id"})
    gone, changed, made = door.call("engineer", "GET", "/v1/audit?target=told").json()["entries"]
    assert [entry["action"] for entry in (made, changed, gone)] == ["intent.file", "intent.file", "intent.withdraw"]
    assert (made["request_id"], changed["request_id"]) == ("req-1", "req-2")
    assert len(gone["request_id"]) == 32
    assert (made["role"], changed["role"], made["tenant"]) == ("hospital-it", "engineer", "bravo")
    assert made["before"] is None
    assert changed["before"]["manifest"]["spec"]["objectives"]["bandwidth"] == "10Mbps"
    assert changed["after"]["manifest"]["spec"]["objectives"]["bandwidth"] == "11Mbps"
    mine = door.call("it@bravo", "GET", "/v1/whoami").json()["subject"]
    assert made["subject"] == mine
    assert door.call("engineer", "GET", f"/v1/audit?subject={mine}&limit=1").json()["next_cursor"] == str(gone["id"])
    assert door.call("viewer", "GET", "/v1/audit").status_code == 403


def test_lists_are_paged_and_filtered(door: Door) -> None:
    for number in range(5):
        door.file("it@alpha", f"page-{number}", "alpha", 1)
    seen: list[str] = []
    cursor, page = "", {}
    for _ in range(3):
        page = door.call("it@alpha", "GET", f"/v1/intents?prefix=page-&limit=2{cursor}").json()
        seen += [row["name"] for row in page["intents"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [f"page-{number}" for number in range(5)]
    assert page["next_cursor"] is None
    assert door.call("it@alpha", "GET", "/v1/intents?prefix=page-&phase=Refused").json()["intents"] == []
    assert door.call("it@alpha", "GET", "/v1/intents?service=remote-surgery").json()["intents"] == []
    found = door.call("engineer", "GET", "/v1/intents?service=remote-consultation&tenant=alpha&prefix=page-").json()
    assert len(found["intents"]) == 5
    assert door.file("it@bravo", "page-bravo", "bravo", 1).status_code == 200
    named = door.call("it@alpha", "GET", "/v1/intents?name=page-3&name=page-1&name=page-bravo&name=nobody").json()
    assert [row["name"] for row in named["intents"]] == ["page-1", "page-3"]
    newest = door.call("it@alpha", "GET", "/v1/intents/page-0/history?limit=1").json()
    assert len(newest["history"]) == 1
    assert newest["next_cursor"] == str(newest["history"][0]["id"])
    rest = door.call("it@alpha", "GET", f"/v1/intents/page-0/history?cursor={newest['next_cursor']}").json()
    assert all(step["id"] < newest["history"][0]["id"] for step in rest["history"])
    for query in ("limit=0", "limit=1001", "phase=Nonsense"):
        assert door.call("it@alpha", "GET", f"/v1/intents?{query}").status_code == 422


def test_capacity_shows_each_hospital_its_own(door: Door) -> None:
    door.file("it@bravo", "wide", "bravo", 100)
    whole = door.call("engineer", "GET", "/v1/capacity").json()["links"]
    own = door.call("it@bravo", "GET", "/v1/capacity").json()["links"]
    others = door.call("it@alpha", "GET", "/v1/capacity").json()["links"]
    total = sum(row["reserved_mbps"] for row in whole)
    assert total == pytest.approx(sum(row["reserved_mbps"] for row in own + others))
    assert sum(row["reserved_mbps"] for row in own) >= 200
    assert all(row["free_mbps"] == pytest.approx(row["capacity_mbps"] - row["reserved_mbps"]) for row in whole)
    door.call("it@bravo", "DELETE", "/v1/intents/wide")


@pytest.mark.parametrize("statement", ["UPDATE audit SET subject = 'nobody'", "DELETE FROM audit"])
def test_the_audit_cannot_be_rewritten(database_url: str, statement: str) -> None:
    store = Store(database_url)
    entry = {"subject": "a", "role": "admin", "tenant": None, "action": "x", "target": "t", "request_id": "r"}
    with store.write() as write:
        write.record_audit(**entry, before={"n": 1}, after=None)
    with pytest.raises(ConflictError, match="append-only"), store.write() as write:
        write._session.execute(text(statement))
    with store.read() as read:
        (kept,) = read.audit()
    assert (kept.subject, kept.before, kept.after) == ("a", {"n": 1}, None)
    store.close()
