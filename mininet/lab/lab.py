"""The lab's public face: open one, build a network, send traffic, break wires, collect every sample.

    with Lab.open(say=print) as lab:
        lab.build(network)
        lab.start(plan)
        lab.cut("l1", silent=True)
        samples = lab.collect()

The controller is not part of the lab: `spawn` starts it (or anything else) inside the cell, where the switches reach
it at `openflow_listen` and it reaches their databases at `ovsdb_target`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

from carelane.lab.cell import WORK, Cell, CellProcess
from carelane.lab.failures import LabError
from carelane.lab.network import LabNetwork
from carelane.lab.protocol import (
    AGENT_PORT,
    CELL_ADDRESS,
    GUEST_ADDRESS,
    OPENFLOW_PORT,
    OVSDB_PORT,
    LabProtocolError,
    LineReader,
    encode,
    own_ovsdb_port,
)
from carelane.lab.samples import RunSamples, load_run
from carelane.lab.substrate import CONSOLE, Substrate, SubstrateName, boot, choose
from carelane.lab.traffic.plan import TrafficPlan

__all__ = ["Lab"]

_BOOT_TIMEOUT_S = 60.0
_ANSWER_TIMEOUT_S = 120.0
_BUILD_TIMEOUT_S = 600.0
# A TCP transfer may outlast its plan; after this the run is ended and what arrived is what counts.
_OVERTIME_S = 60.0

T = TypeVar("T")


def _quiet(_: str) -> None:
    """Say nothing."""


class Lab:
    """An open lab; use as a context manager. Everything in it is gone after `close`, or when this process dies."""

    def __init__(self, cell: Cell, substrate: Substrate, agent: CellProcess, say: Callable[[str], None]) -> None:
        self.cell = cell
        self.substrate = substrate
        self.say = say
        self.network: LabNetwork | None = None
        self._agent = agent
        self._socket: socket.socket | None = None
        self._reader = LineReader()
        self._runs = 0
        self._each = False
        self._plan: TrafficPlan | None = None
        self._started = 0.0

    @classmethod
    def open(cls, substrate: SubstrateName | None = None, say: Callable[[str], None] = _quiet) -> Lab:
        """Make the cell, choose and boot the substrate, and wait for the agent. Raises `LabError`."""
        cell = Cell.open()
        try:
            chosen = choose(cell, substrate)
            say(f"lab: substrate {chosen.name} ({chosen.reason})")
            begun = time.monotonic()
            lab = cls(cell, chosen, boot(cell, chosen, say), say)
            lab._connect()
            facts = lab.command("hello")
            say(f"lab: kernel {facts['kernel']} ready after {time.monotonic() - begun:.1f} s")
        except BaseException:
            cell.close()
            raise
        return lab

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the lab and everything in it. Safe to call twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self.cell.close()
        self._agent.wait(10)

    @property
    def ovsdb_target(self) -> str:
        """Where the switches' databases listen, as a program in the cell sees it, in the words of `--ovsdb`."""
        if not self._each:
            return f"tcp:{GUEST_ADDRESS}:{OVSDB_PORT}"
        switches = enumerate(self._network().switches, start=1)
        return ",".join(f"{switch.name}=tcp:{GUEST_ADDRESS}:{own_ovsdb_port(number)}" for number, switch in switches)

    @property
    def openflow_listen(self) -> tuple[str, int]:
        """Where the switches expect their controller: address and port to listen on, inside the cell."""
        return CELL_ADDRESS, OPENFLOW_PORT

    def build(
        self, network: LabNetwork, *, plain: bool = False, controller: bool = True, each: bool = False
    ) -> dict[str, float]:
        """Build and start the network; gives the seconds each step took.

        `plain`: each port is limited to its link's rate by one first-in-first-out queue, as without carelane.
        `controller`: the switches look for a controller at `openflow_listen`; until it answers they forward nothing.
        `each`: every switch has an Open vSwitch of its own (`carelane.lab.agent.places`), where `run` needs its name.
        """
        self.say(
            f"lab: building {len(network.switches)} switches, {len(network.wires)} wires, {len(network.hosts)} hosts"
        )
        begun = time.monotonic()
        answer = self.command(
            "build",
            timeout_s=_BUILD_TIMEOUT_S,
            network=network.to_json(),
            userspace=self.substrate.name == "userspace",
            plain=plain,
            controller=controller,
            each=each,
        )
        self.network, self._each = network, each
        self.say(f"lab: built in {time.monotonic() - begun:.1f} s")
        timings: dict[str, float] = answer["timings_s"]
        return timings

    def clock_ns(self) -> int:
        """The time in ns that samples are stamped with."""
        return int(self.command("clock"))

    def cut(self, wire: str, *, silent: bool = False) -> None:
        """Fail a wire: both ends lose carrier, or, `silent`, packets vanish while carrier stays."""
        self.command("cut", wire=wire, silent=silent)

    def restore(self, wire: str) -> None:
        """Undo `cut`."""
        self.command("restore", wire=wire)

    def run(
        self, argv: Sequence[str], *, stdin: str | None = None, host: str | None = None, switch: str | None = None
    ) -> str:
        """Run a diagnostic (ovs-ofctl, ovs-vsctl, tc, ip, ping...) beside the switches, a switch, or inside a host."""
        out: str = self.command("run", argv=list(argv), stdin=stdin, host=host, switch=switch)
        return out

    def add_flows(self, switch: str, flows: Sequence[str]) -> None:
        """Add flows, in ovs-ofctl's words, to a switch that has no controller of its own to do it."""
        bridge = self._network().bridge(switch)
        self.run(
            ["ovs-ofctl", "-O", "OpenFlow13", "add-flows", bridge, "-"], stdin="\n".join(flows) + "\n", switch=switch
        )

    def ping(self, source: str, target: str) -> bool:
        """Whether a host reaches another."""
        return bool(self.command("ping", source=source, target=target))

    def start(self, plan: TrafficPlan) -> int:
        """Start traffic, with a noise probe beside it; gives `clock_ns` of its first packet, about a second on."""
        network = self._network()
        for flow in plan.flows:
            for host in (flow.source, flow.target, *filter(None, [flow.claims])):
                network.host(host)  # an unknown one is refused here, with its name
        self._runs += 1
        started = self.command("traffic_start", run_id=f"run{self._runs}", plan=plan.to_json())
        self._plan, self._started = plan, time.monotonic()
        return int(started["start_ns"])

    def collect(self, *, early: bool = False) -> RunSamples:
        """Wait for the traffic to end (or end it `early`) and give every sample of every measured flow."""
        if self._plan is None:
            raise LabError("no traffic was started")
        plan = self._plan
        limit = self._started + plan.duration_s + _OVERTIME_S
        if not early:
            # Asking would cost the one processor of the lab kernel, in the middle of the measurement.
            time.sleep(max(0.0, self._started + plan.duration_s - time.monotonic()))
        while not early and not self.command("traffic_status")["finished"] and time.monotonic() < limit:
            time.sleep(0.5)
        summary = self.command("traffic_stop")
        self._plan = None
        return load_run(self.cell.path(f"{WORK}/runs/run{self._runs}"), plan, summary)

    def spawn(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
        nice: int = 0,
    ) -> CellProcess:
        """Start a host program inside the cell, on the host's kernel and files: a controller, a command line."""
        return self.cell.spawn(argv, env=env, cwd=cwd, stdout=stdout, stderr=stderr, nice=nice)

    def inside(self, work: Callable[[], T]) -> T:
        """Run a function in the cell's network (a thread of its own), for example an HTTP request to the controller."""
        return self.cell.call(work)

    def console(self) -> str:
        """What the lab kernel and the agent printed; the place to look when something went wrong."""
        return self.cell.path(CONSOLE).read_text(errors="replace")

    def command(self, op: str, *, timeout_s: float = _ANSWER_TIMEOUT_S, **arguments: Any) -> Any:
        """Send one command to the agent and give its result. Raises `LabError` with the agent's words."""
        if self._socket is None:
            raise LabError("the lab is closed")
        try:
            self._socket.settimeout(timeout_s)
            self._socket.sendall(encode({"op": op, "args": arguments}))
            answer = self._answer()
        except (OSError, LabProtocolError) as error:
            raise LabError(f"the lab did not answer {op!r}: {error}; console: {self.console()[-2000:]}") from error
        if not answer.get("ok"):
            raise LabError(f"lab, {op}: {answer.get('error')}")
        return answer.get("result")

    def _answer(self) -> dict[str, Any]:
        assert self._socket is not None
        while data := self._socket.recv(65536):
            for message in self._reader.feed(data):
                return message
        raise ConnectionError("it closed the connection")

    def _connect(self) -> None:
        deadline = time.monotonic() + _BOOT_TIMEOUT_S
        while True:
            if self._agent.poll() is not None:
                raise LabError(f"the {self.substrate.name} substrate ended at once: {self.console()[-2000:]}")
            try:
                self._socket = self.cell.connect(GUEST_ADDRESS, AGENT_PORT, timeout_s=2.0)
            except OSError as error:
                if time.monotonic() > deadline:
                    raise LabError(f"the lab did not boot: {error}; console: {self.console()[-2000:]}") from error
                time.sleep(0.1)
            else:
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return

    def _network(self) -> LabNetwork:
        if self.network is None:
            raise LabError("build a network first")
        return self.network
