"""A controller without threads over simulated switches: every step is taken by the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from carelane.controller.pipeline.changes import SwitchChanges
from carelane.controller.pipeline.program import FlowRule, SwitchProgram
from carelane.controller.reconcile.drift import DriftCheck
from carelane.controller.reconcile.queue import Backoff, WorkQueue
from carelane.controller.reconcile.reconciler import Reconciler
from carelane.controller.service import IntentService
from carelane.controller.southbound.protocol import DiscoveredLink, Receipt, Southbound, SwitchState, SwitchStatus
from carelane.controller.southbound.simulator import Packet, Simulator, Walk
from carelane.errors import ProgramError
from carelane.intents import load_intents
from carelane.intents.model import ServiceIntent
from carelane.policies.admission import AdmissionPolicy, bounded
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
class Switches:
    """The simulated switches, with faults that a test chooses, and a look at every single operation."""

    simulator: Simulator
    operations: int = 0
    after: Callable[[str], None] = lambda _: None
    rejects: Callable[[SwitchChanges], bool] = lambda _: False
    forgets: Callable[[str], bool] = lambda _: False
    mismatches: dict[str, str] = field(default_factory=dict)

    def statuses(self) -> Mapping[str, SwitchStatus]:
        return self.simulator.statuses()

    def links(self) -> frozenset[DiscoveredLink]:
        return self.simulator.links()

    def read(self, node: str) -> SwitchState:
        state = self.simulator.read(node)
        return replace(state, mismatches=(self.mismatches[node],)) if node in self.mismatches else state

    def apply(self, changes: SwitchChanges) -> Receipt:
        if self.rejects(changes):
            raise ProgramError(f"{changes.node} says OFPFMFC_TABLE_FULL")
        for operation in () if self.forgets(changes.node) else changes.operations:
            self.simulator.apply(replace(changes, operations=(operation,)))
            self.operations += 1
            self.after(changes.node)
        return Receipt(changes.node, len(changes.operations), 0.0)

    def reject_slice(self, number: int, node: str | None = None) -> None:
        """From now on, switches (or one of them) take no rules of this slice; they let go of those they have."""

        def bad(changes: SwitchChanges) -> bool:
            rules = [i.target for i in changes.operations if i.verb != "delete" and isinstance(i.target, FlowRule)]
            return node in (None, changes.node) and any(rule.cookie & 0xFFFFFFFF == number for rule in rules)

        self.rejects = bad


@dataclass
class Rig:
    """Store, loop and facade over one southbound. Several rigs on one database and network are several lives."""

    topology: Topology
    southbound: Southbound
    store: Store
    backoff: Backoff = FAST
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    policy: AdmissionPolicy | None = None
    reconciler: Reconciler = field(init=False)
    drift: DriftCheck = field(init=False)
    service: IntentService = field(init=False)

    def __post_init__(self) -> None:
        self.topology = bounded(self.topology, self.policy)
        queue = WorkQueue(self.backoff)
        self.reconciler = Reconciler(self.store, self.southbound, self.topology, queue=queue, now=self.now)
        self.drift = DriftCheck(self.reconciler)
        self.service = IntentService(self.topology, self.reconciler, self.drift, policy=self.policy, now=self.now)

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

    def walk(self, source: str, to: str) -> Walk:
        """What becomes of a packet from one endpoint to another."""
        network = self.southbound.simulator if isinstance(self.southbound, Switches) else self.southbound
        assert isinstance(network, Simulator)
        return network.send(source, packet(self.topology, source, to))

    def slice_state(self) -> list[object]:
        """Everything on all switches that belongs to some slice."""
        states = [self.southbound.read(node).own for node in self.topology.nodes]
        flows = [rule for state in states for rule in state.flows if rule.cookie & 0xFFFFFFFF]
        queues = [queue for state in states for port in state.ports for queue in port.queues if queue.slice]
        groups = [group for state in states for group in state.groups]
        return [*flows, *queues, *groups, *(meter for state in states for meter in state.meters)]

    def programs(self) -> dict[str, SwitchProgram]:
        """All that is ours, by switch."""
        return {node: self.southbound.read(node).own for node in self.topology.nodes}

    def counters(self) -> dict[tuple[str, str], int]:
        """Packet counters of every flow that has seen any."""
        counts = {(node, key): n for node in self.topology.nodes for key, n in self._packets(node).items()}
        return {place: count for place, count in counts.items() if count}

    def _packets(self, node: str) -> Mapping[str, int]:
        return self.southbound.read(node).flow_packets

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


@pytest.fixture
def switches(simulator: Simulator) -> Switches:
    return Switches(simulator)


MakeRig = Callable[..., Rig]


@pytest.fixture
def make_rig(diamond: Topology, simulator: Simulator, tmp_path: Path) -> Iterator[MakeRig]:
    """Rigs that share one network, and one database unless told otherwise; closed after the test."""
    rigs: list[Rig] = []

    def make(
        url: str = f"sqlite:///{tmp_path}/rig.db",
        southbound: Southbound | None = None,
        lock_timeout_s: float = 30.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        policy: AdmissionPolicy | None = None,
        topology: Topology = diamond,
    ) -> Rig:
        store = Store(url, lock_timeout_s=lock_timeout_s)
        rig = Rig(topology, southbound or simulator, store, now=now, policy=policy)
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
def walk(diamond: Topology) -> Callable[[Simulator, str, str], Walk]:
    """What becomes of a packet from one endpoint to another."""
    return lambda simulator, source, to: simulator.send(source, packet(diamond, source, to))
