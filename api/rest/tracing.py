"""Each call to REST as a span, within the caller's trace when it sends one (W3C Trace Context)."""

from __future__ import annotations

from opentelemetry import propagate, trace
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Tracing"]

_tracer = trace.get_tracer("carelane.rest")


class Tracing:
    """ASGI middleware. Attributes follow OpenTelemetry's HTTP conventions; the route, not the path, names the span."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        caller = propagate.extract(dict(Headers(scope=scope)))
        method = scope["method"]
        with _tracer.start_as_current_span(method, context=caller, kind=trace.SpanKind.SERVER) as span:
            span.set_attribute("http.request.method", method)

            async def answer(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _describe(span, scope, message["status"])
                await send(message)

            await self._app(scope, receive, answer)


def _describe(span: trace.Span, scope: Scope, status: int) -> None:
    route = getattr(scope.get("route"), "path", None)
    if route is not None:
        span.update_name(f"{scope['method']} {route}")
        span.set_attribute("http.route", route)
    span.set_attribute("http.response.status_code", status)
    request_id = scope.get("state", {}).get("request_id")
    if request_id is not None:
        span.set_attribute("carelane.request_id", request_id)
    if status >= 500:
        span.set_status(trace.StatusCode.ERROR)
