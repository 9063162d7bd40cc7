"""From a declared topology to what the lab builds."""

from __future__ import annotations

from carelane.errors import InputError
from carelane.lab.network import LabHost, LabNetwork, LabSwitch, LabWire
from carelane.topology import Topology

__all__ = ["lab_network"]


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
