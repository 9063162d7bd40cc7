"""What the closed loop knows now: promises against measurements, and what each site offers, may send and sends."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import groupby
from typing import Annotated, Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from carelane.api.auth import Role
from carelane.api.present import plain
from carelane.api.rest import models
from carelane.api.rest.caller import Caller, caller
from carelane.controller.service import IntentService
from carelane.controller.telemetry.sharing import Observation
from carelane.errors import NotFoundError

__all__ = ["add_live", "shaping_json"]

Reading = Annotated[Caller, caller(Role.VIEWER)]


def add_live(app: FastAPI, service: IntentService) -> None:
    @app.get(
        "/v1/compliance",
        tags=["compliance"],
        summary="Promised and measured, for every intent that holds a slice",
        response_model=models.ComplianceList,
    )
    def compliance(who: Reading) -> JSONResponse:
        """`unknown` is never `met`; intents that nothing is measured of are left out."""
        found = (service.compliance(row.name) for row in service.list(tenant=who.tenant))
        return JSONResponse({"intents": [plain(item) for item in found if item is not None]})

    @app.get(
        "/v1/intents/{name}/compliance",
        tags=["compliance"],
        summary="Promised and measured, objective by objective",
        response_model=models.Compliance,
    )
    def compliance_of(name: str, who: Reading) -> JSONResponse:
        service.describe(name, tenant=who.tenant)  # another tenant's intent is not there
        found = service.compliance(name)
        if found is None:
            raise NotFoundError(f"nothing is measured of intent {name!r} now")
        return JSONResponse(plain(found))

    @app.get(
        "/v1/shaping",
        tags=["compliance"],
        summary="What each site offers, may send and sends, in the last epoch",
        response_model=models.Shaping,
    )
    def shaping(who: Reading) -> JSONResponse:
        seen = [item for item in service.sources() if who.tenant in (None, item.tap.tenant)]
        return JSONResponse(shaping_json(seen))


def shaping_json(observations: Iterable[Observation]) -> dict[str, Any]:
    """By slice, in order of name. A figure is null while it is unknown, and without a limit."""
    by_slice = groupby(sorted(observations, key=lambda item: item.tap.slice), key=lambda item: item.tap.slice)
    slices = []
    for name, group in by_slice:
        sites = list(group)
        tap = sites[0].tap
        slices.append(
            {
                "name": name,
                "tenant": tap.tenant,
                "service": tap.service,
                "kind": tap.source.kind,
                "sites": [_site(item) for item in sites],
            }
        )
    return {"slices": slices}


def _site(item: Observation) -> dict[str, Any]:
    return {
        "site": item.tap.site,
        "to": list(item.tap.to),
        "direction": "forward" if item.tap.forward else "reverse",
        "fresh": item.fresh,
        "offered_mbps": _mbps(item.gain.rate_bps if item.gain else None),
        "used_mbps": _mbps(item.gain.carried_bps if item.gain else None),
        "demand_mbps": _mbps(item.demand.bps),
        "allowed_mbps": _mbps(item.ceiling_bps),
        "floor_mbps": _mbps(item.tap.source.declared_bps),
    }


def _mbps(rate_bps: float | None) -> float | None:
    return None if rate_bps is None or not math.isfinite(rate_bps) else round(rate_bps / 1e6, 6)
