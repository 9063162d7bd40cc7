"""From a declared topology to what the lab builds, and the plain forwarding that carelane is compared with."""

from __future__ import annotations

from collections.abc import Mapping

import networkx as nx

from carelane.errors import InputError
from carelane.lab.network import LabHost, LabNetwork, LabSwitch, LabWire
from carelane.topology import Topology, to_graph

__all__ = ["lab_network", "plain_flows"]


def lab_network(topology: Topology) -> LabNetwork:
    """Every node a switch, every link a wire, every endpoint a host; ids, dpids, ports and delays as declared.

    Raises InputError when a link has no delay or an endpoint no address or MAC: the lab cannot build what is not said.
    """
    wires = []
    for link in topology.links.values():
        if link.delay_s is None:
            raise InputError(f"link {link.id} states neither delay nor length", remedy="state one to emulate it")
        ends = (link.a, link.a_port, link.b, link.b_port)
        wires.append(LabWire(link.id, *ends, delay_s=link.delay_s, rate_bps=link.capacity_bps or 0))
    hosts = []
    for endpoint in topology.endpoints.values():
        if endpoint.address is None or endpoint.mac is None:
            raise InputError(f"endpoint {endpoint.id} states no address or no MAC", remedy="state both to emulate it")
        hosts.append(
            LabHost(
                name=endpoint.id,
                switch=endpoint.node,
                port=endpoint.port,
                address=str(endpoint.address),
                mac=endpoint.mac,
                rate_bps=endpoint.capacity_bps or 0,
            )
        )
    switches = tuple(LabSwitch(node.id, node.dpid) for node in topology.nodes.values())
    return LabNetwork(switches, tuple(wires), tuple(hosts))


def plain_flows(topology: Topology) -> Mapping[str, list[str]]:
    """Plain forwarding in ovs-ofctl's words, by node: destination address to next hop along the least delay.

    What a network without carelane does: one route for everything, no classes, no policing.
    """
    graph = to_graph(topology)

    def delay(_a: str, _b: str, parallel: Mapping[str, Mapping[str, object]]) -> float:
        return min(topology.links[link].delay_s or 0.0 for link in parallel)

    flows: dict[str, list[str]] = {node: [] for node in topology.nodes}
    for endpoint in topology.endpoints.values():
        paths = nx.single_source_dijkstra_path(graph, endpoint.node, weight=delay)
        for node, path in paths.items():
            port = endpoint.port if node == endpoint.node else _port_towards(topology, graph, node, path[-2])
            flows[node].append(f"priority=100,ip,nw_dst={endpoint.address},actions=output:{port}")
    return flows


def _port_towards(topology: Topology, graph: nx.MultiGraph[str], node: str, next_node: str) -> int:
    best = min(graph[node][next_node], key=lambda link: (topology.links[link].delay_s or 0.0, link))
    return topology.links[best].port_at(node)
