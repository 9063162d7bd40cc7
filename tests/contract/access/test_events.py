"""The event stream of a real server: what happened since, nothing twice, nothing of others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

Server = Any


def read(client: httpx.Client, count: int, key: str, **headers: str) -> list[dict[str, Any]]:
    """The first `count` events of a stream, each with its id."""
    events: list[dict[str, Any]] = []
    number = ""
    with client.stream("GET", "/v1/events?after=0", headers={"authorization": f"Bearer {key}", **headers}) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("id: "):
                number = line[4:]
            if line.startswith("data: "):
                event = json.loads(line[6:])
                assert str(event["id"]) == number
                events.append(event)
                if len(events) == count:
                    return events
    raise AssertionError("the stream ended")


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=20, trust_env=False) as opened:
        yield opened


def test_a_stream_resumes_where_it_was(server: Server, client: httpx.Client, intent_text: str) -> None:
    for name, tenant in (("streamed", "alpha"), ("hidden", "bravo")):
        text = intent_text.replace("or1-surgery", name).replace("county-hospital", tenant)
        text = text.replace("40Mbps", "2Gbps")  # refused: two steps each, and then it is still
        headers = {**server.headers, "content-type": "application/yaml"}
        assert client.post("/v1/intents", content=text, headers=headers).status_code == 200
    everything = read(client, 4, server.key)
    assert [event["name"] for event in everything] == ["streamed", "streamed", "hidden", "hidden"]
    assert [event["phase_to"] for event in everything[:2]] == ["Requested", "Refused"]
    rest = read(client, 2, server.key, **{"last-event-id": str(everything[1]["id"])})
    assert rest == everything[2:]
    later = {"last-event-id": "999999"}
    with client.stream("GET", "/v1/events", headers={**server.headers, **later}) as answer:
        assert answer.status_code == 200
        again = client.post("/v1/intents", content=text.replace("hidden", "later"), headers=headers)
        assert again.status_code == 200
        told = next(line for line in answer.iter_lines() if line.startswith("data: "))
    assert json.loads(told[6:])["name"] == "later", "as after a restore from an older backup"
    body = {"label": "b", "role": "viewer", "tenant": "bravo"}
    bravo = client.post("/v1/keys", json=body, headers=server.headers).json()["key"]
    assert [event["name"] for event in read(client, 2, bravo)] == ["hidden", "hidden"]
    wrong = client.get("/v1/events", headers={**server.headers, "last-event-id": "x"})
    assert wrong.status_code == 422
    assert client.get("/v1/events").status_code == 401


def test_a_server_stops_although_somebody_listens(start_server: Any) -> None:
    server = start_server()
    with (
        httpx.Client(base_url=server.url, timeout=20, trust_env=False, headers=server.headers) as client,
        client.stream("GET", "/v1/events") as answer,
    ):
        assert answer.status_code == 200
        assert server.stop() == 0
    assert "Traceback" not in Path(server.folder / "log").read_text()
