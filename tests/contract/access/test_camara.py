"""Conformance with CAMARA QoD and QoS Profiles 1.1.0: every answer is checked against the specification's own files."""

from __future__ import annotations

import datetime as dt
import gzip
import http.server
import json
import re
import ssl
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from jsonschema import Draft202012Validator, FormatChecker

from carelane.api.auth import Principal, Role
from carelane.api.camara.errors import CamaraError
from carelane.api.camara.keeper import SessionKeeper
from carelane.api.camara.models import CreateSession, Device
from carelane.api.camara.places import device_endpoint
from carelane.api.camara.sessions import Sessions
from carelane.api.camara.sinks import SinkRules, Sinks
from carelane.api.rest.caller import Caller
from carelane.api.rest.views import Views
from carelane.store.backup import back_up

Door = Any
FOLDER = Path(__file__).parents[1] / "camara"
SPECS = {
    "/quality-on-demand/v1": yaml.safe_load((FOLDER / "quality-on-demand.yaml").read_text(encoding="utf-8")),
    "/qos-profiles/v1": yaml.safe_load((FOLDER / "qos-profiles.yaml").read_text(encoding="utf-8")),
}
QOD, PROFILES = SPECS
NOWHERE = "00000000-0000-4000-8000-000000000000"


def follow(spec: Any, value: Any) -> Any:
    while "$ref" in value:
        target = spec
        for part in value["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        value = target
    return value


def check(spec: Any, schema: Any, body: Any) -> None:
    """JSON Schema of OpenAPI 3.0, as far as these files go, is that of today plus a place for components."""
    Draft202012Validator({**schema, "components": spec["components"]}, format_checker=FormatChecker()).validate(body)


def ask(door: Door, who: str | None, method: str, base: str, path: str, **arguments: Any) -> Any:
    """A call whose answer must be one that the specification lists for it, to the letter."""
    correlator = str(uuid.uuid4())
    headers = {"x-correlator": correlator, **arguments.pop("headers", {})}
    answer = door.call(who, method, base + path, headers=headers, **arguments)
    spec = SPECS[base]
    template = next(t for t in spec["paths"] if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", t), path))
    listed = spec["paths"][template][method.lower()]["responses"]
    assert str(answer.status_code) in listed, (answer.status_code, answer.text)
    response = follow(spec, listed[str(answer.status_code)])
    if answer.status_code == 204:
        assert answer.content == b""
    else:
        assert answer.headers["content-type"] == "application/json"
        check(spec, response["content"]["application/json"]["schema"], answer.json())
    assert answer.headers["x-correlator"] == headers["x-correlator"]
    return answer


@dataclass
class Clock:
    moment: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.moment

    def pass_by(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


class Sink:
    """A consumer's HTTPS endpoint with a certificate of its own, which answers as it is told."""

    def __init__(self, folder: Path) -> None:
        self.taken: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.answers: list[int] = []
        certificate = _certificate(folder)
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                sink.taken.append(({k.lower(): v for k, v in self.headers.items()}, json.loads(body)))
                self.send_response(sink.answers.pop(0) if sink.answers else 204)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_context.load_cert_chain(certificate)
        self.server.socket = server_context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://localhost:{self.server.server_port}/sink"
        self.trust = ssl.create_default_context(cafile=str(certificate))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def _certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "sink.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sink]:
    made = Sink(tmp_path_factory.mktemp("sink"))
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keeper(door: Door, sink: Sink, clock: Clock) -> Iterator[SessionKeeper]:
    """Steps only when the test says so, by the test's clock, and leaves no session behind."""
    sink.taken.clear()
    sink.answers.clear()
    made = SessionKeeper(
        door.controller.service, door.vault, Sinks(verify=sink.trust, now=clock, base_s=1.0), now=clock
    )
    yield made
    with door.controller.service.store.write() as write:
        left = [row["intent"] for row in write.qod_sessions()]
        for row in write.qod_sessions():
            write.change_qod_session(row["id"], deleted=True)
        for event in write.qod_events_due(datetime.now(UTC) + timedelta(days=9)):
            write.change_qod_event(event["id"], outcome="given up")
    for name in left:
        door.controller.service.delete(name)
    made.stop()


_numbers = iter(range(1, 30))


@pytest.fixture
def wanted() -> dict[str, Any]:
    """A session of alpha between a device and a server that no other test uses."""
    number = next(_numbers)
    return {
        "device": {"ipv4Address": {"publicAddress": f"10.1.0.{number}", "privateAddress": f"10.1.0.{number}"}},
        "applicationServer": {"ipv4Address": f"10.1.1.{number}/32"},
        "qosProfile": "remote-monitoring",
        "duration": 3600,
    }


def create(door: Door, wanted: dict[str, Any], who: str = "it@alpha") -> Any:
    return ask(door, who, "POST", QOD, "/sessions", json=wanted)


def get(door: Door, session_id: str, who: str = "it@alpha") -> Any:
    return ask(door, who, "GET", QOD, f"/sessions/{session_id}")


def available(door: Door, keeper: SessionKeeper, wanted: dict[str, Any]) -> dict[str, Any]:
    """A session once its slice stands."""
    made = create(door, wanted).json()
    door.controller.service.wait([f"qod-{made['sessionId']}"], 20)
    keeper.step()
    shown: dict[str, Any] = get(door, made["sessionId"]).json()
    assert shown["qosStatus"] == "AVAILABLE", shown
    return shown


def test_a_session_lives_and_its_sink_is_told(
    door: Door, keeper: SessionKeeper, clock: Clock, sink: Sink, wanted: dict[str, Any]
) -> None:
    wanted |= {
        "sink": sink.url,
        "sinkCredential": credential("sink-secret"),
        "applicationServerPorts": {"ranges": [{"from": 5010, "to": 5020}], "ports": [5060]},
    }
    made = create(door, wanted)
    assert made.status_code == 201
    info = made.json()
    assert info["qosStatus"] == "REQUESTED"
    assert "startedAt" not in info
    assert "expiresAt" not in info
    for echoed in ("device", "applicationServer", "applicationServerPorts", "qosProfile", "sink", "duration"):
        assert info[echoed] == wanted[echoed]
    assert "sink-secret" not in made.text
    door.controller.service.wait([f"qod-{info['sessionId']}"], 20)
    keeper.step()
    shown = get(door, info["sessionId"]).json()
    assert shown["qosStatus"] == "AVAILABLE"
    assert shown["expiresAt"] > shown["startedAt"]
    assert "sink-secret" not in json.dumps(shown)
    assert token_of(door, info["sessionId"]) == "sink-secret"
    clock.pass_by(3601)
    keeper.step()
    ended = get(door, info["sessionId"]).json()
    assert (ended["qosStatus"], ended["statusInfo"]) == ("UNAVAILABLE", "DURATION_EXPIRED")
    assert door.controller.service.describe(f"qod-{info['sessionId']}").summary.phase in ("Withdrawing", "Withdrawn")
    events = [body for _, body in sink.taken]
    for headers, body in sink.taken:
        assert headers["content-type"] == "application/cloudevents+json"
        assert headers["authorization"] == "Bearer sink-secret"
        check(SPECS[QOD], SPECS[QOD]["components"]["schemas"]["EventQosStatusChanged"], body)
    assert [event["data"].get("statusInfo") for event in events] == [None, "DURATION_EXPIRED"]
    assert [event["data"]["qosStatus"] for event in events] == ["AVAILABLE", "UNAVAILABLE"]
    assert len({event["id"] for event in events}) == 2
    assert token_of(door, info["sessionId"]) is None, "its sink was told; the token is not needed any more"
    clock.pass_by(361)
    keeper.step()
    assert get(door, info["sessionId"]).status_code == 404
    assert kept(door, info["sessionId"]), "nobody sees it any more, but it may still be looked into"
    clock.pass_by(86_400)
    keeper.step()
    assert not kept(door, info["sessionId"]), "its row is gone, and with it its notifications"


def test_a_row_stays_while_its_time_runs_or_its_sink_was_not_told(
    door: Door, keeper: SessionKeeper, clock: Clock, sink: Sink, wanted: dict[str, Any]
) -> None:
    session = create(door, wanted).json()["sessionId"]
    door.controller.service.wait([f"qod-{session}"], 20)
    keeper.step()
    with door.controller.service.store.write() as write:
        write.change_qod_session(session, deleted=True)
        write.add_qod_event(str(uuid.uuid4()), session, {}, clock())
        write.forget_qod_sessions(clock() + timedelta(seconds=wanted["duration"] + 1))
    assert kept(door, session), "a notification is still to be sent"
    with door.controller.service.store.write() as write:
        for event in write.qod_events_due(clock()):
            write.change_qod_event(event["id"], outcome="given up")
        write.forget_qod_sessions(clock() + timedelta(seconds=wanted["duration"] - 1))
        assert write.qod_session(session) is not None, "its time is not over"
        write.forget_qod_sessions(clock() + timedelta(seconds=wanted["duration"] + 1))
    assert not kept(door, session)
    door.controller.service.delete(f"qod-{session}")


def kept(door: Door, session_id: str) -> bool:
    with door.controller.service.store.read() as read:
        return read.qod_session(session_id) is not None


def token_of(door: Door, session_id: str) -> str | None:
    """What the store keeps of the sink's credential, unsealed."""
    return door.vault.open(stored_credential(door, session_id) or {}).get("accessToken")


def credential(token: str) -> dict[str, Any]:
    return {**CREDENTIAL, "accessToken": token}


def stored_credential(door: Door, session_id: str) -> dict[str, Any] | None:
    with door.controller.service.store.read() as read:
        row = read.qod_session(session_id)
    assert row is not None
    found: dict[str, Any] | None = row["sink_credential"]
    return found


def database_bytes(door: Door) -> bytes:
    """The database with its log, and everything else that lies beside it but the keys."""
    folder = Path(door.database).parent
    return b"".join(file.read_bytes() for file in folder.iterdir() if file.name.startswith("carelane.db"))


def test_nobody_who_reads_the_database_or_a_backup_learns_the_token_of_a_sink(
    door: Door, keeper: SessionKeeper, sink: Sink, wanted: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    session = available(door, keeper, {**wanted, "sink": sink.url, "sinkCredential": credential("read-me-not")})
    assert sink.taken[0][0]["authorization"] == "Bearer read-me-not"
    assert session["sessionId"].encode() in database_bytes(door)
    assert b"read-me-not" not in database_bytes(door)
    copy = Path(door.database).parent / "copy.carelane"
    back_up(f"sqlite:///{door.database}", copy)
    assert b"read-me-not" not in gzip.decompress(copy.read_bytes())
    copy.unlink()
    assert "read-me-not" not in door.call("admin", "GET", "/v1/audit").text
    assert "read-me-not" not in "".join(capsys.readouterr())
    file = Path(door.database).parent / "seal.key"
    assert file.stat().st_mode & 0o777 == 0o600


def test_sealing_keys_rotate_under_a_running_server_and_what_was_clear_is_sealed(
    door: Door, keeper: SessionKeeper, sink: Sink, wanted: dict[str, Any], clock: Clock
) -> None:
    asked = {**wanted, "sink": sink.url, "sinkCredential": credential("first")}
    session = available(door, keeper, asked)["sessionId"]
    before = stored_credential(door, session)
    assert door.vault.drop_old() == 0
    door.vault.rotate()
    assert token_of(door, session) == "first", "an older key still opens"
    clock.pass_by(61)
    keeper.step()
    after = stored_credential(door, session)
    assert (before or {})["key"] != (after or {})["key"]
    assert door.vault.drop_old() == 1
    assert token_of(door, session) == "first"
    with door.controller.service.store.write() as write:
        write.change_qod_session(session, sink_credential=credential("clear"))
    clock.pass_by(61)
    keeper.step()
    assert "sealed" in (stored_credential(door, session) or {})
    assert token_of(door, session) == "clear"


def test_a_notification_waits_for_the_key_of_its_token(
    door: Door, keeper: SessionKeeper, sink: Sink, wanted: dict[str, Any], clock: Clock
) -> None:
    """As after a restore on another machine: the backup holds the sealed token, and not the key."""
    session = available(door, keeper, {**wanted, "sink": sink.url, "sinkCredential": credential("kept")})
    sink.taken.clear()
    file = Path(door.database).parent / "seal.key"
    keys = file.read_bytes()
    file.unlink()
    assert ask(door, "it@alpha", "DELETE", QOD, f"/sessions/{session['sessionId']}").status_code == 204
    keeper.step()
    assert sink.taken == []
    file.write_bytes(keys)
    file.chmod(0o644)
    clock.pass_by(10)
    keeper.step()
    assert sink.taken == [], "a file that others may read is not used"
    file.chmod(0o600)
    clock.pass_by(60)
    keeper.step()
    [(headers, body)] = sink.taken
    assert headers["authorization"] == "Bearer kept"
    assert body["data"]["statusInfo"] == "DELETE_REQUESTED"


def test_deleting_an_available_session_tells_the_sink(
    door: Door, keeper: SessionKeeper, sink: Sink, wanted: dict[str, Any]
) -> None:
    session = available(door, keeper, {**wanted, "sink": sink.url})
    assert ask(door, "it@alpha", "DELETE", QOD, f"/sessions/{session['sessionId']}").status_code == 204
    keeper.step()
    assert [body["data"].get("statusInfo") for _, body in sink.taken] == [None, "DELETE_REQUESTED"]
    assert "authorization" not in sink.taken[0][0]
    for method in ("GET", "DELETE"):
        assert ask(door, "it@alpha", method, QOD, f"/sessions/{session['sessionId']}").json()["code"] == "NOT_FOUND"


def test_a_network_that_ends_a_session_says_so(
    door: Door, keeper: SessionKeeper, clock: Clock, sink: Sink, wanted: dict[str, Any]
) -> None:
    session = available(door, keeper, {**wanted, "sink": sink.url})
    door.call("engineer", "DELETE", f"/v1/intents/qod-{session['sessionId']}")
    clock.pass_by(120)
    keeper.step()
    ended = get(door, session["sessionId"]).json()
    assert (ended["qosStatus"], ended["statusInfo"]) == ("UNAVAILABLE", "NETWORK_TERMINATED")
    assert ended["duration"] == 120
    assert sink.taken[-1][1]["data"]["statusInfo"] == "NETWORK_TERMINATED"


def test_what_the_network_cannot_give_ends_at_once(
    door: Door, keeper: SessionKeeper, sink: Sink, wanted: dict[str, Any]
) -> None:
    """The only line of this device is full."""
    number = wanted["device"]["ipv4Address"]["privateAddress"].rpartition(".")[2]
    manifest = {
        "apiVersion": "carelane/v1", "kind": "ServiceIntent", "metadata": {"name": "filler", "tenant": "alpha"},
        "spec": {"service": "remote-consultation", "from": [f"alpha/or-{int(number) - 1}"], "to": ["cloud"],
                 "objectives": {"bandwidth": "999.9Mbps", "delay": "none", "jitter": "none", "loss": "none",
                                "availability": "none"}},
    }  # fmt: skip
    assert door.call("it@alpha", "POST", "/v1/intents", json=manifest).json()["intents"][0]["admitted"] is True
    made = create(door, {**wanted, "sink": sink.url})
    assert made.status_code == 201
    keeper.step()
    shown = get(door, made.json()["sessionId"]).json()
    assert (shown["qosStatus"], shown["statusInfo"]) == ("UNAVAILABLE", "NETWORK_TERMINATED")
    assert sink.taken[0][1]["data"]["qosStatus"] == "UNAVAILABLE"
    door.call("it@alpha", "DELETE", "/v1/intents/filler")


def test_a_session_is_extended_up_to_the_maximum(
    door: Door, keeper: SessionKeeper, clock: Clock, wanted: dict[str, Any]
) -> None:
    made = create(door, wanted).json()["sessionId"]

    def extend(seconds: int) -> Any:
        return ask(
            door, "it@alpha", "POST", QOD, f"/sessions/{made}/extend", json={"requestedAdditionalDuration": seconds}
        )

    assert extend(60).json()["code"] == "QUALITY_ON_DEMAND.SESSION_EXTENSION_NOT_ALLOWED"
    door.controller.service.wait([f"qod-{made}"], 20)
    keeper.step()
    longer = extend(1800).json()
    assert longer["duration"] == 5400
    begun, ends = (datetime.fromisoformat(longer[name]) for name in ("startedAt", "expiresAt"))
    assert ends - begun == timedelta(seconds=5400)
    clock.pass_by(3601)
    keeper.step()
    assert get(door, made).json()["qosStatus"] == "AVAILABLE", "the old end no longer holds"
    assert extend(2**31 - 1).json()["duration"] == 86_400
    for bad in (0, -1, 2**31, 1.5, "60", None):
        answer = ask(
            door, "it@alpha", "POST", QOD, f"/sessions/{made}/extend", json={"requestedAdditionalDuration": bad}
        )
        assert answer.status_code == 400


def test_a_second_session_of_the_same_flow_is_a_conflict(
    door: Door, keeper: SessionKeeper, wanted: dict[str, Any]
) -> None:
    assert create(door, wanted).status_code == 201
    again = create(door, wanted)
    assert (again.status_code, again.json()["code"]) == (409, "CONFLICT")
    assert len(ask(door, "it@alpha", "POST", QOD, "/retrieve-sessions", json={"device": wanted["device"]}).json()) == 1


def test_sessions_are_found_by_device_and_by_their_maker_only(
    door: Door, keeper: SessionKeeper, wanted: dict[str, Any]
) -> None:
    made = create(door, wanted).json()
    query = {"device": wanted["device"]}
    found = ask(door, "it@alpha", "POST", QOD, "/retrieve-sessions", json=query).json()
    assert [row["sessionId"] for row in found] == [made["sessionId"]]
    assert ask(door, "admin", "POST", QOD, "/retrieve-sessions", json=query).json() == []
    other = ask(door, "it@bravo", "POST", QOD, "/retrieve-sessions", json=query)
    assert (other.status_code, other.json()["code"]) == (404, "IDENTIFIER_NOT_FOUND")
    path, body = f"/sessions/{made['sessionId']}", {"requestedAdditionalDuration": 5}
    refused = [get(door, made["sessionId"], who) for who in ("it@bravo", "admin", "viewer@alpha")]
    for who in ("it@bravo", "admin"):
        refused += [ask(door, who, "DELETE", QOD, path), ask(door, who, "POST", QOD, path + "/extend", json=body)]
    for answer in refused:
        assert (answer.status_code, answer.json()["code"]) == (403, "PERMISSION_DENIED")
        assert "alpha" not in answer.text, "whose it is stays untold"
    assert get(door, made["sessionId"]).status_code == 200


CREDENTIAL = {
    "credentialType": "ACCESSTOKEN",
    "accessToken": "x",
    "accessTokenExpiresUtc": "2099-01-01T00:00:00Z",
    "accessTokenType": "bearer",
}


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"duration": 0}, 400, "OUT_OF_RANGE"),
        ({"duration": "60"}, 400, "INVALID_ARGUMENT"),
        ({"duration": 86_401}, 400, "QUALITY_ON_DEMAND.DURATION_OUT_OF_RANGE"),
        ({"qosProfile": "no-such-profile"}, 400, "INVALID_ARGUMENT"),
        ({"qosProfile": "x"}, 400, "INVALID_ARGUMENT"),
        ({"qosProfile": "imaging-transfer"}, 422, "QUALITY_ON_DEMAND.QOS_PROFILE_NOT_APPLICABLE"),
        ({"applicationServer": {}}, 400, "INVALID_ARGUMENT"),
        ({"applicationServer": {"ipv4Address": "10.1.1.300"}}, 400, "INVALID_ARGUMENT"),
        ({"applicationServer": {"ipv4Address": "2001:db8::1"}}, 400, "INVALID_ARGUMENT"),
        ({"applicationServer": {"ipv4Address": "198.51.100.0/24"}}, 422, "SERVICE_NOT_APPLICABLE"),
        ({"applicationServer": {"ipv6Address": "2001:db8::/64"}}, 422, "SERVICE_NOT_APPLICABLE"),
        ({"applicationServer": {"ipv4Address": "10.2.1.1"}}, 422, "SERVICE_NOT_APPLICABLE"),
        ({"device": {}}, 400, "INVALID_ARGUMENT"),
        ({"device": None}, 400, "INVALID_ARGUMENT"),
        ({"device": {"phoneNumber": "+123456789"}}, 422, "UNSUPPORTED_IDENTIFIER"),
        ({"device": {"phoneNumber": "123"}}, 400, "INVALID_ARGUMENT"),
        ({"device": {"networkAccessIdentifier": "a@b.example"}}, 422, "UNSUPPORTED_IDENTIFIER"),
        ({"device": {"ipv4Address": {"publicAddress": "203.0.113.5", "publicPort": 1}}}, 404, "IDENTIFIER_NOT_FOUND"),
        ({"device": {"ipv4Address": {"publicAddress": "10.2.0.1", "publicPort": 1}}}, 404, "IDENTIFIER_NOT_FOUND"),
        ({"device": {"ipv6Address": "2001:db8::1"}}, 404, "IDENTIFIER_NOT_FOUND"),
        ({"device": {"ipv4Address": {"publicAddress": "10.1.0.1"}}}, 400, "INVALID_ARGUMENT"),
        ({"device": {"ipv4Address": {"publicAddress": "10.1.0.1", "publicPort": 70000}}}, 400, "OUT_OF_RANGE"),
        ({"device": {"ipv4Address": {"publicAddress": 167837697, "publicPort": 1}}}, 400, "INVALID_ARGUMENT"),
        ({"device": {"ipv6Address": "fe80::1%eth0"}}, 400, "INVALID_ARGUMENT"),
        ({"applicationServer": {"ipv4Address": "10.1.1.0/0.0.0.255"}}, 400, "INVALID_ARGUMENT"),
        ({"sinkCredential": {**CREDENTIAL, "accessTokenExpiresUtc": 4070908800}}, 400, "INVALID_ARGUMENT"),
        ({"devicePorts": {}}, 400, "INVALID_ARGUMENT"),
        ({"devicePorts": {"ports": [65536]}}, 400, "OUT_OF_RANGE"),
        ({"devicePorts": {"ranges": [{"from": 9, "to": 3}]}}, 400, "OUT_OF_RANGE"),
        ({"sink": "http://sink.example/x"}, 400, "INVALID_SINK"),
        ({"sink": "https://elsewhere.example/x"}, 400, "INVALID_SINK"),
        ({"sinkCredential": {**CREDENTIAL, "credentialType": "PLAIN"}}, 400, "INVALID_CREDENTIAL"),
        ({"sinkCredential": {**CREDENTIAL, "credentialType": "REFRESHTOKEN"}}, 400, "INVALID_CREDENTIAL"),
        ({"sinkCredential": {**CREDENTIAL, "credentialType": "MAGIC"}}, 400, "INVALID_ARGUMENT"),
        ({"sinkCredential": {**CREDENTIAL, "accessTokenType": "mac"}}, 400, "INVALID_TOKEN"),
        ({"sinkCredential": {"credentialType": "ACCESSTOKEN"}}, 400, "INVALID_ARGUMENT"),
    ],
)
def test_what_is_wrong_has_its_code(
    door: Door, wanted_once: dict[str, Any], change: dict[str, Any], status: int, code: str
) -> None:
    answer = create(door, {**wanted_once, **change})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


