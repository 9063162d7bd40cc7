"""Builds the declared network with Mininet: hosts and switches are Mininet's, wires are ours, commands are batched."""

from __future__ import annotations

import os
import shlex
import time
from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from carelane.lab.agent.commands import ip_batch, run, vsctl
from carelane.lab.agent.daemons import start_database, start_switch_daemon
from carelane.lab.agent.mininet_api import load
from carelane.lab.agent.places import Place, Places
from carelane.lab.agent.wires import Wires
from carelane.lab.failures import LabError
from carelane.lab.network import ENDPOINT_ID, LINK_ID, NODE_ID, LabNetwork
from carelane.lab.protocol import CONTROLLER

__all__ = ["BuildOptions", "BuiltNetwork", "build"]

_HOST_MTU = 1500


class BuiltNetwork:
    """A running network: hosts' namespaces by name, wires to cut, and how long each step of the build took."""

    def __init__(
        self, network: LabNetwork, wires: Wires, mininet: Any, places: Places, timings_s: dict[str, float]
    ) -> None:
        self.network = network
        self.places = places
        self.wires = wires
        self.timings_s = timings_s
        self._mininet = mininet
        self._namespaces = {
            host.name: os.open(f"/proc/{mininet.get(network.node(host.name)).pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            for host in network.hosts
        }

    def netns(self, host: str) -> int:
        """A descriptor of a host's network namespace. Raises `LabError` for an unknown host."""
        if host not in self._namespaces:
            raise LabError(f"no host {host!r}")
        return self._namespaces[host]

    def place(self, switch: str) -> Place:
        """Where a switch lives. Raises `InputError` for an unknown switch."""
        return self.places.of(self.network.bridge(switch))

    def host_pid(self, host: str) -> int:
        """The process that holds a host's namespace open."""
        return int(self._mininet.get(self.network.node(host)).pid)


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """See `carelane.lab.lab.Lab.build`."""

    userspace: bool
    plain: bool
    controller: bool
    each: bool


def build(network: LabNetwork, wires: Wires, options: BuildOptions) -> BuiltNetwork:
    """Build and start everything. Raises `LabError`."""
    steps: dict[str, float] = {}
    clock = time.monotonic()

    def step(name: str) -> None:
        nonlocal clock
        steps[name], clock = time.monotonic() - clock, time.monotonic()

    places = Places(network, each=options.each)
    for place in places.all:
        start_database(place)
    step("databases")
    mininet = _nodes(network, userspace=options.userspace)
    step("nodes")
    wires.build(network, places)
    _pairs(network, mininet, places)
    step("links")
    for place in places.all:
        start_switch_daemon(place, userspace=options.userspace)
    step("daemons")
    _attach(network, mininet)
    _start_switches(mininet, places)
    step("switches")
    for place in places.all:
        vsctl(_labels(network, place, controller=options.controller), environment=place.environment)
        if options.plain:
            vsctl(_plain_queues(network, place), environment=place.environment)
    step("labels")
    built = BuiltNetwork(network, wires, mininet, places, steps)
    _configure_hosts(built, userspace=options.userspace)
    step("hosts")
    return built


def _nodes(network: LabNetwork, *, userspace: bool) -> Any:
    net_module, node_module = load("net"), load("node")
    # Mininet's own initialisation raises system-wide limits (sysctl) that outlive the lab; these sizes need none.
    net_module.Mininet.inited = True
    # Nor need it look for a database where there is one for all; the version is what it learns there.
    node_module.OVSSwitch.isSetup = True
    node_module.OVSSwitch.OVSVersion = ".".join(run(["ovs-vsctl", "--version"]).split()[3].split(".")[:2])
    mininet = net_module.Mininet(controller=None, switch=node_module.OVSSwitch, build=False)
    for number in range(1, len(network.hosts) + 1):
        # Addresses are set in one batch below; Mininet would start a process for each.
        mininet.addHost(f"h{number}", ip=None)
    for number, switch in enumerate(network.switches, start=1):
        mininet.addSwitch(
            f"s{number}",
            dpid=format(switch.dpid, "016x"),
            datapath="user" if userspace else "kernel",
            protocols="OpenFlow13",
            failMode="secure",
            batch=True,
        )
    return mininet


def _pairs(network: LabNetwork, mininet: Any, places: Places) -> None:
    """One veth pair for each host, created straight into the host's namespace."""
    lines: dict[int | None, list[str]] = defaultdict(list)
    for number, host in enumerate(network.hosts, start=1):
        port = network.interface(host.switch, host.port)
        pid = mininet.get(f"h{number}").pid
        lines[places.of(network.bridge(host.switch)).netns] += [
            f"link add {port} mtu {_HOST_MTU} type veth peer name h{number}-eth0 "
            f"address {host.mac} mtu {_HOST_MTU} netns {pid}",
            f"link set {port} up",
        ]
    for netns, batch in lines.items():
        ip_batch(batch, netns=netns)


def _attach(network: LabNetwork, mininet: Any) -> None:
    """Tell Mininet about the interfaces, so that its switches start with all their ports in one batch."""
    link_module = load("link")

    def stay(*_: object) -> None:
        """The interface is in its namespace already."""

    def attach(node: str, interface: str, port: int) -> Any:
        return link_module.Intf(interface, node=mininet.get(node), port=port, moveIntfFn=stay, up=None)

    for wire in network.wires:
        for switch, port in ((wire.a, wire.a_port), (wire.b, wire.b_port)):
            attach(network.bridge(switch), network.interface(switch, port), port)
    for number, host in enumerate(network.hosts, start=1):
        attach(f"h{number}", f"h{number}-eth0", 0).mac = host.mac
        attach(network.bridge(host.switch), network.interface(host.switch, host.port), host.port)


def _start_switches(mininet: Any, places: Places) -> None:
    """Create Mininet's switches, those of a place in one batch: Mininet itself knows of one database only."""
    mininet.build()
    for place in places.all:
        commands: list[list[str]] = []
        for bridge in place.bridges:
            switch = mininet.get(bridge)
            switch.start([])
            words = shlex.split(" ".join(switch.commands))
            commands += [
                list(command) for dashes, command in groupby(words, key=lambda word: word == "--") if not dashes
            ]
        vsctl(commands, environment=place.environment)


def _labels(network: LabNetwork, place: Place, *, controller: bool) -> list[list[str]]:
    """External-ids that carry the declared names, and the controller of every bridge of a place."""
    commands: list[list[str]] = []
    for declared in network.switches:
        bridge = network.bridge(declared.name)
        if bridge not in place.bridges:
            continue
        commands.append(["set", "Bridge", bridge, f"external_ids:{_pair(NODE_ID, declared.name)}"])
        if controller:
            name = f"@{bridge}"
            commands.append([f"--id={name}", "create", "Controller", *CONTROLLER])
            commands.append(["set", "Bridge", bridge, f"controller={name}"])
    labels = [
        (switch, port, LINK_ID, wire.id)
        for wire in network.wires
        for switch, port in ((wire.a, wire.a_port), (wire.b, wire.b_port))
    ]
    labels += [(host.switch, host.port, ENDPOINT_ID, host.name) for host in network.hosts]
    for switch, port, key, name in labels:
        if network.bridge(switch) in place.bridges:
            commands += _port_label(network.interface(switch, port), key, name)
    return commands


def _port_label(interface: str, key: str, value: str) -> list[list[str]]:
    return [["set", table, interface, f"external_ids:{_pair(key, value)}"] for table in ("Interface", "Port")]


def _pair(key: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{key}"="{escaped}"'


def _plain_queues(network: LabNetwork, place: Place) -> list[list[str]]:
    """Plain forwarding: each port sends at its link's capacity from a single first-in-first-out queue."""
    limits: list[tuple[str, int, int]] = []
    for wire in network.wires:
        limits.append((wire.a, wire.a_port, wire.rate_bps))
        limits.append((wire.b, wire.b_port, wire.rate_bps))
    limits += [(host.switch, host.port, host.rate_bps) for host in network.hosts]
    commands: list[list[str]] = []
    for number, (switch, port, rate_bps) in enumerate(limits):
        if rate_bps and network.bridge(switch) in place.bridges:
            interface = network.interface(switch, port)
            qos, queue = f"@p{number}", f"@q{number}"
            rate = f"other_config:max-rate={rate_bps}"
            commands.append([f"--id={queue}", "create", "Queue", f"other_config:min-rate={rate_bps}", rate])
            commands.append([f"--id={qos}", "create", "QoS", "type=linux-htb", rate, f"queues:0={queue}"])
            commands.append(["set", "Port", interface, f"qos={qos}"])
    return commands


def _configure_hosts(built: BuiltNetwork, *, userspace: bool) -> None:
    """Addresses, a route that makes everything on link, everybody's MAC address, no offloads."""
    hosts = built.network.hosts
    # One "packet" of 64 kB would pass a queue as one; and the userspace datapath does not finish checksums.
    offloads = ["tso", "off", "gso", "off", "gro", "off"] + (["tx", "off"] if userspace else [])
    for number, host in enumerate(hosts, start=1):
        device = f"h{number}-eth0"
        lines = [
            "link set lo up",
            f"address add {host.address} dev {device}",
            f"link set {device} up",
            f"route add default dev {device} src {host.ip}",
        ]
        lines += [
            f"neighbour replace {other.ip} lladdr {other.mac} dev {device} nud permanent"
            for other in hosts
            if other.name != host.name
        ]
        netns = built.netns(host.name)
        ip_batch(lines, netns=netns)
        run(["ethtool", "-K", device, *offloads], netns=netns)
