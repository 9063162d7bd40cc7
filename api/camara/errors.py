"""ErrorInfo: the one shape of every CAMARA error, with x-correlator."""

from __future__ import annotations

import re
import uuid

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from carelane.api.rest.problems import allowing
from carelane.errors import (
    CarelaneError,
    ConflictError,
    ForbiddenError,
    InputError,
    NotFoundError,
    TooManyRequests,
    TransientError,
    UnauthenticatedError,
)

__all__ = ["CamaraError", "Correlator", "install", "invalid"]

log = structlog.get_logger(__name__)
_CORRELATOR = re.compile(r"[a-zA-Z0-9\-_:;./<>{}]{0,256}")
_RANGE_FAULTS = frozenset({"greater_than", "greater_than_equal", "less_than", "less_than_equal"})
_CODES = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 406: "NOT_ACCEPTABLE", 415: "UNSUPPORTED_MEDIA_TYPE"}


class CamaraError(CarelaneError):
    """An error of the specification, with its status and code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def invalid(message: str, code: str = "INVALID_ARGUMENT") -> CamaraError:
    return CamaraError(400, code, message)


def install(app: FastAPI) -> None:
    app.add_exception_handler(CarelaneError, _deliberate)
    app.add_exception_handler(ValidationError, _faulty)
    app.add_exception_handler(RequestValidationError, _faulty)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(Exception, _unexpected)


def _info(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"status": status, "code": code, "message": message}, status, headers=headers)


async def _deliberate(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, CamaraError):
        return _info(error.status, error.code, str(error))
    if isinstance(error, UnauthenticatedError):
        return _info(
            401,
            "UNAUTHENTICATED",
            "Request not authenticated due to missing, invalid, or expired credentials.",
            {"WWW-Authenticate": 'Bearer realm="carelane"'},
        )
    if isinstance(error, ForbiddenError):
        return _info(403, "PERMISSION_DENIED", "Client does not have sufficient permissions to perform this action.")
    if isinstance(error, TooManyRequests):
        return _info(429, "TOO_MANY_REQUESTS", str(error), {"Retry-After": str(error.retry_after_s)})
    if isinstance(error, NotFoundError):
        return _info(404, "NOT_FOUND", "The specified resource is not found.")
    if isinstance(error, ConflictError):
        return _info(409, "CONFLICT", "Conflict with an existing session for the same device.")
    if isinstance(error, InputError):
        return _info(400, "INVALID_ARGUMENT", error.message)
    if isinstance(error, TransientError):
        return _info(503, "UNAVAILABLE", "Service Unavailable.", {"Retry-After": "2"})
    return await _unexpected(request, error)


async def _faulty(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, (ValidationError, RequestValidationError))
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or "body"
    code = "OUT_OF_RANGE" if first["type"] in _RANGE_FAULTS else "INVALID_ARGUMENT"
    return _info(400, code, f"{field}: {first['msg']}")


async def _framework(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 413:
        return _info(400, "INVALID_ARGUMENT", str(error.detail))
    code = _CODES.get(error.status_code, "INVALID_ARGUMENT" if error.status_code < 500 else "INTERNAL")
    headers = {**(error.headers or {}), **allowing(request, error.status_code)}
    return _info(error.status_code, code, str(error.detail), headers)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    incident = uuid.uuid4().hex
    log.error("unexpected error", incident=incident, path=request.url.path, exc_info=error)
    return _info(500, "INTERNAL", f"Unknown server error; the log has it under {incident}.")


class Correlator:
    """ASGI middleware: the caller's x-correlator comes back, a new one where it sent none; a malformed one is 400."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).getlist("x-correlator")
        sound = len(given) <= 1 and all(_CORRELATOR.fullmatch(item) for item in given)
        number = given[0] if given and sound else str(uuid.uuid4())

        async def stamp(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-correlator"] = number
            await send(message)

        if not sound:
            await _info(400, "INVALID_ARGUMENT", "x-correlator does not match its pattern")(scope, receive, stamp)
            return
        await self._app(scope, receive, stamp)