@pytest.fixture
def wanted_once() -> dict[str, Any]:
    """For requests that make no session, so that the same ends may serve all of them."""
    return {
        "device": {"ipv4Address": {"publicAddress": "10.1.0.30", "publicPort": 5060}},
        "applicationServer": {"ipv4Address": "10.1.1.30"},
        "qosProfile": "remote-monitoring",
        "duration": 60,
    }


def test_no_device_and_no_sense(door: Door, wanted_once: dict[str, Any]) -> None:
    del wanted_once["device"]
    assert create(door, wanted_once).json()["code"] == "MISSING_IDENTIFIER"
    assert ask(door, "it@alpha", "POST", QOD, "/retrieve-sessions", json={}).json()["code"] == "MISSING_IDENTIFIER"
    for body in (b"", b"{", b"[]", b'"x"', b"\xff", b'{"duration": NaN}', b"{" * 5000):
        headers = {"content-type": "application/json"}
        answer = ask(door, "it@alpha", "POST", QOD, "/sessions", content=body, headers=headers)
        assert answer.json()["code"] == "INVALID_ARGUMENT"
    for method, path in (
        ("GET", "/sessions/not-a-uuid"),
        ("GET", "/sessions/%0A"),
        ("POST", "/sessions/%0A/extend"),
        ("DELETE", "/sessions/x"),
        ("POST", "/sessions/x/extend"),
    ):
        body = {"requestedAdditionalDuration": 1} if method == "POST" else None
        assert ask(door, "it@alpha", method, QOD, path, json=body).json()["code"] == "INVALID_ARGUMENT"
    assert get(door, NOWHERE).json()["code"] == "NOT_FOUND"
    assert create(door, wanted_once, "viewer").status_code == 403
    assert ask(door, None, "GET", QOD, f"/sessions/{NOWHERE}").status_code == 401


