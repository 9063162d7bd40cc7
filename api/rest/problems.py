"""Errors as RFC 9457 problem details: here and nowhere else does an exception become an HTTP status."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from carelane.errors import (
    CarelaneError,
    ConflictError,
    ForbiddenError,
    InputError,
    NotFoundError,
    NotLeader,
    PreconditionError,
    ProgramError,
    TooManyRequests,
    TransientError,
    UnauthenticatedError,
)

__all__ = ["MEDIA_TYPE", "allowing", "install", "problem"]

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2
_log = structlog.get_logger(__name__)


def problem(
    status: int,
    detail: str,
    *,
    kind: str | None = None,
    headers: Mapping[str, str] | None = None,
    extensions: Mapping[str, Any] | None = None,
) -> JSONResponse:
    """A problem response. `kind` names the type (``urn:carelane:problem:<kind>``); without it, about:blank."""
    body: dict[str, Any] = {
        "type": f"urn:carelane:problem:{kind}" if kind else "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    body.update({name: value for name, value in (extensions or {}).items() if value is not None})
    return JSONResponse(body, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem, those of the framework included."""
    app.add_exception_handler(CarelaneError, _carelane_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)


async def _carelane_error(_request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, InputError):
        return problem(
            422,
            str(error),
            kind="input",
            extensions={
                "message": error.message,
                "file": error.file,
                "line": error.line,
                "field": error.field,
                "expected": error.expected,
                "remedy": error.remedy,
            },
        )
    if isinstance(error, UnauthenticatedError):
        return problem(401, str(error), kind="unauthenticated", headers={"WWW-Authenticate": 'Bearer realm="carelane"'})
    if isinstance(error, ForbiddenError):
        return problem(403, str(error), kind="forbidden")
    if isinstance(error, TooManyRequests):
        return problem(429, str(error), kind="too-many-requests", headers={"Retry-After": str(error.retry_after_s)})
    if isinstance(error, PreconditionError):
        return problem(412, str(error), kind="precondition")
    if isinstance(error, NotFoundError):
        return problem(404, str(error), kind="not-found")
    if isinstance(error, ConflictError):
        return problem(409, str(error), kind="conflict")
    if isinstance(error, ProgramError):
        return problem(502, str(error), kind="switch-rejected")
    if isinstance(error, NotLeader):
        return problem(
            503, str(error), kind="not-leader", headers={"Retry-After": "1"}, extensions={"leader": error.leader}
        )
    if isinstance(error, TransientError):
        return problem(503, str(error), kind="unavailable", headers={"Retry-After": str(RETRY_AFTER_S)})
    return await _unexpected(_request, error)


async def _invalid_request(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        why = str(first.get("ctx", {}).get("error", first["msg"]))
        detail = f"not JSON: {why} at character {first['loc'][-1]}"
        return problem(422, f"body: {detail}", kind="input", extensions={"field": "body", "message": detail})
    field = ".".join(str(part) for part in first["loc"])
    return problem(422, f"{field}: {first['msg']}", kind="input", extensions={"field": field, "message": first["msg"]})


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    details = {
        404: f"no such resource: {request.url.path}",
        405: f"{request.method} is not allowed on {request.url.path}",
    }
    detail = str(error.detail)
    if detail == HTTPStatus(error.status_code).phrase:
        detail = details.get(error.status_code, detail)
    return problem(error.status_code, detail, headers={**(error.headers or {}), **allowing(request, error.status_code)})


def allowing(request: Request, status: int) -> dict[str, str]:
    """For 405: the methods of all routes of the path; the framework names those of the first (RFC 9110, 10.2.1)."""
    if status != 405:
        return {}
    found = [route for route in request.app.routes if route.matches(request.scope)[0] is Match.PARTIAL]
    methods = {method for route in found for method in getattr(route, "methods", None) or ()}
    return {"Allow": ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))}


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    """The caller learns a number to quote; the log has the rest."""
    incident = f"urn:uuid:{uuid.uuid4()}"
    _log.error("unexpected error", incident=incident, method=request.method, path=request.url.path, exc_info=error)
    return problem(
        500,
        "carelane failed; its log has the details under the given instance",
        kind="internal",
        extensions={"instance": incident},
    )
