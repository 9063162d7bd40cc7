"""Authentication by metadata, errors as status codes, and limits: what every call goes through."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

import grpc
import structlog

from carelane.api.auth import Authenticator, Principal, Role
from carelane.api.rest.caller import Caller
from carelane.errors import (
    CarelaneError,
    ConflictError,
    ForbiddenError,
    InputError,
    NotFoundError,
    PreconditionError,
    TooManyRequests,
    TransientError,
    UnauthenticatedError,
)

__all__ = ["caller_of", "guarded", "guarded_stream"]

log = structlog.get_logger(__name__)
_CODES: tuple[tuple[type[CarelaneError], grpc.StatusCode], ...] = (
    (UnauthenticatedError, grpc.StatusCode.UNAUTHENTICATED),
    (ForbiddenError, grpc.StatusCode.PERMISSION_DENIED),
    (TooManyRequests, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (InputError, grpc.StatusCode.INVALID_ARGUMENT),
    (NotFoundError, grpc.StatusCode.NOT_FOUND),
    (PreconditionError, grpc.StatusCode.FAILED_PRECONDITION),
    (ConflictError, grpc.StatusCode.ALREADY_EXISTS),
    (TransientError, grpc.StatusCode.UNAVAILABLE),
)


def caller_of(authenticator: Authenticator, context: Any, role: Role, call: str, key: str) -> Caller:
    """Raises UnauthenticatedError, ForbiddenError, TooManyRequests, InputError."""
    header = _metadata(context).get("authorization")
    if len(key) > 200:
        raise InputError("not an idempotency key", field="idempotency_key", expected="at most 200 characters")

    def ask() -> Principal:
        principal = authenticator.authenticate(header if isinstance(header, str) else None, _address(context.peer()))
        principal.require(role)
        return principal

    number = structlog.contextvars.get_contextvars().get("request_id") or _number(context)
    return Caller(ask(), number, f"grpc {call}", key or None, None, ask)


def _metadata(context: Any) -> dict[str, Any]:
    return {str(name).lower(): value for name, value in context.invocation_metadata() or ()}


def _number(context: Any) -> str:
    """The caller's x-request-id when it is a sane one, or a new one."""
    given = _metadata(context).get("x-request-id", "")
    sane = isinstance(given, str) and given.isascii() and given.isprintable() and 1 <= len(given) <= 128
    return str(given) if sane else uuid.uuid4().hex


def _address(peer: str) -> str:
    """``ipv4:10.0.0.1:4711`` -> ``10.0.0.1``: whoever fails again from another port is the same to the limits."""
    kind, _, rest = unquote(peer).partition(":")
    return rest.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else peer


def guarded(work: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A unary handler whose errors are status codes. Its logs, the audit and the trailing metadata carry its number."""

    @functools.wraps(work)
    def handle(request: Any, context: Any) -> Any:
        number = _number(context)
        context.set_trailing_metadata((("x-request-id", number),))
        with structlog.contextvars.bound_contextvars(request_id=number):
            try:
                return work(request, context)
            except CarelaneError as error:
                _refuse(error, context)
            except Exception as error:  # noqa: BLE001 - the boundary: the caller gets a code, the log the rest
                _fail(error, context)

    return handle


def guarded_stream(work: Callable[[Any, Any], Iterator[Any]]) -> Callable[[Any, Any], Iterator[Any]]:
    """A streaming handler whose errors are status codes."""

    @functools.wraps(work)
    def handle(request: Any, context: Any) -> Iterator[Any]:
        try:
            yield from work(request, context)
        except CarelaneError as error:
            _refuse(error, context)
        except Exception as error:  # noqa: BLE001 - the boundary: the caller gets a code, the log the rest
            _fail(error, context)

    return handle


def _refuse(error: CarelaneError, context: Any) -> None:
    code = next((code for kind, code in _CODES if isinstance(error, kind)), grpc.StatusCode.INTERNAL)
    context.abort(code, str(error)[:1000])


def _fail(error: Exception, context: Any) -> None:
    """`abort` itself ends a handler by an exception, which is no failure; its code is set by then."""
    if context.code() is not None:
        raise error
    incident = uuid.uuid4().hex
    log.error("unexpected error", incident=incident, exc_info=error)
    context.abort(grpc.StatusCode.INTERNAL, f"carelane failed; its log has the details under {incident}")