def test_a_correlator_that_is_none_is_refused(door: Door) -> None:
    answer = door.call("it@alpha", "GET", f"{QOD}/sessions/{NOWHERE}", headers={"x-correlator": "a b"})
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_ARGUMENT")
    given = door.call("it@alpha", "GET", f"{QOD}/sessions/{NOWHERE}").headers["x-correlator"]
    assert uuid.UUID(given)


def test_three_legged_tokens_name_their_device(door: Door, wanted_once: dict[str, Any]) -> None:
    """The principal as the token verifier makes it; what a token must be is tested with the tokens."""
    topology = door.controller.topology
    who = Principal("oidc:x", "oidc", Role.HOSPITAL_IT, "alpha", None, "10.1.0.7")
    found = device_endpoint(topology, None, who, needed=True)
    assert found is not None
    assert found[0].address is not None
    assert ip_address("10.1.0.7") in found[0].address
    assert found[1] is None
    with pytest.raises(CamaraError) as refused:
        device_endpoint(topology, CreateSession(**wanted_once).device, who, needed=True)
    assert (refused.value.status, refused.value.code) == (422, "UNNECESSARY_IDENTIFIER")
    both = Device.model_validate({"phoneNumber": "+12345678", "ipv4Address": {
        "publicAddress": "10.1.0.8", "publicPort": 1}})  # fmt: skip
    plain = Principal("key:x", "api-key", Role.HOSPITAL_IT, "alpha")
    used = device_endpoint(topology, both, plain, needed=True)
    assert used is not None
    assert list(used[1] or {}) == ["ipv4Address"], "one identifier comes back: the one that was used"
    written = "2001:DB8:0:0::7"
    ends = {"x": replace(topology.endpoints["cloud"], address=ip_network("2001:db8::/64"))}
    six = device_endpoint(replace(topology, endpoints=ends), Device(ipv6Address=written), plain, needed=True)
    assert six is not None
    assert six[1] == {"ipv6Address": written}, "as it was written"


