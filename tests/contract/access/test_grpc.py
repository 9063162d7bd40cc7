"""The gRPC face over real channels: every method as every role, tenants apart, watches, health, reflection, protos."""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from carelane.api.auth import Authenticator, Buckets, Role
from carelane.api.grpc.gen import carelane_pb2 as pb
from carelane.api.grpc.gen import southbound_pb2
from carelane.api.grpc.server import GrpcServer
from carelane.tracing import current_origin

Door = Any
ROOT = Path(__file__).parents[3]
PEOPLE = ("viewer", "viewer@alpha", "it@alpha", "it@bravo", "engineer", "admin")
FILERS = ("it@alpha", "it@bravo", "engineer", "admin")
METHODS = {
    ("IntentService", "FileIntents"): FILERS,
    ("IntentService", "PlanIntents"): PEOPLE,
    ("IntentService", "GetIntent"): PEOPLE,
    ("IntentService", "ListIntents"): PEOPLE,
    ("IntentService", "PatchIntent"): FILERS,
    ("IntentService", "AcceptOffer"): FILERS,
    ("IntentService", "WithdrawIntent"): FILERS,
    ("IntentService", "WatchIntents"): PEOPLE,
    ("IntentService", "WatchConditions"): PEOPLE,
    ("TelemetryService", "WatchSites"): PEOPLE,
    ("ComplianceService", "GetCompliance"): PEOPLE,
    ("ComplianceService", "WatchCompliance"): PEOPLE,
}


@pytest.fixture(scope="module")
def channel(door: Door) -> Iterator[Any]:
    server = GrpcServer(door.controller.service, door.app.state.authenticator, "127.0.0.1", 0)
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as opened:
        yield opened
    server.stop()


def method(channel: Any, service: str, name: str) -> Any:
    described = pb.DESCRIPTOR.services_by_name[service].methods_by_name[name]
    make = channel.unary_stream if described.server_streaming else channel.unary_unary
    return make(
        f"/carelane.v1.{service}/{name}",
        request_serializer=getattr(pb, described.input_type.name).SerializeToString,
        response_deserializer=getattr(pb, described.output_type.name).FromString,
    )


def call(door: Door, channel: Any, who: str | None, name: str, request: Any, *more: tuple[str, str]) -> Any:
    service = next(s for s, m in METHODS if m == name)
    metadata = [*more, *([("authorization", f"Bearer {door.keys[who]}")] if who else [])]
    return method(channel, service, name)(request, timeout=20, metadata=metadata)


def code(door: Door, channel: Any, who: str | None, name: str, request: Any) -> grpc.StatusCode:
    """The status of a call; of a watch, OK once it stands."""
    try:
        answer = call(door, channel, who, name, request)
        if (
            pb.DESCRIPTOR.services_by_name[next(s for s, m in METHODS if m == name)]
            .methods_by_name[name]
            .server_streaming
        ):
            threading.Timer(0.2, answer.cancel).start()
            list(answer)
    except grpc.RpcError as error:
        status: grpc.StatusCode = error.code()  # type: ignore[attr-defined]
        return grpc.StatusCode.OK if status is grpc.StatusCode.CANCELLED else status
    return grpc.StatusCode.OK


def line(name: str, tenant: str, desk: int) -> pb.FileIntentsRequest:
    ends: dict[str, Any] = {"from": [f"{tenant}/or-{desk}"]}  # a keyword of Python
    source = pb.IntentSource(
        line=pb.IntentLine(
            line="remote consultation: 150 ms, 1 Mbps, availability none, jitter none, loss none",
            to=[f"{tenant}/console-{desk}"], name=name, **ends,
        )
    )  # fmt: skip
    return pb.FileIntentsRequest(source=source)


def test_no_method_is_missing() -> None:
    assert set(METHODS) == {(s.name, m.name) for s in pb.DESCRIPTOR.services_by_name.values() for m in s.methods}


