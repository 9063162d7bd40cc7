"""Compiled programs on real Open vSwitch: it takes every rule, and sends real frames where the simulator says.

Runs a private ovs-vswitchd with its built-in dummy datapath, whose ports are joined by Unix sockets and whose frames
come in by command and go out to pcap files: a network of real switches without root, interfaces or namespaces.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from ipaddress import ip_network
from pathlib import Path

import pytest

from carelane.controller.pipeline.compile import compile_program
from carelane.controller.pipeline.identifiers import allocate, multicast_address
from carelane.controller.pipeline.program import Program, SliceIds
from carelane.controller.pipeline.render import render_flow, render_group, render_meter
from carelane.controller.pipeline.requirement import Connectivity, Objectives, Pair, Requirement
from carelane.controller.pipeline.slice_plan import Decision, PlannedPath
from carelane.controller.southbound.simulator import packet_of
from carelane.topology.model import Endpoint, Hop, Link, Node, Topology

scapy = pytest.importorskip("scapy.layers.all")
scapy_utils = pytest.importorskip("scapy.utils")

SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
TOOLS = ("ovs-vswitchd", "ovsdb-server", "ovsdb-tool", "ovs-vsctl", "ovs-ofctl", "ovs-appctl")
pytestmark = [
    pytest.mark.ovs,
    pytest.mark.skipif(
        not SCHEMA.exists() or any(shutil.which(tool) is None for tool in TOOLS), reason="needs Open vSwitch"
    ),
]

LINKS = {
    name: Link(name, a, b, a_port, b_port, 10**9)
    for name, a, a_port, b, b_port in (
        ("a", "s1", 1, "s2", 1),
        ("b", "s2", 2, "s3", 1),
        ("c", "s1", 2, "s4", 1),
        ("d", "s4", 2, "s3", 2),
    )
}
ENDS = {
    name: Endpoint(name, node, port, ip_network(f"10.0.0.{i}/32"), 10**9, f"02:00:00:00:00:{i:02x}")
    for i, (name, node, port) in enumerate((("h1", "s1", 11), ("h2", "s2", 11), ("h3", "s3", 11), ("h4", "s3", 12)), 1)
}
TOPOLOGY = Topology("four", {f"s{i}": Node(f"s{i}", i) for i in range(1, 5)}, LINKS, ENDS, {})


def decide(name: str, connectivity: Connectivity, routes: dict[tuple[str, str], list[str]]) -> Decision:
    pairs = tuple(Pair(ENDS[a], ENDS[b]) for a, b in routes)
    requirement = Requirement(
        name, "t", "test", "telephony", 1, connectivity, pairs, 10**7, 10**6, 3000, 1500, Objectives()
    )
    paths = []
    for (a, b), ways in routes.items():
        for role, links in zip(("primary", "backup"), ways, strict=False):
            node, hops = ENDS[a].node, []
            for link in links:
                hops.append(Hop(link, node, LINKS[link].other(node)))
                node = LINKS[link].other(node)
            nodes = (ENDS[a].node, *(hop.next_node for hop in hops))
            paths.append(PlannedPath(role, a, b, nodes, tuple(hops), 10**7, 10**6, None, None, 0.001))
    return Decision(requirement, True, tuple(paths))


SURGERY = decide("surgery", "point-to-point", {("h1", "h3"): ["ab", "cd"]})
TREE = {("h4", "h2"): ["b", "dca"], ("h4", "h1"): ["ba", "dc"], ("h4", "h3"): [""]}
TEACHING = decide("teaching", "point-to-multipoint", TREE)


class DummyNetwork:
    """The four switches, with everything they do in one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._environment = {**os.environ, "OVS_RUNDIR": str(directory), "OVS_LOGDIR": str(directory)}
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        database = f"unix:{self._directory}/db.sock"
        self.run("ovsdb-tool", "create", "conf.db", str(SCHEMA))
        self._daemon("ovsdb-server", "conf.db", f"--remote=punix:{self._directory}/db.sock")
        self._vsctl = ("ovs-vsctl", f"--db={database}", "--timeout=20")
        self._wait(lambda: (self._directory / "db.sock").exists())
        self.run(*self._vsctl, "--no-wait", "init")
        self._daemon("ovs-vswitchd", "--enable-dummy", "--disable-system", database)
        for node in TOPOLOGY.nodes.values():
            options = ("datapath_type=dummy", "fail-mode=secure", "protocols=OpenFlow13")
            self.run(*self._vsctl, "add-br", node.id, "--", "set", "bridge", node.id, *options)
        for link in LINKS.values():
            socket = self._directory / f"{link.id}.sock"
            self._port(link.a, link.a_port, f"options:pstream=punix:{socket}")
            self._wait(socket.exists)
            self._port(link.b, link.b_port, f"options:stream=unix:{socket}")
        for end in ENDS.values():
            self._port(end.node, end.port, f"options:tx_pcap={self._directory}/{end.id}.pcap")

    def stop(self) -> None:
        for daemon in reversed(self._daemons):
            daemon.terminate()
            daemon.wait(10)

    def load(self, program: Program) -> None:
        for node, switch in program.items():
            bridge = f"unix:{self._directory}/{node}.mgmt"
            parts = (
                ("add-meter", map(render_meter, switch.meters)),
                ("add-group", map(render_group, switch.groups)),
                ("add-flow", map(render_flow, switch.flows)),
            )
            for command, lines in parts:
                for line in lines:
                    self.run("ovs-ofctl", "-O", "OpenFlow13", command, bridge, line)

    def set_port(self, node: str, port: int, state: str) -> None:
        self.control("netdev-dummy/set-admin-state", f"{node}p{port}", state)

    def send(self, source: str, frame: bytes) -> None:
        end = ENDS[source]
        self.control("netdev-dummy/receive", f"{end.node}p{end.port}", frame.hex())

    def exchange(self, source: str, frame: bytes, copies: int) -> dict[str, list[bytes]]:
        """Send a frame and tell who got what, once `copies` have arrived (10 s at most) and no more follow."""
        before = {name: len(self._frames(name)) for name in ENDS}
        self.send(source, frame)
        self._wait(lambda: sum(len(self._frames(name)) - before[name] for name in ENDS) >= copies)
        time.sleep(0.2)
        return {name: got for name in ENDS if (got := self._frames(name)[before[name] :])}

    def _frames(self, name: str) -> list[bytes]:
        capture = self._directory / f"{name}.pcap"
        if not capture.exists() or capture.stat().st_size <= 24:
            return []
        return [bytes(packet) for packet in scapy_utils.rdpcap(str(capture))]

    def control(self, *command: str) -> str:
        return self.run("ovs-appctl", "-t", f"{self._directory}/ovs-vswitchd.ctl", *command)

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self._directory, env=self._environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def _port(self, node: str, port: int, option: str) -> None:
        name = f"{node}p{port}"
        settings = ("set", "interface", name, "type=dummy", f"ofport_request={port}", option)
        self.run(*self._vsctl, "add-port", node, name, "--", *settings)

    def _daemon(self, name: str, *arguments: str) -> None:
        control = (f"--unixctl={self._directory}/{name}.ctl", f"--log-file={self._directory}/{name}.log")
        self._daemons.append(
            subprocess.Popen((name, *arguments, *control, "-vconsole:off"), cwd=self._directory, env=self._environment)
        )

    def _wait(self, condition) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "it did not happen within 10 s"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def slices() -> list[tuple[Decision, SliceIds]]:
    first = allocate(SURGERY, [])
    return [(SURGERY, first), (TEACHING, allocate(TEACHING, [first]))]


