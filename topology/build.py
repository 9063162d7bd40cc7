"""From drafts to the snapshot: references checked, numbers assigned, shortcomings listed as warnings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network
from itertools import chain
from types import MappingProxyType
from typing import TypeVar

from carelane.topology.drafts import Defaults, EndpointDraft, Fault, LinkDraft, NodeDraft, RiskGroupDraft, Section
from carelane.topology.graph import components
from carelane.topology.model import Endpoint, Link, Node, RiskGroup, Topology
from carelane.topology.numbering import assign_dpids, assign_ports

__all__ = ["PROPAGATION_S_PER_M", "build", "missing_figures"]

PROPAGATION_S_PER_M = 5e-9
"""5 us/km: light in standard single-mode fibre (ITU-T G.652), rounded up."""
VACUUM_S_PER_M = 1 / 299_792_458
_NAMED = 10

Item = TypeVar("Item", NodeDraft, LinkDraft, EndpointDraft, RiskGroupDraft)


def build(
    name: str,
    nodes: Sequence[NodeDraft],
    links: Sequence[LinkDraft],
    endpoints: Sequence[EndpointDraft],
    risk_groups: Sequence[RiskGroupDraft],
    fault: Fault,
    defaults: Defaults,
    notes: Iterable[str] = (),
) -> Topology:
    """The checked snapshot; `notes` of the loader open its warnings. Raises InputError through `fault`."""
    known = _unique(nodes, "nodes", fault)
    known_links = _unique(links, "links", fault)
    _unique(endpoints, "endpoints", fault)
    declared = _unique(risk_groups, "riskGroups", fault)
    _check_links(links, known, fault)
    _check_endpoints(endpoints, known, known_links, fault)
    _check_addresses(endpoints, fault)
    dpids = assign_dpids(nodes, fault)
    link_ports, endpoint_ports = assign_ports(links, endpoints, fault)
    named = chain.from_iterable([*(n.risk_groups for n in nodes), *(x.risk_groups for x in links)])
    topology = Topology(
        name=name,
        nodes=_by_id(
            Node(
                n.id,
                dpid,
                _or(n.availability, defaults.availability),
                n.site,
                n.lat,
                n.lon,
                frozenset(n.risk_groups),
                n.repair,
            )
            for n, dpid in zip(nodes, dpids, strict=True)
        ),
        links=_by_id(_link(link, ports, defaults) for link, ports in zip(links, link_ports, strict=True)),
        endpoints=_by_id(
            Endpoint(e.id, e.node, port, e.address, _or(e.capacity_bps, defaults.capacity_bps), e.mac, e.tenant)
            for e, port in zip(endpoints, endpoint_ports, strict=True)
        ),
        risk_groups=_by_id(
            RiskGroup(group, declared[group].availability, declared[group].repair)
            if group in declared
            else RiskGroup(group)
            for group in dict.fromkeys((*declared, *named))
        ),
    )
    return replace(topology, warnings=(*notes, *_warnings(topology)))


Figure = TypeVar("Figure", int, float)
Built = TypeVar("Built", Node, Link, Endpoint, RiskGroup)


def _by_id(items: Iterable[Built]) -> Mapping[str, Built]:
    return MappingProxyType({item.id: item for item in items})


def _or(stated: Figure | None, default: Figure | None) -> Figure | None:
    return default if stated is None else stated


def _link(draft: LinkDraft, ports: tuple[int, int], defaults: Defaults) -> Link:
    delay_s = draft.delay_s
    if delay_s is None and draft.length_m is not None:
        delay_s = draft.length_m * PROPAGATION_S_PER_M
    return Link(
        draft.id,
        draft.a,
        draft.b,
        *ports,
        capacity_bps=_or(draft.capacity_bps, defaults.capacity_bps),
        delay_s=delay_s,
        availability=_or(draft.availability, defaults.availability),
        loss=draft.loss,
        length_m=draft.length_m,
        risk_groups=frozenset(draft.risk_groups),
        repair=draft.repair,
    )


def _unique(items: Sequence[Item], section: Section, fault: Fault) -> dict[str, Item]:
    seen: dict[str, Item] = {}
    for index, item in enumerate(items):
        if item.id in seen:
            raise fault(f"{item.id!r} appears twice", section, index, remedy="give each its own id")
        seen[item.id] = item
    return seen


def _check_links(links: Sequence[LinkDraft], nodes: Mapping[str, NodeDraft], fault: Fault) -> None:
    for index, link in enumerate(links):
        for field, node in (("a", link.a), ("b", link.b)):
            if node not in nodes:
                raise fault(
                    f"link {link.id!r} ends at {node!r}, which is not a node",
                    "links",
                    index,
                    field,
                    expected="the id of a node",
                    remedy=f"declare node {node!r} or correct the name",
                )
        if link.a == link.b:
            raise fault(
                f"link {link.id!r} joins {link.a!r} to itself", "links", index, "b", expected="two different nodes"
            )
        if link.delay_s is not None and link.length_m is not None and link.delay_s < link.length_m * VACUUM_S_PER_M:
            raise fault(
                f"link {link.id!r}: the delay is shorter than light needs for the length",
                "links",
                index,
                "delay",
                expected="a delay and a length that agree (about 5us per km), or one of them",
                remedy="correct one of them, or leave one out",
            )


def _check_endpoints(
    endpoints: Sequence[EndpointDraft], nodes: Mapping[str, NodeDraft], links: Mapping[str, LinkDraft], fault: Fault
) -> None:
    macs: dict[str, str] = {}
    for index, endpoint in enumerate(endpoints):
        if endpoint.node not in nodes:
            raise fault(
                f"endpoint {endpoint.id!r} is at {endpoint.node!r}, which is not a node",
                "endpoints",
                index,
                "node",
                expected="the id of a node",
                remedy=f"declare node {endpoint.node!r} or correct the name",
            )
        if endpoint.id in links:
            raise fault(f"{endpoint.id!r} names a link too", "endpoints", index, remedy="give each its own id")
        if endpoint.mac is not None:
            if endpoint.mac in macs:
                raise fault(f"{endpoint.mac} is the MAC of {macs[endpoint.mac]!r} already", "endpoints", index, "mac")
            macs[endpoint.mac] = endpoint.id


Placed = tuple[int, int, int, int]
"""Address version, first and last address, index of the endpoint."""


def _check_addresses(endpoints: Sequence[EndpointDraft], fault: Fault) -> None:
    """Sorted by start, an address range overlaps another exactly when it starts before an earlier one ended."""
    ranges: list[Placed] = []
    for index, endpoint in enumerate(endpoints):
        address: IPv4Network | IPv6Network | None = endpoint.address
        if address is not None:
            ranges.append((address.version, int(address.network_address), int(address.broadcast_address), index))
    reach: Placed | None = None
    for placed in sorted(ranges):
        version, first, last, index = placed
        if reach is not None and version == reach[0] and first <= reach[2]:
            later, earlier = max(index, reach[3]), min(index, reach[3])
            raise fault(
                f"{endpoints[later].address} overlaps {endpoints[earlier].address} of {endpoints[earlier].id!r}",
                "endpoints",
                later,
                "address",
                expected="addresses that belong to one endpoint only",
            )
        if reach is None or version != reach[0] or last > reach[2]:
            reach = placed


def missing_figures(topology: Topology) -> Mapping[str, tuple[str, ...]]:
    """What is not stated, and so carries no promise: a sentence for each kind, with the ids concerned."""
    links, nodes, endpoints = topology.links.values(), topology.nodes.values(), topology.endpoints.values()
    found = {
        "no capacity stated, so no bandwidth can be promised on links": [x.id for x in links if x.capacity_bps is None],
        "no delay or length stated, so no delay can be promised over links": [x.id for x in links if x.delay_s is None],
        "no availability stated, so none can be promised over links": [x.id for x in links if x.availability is None],
        "no availability stated, so none can be promised through nodes": [
            x.id for x in nodes if x.availability is None
        ],
        "no capacity stated, so no bandwidth can be promised to endpoints": [
            x.id for x in endpoints if x.capacity_bps is None
        ],
    }
    return MappingProxyType({what: tuple(ids) for what, ids in found.items() if ids})


def _warnings(topology: Topology) -> list[str]:
    warnings = [f"{what}: {_listed(ids)}" for what, ids in missing_figures(topology).items()]
    parts = components(topology)
    if len(parts) > 1:
        heads = [f"{part[0]} ({len(part)} node{'s' if len(part) > 1 else ''})" for part in parts]
        warnings.insert(0, f"the network is in {len(parts)} parts that cannot reach each other: {_listed(heads)}")
    used = frozenset[str]().union(
        *(node.risk_groups for node in topology.nodes.values()), *(link.risk_groups for link in topology.links.values())
    )
    unused = [group for group in topology.risk_groups if group not in used]
    if unused:
        warnings.append(f"risk groups that no node or link names: {_listed(unused)}")
    if not topology.endpoints:
        warnings.append("no endpoints: no service can attach")
    return warnings


def _listed(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return ", ".join(ids[:_NAMED]) + more
