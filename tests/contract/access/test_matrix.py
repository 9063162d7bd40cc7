"""Every route, as every role, for both tenants. A route that is missing here fails the first test."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.routing import APIRoute
from starlette.routing import Mount

Door = Any
PEOPLE = ("viewer", "viewer@alpha", "it@alpha", "it@bravo", "engineer", "admin")
EVERYBODY = frozenset(PEOPLE)
UNBOUND = frozenset({"viewer", "engineer", "admin"})
FILERS = frozenset({"it@alpha", "it@bravo", "engineer", "admin"})
ENGINEERS = frozenset({"engineer", "admin"})
AUDITORS = ENGINEERS | {"viewer@alpha", "it@alpha", "it@bravo"}
ADMINS = frozenset({"admin"})
OPEN = {"/healthz", "/readyz", "/leaderz", "/metrics", "/docs", "/", "/static/{name:path}"}


@dataclass(frozen=True)
class Row:
    """A route, who may use it, and a request that would change nothing if it were let in by mistake."""

    method: str
    route: str
    allowed: frozenset[str]
    body: Any = None

    @property
    def path(self) -> str:
        values = {
            "{name}": "none-such",
            "{index}": "0",
            "{target:path}": "none-such",
            "{key_id}": "nonesuch",
            "{session_id}": "00000000-0000-4000-8000-000000000000",
        }
        path = self.route
        for field, value in values.items():
            path = path.replace(field, value)
        return path


MATRIX = [
    Row("GET", "/v1/whoami", EVERYBODY),
    Row("POST", "/v1/intents", FILERS, []),
    Row("GET", "/v1/intents", EVERYBODY),
    Row("GET", "/v1/intents/{name}", EVERYBODY),
    Row("PATCH", "/v1/intents/{name}", FILERS, {}),
    Row("DELETE", "/v1/intents/{name}", FILERS),
    Row("GET", "/v1/intents/{name}/history", EVERYBODY),
    Row("POST", "/v1/intents/{name}/offers/{index}", FILERS),
    Row("POST", "/v1/plans", EVERYBODY, []),
    Row("GET", "/v1/plans/{name}", EVERYBODY),
    Row("POST", "/v1/diff", ENGINEERS, []),
    Row("POST", "/v1/what-if", ENGINEERS, {}),
    Row("GET", "/v1/verification", ENGINEERS),
    Row("GET", "/v1/drains", ENGINEERS),
    Row("POST", "/v1/drains/{target:path}", ENGINEERS, {}),
    Row("DELETE", "/v1/drains/{target:path}", ENGINEERS),
    Row("POST", "/v1/reoptimise", ENGINEERS, {}),
    Row("GET", "/v1/topology", EVERYBODY),
    Row("GET", "/v1/topology/check", UNBOUND),
    Row("GET", "/v1/capacity", EVERYBODY),
    Row("GET", "/v1/catalogue", EVERYBODY),
    Row("GET", "/v1/controllers", EVERYBODY),
    Row("GET", "/v1/intents/{name}/compliance", EVERYBODY),
    Row("GET", "/v1/compliance", EVERYBODY),
    Row("GET", "/v1/consultations", EVERYBODY),
    Row("POST", "/v1/probes", FILERS, {}),
    Row("GET", "/v1/events", EVERYBODY),
    Row("GET", "/v1/audit", AUDITORS),
    Row("GET", "/v1/access", ENGINEERS),
    Row("GET", "/v1/keys", ADMINS),
    Row("POST", "/v1/keys", ADMINS, {}),
    Row("DELETE", "/v1/keys/{key_id}", ADMINS),
]
STREAMS = {"/v1/events"}
QOD, PROFILES = "/quality-on-demand/v1", "/qos-profiles/v1"
MATRIX += [
    Row("POST", QOD + "/sessions", FILERS, {}),
    Row("GET", QOD + "/sessions/{session_id}", EVERYBODY),
    Row("DELETE", QOD + "/sessions/{session_id}", FILERS),
    Row("POST", QOD + "/sessions/{session_id}/extend", FILERS, {}),
    Row("POST", QOD + "/retrieve-sessions", EVERYBODY, {}),
    Row("POST", PROFILES + "/retrieve-qos-profiles", EVERYBODY, {}),
    Row("GET", PROFILES + "/qos-profiles/{name}", EVERYBODY),
]
KINDS = {
    401: ("urn:carelane:problem:unauthenticated", "UNAUTHENTICATED"),
    403: ("urn:carelane:problem:forbidden", "PERMISSION_DENIED"),
}


def kind(answer: Any) -> str:
    """The type of a problem, or the code of a CAMARA error."""
    body = answer.json()
    return str(body.get("type", body.get("code")))


def test_no_route_is_missing_and_only_the_listed_ones_are_open(door: Door) -> None:
    found = list(routes(door.app))
    served = {
        (method, path)
        for path, route in found
        if isinstance(route, APIRoute) and path not in OPEN
        for method in route.methods or ()
    }
    assert served == {(row.method, row.route) for row in MATRIX}
    assert {path for path, route in found if not isinstance(route, APIRoute)} <= {"/openapi.json"}


def routes(app: Any, base: str = "") -> Iterator[tuple[str, Any]]:
    """Of the application, and of those that are mounted in it."""
    for route in app.routes:
        if isinstance(route, Mount):
            yield from routes(route.app, base + route.path)
        else:
            yield base + getattr(route, "path", ""), route


@pytest.mark.parametrize("row", MATRIX, ids=lambda row: f"{row.method} {row.route}")
def test_every_role_is_let_in_exactly_where_it_may(door: Door, row: Row) -> None:
    answer = door.call(None, row.method, row.path, json=row.body)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert kind(answer) in KINDS[401]
    for who in PEOPLE:
        if row.route in STREAMS and who in row.allowed:
            continue  # an open stream never ends; `test_events` reads it
        answer = door.call(who, row.method, row.path, json=row.body)
        if who in row.allowed:
            assert answer.status_code not in (401, 403), (who, answer.text)
            assert answer.status_code < 500, (who, answer.text)
        else:
            assert answer.status_code == 403, (who, answer.status_code)
            assert kind(answer) in KINDS[403]


@pytest.mark.parametrize("row", MATRIX, ids=lambda row: f"{row.method} {row.route}")
@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer nonsense",
        "Basic YWRtaW46YWRtaW4=",
        "Bearer carelane_aaaaaaaaaaaa_" + "A" * 43,
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.",
    ],
)
def test_a_wrong_credential_opens_nothing(door: Door, row: Row, header: str) -> None:
    answer = door.call(None, row.method, row.path, json=row.body, headers={"authorization": header})
    assert answer.status_code in (401, 429)


@pytest.fixture(scope="module")
def bravos(door: Door) -> Iterator[str]:
    """An intent of bravo, admitted, changed and refused once, with all that leaves behind."""
    assert door.file("it@bravo", "bravo-surgery", "bravo").status_code == 200
    refused = door.file("it@bravo", "bravo-greedy", "bravo", 5000).json()["intents"][0]
    assert refused["admitted"] is False
    patch = {"spec": {"objectives": {"bandwidth": "12Mbps"}}}
    assert door.call("it@bravo", "PATCH", "/v1/intents/bravo-surgery", json=patch).status_code == 200
    yield "bravo-surgery"
    door.call("it@bravo", "DELETE", "/v1/intents/bravo-surgery")


@pytest.mark.parametrize(
    "row", [row for row in MATRIX if (row.method, row.route[:4]) == ("GET", "/v1/")], ids=lambda row: row.route
)
@pytest.mark.parametrize("who", ["it@alpha", "viewer@alpha"])
def test_a_reader_of_one_hospital_sees_nothing_of_the_other(door: Door, bravos: str, who: str, row: Row) -> None:
    """Whatever belongs to bravo has its name in it, so the answers must not."""
    if row.route in STREAMS:
        pytest.skip("test_events")
    path = row.route.replace("{name}", bravos)
    own = door.call("it@bravo", "GET", path)
    if row.route != "/v1/topology/check" and who in row.allowed and "{name}" in row.route:
        assert own.status_code == 200, "the owner does see it"
    answer = door.call(who, "GET", path)
    if "{name}" in row.route:
        assert answer.status_code == 404
        assert answer.json()["detail"] == f"there is no intent named {bravos!r}", "no more than for a name unheard of"
    for query in ("", "?tenant=bravo", "?prefix=bravo", "?subject=" + "key", "?withdrawn=true", "?target=" + bravos):
        if "{name}" not in row.route:
            assert "bravo" not in door.call(who, "GET", path + query).text, path + query


def test_metrics_name_tenants_only_to_those_who_see_all_of_them(door: Door, bravos: str) -> None:
    door.controller.service.wait([bravos], 20)
    end = time.monotonic() + 20
    while bravos not in door.call("viewer", "GET", "/metrics").text:
        assert time.monotonic() < end, "the loop tells of it"
        time.sleep(0.05)
    for who in (None, "viewer@alpha", "it@alpha", "it@bravo"):
        answer = door.call(who, "GET", "/metrics")
        assert answer.status_code == 200
        assert 'carelane_intents{phase="Active"}' in answer.text
        assert "bravo" not in answer.text, who
        assert "carelane_port_sent_bytes" not in answer.text, "how much a hospital sends is nobody else's business"
        accept = {"accept": "application/openmetrics-text; version=1.0.0"}
        assert "bravo" not in door.call(who, "GET", "/metrics", headers=accept).text
    wrong = door.call(None, "GET", "/metrics", headers={"authorization": "Bearer nonsense"})
    assert wrong.status_code == 401, "a scraper whose key was revoked is told, not served less"


def test_a_hospital_changes_nothing_of_the_other(door: Door, bravos: str, make_intent: Any) -> None:
    before = door.call("it@bravo", "GET", f"/v1/intents/{bravos}").json()
    patch = {"spec": {"objectives": {"bandwidth": "1Mbps"}}}
    for method, path, body in (
        ("PATCH", f"/v1/intents/{bravos}", patch),
        ("DELETE", f"/v1/intents/{bravos}", None),
        ("POST", "/v1/intents/bravo-greedy/offers/0", None),
    ):
        assert door.call("it@alpha", method, path, json=body).status_code == 404
    assert door.file("it@alpha", "stolen", "bravo").status_code == 422, "its endpoints are unknown to alpha"
    claimed = make_intent("stolen", "alpha")
    claimed["metadata"]["tenant"] = "bravo"
    assert door.call("it@alpha", "POST", "/v1/intents", json=claimed).status_code == 403
    assert door.call("it@alpha", "POST", "/v1/plans", json=claimed).status_code == 403
    taken = make_intent(bravos, "alpha")
    answer = door.call("it@alpha", "POST", "/v1/intents", json=taken)
    assert answer.status_code == 409
    assert "bravo" not in answer.text.replace(bravos, "")
    after = door.call("it@bravo", "GET", f"/v1/intents/{bravos}").json()
    for part in ("manifest", "decision", "running_generation"):
        assert after[part] == before[part]


def test_only_own_and_common_endpoints_may_appear(door: Door, make_intent: Any) -> None:
    foreign = make_intent("reach", "alpha")
    foreign["spec"]["to"] = ["bravo/console-0"]
    answer = door.call("it@alpha", "POST", "/v1/intents", json=foreign)
    assert answer.status_code == 422
    assert "unknown endpoint" in answer.json()["detail"]
    assert "bravo/" not in answer.text.replace("bravo/console-0", "")
    line = {"line": "remote consultation: 150 ms, 1 Mbps", "from": ["alpha/or-0"], "to": ["bravo/console-0"]}
    assert door.call("it@alpha", "POST", "/v1/plans", json=line).status_code == 422
    common = make_intent("reach", "alpha")
    common["spec"]["to"] = ["cloud"]
    assert door.call("it@alpha", "POST", "/v1/intents", json=common).json()["intents"][0]["admitted"] is True
    patch = {"spec": {"to": ["bravo/console-0"]}}
    assert door.call("it@alpha", "PATCH", "/v1/intents/reach", json=patch).status_code == 422
    patch = {"metadata": {"tenant": "bravo"}}
    assert door.call("it@alpha", "PATCH", "/v1/intents/reach", json=patch).status_code == 422
    assert door.call("it@alpha", "DELETE", "/v1/intents/reach").status_code == 202


def test_a_name_that_changes_hands_takes_no_past_along(door: Door) -> None:
    door.file("it@bravo", "passed-on", "bravo")
    assert door.call("it@bravo", "DELETE", "/v1/intents/passed-on").status_code == 202
    assert door.controller.service.wait(["passed-on"], 20)[0].phase == "Withdrawn"
    assert door.file("it@alpha", "passed-on", "alpha").status_code == 200
    for path in ("/v1/intents/passed-on", "/v1/intents/passed-on/history", "/v1/audit?target=passed-on"):
        assert "bravo" not in door.call("it@alpha", "GET", path).text
        assert door.call("it@alpha", "GET", path).status_code == 200
    steps = door.call("it@alpha", "GET", "/v1/intents/passed-on/history").json()["history"]
    assert "Withdrawn" not in {step["phase_to"] for step in steps}
    assert door.call("it@bravo", "GET", "/v1/intents/passed-on").status_code == 404