@pytest.fixture(scope="module")
def network(tmp_path_factory, slices):
    """Open vSwitch carrying both slices. The directory's path is short, as Unix sockets demand."""
    running = DummyNetwork(tmp_path_factory.mktemp("ovs"))
    try:
        running.start()
        running.load(compile_program(TOPOLOGY, slices))
        yield running
    finally:
        running.stop()


def datagram(source: str, to: str, **ether: str) -> bytes:
    """An IP packet from host to host, to a MAC address that the network has to put right."""
    addresses = {"src": ENDS[source].mac, "dst": "02:00:00:00:00:77", **ether}
    target = str(ENDS[to].address).split("/")[0] if to in ENDS else to
    packet = scapy.IP(src=str(ENDS[source].address).split("/")[0], dst=target) / scapy.UDP(dport=7) / (b"beat" * 30)
    return bytes(scapy.Ether(**addresses) / packet)


@pytest.mark.parametrize(("source", "to"), [("h1", "h3"), ("h3", "h1"), ("h4", "h2"), ("h1", "h4"), ("h4", "h3")])
def test_a_labelled_packet_arrives_as_it_was_sent_but_marked(network, source, to):
    got = network.exchange(source, datagram(source, to), 1)
    assert {name: len(frames) for name, frames in got.items()} == {to: 1}
    packet, sent = packet_of(got[to][0]), packet_of(datagram(source, to))
    assert (packet.labels, packet.dscp, packet.eth_dst) == ((), 46, ENDS[to].mac)
    assert (packet.ip_src, packet.ip_dst, packet.l4_dst, packet.size_bytes) == (
        sent.ip_src,
        sent.ip_dst,
        7,
        sent.size_bytes,
    )


