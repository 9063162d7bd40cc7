"""The REST server as a process: intents filed, planned, shown and withdrawn; every error a problem document."""

from __future__ import annotations

import concurrent.futures
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

YAML = {"content-type": "application/yaml"}
Server = Any


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    """Talks to the module's server."""
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=30, trust_env=False) as opened:
        yield opened


def named(text: str, name: str, **changes: str) -> str:
    for before, after in changes.items():
        text = text.replace(before, after)
    return text.replace("or1-surgery", name)


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The problem document of an answer, checked against RFC 9457."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert all(isinstance(body[member], str) and body[member] for member in ("type", "title", "detail"))
    assert "Traceback" not in answer.text
    assert ".py" not in answer.text
    return body


def settled(client: httpx.Client, name: str, *phases: str) -> dict[str, Any]:
    """The intent once it is in one of `phases`."""
    deadline = time.monotonic() + 30
    while True:
        detail: dict[str, Any] = client.get(f"/v1/intents/{name}").json()
        if detail["summary"]["phase"] in phases:
            return detail
        assert time.monotonic() < deadline, detail["summary"]
        time.sleep(0.05)


def test_an_intent_lives_from_filing_to_withdrawal(client: httpx.Client, intent_text: str) -> None:
    filed = client.post("/v1/intents", content=named(intent_text, "life"), headers=YAML)
    assert filed.status_code == 200
    (row,) = filed.json()["intents"]
    assert (row["name"], row["outcome"], row["admitted"]) == ("life", "created", True)
    detail = settled(client, "life", "Active")
    assert detail["running_generation"] == 1
    assert detail["placement"]["labels"]
    assert detail["manifest"]["spec"]["service"] == "remote-surgery"
    assert [entry["phase_to"] for entry in detail["history"]][-1] in ("Active", "Requested")
    decision = client.get("/v1/plans/life").json()
    assert decision == detail["decision"]
    assert decision["decision"] == "admitted"
    again = client.post("/v1/intents", content=named(intent_text, "life"), headers=YAML).json()["intents"]
    assert again[0]["outcome"] == "unchanged"
    assert "life" in [row["name"] for row in client.get("/v1/intents").json()["intents"]]
    assert client.delete("/v1/intents/life").status_code == 202
    settled(client, "life", "Withdrawn")
    assert "life" not in [row["name"] for row in client.get("/v1/intents").json()["intents"]]
    assert client.post("/v1/diff", content=b"", headers=YAML).json() == {"switches": [], "operations": 0}


def test_a_dry_run_decides_and_files_nothing(client: httpx.Client, intent_text: str) -> None:
    text = named(intent_text, "dry")
    answers = [
        client.post("/v1/plans", content=text, headers=YAML),
        client.post("/v1/intents", params={"dryRun": "true"}, content=text, headers=YAML),
    ]
    for answer in answers:
        assert answer.status_code == 200
        assert [row["decision"] for row in answer.json()["decisions"]] == ["admitted"]
    problem(client.get("/v1/intents/dry"), 404)
    changes = client.post("/v1/diff", content=text, headers=YAML).json()
    assert changes["operations"] > 0
    assert {operation["verb"] for switch in changes["switches"] for operation in switch["operations"]} <= {
        "add",
        "modify",
    }
    problem(client.get("/v1/plans/dry"), 404)


def test_a_refusal_is_an_answer_and_not_an_error(client: httpx.Client, intent_text: str) -> None:
    text = named(intent_text, "greedy", **{"40Mbps": "2Gbps"})
    (row,) = client.post("/v1/intents", content=text, headers=YAML).json()["intents"]
    assert row["admitted"] is False
    assert row["decision"]["reasons"][0]["constraint"] == "bandwidth"
    assert settled(client, "greedy", "Refused")["running_generation"] is None
    client.delete("/v1/intents/greedy")


def test_a_line_is_filed_like_a_manifest(client: httpx.Client) -> None:
    body = {"line": "远程手术：20 毫秒，99.9%", "from": ["county/or-1"], "to": ["province/console-3"], "name": "line"}
    (row,) = client.post("/v1/intents", json=body).json()["intents"]
    assert (row["name"], row["admitted"]) == ("line", True)
    client.delete("/v1/intents/line")


