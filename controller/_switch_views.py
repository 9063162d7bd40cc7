"""Switches and discovered links against what the topology declares."""

from __future__ import annotations

from carelane.controller.reconcile.drift import DriftCheck
from carelane.controller.southbound.protocol import DiscoveredLink, Southbound
from carelane.controller.views import LinkMismatch, SwitchView
from carelane.topology.model import Topology

__all__ = ["link_mismatches", "switch_views"]


def switch_views(southbound: Southbound, drift: DriftCheck) -> tuple[SwitchView, ...]:
    """Every declared switch, and undeclared ones that connected, with what the last check found."""
    checks = drift.last()
    return tuple(
        SwitchView(
            node=node,
            dpid=status.dpid,
            connected=status.connected,
            reason=status.reason,
            ports_up=status.ports_up,
            strangers=checks[node].strangers if node in checks else (),
            mismatches=checks[node].mismatches if node in checks else (),
            checked_at=checks[node].at if node in checks else None,
            dead_ports=tuple(sorted(status.dead_ports)),
        )
        for node, status in southbound.statuses().items()
    )


def link_mismatches(topology: Topology, southbound: Southbound) -> tuple[LinkMismatch, ...]:
    """Links that are declared and were not found although both ends are in sight, then those found and not declared."""
    declared = {
        DiscoveredLink(node, link.port_at(node), link.other(node), link.port_at(link.other(node)))
        for link in topology.links.values()
        for node in (link.a, link.b)
    }
    seen = southbound.links()
    missing = (link for link in sorted(declared - seen) if _in_sight(southbound, link))
    return (
        *(LinkMismatch("missing", link.node, link.port, link.next_node, link.next_port) for link in missing),
        *(
            LinkMismatch("undeclared", link.node, link.port, link.next_node, link.next_port)
            for link in sorted(seen - declared)
        ),
    )


def _in_sight(southbound: Southbound, link: DiscoveredLink) -> bool:
    statuses = southbound.statuses()
    for node, port in ((link.node, link.port), (link.next_node, link.next_port)):
        status = statuses.get(node)
        if status is None or not status.connected or not status.ports_up.get(port, True):
            return False
    return True
