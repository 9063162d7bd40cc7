"""The tree of a point-to-multipoint slice on real switches: links die while no controller runs, and everybody goes on
receiving, each packet once; the controller that comes back plans anew."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from carelane.controller.pipeline.identifiers import multicast_address
from carelane.controller.reconcile.holdings import Holdings
from carelane.controller.runner import Controller
from carelane.controller.southbound.openflow import OpenFlowSouthbound
from carelane.controller.southbound.protocol import Southbound
from carelane.intents import load_intents
from carelane.store import Store
from carelane.topology import parse_topology
from carelane.topology.model import Topology

pytestmark = [pytest.mark.root, pytest.mark.ovs]

NETWORK = """
apiVersion: carelane/v1
kind: Topology
metadata: {name: ring}
spec:
  nodes:
    - {id: s1, kind: switch, dpid: 1}
    - {id: s2, kind: switch, dpid: 2}
    - {id: s3, kind: switch, dpid: 3}
    - {id: s4, kind: switch, dpid: 4}
  links:
    - {id: a, a: s1, b: s2, capacity: 50Mbps, length: 20km}
    - {id: b, a: s2, b: s3, capacity: 50Mbps, length: 20km}
    - {id: c, a: s1, b: s4, capacity: 50Mbps, length: 30km}
    - {id: d, a: s4, b: s3, capacity: 50Mbps, length: 30km}
    - {id: e, a: s2, b: s4, capacity: 50Mbps, length: 300km}
    - {id: f, a: s1, b: s3, capacity: 50Mbps, length: 300km}
  endpoints:
    - {id: s1/hall, node: s1, port: 9, address: 10.0.0.1/32, mac: "02:00:00:00:00:01", capacity: 50Mbps}
    - {id: s2/room, node: s2, port: 9, address: 10.0.0.2/32, mac: "02:00:00:00:00:02", capacity: 50Mbps}
    - {id: s3/room, node: s3, port: 9, address: 10.0.0.3/32, mac: "02:00:00:00:00:03", capacity: 50Mbps}
    - {id: s4/room, node: s4, port: 9, address: 10.0.0.4/32, mac: "02:00:00:00:00:04", capacity: 50Mbps}
"""
LESSON = b"""
apiVersion: carelane/v1
kind: ServiceIntent
metadata: {name: lesson, tenant: county}
spec:
  service: remote-teaching
  from: [s1/hall]
  to: [s2/room, s3/room, s4/room]
  protection: required
  burst: 60KB
  objectives: {bandwidth: 5Mbps, delay: 100ms, availability: none, jitter: none, loss: none}
