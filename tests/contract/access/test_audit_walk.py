"""Everything that changes anything, through every door: refused without a credential, and on the record with one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from fastapi.routing import APIRoute
from starlette.routing import Mount

from carelane.api.camara.keeper import SessionKeeper
from carelane.api.grpc.gen import carelane_pb2 as pb
from carelane.api.grpc.server import GrpcServer

Door = Any
QOD = "/quality-on-demand/v1"
READ_ONLY = {
    ("POST", "/v1/plans"),
    ("POST", "/v1/diff"),
    ("POST", "/v1/what-if"),
    ("POST", QOD + "/retrieve-sessions"),
    ("POST", "/qos-profiles/v1/retrieve-qos-profiles"),
}
"""Questions that need a body."""

PROBE = {
    "sent": 10, "received": 10, "delay_min_s": 0.002,
    "delay_max_s": 0.003, "jitter_s": 0.0001, "round_trip_min_s": 0.004,
}  # fmt: skip
SESSION = {
    "device": {"ipv4Address": {"publicAddress": "10.1.0.30", "privateAddress": "10.1.0.30"}},
    "applicationServer": {"ipv4Address": "10.1.1.30/32"},
    "qosProfile": "remote-monitoring",
    "duration": 3600,
}


def probe_of(filing: dict[str, Any]) -> dict[str, Any]:
    """What a probe between the two ends of this intent reports."""
    ends = {"source": filing["spec"]["from"][0], "target": filing["spec"]["to"][0]}
    return {**PROBE, **ends, "slice": filing["metadata"]["name"]}


class Walk:
    """One call of each route that changes something; `bodies` and `fields` hold what makes it succeed."""

    def __init__(self, door: Door, make_intent: Callable[..., dict[str, Any]]) -> None:
        self.door = door
        greedy = make_intent("walked-greedy", "alpha", 5000)
        greedy["spec"]["objectives"]["delay"] = "150ms"
        assert door.call("admin", "POST", "/v1/intents", json=greedy).json()["intents"][0]["decision"]["offers"]
        self.filing = make_intent("walked", "alpha")
        self.session = ""
        self.key_id = ""

    def steps(self) -> Iterator[tuple[str, str, str, Any, str]]:
        """Method, route, path, body, and the target of the audit entry; in an order in which each succeeds."""
        intent = "/v1/intents/{name}"
        yield "POST", "/v1/intents", "/v1/intents", self.filing, "walked"
        yield "PATCH", intent, "/v1/intents/walked", {"spec": {"objectives": {"bandwidth": "12Mbps"}}}, "walked"
        offer = intent + "/offers/{index}"
        yield "POST", offer, "/v1/intents/walked-greedy/offers/0", None, "walked-greedy"
        yield "POST", "/v1/probes", "/v1/probes", probe_of(self.filing), "walked"
        yield "DELETE", intent, "/v1/intents/walked", None, "walked"
        yield "POST", "/v1/drains/{target:path}", "/v1/drains/l1", {}, "l1"
        yield "DELETE", "/v1/drains/{target:path}", "/v1/drains/l1", None, "l1"
        yield "POST", "/v1/reoptimise", "/v1/reoptimise", None, "network"
        yield "POST", "/v1/keys", "/v1/keys", {"label": "walk", "role": "viewer"}, "*"
        yield "DELETE", "/v1/keys/{key_id}", f"/v1/keys/{self.key_id}", None, self.key_id
        yield "POST", QOD + "/sessions", QOD + "/sessions", SESSION, "*"
        one = QOD + "/sessions/{session_id}"
        more = {"requestedAdditionalDuration": 60}
        name = f"qod-{self.session}"
        yield "POST", one + "/extend", f"{QOD}/sessions/{self.session}/extend", more, name
        yield "DELETE", one, f"{QOD}/sessions/{self.session}", None, name


def changing(app: Any, base: str = "") -> Iterator[tuple[str, str]]:
    """Method and path of every route that is not a question."""
    for route in app.routes:
        if isinstance(route, Mount):
            yield from changing(route.app, base + route.path)
        elif isinstance(route, APIRoute):
            for method in (route.methods or set()) - {"GET", "HEAD", "OPTIONS"}:
                if (method, base + route.path) not in READ_ONLY:
                    yield method, base + route.path


def entries(door: Door, number: str) -> list[dict[str, Any]]:
    found = door.call("admin", "GET", "/v1/audit?limit=100").json()["entries"]
    return [entry for entry in found if entry["request_id"] == number]


def stands(door: Door, session_id: str) -> None:
    """Only a session that is available can be extended."""
    door.controller.service.wait([f"qod-{session_id}"], 20)
    keeper = SessionKeeper(door.controller.service, door.vault)
    keeper.step()
    keeper.stop()


def test_every_route_that_changes_something_is_closed_and_on_the_record(
    door: Door, make_intent: Callable[..., dict[str, Any]]
) -> None:
    walk, walked = Walk(door, make_intent), set()
    subject = door.call("admin", "GET", "/v1/whoami").json()["subject"]
    for count, (method, route, path, body, target) in enumerate(walk.steps()):
        number, headers = f"walk-{count}", {"x-request-id": f"walk-{count}"}
        assert door.call(None, method, path, json=body, headers=headers).status_code == 401
        assert entries(door, number) == [], "who is not let in leaves no entry, and no change"
        who = "it@alpha" if route.startswith(QOD) else "admin"
        answer = door.call(who, method, path, json=body, headers=headers)
        assert answer.status_code < 300, (method, path, answer.text)
        (entry,) = entries(door, number)
        assert entry["subject"] == (subject if who == "admin" else entry["subject"]) != ""
        assert target in ("*", entry["target"])
        if route == QOD + "/sessions":
            stands(door, answer.json()["sessionId"])
        assert entry["before"] != entry["after"], "what was, and what is"
        told = answer.json() if answer.content else {}
        walk.key_id = told.get("id", walk.key_id) if route == "/v1/keys" else walk.key_id
        walk.session = told.get("sessionId", walk.session)
        walked.add((method, route))
    assert walked == set(changing(door.app)), "a new route belongs into the walk"


def test_a_drain_is_carried_out_once_and_its_end_tells_what_was(door: Door) -> None:
    key = {"idempotency-key": "drain-once", "x-request-id": "drain-1"}
    first = door.call("engineer", "POST", "/v1/drains/l2", json={}, headers=key)
    again = door.call("engineer", "POST", "/v1/drains/l2", json={}, headers=key)
    assert (first.status_code, first.json()) == (200, again.json())
    assert again.headers["idempotent-replay"] == "true"
    (entry,) = entries(door, "drain-1")
    assert (entry["action"], entry["role"], entry["tenant"]) == ("drain.start", "engineer", None)
    assert entry["before"] == {"out_of_service": False}
    assert entry["after"].items() >= {"out_of_service": True, "force": False, "target": "l2"}.items()
    ended = door.call("engineer", "DELETE", "/v1/drains/l2", headers={"x-request-id": "drain-2"})
    assert ended.status_code == 200
    (entry,) = entries(door, "drain-2")
    assert entry["before"]["out_of_service"] is True
    assert entry["after"]["out_of_service"] is False
    late = door.call("engineer", "DELETE", "/v1/drains/l2", headers={"x-request-id": "drain-3"})
    assert (late.status_code, entries(door, "drain-3")) == (404, []), "what changed nothing is not on the record"


def test_a_probe_is_on_the_record_once_not_with_every_report(
    door: Door, make_intent: Callable[..., dict[str, Any]]
) -> None:
    filing = make_intent("probed", "alpha")
    door.call("admin", "POST", "/v1/intents", json=filing)
    for number in ("probe-1", "probe-2"):
        body = probe_of(filing)
        answer = door.call("it@alpha", "POST", "/v1/probes", json=body, headers={"x-request-id": number})
        assert answer.status_code == 202
    (entry,) = entries(door, "probe-1")
    assert (entry["action"], entry["tenant"], entry["target"]) == ("probe.report", "alpha", "probed")
    assert entries(door, "probe-2") == []


@pytest.fixture
def channel(door: Door) -> Iterator[Any]:
    server = GrpcServer(door.controller.service, door.app.state.authenticator, "127.0.0.1", 0)
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as opened:
        yield opened
    server.stop()


def test_every_call_of_grpc_that_changes_something_is_closed_and_on_the_record(door: Door, channel: Any) -> None:
    ends: dict[str, Any] = {"from": ["alpha/or-28"], "to": ["alpha/console-28"]}
    text = "remote consultation: 150 ms, 1 Mbps, availability none, jitter none, loss none"
    source = pb.IntentSource(line=pb.IntentLine(line=text, name="walked-grpc", tenant="alpha", **ends))
    requests: dict[str, Any] = {
        "FileIntents": pb.FileIntentsRequest(source=source),
        "PatchIntent": pb.PatchIntentRequest(
            name="walked-grpc", merge_patch='{"spec": {"objectives": {"delay": "100us"}}}'
        ),
        "AcceptOffer": pb.AcceptOfferRequest(name="walked-grpc"),
        "WithdrawIntent": pb.WithdrawIntentRequest(name="walked-grpc"),
    }
    questions = ("Plan", "Get", "List", "Watch")
    methods = [m for service in pb.DESCRIPTOR.services_by_name.values() for m in service.methods]
    assert {m.name for m in methods if not m.name.startswith(questions)} == requests.keys()
    for name, request in requests.items():
        send = channel.unary_unary(
            f"/carelane.v1.IntentService/{name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=getattr(pb, f"{name}Response").FromString,
        )
        number = ("x-request-id", f"grpc-{name}")
        with pytest.raises(grpc.RpcError) as refused:
            send(request, timeout=20, metadata=[number])
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED  # type: ignore[attr-defined]
        assert entries(door, number[1]) == []
        send(request, timeout=20, metadata=[number, ("authorization", f"Bearer {door.keys['it@alpha']}")])
        (entry,) = entries(door, number[1])
        assert (entry["target"], entry["tenant"]) == ("walked-grpc", "alpha")
