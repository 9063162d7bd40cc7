"""The REST application. Handlers are plain functions, run in a thread pool: the facade may wait, the loop must not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client.exposition import choose_encoder

from carelane import __version__
from carelane.api.present import changes_json, plain, topology_json
from carelane.api.rest import problems
from carelane.api.rest.bodies import Body, bounded_body, parse_intents
from carelane.api.rest.guard import Guard
from carelane.api.rest.metrics import RequestMetrics, create_registry
from carelane.api.rest.static import add_page
from carelane.api.rest.tracing import Tracing
from carelane.api.rest.upkeep import add_upkeep
from carelane.controller.service import IntentService
from carelane.errors import InputError, NotFoundError
from carelane.intents import CATALOGUE
from carelane.topology import summarize, summary_json

__all__ = ["create_app"]

Incoming = Annotated[Body, Depends(bounded_body)]
DryRun = Annotated[bool, Query(alias="dryRun", description="Decide, but file nothing.")]
Optimize = Annotated[bool, Query(description="Decide all intents as one batch.")]


def create_app(service: IntentService, *, allowed_hosts: Iterable[str] = (), any_address: bool = False) -> FastAPI:
    """The application over `service`.

    It answers to loopback names and to `allowed_hosts`; with `any_address` also to literal addresses, for a server
    that listens beyond this machine. Errors are RFC 9457 problems.
    """
    app = FastAPI(
        title="carelane",
        version=__version__,
        summary="The control plane of a dedicated health network.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={"4XX": _PROBLEM, "5XX": _PROBLEM},
    )
    problems.install(app)
    registry = create_registry(service)
    app.add_middleware(Guard, allowed_hosts=tuple(allowed_hosts), any_address=any_address)
    app.add_middleware(RequestMetrics, registry=registry)
    app.add_middleware(Tracing)
    _add_intents(app, service)
    _add_plans(app, service)
    _add_network(app, service)
    add_upkeep(app, service)
    _add_health(app, service)
    add_page(app)

    @app.get("/metrics", tags=["operation"], summary="Prometheus metrics")
    def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), media_type=content_type)

    return app


_PROBLEM: dict[str, Any] = {
    "description": "Problem details (RFC 9457); input errors carry `line`, `field`, `expected` and `remedy`.",
    "content": {problems.MEDIA_TYPE: {"schema": {"type": "object"}}},
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/yaml": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "object"}},
        },
    }
}


def _add_intents(app: FastAPI, service: IntentService) -> None:
    @app.post("/v1/intents", tags=["intents"], openapi_extra=_BODY, summary="File intents: all of them or none")
    def file_intents(body: Incoming, dry_run: DryRun = False, optimize: Optimize = False) -> JSONResponse:
        intents = parse_intents(body, service.topology)
        if dry_run:
            return JSONResponse(plain(service.plan(intents, optimize=optimize)))
        if optimize:
            raise InputError(
                "only a dry run can be optimized", field="query.optimize", remedy="add dryRun=true, or leave it out"
            )
        results = service.apply(intents)
        return JSONResponse({"intents": [{**plain(result), "admitted": result.admitted} for result in results]})

    @app.get("/v1/intents", tags=["intents"], summary="List intents")
    def list_intents(tenant: str | None = None, withdrawn: bool = False) -> JSONResponse:
        return JSONResponse({"intents": plain(service.list(tenant=tenant, withdrawn=withdrawn))})

    @app.get("/v1/intents/{name}", tags=["intents"], summary="Everything known about an intent")
    def describe_intent(name: str) -> JSONResponse:
        return JSONResponse(plain(service.describe(name)))

    @app.delete("/v1/intents/{name}", tags=["intents"], status_code=202, summary="Withdraw an intent")
    def delete_intent(name: str) -> JSONResponse:
        return JSONResponse(plain(service.delete(name)), 202)


def _add_plans(app: FastAPI, service: IntentService) -> None:
    @app.post("/v1/plans", tags=["plans"], openapi_extra=_BODY, summary="Decide intents; file nothing")
    def dry_run(body: Incoming, optimize: Optimize = False) -> JSONResponse:
        return JSONResponse(plain(service.plan(parse_intents(body, service.topology), optimize=optimize)))

    @app.get("/v1/plans/{name}", tags=["plans"], summary="The decision on an intent")
    def decision(name: str) -> JSONResponse:
        decided = service.describe(name).decision
        if decided is None:
            raise NotFoundError(f"intent {name!r} is not decided yet")
        return JSONResponse(plain(decided))

    @app.post("/v1/diff", tags=["plans"], openapi_extra=_BODY, summary="What would change on the switches")
    def diff(body: Incoming) -> JSONResponse:
        """With intents, what filing them would send; with an empty body, what a repair would send."""
        intents = parse_intents(body, service.topology) if body.data.strip() else []
        return JSONResponse(changes_json(service.diff(intents)))


def _add_network(app: FastAPI, service: IntentService) -> None:
    @app.get("/v1/topology", tags=["network"], summary="The topology as understood")
    def topology() -> JSONResponse:
        return JSONResponse(topology_json(service.topology))

    @app.get("/v1/topology/check", tags=["network"], summary="What it cannot promise, and where the network differs")
    def check() -> JSONResponse:
        return JSONResponse(
            {
                "topology": summary_json(summarize(service.topology)),
                "switches": plain(service.switches()),
                "link_mismatches": plain(service.link_mismatches()),
            }
        )

    @app.get("/v1/catalogue", tags=["network"], summary="Services that can be asked for")
    def catalogue() -> JSONResponse:
        return JSONResponse({"services": plain(tuple(CATALOGUE.values()))})


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
            return JSONResponse({"status": "ready"})
        return problems.problem(
            503, "; ".join(health.reasons), kind="not-ready", extensions={"reasons": list(health.reasons)}
        )
