"""`/v1/intents` and `/v1/plans`: filing, changing, withdrawing, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import yaml
from fastapi import Depends, FastAPI, Path, Query, Response
from fastapi.responses import JSONResponse

from carelane.api.auth import Principal, Role
from carelane.api.present import changes_json, plain, seen_by
from carelane.api.rest import models
from carelane.api.rest.bodies import Body, bounded_body, parse_intents
from carelane.api.rest.caller import Caller, caller, changer
from carelane.api.rest.change import accepted_offer, audit_filings, audit_withdrawal, etag, own, patched, unmoved
from carelane.api.rest.measured import finite
from carelane.api.rest.once import Keep, once
from carelane.api.rest.views import Views
from carelane.controller.service import IntentService
from carelane.controller.views import ApplyResult, IntentSummary
from carelane.errors import InputError, NotFoundError
from carelane.intents import ServiceIntent
from carelane.intents.lifecycle import Phase
from carelane.store import StoredIntent, Writer

__all__ = ["add_intents", "add_plans", "claimed", "filed", "refiled", "withdrawn"]

Incoming = Annotated[Body, Depends(bounded_body)]
DryRun = Annotated[bool, Query(alias="dryRun", description="Decide, but file nothing.")]
Optimize = Annotated[bool, Query(description="Decide all intents as one batch.")]
Preempt = Annotated[bool, Query(description="Less important slices may go for it, where policy lets that be.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="How many rows at most.")]
Name = Annotated[str, Path(description="Name of an intent.", examples=["or1-surgery"])]
Reading = Annotated[Caller, caller(Role.VIEWER)]
Changing = Annotated[Caller, changer(Role.HOSPITAL_IT, versioned=True)]

_MANIFEST = {
    "apiVersion": "carelane/v1",
    "kind": "ServiceIntent",
    "metadata": {"name": "or1-surgery", "tenant": "county-hospital"},
    "spec": {
        "service": "remote-surgery",
        "from": ["county/or-1"],
        "to": ["province/console-3"],
        "objectives": {"delay": "20ms", "availability": "99.999%", "bandwidth": "40Mbps"},
    },
}
_LINE = {"line": "remote surgery: 20 ms, 99.999%", "from": ["county/or-1"], "to": ["province/console-3"]}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"oneOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]},
                "examples": {"manifest": {"value": _MANIFEST}, "line": {"value": _LINE}},
            },
            "application/yaml": {
                "schema": {"type": "string"},
                "example": yaml.safe_dump(_MANIFEST, sort_keys=False, default_flow_style=None),
            },
        },
    }
}
_PATCH: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/merge-patch+json": {
                "schema": {"type": "object"},
                "example": {"spec": {"objectives": {"bandwidth": "60Mbps"}}},
            }
        },
    }
}


def add_intents(app: FastAPI, service: IntentService, views: Views) -> None:
    _add_filing(app, service, views)
    _add_changes(app, service, views)
    _add_reading(app, service)


def filed(
    service: IntentService, who: Caller, intents: Sequence[ServiceIntent], body: bytes, *, preempt: bool = False
) -> JSONResponse:
    """File intents, once for an Idempotency-Key, on the record; the answer of REST and of gRPC."""
    if who.if_match is not None and len(intents) != 1:
        raise InputError("If-Match goes with one intent", field="header.If-Match", remedy="file them one by one")

    def change(keep: Keep) -> JSONResponse:
        answer: dict[str, Any] = {}

        def also(write: Writer, results: Sequence[ApplyResult], before: Mapping[str, StoredIntent]) -> None:
            unmoved(intents[0].name, before, who)
            audit_filings(write, who, results, before)
            answer["intents"] = [seen_by(who.tenant, _applied(result)) for result in results]
            keep(write, 200, answer)

        service.apply(intents, preempt=preempt, also=also)
        return JSONResponse(answer)

    return once(service.store, who, body + (b"\0preempt" if preempt else b""), change)


def refiled(
    service: IntentService, who: Caller, name: str, body: bytes, make: Callable[[StoredIntent], ServiceIntent]
) -> JSONResponse:
    """The intent filed again as `make` makes it from the present one, once for an Idempotency-Key, on the record."""

    def change(keep: Keep) -> JSONResponse:
        answer: dict[str, Any] = {}

        def also(write: Writer, results: Sequence[ApplyResult], before: Mapping[str, StoredIntent]) -> None:
            audit_filings(write, who, results, before)
            answer.update(seen_by(who.tenant, _applied(results[0])))
            keep(write, 200, answer)

        result = service.change(name, make, also=also)
        return JSONResponse(answer, headers={"ETag": etag(result.generation)})

    return once(service.store, who, body, change)


def withdrawn(service: IntentService, who: Caller, name: str) -> JSONResponse:
    """Withdraw an intent of the caller's, once for an Idempotency-Key, on the record."""

    def change(keep: Keep) -> JSONResponse:
        def check(found: StoredIntent) -> None:
            own(found, who)

        def also(write: Writer, summary: IntentSummary, before: StoredIntent) -> None:
            audit_withdrawal(write, who, summary, before)
            keep(write, 202, plain(summary))

        return JSONResponse(plain(service.delete(name, check=check, also=also)), 202)

    return once(service.store, who, b"", change)


