"""`/v1/events`: every step of every intent as Server-Sent Events, from any step on (HTML standard, section 9.2)."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Annotated

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import FastAPI, Header, Query
from sse_starlette import EventSourceResponse, ServerSentEvent

from carelane.api.auth import Role
from carelane.api.present import plain
from carelane.api.rest.caller import Caller, caller
from carelane.errors import CarelaneError, InputError, TooManyRequests, TransientError
from carelane.store import Store, StoredEvent

__all__ = ["add_events"]

POLL_S = 0.5
RECHECK_S = 15.0
MAX_STREAMS = 20


def add_events(app: FastAPI, store: Store) -> None:
    limiter = CapacityLimiter(4)
    open_streams: Counter[str] = Counter()

    @app.get(
        "/v1/events",
        tags=["intents"],
        summary="Steps of intents as they happen; Last-Event-ID resumes",
        response_class=EventSourceResponse,
        responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    )
    async def events(
        who: Annotated[Caller, caller(Role.VIEWER)],
        after: Annotated[int | None, Query(ge=0, le=2**53, description="Steps after this one; else new ones.")] = None,
        last_event_id: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
    ) -> EventSourceResponse:
        start, last = _start(after, last_event_id), await run_sync(_last, store, limiter=limiter)
        # A number that is not reached yet is of a store that was since restored from an older backup.
        start = last if start is None else min(start, last)
        subject = who.principal.subject
        if open_streams[subject] >= MAX_STREAMS:
            raise TooManyRequests(f"{MAX_STREAMS} streams are open already", 10)
        return EventSourceResponse(_follow(store, who, start, limiter, open_streams), ping=15, send_timeout=30)


def _start(after: int | None, last_event_id: str | None) -> int | None:
    if last_event_id is None:
        return after
    if not last_event_id.isascii() or not last_event_id.isdigit() or len(last_event_id) > 16:
        raise InputError("not the number of an event", field="header.Last-Event-ID", expected="what the stream gave")
    return int(last_event_id)


async def _follow(
    store: Store, who: Caller, after: int, limiter: CapacityLimiter, open_streams: Counter[str]
) -> AsyncIterator[ServerSentEvent]:
    """Ends when the credential is no longer good, and never shows another tenant's steps."""
    subject = who.principal.subject
    open_streams[subject] += 1
    checked = time.monotonic()
    try:
        while True:
            try:
                found = await run_sync(_after, store, after, who.tenant, limiter=limiter)
            except TransientError:
                found = ()
            for event in found:
                yield ServerSentEvent(
                    json.dumps(plain(event), ensure_ascii=False), event="intent", id=str(event.id), sep="\n"
                )
                after = event.id
            if not found:
                await asyncio.sleep(POLL_S)
            if time.monotonic() - checked > RECHECK_S and who.again is not None:
                try:
                    await run_sync(who.again, limiter=limiter)
                except CarelaneError:
                    return
                checked = time.monotonic()
    finally:
        open_streams[subject] -= 1


def _after(store: Store, after: int, tenant: str | None) -> tuple[StoredEvent, ...]:
    with store.read() as read:
        return read.events(after=after, tenant=tenant)


def _last(store: Store) -> int:
    with store.read() as read:
        return read.last_event()
