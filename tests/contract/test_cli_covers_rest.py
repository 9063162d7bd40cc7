"""Every capability of REST is one of the command line: each route of the OpenAPI document against the command that
calls it, at a real server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from carelane.cli._client import Client
from carelane.errors import ServerUnavailable, TransientError

Cli = Any
Server = Any
SURGERY = "remote surgery county/or-1 -> province/console-3: 20 ms, 99.99%"
CONSULTATION = "remote consultation county/or-1 -> province/console-3: 10 Mbit/s, 99.9%"
FASTER = "{spec: {objectives: {bandwidth: 7Mbps}}}"
COMMANDS: dict[str, tuple[str, ...]] = {
    "POST /v1/intents": ("apply", SURGERY, "--name", "or1"),
    "GET /v1/intents": ("get", "--phase", "Active", "--service", "remote-surgery", "--prefix", "or"),
    "PATCH /v1/intents/{name}": ("patch", "or1", "-p", FASTER),
    "GET /v1/intents/{name}": ("describe", "or1"),
    "POST /v1/plans": ("apply", "--dry-run", "--optimize", SURGERY, "--name", "or1"),
    "GET /v1/plans/{name}": ("explain", "fast"),
    "POST /v1/intents/{name}/offers/{index}": ("accept", "fast", "--offer", "99"),
    "GET /v1/intents/{name}/history": ("history", "or1"),
    "POST /v1/diff": ("diff",),
    "GET /v1/topology": ("topology", "show"),
    "GET /v1/topology/check": ("topology", "check"),
    "GET /v1/capacity": ("capacity",),
    "GET /v1/access": ("access",),
    "GET /v1/controllers": ("status",),
    "GET /readyz": ("status",),
    "GET /v1/verification": ("verify",),
    "POST /v1/what-if": ("whatif", "--fail", "l1", "--drain", "link:l2", "--upgrade", "l3=10Gbps"),
    "GET /v1/drains": ("drains",),
    "POST /v1/drains/{target}": ("drain", "l3"),
    "DELETE /v1/drains/{target}": ("undrain", "l3"),
    "POST /v1/reoptimise": ("reoptimise",),
    "GET /v1/intents/{name}/compliance": ("compliance", "or1"),
    "GET /v1/compliance": ("compliance",),
    "GET /v1/consultations": ("consultations",),
    "GET /v1/whoami": ("whoami",),
    "GET /v1/keys": ("key", "list"),
    "POST /v1/keys": ("key", "create", "covered"),
    "DELETE /v1/keys/{key_id}": ("key", "revoke", "nobody"),
    "GET /v1/audit": ("audit", "--tenant", "default", "--target", "or1"),
    "GET /v1/events": ("events", "--after", "0", "--for", "300ms"),
    "DELETE /v1/intents/{name}": ("delete", "or1"),
}
ELSEWHERE = {
    "GET /v1/catalogue": "`carelane catalogue` needs no server; a test below compares the two",
    "POST /v1/probes": "`carelane probe run` sends packets first; tests/contract/test_probes.py follows one",
    "GET /healthz": "asked by load balancers and systemd; a person asks `carelane status`",
    "GET /leaderz": "asked by load balancers; a person asks `carelane status`",
    "GET /metrics": "read by Prometheus; people see the figures with `compliance`, `consultations` and `capacity`",
}


@pytest.fixture(scope="module")
def filed(server: Server, cli: Cli) -> Server:
    assert cli("apply", SURGERY, "--name", "or1", "--url", server.url).code == 0
    assert cli("apply", SURGERY.replace("20 ms", "2 ms"), "--name", "fast", "--url", server.url).code == 3
    return server


@pytest.fixture
def shown(filed: Server, call: Cli) -> Any:
    """What a command prints as JSON."""
    return lambda *words: json.loads(call(*words, "--url", filed.url, "-o", "json").out)


def _routes(url: str) -> set[str]:
    document = httpx.get(f"{url}/openapi.json", trust_env=False).json()
    return {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}


@contextmanager
def _asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The calls that commands make meanwhile."""
    calls: list[str] = []
    real = Client._open

    def recorded(self: Client, method: str, path: Sequence[str], *arguments: Any, **named: Any) -> Any:
        calls.append(f"{method} /{'/'.join(path)}")
        return real(self, method, tuple(path), *arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(Client, "_open", recorded)
        yield calls


def test_every_route_has_a_command_that_calls_it(filed: Server, call: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _routes(filed.url) == COMMANDS.keys() | ELSEWHERE.keys()
    for route, words in COMMANDS.items():
        with _asked(monkeypatch) as calls:
            ran = call(*words, "--url", filed.url)
        pattern = re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(route)))
        assert any(pattern.fullmatch(made) for made in calls), (route, calls, ran.err)
        assert ran.code in (0, 2 if words[-1] in ("99", "nobody") else 0, 3 if words[0] in ("explain", "whatif") else 0)
    assert call("apply", SURGERY, "--name", "or1", "--url", filed.url).code == 0


def test_every_command_that_reads_has_forms_for_programs(filed: Server, call: Cli) -> None:
    import yaml

    for route, words in COMMANDS.items():
        if not route.startswith("GET") or words[0] == "events":
            continue
        document = json.loads(call(*words, "--url", filed.url, "-o", "json").out)
        again = yaml.safe_load(call(*words, "--url", filed.url, "-o", "yaml").out)
        assert document.keys() == again.keys(), words


def test_the_catalogue_is_the_servers(filed: Server, call: Cli) -> None:
    there = httpx.get(f"{filed.url}/v1/catalogue", headers=filed.headers, trust_env=False).json()
    assert json.loads(call("catalogue", "-o", "json").out) == there


