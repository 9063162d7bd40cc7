"""What the lab builds: switches, wires with delay, hosts. Frozen, and the same after a round trip through JSON.

Names in the emulated network are derived from the order of declaration, as Mininet's are: switch number n is bridge
``s<n>``, its port p is interface ``s<n>-eth<p>``, host number n is ``h<n>`` with ``h<n>-eth0``. Linux allows 15
characters for an interface, so declared names (of any length) travel as Open vSwitch external-ids instead:

    Bridge     carelane:node=<switch name>
    Interface  carelane:link=<wire id>          on both ends of a wire (Port carries the same)
    Interface  carelane:endpoint=<host name>    on the port a host hangs on
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from carelane.errors import InputError

__all__ = ["ENDPOINT_ID", "LINK_ID", "NODE_ID", "LabHost", "LabNetwork", "LabSwitch", "LabWire"]

NODE_ID = "carelane:node"
LINK_ID = "carelane:link"
ENDPOINT_ID = "carelane:endpoint"

# OpenFlow allows 65279 ports; five digits keep "s999-eth65279" within Linux's 15 characters.
_MAX_PORT = 0xFEFF
_MAX_SWITCHES = 999
_MAX_HOSTS = 999
_MAX_DELAY_S = 10.0
_RESERVED = ipaddress.ip_network("10.254.0.0/16")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(frozen=True, slots=True)
class LabSwitch:
    """One Open vSwitch bridge; `dpid` is the OpenFlow datapath id."""

    name: str
    dpid: int


@dataclass(frozen=True, slots=True)
class LabWire:
    """A two-way wire between switch ports: `delay_s` one way, `rate_bps` is used by plain forwarding only.

    Under carelane the controller's queues hold the capacity; the wire itself never drops or paces.
    """

    id: str
    a: str
    a_port: int
    b: str
    b_port: int
    delay_s: float = 0.0
    rate_bps: int = 0


@dataclass(frozen=True, slots=True)
class LabHost:
    """A host on a switch port. `address` is a.b.c.d/len; the subnet is flat: every host is on link for every other.

    `rate_bps` limits the switch's port towards the host in plain forwarding (0: no limit).
    """

    name: str
    switch: str
    port: int
    address: str
    mac: str
    rate_bps: int = 0

    @property
    def ip(self) -> str:
        return self.address.partition("/")[0]


def _bad(field: str, message: str, expected: str) -> InputError:
    return InputError(message, field=field, expected=expected)


@dataclass(frozen=True, slots=True)
class LabNetwork:
    """The whole emulated network. Raises `InputError` on construction when it is not one that can be built."""

    switches: tuple[LabSwitch, ...]
    wires: tuple[LabWire, ...] = ()
    hosts: tuple[LabHost, ...] = ()

    def __post_init__(self) -> None:
        _check_switches(self.switches)
        names = {switch.name for switch in self.switches}
        taken: set[tuple[str, int]] = set()
        _check_unique("wires", "id", [wire.id for wire in self.wires])
        for index, wire in enumerate(self.wires):
            field = f"wires[{index}]"
            _check_port(field, wire.a, wire.a_port, names, taken)
            _check_port(field, wire.b, wire.b_port, names, taken)
            if not 0.0 <= wire.delay_s <= _MAX_DELAY_S:
                raise _bad(f"{field}.delay_s", f"delay {wire.delay_s} s", f"0 to {_MAX_DELAY_S:g} s")
            _check_rate(field, wire.rate_bps)
        _check_hosts(self.hosts, names, taken)

    def bridge(self, switch: str) -> str:
        """The Open vSwitch bridge of a switch."""
        for number, candidate in enumerate(self.switches, start=1):
            if candidate.name == switch:
                return f"s{number}"
        raise InputError(f"no switch {switch!r} in the lab network")

    def interface(self, switch: str, port: int) -> str:
        """The interface that is port `port` of a switch."""
        return f"{self.bridge(switch)}-eth{port}"

    def host(self, name: str) -> LabHost:
        """The host of that name."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise InputError(f"no host {name!r} in the lab network")

    def node(self, host: str) -> str:
        """Mininet's name of a host."""
        for number, candidate in enumerate(self.hosts, start=1):
            if candidate.name == host:
                return f"h{number}"
        raise InputError(f"no host {host!r} in the lab network")

    def wire(self, wire_id: str) -> LabWire:
        """The wire of that id."""
        for wire in self.wires:
            if wire.id == wire_id:
                return wire
        raise InputError(f"no wire {wire_id!r} in the lab network")

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LabNetwork:
        """The inverse of `to_json`. Raises `InputError` on anything else."""
        try:
            return cls(
                switches=tuple(LabSwitch(**entry) for entry in data["switches"]),
                wires=tuple(LabWire(**entry) for entry in data.get("wires", ())),
                hosts=tuple(LabHost(**entry) for entry in data.get("hosts", ())),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"not a lab network: {error}", expected="switches, wires, hosts") from error


