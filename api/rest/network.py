"""`/v1/topology`, `/v1/capacity`, `/v1/catalogue`: the network and what is left of it."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from carelane.api.auth import Role
from carelane.api.present import plain, topology_json
from carelane.api.rest import models
from carelane.api.rest.caller import Caller, caller
from carelane.api.rest.views import Views, capacity_json
from carelane.controller.service import IntentService
from carelane.intents import CATALOGUE
from carelane.policies.access import AccessPolicy
from carelane.policies.access.model import DAYS
from carelane.topology import summarize, summary_json

__all__ = ["add_network"]

Reading = Annotated[Caller, caller(Role.VIEWER)]


def add_network(app: FastAPI, service: IntentService, views: Views) -> None:
    @app.get("/v1/topology", tags=["network"], summary="The topology as understood", response_model=dict[str, Any])
    def topology(who: Reading) -> JSONResponse:
        """A caller who is bound to a tenant sees that tenant's endpoints and those of none."""
        return JSONResponse(topology_json(views.topology(who.principal)))

    @app.get(
        "/v1/topology/check",
        tags=["network"],
        summary="What it cannot promise, and where the network differs",
        response_model=dict[str, Any],
    )
    def check(_who: Annotated[Caller, caller(Role.VIEWER, unbound=True)]) -> JSONResponse:
        return JSONResponse(
            {
                "topology": summary_json(summarize(service.topology)),
                "switches": plain(service.switches()),
                "link_mismatches": plain(service.link_mismatches()),
                "links_avoided": plain(service.links_avoided()),
            }
        )

    @app.get("/v1/capacity", tags=["network"], summary="What is reserved on each link", response_model=models.Capacity)
    def capacity(who: Reading) -> JSONResponse:
        """A caller who is bound to a tenant sees what that tenant's slices reserve, and what would be free without
        all others."""
        held = service.holdings().slices
        if who.tenant is not None:
            held = tuple(item for item in held if item.decision.requirement.tenant == who.tenant)
        return JSONResponse(capacity_json(service.topology, held))

    @app.get(
        "/v1/access",
        tags=["access"],
        summary="The access policy, and how often each rule forbade something",
        response_model=dict[str, Any],
    )
    def access(_who: Annotated[Caller, caller(Role.ENGINEER)]) -> JSONResponse:
        policy = service.access.policy
        return JSONResponse({"policy": _policy(policy), "violations": dict(service.access.counts())})

    @app.get(
        "/v1/controllers",
        tags=["network"],
        summary="Every controller of this network, and which of them acts",
        response_model=models.Controllers,
    )
    def controllers(_who: Reading) -> JSONResponse:
        """The leader comes first; `here` is the one that answers."""
        return JSONResponse({"controllers": plain(service.controllers)})

    @app.get("/v1/catalogue", tags=["network"], summary="Services that can be asked for", response_model=dict[str, Any])
    def catalogue(_who: Reading) -> JSONResponse:
        return JSONResponse({"services": plain(tuple(CATALOGUE.values()))})


def _policy(policy: AccessPolicy | None) -> dict[str, Any] | None:
    """The rules in order, with what each leaves open left out."""
    if policy is None:
        return None
    rules = []
    for rule in policy.rules:
        shown = {field.name: getattr(rule, field.name) for field in fields(rule) if field.name != "when"}
        if rule.when is not None:
            shown["when"] = {
                "from": rule.when.start.isoformat("minutes"),
                "to": rule.when.end.isoformat("minutes"),
                "days": [DAYS[day] for day in sorted(rule.when.days)],
                "zone": rule.when.zone.key,
            }
        rules.append({name: plain(value) for name, value in shown.items() if value not in ((), None)})
    return {"name": policy.name, "rules": rules}
