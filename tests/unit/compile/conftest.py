"""Small networks, decisions made by hand, and simulated switches that carry them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_network
from typing import Any

import pytest

from carelane.controller.pipeline.compile import compile_program
from carelane.controller.pipeline.diff import diff
from carelane.controller.pipeline.identifiers import allocate
from carelane.controller.pipeline.program import Program, SliceIds
from carelane.controller.pipeline.requirement import Connectivity, Objectives, Pair, Requirement
from carelane.controller.pipeline.slice_plan import Decision, PlannedPath
from carelane.controller.southbound.simulator import Packet, Simulator
from carelane.topology.model import Endpoint, Hop, Link, Node, Topology

MBIT = 1_000_000


class Network:
    """A ring with a chord: s1-s2-s3 (links a, b) and s1-s4-s3 (c, d), s2-s5 (e); hosts on all but s4.

    Host `hN` sits on switch sN with 10.0.0.N; h1b shares s1, h5b shares s5.
    """

    def __init__(self) -> None:
        nodes = {f"s{i}": Node(f"s{i}", i) for i in range(1, 6)}
        links = [
            Link("a", "s1", "s2", 1, 1, 100 * MBIT, 0.001),
            Link("b", "s2", "s3", 2, 1, 100 * MBIT, 0.001),
            Link("c", "s1", "s4", 2, 1, 100 * MBIT, 0.001),
            Link("d", "s4", "s3", 2, 2, 100 * MBIT, 0.001),
            Link("e", "s2", "s5", 3, 1, 100 * MBIT, 0.001),
        ]
        endpoints = [
            Endpoint("h1", "s1", 11, ip_network("10.0.0.1/32"), 100 * MBIT, "02:00:00:00:00:01"),
            Endpoint("h1b", "s1", 12, ip_network("10.0.0.101/32"), 100 * MBIT),
            Endpoint("h2", "s2", 11, ip_network("10.0.0.2/32"), 100 * MBIT),
            Endpoint("h3", "s3", 11, ip_network("10.0.0.3/32"), 100 * MBIT, "02:00:00:00:00:03"),
            Endpoint("h5", "s5", 11, ip_network("10.0.0.5/32"), 100 * MBIT),
            Endpoint("h5b", "s5", 12, ip_network("10.0.0.105/32"), 100 * MBIT),
        ]
        self.topology = Topology("ring", nodes, {x.id: x for x in links}, {x.id: x for x in endpoints}, {})

    def add_third_path(self) -> None:
        """s1-s6-s3 by links f and g."""
        topology = self.topology
        nodes = {**topology.nodes, "s6": Node("s6", 6)}
        links = {
            **topology.links,
            "f": Link("f", "s1", "s6", 3, 1, 100 * MBIT, 0.001),
            "g": Link("g", "s6", "s3", 2, 3, 100 * MBIT, 0.001),
        }
        self.topology = Topology(topology.name, nodes, links, topology.endpoints, {})

    def replace_endpoint(self, endpoint: Endpoint) -> None:
        endpoints = {**self.topology.endpoints, endpoint.id: endpoint}
        self.topology = Topology(
            self.topology.name, self.topology.nodes, self.topology.links, endpoints, self.topology.risk_groups
        )

    def decide(
        self,
        name: str,
        routes: Mapping[tuple[str, str], Sequence[str]],
        *,
        connectivity: Connectivity = "point-to-point",
        traffic_class: str = "realtime-interactive",
        forward_bps: int = 10 * MBIT,
        reverse_bps: int = 2 * MBIT,
        jitter_s: float | None = 0.002,
        **more: Any,
    ) -> Decision:
        """Admit a slice. `routes` gives each (source, destination) its paths as link names, such as "ab" and "cd"."""
        ends = self.topology.endpoints
        requirement = Requirement(
            name=name,
            tenant="t",
            service="test",
            traffic_class=traffic_class,
            priority=1,
            connectivity=connectivity,
            pairs=tuple(Pair(ends[source], ends[to]) for source, to in routes),
            forward_bps=forward_bps,
            reverse_bps=reverse_bps,
            burst_bytes=6000,
            max_packet_bytes=1500,
            objectives=Objectives(),
            **more,
        )
        paths = []
        for (source, to), ways in routes.items():
            for i, links in enumerate(ways):
                role = ("primary", "backup")[i] if i < 2 else f"backup-{i}"
                hops = self._hops(ends[source].node, links)
                nodes = (ends[source].node, *(hop.next_node for hop in hops))
                paths.append(PlannedPath(role, source, to, nodes, hops, forward_bps, reverse_bps, None, None, jitter_s))
        return Decision(requirement, True, tuple(paths))

    def _hops(self, node: str, links: Iterable[str]) -> tuple[Hop, ...]:
        hops = []
        for name in links:
            following = self.topology.links[name].other(node)
            hops.append(Hop(name, node, following))
            node = following
        return tuple(hops)

    def number(self, decisions: Iterable[Decision]) -> list[tuple[Decision, SliceIds]]:
        slices: list[tuple[Decision, SliceIds]] = []
        for decision in decisions:
            slices.append((decision, allocate(decision, [ids for _, ids in slices])))
        return slices

    def compile(self, *decisions: Decision) -> Program:
        return compile_program(self.topology, self.number(decisions))

    def install(self, *decisions: Decision) -> Simulator:
        simulator = Simulator(self.topology)
        self.bring(simulator, self.compile(*decisions))
        return simulator

    def bring(self, simulator: Simulator, program: Program) -> None:
        for node, wanted in program.items():
            simulator.apply(diff(simulator.read(node).own, wanted))

    def packet(self, source: str, destination: str, **more: Any) -> Packet:
        """What the host of `source` would send to the host of `destination`."""
        ends = self.topology.endpoints
        origin, target = ends[source], ends[destination]
        assert origin.address is not None
        assert target.address is not None
        fields: dict[str, Any] = {
            "ip_src": str(origin.address.network_address),
            "ip_dst": str(target.address.network_address),
            "eth_src": origin.mac or "02:00:00:00:00:aa",
        }
        return Packet(**{**fields, **more})


@pytest.fixture
def net() -> Network:
    return Network()
