"""Two controllers over one network: the leader is killed, or stopped and woken again, and nothing is lost or broken."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from carelane.controller.pipeline.changes import Operation, SwitchChanges
from carelane.controller.pipeline.program import COOKIE_OWNER, FlowRule, Match, Output, PortQos, Queue
from carelane.controller.southbound.openflow import OpenFlowSouthbound
from carelane.controller.southbound.ovsdb import Ovsdb
from carelane.errors import NotLeader, SwitchUnreachable
from carelane.topology.model import Node, Topology

pytestmark = [pytest.mark.root, pytest.mark.ovs, pytest.mark.postgres]

NETWORK = """
apiVersion: carelane/v1
kind: Topology
metadata: {name: pair}
spec:
  nodes: [{id: s1, dpid: 1}, {id: s2, dpid: 2}]
  links: [{id: line, a: s1, b: s2, aPort: 1, bPort: 1, capacity: 50Mbps, delay: 1ms}]
  endpoints:
    - {id: or, node: s1, port: 9, address: 10.0.0.1/32, capacity: 50Mbps}
    - {id: clinic, node: s1, port: 8, address: 10.0.0.2/32, capacity: 50Mbps}
    - {id: ward, node: s1, port: 7, address: 10.0.0.4/32, capacity: 50Mbps}
    - {id: console, node: s2, port: 9, address: 10.0.0.3/32, capacity: 50Mbps}
"""
MEETING = """
apiVersion: carelane/v1
kind: ServiceIntent
metadata: {{name: {name}, tenant: county}}
spec:
  service: remote-consultation
  from: [{source}]
  to: [console]
  protection: none
  burst: 6KB
  objectives: {{bandwidth: 5Mbps, delay: 100ms, availability: none, jitter: none, loss: none}}
"""
MEMBERS = ("a", "b")


def until(condition: Callable[[], bool], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the awaited state did not come"
        time.sleep(0.02)


class Member:
    """One `carelane up` on its ports."""

    def __init__(self, name: str, folder: Path, ovs: Any, database: str) -> None:
        self.name = name
        self.folder, self.log = folder, folder / f"{name}.log"
        number = MEMBERS.index(name)
        self.url, self.openflow = f"http://127.0.0.1:{8701 + number}", 6701 + number
        environment = {key: value for key, value in os.environ.items() if not key.startswith("CARELANE_")}
        environment |= {
            "CARELANE_DATABASE": database,
            "CARELANE_KEY_FILE": str(folder / "admin.key"),
            "CARELANE_OVSDB": ovs.ovsdb,
            "CARELANE_DRIFT_INTERVAL_S": "0.5",
            "CARELANE_LEASE_S": "1.5",
        }
        command = [sys.executable, "-m", "carelane", "up", "-t", "pair.yaml"]
        command += [f"--rest-port={8701 + number}", f"--openflow-port={self.openflow}"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        watchdog = threading.Timer(90, self.process.kill)
        watchdog.start()
        assert self.process.stdout is not None
        self.ready = self.process.stdout.readline()
        watchdog.cancel()
        assert self.ready.startswith("carelane ready"), self.log.read_text()

    def call(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        """Status and document; 0 when nobody answers."""
        request = urllib.request.Request(self.url + path, body, method=method)
        request.add_header("Authorization", f"Bearer {(self.folder / 'admin.key').read_text().strip()}")
        request.add_header("Content-Type", "application/yaml")
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())
        except OSError:
            return 0, None

    def file(self, name: str, source: str) -> tuple[int, Any]:
        return self.call("POST", "/v1/intents", MEETING.format(name=name, source=source).encode())

    def leads(self) -> bool:
        return self.call("GET", "/leaderz")[0] == 200

    def phase(self, name: str) -> str:
        status, found = self.call("GET", f"/v1/intents/{name}")
        return str(found["summary"]["phase"]) if status == 200 else f"answer {status}"

    def sees_all(self) -> bool:
        return all(row["connected"] for row in self.call("GET", "/v1/topology/check")[1]["switches"])

    def end(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


class Stream:
    """Numbered datagrams from one host port to another, every 5 ms, by a thread, until `stop`."""

    def __init__(self) -> None:
        self.sent = 0
        self.received: set[int] = set()
        self._out, self._in = _raw("s1-9-x"), _raw("s2-9-x")
        self._in.settimeout(0.5)
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._send), threading.Thread(target=self._receive)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Returns when what was sent last has had its time to arrive."""
        self._ending.set()
        for thread in self._threads:
            thread.join()
        self._out.close()
        self._in.close()

    def _send(self) -> None:
        while not self._ending.wait(0.005):
            self._out.send(_frame(self.sent))
            self.sent += 1

    def _receive(self) -> None:
        while True:
            try:
                frame = self._in.recv(2048)
            except TimeoutError:
                if self._ending.is_set():
                    return
                continue
            if b"carelane-probe" in frame:
                self.received.add(int(frame.rsplit(b":", 1)[1][:9]))


