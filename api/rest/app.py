"""The REST application. Handlers are plain functions, run in a thread pool: the facade may wait, the loop must not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client.exposition import choose_encoder

from carelane import __version__
from carelane.api.auth import Authenticator
from carelane.api.camara.apps import mount_camara
from carelane.api.camara.sinks import SinkRules
from carelane.api.camara.vault import Vault
from carelane.api.rest import models, problems
from carelane.api.rest.admin import add_admin
from carelane.api.rest.caller import RequestIds, assert_closed
from carelane.api.rest.events import add_events
from carelane.api.rest.examples import illustrate
from carelane.api.rest.guard import Guard, Heads
from carelane.api.rest.intents import add_intents, add_plans
from carelane.api.rest.measured import add_measured
from carelane.api.rest.metrics import RequestMetrics, create_exposition
from carelane.api.rest.network import add_network
from carelane.api.rest.static import add_page
from carelane.api.rest.tracing import Tracing
from carelane.api.rest.upkeep import add_upkeep
from carelane.api.rest.views import Views
from carelane.controller.service import IntentService
from carelane.intents.line import load_grammar
from carelane.tls import TlsFiles

__all__ = ["OPEN", "create_app"]

OPEN = frozenset({"/healthz", "/readyz", "/leaderz", "/metrics", "/docs", "/", "/static/{name:path}"})
"""Paths that answer to everybody; `create_app` fails when any other route asks for no role."""


def create_app(
    service: IntentService,
    authenticator: Authenticator,
    *,
    vault: Vault,
    allowed_hosts: Iterable[str] = (),
    any_address: bool = False,
    sinks: SinkRules | None = None,
    tls: TlsFiles | None = None,
) -> FastAPI:
    """The application over `service`.

    It answers to loopback names and to `allowed_hosts`; with `any_address` also to literal addresses, for a server
    that listens beyond this machine. Errors are RFC 9457 problems. `/metrics` tells when the certificates of `tls` end.
    """
    app = FastAPI(
        title="carelane",
        version=__version__,
        summary="The control plane of a dedicated health network.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={422: _PROBLEM, "4XX": _PROBLEM, "5XX": _PROBLEM},
    )
    app.state.authenticator = authenticator
    load_grammar()
    problems.install(app)
    exposition = create_exposition(service, tls)
    app.add_middleware(Guard, allowed_hosts=tuple(allowed_hosts), any_address=any_address)
    app.add_middleware(RequestMetrics, exposition=exposition)
    app.add_middleware(Tracing)
    app.add_middleware(RequestIds)
    app.add_middleware(Heads)
    views = Views(service.topology, service.access.knows)
    add_intents(app, service, views)
    add_plans(app, service, views)
    add_network(app, service, views)
    add_upkeep(app, service)
    add_measured(app, service)
    add_admin(app, service.store, authenticator.keys)
    add_events(app, service.store)
    _add_health(app, service)
    mount_camara(app, service, views, vault, sinks)
    add_page(app)

    @app.get(
        "/metrics",
        tags=["operation"],
        summary="Prometheus metrics",
        response_class=Response,
        responses={200: {"content": {kind: {"schema": {"type": "string"}} for kind in _EXPOSITIONS}}},
    )
    def metrics(request: Request) -> Response:
        """Others than those who see every tenant get it without what names slices and sites or tells of traffic."""
        header = request.headers.get("authorization")
        peer = request.client.host if request.client else ""
        everything = header is not None and authenticator.authenticate(header, peer).tenant is None
        registry = exposition.whole if everything else exposition.open
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), media_type=content_type)

    assert_closed(app, OPEN)
    illustrate(app)
    return app


_EXPOSITIONS = ("text/plain", "application/openmetrics-text")
_PROBLEM: dict[str, Any] = {
    "description": "Problem details (RFC 9457); input errors carry `line`, `field`, `expected` and `remedy`.",
    "content": {problems.MEDIA_TYPE: {"schema": models.Problem.model_json_schema()}},
}


def _place(service: IntentService) -> dict[str, Any]:
    standing = service.standing
    return {"role": standing.role, "leader": standing.leader, "epoch": standing.epoch}


def _add_health(app: FastAPI, service: IntentService) -> None:
    own_threads = CapacityLimiter(2)  # so that a queue of long plans cannot make the server look dead

    @app.get("/healthz", tags=["operation"], summary="Whether the process does its work")
    async def healthz() -> JSONResponse:
        health = await run_sync(service.health, limiter=own_threads)
        if health.live:
            return JSONResponse({"status": "live"})
        return problems.problem(
            503, "; ".join(health.reasons), kind="not-live", extensions={"reasons": list(health.reasons)}
        )

    @app.get("/readyz", tags=["operation"], summary="Whether it can take intents, with reasons when not")
    async def readyz() -> JSONResponse:
        health = await run_sync(service.health, limiter=own_threads)
        if health.ready:
            return JSONResponse({"status": "ready", **_place(service)})
        return problems.problem(
            503, "; ".join(health.reasons), kind="not-ready", extensions={"reasons": list(health.reasons)}
        )

    @app.get("/leaderz", tags=["operation"], summary="Whether this is the controller that takes changes")
    async def leaderz() -> JSONResponse:
        service.require_leader()
        return JSONResponse({"status": "leader", **_place(service)})
