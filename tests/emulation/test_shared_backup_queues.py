"""Backups that share, on the kernel's own HTB: floors may sum to more than the port, and those in use are all held."""

from __future__ import annotations

import re
import socket
import time
from typing import Any

import pytest

from carelane.controller.pipeline.changes import Operation
from carelane.controller.pipeline.program import PortQos, Queue
from carelane.controller.southbound.ovsdb import Ovsdb

pytestmark = [pytest.mark.root, pytest.mark.ovs]

PORT_BPS = 2_000_000
BURST = 24_000
WORKING = Queue(1, 1_200_000, PORT_BPS, BURST, 1, "working")
ONE = Queue(2, 800_000, PORT_BPS, BURST, 7, "one")
TWO = Queue(3, 800_000, PORT_BPS, BURST, 7, "two")
SPARE = Queue(0, 16_000, PORT_BPS, 120_000, 7, "")
PORT = PortQos(1, PORT_BPS, (SPARE, WORKING, ONE, TWO))
FRAME = b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x88\xb5" + bytes(986)


def classes(ovs: Any) -> dict[int, tuple[int, int]]:
    """By queue: bytes sent so far, and packets that wait."""
    text = ovs.run("tc", "-s", "class", "show", "dev", "v1")
    found = re.findall(r"^class htb 1:([0-9a-f]+) .*?Sent (\d+) bytes.*?backlog \S+ (\d+)p", text, re.M | re.S)
    return {int(minor, 16) - 1: (int(sent), int(waiting)) for minor, sent, waiting in found}


def shares(ovs: Any, *queues: Queue) -> dict[str, float]:
    """What each of these queues sends while all of them have packets waiting, as a part of the port's rate."""
    for queue in queues:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 0x10000 | queue.id + 1)
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            sender.bind(("v1", 0))
            for _ in range(200):
                sender.send(FRAME)
    first = last = classes(ovs)
    assert all(first[queue.id][1] for queue in queues), "all of them wait"
    while all((now := classes(ovs))[queue.id][1] for queue in queues):
        last = now
        time.sleep(0.05)
    gained = {queue.slice: last[queue.id][0] - first[queue.id][0] for queue in queues}
    while any(waiting for _, waiting in classes(ovs).values()):
        time.sleep(0.05)
    total = sum(gained.values())
    assert total > 100 * len(FRAME), "long enough to tell"
    return {name: sent / total for name, sent in gained.items()}


def test_floors_in_use_are_held_though_all_floors_are_more_than_the_port(ovs: Any) -> None:
    """After one failure: the working queue and the backup that it woke, beside something that has no floor to speak of.

    After a second one, each queue still gets its tokens' worth, more than the port together: the kernel asks no parent
    as long as a class has tokens. What the line cannot carry then is a matter of priority (`test_htb_soundness`).
    """
    ovs.add_bridge("s1", 1)
    ovs.add_veth("s1", 1, "v1")
    database = Ovsdb(ovs.ovsdb, timeout_s=5)
    try:
        database.apply(1, [Operation("add", PORT)])
        state = database.read(1)
        assert (state.own, state.mismatches) == ((PORT,), ()), "Open vSwitch and the kernel take it as it is"
        assert sum(queue.min_rate_bps for queue in PORT.queues) > PORT_BPS
        one_failure = shares(ovs, WORKING, TWO, SPARE)
        assert one_failure["working"] == pytest.approx(0.6, abs=0.04)
        assert one_failure["two"] == pytest.approx(0.4, abs=0.04)
        two_failures = shares(ovs, WORKING, ONE, TWO)
        assert two_failures["working"] == pytest.approx(12 / 28, abs=0.04)
        assert two_failures["one"] == pytest.approx(8 / 28, abs=0.04)
    finally:
        database.close()