def _raw(interface: str) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sock.bind((interface, 0))
    return sock


def _frame(number: int) -> bytes:
    data = b"carelane-probe:%09d" % number
    udp = struct.pack("!HHHH", 5000, 5000, 8 + len(data), 0) + data
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, *map(socket.inet_aton, ADDRESSES))
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + head[12:]
    return bytes.fromhex("020000000003020000000001") + b"\x08\x00" + head + udp


ADDRESSES = ("10.0.0.1", "10.0.0.3")


@pytest.fixture
def database(postgres: Callable[[str], str]) -> str:
    return postgres("two_controllers")


@pytest.fixture
def start(ovs: Any, database: str, tmp_path: Path) -> Iterator[Callable[[str], Member]]:
    (tmp_path / "pair.yaml").write_text(NETWORK, encoding="utf-8")
    members: list[Member] = []

    def make(name: str) -> Member:
        members.append(Member(name, tmp_path, ovs, database))
        return members[-1]

    for number in (1, 2):
        ovs.add_bridge(f"s{number}", number)
        ovs.vsctl("set-controller", f"s{number}", *(f"tcp:127.0.0.1:{6701 + member}" for member in (0, 1)))
        for row in ovs.vsctl("get", "bridge", f"s{number}", "controller").strip("[]\n ").split(", "):
            ovs.vsctl("set", "controller", row, "connection-mode=out-of-band", "max-backoff=1000")
    ovs.add_wire("s1", 1, "s2", 1)
    for bridge, port in (("s1", 7), ("s1", 8), ("s1", 9), ("s2", 9)):
        ovs.add_veth(bridge, port, f"{bridge}-{port}")
    yield make
    for member in members:
        member.end()


def rules(ovs: Any) -> dict[str, float]:
    """Every rule of slices on both switches with how long it has been there, in seconds."""
    found = {}
    for bridge in ("s1", "s2"):
        for line in ovs.ofctl("dump-flows", bridge).splitlines():
            seen = re.search(r"duration=([0-9.]+)s, ", line)
            if seen is not None and re.search(r"cookie=0xca9e0*[1-9a-f]", line):
                found[bridge + re.sub(r"duration=\S+|n_packets=\S+|n_bytes=\S+", "", line)] = float(seen[1])
    return found


def roles(ovs: Any) -> dict[int, list[str]]:
    """Roles by controller's port, one for each switch that knows it."""
    text = ovs.vsctl("--format=json", "--columns=target,role", "list", "controller")
    found: dict[int, list[str]] = {}
    for target, role in json.loads(text)["data"]:
        found.setdefault(int(target.rpartition(":")[2]), []).append(str(role))
    return found


def test_a_killed_leader_is_succeeded_and_a_stopped_one_does_no_harm_when_it_wakes(
    ovs: Any, start: Callable[[str], Member]
) -> None:
    with ThreadPoolExecutor() as pool:
        a, b = sorted(pool.map(start, MEMBERS), key=lambda member: not member.leads())
    assert a.ready.rstrip().endswith(", leader, topology pair")
    assert b.ready.rstrip().endswith(", follower, topology pair")
    assert a.file("surgery", "or")[0] == 200
    until(lambda: a.phase("surgery") == "Active" and a.sees_all() and b.sees_all())
    until(lambda: roles(ovs) == {a.openflow: ["master"] * 2, b.openflow: ["slave"] * 2})

    # A follower reads, changes nothing, and says who does.
    assert b.phase("surgery") == "Active"
    status, problem = b.file("refused", "clinic")
    assert (status, problem["type"], problem["leader"]) == (503, "urn:carelane:problem:not-leader", a.url)
    assert b.call("GET", "/leaderz")[1]["leader"] == a.url

    with _stream() as stream:
        until(lambda: len(stream.received) > 20)
        before, began = rules(ovs), time.monotonic()
        a.process.kill()
        killed = time.monotonic()
        until(lambda: b.file("meeting", "clinic")[0] == 200)
        taken = time.monotonic() - killed
        until(lambda: b.phase("meeting") == "Active")
        active = time.monotonic() - killed
        print(f"after the kill: an intent taken after {taken:.2f} s, active after {active:.2f} s")  # noqa: T201
        until(lambda: b.call("POST", "/v1/diff", b"")[1]["switches"] == [])
        after, lasted = rules(ovs), time.monotonic() - began
    assert before
    assert {rule: after[rule] >= age + lasted - 1 for rule, age in before.items()} == dict.fromkeys(before, True)
    assert len(after) > len(before)
    assert stream.received == set(range(stream.sent)), "packets were lost"
    assert b.phase("surgery") == "Active"

    # The other way round: the leader is stopped, succeeded, and wakes up believing that it leads.
    a = start(a.name)
    until(lambda: a.sees_all())
    b.process.send_signal(signal.SIGSTOP)
    until(lambda: a.leads())
    assert a.file("imaging", "ward")[1]["intents"][0]["admitted"]
    until(lambda: a.phase("imaging") == "Active")
    settled = rules(ovs)
    b.process.send_signal(signal.SIGCONT)
    until(lambda: b.file("late", "clinic")[0] == 503)
    until(lambda: b.call("GET", "/leaderz")[1].get("leader") == a.url and b.sees_all())
    until(lambda: roles(ovs) == {a.openflow: ["master"] * 2, b.openflow: ["slave"] * 2})
    assert a.call("GET", "/v1/intents/late")[0] == 404
    assert rules(ovs).keys() == settled.keys()
    assert {a.phase(name) for name in ("surgery", "meeting", "imaging")} == {"Active"}


