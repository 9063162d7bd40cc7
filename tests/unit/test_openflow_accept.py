"""Nothing that a peer does before it has said a word ends listening for switches."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from carelane import pki
from carelane.controller.southbound.openflow._app import Runner
from carelane.controller.southbound.openflow._tls import Door
from carelane.tls import TlsFiles


class Refusals:
    """The events of a runner that matter here."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def on_refused(self, _host: str, word: str, _why: str) -> None:
        self.words.append(word)

    def on_closed(self, *_: Any) -> None: ...

    def on_raw(self, *_: Any) -> bool:
        return False

    on_ready = on_port = on_packet_in = on_closed


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "the awaited state did not come"
        time.sleep(0.01)


@pytest.mark.parametrize("said", [b"", b"\x04\x00\x00\x08\x00\x00\x00\x01"])
def test_a_peer_that_is_gone_before_its_turn_costs_its_own_connection_only(tmp_path: Path, said: bytes) -> None:
    """As a scanner of ports does: it resets its connection before that is accepted."""
    pki.init(tmp_path, ["127.0.0.1"], ["s1"], days=2, force=False)
    door = Door(TlsFiles(tmp_path / "controller.key", tmp_path / "controller.crt", tmp_path / "ca.crt"))
    events: Any = Refusals()
    runner = Runner(events, host="127.0.0.1", port=0, echo_interval_s=1, max_unreplied=2, door=door)
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as scanner:
            scanner.sendall(said)
            scanner.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        accepting = threading.Thread(target=runner._accept, args=(server,), daemon=True)
        accepting.start()
        with socket.create_connection(server.getsockname()) as plain:
            plain.sendall(b"\x04\x00\x00\x08\x00\x00\x00\x01")
            until(lambda: "not-tls" in events.words)
        until(lambda: not runner._serving)
        server.shutdown(socket.SHUT_RDWR)
        accepting.join(20)
        assert not accepting.is_alive()
