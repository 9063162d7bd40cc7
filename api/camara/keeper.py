"""Moves sessions along: available when their slice stands, over when their time or their slice is.

Everything it goes by is in the store, so a server that was killed goes on where it was.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from carelane.api.camara.models import SessionRow
from carelane.api.camara.sessions import announce
from carelane.api.camara.sinks import Sinks
from carelane.api.camara.vault import Vault
from carelane.controller.service import IntentService
from carelane.errors import CarelaneError, NotFoundError
from carelane.intents.lifecycle import Phase
from carelane.store import StoredIntent, Writer

__all__ = ["SessionKeeper"]

log = structlog.get_logger(__name__)

INTERVAL_S = 0.5
KEPT_AFTER_END = timedelta(seconds=360)
"""How long a session that the network ended can still be looked at (specification: at least so long)."""
ROWS_KEPT = timedelta(days=1)
"""How long the row of a session that nobody can see any more stays, for whoever looks into a complaint."""
TIDY_EVERY = timedelta(minutes=1)

_STANDS = frozenset({Phase.ACTIVE, Phase.DEGRADED})
_UNDER_WAY = frozenset({Phase.REQUESTED, Phase.ADMITTED, Phase.INSTALLING})


class SessionKeeper:
    """A thread of its own between `start` and `stop`; `step` is one round, for tests."""

    def __init__(
        self,
        service: IntentService,
        vault: Vault,
        sinks: Sinks | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._service, self._vault, self._sinks, self._now = service, vault, sinks or Sinks(), now
        self._interval_s = interval_s
        self._tidied_at: datetime | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="carelane-sessions", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(10)
        self._sinks.close()

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_s):
            if not self._service.standing.acts:
                continue
            try:
                self.step()
            except CarelaneError as error:
                log.warning("keeping sessions failed", error=str(error))
            except Exception:
                log.exception("keeping sessions broke")

    def step(self) -> None:
        """Move every session on by what happened since, then send what is due."""
        with self._service.store.read() as read:
            rows = read.qod_sessions()
            intents = {item.name: item for item in read.intents(names=[row["intent"] for row in rows])}
        for session in (SessionRow(**row) for row in rows):
            if self._next(session, intents.get(session.intent)) is not None:
                self._move(session.id)
        self._notify()
        self._tidy()

    def _move(self, session_id: str) -> None:
        """Decide again inside the transaction: an extension may have come first."""
        with self._service.store.write() as write:
            row = write.qod_session(session_id)
            if row is None or row["deleted"]:
                return
            session = SessionRow(**row)
            values = self._next(session, write.find(session.intent))
            if values is None:
                return
            self._put(write, session, values)
        if values.get("status") == "UNAVAILABLE" or values.get("deleted"):
            try:
                self._service.delete(session.intent)
            except NotFoundError:
                return

    def _put(self, write: Writer, session: SessionRow, values: dict[str, Any]) -> None:
        write.change_qod_session(session.id, **values)
        if "status" in values:
            announce(write, session, values["status"], values.get("status_info"), self._now())

    def _next(self, session: SessionRow, intent: StoredIntent | None) -> dict[str, Any] | None:
        """What is to change; None when nothing is."""
        now = self._now()
        phase = intent.phase if intent is not None else Phase.WITHDRAWN
        leaving = intent is None or intent.deleted_at is not None
        if session.status == "UNAVAILABLE":
            over = session.expires_at is None or now - session.expires_at > KEPT_AFTER_END
            return {"deleted": True} if over else None
        if session.status == "AVAILABLE" and session.expires_at is not None and now >= session.expires_at:
            return {"status": "UNAVAILABLE", "status_info": "DURATION_EXPIRED"}
        if session.status == "REQUESTED" and phase in _STANDS and not leaving:
            ends = now + timedelta(seconds=session.duration_s)
            return {"status": "AVAILABLE", "started_at": now, "expires_at": ends}
        if leaving or phase not in _STANDS | _UNDER_WAY:
            started = session.started_at or now
            lasted_s = max(1, round((now - started).total_seconds()))
            return {
                "status": "UNAVAILABLE",
                "status_info": "NETWORK_TERMINATED",
                "started_at": started,
                "expires_at": now,
                "duration_s": lasted_s,
            }
        return None

    def _notify(self) -> None:
        with self._service.store.read() as read:
            due = read.qod_events_due(self._now())
            sessions = {event["session_id"]: read.qod_session(event["session_id"]) for event in due}
        for event in due:
            session = sessions[event["session_id"]]
            if self._stopping.is_set() or session is None:
                return
            values = self._deliver(event, session)
            with self._service.store.write() as write:
                write.change_qod_event(event["id"], **values)
        with self._service.store.read() as read:
            spent = read.spent_credentials()
        if spent:
            with self._service.store.write() as write:
                write.drop_spent_credentials()

    def _deliver(self, event: Mapping[str, Any], session: Mapping[str, Any]) -> dict[str, Any]:
        """One attempt. Without the key of the sink's token it is made again later: the file may be brought."""
        try:
            credential = self._vault.open(session["sink_credential"] or {})
        except CarelaneError as error:
            log.error("notification not sent", event_id=event["id"], session=event["session_id"], error=str(error))
            return self._sinks.later(event, "the key that sealed the sink's token is not there")
        return self._sinks.deliver(event, session["request"]["sink"], credential)

    def _tidy(self) -> None:
        """Rows of sessions that are long over go (the audit and the history of their intents stay); tokens that were
        stored before there were seals, or before a key was rotated, are sealed anew."""
        now = self._now()
        if self._tidied_at is not None and now - self._tidied_at < TIDY_EVERY:
            return
        with self._service.store.write() as write:
            write.forget_qod_sessions(now - ROWS_KEPT)
            for row in write.qod_sessions():
                if row["sink_credential"] and self._vault.stale(row["sink_credential"]):
                    sealed = self._vault.seal(self._vault.open(row["sink_credential"]))
                    write.change_qod_session(row["id"], sink_credential=sealed)
        self._tidied_at = now
