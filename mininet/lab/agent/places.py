"""Where switches live: all in one Open vSwitch, or each in one of its own, as real switches do.

One ovs-vswitchd for all is cheap to start and enough for most. But it sets up all of its ports anew whenever one of
them loses carrier, and on the userspace datapath no switch forwards meanwhile: what a failure costs is then measured
with the work of switches that did not fail. With `each`, a switch has a network namespace, an ovsdb-server and an
ovs-vswitchd of its own, and reaches the controller over a link that carries nothing else.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from carelane.lab.agent.commands import ip_batch, run
from carelane.lab.network import LabNetwork
from carelane.lab.protocol import CELL_ADDRESS, GUEST_ADDRESS, OVSDB_PORT, own_ovsdb_port, switch_address

__all__ = ["Place", "Places"]

_RUN = "/run/openvswitch"
_ETC = "/etc/openvswitch"


@dataclass(frozen=True, slots=True)
class Place:
    """One Open vSwitch: files, its database's tcp port, its network namespace (None: the lab's own), its bridges."""

    folder: str
    database: str
    ovsdb_port: int
    netns: int | None
    bridges: tuple[str, ...]

    @property
    def environment(self) -> dict[str, str]:
        """What makes Open vSwitch's programs, daemons or not, work on this one."""
        return {"OVS_RUNDIR": self.folder, "OVS_LOGDIR": self.folder.replace("/run", "/var/log", 1)}


class Places:
    """All places of a network, by bridge."""

    def __init__(self, network: LabNetwork, *, each: bool) -> None:
        numbers = range(1, len(network.switches) + 1)
        if each:
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
            self.all = tuple(_own(number) for number in numbers)
        else:
            bridges = tuple(f"s{number}" for number in numbers)
            self.all = (Place(_RUN, f"{_ETC}/conf.db", OVSDB_PORT, None, bridges),)
        self._by_bridge = {bridge: place for place in self.all for bridge in place.bridges}

    def of(self, bridge: str) -> Place:
        """Where a bridge lives."""
        return self._by_bridge[bridge]


def _own(number: int) -> Place:
    """A namespace with a link to the controller: by way of the lab's own namespace, which forwards."""
    name, device, address = f"carelane-s{number}", f"m{number}", switch_address(number)
    run(["ip", "netns", "add", name])
    netns = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    ip_batch(
        [
            f"link add {device} type veth peer name manage netns {name}",
            f"link set {device} up",
            f"route add {address}/32 dev {device}",
        ]
    )
    ip_batch(
        [
            "link set lo up",
            f"address add {address}/32 dev manage",
            "link set manage up",
            f"route add {CELL_ADDRESS}/32 via {GUEST_ADDRESS} dev manage onlink",
        ],
        netns=netns,
    )
    place = Place(f"{_RUN}/s{number}", f"{_ETC}/s{number}.db", own_ovsdb_port(number), netns, (f"s{number}",))
    for folder in place.environment.values():
        Path(folder).mkdir()
    return place
