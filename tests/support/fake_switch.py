"""A switch that speaks just enough OpenFlow 1.3, over a socket."""

from __future__ import annotations

import socket
import struct

__all__ = ["HELLO", "FakeSwitch"]

HELLO = struct.pack("!BBHI", 4, 0, 8, 1)
_PORT = struct.Struct("!I4x6s2x16s8I")


class FakeSwitch:
    """Speaks just enough OpenFlow to be accepted; answers nothing else."""

    def __init__(self, port: int, dpid: int = 1, ports: int = 0, source: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0))
        self.socket.sendall(HELLO)
        self._answer(5, struct.pack("!QIBB2xII", dpid, 0, 254, 0, 0, 0), 6)  # features
        described = b"".join(_PORT.pack(number, bytes(6), b"p", *[0] * 8) for number in range(1, ports + 1))
        self._answer(18, struct.pack("!HH4x", 13, 0) + described, 19)  # port descriptions

    def agree_to_role(self) -> None:
        """Answer the next role request."""
        self._answer(24, bytes(16), 25)

    def refuse(self, xid: int, kind: int, code: int) -> None:
        self.socket.sendall(struct.pack("!BBHIHH", 4, 1, 12, xid, kind, code))

    def settle(self) -> None:
        """Returns when everything that was sent before has been read."""
        self.socket.sendall(struct.pack("!BBHI", 4, 2, 8, 77))
        self.until(3)

    def until(self, wanted: int) -> int:
        """Read up to a message of this type; its transaction id."""
        while (message := self.receive())[0] != wanted:
            pass
        return message[1]

    def _answer(self, request: int, body: bytes, reply: int) -> None:
        xid = self.until(request)
        self.socket.sendall(struct.pack("!BBHI", 4, reply, 8 + len(body), xid) + body)

    def receive(self) -> tuple[int, int]:
        head = self._exactly(8)
        _, kind, length, xid = struct.unpack("!BBHI", head)
        self._exactly(length - 8)
        return kind, xid

    def drain(self) -> None:
        while True:
            self.receive()

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise EOFError
            data += part
        return data