def _add_filing(app: FastAPI, service: IntentService, views: Views) -> None:
    @app.post(
        "/v1/intents",
        tags=["intents"],
        openapi_extra=BODY,
        summary="File intents: all of them or none",
        response_model=models.AppliedList | models.Plan,
    )
    def file_intents(
        who: Changing, body: Incoming, dry_run: DryRun = False, optimize: Optimize = False, preempt: Preempt = False
    ) -> JSONResponse:
        """With `If-Match`, one intent is filed again only while it is what was read."""
        intents = claimed(parse_intents(body, views.topology(who.principal)), who.principal)
        if dry_run:
            found = service.plan(intents, optimize=optimize, preempt=preempt)
            return JSONResponse(seen_by(who.tenant, plain(found)))
        if optimize:
            raise InputError(
                "only a dry run can be optimized", field="query.optimize", remedy="add dryRun=true, or leave it out"
            )

        return filed(service, who, intents, body.data, preempt=preempt)


def _add_changes(app: FastAPI, service: IntentService, views: Views) -> None:
    @app.patch(
        "/v1/intents/{name}",
        tags=["intents"],
        openapi_extra=_PATCH,
        summary="Change an intent: RFC 7396 merge patch of its manifest",
        response_model=models.Applied,
    )
    def patch_intent(who: Changing, name: Name, body: Incoming) -> JSONResponse:
        topology = views.topology(who.principal)
        return refiled(service, who, name, body.data, lambda found: patched(topology, found, body, who))

    @app.post(
        "/v1/intents/{name}/offers/{index}",
        tags=["intents"],
        summary="Accept an offer: the intent filed again with its figures",
        response_model=models.Applied,
    )
    def accept_offer(who: Changing, name: Name, index: Annotated[int, Path(ge=0, le=99, examples=[0])]) -> JSONResponse:
        return refiled(service, who, name, b"", lambda found: accepted_offer(found, index, who))

    @app.delete(
        "/v1/intents/{name}",
        tags=["intents"],
        status_code=202,
        summary="Withdraw an intent",
        response_model=models.Summary,
    )
    def delete_intent(who: Changing, name: Name) -> JSONResponse:
        return withdrawn(service, who, name)