def _check_unique(field: str, what: str, values: Iterable[str]) -> None:
    seen: set[str] = set()
    for index, value in enumerate(values):
        if not value or value in seen:
            raise _bad(f"{field}[{index}].{what}", f"{value!r} is empty or used twice", "a unique name")
        seen.add(value)


def _check_switches(switches: tuple[LabSwitch, ...]) -> None:
    if not 1 <= len(switches) <= _MAX_SWITCHES:
        raise _bad("switches", f"{len(switches)} switches", f"1 to {_MAX_SWITCHES}")
    _check_unique("switches", "name", [switch.name for switch in switches])
    _check_unique("switches", "dpid", [format(switch.dpid, "x") for switch in switches])
    for index, switch in enumerate(switches):
        if not 0 < switch.dpid < 2**64:
            raise _bad(f"switches[{index}].dpid", f"dpid {switch.dpid}", "1 to 2^64 - 1")


def _check_port(field: str, switch: str, port: int, names: set[str], taken: set[tuple[str, int]]) -> None:
    if switch not in names:
        raise _bad(field, f"no switch {switch!r}", "a declared switch")
    if not 1 <= port <= _MAX_PORT:
        raise _bad(field, f"port {port} of {switch!r}", f"1 to {_MAX_PORT}")
    if (switch, port) in taken:
        raise _bad(field, f"port {port} of {switch!r} is used twice", "a free port")
    taken.add((switch, port))


def _check_rate(field: str, rate_bps: int) -> None:
    if rate_bps < 0:
        raise _bad(f"{field}.rate_bps", f"rate {rate_bps} bit/s", "0 (no limit) or more")


def _check_hosts(hosts: tuple[LabHost, ...], names: set[str], taken: set[tuple[str, int]]) -> None:
    if len(hosts) > _MAX_HOSTS:
        raise _bad("hosts", f"{len(hosts)} hosts", f"at most {_MAX_HOSTS}")
    _check_unique("hosts", "name", [host.name for host in hosts])
    _check_unique("hosts", "address", [host.ip for host in hosts])
    _check_unique("hosts", "mac", [host.mac for host in hosts])
    for index, host in enumerate(hosts):
        field = f"hosts[{index}]"
        _check_port(field, host.switch, host.port, names, taken)
        _check_rate(field, host.rate_bps)
        if not _MAC.fullmatch(host.mac):
            raise _bad(f"{field}.mac", f"{host.mac!r}", "six lower-case bytes such as 02:00:00:00:00:01")
        try:
            address = ipaddress.IPv4Interface(host.address)
        except ValueError:
            raise _bad(f"{field}.address", f"{host.address!r}", "IPv4 such as 10.1.0.11/32") from None
        if address.ip in _RESERVED:
            raise _bad(f"{field}.address", f"{host.address} is the lab's own link", f"outside {_RESERVED}")
