"""The os-ken application and its runner.

os-ken ships neither a runner that can be stopped nor a server that can be closed, so both are here: a listener whose
threads end with `stop`, and an OFPHandler (os-ken's application that negotiates versions and keeps port tables) that
tells one `Events` object what happens. Handlers run in the thread of their switch's connection: switches do not wait
for each other, and nothing may block in them.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import threading
import time
from typing import Any, Protocol

from carelane.controller.southbound.openflow._compat import (
    CONFIG_DISPATCHER,
    MAIN_DISPATCHER,
    SERVICE_BRICKS,
    AppManager,
    OFPHandler,
    hub,
    ofp,
    ofp_event,
    set_ev_handler,
)
from carelane.controller.southbound.openflow._connection import STOPPING, Connection
from carelane.controller.southbound.openflow._tls import Door, SecureSocket, refusal
from carelane.errors import ConflictError

__all__ = ["Events", "Runner"]

_LOG = logging.getLogger(__name__)
_HANDSHAKE_S = 5.0
_REST_S = 0.1


class Events(Protocol):
    """What the application reports. Called from connection threads."""

    def on_ready(self, connection: Connection) -> None: ...
    def on_refused(self, host: str, word: str, why: str) -> None: ...
    def on_closed(self, connection: Connection, reason: str) -> None: ...
    def on_raw(self, connection: Connection, kind: int, xid: int, frame: bytes) -> bool: ...
    def on_port(self, connection: Connection, port: int) -> None: ...
    def on_packet_in(self, connection: Connection, in_port: int, data: bytes) -> None: ...


class _Handler(OFPHandler):  # type: ignore[misc]  # os-ken is untyped
    OFP_VERSIONS = [ofp.OFP_VERSION]  # noqa: RUF012  os-ken's own spelling

    def __init__(self, events: Events) -> None:
        super().__init__()
        self._events = events

    def start(self) -> None:
        """Nothing to start: the listener is the runner's, and connections call the handlers directly."""

    @set_ev_handler(ofp_event.EventOFPPortDescStatsReply, CONFIG_DISPATCHER)  # type: ignore[untyped-decorator]
    def multipart_reply_handler(self, ev: Any) -> None:
        super().multipart_reply_handler(ev)
        if ev.msg.datapath.state == MAIN_DISPATCHER:
            self._events.on_ready(ev.msg.datapath)

    @set_ev_handler(ofp_event.EventOFPPortStatus, MAIN_DISPATCHER)  # type: ignore[untyped-decorator]
    def port_status_handler(self, ev: Any) -> None:
        super().port_status_handler(ev)
        self._events.on_port(ev.msg.datapath, ev.msg.desc.port_no)

    @set_ev_handler(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)  # type: ignore[untyped-decorator]
    def packet_in_handler(self, ev: Any) -> None:
        in_port = ev.msg.match.get("in_port")
        if in_port is not None:
            self._events.on_packet_in(ev.msg.datapath, in_port, bytes(ev.msg.data))


class Runner:
    """Listens for switches from `start` to `stop`; may be started again. One at a time in a process.

    With a `door` they must speak TLS and show a certificate.
    """

    def __init__(
        self,
        events: Events,
        *,
        host: str,
        port: int,
        echo_interval_s: float,
        max_unreplied: int,
        door: Door | None = None,
    ) -> None:
        self._door = door
        self._events = events
        self._address = (host, port)
        self._echo_interval_s = echo_interval_s
        self._max_unreplied = max_unreplied
        self._manager: Any = None
        self._server: socket.socket | None = None
        self._accepting: threading.Thread | None = None
        self._lock = threading.Lock()
        self._serving: dict[Connection, threading.Thread] = {}

    @property
    def port(self) -> int:
        """The port listened on: the one asked for, or the one the system chose for port 0."""
        if self._server is None:
            return self._address[1]
        port: int = self._server.getsockname()[1]
        return port

    def start(self) -> None:
        """Raises ConflictError when another runner is active, OSError when the address cannot be bound."""
        if ofp_event.NAME in SERVICE_BRICKS:
            raise ConflictError("os-ken serves one OpenFlow listener a process: stop the other southbound first")
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        self._server = hub.listen(self._address, family=family)
        self._manager = AppManager()
        self._manager.instantiate(_Handler, self._events)
        self._accepting = threading.Thread(
            target=self._accept, args=(self._server,), name="carelane-of-accept", daemon=True
        )
        self._accepting.start()

    def stop(self) -> None:
        """Close the listener and every connection, and wait for their threads."""
        if self._server is None or self._accepting is None:
            return
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # wakes accept(); closing alone does not
        self._accepting.join()
        self._server.close()
        with self._lock:
            serving = dict(self._serving)
        for connection in serving:
            connection.close(STOPPING)
        for thread in serving.values():
            thread.join()
        self._manager.close()
        self._server = self._accepting = self._manager = None

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                sock, address = server.accept()
            except OSError as error:
                if error.errno in (errno.EINVAL, errno.EBADF):  # stop() shut it down
                    return
                _LOG.warning("accepting a switch failed: %s", error)
                time.sleep(_REST_S)  # such as no descriptor left, which does not pass at once
                continue
            try:
                self._take(sock, address)
            except (OSError, RuntimeError) as error:  # it is gone already, or no thread can be had: the next one may be
                sock.close()
                _LOG.info("a connection from %s was not taken: %s", address, error)

    def _take(self, sock: socket.socket, address: Any) -> None:
        connection = Connection(
            sock if self._door is None else self._door.secure(sock),
            address,
            echo_interval_s=self._echo_interval_s,
            max_unreplied=self._max_unreplied,
            on_raw=self._events.on_raw,
            on_closed=self._closed,
        )
        thread = threading.Thread(target=self._serve, args=(connection,), name=f"carelane-of-{address[1]}", daemon=True)
        with self._lock:
            self._serving[connection] = thread
        try:
            thread.start()
        except RuntimeError:
            with self._lock:
                del self._serving[connection]
            raise

    def _serve(self, connection: Connection) -> None:
        if isinstance(connection.socket, SecureSocket):
            try:
                connection.socket.handshake(_HANDSHAKE_S)
            except OSError as error:
                connection.socket.close()
                self._events.on_refused(connection.address[0], *refusal(error))
                self._closed(connection, "refused")
                return
        connection.serve()

    def _closed(self, connection: Connection, reason: str) -> None:
        try:
            self._events.on_closed(connection, reason)
        finally:  # last: until it is out of the list, stop() waits for this thread
            with self._lock:
                self._serving.pop(connection, None)
