"""TLS under an OpenFlow connection: a socket two threads may use, and why a peer was refused."""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from carelane.errors import InputError
from carelane.tls import TlsFiles

__all__ = ["Door", "SecureSocket", "refusal"]

T = TypeVar("T")
_PIECE = 1 << 14
_REASONS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": ("no-certificate", "it shows no certificate"),
    "WRONG_VERSION_NUMBER": ("not-tls", "it does not speak TLS; set its controller to ssl:HOST:PORT"),
    "HTTP_REQUEST": ("not-tls", "it does not speak TLS"),
    "UNSUPPORTED_PROTOCOL": ("old-tls", "it offers nothing newer than TLS 1.1"),
    "TLSV1_ALERT_UNKNOWN_CA": ("distrusts-us", "it does not trust our authority; check its CA certificate"),
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": ("distrusts-us", "our certificate has ended, or its clock is wrong"),
    "SSLV3_ALERT_BAD_CERTIFICATE": (
        "distrusts-us",
        "it does not accept our certificate; check its clock and CA certificate",
    ),
}


class Door:
    """Makes connections secure. Renewed files are used from the next connection on."""

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._state: tuple[int, ...] = ()
        self._context = files.server_context(mutual=True)

    def secure(self, sock: socket.socket) -> SecureSocket:
        """Only called by the accepting thread. The handshake is the caller's, in a thread of its own.

        Raises OSError for a peer that has gone already, as scanners of ports do.
        """
        sock.getpeername()
        try:
            state = self._files.state()
            if state != self._state:
                self._context, self._state = self._files.server_context(mutual=True), state
        except (OSError, InputError):
            pass  # files in the middle of a change: what was loaded last serves on, and `doctor` names the fault
        return SecureSocket(sock, self._context)


class SecureSocket:
    """What `Connection` needs of a socket. One thread may receive while another sends.

    OpenSSL's connection objects do not allow that, so each step is made under a lock, on a socket that does not
    block, and waiting happens outside of it.
    """

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._sock = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self._sock.setblocking(False)
        self._lock = threading.Lock()
        self._timeout_s: float | None = None

    def handshake(self, timeout_s: float) -> None:
        """Raises OSError (of which ssl.SSLError is one) when the peer is not to be talked to."""
        self._step(self._sock.do_handshake, time.monotonic() + timeout_s)

    def peer_names(self) -> frozenset[str]:
        """What the peer's certificate, which was verified, calls it."""
        found: Any = self._sock.getpeercert() or {}
        subject = {value for part in found.get("subject", ()) for kind, value in part if kind == "commonName"}
        return frozenset(subject | {value for kind, value in found.get("subjectAltName", ()) if kind == "DNS"})

    def recv(self, size: int) -> bytes:
        return self._step(lambda: self._sock.recv(size), self._deadline())

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            sent = self._step(partial(self._sock.send, view[:_PIECE]), self._deadline())
            view = view[sent:]

    def settimeout(self, seconds: float | None) -> None:
        self._timeout_s = seconds

    def setsockopt(self, level: int, option: int, value: int) -> None:
        self._sock.setsockopt(level, option, value)

    def shutdown(self, how: int) -> None:
        # Not SSLSocket's own: it would take the connection object away under the other thread.
        socket.socket.shutdown(self._sock, how)

    def close(self) -> None:
        self._sock.close()

    def _deadline(self) -> float | None:
        return None if self._timeout_s is None else time.monotonic() + self._timeout_s

    def _step(self, call: Callable[[], T], deadline: float | None) -> T:
        while True:
            with self._lock:
                try:
                    return call()
                except ssl.SSLWantReadError:
                    wanted = select.POLLIN
                except ssl.SSLWantWriteError:
                    wanted = select.POLLOUT
            waiting = select.poll()
            waiting.register(self._sock.fileno(), wanted)
            left_ms = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
            if not waiting.poll(left_ms):
                raise TimeoutError("timed out")


def refusal(error: OSError) -> tuple[str, str]:
    """Why a handshake failed: a word to count by, and a sentence."""
    if isinstance(error, ssl.SSLCertVerificationError):
        word = "expired" if "expired" in error.verify_message else "untrusted"
        return word, f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "silent", "it did not finish the TLS handshake"
    reason = getattr(error, "reason", None)
    return _REASONS.get(str(reason), ("broken", f"the TLS handshake failed: {reason or error.strerror or error}"))
