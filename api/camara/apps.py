"""The two CAMARA APIs as applications of their own, mounted where the specification puts them."""

from __future__ import annotations

import re
import uuid
from typing import Annotated, TypeVar

from fastapi import Depends, FastAPI, Path, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.routing import Mount

from carelane.api.auth import Role
from carelane.api.camara.errors import CamaraError, Correlator, install, invalid
from carelane.api.camara.models import CreateSession, ExtendSession, ProfileQuery, RetrieveSessions
from carelane.api.camara.places import device_endpoint
from carelane.api.camara.profiles import PROFILES
from carelane.api.camara.sessions import Sessions
from carelane.api.camara.sinks import SinkRules
from carelane.api.camara.vault import Vault
from carelane.api.rest.bodies import Body, bounded_body, decode_json
from carelane.api.rest.caller import Caller, caller
from carelane.api.rest.views import Views
from carelane.controller.service import IntentService

__all__ = ["PROFILES_BASE", "SESSIONS_BASE", "mount_camara"]

SESSIONS_BASE = "/quality-on-demand/v1"
PROFILES_BASE = "/qos-profiles/v1"
_SESSION_SCOPE = "quality-on-demand:sessions:"
Reading = Annotated[Caller, caller(Role.VIEWER)]
Changing = Annotated[Caller, caller(Role.HOSPITAL_IT)]
Incoming = Annotated[Body, Depends(bounded_body)]
Model = TypeVar("Model", bound=BaseModel)


def mount_camara(
    app: FastAPI, service: IntentService, views: Views, vault: Vault, sinks: SinkRules | None = None
) -> None:
    """Serve both APIs from `app`, with its authenticator. The tokens of sinks are sealed by `vault`."""
    sessions = _application(app, "Quality-On-Demand")
    _add_sessions(sessions, Sessions(service, views, sinks or SinkRules(), vault))
    _mount(app, SESSIONS_BASE, sessions)
    profiles = _application(app, "QoS Profiles")
    _add_profiles(profiles, views)
    _mount(app, PROFILES_BASE, profiles)


def _mount(parent: FastAPI, base: str, app: FastAPI) -> None:
    """Every path below `base` is the application's; the framework's pattern leaves out those with a line break."""
    mount = Mount(base, app)
    mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)
    parent.router.routes.append(mount)


def _application(parent: FastAPI, title: str) -> FastAPI:
    app = FastAPI(title=title, version="1.1.0", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state.authenticator = parent.state.authenticator
    install(app)
    app.add_middleware(Correlator)
    return app


def _add_sessions(app: FastAPI, sessions: Sessions) -> None:
    @app.post("/sessions", status_code=201)
    def create(who: Changing, body: Incoming) -> JSONResponse:
        who.principal.require_scope(_SESSION_SCOPE + "create")
        return JSONResponse(sessions.create(who, _body(CreateSession, body)), 201)

    @app.get("/sessions/{session_id}")
    def get(who: Reading, session_id: Annotated[str, Path()]) -> JSONResponse:
        who.principal.require_scope(_SESSION_SCOPE + "read")
        return JSONResponse(sessions.get(who, _uuid(session_id)))

    @app.delete("/sessions/{session_id}", status_code=204)
    def delete(who: Changing, session_id: Annotated[str, Path()]) -> Response:
        who.principal.require_scope(_SESSION_SCOPE + "delete")
        sessions.delete(who, _uuid(session_id))
        return Response(status_code=204)

    @app.post("/sessions/{session_id}/extend")
    def extend(who: Changing, session_id: Annotated[str, Path()], body: Incoming) -> JSONResponse:
        who.principal.require_scope(_SESSION_SCOPE + "update")
        wanted = _body(ExtendSession, body)
        return JSONResponse(sessions.extend(who, _uuid(session_id), wanted.requestedAdditionalDuration))

    @app.post("/retrieve-sessions")
    def retrieve(who: Reading, body: Incoming) -> JSONResponse:
        who.principal.require_scope(_SESSION_SCOPE + "retrieve-by-device")
        return JSONResponse(sessions.retrieve(who, _body(RetrieveSessions, body).device))


def _add_profiles(app: FastAPI, views: Views) -> None:
    @app.post("/retrieve-qos-profiles")
    def retrieve(who: Reading, body: Incoming) -> JSONResponse:
        """Every profile is there for every device of the network, so a device narrows nothing once it is known."""
        who.principal.require_scope("qos-profiles:read")
        query = _body(ProfileQuery, body)
        device_endpoint(views.topology(who.principal), query.device, who.principal, needed=False)
        rows = [
            dict(profile)
            for profile in PROFILES.values()
            if query.name in (None, profile["name"]) and query.status in (None, profile["status"])
        ]
        return JSONResponse(rows)

    @app.get("/qos-profiles/{name}")
    def get(
        who: Reading,
        name: Annotated[str, Path(min_length=3, max_length=256, pattern=r"^[a-zA-Z0-9_.-]+$")],
    ) -> JSONResponse:
        who.principal.require_scope("qos-profiles:read")
        if name not in PROFILES:
            raise CamaraError(404, "NOT_FOUND", "The specified resource is not found.")
        return JSONResponse(dict(PROFILES[name]))


def _body(model: type[Model], body: Body) -> Model:
    """Raises CamaraError, or pydantic's ValidationError, which becomes one."""
    if body.media_type != "application/json":
        raise invalid("send application/json")
    _, value = decode_json(body.data)
    return model.model_validate(value)


def _uuid(text: str) -> str:
    try:
        parsed = uuid.UUID(text)
    except ValueError as error:
        raise invalid("sessionId: not a UUID") from error
    if len(text) != 36:
        raise invalid("sessionId: not a UUID as RFC 9562 writes one")
    return str(parsed)
