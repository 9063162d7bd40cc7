"""Discovered links against declared ones. Pure: a mismatch is reported, never guessed around."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from carelane.controller.southbound.protocol import DiscoveredLink, SwitchStatus
from carelane.topology.model import Topology

__all__ = ["check_links"]


def check_links(
    topology: Topology, discovered: Iterable[DiscoveredLink], statuses: Mapping[str, SwitchStatus]
) -> tuple[str, ...]:
    """What is wired differently from what is declared, one line each, in a stable order.

    A declared link is missed only between connected switches whose ports are both up: a switch that is away or a
    port that is down is reported as such by `statuses`, not as wrong wiring.
    """
    seen = frozenset(discovered)
    declared = {
        DiscoveredLink(node, link.port_at(node), link.other(node), link.port_at(link.other(node))): link.id
        for link in topology.links.values()
        for node in (link.a, link.b)
    }
    leads_to = {(found.node, found.port): found for found in sorted(seen)}
    problems = []
    for expected, name in declared.items():
        if expected in seen or not _both_up(expected, statuses):
            continue
        found = leads_to.get((expected.node, expected.port))
        if found is None:
            problems.append(f"link {name}: {_direction(expected)} is declared but not seen")
        else:
            problems.append(f"link {name}: {_direction(expected)} is declared, but the port leads to {_far(found)}")
    wired = {(expected.node, expected.port) for expected in declared}
    attached = {(endpoint.node, endpoint.port): endpoint.id for endpoint in topology.endpoints.values()}
    for found in sorted(seen - declared.keys()):
        place = (found.node, found.port)
        if place in attached:
            problems.append(f"endpoint {attached[place]}: {found.node} port {found.port} leads to {_far(found)}")
        elif place not in wired:
            problems.append(f"{_direction(found)} is seen but not declared")
    return tuple(sorted(problems))


def _both_up(link: DiscoveredLink, statuses: Mapping[str, SwitchStatus]) -> bool:
    ends = ((link.node, link.port), (link.next_node, link.next_port))
    return all(
        (status := statuses.get(node)) is not None and status.connected and status.ports_up.get(port, True)
        for node, port in ends
    )


def _direction(link: DiscoveredLink) -> str:
    return f"{link.node} port {link.port} -> {_far(link)}"


def _far(link: DiscoveredLink) -> str:
    return f"{link.next_node} port {link.next_port}"
