"""A controller without threads over simulated switches: every step is taken by the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from carelane.controller.reconcile.drift import DriftCheck
from carelane.controller.reconcile.queue import Backoff, WorkQueue
from carelane.controller.reconcile.reconciler import Reconciler
from carelane.controller.service import IntentService
from carelane.controller.southbound.protocol import Southbound
from carelane.controller.southbound.simulator import Packet, Simulator
from carelane.intents import load_intents
from carelane.intents.model import ServiceIntent
from carelane.store import Store
from carelane.topology import load_topology
from carelane.topology.model import Topology

DIAMOND = """
apiVersion: carelane/v1
kind: Topology
metadata: {name: diamond}
spec:
  nodes:
    - {id: west, kind: switch, availability: 99.9999%}
    - {id: north, kind: switch, availability: 99.9999%}
    - {id: south, kind: switch, availability: 99.9999%}
    - {id: east, kind: switch, availability: 99.9999%}
  links:
    - {id: wn, a: west, b: north, capacity: 100Mbps, length: 20km, availability: 99.99%}
    - {id: ne, a: north, b: east, capacity: 100Mbps, length: 20km, availability: 99.99%}
    - {id: ws, a: west, b: south, capacity: 100Mbps, length: 60km, availability: 99.99%}
    - {id: se, a: south, b: east, capacity: 100Mbps, length: 60km, availability: 99.99%}
  endpoints:
"""

SITES = "abcdefghijklmnopqrst"
DIAMOND += "".join(
    f"    - {{id: {node}/{site}, node: {node}, address: 10.0.{net}.{host}/32, "
    f'mac: "02:00:00:00:{net:02}:{host:02}", capacity: 1Gbps}}\n'
    for net, node in ((1, "west"), (2, "east"))
    for host, site in enumerate(SITES, 1)
)

FAST = Backoff(base_s=0.001, cap_s=0.01, rate_per_s=10_000.0)


def manifest(name: str, source: str, to: str, mbps: int = 10, protection: str = "none") -> str:
    return (
        "---\napiVersion: carelane/v1\nkind: ServiceIntent\n"
        f"metadata: {{name: {name}, tenant: county}}\n"
        f"spec:\n  service: remote-consultation\n  from: [{source}]\n  to: [{to}]\n  protection: {protection}\n"
        f"  burst: 6KB\n"
        f"  objectives: {{bandwidth: {mbps}Mbps, delay: 50ms, availability: none, jitter: none, loss: none}}\n"
    )


@dataclass
class Rig:
    """Store, loop and facade over one southbound. Several rigs on one database and network are several lives."""

    topology: Topology
    southbound: Southbound
    store: Store
    backoff: Backoff = FAST
    reconciler: Reconciler = field(init=False)
    drift: DriftCheck = field(init=False)
    service: IntentService = field(init=False)

    def __post_init__(self) -> None:
        self.reconciler = Reconciler(self.store, self.southbound, self.topology, queue=WorkQueue(self.backoff))
        self.drift = DriftCheck(self.reconciler)
        self.service = IntentService(self.topology, self.reconciler, self.drift)

    def intents(self, *documents: str) -> list[ServiceIntent]:
        return load_intents("".join(documents))

    def apply(self, *documents: str) -> dict[str, str]:
        """File, and give the phase that follows at once, by name."""
        return {result.name: result.phase for result in self.service.apply(self.intents(*documents))}

    def settle(self, passes: int = 50) -> None:
        """Reconcile until nothing is waiting, or for so many passes."""
        for _ in range(passes):
            if self.reconciler.queue.depth() == 0:
                return
            self.reconciler.work(timeout_s=1.0)

    def phase(self, name: str) -> str:
        return self.service.describe(name).summary.phase

    def condition(self, name: str, kind: str) -> tuple[str, str, str]:
        found = next(item for item in self.service.describe(name).conditions if item.type == kind)
        return found.status, found.reason, found.message

    def close(self) -> None:
        self.reconciler.close()
        self.store.close()


def packet(topology: Topology, source: str, to: str) -> Packet:
    """A packet from one endpoint of the topology to another."""
    start, end = topology.endpoints[source], topology.endpoints[to]
    assert start.address is not None
    assert end.address is not None
    assert start.mac is not None
    return Packet(
        eth_src=start.mac,
        eth_dst=end.mac or "",
        eth_type=0x0800,
        ip_src=str(start.address.network_address),
        ip_dst=str(end.address.network_address),
    )


@pytest.fixture
def diamond(tmp_path: Path) -> Topology:
    """Two disjoint ways from west to east: by north (short) and by south, 100 Mbit/s each."""
    file = tmp_path / "diamond.yaml"
    file.write_text(DIAMOND)
    return load_topology(file)


@pytest.fixture
def simulator(diamond: Topology) -> Simulator:
    return Simulator(diamond)


MakeRig = Callable[..., Rig]


@pytest.fixture
def make_rig(diamond: Topology, simulator: Simulator, tmp_path: Path) -> Iterator[MakeRig]:
    """Rigs that share one network, and one database unless told otherwise; closed after the test."""
    rigs: list[Rig] = []

    def make(url: str = f"sqlite:///{tmp_path}/rig.db", southbound: Southbound | None = None) -> Rig:
        rig = Rig(diamond, southbound or simulator, Store(url))
        rigs.append(rig)
        return rig

    yield make
    for rig in rigs:
        rig.close()


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    return make_rig()


@pytest.fixture
def make_manifest() -> Callable[..., str]:
    """A manifest of one point-to-point consultation: (name, source, to, mbps, protection)."""
    return manifest


@pytest.fixture
def packet_between() -> Callable[[Topology, str, str], Packet]:
    return packet
