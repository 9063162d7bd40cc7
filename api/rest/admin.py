"""`/v1/whoami`, `/v1/keys`, `/v1/audit`: who may come in, and what was done."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query
from fastapi.responses import JSONResponse

from carelane.api.auth import KeyRing, Role
from carelane.api.present import plain
from carelane.api.rest import models
from carelane.api.rest.bodies import REQUEST, Body, bounded_body, decode_json
from carelane.api.rest.caller import Caller, caller
from carelane.errors import ForbiddenError
from carelane.store import ApiKey, Store, Writer

__all__ = ["add_admin"]

Reading = Annotated[Caller, caller(Role.VIEWER)]
Administering = Annotated[Caller, caller(Role.ADMIN)]
_KEY_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": models.KeyRequest.model_json_schema()}},
    }
}


def add_admin(app: FastAPI, store: Store, keys: KeyRing) -> None:
    @app.get("/v1/whoami", tags=["access"], summary="Who you are here", response_model=models.Who)
    def whoami(who: Reading) -> JSONResponse:
        principal = who.principal
        return JSONResponse(
            {
                "subject": principal.subject,
                "kind": principal.kind,
                "role": principal.role,
                "tenant": principal.tenant,
            }
        )

    _add_keys(app, store, keys)

    @app.get("/v1/audit", tags=["access"], summary="Who changed what, newest first", response_model=models.AuditPage)
    def audit(
        who: Reading,
        tenant: str | None = None,
        subject: str | None = None,
        action: str | None = None,
        target: str | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    ) -> JSONResponse:
        """A caller who is bound to a tenant sees what was done to that tenant's things."""
        if who.tenant is None and not who.principal.role.covers(Role.ENGINEER):
            raise ForbiddenError("the audit of all tenants needs the role engineer")
        if who.tenant is not None and tenant not in (None, who.tenant):
            return JSONResponse({"entries": [], "next_cursor": None})
        with store.read() as read:
            rows = read.audit(
                tenant=who.tenant or tenant,
                subject=subject,
                action=action,
                target=target,
                before_id=cursor,
                limit=limit + 1,
            )
        more = str(rows[limit - 1].id) if len(rows) > limit else None
        return JSONResponse({"entries": plain(rows[:limit]), "next_cursor": more})


def _add_keys(app: FastAPI, store: Store, keys: KeyRing) -> None:
    @app.get("/v1/keys", tags=["access"], summary="All API keys, without secrets", response_model=models.KeyList)
    def list_keys(_who: Annotated[Caller, caller(Role.ADMIN)]) -> JSONResponse:
        with store.read() as read:
            return JSONResponse({"keys": [_shown(key) for key in read.api_keys()]})

    @app.post(
        "/v1/keys",
        tags=["access"],
        status_code=201,
        summary="Make an API key; its secret is shown this once",
        openapi_extra=_KEY_BODY,
        response_model=models.NewKey,
    )
    def create_key(who: Administering, body: Annotated[Body, Depends(bounded_body)]) -> JSONResponse:
        """Not kept for an Idempotency-Key: that would store the secret."""
        _, value = decode_json(body.data)
        wanted = models.checked(models.KeyRequest, value, REQUEST)
        expires_at = wanted.expires_at
        if expires_at is not None and expires_at.tzinfo is None:
            expires_at = expires_at.replace(tzinfo=UTC)

        def also(write: Writer, key: ApiKey, _text: str) -> None:
            _audit(write, who, "key.create", key, None, _shown(key))

        key, text = keys.create(
            label=wanted.label, role=Role(wanted.role), tenant=wanted.tenant, expires_at=expires_at, also=also
        )
        return JSONResponse({**_shown(key), "key": text}, 201, headers={"Cache-Control": "no-store"})

    @app.delete("/v1/keys/{key_id}", tags=["access"], summary="Revoke an API key", response_model=models.ShownKey)
    def revoke_key(
        who: Administering, key_id: Annotated[str, Path(max_length=64, examples=["k3v9x0q2m7ab"])]
    ) -> JSONResponse:
        def also(write: Writer, key: ApiKey) -> None:
            _audit(write, who, "key.revoke", key, {**_shown(key), "revoked_at": None}, _shown(key))

        return JSONResponse(_shown(keys.revoke(key_id, also=also)))


def _audit(
    write: Writer, who: Caller, action: str, key: ApiKey, before: dict[str, Any] | None, after: dict[str, Any]
) -> None:
    write.record_audit(
        subject=who.principal.subject,
        role=who.principal.role,
        tenant=key.tenant,
        action=action,
        target=key.id,
        before=before,
        after=after,
        request_id=who.request_id,
    )


def _shown(key: ApiKey) -> dict[str, Any]:
    shown: dict[str, Any] = plain(key)
    del shown["hash"]
    return shown