@pytest.mark.parametrize(("service", "name"), list(METHODS))
def test_every_role_is_let_in_exactly_where_it_may(door: Door, channel: Any, service: str, name: str) -> None:
    request = getattr(pb, pb.DESCRIPTOR.services_by_name[service].methods_by_name[name].input_type.name)()
    assert code(door, channel, None, name, request) is grpc.StatusCode.UNAUTHENTICATED
    for who in PEOPLE:
        expected = who in METHODS[(service, name)]
        assert (code(door, channel, who, name, request) is not grpc.StatusCode.PERMISSION_DENIED) is expected, who
        assert code(door, channel, who, name, request) is not grpc.StatusCode.INTERNAL


def test_a_plan_names_another_tenants_slice_to_engineers_only(door: Door, channel: Any) -> None:
    """Bravo holds both links; alpha asks what would admit a third of one."""
    for name in ("bravo-full-1", "bravo-full-2"):
        assert door.file("it@bravo", name, "bravo", 800).json()["intents"][0]["admitted"] is True
    source = line("grpc-late", "alpha", 28).source
    source.line.line = source.line.line.replace("1 Mbps", "300 Mbps")
    told = {
        who: MessageToDict(call(door, channel, who, "PlanIntents", pb.PlanIntentsRequest(source=source)).plan)
        for who in ("it@alpha", "engineer")
    }
    gone = {
        who: [row for row in plan["decisions"][0]["remedies"] if row["kind"] == "remove-intent"]
        for who, plan in told.items()
    }
    assert [row["name"] for row in gone["engineer"]] == ["bravo-full-1"]
    assert [row["name"] for row in gone["it@alpha"]] == [None]
    assert "bravo" not in str(told["it@alpha"])
    for name in ("bravo-full-1", "bravo-full-2"):
        door.call("it@bravo", "DELETE", f"/v1/intents/{name}")
    door.controller.service.wait(["bravo-full-1", "bravo-full-2"], 20)


def test_an_intent_lives_and_another_hospital_sees_nothing(door: Door, channel: Any) -> None:
    filed = call(door, channel, "it@alpha", "FileIntents", line("grpc-1", "alpha", 20))
    assert (filed.intents[0].outcome, filed.intents[0].admitted) == (pb.OUTCOME_CREATED, True)
    assert MessageToDict(filed.intents[0].decision)["decision"] == "admitted"
    found = call(door, channel, "viewer@alpha", "GetIntent", pb.GetIntentRequest(name="grpc-1"))
    assert (found.summary.tenant, found.summary.service) == ("alpha", "remote-consultation")
    for name, request in (
        ("GetIntent", pb.GetIntentRequest(name="grpc-1")),
        ("WithdrawIntent", pb.WithdrawIntentRequest(name="grpc-1")),
        ("PatchIntent", pb.PatchIntentRequest(name="grpc-1", merge_patch="{}")),
        ("AcceptOffer", pb.AcceptOfferRequest(name="grpc-1")),
        ("GetCompliance", pb.GetComplianceRequest(name="grpc-1")),
        ("WatchCompliance", pb.WatchComplianceRequest(names=["grpc-1"])),
        ("WatchConditions", pb.WatchConditionsRequest(names=["grpc-1"])),
        ("WatchSites", pb.WatchSitesRequest(names=["grpc-1"])),
    ):
        assert code(door, channel, "it@bravo", name, request) is grpc.StatusCode.NOT_FOUND
    assert code(door, channel, "it@bravo", "FileIntents", line("x", "alpha", 21)) is grpc.StatusCode.INVALID_ARGUMENT
    listed = call(door, channel, "it@bravo", "ListIntents", pb.ListIntentsRequest(tenant="alpha"))
    assert list(listed.intents) == []
    entries = door.call("it@alpha", "GET", "/v1/audit?target=grpc-1").json()["entries"]
    assert [entry["action"] for entry in entries] == ["intent.file"]
    gone = call(door, channel, "it@alpha", "WithdrawIntent", pb.WithdrawIntentRequest(name="grpc-1"))
    assert gone.summary.phase in ("Withdrawing", "Withdrawn")


