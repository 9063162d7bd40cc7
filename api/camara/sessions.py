"""Sessions as intents with an end: create, look at, extend, delete."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from carelane.api.auth import Principal
from carelane.api.camara.errors import CamaraError, invalid
from carelane.api.camara.models import CreateSession, Device, Ports, SessionRow
from carelane.api.camara.places import device_endpoint, server_endpoint
from carelane.api.camara.profiles import MAX_DURATION_S, PROFILES
from carelane.api.camara.sinks import SinkRules
from carelane.api.camara.vault import Vault
from carelane.api.rest.caller import Caller
from carelane.api.rest.views import Views
from carelane.controller.service import IntentService
from carelane.controller.views import ApplyResult
from carelane.errors import NotFoundError
from carelane.intents import OFF, ServiceIntent, StatedObjectives
from carelane.store import StoredIntent, Writer
from carelane.topology import Endpoint

__all__ = ["EVENT_TYPE", "Sessions", "announce", "audit_session", "shown"]

EVENT_TYPE = "org.camaraproject.quality-on-demand.v1.qos-status-changed"


class Sessions:
    """The operations of the specification for one service."""

    def __init__(
        self,
        service: IntentService,
        views: Views,
        sinks: SinkRules,
        vault: Vault,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._service, self._views, self._sinks, self._vault, self._now = service, views, sinks, vault, now

    def create(self, who: Caller, wanted: CreateSession) -> dict[str, Any]:
        """A new session, REQUESTED until its slice stands. Raises CamaraError."""
        principal = who.principal
        self._check(wanted)
        topology = self._views.topology(principal)
        found = device_endpoint(topology, wanted.device, principal, needed=True)
        assert found is not None, "a needed device is there or an error"
        device, identifier = found
        server = server_endpoint(topology, wanted.applicationServer)
        if server.id == device.id:
            raise CamaraError(422, "SERVICE_NOT_APPLICABLE", "Device and application server are at the same port.")
        session_id = str(uuid.uuid4())
        row = self._row(session_id, who, wanted, device, server, identifier)

        def also(write: Writer, results: Sequence[ApplyResult], _before: Mapping[str, StoredIntent]) -> None:
            taken = [r for r in write.qod_sessions(device=device.id) if r["flow"] == row["flow"]]
            if taken:
                raise CamaraError(409, "CONFLICT", "Conflict with an existing session for the same device.")
            write.add_qod_session(row)
            audit_session(write, who, "session.create", row, None, {"decision": results[0].decision.get("decision")})

        self._service.apply([_intent(row, device, server)], also=also)
        return shown(SessionRow(**row))

    def get(self, who: Caller, session_id: str) -> dict[str, Any]:
        with self._service.store.read() as read:
            return shown(self._own(read.qod_session(session_id), who.principal))

    def retrieve(self, who: Caller, device: Device | None) -> list[dict[str, Any]]:
        found = device_endpoint(self._views.topology(who.principal), device, who.principal, needed=True)
        assert found is not None, "a needed device is there or an error"
        with self._service.store.read() as read:
            rows = read.qod_sessions(owner=who.principal.subject, device=found[0].id)
        return [shown(SessionRow(**row)) for row in rows]

    def extend(self, who: Caller, session_id: str, additional_s: int) -> dict[str, Any]:
        """Longer, up to the profile's maximum. Raises CamaraError 409 unless AVAILABLE."""
        with self._service.store.write() as write:
            session = self._own(write.qod_session(session_id), who.principal)
            if session.status != "AVAILABLE" or session.started_at is None:
                raise CamaraError(
                    409,
                    "QUALITY_ON_DEMAND.SESSION_EXTENSION_NOT_ALLOWED",
                    f"Extending the session duration is not allowed in the current state ({session.status}). "
                    "The session must be in the AVAILABLE state.",
                )
            duration_s = min(MAX_DURATION_S, session.duration_s + additional_s)
            change = {
                "duration_s": duration_s,
                "expires_at": session.started_at + timedelta(seconds=duration_s),
            }
            write.change_qod_session(session_id, **change)
            row = session.model_dump()
            audit_session(write, who, "session.extend", row, session.duration_s, {"duration_s": duration_s})
        return shown(session.model_copy(update=change))

    def delete(self, who: Caller, session_id: str) -> None:
        """Withdraws its slice; idempotence is the specification's: a second call finds nothing."""
        with self._service.store.write() as write:
            session = self._own(write.qod_session(session_id), who.principal)
            if session.status == "AVAILABLE":
                announce(write, session, "UNAVAILABLE", "DELETE_REQUESTED", self._now())
            write.change_qod_session(session_id, deleted=True)
            audit_session(write, who, "session.delete", session.model_dump(), session.duration_s, None)
        _withdraw(self._service, session.intent)

    def _own(self, row: Mapping[str, Any] | None, principal: Principal) -> SessionRow:
        """Only the consumer that made a session may see it, by a three-legged token only that of its device.

        Raises CamaraError 404, and 403 for another's: CAMARA's test definitions tell them apart (403.2), and nobody can
        guess an id.
        """
        if row is None or row["deleted"]:
            raise CamaraError(404, "NOT_FOUND", "The specified resource is not found.")
        if row["owner"] != principal.subject or not self._of_device(row["device"], principal):
            raise CamaraError(
                403, "PERMISSION_DENIED", "The session was made by another consumer or for another device."
            )
        return SessionRow(**row)

    def _of_device(self, device: str, principal: Principal) -> bool:
        if principal.device is None:
            return True
        found = device_endpoint(self._views.topology(principal), None, principal, needed=True)
        return found is not None and found[0].id == device

    def _check(self, wanted: CreateSession) -> None:
        """What the schema cannot say. Raises CamaraError 400 and 422."""
        profile = PROFILES.get(wanted.qosProfile)
        if profile is None:
            raise invalid(f"qosProfile: there is no profile {wanted.qosProfile!r}")
        for ports in (wanted.devicePorts, wanted.applicationServerPorts):
            _check_ports(ports)
        self._check_sink(wanted)
        if profile["status"] != "ACTIVE":
            raise CamaraError(
                422,
                "QUALITY_ON_DEMAND.QOS_PROFILE_NOT_APPLICABLE",
                "The requested QoS Profile is currently not available for session creation.",
            )
        if wanted.duration > MAX_DURATION_S:
            raise invalid(
                "The requested duration is out of the allowed range for the specific QoS profile",
                "QUALITY_ON_DEMAND.DURATION_OUT_OF_RANGE",
            )

    def _check_sink(self, wanted: CreateSession) -> None:
        if wanted.sink is not None and not self._sinks.accepts(wanted.sink):
            raise invalid("sink not valid for the specified protocol", "INVALID_SINK")
        credential = wanted.sinkCredential
        if credential is None:
            return
        if credential.credentialType != "ACCESSTOKEN":
            raise invalid("Only Access token is supported", "INVALID_CREDENTIAL")
        if credential.accessTokenType is not None and credential.accessTokenType != "bearer":
            raise invalid("Only bearer token is supported", "INVALID_TOKEN")
        if None in (credential.accessToken, credential.accessTokenExpiresUtc, credential.accessTokenType):
            raise invalid("sinkCredential needs accessToken, accessTokenExpiresUtc and accessTokenType")

    def _row(
        self,
        session_id: str,
        who: Caller,
        wanted: CreateSession,
        device: Endpoint,
        server: Endpoint,
        identifier: dict[str, Any] | None,
    ) -> dict[str, Any]:
        principal = who.principal
        request = wanted.model_dump(
            mode="json", by_alias=True, exclude_none=True, exclude={"device", "sinkCredential", "duration"}
        )
        if identifier is not None:
            request["device"] = identifier
        credential = wanted.sinkCredential if wanted.sink else None
        return {
            "id": session_id,
            "owner": principal.subject,
            "tenant": principal.tenant or device.tenant or "default",
            "intent": f"qod-{session_id}",
            "device": device.id,
            "flow": f"{device.id} > {server.id}",
            "request": request,
            "sink_credential": self._vault.seal(credential.model_dump(mode="json")) if credential else None,
            "duration_s": wanted.duration,
            "status": "REQUESTED",
            "status_info": None,
            "created_at": self._now(),
            "started_at": None,
            "expires_at": None,
            "deleted": False,
        }


