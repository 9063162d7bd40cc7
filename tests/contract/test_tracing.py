"""One request seen from the door to the switches: a trace through REST, planner and controller, and its id in logs."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from carelane.api.rest.caller import RequestIds
from carelane.controller.reconcile.queue import WorkQueue
from carelane.errors import InputError
from carelane.tracing import configure_traces, following, request_fields

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
LINE = {"line": "remote surgery county/or-1 -> province/console-3: 20 ms, 99.99%", "name": "or1"}
Server = Any


def spans(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "log").read_text(encoding="utf-8").splitlines()
    return [found for line in lines if line.startswith("{") and "context" in (found := json.loads(line))]


def ancestors(span: dict[str, Any], by_id: dict[str, dict[str, Any]]) -> list[str]:
    """The names of the spans around it, the nearest first; frameworks may put theirs in between."""
    names = []
    while (span := by_id.get(span["parent_id"] or "", {})) != {}:
        names.append(span["name"])
    return names


def test_a_trace_leads_from_rest_through_the_planner_to_the_switches(
    start_server: Callable[..., Server],
) -> None:
    server = start_server(env={"CARELANE_TRACES": "console", "CARELANE_LOG_FORMAT": "json"})
    headers = {**server.headers, "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "X-Request-Id": "from-the-caller"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=30) as rest:
        assert rest.post("/v1/intents", json=LINE).status_code == 200
        for _ in range(200):
            if rest.get("/v1/intents/or1").json()["summary"]["phase"] == "Active":
                break
            time.sleep(0.05)
    assert server.stop() == 0
    found = spans(server.folder)
    ours = {span["name"]: span for span in found if span["context"]["trace_id"] == f"0x{TRACE}"}
    assert ours.keys() >= {"POST /v1/intents", "intents.apply", "planner.propose"}
    above = ancestors(ours["planner.propose"], {span["context"]["span_id"]: span for span in found})
    assert above[0] == "intents.apply"
    assert above[-1] == "POST /v1/intents"
    assert ours["POST /v1/intents"]["attributes"]["http.response.status_code"] == 200
    log = (server.folder / "log").read_text(encoding="utf-8")
    assert '"request_id": "from-the-caller"' in next(line for line in log.splitlines() if "intent reconciled" in line)
    passes = [span for span in found if span["name"] == "reconcile" and span["links"]]
    assert TRACE in {link["context"]["trace_id"].removeprefix("0x") for span in passes for link in span["links"]}
    programmed = [span for span in found if span["name"] == "switches.program"]
    assert {span["context"]["trace_id"] for span in programmed} & {span["context"]["trace_id"] for span in passes}


def test_what_was_bound_for_an_earlier_request_of_the_connection_is_not_logged_with_the_next() -> None:
    """A connection that was paused under a large body goes on in the context of the request that paused it."""
    seen: list[dict[str, Any]] = []

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(structlog.contextvars.get_contextvars())

    with structlog.contextvars.bound_contextvars(request_id="old", subject="somebody else"):
        asyncio.run(RequestIds(app)({"type": "http", "headers": [(b"x-request-id", b"new")]}, None, None))  # type: ignore[arg-type]
    assert seen == [{"request_id": "new"}]


def test_a_queued_name_keeps_the_request_that_asked_last() -> None:
    queue = WorkQueue()
    queue.add(["quiet"])
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        queue.add(["or1", "or2"])
    with structlog.contextvars.bound_contextvars(request_id="r2"):
        queue.add(["or2"])
    names = queue.take(0)
    with following("reconcile", queue.origins(names)):
        assert [request_fields(name) for name in ("or1", "or2", "quiet")] == [
            {"request_id": "r1"},
            {"request_id": "r2"},
            {},
        ]
    queue.retry("or1")
    assert queue.origins(["or1"])["or1"].request_id == "r1", "a retry is still the same request's"
    queue.done("or2")
    assert queue.origins(["or2"]) == {}
    assert request_fields("or1") == {}


def test_an_exporter_that_is_not_installed_is_named() -> None:
    with pytest.raises(InputError, match="not installed") as caught:
        configure_traces("otlp")
    assert "pip install" in str(caught.value.remedy)


def test_tracing_costs_the_command_line_nothing() -> None:
    code = "import sys; import carelane.cli; from carelane.cli import _commands; print('opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
