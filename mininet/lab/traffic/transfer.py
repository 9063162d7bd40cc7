"""TCP transfers (DICOM pushes): one process sends them all, one receives them all.

Run as ``python -m carelane.lab.traffic.transfer source|sink``; the same conversation over standard input and output
as the UDP programs. The sink reports, for each flow, bytes received and the times of the first and the last one.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import struct
import sys
import time
from types import FrameType
from typing import Any

from carelane.lab._netns import enter_netns
from carelane.lab.traffic.packet import TCP_PORT

__all__ = ["main"]

_FLOW = struct.Struct("!I")
_CHUNK = b"\0" * 65536


class Stopped(Exception):
    """SIGTERM arrived."""


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stopped


def _enter(netns: str) -> None:
    descriptor = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
    enter_netns(descriptor)
    os.close(descriptor)


def _say(message: str) -> None:
    sys.stdout.write(message + "\n")
    sys.stdout.flush()


def _connect(entry: dict[str, Any]) -> socket.socket:
    _enter(entry["netns"])
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    opened.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, int(entry["dscp"]) << 2)
    opened.setblocking(False)
    opened.connect_ex((entry["address"], TCP_PORT))
    return opened


def _source(config: dict[str, Any]) -> None:
    _say("ready")
    start_ns = int(sys.stdin.readline())
    summary = {str(entry["id"]): {"sent": 0, "bytes": 0, "errors": 0, "late_ms": 0.0} for entry in config["flows"]}
    waiting = sorted(config["flows"], key=lambda entry: entry["start_s"])
    selector = selectors.DefaultSelector()
    signal.signal(signal.SIGTERM, _stop)
    try:
        while waiting or selector.get_map():
            now = time.clock_gettime_ns(time.CLOCK_REALTIME)
            while waiting and start_ns + waiting[0]["start_s"] * 1e9 <= now:
                entry = waiting.pop(0)
                state = {"entry": entry, "head": _FLOW.pack(entry["id"]), "left": entry["model"]["size_bytes"]}
                selector.register(_connect(entry), selectors.EVENT_WRITE, state)
            for key, _ in selector.select(0.05):
                _push(selector, key, summary)
            if not selector.get_map():
                time.sleep(0.05)
    except Stopped:
        pass
    _say(json.dumps(summary))


def _push(selector: selectors.BaseSelector, key: selectors.SelectorKey, summary: dict[str, dict[str, Any]]) -> None:
    state, opened = key.data, key.fileobj
    assert isinstance(opened, socket.socket)
    flow = str(state["entry"]["id"])
    try:
        if state["head"]:
            state["head"] = state["head"][opened.send(state["head"]) :]
            return
        count = opened.send(_CHUNK[: state["left"]])
    except OSError:
        summary[flow]["errors"] += 1
        count = state["left"]
    else:
        summary[flow]["bytes"] += count
    state["left"] -= count
    if state["left"] <= 0:
        selector.unregister(opened)
        opened.close()


def _sink(config: dict[str, Any]) -> None:
    selector = selectors.DefaultSelector()
    for netns in config["hosts"]:
        _enter(netns)
        listener = socket.create_server(("0.0.0.0", TCP_PORT))  # noqa: S104 - inside an emulated host
        listener.setblocking(False)
        selector.register(listener, selectors.EVENT_READ, None)
    selector.register(sys.stdin, selectors.EVENT_READ, "stdin")
    received: dict[str, dict[str, int]] = {}
    _say("ready")
    ended = False
    while not ended:
        for key, _ in selector.select():
            if key.data == "stdin":
                ended = os.read(0, 4096) == b""
            elif key.data is None:
                assert isinstance(key.fileobj, socket.socket)
                accepted, _peer = key.fileobj.accept()
                accepted.setblocking(False)
                selector.register(accepted, selectors.EVENT_READ, {"flow": None})
            else:
                _take(selector, key, received)
    _say(json.dumps(received))


def _take(selector: selectors.BaseSelector, key: selectors.SelectorKey, received: dict[str, dict[str, int]]) -> None:
    opened = key.fileobj
    assert isinstance(opened, socket.socket)
    try:
        data = opened.recv(262144)
    except BlockingIOError:
        return
    except OSError:
        data = b""
    if not data:
        selector.unregister(opened)
        opened.close()
        return
    now = time.clock_gettime_ns(time.CLOCK_REALTIME)
    if key.data["flow"] is None:
        # The first bytes of a connection travel in one small segment of their own.
        flow = str(_FLOW.unpack_from(data)[0])
        key.data["flow"] = flow
        received[flow] = {"bytes": len(data) - _FLOW.size, "first_ns": now, "last_ns": now}
        return
    record = received[key.data["flow"]]
    record["bytes"] += len(data)
    record["last_ns"] = now


def main() -> None:
    config = json.loads(sys.stdin.readline())
    if sys.argv[1] == "source":
        _source(config)
    else:
        _sink(config)


if __name__ == "__main__":
    main()
