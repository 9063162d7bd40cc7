"""Traces and request ids, from a call at the door to what the controller does about it later on another thread.

Spans go through OpenTelemetry's API only: without a tracer (`configure_traces`) they cost next to nothing. The pure
stages know nothing of it; what calls them is wrapped. Work that waits in a queue keeps its `Origin`, so that the pass
that carries it out links to the request's trace and its log lines name the request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Literal, ParamSpec, TypeVar

import structlog
from opentelemetry import trace

from carelane.errors import InputError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

__all__ = ["Origin", "Traces", "configure_traces", "current_origin", "following", "request_fields", "traced"]

Traces = Literal["none", "console", "otlp"]
P = ParamSpec("P")
R = TypeVar("R")

_tracer = trace.get_tracer("carelane")
_followed: ContextVar[Mapping[str, Origin]] = ContextVar("carelane_followed")


@dataclass(frozen=True, slots=True)
class Origin:
    """The request that asked for a piece of work: its id as in logs and audit, and its span."""

    request_id: str | None
    span: trace.SpanContext


def current_origin() -> Origin | None:
    """Of the request that is being served here; None outside of one."""
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    span = trace.get_current_span().get_span_context()
    return Origin(request_id, span) if request_id is not None or span.is_valid else None


@contextmanager
def following(name: str, origins: Mapping[str, Origin]) -> Iterator[None]:
    """A span for work that several requests asked for, linked to each of them. `origins` is by intent."""
    links = [trace.Link(origin.span) for origin in origins.values() if origin.span.is_valid]
    token = _followed.set(origins)
    try:
        with _tracer.start_as_current_span(name, links=links):
            yield
    finally:
        _followed.reset(token)


def request_fields(intent: str) -> dict[str, str]:
    """What a log line about this intent says of the request behind it; nothing when there is none."""
    origin = _followed.get({}).get(intent)
    return {"request_id": origin.request_id} if origin is not None and origin.request_id is not None else {}


def traced(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: the call is a span of that name, which records an exception that leaves it."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            with _tracer.start_as_current_span(name):
                return function(*args, **kwargs)

        return wrapper

    return decorate


def configure_traces(traces: Traces) -> Callable[[], None]:
    """Send spans where the setting says; returns what sends the last ones at the end.

    `otlp` obeys OpenTelemetry's own OTEL_EXPORTER_OTLP_* variables. Raises InputError when its exporter is not
    installed.
    """
    if traces == "none":
        return lambda: None
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "carelane"}))
    provider.add_span_processor(BatchSpanProcessor(_exporter(traces)))
    trace.set_tracer_provider(provider)
    return provider.shutdown


def _exporter(traces: Traces):  # type: ignore[no-untyped-def]
    if traces == "console":
        import sys

        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter(out=sys.stderr, formatter=lambda span: span.to_json(indent=None) + "\n")
    try:
        module = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError as error:
        raise InputError(
            "the OTLP exporter is not installed",
            field="CARELANE_TRACES",
            expected="none or console",
            remedy="pip install opentelemetry-exporter-otlp-proto-http",
        ) from error
    exporter: SpanExporter = module.OTLPSpanExporter()
    return exporter
