"""`carelane up` over real switches: what is filed on the command line is in Open vSwitch, and gone when withdrawn."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from carelane.topology import Topology, load_topology

pytestmark = [pytest.mark.root, pytest.mark.ovs]

TOPOLOGY = """\
apiVersion: carelane/v1
kind: Topology
metadata: {name: triangle}
spec:
  nodes: [{id: s1}, {id: s2}, {id: s3}]
  links:
    - {id: direct, a: s1, b: s3, capacity: 50Mbps, delay: 1ms}
    - {id: near, a: s1, b: s2, capacity: 50Mbps, delay: 1ms}
    - {id: far, a: s2, b: s3, capacity: 50Mbps, delay: 1ms}
  endpoints:
    - {id: or, node: s1, address: 10.0.0.1/32, capacity: 50Mbps}
    - {id: clinic, node: s1, address: 10.0.0.2/32, capacity: 50Mbps}
    - {id: console, node: s3, address: 10.0.0.3/32, capacity: 50Mbps}
"""
SURGERY = ["remote surgery or -> console: 20 ms, availability none", "--name", "surgery"]
MEETING = ["remote consultation clinic -> console: 150 ms, 5 Mbps", "--name", "meeting"]


@pytest.fixture
def network(ovs: Any, tmp_path: Path) -> Topology:
    """Three switches in a triangle, not yet told of a controller."""
    (tmp_path / "triangle.yaml").write_text(TOPOLOGY, encoding="utf-8")
    topology = load_topology(str(tmp_path / "triangle.yaml"))
    for node in topology.nodes.values():
        ovs.add_bridge(node.id, node.dpid)
    for link in topology.links.values():
        ovs.add_wire(link.a, link.a_port, link.b, link.b_port)
    for number, end in enumerate(topology.endpoints.values()):
        ovs.add_veth(end.node, end.port, f"end{number}")
    return topology


class Process:
    """A process of carelane that is ready."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._folder = folder
        with (folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "carelane", *arguments, "-t", "triangle.yaml"],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=folder,
            )
        watchdog = threading.Timer(60, self.process.kill)
        watchdog.start()
        assert self.process.stdout is not None
        self.ready = self.process.stdout.readline()
        watchdog.cancel()
        assert self.ready, (folder / "log").read_text()

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        try:
            return self.process.wait(30)
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()

    def own_switches(self, ovs: Any) -> None:
        """Tell the switches where it listens."""
        found = re.search(r"OpenFlow tcp:127.0.0.1:(\d+),", self.ready)
        assert found, self.ready
        for bridge in ("s1", "s2", "s3"):
            ovs.vsctl("set-controller", bridge, f"tcp:127.0.0.1:{found.group(1)}")
            ovs.vsctl("set", "controller", bridge, "connection-mode=out-of-band", "max-backoff=1000")


