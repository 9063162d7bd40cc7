"""Requests that may come twice: the first answer is stored with what it changed, and given again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from fastapi.responses import JSONResponse

from carelane.api.rest.caller import Caller
from carelane.errors import ConflictError
from carelane.store import Replay, Store, Writer

__all__ = ["Keep", "once"]

Keep = Callable[[Writer, int, Any], None]
"""To be called in the transaction of the change, with the status and the body of the answer."""


def once(store: Store, caller: Caller, body: bytes, change: Callable[[Keep], JSONResponse]) -> JSONResponse:
    """Carry `change` out unless the caller's Idempotency-Key was answered before. Raises ConflictError."""
    key, subject, fingerprint = caller.key, caller.principal.subject, caller.fingerprint(body)
    if key is None:
        return change(lambda _write, _status, _body: None)

    def keep(write: Writer, status: int, answer: Any) -> None:
        write.remember(subject, key, Replay(fingerprint, status, json.dumps(answer, ensure_ascii=False)))

    found = _earlier(store, subject, key, fingerprint)
    if found is not None:
        return found
    try:
        return change(keep)
    except ConflictError:
        # The same request may have been carried out between the look and the change; then its answer holds.
        found = _earlier(store, subject, key, fingerprint)
        if found is None:
            raise
        return found


def _earlier(store: Store, subject: str, key: str, fingerprint: str) -> JSONResponse | None:
    with store.read() as read:
        replay = read.replay(subject, key)
    if replay is None:
        return None
    if replay.fingerprint != fingerprint:
        raise ConflictError("this Idempotency-Key was used for another request; choose a new one")
    return JSONResponse(json.loads(replay.body), replay.status, headers={"Idempotent-Replay": "true"})
