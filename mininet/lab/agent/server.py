"""Answers the lab's commands, one line of JSON each, over TCP; one client at a time, requests in order."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from carelane.errors import CarelaneError
from carelane.lab.agent.builder import BuildOptions, BuiltNetwork, build
from carelane.lab.agent.commands import run
from carelane.lab.agent.daemons import ahead_of_switches, prefer_packets, raise_daemon
from carelane.lab.agent.noise import NoisePath
from carelane.lab.agent.traffic import TrafficRun
from carelane.lab.agent.wires import Wires
from carelane.lab.failures import LabError
from carelane.lab.network import LabNetwork
from carelane.lab.protocol import AGENT_PORT, GUEST_ADDRESS, LabProtocolError, LineReader, encode

__all__ = ["Agent", "serve"]

# Programs the lab may run beside the switches: all of them look or configure, none is a shell.
_PROGRAMS = frozenset(
    ["ovs-ofctl", "ovs-vsctl", "ovs-appctl", "ovs-dpctl", "tc", "ip", "ethtool", "ping", "cat", "ps", "sysctl"]
)
_MAX_OUTPUT = 4 * 1024 * 1024


class Agent:
    """The commands, by name. Every method takes plain JSON values and gives plain JSON values."""

    def __init__(self) -> None:
        self._built: BuiltNetwork | None = None
        self._noise: NoisePath | None = None
        self._traffic: TrafficRun | None = None
        self._userspace = False
        self._own_kernel = _is_user_mode_linux()
        self._commands: dict[str, Callable[..., Any]] = {
            "hello": self.hello,
            "clock": self.clock,
            "build": self.build,
            "cut": self.cut,
            "restore": self.restore,
            "run": self.run,
            "ping": self.ping,
            "traffic_start": self.traffic_start,
            "traffic_status": self.traffic_status,
            "traffic_stop": self.traffic_stop,
        }

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out one request; errors become answers, so one bad request cannot end the lab."""
        command = self._commands.get(str(request.get("op")))
        arguments = request.get("args", {})
        if command is None or not isinstance(arguments, dict):
            return {"ok": False, "error": f"no command {request.get('op')!r}; have {', '.join(sorted(self._commands))}"}
        try:
            return {"ok": True, "result": command(**arguments)}
        except (CarelaneError, OSError, subprocess.SubprocessError, TypeError, ValueError) as error:
            return {"ok": False, "error": str(error) or type(error).__name__}

    def hello(self) -> dict[str, Any]:
        """Who answers: kernel release, Python version, whether the kernel is the lab's own."""
        return {"kernel": platform.release(), "python": platform.python_version(), "own_kernel": self._own_kernel}

    def clock(self) -> int:
        """CLOCK_REALTIME in ns, as the senders and receivers read it; a lab kernel's own may differ from the host's."""
        return time.clock_gettime_ns(time.CLOCK_REALTIME)

    def build(
        self, network: dict[str, Any], userspace: bool, plain: bool, controller: bool, each: bool
    ) -> dict[str, Any]:
        if self._built is not None:
            raise LabError("the network is built already; open another lab for another network")
        if self._own_kernel:
            prefer_packets()
        wires = Wires(delay=not userspace)
        self._userspace = userspace
        options = BuildOptions(userspace, plain, controller, each)
        self._built = build(LabNetwork.from_json(network), wires, options)
        self._noise = NoisePath(wires)
        return {"timings_s": self._built.timings_s}

    def cut(self, wire: str, silent: bool) -> None:
        wires = self._network().wires
        with ahead_of_switches(own_kernel=self._own_kernel):
            wires.cut(wire, silent=silent)

    def restore(self, wire: str) -> None:
        wires = self._network().wires
        with ahead_of_switches(own_kernel=self._own_kernel):
            wires.restore(wire)

    def run(self, argv: list[str], stdin: str | None = None, host: str | None = None, switch: str | None = None) -> str:
        """Run one of the allowed programs: inside a host, or where a switch lives, when named."""
        if not argv or argv[0] not in _PROGRAMS:
            raise LabError(f"{argv[:1]} is not one of {', '.join(sorted(_PROGRAMS))}")
        words = [str(word) for word in argv]
        if switch is not None:
            place = self._network().place(switch)
            out = run(words, text=stdin, netns=place.netns, environment=place.environment)
        else:
            out = run(words, text=stdin, netns=None if host is None else self._network().netns(host))
        if len(out) > _MAX_OUTPUT:
            raise LabError(f"{' '.join(argv)} printed {len(out)} characters; at most {_MAX_OUTPUT} are passed on")
        return out

    def ping(self, source: str, target: str) -> bool:
        """Whether `target` answers `source` within a second, three tries."""
        built = self._network()
        argv = ["ping", "-c", "1", "-W", "1", "-q", built.network.host(target).ip]
        for _ in range(3):
            try:
                run(argv, netns=built.netns(source))
            except LabError:
                continue
            return True
        return False

    def traffic_start(self, run_id: str, plan: dict[str, Any]) -> dict[str, Any]:
        if self._traffic is not None:
            raise LabError("traffic is running already; collect it first")
        built = self._network()
        assert self._noise is not None
        for place in built.places.all:
            raise_daemon(place, userspace=self._userspace)
        self._traffic = TrafficRun.start(built, run_id, plan, self._noise)
        return {"start_ns": self._traffic.start_ns}

    def traffic_status(self) -> dict[str, Any]:
        return {"finished": self._running().finished()}

    def traffic_stop(self) -> dict[str, Any]:
        """End the senders if they still run, let the last packets arrive, and give the summaries."""
        summary = self._running().stop()
        self._traffic = None
        return summary

    def _network(self) -> BuiltNetwork:
        if self._built is None:
            raise LabError("build a network first")
        return self._built

    def _running(self) -> TrafficRun:
        if self._traffic is None:
            raise LabError("no traffic was started")
        return self._traffic


def _is_user_mode_linux() -> bool:
    return "User Mode Linux" in Path("/proc/cpuinfo").read_text(errors="replace")


def serve() -> None:
    """Listen and obey until the lab ends; never returns by itself."""
    os.chdir("/")
    listener = socket.create_server((GUEST_ADDRESS, AGENT_PORT), backlog=1)
    agent = Agent()
    while True:
        client, _ = listener.accept()
        with client:
            _converse(client, agent)


def _converse(client: socket.socket, agent: Agent) -> None:
    reader = LineReader()
    try:
        while data := client.recv(65536):
            for request in reader.feed(data):
                client.sendall(_bounded(agent.handle(request)))
    except (LabProtocolError, ConnectionError) as error:
        sys.stderr.write(f"client dropped: {error}\n")


def _bounded(answer: dict[str, Any]) -> bytes:
    try:
        return encode(answer)
    except LabProtocolError as error:
        return encode({"ok": False, "error": str(error)})
