"""`/v1/compliance`, `/v1/consultations`, `/v1/probes`: promises against measurements, and what each site may send."""

from __future__ import annotations

import math
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path
from fastapi.responses import JSONResponse

from carelane.api.auth import Role
from carelane.api.present import plain
from carelane.api.rest import models
from carelane.api.rest.bodies import REQUEST, Body, bounded_body, decode_json
from carelane.api.rest.caller import Caller, caller
from carelane.api.rest.change import audit_change
from carelane.controller.service import IntentService
from carelane.controller.telemetry.compliance import IntentCompliance
from carelane.controller.telemetry.probes import ProbeReport
from carelane.controller.telemetry.sharing import Observation
from carelane.errors import InputError

__all__ = ["add_measured", "finite", "seen_site"]

Reading = Annotated[Caller, caller(Role.VIEWER)]
MAX_HEARD = 100_000
_PROBE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": models.Probe.model_json_schema()}},
    }
}


def add_measured(app: FastAPI, service: IntentService) -> None:
    @app.get(
        "/v1/intents/{name}/compliance",
        tags=["measured"],
        summary="One intent: promised and measured",
        response_model=models.Compliance,
    )
    def compliance_of(who: Reading, name: Annotated[str, Path(examples=["or1-surgery"])]) -> JSONResponse:
        service.describe(name, tenant=who.tenant)
        found = service.compliance(name)
        if found is None:
            return JSONResponse(
                {"name": name, "state": "unknown", "objectives": [], "burn_rates": {}, "budget_left": None}
            )
        return JSONResponse(_compliance(found))

    @app.get(
        "/v1/compliance",
        tags=["measured"],
        summary="Every intent with a slice: promised and measured",
        response_model=models.ComplianceList,
    )
    def compliance(who: Reading) -> JSONResponse:
        names = [row.name for row in service.list(tenant=who.tenant)]
        rows = [found for name in names if (found := service.compliance(name)) is not None]
        return JSONResponse({"intents": [_compliance(row) for row in rows]})

    @app.get(
        "/v1/consultations",
        tags=["measured"],
        summary="What each site of each slice offers, may send and sends",
        response_model=models.Consultations,
    )
    def consultations(who: Reading) -> JSONResponse:
        slices: dict[str, list[dict[str, Any]]] = {}
        for item in service.sources():
            if who.tenant in (None, item.tap.tenant):
                slices.setdefault(item.tap.slice, []).append(seen_site(item))
        return JSONResponse({"consultations": [{"name": name, "sites": sites} for name, sites in slices.items()]})

    heard: set[tuple[str, ...]] = set()

    @app.post(
        "/v1/probes",
        tags=["measured"],
        status_code=202,
        openapi_extra=_PROBE_BODY,
        summary="What a probe at a site measured",
        response_model=dict[str, str],
    )
    def report_probe(
        who: Annotated[Caller, caller(Role.HOSPITAL_IT)], body: Annotated[Body, Depends(bounded_body)]
    ) -> JSONResponse:
        """A probe of a tenant reports on that tenant's slices only.

        A report is a measurement and comes every few seconds. The audit tells once for each start of the server who
        reports on which pair of a slice; every report would bury the changes in it.
        """
        _, value = decode_json(body.data)
        report = _report(value)
        detail = service.describe(report.slice, tenant=who.tenant)
        service.report_probe(report)
        reporter = (who.principal.subject, report.slice, report.source, report.target)
        if reporter not in heard:
            with service.store.write() as write:
                after = {"source": report.source, "target": report.target}
                audit_change(write, who, detail.summary.tenant, "probe.report", report.slice, None, after)
            if len(heard) >= MAX_HEARD:
                heard.clear()
            heard.add(reporter)
        return JSONResponse({"status": "taken"}, 202)


def _compliance(found: IntentCompliance) -> dict[str, Any]:
    shown: dict[str, Any] = finite(plain(found))
    return shown


def seen_site(item: Observation) -> dict[str, Any]:
    """What a site offers, may send and sends, in Mbit/s; `used_mbps` is null before the second reading."""
    shown = {
        "site": item.tap.site,
        "to": list(item.tap.to),
        "offered_mbps": item.demand.measured_bps / 1e6,
        "allowed_mbps": item.granted_bps / 1e6,
        "used_mbps": item.gain.rate_bps / 1e6 if item.gain else None,
        "floor_mbps": item.tap.source.declared_bps / 1e6,
        "ceiling_mbps": item.ceiling_bps / 1e6,
    }
    found: dict[str, Any] = finite(shown)
    return found


def finite(value: Any) -> Any:
    """JSON has no infinity and no NaN: what is unknown or unbounded is null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list) else value


def _report(value: Any) -> ProbeReport:
    model = models.checked(models.Probe, value, REQUEST)
    try:
        return ProbeReport(**model.model_dump())
    except InputError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(str(error)[:200], REQUEST) from error
