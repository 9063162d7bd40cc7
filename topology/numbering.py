"""Datapath ids and port numbers.

Those that a file does not declare are the lowest free ones in declaration order: dpids from 1, ports of links from 1
at each node, ports of endpoints from 1001. The two port ranges keep apart, so that appending nodes, links or endpoints
to a file never renumbers what is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count

from carelane.topology.drafts import EndpointDraft, Fault, LinkDraft, NodeDraft, Section

__all__ = ["FIRST_ENDPOINT_PORT", "MAX_PORT", "assign_dpids", "assign_ports"]

MAX_PORT = 65279
"""The largest OpenFlow port number that Open vSwitch gives to a port (0xfeff)."""
FIRST_ENDPOINT_PORT = 1001


def assign_dpids(nodes: Sequence[NodeDraft], fault: Fault) -> list[int]:
    owners: dict[int, str] = {}
    for index, node in enumerate(nodes):
        if node.dpid is not None and node.dpid in owners:
            raise fault(f"dpid {node.dpid} is that of {owners[node.dpid]!r} already", "nodes", index, "dpid")
        if node.dpid is not None:
            owners[node.dpid] = node.id
    free = (number for number in count(1) if number not in owners)
    return [next(free) if node.dpid is None else node.dpid for node in nodes]


def assign_ports(
    links: Sequence[LinkDraft], endpoints: Sequence[EndpointDraft], fault: Fault
) -> tuple[list[tuple[int, int]], list[int]]:
    """Port numbers of each link (at a, at b) and of each endpoint; declared ones are kept."""
    taken: dict[str, dict[int, str]] = {}

    def claim(node: str, port: int | None, owner: str, section: Section, index: int, field: str) -> None:
        held = taken.setdefault(node, {})
        if port is not None and port in held:
            raise fault(
                f"port {port} of {node!r} is that of {held[port]!r} already",
                section,
                index,
                field,
                remedy="choose another number, or leave it out",
            )
        if port is not None:
            held[port] = owner

    for index, link in enumerate(links):
        claim(link.a, link.a_port, link.id, "links", index, "aPort")
        claim(link.b, link.b_port, link.id, "links", index, "bPort")
    for index, endpoint in enumerate(endpoints):
        claim(endpoint.node, endpoint.port, endpoint.id, "endpoints", index, "port")

    free_for_links = {node: _free(held, 1) for node, held in taken.items()}
    free_for_endpoints = {node: _free(held, FIRST_ENDPOINT_PORT) for node, held in taken.items()}

    def number(node: str, port: int | None, owner: str, section: Section, index: int) -> int:
        if port is not None:
            return port
        chosen = next((free_for_links if section == "links" else free_for_endpoints)[node], None)
        if chosen is None:
            raise fault(f"no port number is left at {node!r}", section, index, expected=f"at most {MAX_PORT} ports")
        taken[node][chosen] = owner
        return chosen

    link_ports = [
        (number(x.a, x.a_port, x.id, "links", i), number(x.b, x.b_port, x.id, "links", i)) for i, x in enumerate(links)
    ]
    return link_ports, [number(e.node, e.port, e.id, "endpoints", i) for i, e in enumerate(endpoints)]


def _free(held: Mapping[int, str], first: int) -> Iterator[int]:
    return (port for port in range(first, MAX_PORT + 1) if port not in held)
