"""Plain forwarding: what the network does without carelane. Shortest paths by delay, one queue, no protection."""

from __future__ import annotations

import networkx as nx

from carelane.lab.network import LabNetwork

__all__ = ["plain_flows"]


def plain_flows(network: LabNetwork) -> dict[str, tuple[str, ...]]:
    """Flows in ovs-ofctl's words by switch name: each host's address goes out of the port on the shortest path to it.

    Ties go to the fewer hops, then to the order of declaration, so the same network gives the same flows.
    """
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(switch.name for switch in network.switches)
    out: dict[tuple[str, str], int] = {}
    for wire in network.wires:
        weight = wire.delay_s + 1e-9
        if graph.has_edge(wire.a, wire.b) and graph.edges[wire.a, wire.b]["weight"] <= weight:
            continue
        graph.add_edge(wire.a, wire.b, weight=weight)
        out[wire.a, wire.b], out[wire.b, wire.a] = wire.a_port, wire.b_port
    flows: dict[str, list[str]] = {switch.name: [] for switch in network.switches}
    for host in network.hosts:
        flows[host.switch].append(f"ip,nw_dst={host.ip},actions=output:{host.port}")
        for switch, path in nx.single_source_dijkstra_path(graph, host.switch).items():
            if len(path) > 1:
                port = out[switch, path[-2]]
                flows[switch].append(f"ip,nw_dst={host.ip},actions=output:{port}")
    return {switch: tuple(lines) for switch, lines in flows.items()}