def test_an_intent_is_patched_and_an_offer_accepted_for_the_generation_that_was_read(door: Door, channel: Any) -> None:
    call(door, channel, "it@alpha", "FileIntents", line("grpc-4", "alpha", 24))
    faster = '{"spec": {"objectives": {"delay": "100us"}}}'
    patch = pb.PatchIntentRequest(name="grpc-4", merge_patch=faster, if_generation=1, idempotency_key="p")
    refused = call(door, channel, "it@alpha", "PatchIntent", patch).intent
    assert (refused.outcome, refused.admitted, refused.generation) == (pb.OUTCOME_CHANGED, False, 2)
    assert call(door, channel, "it@alpha", "PatchIntent", patch).intent == refused, "the key's first answer"
    late = pb.AcceptOfferRequest(name="grpc-4", if_generation=1)
    assert code(door, channel, "it@alpha", "AcceptOffer", late) is grpc.StatusCode.FAILED_PRECONDITION
    late_patch = pb.PatchIntentRequest(name="grpc-4", merge_patch=faster, if_generation=1)
    assert code(door, channel, "it@alpha", "PatchIntent", late_patch) is grpc.StatusCode.FAILED_PRECONDITION
    offered = MessageToDict(refused.decision)["offers"][0]["delay_ms"]
    taken = call(door, channel, "it@alpha", "AcceptOffer", pb.AcceptOfferRequest(name="grpc-4", if_generation=2)).intent
    assert (taken.admitted, taken.generation) == (True, 3)
    kept = call(door, channel, "it@alpha", "GetIntent", pb.GetIntentRequest(name="grpc-4"))
    assert MessageToDict(kept.decision)["paths"][0]["delay_bound_ms"] <= offered
    for bad in ("[1]", "{", '{"spec": {"nonsense": 1}}', '{"metadata": {"name": "other"}}'):
        wrong = pb.PatchIntentRequest(name="grpc-4", merge_patch=bad)
        assert code(door, channel, "it@alpha", "PatchIntent", wrong) is grpc.StatusCode.INVALID_ARGUMENT
    for number in (-1, 99):
        wrong_offer = pb.AcceptOfferRequest(name="grpc-4", offer=number)
        assert code(door, channel, "it@alpha", "AcceptOffer", wrong_offer) is not grpc.StatusCode.OK
    gone = pb.WithdrawIntentRequest(name="grpc-4", if_generation=3)
    assert call(door, channel, "it@alpha", "WithdrawIntent", gone).summary.phase in ("Withdrawing", "Withdrawn")


