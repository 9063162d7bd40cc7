"""Wires between switches: propagation delay and both kinds of failure, without touching the switches' own ports.

Open vSwitch owns the root and ingress queueing disciplines of its ports and removes an ingress one that it did not
make, so the delay cannot live there. A wire is therefore two veth pairs whose inner ends sit in a namespace of their
own, joined by redirection, with netem on each inner end:

    s1-eth2 === w0a  (netns carelane-wires)  w0b === s2-eth1

Taking both inner ends down drops carrier on both switches. Removing the redirection loses every packet while carrier
stays: a silent failure, which only BFD or a probe sees.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections import defaultdict
from collections.abc import Sequence

from carelane.lab._netns import run_in_netns
from carelane.lab.agent.commands import ip_batch, run, tc_batch
from carelane.lab.agent.places import Places
from carelane.lab.failures import LabError
from carelane.lab.network import LabNetwork, LabWire

__all__ = ["CORE_MTU", "Wires"]

# A labelled full-size packet (1500 + 14 + labels) is dropped silently on a 1500-byte port.
CORE_MTU = 1600
_NAMESPACE = "carelane-wires"
_NETEM_LIMIT = 100000  # packets in flight; must never be what drops them
_SIOCSIFFLAGS = 0x8914  # linux/sockios.h
_IFF_UP = 1  # linux/if.h


class Wires:
    """All wires of one lab. `delay` is False on a kernel without netem."""

    def __init__(self, *, delay: bool) -> None:
        self.have_delay = delay
        self._numbers: dict[str, int] = {}
        self._cut: dict[str, bool] = {}
        run(["ip", "netns", "add", _NAMESPACE])
        self._netns = os.open(f"/run/netns/{_NAMESPACE}", os.O_RDONLY | os.O_CLOEXEC)
        ip_batch(["link set lo up"], netns=self._netns)
        self._inside = run_in_netns(self._netns, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

    def build(self, network: LabNetwork, places: Places) -> None:
        """Make every wire; the outer ends stay down until the switches take them."""

        def end(switch: str, port: int) -> tuple[str, int | None]:
            return network.interface(switch, port), places.of(network.bridge(switch)).netns

        self.make([(wire, end(wire.a, wire.a_port), end(wire.b, wire.b_port)) for wire in network.wires])

    def make(self, ends: Sequence[tuple[LabWire, tuple[str, int | None], tuple[str, int | None]]]) -> None:
        """Make wires between outer interfaces: the name of each, and the namespace it is in (None: the lab's own)."""
        outer: dict[int | None, list[str]] = defaultdict(list)
        inner: list[str] = []
        control: list[str] = []
        for wire, end_a, end_b in ends:
            number = len(self._numbers)
            self._numbers[wire.id] = number
            for (end, netns), side in ((end_a, "a"), (end_b, "b")):
                name = f"w{number}{side}"
                outer[netns] += [
                    f"link add {end} mtu {CORE_MTU} type veth peer name {name} mtu {CORE_MTU} netns {_NAMESPACE}",
                    f"link set {end} up",
                ]
                inner.append(f"link set {name} up")
                control.append(f"qdisc add dev {name} clsact")
                if self.have_delay:
                    control.append(
                        f"qdisc add dev {name} root netem delay {round(wire.delay_s * 1e6)}us limit {_NETEM_LIMIT}"
                    )
            control += _redirect("add", number)
        for netns, lines in outer.items():
            ip_batch(lines, netns=netns)
        ip_batch(inner, netns=self._netns)
        tc_batch(control, netns=self._netns)

    def cut(self, wire_id: str, *, silent: bool) -> None:
        """Fail a wire; it stays failed until `restore`."""
        number = self._number(wire_id)
        if wire_id in self._cut:
            raise LabError(f"wire {wire_id} is cut already")
        self._cut[wire_id] = silent
        if silent:
            tc_batch(_redirect("del", number), netns=self._netns)
        else:
            self._set_flags(number, 0)

    def restore(self, wire_id: str) -> None:
        """Undo a cut."""
        number = self._number(wire_id)
        if wire_id not in self._cut:
            raise LabError(f"wire {wire_id} is not cut")
        if self._cut.pop(wire_id):
            tc_batch(_redirect("add", number), netns=self._netns)
        else:
            self._set_flags(number, _IFF_UP)

    def _set_flags(self, number: int, flags: int) -> None:
        """Both inner ends, a fraction of a millisecond apart: a program to do it takes 50 ms, and counts as outage."""
        for side in "ab":
            fcntl.ioctl(self._inside, _SIOCSIFFLAGS, struct.pack("16sh14x", f"w{number}{side}".encode(), flags))

    def _number(self, wire_id: str) -> int:
        number = self._numbers.get(wire_id)
        if number is None:
            raise LabError(f"no wire {wire_id!r}")
        return number


def _redirect(verb: str, number: int) -> list[str]:
    # u32 matching nothing in particular, not matchall: kernels without matchall still have u32.
    lines: list[str] = []
    for here, there in (("a", "b"), ("b", "a")):
        filter_spec = f"filter {verb} dev w{number}{here} ingress protocol all prio 1"
        action = f" u32 match u32 0 0 action mirred egress redirect dev w{number}{there}"
        lines.append(filter_spec + (action if verb == "add" else ""))
    return lines