"""
ROOMS = ("s2", "s3", "s4")
MARK = b"lesson"
ALL_PROTOCOLS = 3


class Lecture:
    """Numbered packets from the hall to the group, and which room got which of them how often."""

    def __init__(self, group: str, stack: ExitStack) -> None:
        self._sockets = {}
        for node in ("s1", *ROOMS):
            raw = stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS)))
            raw.bind((f"{node}-9-x", 0))
            self._sockets[node] = raw
        self._group = group
        self.sent = 0
        self.got: dict[str, Counter[int]] = {room: Counter() for room in ROOMS}

    def send(self, count: int) -> None:
        for _ in range(count):
            self.sent += 1
            self._sockets["s1"].send(frame(self._group, MARK + struct.pack("!I", self.sent)))
            time.sleep(0.002)

    def listen(self, seconds: float = 0.0) -> None:
        names = {self._sockets[room]: room for room in ROOMS}
        while ready := select.select(list(names), [], [], seconds)[0]:
            for raw in ready:
                data, (_, _, kind, *_) = raw.recvfrom(2048)
                at = data.find(MARK)
                if kind != socket.PACKET_OUTGOING and at >= 0:
                    self.got[names[raw]][struct.unpack_from("!I", data, at + len(MARK))[0]] += 1

    def goes_on(self, seconds: float = 30) -> int:
        """Send until a packet has reached every room; how many it took."""
        before, deadline = self.sent, time.monotonic() + seconds
        while True:
            self.send(1)
            self.listen()
            fresh = [{number for number in got if number > before} for got in self.got.values()]
            if set.intersection(*fresh):
                return self.sent - before
            assert time.monotonic() < deadline, {room: len(got) for room, got in self.got.items()}

    def reaches_all_once(self, count: int = 50) -> None:
        first = self.sent + 1
        self.send(count)
        wanted = set(range(first, first + count))
        until(lambda: (self.listen(0.05), all(wanted <= got.keys() for got in self.got.values()))[1])
        self.listen(0.2)
        assert {times for got in self.got.values() for times in got.values()} == {1}, "nobody gets a packet twice"


def frame(group: str, payload: bytes) -> bytes:
    """A UDP datagram to a group address."""
    source, to = socket.inet_aton("10.0.0.1"), socket.inet_aton(group)
    total = 28 + len(payload)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, total, 1, 0, 64, 17, 0, source, to)
    words = sum(struct.unpack("!10H", head))
    words = (words >> 16) + (words & 0xFFFF)
    checksum = ~((words >> 16) + words) & 0xFFFF
    head = head[:10] + struct.pack("!H", checksum) + head[12:]
    datagram = struct.pack("!HHHH", 5000, 5000, 8 + len(payload), 0) + payload
    mac = bytes((1, 0, 0x5E, to[1] & 0x7F, to[2], to[3]))
    return mac + bytes.fromhex("020000000001") + b"\x08\x00" + head + datagram


def until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the awaited state did not come"
        time.sleep(0.05)


@contextmanager
def cut(ovs: Any, topology: Topology, name: str) -> Iterator[None]:
    link = topology.links[name]
    near, far = f"{link.a}-{link.a_port}", f"{link.b}-{link.b_port}"
    ovs.run("ip", "link", "set", near, "down")
    yield
    ovs.run("ip", "link", "set", near, "up")
    asked = [("--", "--if-exists", "get", "interface", name, "bfd_status:forwarding") for name in (near, far)]
    until(lambda: ovs.vsctl(*asked[0][1:], *asked[1]).count("true") == 2)


def test_everybody_goes_on_receiving_while_a_link_of_the_tree_is_dead(ovs: Any, tmp_path: Path) -> None:
    topology = parse_topology(NETWORK)
    made: list[OpenFlowSouthbound] = []

    def switches(port: int, declared: Topology) -> Southbound:
        made.append(OpenFlowSouthbound(declared, port=port, ovsdb=ovs.ovsdb, lldp_interval_s=0.2))
        return made[-1]

    url = f"sqlite:///{tmp_path}/ovs.db"
    with ExitStack() as stack:
        with Controller(topology, url, partial(switches, 0), drift_interval_s=1.0) as controller:
            port = made[-1].port
            ovs.add_network(topology, controller_port=port)
            controller.service.apply(load_intents(LESSON))
            described = controller.service.wait(["lesson"], 60)
            assert [item.phase for item in described] == ["Active"], controller.service.describe("lesson")
            before = held_in(url)
        ways = {(path.to, path.role): "".join(hop.link for hop in path.hops) for path in before.decision.paths}
        assert (ways["s3/room", "primary"], ways["s2/room", "primary"]) == ("ab", "a")
        lecture = Lecture(str(multicast_address(before.ids)), stack)
        lecture.goes_on()
        lecture.reaches_all_once()
        with cut(ovs, topology, "a"):  # at the source's switch: both behind it move at once
            assert lecture.goes_on() < 500
            lecture.reaches_all_once()
        with cut(ovs, topology, "b"):  # further down: what is for s3 comes back first
            assert lecture.goes_on() < 500
            lecture.reaches_all_once()
            southbound = partial(switches, port)
            with Controller(topology, url, southbound, drift_interval_s=1.0, repair_after_s=0.5) as controller:
                until(lambda: held_in(url).ids != before.ids)
                assert [item.phase for item in controller.service.wait(["lesson"], 60)] == ["Active"]
                after = held_in(url)
                assert not [path for path in after.decision.paths if any(hop.link == "b" for hop in path.hops)]
                assert controller.service.verify().proven
                lecture.reaches_all_once()
                controller.service.delete("lesson")
                assert [item.phase for item in controller.service.wait(["lesson"], 60)] == ["Withdrawn"]
                for node in topology.nodes:
                    own = made[-1].read(node).own
                    assert not [rule for rule in own.flows if rule.cookie & 0xFFFFFFFF]
                    assert (own.groups, own.meters) == ((), ())


def held_in(url: str) -> Any:
    """The slice as it is stored."""
    store = Store(url)
    try:
        with store.read() as read:
            return next(held for held in Holdings.of(read.slices()).slices if not held.retiring)
    finally:
        store.close()