def test_a_patch_changes_what_it_names_and_only_the_generation_it_was_made_for(
    filed: Server, call: Cli, shown: Any, tmp_path: Any
) -> None:
    before = shown("describe", "or1")
    generation = before["summary"]["generation"]
    file = tmp_path / "patch.yaml"
    file.write_text("spec:\n  objectives:\n    bandwidth: 9Mbps\n", encoding="utf-8")
    ran = call("patch", "or1", "-f", str(file), "--if-generation", str(generation), "--url", filed.url)
    assert (ran.code, "or1: Active" in ran.err) == (0, True)
    after = shown("describe", "or1")
    assert after["manifest"]["spec"]["objectives"]["bandwidth"] == "9Mbps"
    assert after["manifest"]["spec"]["from"] == before["manifest"]["spec"]["from"]
    late = call("patch", "or1", "-p", FASTER, "--if-generation", str(generation), "--url", filed.url)
    assert late.code == 2
    assert "moved on" in late.err
    assert call("delete", "or1", "--if-generation", str(generation), "--url", filed.url).code == 2
    assert shown("get", "or1")["phase"] == "Active"
    file.write_text("spec:\n  objectives:\n    delay: soon\n", encoding="utf-8")
    faulty = call("patch", "or1", "-f", str(file), "--url", filed.url)
    assert faulty.code == 2
    assert f"{file}:3: spec.objectives.delay" in faulty.err
    for words in ((), ("-p", FASTER, "-f", str(file)), ("-p", "[1]"), ("-p", "{spec: {nonsense: 1}}")):
        assert call("patch", "or1", *words, "--url", filed.url).code == 2


def test_what_if_asks_the_server_about_the_slices_in_force(filed: Server, call: Cli, shown: Any) -> None:
    whole = shown("whatif", "--drain", "l3")
    assert {row["name"]: row["outcome"] for row in whole["intents"]} == {"or1": "weakened"}
    both = call("whatif", "--fail", "l1", "--fail", "l3", "--url", filed.url)
    assert both.code == 3
    assert "broken" in both.out
    added = shown("whatif", "--add", CONSULTATION)["added"]
    assert [decision["name"] for decision in added] == ["added-1"]
    assert call("whatif", "--fail", "nowhere", "--url", filed.url).code == 2
    assert call("whatif", "--sweep", "--url", filed.url).code == 2


def test_status_names_the_controller_that_acts(filed: Server, call: Cli, shown: Any) -> None:
    answer = shown("status")
    assert answer["ready"]
    assert [(row["role"], row["here"]) for row in answer["controllers"]] == [("single", True)]
    assert "single" in call("status", "--url", filed.url, "--wait", "30s").out
    assert call("status", "--url", "http://127.0.0.1:9", "--wait", "0.3s").code == 69
    assert call("status", "--url", filed.url, "--wait", "long").code == 2


def test_status_waits_for_a_server_that_starts_for_the_first_time(
    filed: Server, call: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nobody answers; then somebody does, and has made a key while the question waited, but its database is away."""
    get, file = Client.get, tmp_path / "admin.key"
    asked: list[tuple[str, ...]] = []

    def answer(self: Client, *path: str, **query: Any) -> Any:
        asked.append(path)
        if len(asked) == 1:
            raise ServerUnavailable("not yet")
        if len(asked) == 2:
            file.write_text(filed.key)
            raise TransientError("its database does not answer")
        return get(self, *path, **query)

    monkeypatch.setattr(Client, "get", answer)
    monkeypatch.setenv("CARELANE_KEY_FILE", str(file))
    monkeypatch.setenv("CARELANE_URL", filed.url)
    assert call("status", "--wait", "60s").out.startswith("ready")


@pytest.mark.parametrize(
    ("leader", "says"),
    [
        ("leader", "http://other leads; http://here answered, and reads what it does"),
        ("follower", "no controller acts"),
        (None, None),
    ],
)
def test_get_and_describe_name_the_controller_that_acts_where_there_are_several(
    filed: Server, call: Cli, monkeypatch: pytest.MonkeyPatch, leader: str | None, says: str | None
) -> None:
    places = [{"address": "http://other", "role": leader, "seen_at": None, "here": False},
              {"address": "http://here", "role": "follower", "seen_at": None, "here": True}]  # fmt: skip
    get = Client.get

    def answer(self: Client, *path: str, **query: Any) -> Any:
        several = leader is not None and path == ("v1", "controllers")
        return {"controllers": places} if several else get(self, *path, **query)

    monkeypatch.setattr(Client, "get", answer)
    listed, described = (call(*words, "--url", filed.url) for words in (("get",), ("describe", "or1")))
    for shown in (listed.err, described.out):
        assert ("leads" in shown or "acts;" in shown) is (says is not None)
        assert says is None or says in shown
    assert "leads" not in listed.out, "what scripts read stays a table"


def test_lists_longer_than_a_page_come_whole(
    filed: Server, shown: Any, call: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page is one row here. The server's own is a thousand, which many networks hold more slices than."""
    whole = {words: shown(*words) for words in (("get",), ("audit",), ("history", "or1"))}
    monkeypatch.setattr("carelane.cli._client.PAGE", 1)
    for words, rows in whole.items():
        assert shown(*words) == rows
        assert len(next(iter(rows.values()))) > 1
    assert len(shown("audit", "--limit", "2")["entries"]) == 2
    assert call("apply", SURGERY, "--name", "or1", "--url", filed.url).code == 0


def test_names_of_intents_are_completed(filed: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from carelane.cli._completion import intent_names

    monkeypatch.setenv("CARELANE_URL", filed.url)
    monkeypatch.setenv("CARELANE_API_KEY", filed.key)
    assert intent_names("o") == ["or1"]
    monkeypatch.setenv("CARELANE_URL", "http://127.0.0.1:1")
    assert intent_names("o") == []
