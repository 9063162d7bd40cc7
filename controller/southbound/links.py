"""Discovered links against declared ones. Pure: a mismatch is reported, never guessed around."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

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
        near = _port(statuses, expected.node, expected.port)
        far = _port(statuses, expected.next_node, expected.next_port)
        found = leads_to.get((expected.node, expected.port))
        if near == "missing":
            problems.append(f"link {name}: {expected.node} has no port {expected.port}")
        elif found is not None and found != expected:
            problems.append(f"link {name}: {_direction(expected)} is declared, but the port leads to {_far(found)}")
        elif found is None and near == far == "up":
            problems.append(f"link {name}: {_direction(expected)} is declared but not seen")
    wired = {(expected.node, expected.port) for expected in declared}
    attached = {(endpoint.node, endpoint.port): endpoint.id for endpoint in topology.endpoints.values()}
    for found in sorted(seen - declared.keys()):
        place = (found.node, found.port)
        if place in attached:
            problems.append(f"endpoint {attached[place]}: {found.node} port {found.port} leads to {_far(found)}")
        elif place not in wired:
            problems.append(f"{_direction(found)} is seen but not declared")
    return tuple(sorted(problems))


def _port(statuses: Mapping[str, SwitchStatus], node: str, port: int) -> Literal["up", "down", "missing"]:
    """`down` also for a switch that is away. A switch that states no ports at all has them all."""
    status = statuses.get(node)
    if status is None or not status.connected:
        return "down"
    if not status.ports_up:
        return "up"
    if port not in status.ports_up:
        return "missing"
    return "up" if status.ports_up[port] else "down"


def _direction(link: DiscoveredLink) -> str:
    return f"{link.node} port {link.port} -> {_far(link)}"


def _far(link: DiscoveredLink) -> str:
    return f"{link.next_node} port {link.next_port}"