def shown(session: SessionRow) -> dict[str, Any]:
    """SessionInfo. The sink's credential is never shown."""
    info = {
        **session.request,
        "sessionId": session.id,
        "duration": max(1, session.duration_s),
        "qosStatus": session.status,
        "statusInfo": session.status_info,
    }
    if session.status != "REQUESTED":
        info["startedAt"] = _moment(session.started_at)
        info["expiresAt"] = _moment(session.expires_at)
    return {name: value for name, value in info.items() if value is not None}


def announce(write: Writer, session: SessionRow, status: str, info: str | None, at: datetime) -> None:
    """Queue a notification for the session's sink, if it has one, in the transaction of what it tells."""
    if "sink" not in session.request:
        return
    data = {"sessionId": session.id, "qosStatus": status, "statusInfo": info}
    event_id = str(uuid.uuid4())
    event = {
        "id": event_id,
        "source": f"/quality-on-demand/v1/sessions/{session.id}",
        "specversion": "1.0",
        "type": EVENT_TYPE,
        "datacontenttype": "application/json",
        "time": _moment(at),
        "data": {name: value for name, value in data.items() if value is not None},
    }
    write.add_qod_event(event_id, session.id, event, at)


def audit_session(
    write: Writer, who: Caller, action: str, row: Mapping[str, Any], before_s: int | None, after: dict[str, Any] | None
) -> None:
    write.record_audit(
        subject=who.principal.subject,
        role=who.principal.role,
        tenant=row["tenant"],
        action=action,
        target=row["intent"],
        before=None if before_s is None else {"status": row["status"], "duration_s": before_s},
        after=after,
        request_id=who.request_id,
    )


def _intent(row: Mapping[str, Any], device: Endpoint, server: Endpoint) -> ServiceIntent:
    return ServiceIntent(
        name=row["intent"],
        tenant=row["tenant"],
        service=row["request"]["qosProfile"],
        source=(device.id,),
        to=(server.id,),
        objectives=StatedObjectives(availability=OFF, loss=OFF),
    )


def _check_ports(ports: Ports | None) -> None:
    for item in (ports.ranges if ports else None) or ():
        if item.from_ > item.to:
            raise invalid(f"the range from {item.from_} to {item.to} is empty", "OUT_OF_RANGE")


def _withdraw(service: IntentService, name: str) -> None:
    try:
        service.delete(name)
    except NotFoundError:
        return


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