def test_the_group_moves_traffic_and_arp_to_the_backup(network):
    ask = bytes(
        scapy.Ether(src=ENDS["h1"].mac, dst="ff:ff:ff:ff:ff:ff") / scapy.ARP(op=1, psrc="10.0.0.1", pdst="10.0.0.3")
    )
    for state in ("up", "down"):
        network.set_port("s1", 1, state)
        assert list(network.exchange("h1", datagram("h1", "h3"), 1)) == ["h3"]
        got = network.exchange("h1", ask, 1)
        assert list(got) == ["h3"]
        assert got["h3"][0][: len(ask)] == ask
    network.set_port("s1", 1, "up")


def test_packets_and_arp_turn_around_at_a_dead_link_further_down(network):
    ask = bytes(
        scapy.Ether(src=ENDS["h1"].mac, dst="ff:ff:ff:ff:ff:ff") / scapy.ARP(op=1, psrc="10.0.0.1", pdst="10.0.0.3")
    )
    for node, port in (("s2", 2), ("s3", 1)):
        network.set_port(node, port, "down")
    try:
        for source, to in (("h1", "h3"), ("h3", "h1")):
            got = network.exchange(source, datagram(source, to), 1)
            assert {name: len(frames) for name, frames in got.items()} == {to: 1}
            packet = packet_of(got[to][0])
            assert (packet.labels, packet.dscp, packet.eth_dst) == ((), 46, ENDS[to].mac)
        got = network.exchange("h1", ask, 1)
        assert list(got) == ["h3"]
        assert got["h3"][0][: len(ask)] == ask
    finally:
        for node, port in (("s2", 2), ("s3", 1)):
            network.set_port(node, port, "up")


def test_the_tree_gives_every_receiver_one_copy(network, slices):
    group = str(multicast_address(slices[1][1]))
    got = network.exchange("h4", datagram("h4", group, dst="01:00:5e:40:00:02"), 3)
    assert {name: len(frames) for name, frames in got.items()} == {"h1": 1, "h2": 1, "h3": 1}
    for frames in got.values():
        packet = packet_of(frames[0])
        assert (packet.labels, packet.ip_dst, packet.eth_dst, packet.dscp) == ((), group, "01:00:5e:40:00:02", 46)


@pytest.mark.parametrize("cut", ["a", "b", "c", "d"])
def test_the_tree_gives_every_receiver_one_copy_while_a_link_is_dead(network, slices, cut):
    """At the source's switch and further down, where the copies for those behind the link come back first."""
    group = str(multicast_address(slices[1][1]))
    link = LINKS[cut]
    ends = ((link.a, link.a_port), (link.b, link.b_port))
    for node, port in ends:
        network.set_port(node, port, "down")
    try:
        got = network.exchange("h4", datagram("h4", group, dst="01:00:5e:40:00:02"), 3)
        assert {name: len(frames) for name, frames in got.items()} == {"h1": 1, "h2": 1, "h3": 1}
        packets = [packet_of(frames[0]) for frames in got.values()]
        assert {(p.labels, p.ip_dst, p.eth_dst, p.dscp) for p in packets} == {((), group, "01:00:5e:40:00:02", 46)}
    finally:
        for node, port in ends:
            network.set_port(node, port, "up")


def test_spoofed_and_unadmitted_packets_reach_nobody(network):
    for source, frame in (
        ("h2", datagram("h1", "h3", src=str(ENDS["h2"].mac))),
        ("h1", datagram("h1", "h3", src="02:00:00:00:00:66")),
        ("h1", datagram("h1", "h2")),
    ):
        assert network.exchange(source, frame, 0) == {}
