"""`carelane status`: whether the server can work, which controllers there are, and which of them acts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from carelane.cli._client import Client
from carelane.cli._exit import Exit
from carelane.cli._output import Format, emit, emit_rows, emit_text
from carelane.cli._remote import POLL_S, seconds
from carelane.errors import ServerUnavailable, TransientError

__all__ = ["leader_note", "run_status"]

_NOBODY = "no controller acts; another takes over within seconds, if one can reach the database"


def run_status(url: str | None, *, wait: str | None = None, output: Format) -> Exit:
    """Exit 1 when it is not ready, or when no controller acts; with `wait`, when that is so for so long.

    Raises InputError, ServerUnavailable.
    """
    answer = _ready(url, time.monotonic() + (0 if wait is None else seconds(wait, "--wait")))
    emit(answer, output, lambda: _print(answer))
    return Exit.DONE if answer["ready"] else Exit.BROKEN


def _ready(url: str | None, until_s: float) -> Mapping[str, Any]:
    """How it is once it is ready, or at `until_s` of the monotonic clock. Raises ServerUnavailable."""
    while True:
        late = time.monotonic() >= until_s
        try:
            answer = _look(url)
        except ServerUnavailable:
            if late:
                raise
        else:
            if late or answer["ready"]:
                return answer
        time.sleep(POLL_S)


def _look(url: str | None) -> Mapping[str, Any]:
    """The credential is looked for after the first answer: a first start takes connections before it makes the key, and
    answers after."""
    reasons = _reasons(Client.at(url))
    places = Client.at(url).get("v1", "controllers")["controllers"]
    if not _acting(places):
        reasons.append(_NOBODY)
    return {"ready": not reasons, "reasons": reasons, "controllers": places}


def leader_note(client: Client) -> str | None:
    """Which controller acts, or that none does; nothing where there is only one. Raises ServerUnavailable."""
    places = client.get("v1", "controllers")["controllers"]
    acting = _acting(places)
    if acting is None:
        return _NOBODY
    here = next((place for place in places if place["here"]), acting)
    if acting["role"] == "single":
        return None
    also = "" if here is acting else f"; {here['address'] or 'a follower'} answered, and reads what it does"
    return f"{acting['address'] or 'a controller without an address'} leads{also}"


def _acting(places: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return next((place for place in places if place["role"] != "follower"), None)


def _reasons(client: Client) -> list[str]:
    """Why it is not ready, by its own words."""
    try:
        client.get("readyz")
    except ServerUnavailable:
        raise
    except TransientError as error:
        return [str(error)]
    return []


def _print(answer: Mapping[str, Any]) -> None:
    emit_text("ready" if answer["ready"] else "not ready: " + "; ".join(answer["reasons"]))
    emit_text("")
    emit_rows(
        ("CONTROLLER", "ROLE", "LAST SEEN", ""),
        (
            (row["address"] or "-", row["role"], row["seen_at"] or "-", "answered this" if row["here"] else "")
            for row in answer["controllers"]
        ),
    )
