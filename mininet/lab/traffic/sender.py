"""Sends all flows of one lane (real-time or bulk) from one process, at absolute times.

Run as ``python -m carelane.lab.traffic.sender``. Reads one line of JSON with the flows, opens a socket in each
source's network namespace, prints ``ready``, reads the start time (CLOCK_REALTIME ns), sends, and prints a summary.
SIGTERM ends it early, with the summary.
"""

from __future__ import annotations

import gc
import heapq
import json
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

from carelane.lab._netns import enter_netns
from carelane.lab.traffic.batch import Sender, raise_timer_precision, sleep_until
from carelane.lab.traffic.models import IP_UDP_BYTES, model_from_json
from carelane.lab.traffic.packet import ETHERNET_BYTES, HEADER, TokenBucket

__all__ = ["main"]

_SO_SNDBUFFORCE = 32  # asm-generic/socket.h; the socket module does not name it
_IP_TRANSPARENT = 19  # linux/in.h: bind to an address that is not the host's own
_SEND_BUFFER = 256 * 1024 * 1024


class Stopped(Exception):
    """SIGTERM arrived."""


class _Source:
    """One flow being sent: its schedule, its socket, its counts."""

    def __init__(self, entry: dict[str, Any], seed: int, start_ns: int) -> None:
        self.id = int(entry["id"])
        # A seed of its own, so that adding a flow does not change the others.
        self._schedule: Iterator[tuple[int, int]] = model_from_json(entry["model"]).packets(
            random.Random(f"{seed}/{entry['name']}")  # noqa: S311 - a model, not a secret
        )
        self._start = start_ns + round(entry["start_s"] * 1e9)
        self._end = self._start + round(entry["duration_s"] * 1e9)
        self._bucket = TokenBucket(*entry["bucket"]) if entry["bucket"] else None
        self._socket = _open(entry)
        self._batch = Sender(self._socket)
        self.attempted = self.sent = self.bytes = self.late_ns = 0
        self.next_ns: int | None = None
        self._size = 0
        self._advance()

    def _advance(self) -> None:
        at, self._size = next(self._schedule)
        at += self._start
        self.next_ns = at if at < self._end else None

    def send_due(self, now: int) -> None:
        """Send what is due by `now`, at most one batch, as far as the token bucket allows."""
        sizes: list[int] = []
        while self.next_ns is not None and self.next_ns <= now and len(sizes) < Sender.CAPACITY:
            if self._bucket is not None:
                ready = self._bucket.ready_at(now, self._size + ETHERNET_BYTES)
                if ready > now:
                    self.next_ns = ready
                    break
                self._bucket.take(now, self._size + ETHERNET_BYTES)
            HEADER.pack_into(self._batch.buffer, len(sizes) * Sender.STRIDE, self.id, self.attempted, now, 0)
            self.late_ns = max(self.late_ns, now - self.next_ns)
            self.attempted += 1
            sizes.append(self._size - IP_UDP_BYTES)
            self._advance()
        # A packet the kernel refuses has used its sequence number: it is missing at the receiver, never left out.
        taken = self._batch.send(sizes) if sizes else 0
        self.sent += taken
        self.bytes += sum(sizes[:taken]) + taken * IP_UDP_BYTES

    def summary(self) -> dict[str, Any]:
        errors = self.attempted - self.sent
        return {"sent": self.sent, "bytes": self.bytes, "errors": errors, "late_ms": self.late_ns / 1e6}


def _open(entry: dict[str, Any]) -> socket.socket:
    descriptor = os.open(entry["netns"], os.O_RDONLY | os.O_CLOEXEC)
    enter_netns(descriptor)
    os.close(descriptor)
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, int(entry["dscp"]) << 2)
    # Emulated switches share this kernel: packets queued in them still count against the sender's buffer, and a full
    # one would make a flood wait politely for the queue it is meant to overrun.
    opened.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _SEND_BUFFER)
    if entry["source_address"] is not None:
        opened.setsockopt(socket.IPPROTO_IP, _IP_TRANSPARENT, 1)
        opened.bind((entry["source_address"], 0))
    opened.connect((entry["address"], int(entry["port"])))
    return opened


def _send_all(sources: list[_Source], tick_ns: int) -> None:
    """Send everything in order of time. With a tick, wake at most once in it: bulk goes in small batches."""
    queue = [(source.next_ns, index) for index, source in enumerate(sources) if source.next_ns is not None]
    heapq.heapify(queue)
    woken = now = 0
    while queue:
        due, index = queue[0]
        if due > now:  # when last looked at: in the lab kernel another look costs as much as a sleep that ends at once
            sleep_until(max(due, woken + tick_ns))
            woken = now = time.clock_gettime_ns(time.CLOCK_REALTIME)
            if due > now:  # a signal woke us
                continue
        else:
            now = time.clock_gettime_ns(time.CLOCK_REALTIME)
        sources[index].send_due(now)
        following = sources[index].next_ns
        if following is None:
            heapq.heappop(queue)
        else:
            heapq.heapreplace(queue, (following, index))


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stopped


def main() -> None:
    config = json.loads(sys.stdin.readline())
    raise_timer_precision()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    start_ns = int(sys.stdin.readline())
    sources = [_Source(entry, int(config["seed"]), start_ns) for entry in config["flows"]]
    # A pause to collect garbage would delay packets; a run's garbage is small.
    gc.disable()
    try:
        signal.signal(signal.SIGTERM, _stop)
        _send_all(sources, int(config["tick_ns"]))
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    except Stopped:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # The last packets are still on their way: winding up at a sender's precedence held them 22 ms.
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    sys.stdout.write(json.dumps({str(source.id): source.summary() for source in sources}) + "\n")


if __name__ == "__main__":
    main()