def test_a_call_has_its_number_in_the_answer_the_audit_and_the_work_that_follows(
    door: Door, channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    queue = door.controller.service._reconciler.queue
    add = queue.add

    def watched(names: Any, *rest: Any) -> None:
        given.append(current_origin())
        add(names, *rest)

    monkeypatch.setattr(queue, "add", watched)
    metadata = [("authorization", f"Bearer {door.keys['it@bravo']}"), ("x-request-id", "mine-1")]
    file = method(channel, "IntentService", "FileIntents")
    _, ended = file.with_call(line("grpc-numbered", "bravo", 24), timeout=20, metadata=metadata)
    assert dict(ended.trailing_metadata())["x-request-id"] == "mine-1"
    assert "mine-1" in [origin.request_id for origin in given if origin is not None]
    entries = door.call("engineer", "GET", "/v1/audit?target=grpc-numbered").json()["entries"]
    assert [entry["request_id"] for entry in entries] == ["mine-1"]
    with pytest.raises(grpc.RpcError) as refused:
        method(channel, "IntentService", "GetIntent")(pb.GetIntentRequest(name="none"), timeout=20)
    number = dict(refused.value.trailing_metadata())["x-request-id"]  # type: ignore[attr-defined]
    assert len(number) == 32, "errors too, to be quoted"


def test_who_guesses_at_keys_is_slowed_down_whatever_port_it_calls_from(door: Door) -> None:
    server = GrpcServer(door.controller.service, Authenticator(door.ring, None, Buckets(1e6, 10**6)), "127.0.0.1", 0)
    server.start()
    told = set()
    try:
        for guess in range(60):
            options = [("grpc.use_local_subchannel_pool", 1)]
            with grpc.insecure_channel(f"127.0.0.1:{server.port}", options=options) as one:
                get = method(one, "IntentService", "GetIntent")
                with pytest.raises(grpc.RpcError) as refused:
                    get(pb.GetIntentRequest(name="x"), timeout=20, metadata=[("authorization", f"Bearer {guess}")])
                told.add(refused.value.code())  # type: ignore[attr-defined]
    finally:
        server.stop()
    assert told == {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED}


def test_the_same_key_files_once_and_pages_cover_all(door: Door, channel: Any) -> None:
    request = line("grpc-2", "bravo", 22)
    request.idempotency_key = "k"
    first, again = (call(door, channel, "it@bravo", "FileIntents", request) for _ in range(2))
    assert first == again
    call(door, channel, "it@bravo", "FileIntents", line("grpc-3", "bravo", 23))
    seen, token = [], ""
    while True:
        page = call(door, channel, "it@bravo", "ListIntents", pb.ListIntentsRequest(page_size=1, page_token=token))
        seen += [row.name for row in page.intents]
        token = page.next_page_token
        if not token:
            break
    assert {"grpc-2", "grpc-3"} <= set(seen)
    assert len(seen) == len(set(seen))
    assert code(door, channel, "it@bravo", "ListIntents", pb.ListIntentsRequest(page_size=1001)) \
        is grpc.StatusCode.INVALID_ARGUMENT  # fmt: skip


def test_a_watch_resumes_and_keeps_tenants_apart(door: Door, channel: Any) -> None:
    call(door, channel, "it@alpha", "FileIntents", line("grpc-a", "alpha", 24))
    call(door, channel, "it@bravo", "FileIntents", line("grpc-b", "bravo", 25))
    door.controller.service.wait(["grpc-a", "grpc-b"], 20)
    stream = call(door, channel, "it@alpha", "WatchIntents", pb.WatchIntentsRequest(after=0))
    steps = []
    for step in stream:
        steps.append(step)
        if step.name == "grpc-a" and step.phase_to == "Active":
            stream.cancel()
            break
    assert {step.tenant for step in steps} == {"alpha"}
    ids = [step.id for step in steps]
    assert ids == sorted(set(ids))
    rest = call(door, channel, "it@alpha", "WatchIntents", pb.WatchIntentsRequest(after=ids[-2]))
    assert next(rest).id == ids[-1]
    rest.cancel()
    compliance = call(door, channel, "it@alpha", "WatchCompliance", pb.WatchComplianceRequest(names=["grpc-a"]))
    assert next(compliance).compliance.name == "grpc-a"
    compliance.cancel()


def test_nobody_takes_all_the_watches(door: Door, channel: Any) -> None:
    keys = [door.ring.create(label="watcher", role=Role.VIEWER, tenant="alpha")[1] for _ in range(2)]

    def watch(key: str) -> Any:
        watching = method(channel, "IntentService", "WatchIntents")
        return watching(pb.WatchIntentsRequest(after=0), timeout=60, metadata=[("authorization", f"Bearer {key}")])

    call(door, channel, "it@alpha", "FileIntents", line("grpc-watched", "alpha", 26))
    own = [watch(keys[0]) for _ in range(8)]
    assert all(next(stream) for stream in own), "they stand"
    with pytest.raises(grpc.RpcError) as refused:
        next(watch(keys[0]))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
    other = watch(keys[1])
    assert next(other)
    own.pop().cancel()
    until, again = time.monotonic() + 20, watch(keys[0])
    while not stands(again):
        assert time.monotonic() < until, "a place is given back"
        again = watch(keys[0])
    for stream in (*own, other, again):
        stream.cancel()


def stands(stream: Any) -> bool:
    try:
        return bool(next(stream))
    except grpc.RpcError:
        return False


def test_conditions_and_sites_are_told_when_they_change(door: Door, channel: Any) -> None:
    call(door, channel, "it@bravo", "FileIntents", line("grpc-4", "bravo", 26))
    conditions = call(door, channel, "it@bravo", "WatchConditions", pb.WatchConditionsRequest(names=["grpc-4"]))
    told = []
    for answer in conditions:
        told.append(answer)
        if answer.phase == "Active" and {c.type: c.status for c in answer.conditions}.get("Installed") == "True":
            break
    conditions.cancel()
    assert all(before != after for before, after in pairwise(told))
    sites = call(door, channel, "it@bravo", "WatchSites", pb.WatchSitesRequest(names=["grpc-4"]))
    answer = next(sites)
    sites.cancel()
    assert answer.name == "grpc-4"
    sent = {site.site: site for site in answer.sites}
    assert sent.keys() == {"bravo/or-26", "bravo/console-26"}
    assert 0 < sent["bravo/or-26"].floor_mbps <= sent["bravo/or-26"].ceiling_mbps
    everything = call(door, channel, "it@alpha", "WatchSites", pb.WatchSitesRequest())
    threading.Timer(1.0, everything.cancel).start()
    seen = set()
    with contextlib.suppress(grpc.RpcError):  # that it was cancelled
        for answer in everything:
            seen.add(answer.name)
    assert "grpc-4" not in seen, "another hospital's"


def test_health_and_reflection(door: Door, channel: Any) -> None:
    for name in ("", "carelane.v1.IntentService", "carelane.v1.ComplianceService"):
        checking: Any = health_pb2_grpc.HealthStub(channel)
        answer = checking.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    (answer,) = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=5)
    names = {service.name for service in answer.list_services_response.service}
    assert {"carelane.v1.IntentService", "carelane.v1.ComplianceService"} <= names