def test_a_three_legged_token_sees_the_sessions_of_its_device_only(door: Door, wanted_once: dict[str, Any]) -> None:
    service = door.controller.service
    views = Views(service.topology, service.access.knows)
    sessions = Sessions(service, views, SinkRules(), door.vault)

    def caller(device: str) -> Caller:
        return Caller(Principal("oidc:y", "oidc", Role.HOSPITAL_IT, "alpha", None, device), "r", "c")

    del wanted_once["device"]
    made = sessions.create(caller("10.1.0.29"), CreateSession(**wanted_once))
    assert "device" not in made, "who named none is told none"
    assert sessions.get(caller("10.1.0.29"), made["sessionId"])["sessionId"] == made["sessionId"]
    for call in (sessions.get, sessions.delete):
        with pytest.raises(CamaraError) as refused:
            call(caller("10.1.0.28"), made["sessionId"])
        assert (refused.value.status, refused.value.code) == (403, "PERMISSION_DENIED")
    sessions.delete(caller("10.1.0.29"), made["sessionId"])


def test_scopes_bind_tokens_and_not_keys() -> None:
    from carelane.errors import ForbiddenError

    token = Principal("oidc:x", "oidc", Role.HOSPITAL_IT, "alpha", frozenset({"qos-profiles:read"}))
    token.require_scope("qos-profiles:read")
    with pytest.raises(ForbiddenError):
        token.require_scope("quality-on-demand:sessions:create")
    Principal("key:x", "api-key", Role.VIEWER).require_scope("anything")


