"""The pipeline's tables, priorities and the rules every switch has before any slice."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network

from carelane.controller.pipeline.identifiers import CookieKind, cookie_of
from carelane.controller.pipeline.program import CONTROLLER_PORT, FlowRule, GotoTable, Match, Output, PortBfd
from carelane.policies.liveness import bfd_interval_ms
from carelane.topology.model import Endpoint, Topology

__all__ = [
    "ARP",
    "ARP_TC",
    "CLASSIFY",
    "CORE",
    "CORE_ARP_PRIORITY",
    "CORE_PRIORITY",
    "IPV4",
    "IPV6",
    "MPLS",
    "PORTS",
    "classify_priority",
    "ether_type",
    "ground_rules",
    "ground_watches",
]

PORTS, CLASSIFY, CORE = 0, 1, 2
IPV4, ARP, IPV6, MPLS, LLDP = 0x0800, 0x0806, 0x86DD, 0x8847, 0x88CC

ARP_TC = 7
"""Traffic class bits that mark a labelled frame as ARP. Open vSwitch fills these bits with the low three bits of the
DSCP when it labels an IP packet; no class of `carelane.policies.classes` has them all set, which a test asserts."""

CORE_PRIORITY = 1000
CORE_ARP_PRIORITY = 2000

_LLDP_PRIORITY = 3000
_ADMIT_PRIORITY = 2000
_SPOOFED_PRIORITY = 1000
_MISS_PRIORITY = 0
_CLASSIFY_BASE = 1000
_PREFIX_LENGTHS = 129
_KEPT = 1 << 16
"""Ports whose rules are kept: every filing asks for those of the switches on its way."""
_WHOLE_FRAME = 0xFFFF
"""OFPCML_NO_BUFFER: hand the whole frame to the controller (OpenFlow 1.3.5 section A.3.4.1)."""


def ether_type(address: IPv4Network | IPv6Network) -> int:
    return IPV4 if address.version == 4 else IPV6


def classify_priority(source: IPv4Network | IPv6Network, destination: IPv4Network | IPv6Network) -> int:
    """Longest prefix first, source before destination, so that nested addresses never depend on luck."""
    return _CLASSIFY_BASE + _PREFIX_LENGTHS * source.prefixlen + destination.prefixlen


def ground_rules(topology: Topology) -> Iterator[tuple[str, FlowRule]]:
    """The rules of every switch, whatever the slices, as (node, rule)."""
    for node in topology.nodes:
        for table, kind in (
            (PORTS, CookieKind.FOREIGN_FRAME),
            (CLASSIFY, CookieKind.UNADMITTED),
            (CORE, CookieKind.UNKNOWN_LABEL),
        ):
            yield node, FlowRule(table, _MISS_PRIORITY, Match(), (), cookie_of(kind))
    for link in topology.links.values():
        for node in (link.a, link.b):
            yield from ((node, rule) for rule in _trunk_rules(link.port_at(node)))
    for endpoint in topology.endpoints.values():
        yield from ((endpoint.node, rule) for rule in _edge_rules(endpoint))


def ground_watches(topology: Topology) -> Iterator[tuple[str, PortBfd]]:
    """The liveness watch of every link port, as (node, watch)."""
    for link in topology.links.values():
        watch_ms = bfd_interval_ms(link)
        for node in (link.a, link.b):
            yield node, PortBfd(link.port_at(node), watch_ms)


@lru_cache(maxsize=_KEPT)
def _trunk_rules(port: int) -> tuple[FlowRule, ...]:
    cookie = cookie_of(CookieKind.PIPELINE)
    discovery = Output(CONTROLLER_PORT, _WHOLE_FRAME)
    return (
        FlowRule(PORTS, _LLDP_PRIORITY, Match(in_port=port, eth_type=LLDP), (discovery,), cookie),
        FlowRule(PORTS, _ADMIT_PRIORITY, Match(in_port=port, eth_type=MPLS), (GotoTable(CORE),), cookie),
    )


@lru_cache(maxsize=_KEPT)
def _edge_rules(endpoint: Endpoint) -> tuple[FlowRule, ...]:
    port, mac = endpoint.port, endpoint.mac
    stray = FlowRule(PORTS, _SPOOFED_PRIORITY, Match(in_port=port), (), cookie_of(CookieKind.SPOOFED_SOURCE))
    if endpoint.address is None:
        return (stray,)
    address, cookie, onward = str(endpoint.address), cookie_of(CookieKind.PIPELINE), (GotoTable(CLASSIFY),)
    kind = ether_type(endpoint.address)
    member = Match(in_port=port, eth_src=mac, eth_type=kind, ip_src=address)
    admitted = FlowRule(PORTS, _ADMIT_PRIORITY, member, onward, cookie)
    if kind != IPV4:
        return (stray, admitted)
    asking = Match(in_port=port, eth_src=mac, eth_type=ARP, ip_src=address)
    return (stray, admitted, FlowRule(PORTS, _ADMIT_PRIORITY, asking, onward, cookie))