def test_a_server_that_stops_ends_its_watches(door: Door) -> None:
    server = GrpcServer(door.controller.service, door.app.state.authenticator, "127.0.0.1", 0)
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stream = call(door, channel, "viewer", "WatchIntents", pb.WatchIntentsRequest())
        threading.Timer(0.3, server.stop).start()
        with pytest.raises(grpc.RpcError) as ended:
            list(stream)
    assert ended.value.code() is grpc.StatusCode.UNAVAILABLE  # type: ignore[attr-defined]


def test_generated_code_is_that_of_the_definitions(tmp_path: Path) -> None:
    subprocess.run(["bash", str(ROOT / "scripts" / "protos.sh"), str(tmp_path)], check=True, timeout=60)
    kept = ROOT / "api" / "grpc" / "gen"
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in kept.glob("*_pb2.py*")}
    for path in tmp_path.iterdir():
        assert path.read_text() == (kept / path.name).read_text()


@pytest.mark.parametrize("module", [pb, southbound_pb2], ids=["carelane", "southbound"])
def test_names_are_as_buf_would_have_them(module: Any) -> None:
    """The STANDARD category of buf's lint rules, as far as one file can break them."""
    file = module.DESCRIPTOR
    assert file.package == "carelane.v1"
    assert re.fullmatch("carelane/v1/[a-z_]+.proto", file.name)
    for service in file.services_by_name.values():
        assert service.name.endswith("Service")
        for item in service.methods:
            assert item.input_type.name == f"{item.name}Request"
            assert item.output_type.name == f"{item.name}Response"
    for enum in file.enum_types_by_name.values():
        prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"
        assert enum.values_by_number[0].name == prefix + "UNSPECIFIED"
        assert all(value.name.startswith(prefix) for value in enum.values)
    for message in file.message_types_by_name.values():
        assert all(re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", field.name) for field in message.fields)