def test_profiles_are_the_catalogue(door: Door) -> None:
    rows = ask(door, "viewer", "POST", PROFILES, "/retrieve-qos-profiles", json={}).json()
    services = door.call("viewer", "GET", "/v1/catalogue").json()["services"]
    assert {row["name"] for row in rows} == {service["name"] for service in services}
    surgery = ask(door, "viewer", "GET", PROFILES, "/qos-profiles/remote-surgery").json()
    assert surgery["targetMinUpstreamRate"] == {"value": 5, "unit": "Mbps"}
    assert surgery["packetDelayBudget"] == {"value": 20, "unit": "Milliseconds"}
    one = ask(door, "viewer", "POST", PROFILES, "/retrieve-qos-profiles", json={"name": "remote-surgery"}).json()
    assert one == [surgery]
    idle = ask(door, "viewer", "POST", PROFILES, "/retrieve-qos-profiles", json={"status": "INACTIVE"}).json()
    assert {"imaging-transfer", "genome-transfer"} <= {row["name"] for row in idle}
    assert ask(door, "viewer", "GET", PROFILES, "/qos-profiles/none-such").json()["code"] == "NOT_FOUND"
    assert ask(door, "viewer", "GET", PROFILES, "/qos-profiles/x").json()["code"] == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"device": {"phoneNumber": "+123456789"}}, 422, "UNSUPPORTED_IDENTIFIER"),
        ({"device": {"ipv6Address": "2001:db8::1"}}, 404, "IDENTIFIER_NOT_FOUND"),
        ({"status": "BROKEN"}, 400, "INVALID_ARGUMENT"),
        ({"name": "!!!"}, 400, "INVALID_ARGUMENT"),
        ([], 400, "INVALID_ARGUMENT"),
    ],
)
def test_profile_queries_that_make_no_sense(door: Door, query: Any, status: int, code: str) -> None:
    answer = ask(door, "viewer", "POST", PROFILES, "/retrieve-qos-profiles", json=query)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(("answers", "tries", "outcome"), [
    ([503, 500, 204], 3, "delivered"),
    ([410], 1, "given up"),
    ([401], 1, "given up"),
    ([503] * 9, 8, "given up"),
])  # fmt: skip
def test_notifications_are_tried_again_but_not_for_ever(
    door: Door, keeper: SessionKeeper, clock: Clock, sink: Sink, wanted: dict[str, Any],
    answers: list[int], tries: int, outcome: str,
) -> None:  # fmt: skip
    sink.answers = list(answers)
    session = available(door, keeper, {**wanted, "sink": sink.url})
    for _ in range(12):
        clock.pass_by(200)
        keeper.step()
    assert len(sink.taken) == tries
    assert len({body["id"] for _, body in sink.taken}) == 1, "a repetition is the same event"
    from sqlalchemy import select

    from carelane.store._access_tables import QodEventRow

    with door.controller.service.store.read() as read:
        query = select(QodEventRow.outcome).where(QodEventRow.session_id == session["sessionId"])
        assert read._session.scalars(query).all() == [outcome]


@pytest.mark.parametrize(
    ("url", "accepted"),
    [
        ("https://sink.example/x", True),
        ("https://10.0.0.5:8443/x", True),
        ("http://sink.example", False),
        ("https://", False),
        ("https://localhost/x", False),
        ("https://127.0.0.1/x", False),
        ("https://[::1]/x", False),
        ("https://169.254.169.254/latest", False),
        ("https://user:pw@sink.example/", False),
        ("https://sink.example:99999/", False),
        ("https://sink.example/a b", False),
        ("HTTPS://sink.example", False),
    ],
)
def test_where_notifications_may_go(url: str, accepted: bool) -> None:
    assert SinkRules().accepts(url) is accepted
