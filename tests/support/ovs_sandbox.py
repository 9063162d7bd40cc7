"""A private Open vSwitch in namespaces of its own, which die with the process that made them.

The keeper (`cat`, process 1 of the PID namespace) ends when its standard input closes, however its maker ends, and
the kernel then kills every process and removes every interface in there. OVS uses the userspace datapath
(`datapath_type=netdev`) with files in a temporary directory, so that nothing is shared with the system's own.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from carelane.topology.model import Topology

__all__ = ["OvsSandbox", "why_not"]

_CLONE_NEWNET = 0x40000000
_SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
_LIBC = ctypes.CDLL(None, use_errno=True)


def why_not() -> str | None:
    """The reason why a sandbox cannot be had here, or None."""
    if os.geteuid() != 0:
        return "needs root for namespaces"
    missing = [
        tool
        for tool in ("ovs-vswitchd", "ovsdb-server", "ovs-ofctl", "unshare", "nsenter", "tc")
        if shutil.which(tool) is None
    ]
    if missing or not _SCHEMA.exists():
        return f"needs Open vSwitch and iproute2: {', '.join(missing) or _SCHEMA} not found"
    return None


class OvsSandbox:
    """Use as a context manager. `entered` puts the calling thread, and threads it starts, into its network."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="carelane-ovs-"))
        self._keeper: subprocess.Popen[bytes] | None = None
        self._inside = 0

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def ovsdb(self) -> str:
        return f"unix:{self._directory / 'db.sock'}"

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        with Path("/proc/self/ns/net").open() as before, Path(f"/proc/{self._inside}/ns/net").open() as inside:
            _setns(inside.fileno())
            try:
                yield
            finally:
                _setns(before.fileno())

    def close(self) -> None:
        if self._keeper is not None:
            assert self._keeper.stdin is not None
            self._keeper.stdin.close()
            try:
                self._keeper.wait(10)
            except subprocess.TimeoutExpired:
                self._keeper.kill()
                self._keeper.wait()
            self._keeper = None
        shutil.rmtree(self._directory, ignore_errors=True)

    def run(self, *command: str) -> str:
        """Run a command inside and return what it printed; raises on failure with what it said."""
        done = subprocess.run(
            ["nsenter", "-t", str(self._inside), "-n", "-p", "-m", *command],
            capture_output=True,
            text=True,
            timeout=60,
            env=self._environment,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
        return done.stdout

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "OVS_RUNDIR": str(self._directory)}

    def vsctl(self, *arguments: str) -> str:
        return self.run("ovs-vsctl", f"--db={self.ovsdb}", "--timeout=20", *arguments)

    def ofctl(self, command: str, bridge: str, *arguments: str) -> str:
        return self.run("ovs-ofctl", "-O", "OpenFlow13", command, self.management(bridge), *arguments)

    @contextlib.contextmanager
    def snooped(self, bridge: str) -> Iterator[Callable[[], str]]:
        """What the bridge and its controllers say to each other meanwhile, as `ovs-ofctl` prints it."""
        file = self._directory / f"{bridge}.heard"
        command = ["nsenter", "-t", str(self._inside), "-n", "-p", "-m", "ovs-ofctl", "-O", "OpenFlow13", "snoop"]
        with file.open("wb") as sink:
            listener = subprocess.Popen(
                [*command, f"unix:{self._directory / f'{bridge}.snoop'}"],
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=self._environment,
            )
        try:
            while "OFPT_" not in file.read_text():  # a controller that is connected says something now and then
                assert listener.poll() is None, file.read_text()
                time.sleep(0.01)
            yield file.read_text
        finally:
            listener.kill()
            listener.wait()

    def management(self, bridge: str) -> str:
        return f"unix:{self._directory / f'{bridge}.mgmt'}"

    def add_bridge(self, name: str, dpid: int, *, controller_port: int | None = None) -> None:
        """A switch that stays empty until told otherwise (fail-mode secure, no in-band flows)."""
        self.vsctl(
            *("add-br", name, "--", "set", "bridge", name, "datapath_type=netdev", "protocols=OpenFlow13"),
            *("fail-mode=secure", f"other-config:datapath-id={dpid:016x}", "other-config:disable-in-band=true"),
        )
        if controller_port is not None:
            self.vsctl("set-controller", name, f"tcp:127.0.0.1:{controller_port}")
            self.vsctl("set", "controller", name, "connection-mode=out-of-band", "max-backoff=1000")

    def add_network(self, topology: Topology, *, controller_port: int) -> None:
        """Every switch, link and endpoint of a topology; the host's end of an endpoint is {node}-{port}-x."""
        for node in topology.nodes.values():
            self.add_bridge(node.id, node.dpid, controller_port=controller_port)
        for link in topology.links.values():
            self.add_wire(link.a, link.a_port, link.b, link.b_port)
        for end in topology.endpoints.values():
            self.add_veth(end.node, end.port, f"{end.node}-{end.port}")

    def add_veth(self, bridge: str, port: int, name: str) -> None:
        """A port that is one end of a veth pair; the other end is `name`-x."""
        self.run("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}-x")
        self.run("ip", "link", "set", name, "up")
        self.run("ip", "link", "set", f"{name}-x", "up")
        self.vsctl("add-port", bridge, name, "--", "set", "interface", name, f"ofport_request={port}")

    def add_patch(self, a: str, a_port: int, b: str, b_port: int) -> None:
        """A link between two switches."""
        near, far = f"{a}p{a_port}", f"{b}p{b_port}"
        for bridge, name, peer, port in ((a, near, far, a_port), (b, far, near, b_port)):
            self.vsctl(
                *("add-port", bridge, name, "--", "set", "interface", name, "type=patch"),
                *(f"options:peer={peer}", f"ofport_request={port}"),
            )

    def add_wire(self, a: str, a_port: int, b: str, b_port: int) -> None:
        """A link between two switches that the kernel can shape: a veth pair."""
        near, far = f"{a}-{a_port}", f"{b}-{b_port}"
        self.run("ip", "link", "add", near, "type", "veth", "peer", "name", far)
        for bridge, name, port in ((a, near, a_port), (b, far, b_port)):
            self.run("ip", "link", "set", name, "up")
            self.vsctl("add-port", bridge, name, "--", "set", "interface", name, f"ofport_request={port}")

    def signal(self, daemon: str, name: str) -> None:
        """Send a signal, such as STOP, to ovs-vswitchd or ovsdb-server."""
        self.run("kill", f"-{name}", (self._directory / f"{daemon}.pid").read_text().strip())

    def kill(self, daemon: str) -> None:
        self.signal(daemon, "KILL")
        (self._directory / f"{daemon}.pid").unlink()

    def start_ovsdb_server(self) -> None:
        socket = self._directory / "db.sock"
        socket.unlink(missing_ok=True)
        self._daemon(
            *("ovsdb-server", str(self._directory / "conf.db"), f"--remote=punix:{socket}"),
            "--remote=db:Open_vSwitch,Open_vSwitch,manager_options",
            "--private-key=db:Open_vSwitch,SSL,private_key",
            *("--certificate=db:Open_vSwitch,SSL,certificate", "--ca-cert=db:Open_vSwitch,SSL,ca_cert"),
        )

    def start_vswitchd(self) -> None:
        self._daemon("ovs-vswitchd", self.ovsdb)

    def _start(self) -> None:
        self._keeper = subprocess.Popen(
            ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child", "cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        children = Path(f"/proc/{self._keeper.pid}/task/{self._keeper.pid}/children")
        deadline = time.monotonic() + 10
        while not (found := children.read_text().split()) or _command(int(found[0])) != "cat":
            if time.monotonic() > deadline:
                raise TimeoutError("unshare did not start its child")
            time.sleep(0.005)
        self._inside = int(found[0])
        self.run("ip", "link", "set", "lo", "up")
        subprocess.run(["ovsdb-tool", "create", str(self._directory / "conf.db"), str(_SCHEMA)], check=True)
        self.start_ovsdb_server()
        self.vsctl("--no-wait", "init")
        self.vsctl(
            *("--no-wait", "set", "Open_vSwitch", "."),
            *("other-config:n-handler-threads=1", "other-config:n-revalidator-threads=1"),
        )
        self.start_vswitchd()

    def _daemon(self, name: str, *arguments: str) -> None:
        self.run(
            *(name, *arguments, f"--pidfile={self._directory / name}.pid", "--detach", "--no-chdir"),
            *(f"--unixctl={self._directory / name}.ctl", f"--log-file={self._directory / name}.log", "-vconsole:off"),
        )


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def _setns(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
