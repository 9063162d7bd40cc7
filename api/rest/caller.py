"""Who calls, what they may, and the number of the request: dependencies of every route."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import structlog
from fastapi import Depends, FastAPI, Header, Request, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from carelane.api.auth import Authenticator, Principal, Role
from carelane.errors import InputError, PreconditionError

__all__ = ["Caller", "RequestIds", "assert_closed", "caller", "changer", "role_of"]

_SANE_ID = re.compile(r"[A-Za-z0-9._:/{}<>;-]{1,128}")
_BEARER = HTTPBearer(auto_error=False, description="An API key (`carelane_<id>_<secret>`) or an OIDC access token.")


@dataclass(frozen=True, slots=True)
class Caller:
    """One authorised call. `key` and `if_match` only on calls that change something."""

    principal: Principal
    request_id: str
    call: str
    key: str | None = None
    if_match: str | None = None
    again: Callable[[], Principal] | None = None

    @property
    def tenant(self) -> str | None:
        """The tenant whose things the caller sees; None: everybody's."""
        return self.principal.tenant

    def fingerprint(self, body: bytes = b"") -> str:
        """Tells whether a request that comes again is the same."""
        return hashlib.sha256(self.call.encode() + b"\0" + body).hexdigest()

    def expect(self, etag: str, name: str) -> None:
        """Raises PreconditionError when the caller's If-Match names another state."""
        if self.if_match is None:
            return
        given = {item.strip() for item in self.if_match.split(",")}
        if not given & {"*", etag}:
            raise PreconditionError(f"{name} has moved on to {etag}; read it again and decide anew")


def caller(role: Role, *, unbound: bool = False) -> Any:
    """A dependency: the caller, who has `role` (and is bound to no tenant). It answers 401, 403 or 429 otherwise."""

    async def authorised(
        request: Request, _credential: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)] = None
    ) -> Caller:
        return await _authorised(request, role, unbound=unbound)

    authorised.carelane_role = role  # type: ignore[attr-defined]
    return Depends(authorised)


async def _key_header(
    _key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key", max_length=200, description="Sent again with it, a call is answered as before."
        ),
    ] = None,
) -> None:
    """Documents the header; `_authorised` reads it. Not `async`, it would cost a thread."""


async def _version_header(
    _if_match: Annotated[
        str | None,
        Header(
            alias="If-Match",
            max_length=200,
            description="An ETag: only while the intent is what was read.",
            examples=['"g3"'],
        ),
    ] = None,
) -> None:
    """Likewise."""


def changer(role: Role, *, versioned: bool = False) -> Any:
    """As `caller`, for a route that changes something and takes an Idempotency-Key, and If-Match where `versioned`."""

    async def authorised(
        request: Request,
        _credential: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)] = None,
        _key: Annotated[None, Depends(_key_header)] = None,
    ) -> Caller:
        return await _authorised(request, role, unbound=False)

    async def authorised_for_a_version(
        request: Request,
        _credential: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)] = None,
        _key: Annotated[None, Depends(_key_header)] = None,
        _version: Annotated[None, Depends(_version_header)] = None,
    ) -> Caller:
        return await _authorised(request, role, unbound=False)

    made = authorised_for_a_version if versioned else authorised
    made.carelane_role = role  # type: ignore[attr-defined]
    return Depends(made)


async def _authorised(request: Request, role: Role, *, unbound: bool) -> Caller:
    authenticator: Authenticator = request.app.state.authenticator
    header = request.headers.get("authorization")
    peer = request.client.host if request.client else ""

    def ask() -> Principal:
        principal = authenticator.authenticate(header, peer)
        principal.require(role, unbound=unbound)
        return principal

    # A thread costs more than to look a caller up who was here a moment ago; all others are asked after in one.
    principal = ask() if authenticator.remembers(header) else await run_in_threadpool(ask)
    structlog.contextvars.bind_contextvars(subject=principal.subject)
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= 200:
        raise InputError("not an idempotency key", field="header.Idempotency-Key", expected="1 to 200 characters")
    return Caller(
        principal=principal,
        request_id=request.state.request_id,
        call=f"{request.method} {request.url.path}?{request.url.query}",
        key=key,
        if_match=request.headers.get("if-match"),
        again=ask,
    )


class RequestIds:
    """ASGI middleware: every request has a number, which its answer, its logs and the audit carry."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        number = given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = number

        async def stamp(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-Id"] = number
            await send(message)

        # A connection that was paused hands on what was bound for an earlier request, of somebody else perhaps.
        structlog.contextvars.clear_contextvars()
        with structlog.contextvars.bound_contextvars(request_id=number):
            await self._app(scope, receive, stamp)


def role_of(route: APIRoute) -> Role | None:
    """The role that a route asks for; None: it is open."""
    pending = list(route.dependant.dependencies)
    while pending:
        found = pending.pop()
        role = getattr(found.call, "carelane_role", None)
        if role is not None:
            return Role(role)
        pending += found.dependencies
    return None


def assert_closed(app: FastAPI, open_paths: frozenset[str]) -> None:
    """A route that was forgotten must not be open: no application starts with one."""
    bare = [route.path for route in app.routes if isinstance(route, APIRoute) and role_of(route) is None]
    forgotten = sorted(set(bare) - open_paths)
    assert not forgotten, f"routes without a role: {forgotten}"