def _add_reading(app: FastAPI, service: IntentService) -> None:
    @app.get("/v1/intents", tags=["intents"], summary="List intents", response_model=models.SummaryPage)
    def list_intents(
        who: Reading,
        tenant: str | None = None,
        phase: Annotated[list[Phase] | None, Query()] = None,
        service_name: Annotated[str | None, Query(alias="service")] = None,
        prefix: Annotated[str, Query(max_length=63)] = "",
        name: Annotated[list[str] | None, Query(max_length=200, description="Only those of these names.")] = None,
        withdrawn: bool = False,
        limit: Limit = 1000,
        cursor: Annotated[str | None, Query(max_length=63)] = None,
    ) -> JSONResponse:
        if who.tenant is not None and tenant not in (None, who.tenant):
            return JSONResponse({"intents": [], "next_cursor": None})
        rows = service.list(
            tenant=who.tenant or tenant,
            names=name,
            withdrawn=withdrawn,
            phases=phase,
            service=service_name,
            prefix=prefix,
            after=cursor,
            limit=limit + 1,
        )
        more = rows[limit - 1].name if len(rows) > limit else None
        return JSONResponse({"intents": plain(rows[:limit]), "next_cursor": more})

    @app.get(
        "/v1/intents/{name}", tags=["intents"], summary="Everything known about an intent", response_model=models.Detail
    )
    def describe_intent(who: Reading, name: Name) -> JSONResponse:
        detail = service.describe(name, tenant=who.tenant)
        return JSONResponse(
            seen_by(who.tenant, finite(plain(detail))), headers={"ETag": etag(detail.summary.generation)}
        )

    @app.get(
        "/v1/intents/{name}/history",
        tags=["intents"],
        summary="Its steps, newest first",
        response_model=models.HistoryPage,
    )
    def history(
        who: Reading, name: Name, limit: Limit = 100, cursor: Annotated[int | None, Query(ge=1, le=2**53)] = None
    ) -> JSONResponse:
        rows = service.history(name, tenant=who.tenant, before_id=cursor, limit=limit + 1)
        more = str(rows[limit - 1].id) if len(rows) > limit else None
        return JSONResponse({"history": plain(rows[:limit]), "next_cursor": more})


def add_plans(app: FastAPI, service: IntentService, views: Views) -> None:
    @app.post(
        "/v1/plans",
        tags=["plans"],
        openapi_extra=BODY,
        summary="Decide intents; file nothing",
        response_model=models.Plan,
    )
    def dry_run(who: Reading, body: Incoming, optimize: Optimize = False, preempt: Preempt = False) -> JSONResponse:
        intents = claimed(parse_intents(body, views.topology(who.principal)), who.principal)
        return JSONResponse(seen_by(who.tenant, plain(service.plan(intents, optimize=optimize, preempt=preempt))))

    @app.get("/v1/plans/{name}", tags=["plans"], summary="The decision on an intent", response_model=dict[str, Any])
    def decision(who: Reading, name: Name) -> JSONResponse:
        """Of a refusal with the remedies there are now, proven by planning."""
        decided = service.explain(name, tenant=who.tenant)
        if decided is None:
            raise NotFoundError(f"intent {name!r} is not decided yet")
        return JSONResponse(seen_by(who.tenant, plain(decided)))

    @app.post(
        "/v1/diff",
        tags=["plans"],
        openapi_extra=BODY,
        summary="What would change on the switches",
        response_model=dict[str, Any],
    )
    def diff(_who: Annotated[Caller, caller(Role.ENGINEER)], body: Incoming) -> Response:
        """With intents, what filing them would send; with an empty body, what a repair would send."""
        intents = parse_intents(body, service.topology) if body.data.strip() else []
        return JSONResponse(changes_json(service.diff(intents)))


def claimed(intents: Sequence[ServiceIntent], principal: Principal) -> list[ServiceIntent]:
    """An intent that states no tenant is the caller's. Raises ForbiddenError for another's."""
    if principal.tenant is None:
        return list(intents)
    mine = [replace(item, tenant=principal.tenant) if item.tenant == "default" else item for item in intents]
    for item in mine:
        principal.acts_for(item.tenant)
    return mine


def _applied(result: ApplyResult) -> dict[str, Any]:
    shown = {name: value for name, value in plain(result).items() if name not in ("decided", "preempted")}
    return {**shown, "admitted": result.admitted}