def test_one_bad_document_among_many_and_nothing_is_filed(client: httpx.Client, intent_text: str) -> None:
    documents = [named(intent_text, f"many-{n}") for n in range(5)]
    documents[3] = documents[3].replace("20ms", "20 furlongs")
    text = "---\n".join(documents)
    body = problem(client.post("/v1/intents", content=text, headers=YAML), 422)
    assert body["line"] == text[: text.index("furlongs")].count("\n") + 1
    assert body["field"] == "spec.objectives.delay"
    assert body["expected"]
    names = [row["name"] for row in client.get("/v1/intents", params={"withdrawn": True}).json()["intents"]]
    assert not [name for name in names if name.startswith("many-")]


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        ("service: remote-surgery", "service: remote-surgry", "spec.service"),
        ("[county/or-1]", "[county/or-9]", "spec.from"),
        ("delay: 20ms", "delay: 20", "spec.objectives.delay"),
        ("99.99%", "101%", "spec.objectives.availability"),
    ],
)
def test_bad_input_is_located(client: httpx.Client, intent_text: str, before: str, after: str, field: str) -> None:
    text = intent_text + "---\n" + named(intent_text, "second", **{before: after})
    for path in ("/v1/intents", "/v1/plans", "/v1/diff"):
        body = problem(client.post(path, content=text, headers=YAML), 422)
        assert body["type"] == "urn:carelane:problem:input"
        assert body["line"] == text.count("\n", 0, text.rindex(after)) + 1
        assert body["field"] == field


def test_the_network_is_shown_as_understood(client: httpx.Client) -> None:
    topology = client.get("/v1/topology").json()
    assert [node["id"] for node in topology["nodes"]] == ["county", "city", "province"]
    assert topology["links"][0]["capacity_mbps"] == 1000.0
    assert topology["links"][0]["delay_ms"] == 1.0
    check = client.get("/v1/topology/check").json()
    assert {switch["node"] for switch in check["switches"] if switch["connected"]} == {"county", "city", "province"}
    assert check["topology"]["warnings"] == []
    services = client.get("/v1/catalogue").json()["services"]
    assert "remote-surgery" in [service["name"] for service in services]


def test_health_and_metrics(client: httpx.Client, intent_text: str) -> None:
    assert client.get("/healthz").json() == {"status": "live"}
    assert client.get("/readyz").json()["status"] == "ready"
    client.post("/v1/intents", content=named(intent_text, "counted"), headers=YAML)
    settled(client, "counted", "Active")
    text = client.get("/metrics").text
    assert 'carelane_intents{phase="Active"} 1.0' in text
    assert 'carelane_switch_connected{node="county"} 1.0' in text
    assert 'carelane_http_requests_total{method="POST",route="/v1/intents",status="200"}' in text
    assert "/v1/intents/counted" not in text
    client.delete("/v1/intents/counted")
    settled(client, "counted", "Withdrawn")