class Server(Process):
    """The server process and a command line that talks to it."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder, "up", "--rest-port", "0", *options)
        found = re.search(r"REST (\S+),", self.ready)
        assert found, self.ready
        self.url = found.group(1)

    def carelane(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "carelane", *arguments],
            capture_output=True,
            text=True,
            env=os.environ | {"CARELANE_URL": self.url},
            cwd=self._folder,  # where the first admin key is
            timeout=120,
            check=False,
        )
        assert done.returncode == code, f"{done.stdout}{done.stderr}{(self._folder / 'log').read_text()[-4000:]}"
        return done.stdout

    def shows(self, name: str, *words: str) -> None:
        """Wait until `carelane get` says so of the intent."""
        deadline = time.monotonic() + 60
        while not all(word in (said := self.carelane("get", name)) for word in words):
            assert time.monotonic() < deadline, said
            time.sleep(0.2)


@pytest.fixture
def running() -> Iterator[list[Process]]:
    """Processes that are gone afterwards, however the test ends."""
    processes: list[Process] = []
    yield processes
    for process in processes:
        if process.process.poll() is None:
            process.end(signal.SIGKILL)


@pytest.fixture
def start(ovs: Any, network: Topology, tmp_path: Path, running: list[Process]) -> Callable[[], Server]:
    def one() -> Server:
        server = Server(tmp_path, "--openflow-port", "0", "--ovsdb", ovs.ovsdb)
        running.append(server)
        server.own_switches(ovs)
        return server

    return one


def counters(ovs: Any, bridge: str, address: str) -> dict[str, int]:
    """Packets by flow of the slice that serves `address`, as the switch counts them."""
    found = {}
    for line in ovs.ofctl("dump-flows", bridge).splitlines():
        if f"nw_src={address}" in line and "actions=meter" in line:
            found[line[line.index("priority") :]] = int(line.split("n_packets=")[1].split(",")[0])
    return found


def test_what_is_filed_is_on_the_switches_and_leaves_them_again(start: Callable[[], Server], ovs: Any) -> None:
    server = start()
    server.carelane("apply", *SURGERY)
    server.carelane("apply", *MEETING)
    assert counters(ovs, "s1", "10.0.0.1")
    assert "push_mpls" in ovs.ofctl("dump-flows", "s1")
    assert "kbps" in ovs.ofctl("dump-meters", "s1")
    assert "surgery" in ovs.vsctl("list", "queue")
    assert server.carelane("diff") == "nothing would change\n"
    text = server.carelane("describe", "surgery")
    cookie = re.search(r"cookie 0x(0*)([0-9a-f]+)\n", text)
    assert cookie
    assert f"cookie=0x{cookie.group(2)}," in ovs.ofctl("dump-flows", "s1")
    server.carelane("delete", "surgery")
    assert not counters(ovs, "s1", "10.0.0.1")
    assert counters(ovs, "s1", "10.0.0.2")
    assert "surgery" not in ovs.vsctl("list", "queue")
    assert server.end(signal.SIGTERM) == 0
    assert counters(ovs, "s1", "10.0.0.2"), "stopping the controller must not stop traffic"


def test_a_killed_server_converges_after_its_restart_and_leaves_counters_alone(
    start: Callable[[], Server], ovs: Any
) -> None:
    first = start()
    first.carelane("apply", *SURGERY)
    frame = "020000000003020000000001" + "0800" + "4500001c00010000401166cd0a0000010a000003" + "0001000200080000"
    ovs.ofctl("packet-out", "s1", f"in_port=1001,packet={frame},actions=table")
    before = counters(ovs, "s1", "10.0.0.1")
    assert sum(before.values()) == 1
    first.carelane("apply", *MEETING, "--no-wait")
    first.end(signal.SIGKILL)
    second = start()
    second.shows("meeting", "Active")
    assert counters(ovs, "s1", "10.0.0.2")
    assert counters(ovs, "s1", "10.0.0.1") == before
    assert second.carelane("diff") == "nothing would change\n"


def test_switches_in_a_process_of_their_own_stay_connected_while_the_server_dies(
    ovs: Any, network: Topology, tmp_path: Path, running: list[Process]
) -> None:
    """And when that process dies, slices are told of it, forwarding goes on, and the next one is taken up."""
    socket = f"unix:{tmp_path}/southbound.sock"

    def hold() -> Process:
        running.append(
            Process(tmp_path, "southbound", "--listen", socket, "--openflow-port", "0", "--ovsdb", ovs.ovsdb)
        )
        running[-1].own_switches(ovs)
        return running[-1]

    def serve() -> Server:
        server = Server(tmp_path, "--southbound", socket)
        running.append(server)
        return server

    def connections() -> set[str]:
        """The switches' ends of their OpenFlow connections: a switch that connects again has another port."""
        port = re.search(r"OpenFlow tcp:127.0.0.1:(\d+),", held.ready)
        assert port
        rows = [line.split() for line in ovs.run("ss", "-Htn", "state", "established").splitlines()]
        return {row[2] for row in rows if row[3].endswith(f":{port.group(1)}")}

    held = hold()
    first = serve()
    first.carelane("apply", *SURGERY)
    before, lines = connections(), counters(ovs, "s1", "10.0.0.1")
    assert lines
    first.end(signal.SIGKILL)
    second = serve()
    second.shows("surgery", "Active")
    second.carelane("apply", *MEETING)
    assert second.carelane("diff") == "nothing would change\n"
    assert len(before) == 3
    assert connections() == before, "no switch lost its connection"
    held.end(signal.SIGKILL)
    second.shows("surgery", "Degraded")
    assert "does not answer" in second.carelane("describe", "surgery")
    assert counters(ovs, "s1", "10.0.0.1") == lines, "the switches keep what they have"
    hold()
    second.shows("surgery", "Active")
    assert counters(ovs, "s1", "10.0.0.1") == lines
