"""`carelane events`: every step of every intent, as it happens and from any step on."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

from carelane.cli._client import Client
from carelane.cli._exit import Exit, tell
from carelane.cli._output import Format, emit_text, printable
from carelane.cli._remote import seconds
from carelane.errors import InputError, ServerUnavailable

__all__ = ["run_events"]

AGAIN_S = 2.0
Event = tuple[str, dict[str, Any]]


def run_events(url: str | None, *, after: int | None, duration: str | None, output: Format) -> Exit:
    """Until interrupted, or for `duration`. A stream that breaks off is taken up where it ended.

    Raises InputError, ServerUnavailable when the server is not there at the start.
    """
    if output == "yaml":
        raise InputError("a stream has no YAML form", field="-o", expected="json or table")
    ends = None if duration is None else time.monotonic() + seconds(duration, "--for")
    inbox: queue.Queue[Event | Exception] = queue.Queue()
    over = threading.Event()
    reader = threading.Thread(target=_read, args=(Client.at(url), None if after is None else str(after), inbox, over))
    reader.daemon = True  # it waits in a read that nothing but the server ends
    reader.start()
    while (left := None if ends is None else ends - time.monotonic()) is None or left > 0:
        try:
            item = inbox.get(timeout=left)
        except queue.Empty:
            break
        if isinstance(item, Exception):
            raise item
        emit_text(json.dumps(item[1], ensure_ascii=False) if output == "json" else _line(item[1]))
    over.set()
    return Exit.DONE


def _read(client: Client, last: str | None, inbox: queue.Queue[Event | Exception], over: threading.Event) -> None:
    """Into the inbox, with the error that ends it; after a first good answer a lost server is waited for."""
    answered = False
    while not over.is_set():
        try:
            for number, event in _events(client, last):
                answered = True
                if event is not None:
                    inbox.put((number or "", event))
                last = number or last
        except ServerUnavailable as error:
            if not answered:
                inbox.put(error)
                return
            if not over.is_set():
                tell(f"carelane: {error}; trying again")
        except Exception as error:  # noqa: BLE001 - handed to the main thread, which reports it
            inbox.put(error)
            return
        over.wait(AGAIN_S)


def _events(client: Client, last: str | None) -> Iterator[tuple[str | None, dict[str, Any] | None]]:
    """Server-Sent Events (HTML standard, 9.2): fields by line, an empty line ends an event; comments keep it alive."""
    fields: dict[str, str] = {}
    for line in client.lines("v1", "events", after=last):
        if line.startswith(":"):
            yield None, None
        elif line:
            name, _, value = line.partition(":")
            fields[name] = fields.get(name, "") + value.removeprefix(" ")
        elif fields:
            yield fields.get("id"), json.loads(fields["data"]) if "data" in fields else None
            fields = {}


def _line(event: dict[str, Any]) -> str:
    why = ": ".join(part for part in (event["reason"], event["message"]) if part)
    return printable(
        f"{event['id']} {event['at']} {event['name']}: {event['phase_from'] or '-'} > {event['phase_to']} ({why})"
    )