def test_errors_of_the_framework_are_problems_too(client: httpx.Client) -> None:
    problem(client.get("/nowhere"), 404)
    problem(client.get("/v1/intents/"), 404)
    problem(client.get("/v1/intents/nobody"), 404)
    problem(client.delete("/v1/intents/nobody"), 404)
    problem(client.get("/v1/intents/%00%0a%F0%9F%98%80"), 404)
    assert "PATCH" in problem(client.patch("/v1/topology", json={}), 405)["detail"]
    answer = client.delete("/v1/topology")
    problem(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD"
    answer = client.put("/v1/intents", json={})
    problem(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD, POST", "of every route of the path"
    assert client.put("/quality-on-demand/v1/sessions/x", json={}).headers["allow"] == "DELETE, GET, HEAD"
    broken = client.post("/v1/what-if", content='{"links": ', headers={"content-type": "application/json"})
    assert problem(broken, 422)["field"] == "body"
    assert problem(broken, 422)["message"].startswith("not JSON: ")
    body = problem(client.post("/v1/intents?dryRun=perhaps", content="x", headers=YAML), 422)
    assert body["field"] == "query.dryRun"


@pytest.mark.parametrize("path", ["/healthz", "/v1/topology", "/v1/intents/nobody", "/openapi.json", "/"])
def test_head_tells_what_get_would_without_the_body(client: httpx.Client, path: str) -> None:
    get, head = client.get(path), client.head(path)
    assert head.status_code == get.status_code
    assert head.content == b""
    for name in ("content-type", "content-length"):
        assert head.headers[name] == get.headers[name]
    assert client.head("/v1/topology", headers={"authorization": "Bearer none"}).status_code == 401
    assert client.head("/v1/reoptimise").status_code == 405
    assert client.head("/v1/events").headers["content-type"].startswith("text/event-stream"), "and it ends"
    assert client.get("/healthz").status_code == 200, "the connection goes on"


def test_a_browser_on_another_site_cannot_file_or_look(client: httpx.Client, intent_text: str) -> None:
    """Forms and plain fetches reach loopback; only with an honest Host and a media type that needs a preflight."""
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        headers = {"content-type": media_type} if media_type else {}
        problem(client.post("/v1/intents", content=intent_text, headers=headers), 415)
    for host in (
        "rebound.example",
        "[::1",
        "::1",
        "a@localhost",
        "",
        "127.0.0.1.example",
        "localhost.example:80",
        "[::1].example",
        "10.0.0.1",
    ):
        problem(client.get("/v1/intents", headers={"host": host}), 421)
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1:1", "[::1]:1"):
        assert client.get("/v1/intents", headers={"host": host}).status_code == 200
    preflight = client.options("/v1/intents", headers={"origin": "http://evil.example"})
    assert "access-control-allow-origin" not in preflight.headers


def test_a_body_is_bounded_while_it_streams(client: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(4000):
            yield b"#" * 65536

    started = time.monotonic()
    try:
        answer = client.post("/v1/intents", content=endless(), headers=YAML)
        problem(answer, 413)
    except httpx.WriteError:  # the server hung up before all of it was sent, which is as good
        pass
    assert time.monotonic() - started < 30
    problem(client.post("/v1/intents", content=b"a: b\n" * 2_100_000, headers=YAML), 413)
    assert client.get("/healthz").status_code == 200


def test_half_a_request_does_not_block_the_others(server: Server, client: httpx.Client) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    slow = []
    try:
        for _ in range(60):
            connection = socket.create_connection((host, int(port)))
            connection.sendall(
                b"POST /v1/intents HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/yaml\r\n"
                b"Content-Length: 1000\r\n\r\nkind:"
            )
            slow.append(connection)
        assert client.get("/readyz").status_code == 200
        assert client.get("/v1/intents").status_code == 200
    finally:
        for connection in slow:
            connection.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(max_size=200),
    path=st.sampled_from(["/v1/intents", "/v1/plans", "/v1/diff"]),
    media_type=st.sampled_from(["application/json", "application/yaml", "text/yaml; charset=utf-7"]),
)
def test_garbage_is_a_located_problem(client: httpx.Client, data: bytes, path: str, media_type: str) -> None:
    answer = client.post(path, content=data, headers={"content-type": media_type})
    if path == "/v1/diff" and not data.strip():
        assert answer.status_code == 200
    else:
        assert problem(answer, 422)["type"] == "urn:carelane:problem:input"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_path_has_an_answer(client: httpx.Client, path: str) -> None:
    answer = client.get("/v1/intents/" + quote(path, safe=""))
    assert answer.status_code in (200, 404), answer.text


def test_many_at_once_keep_the_capacity_promise(start_server: Any, topology_text: str, intent_text: str) -> None:
    """Forty sites ask for 100 Mbit/s each to one console of 1 Gbit/s, from sixteen threads: ten are admitted."""
    sites = "".join(
        f"    - {{id: site-{n}, node: county, address: 10.1.1.{n}/32, capacity: 1Gbps}}\n" for n in range(40)
    )
    server = start_server(topology=topology_text + sites)
    client = httpx.Client(base_url=server.url, headers=server.headers, timeout=60, trust_env=False)

    def file(number: int) -> bool:
        changes = {"40Mbps": "100Mbps", "99.99%": "99.9%", "county/or-1": f"site-{number}"}
        answer = client.post("/v1/intents", content=named(intent_text, f"rush-{number}", **changes), headers=YAML)
        assert answer.status_code == 200, answer.text
        return bool(answer.json()["intents"][0]["admitted"])

    with client, concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(file, range(40))) == 10
        names = [f"rush-{number}" for number in range(40)]
        deleted = list(pool.map(lambda name: client.delete(f"/v1/intents/{name}").status_code, names))
        assert set(deleted) == {202}
        for name in names:
            settled(client, name, "Withdrawn")
        assert client.post("/v1/diff", content=b"", headers=YAML).json()["operations"] == 0


def test_the_openapi_document_names_every_path(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/intents", "/v1/intents/{name}", "/v1/plans", "/v1/diff", "/v1/topology", "/readyz"} <= set(paths)


def test_the_documentation_is_served_from_here(client: httpx.Client) -> None:
    page = client.get("/docs", headers={"authorization": ""})
    assert page.status_code == 200
    assert "http" not in page.text.replace("http-equiv", "")
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js"):
        assert f"/static/swagger/{name}" in page.text
        assert client.get(f"/static/swagger/{name}").status_code == 200
