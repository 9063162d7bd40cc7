"""Buffers hold what was declared: real frames through real meters and HTB queues, counted one by one.

Nothing here depends on how fast this machine is: a slower sender only gives the buckets more time to fill.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from carelane.controller.runner import Controller
from carelane.controller.southbound.counters import SwitchCounters
from carelane.controller.southbound.openflow import OpenFlowSouthbound
from carelane.controller.southbound.protocol import Southbound
from carelane.intents import load_intents
from carelane.topology import parse_topology
from carelane.topology.model import Topology

pytestmark = [pytest.mark.root, pytest.mark.ovs]

NETWORK = """
apiVersion: carelane/v1
kind: Topology
metadata: {name: fork}
spec:
  nodes:
    - {id: s1, kind: switch, dpid: 1, availability: 99.99%}
    - {id: s2, kind: switch, dpid: 2, availability: 99.99%}
    - {id: s3, kind: switch, dpid: 3, availability: 99.99%}
  links:
    - {id: cable, a: s1, aPort: 1, b: s2, bPort: 1, capacity: 10Mbps, length: 1km, availability: 99.99%}
    - {id: thin, a: s1, aPort: 2, b: s3, bPort: 1, capacity: 500kbps, length: 1km, availability: 99.99%}
  endpoints:
    - {id: s1/clinic, node: s1, port: 9, address: 10.0.0.1/32, mac: "02:00:00:00:00:01", capacity: 50Mbps}
    - {id: s1/scan, node: s1, port: 8, address: 10.0.0.2/32, mac: "02:00:00:00:00:02", capacity: 50Mbps}
    - {id: s2/hub, node: s2, port: 9, address: 10.0.0.3/32, mac: "02:00:00:00:00:03", capacity: 50Mbps}
    - {id: s3/archive, node: s3, port: 9, address: 10.0.0.4/32, mac: "02:00:00:00:00:04", capacity: 50Mbps}
"""
INTENTS = """
apiVersion: carelane/v1
kind: ServiceIntent
metadata: {name: rounds, tenant: county}
spec:
  service: video-conference
  from: [s1/clinic]
  to: [s2/hub]
  burst: 30KB
  direction: forward
  objectives: {bandwidth: 4Mbps, delay: 150ms, jitter: none, loss: 0.1%, availability: none}
---
apiVersion: carelane/v1
kind: ServiceIntent
metadata: {name: genome, tenant: lab}
spec:
  service: genome-transfer
  from: [s1/scan]
  to: [s3/archive]
  direction: forward
  objectives: {bandwidth: 100kbps}
"""
FRAME_BYTES = 1250
BURST = 30_000 // FRAME_BYTES
GROUP = 24
"""So many frames wait safely in the socket through which a userspace switch reads its port."""


def until(condition: Callable[[], Any], what: str, *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


class Fork:
    """The three switches under a controller, and hosts that send and count frames."""

    def __init__(self, ovs: Any, topology: Topology, southbound: OpenFlowSouthbound) -> None:
        self.ovs, self.topology, self.southbound = ovs, topology, southbound
        self.sent = 0

    def send(self, source: str, to: str, frames: int) -> int:
        """Send so many frames as fast as the switch takes them in; how many arrived once nothing moves any more."""
        start, end = self.topology.endpoints[source], self.topology.endpoints[to]
        assert start.address is not None
        assert end.address is not None
        header = Ether(src=start.mac, dst=end.mac) / IP(
            src=str(start.address.network_address), dst=str(end.address.network_address)
        )
        frame = bytes(header / UDP(sport=5000, dport=5000) / bytes(FRAME_BYTES - 42))
        with _packets(f"{start.node}-{start.port}-x") as out, _packets(f"{end.node}-{end.port}-x") as inside:
            inside.settimeout(0.0)
            before, dropped, seen = self.taken(start.node, start.port), self.dropped(), 0
            for first in range(0, frames, GROUP):
                part = min(GROUP, frames - first)
                for _ in range(part):
                    out.send(frame)
                until(
                    lambda due=before + first + part: self.taken(start.node, start.port) >= due,  # type: ignore[misc]
                    "the switch reads its port",
                )
                seen += _arrived(inside)

            def accounted() -> bool:
                nonlocal seen
                seen += _arrived(inside)
                return seen + self.dropped() - dropped >= frames

            until(accounted, "every frame arrives or is counted where it was dropped")
            return seen

    def taken(self, node: str, port: int) -> int:
        return self.counters(node).ports[port][0].packets

    def dropped(self) -> int:
        """By all meters and queues."""
        return self.dropped_by_meters() + self.dropped_in_queues()

    def dropped_by_meters(self) -> int:
        return sum(count.dropped for count in self.counters("s1").meters.values())

    def dropped_in_queues(self) -> int:
        return sum(count.dropped for node in self.topology.nodes for count in self.counters(node).queues.values())

    def counters(self, node: str) -> SwitchCounters:
        return self.southbound.counters(node)


def _packets(interface: str) -> socket.socket:
    """What comes and goes there. The buffer is forced: what a host cannot take is no loss of the network."""
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    made.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
    made.bind((interface, 0x0800))
    return made


def _arrived(inside: socket.socket) -> int:
    count = 0
    while True:
        try:
            data, where = inside.recvfrom(2048)
        except BlockingIOError:
            return count
        count += where[2] != socket.PACKET_OUTGOING and len(data) == FRAME_BYTES


@pytest.fixture
def fork(ovs: Any, tmp_path: Path) -> Iterator[Fork]:
    topology = parse_topology(NETWORK)
    made: list[OpenFlowSouthbound] = []

    def switches(port: int, declared: Topology) -> Southbound:
        made.append(OpenFlowSouthbound(declared, port=port, ovsdb=ovs.ovsdb))
        return made[-1]

    with Controller(topology, f"sqlite:///{tmp_path}/burst.db", partial(switches, 0), sharing="off") as controller:
        ovs.add_network(topology, controller_port=made[-1].port)
        controller.service.apply(load_intents(INTENTS))
        phases = [item.phase for item in controller.service.wait(["rounds", "genome"], 60)]
        assert phases == ["Active", "Active"], controller.service.describe("rounds")
        yield Fork(ovs, topology, made[-1])


def test_a_declared_burst_loses_nothing_and_excess_waits_at_the_edge_before_it_is_dropped(fork: Fork) -> None:
    for _ in range(3):
        assert fork.send("s1/clinic", "s2/hub", BURST) == BURST, "a burst as declared"
        assert fork.dropped() == 0
        time.sleep(30_000 * 8 / 4e6)  # at least so long, for the bucket to be full again

    # Four bursts in one are beyond the contract: the meter at the edge takes the excess, no queue loses anything.
    arrived = fork.send("s1/clinic", "s2/hub", 4 * BURST)
    assert arrived >= BURST
    assert arrived + fork.dropped_by_meters() == 4 * BURST
    assert fork.dropped_in_queues() == 0

    # What has no contract to exceed waits: a burst of a second of its link, delayed and not dropped. (More than some 90
    # frames a userspace switch cannot leave to the kernel's queue: its socket's buffer counts them until they leave.)
    before = fork.dropped()
    assert fork.send("s1/scan", "s3/archive", 60) == 60
    assert fork.dropped() == before