@contextmanager
def _stream() -> Iterator[Stream]:
    stream = Stream()
    try:
        yield stream
    finally:
        stream.stop()


def test_switches_and_their_database_obey_the_newest_leader_only(ovs: Any) -> None:
    """Without any clock or lease: what a former leader sends late is refused where it arrives."""
    network = Topology("test", {"s1": Node("s1", 1)}, {}, {}, {})
    doubts: list[int] = []
    southbound = OpenFlowSouthbound(network, port=0, ovsdb=ovs.ovsdb, tc_reader=lambda _: ())
    southbound.on_doubt(lambda: doubts.append(1))
    southbound.lead(5, lambda: True)
    southbound.start()
    newer = Ovsdb(ovs.ovsdb, tc_reader=lambda _: ())
    try:
        with socket.create_server(("127.0.0.1", 0)) as door:
            ovs.add_bridge("s1", 1)
            ovs.add_veth("s1", 1, "v1")
            ovs.vsctl(
                "set-controller", "s1", *(f"tcp:127.0.0.1:{port}" for port in (southbound.port, door.getsockname()[1]))
            )
            until(lambda: southbound.statuses()["s1"].ports_up.get(1, False))
            rule = FlowRule(0, 7, Match(in_port=1), (Output(1),), COOKIE_OWNER << 48 | 7)
            southbound.apply(SwitchChanges("s1", 1, (Operation("add", rule),)))
            successor, _ = door.accept()
            with successor:
                _become_master(successor, generation=6)
                late = FlowRule(0, 8, Match(in_port=1), (Output(1),), COOKIE_OWNER << 48 | 7)
                with pytest.raises(SwitchUnreachable, match="newer leader"):
                    southbound.apply(SwitchChanges("s1", 1, (Operation("add", late),)))
                assert doubts
                newer.claim(6)
                queues = PortQos(1, 10_000_000, (Queue(0, 1_000_000, 10_000_000, 12_000, 7, ""),))
                with pytest.raises(SwitchUnreachable, match="newer leader"):
                    southbound._ovsdb.apply(1, [Operation("add", queues)])  # type: ignore[union-attr]
                assert southbound.read("s1").own.flows == (rule,)
                assert newer.read(1).own == ()
                newer.apply(1, [Operation("add", queues)])
                # Nor does claiming the same again help: the switch does not let it in any more.
                southbound.lead(5, lambda: True)
                until(lambda: not southbound.statuses()["s1"].connected)
                southbound.lead(7, lambda: True)
                until(lambda: southbound.statuses()["s1"].connected)
                southbound.apply(SwitchChanges("s1", 1, (Operation("add", late),)))
                southbound.follow(7)
                with pytest.raises(NotLeader):
                    southbound.apply(SwitchChanges("s1", 1, (Operation("delete", late),)))
                southbound.alone()
                southbound.apply(SwitchChanges("s1", 1, (Operation("delete", late),)))
                assert southbound.read("s1").own.flows == (rule,)
    finally:
        newer.close()
        southbound.stop()


def _become_master(sock: socket.socket, *, generation: int) -> None:
    """OpenFlow 1.3.5, section 7.3.9, by hand: hello, role request, and what comes until the reply."""
    sock.settimeout(20)
    sock.sendall(struct.pack("!BBHI", 4, 0, 8, 1) + struct.pack("!BBHII4xQ", 4, 24, 24, 2, 2, generation))
    while True:
        version, kind, length, _ = struct.unpack("!BBHI", _exactly(sock, 8))
        _exactly(sock, length - 8)
        assert kind != 1, "the switch answered with an error"
        if (version, kind) == (4, 25):
            return


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        assert part, "the switch closed the connection"
        data += part
    return data
