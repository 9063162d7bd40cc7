"""One switch connection: os-ken's Datapath with its native-thread faults mended.

What os-ken 4.2.2 does under native threads, and what happens here instead:

- its sender waits for ever on a queue after the socket died, so the connection is never declared dead and its threads
  leak: here every thread ends with the connection, and its end is reported at once;
- with its defaults it never notices a switch that stopped answering: here more than `max_unreplied` unanswered echo
  requests end the connection, and any message from the switch counts as an answer, because a switch working through
  a long batch answers echoes late;
- it parses statistics in the receiving thread, all or nothing: here a reply somebody waits for is handed over as
  bytes, so that receiving never stalls and one unreadable entry does not hide the rest.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

from carelane.controller.southbound.openflow._compat import (
    DEAD_DISPATCHER,
    Datapath,
    ofp,
    ofp_event,
    ofproto_parser,
    parser,
)
from carelane.controller.southbound.openflow._tls import SecureSocket

__all__ = ["STOPPING", "Connection"]

STOPPING = "the controller is stopping"

_LOG = logging.getLogger(__name__)
_HEADER = struct.Struct(ofp.OFP_HEADER_PACK_STR)

RawHandler = Callable[["Connection", int, int, bytes], bool]
ClosedHandler = Callable[["Connection", str], None]


class Connection(Datapath):  # type: ignore[misc]  # os-ken is untyped
    """`on_raw(connection, type, xid, frame)` sees each message first and may consume it."""

    def __init__(
        self,
        sock: socket.socket | SecureSocket,
        address: Any,
        *,
        echo_interval_s: float,
        max_unreplied: int,
        on_raw: RawHandler,
        on_closed: ClosedHandler,
    ) -> None:
        self._outbox: queue.SimpleQueue[tuple[bytes, bool] | None] = queue.SimpleQueue()
        self._gone = threading.Event()
        self._reason = "the switch closed the connection"
        self._xid_lock = threading.Lock()
        self._on_raw = on_raw
        self._on_closed = on_closed
        self.xid: int
        super().__init__(sock, address)
        self.echo_request_interval = echo_interval_s
        self.max_unreplied_echo_requests = max_unreplied

    def serve(self) -> None:
        """Run the connection to its end; returns when all its threads have ended."""
        name = f"carelane-of-{self.address[1]}"
        threads = [
            threading.Thread(target=self._send_loop, name=f"{name}-send", daemon=True),
            threading.Thread(target=self._echo_request_loop, name=f"{name}-echo", daemon=True),
        ]
        for thread in threads:
            thread.start()
        self.send_msg(parser.OFPHello(self))
        try:
            self._recv_loop()
        except Exception:  # noqa: BLE001  a malformed message or a failing handler costs its own connection only
            _LOG.exception("connection from %s failed", self.address)
            self._reason = "the switch sent something unreadable"
        finally:
            self.close()
            for thread in threads:
                thread.join()
            self.socket.close()
            self.is_active = False
            self._on_closed(self, self._reason)

    def close(self, reason: str | None = None) -> None:
        """End the connection from any thread; the first reason given is the one reported."""
        if self._gone.is_set():
            return
        if reason is not None:
            self._reason = reason
        self._gone.set()
        self.set_state(DEAD_DISPATCHER)
        self._outbox.put(None)
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def send(self, buf: bytes, close_socket: bool = False) -> bool:
        """Queue bytes; False when the connection is over."""
        if self._gone.is_set():
            return False
        self._outbox.put((bytes(buf), close_socket))
        return True

    def reserve_xids(self, count: int) -> int:
        """The first of `count` consecutive transaction ids that nobody else uses."""
        with self._xid_lock:
            if self.xid + count > ofp.MAX_XID:
                self.xid = 0
            first: int = self.xid + 1
            self.xid += count
            return first

    def set_xid(self, msg: Any) -> int:
        xid = self.reserve_xids(1)
        msg.set_xid(xid)
        return xid

    def _send_loop(self) -> None:
        while (item := self._outbox.get()) is not None:
            data, last = item
            try:
                self.socket.sendall(data)
                if last:
                    self.socket.shutdown(socket.SHUT_WR)
            except OSError as error:
                self.close(f"sending failed: {error}")
                return

    def _echo_request_loop(self) -> None:
        while not self._gone.wait(self.echo_request_interval):
            if len(self.unreplied_echo_requests) > self.max_unreplied_echo_requests:
                self.close(f"{len(self.unreplied_echo_requests)} echo requests unanswered")
                return
            request = parser.OFPEchoRequest(self)
            self.unreplied_echo_requests.append(self.set_xid(request))
            self.send_msg(request)

    def _recv_loop(self) -> None:
        buffer = bytearray()
        while not self._gone.is_set():
            try:
                data = self.socket.recv(1 << 16)
            except TimeoutError:
                continue
            except OSError as error:
                self.close(f"receiving failed: {error}")
                return
            if not data:
                return
            self.unreplied_echo_requests.clear()
            buffer += data
            self._consume(buffer)

    def _consume(self, buffer: bytearray) -> None:
        """Dispatch the whole messages at the front of `buffer` and remove them."""
        start = 0
        while len(buffer) - start >= _HEADER.size and not self._gone.is_set():
            version, kind, length, xid = _HEADER.unpack_from(buffer, start)
            if length < _HEADER.size:
                self.close(f"the switch sent a message of length {length}")
                return
            if len(buffer) - start < length:
                break
            self._dispatch(version, kind, xid, bytes(buffer[start : start + length]))
            start += length
        del buffer[:start]

    def _dispatch(self, version: int, kind: int, xid: int, frame: bytes) -> None:
        if self._on_raw(self, kind, xid, frame):
            return
        message = ofproto_parser.msg(self, version, kind, len(frame), xid, frame)
        if message is None or self.ofp_brick is None:
            return
        event = ofp_event.ofp_msg_to_ev(message)
        for handler in list(self.ofp_brick.get_handlers(event, self.state)):
            handler(event)
