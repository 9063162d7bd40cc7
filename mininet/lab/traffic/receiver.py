"""Receives the measured flows of all hosts in one process and keeps every packet: sequence number, sent, received.

Run as ``python -m carelane.lab.traffic.receiver``. The time of arrival is the kernel's (SO_TIMESTAMPNS), taken when
the packet enters the host, so this process need not be prompt: it empties its sockets every few milliseconds, in
batches, which costs the one processor of the lab kernel far less than waking for each packet. Reads one line of JSON,
prints ``ready``, works until its standard input closes, writes one file of samples for each flow and a summary.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
from pathlib import Path
from typing import Any

from carelane.lab._netns import enter_netns
from carelane.lab.traffic.batch import Receiver
from carelane.lab.traffic.models import IP_UDP_BYTES
from carelane.lab.traffic.packet import HEADER, SAMPLE, SINK_PORT, UDP_PORT

__all__ = ["main"]

_SO_RCVBUFFORCE = 33  # asm-generic/socket.h; the socket module does not name it
_RECEIVE_BUFFER = 64 * 1024 * 1024
_PAUSE_S = 0.010


class _Kept:
    """Samples of one flow in chunks: growing an array makes the kernel move it, and nothing else runs meanwhile."""

    _SAMPLES = 4096

    def __init__(self) -> None:
        self._full: list[bytearray] = []
        self._chunk = bytearray(SAMPLE.size * self._SAMPLES)
        self._offset = 0

    def add(self, sequence: int, sent: int, received: int, ip_bytes: int) -> None:
        if self._offset == len(self._chunk):
            self._full.append(self._chunk)
            self._chunk, self._offset = bytearray(SAMPLE.size * self._SAMPLES), 0
        SAMPLE.pack_into(self._chunk, self._offset, sequence, sent, received, ip_bytes)
        self._offset += SAMPLE.size

    def write(self, path: Path) -> None:
        with path.open("wb") as file:
            for chunk in self._full:
                file.write(chunk)
            file.write(memoryview(self._chunk)[: self._offset])


class _Intake:
    """One host's socket."""

    def __init__(self, opened: socket.socket, samples: dict[int, _Kept]) -> None:
        self._batch = Receiver(opened, HEADER.size)
        self._samples = samples

    def drain(self) -> bool:
        """Take one batch; True when the socket may hold more."""
        arrivals = self._batch.receive()
        for index, (received, payload) in enumerate(arrivals):
            flow, sequence, sent, _ = HEADER.unpack_from(self._batch.buffer, index * HEADER.size)
            kept = self._samples.get(flow)
            if kept is not None and received:
                kept.add(sequence, sent, received, payload + IP_UDP_BYTES)
        return len(arrivals) == Receiver.CAPACITY

    def overflow(self) -> int:
        return self._batch.overflow()


def _udp(netns: str, port: int) -> socket.socket:
    descriptor = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
    enter_netns(descriptor)
    os.close(descriptor)
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    opened.bind(("0.0.0.0", port))  # noqa: S104 - inside an emulated host
    return opened


def _open_intakes(hosts: list[str], samples: dict[int, _Kept]) -> tuple[dict[int, _Intake], list[socket.socket]]:
    intakes: dict[int, _Intake] = {}
    sinks: list[socket.socket] = []
    for netns in hosts:
        opened = _udp(netns, UDP_PORT)
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        intakes[opened.fileno()] = _Intake(opened, samples)
        # A flood's packets end here unread: the full buffer drops them at no cost, and no ICMP error goes back.
        sink = _udp(netns, SINK_PORT)
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
        sinks.append(sink)
    return intakes, sinks


def _receive(intakes: dict[int, _Intake]) -> None:
    poller = select.epoll()
    for descriptor in intakes:
        poller.register(descriptor, select.EPOLLIN)
    os.set_blocking(0, False)
    ended = False
    while not ended:
        time.sleep(_PAUSE_S)
        try:
            ended = os.read(0, 4096) == b""
        except BlockingIOError:
            ended = False
        # A socket that filled a whole batch may hold more: look at all of them again.
        while [descriptor for descriptor, _ in poller.poll(0) if intakes[descriptor].drain()]:
            pass


def main() -> None:
    config: dict[str, Any] = json.loads(sys.stdin.readline())
    samples: dict[int, _Kept] = {int(flow): _Kept() for flow in config["flows"]}
    intakes, _sinks = _open_intakes(config["hosts"], samples)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    _receive(intakes)
    folder = Path(config["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    for flow, kept in samples.items():
        kept.write(folder / f"{flow}.samples")
    overflow = sum(intake.overflow() for intake in intakes.values())
    sys.stdout.write(json.dumps({"overflow": overflow}) + "\n")


if __name__ == "__main__":
    main()
