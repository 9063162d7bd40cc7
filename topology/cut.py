"""A cut of a network, small enough for the lab, that is still recognisably itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import count
from types import MappingProxyType

from carelane.errors import InputError
from carelane.topology.graph import components
from carelane.topology.model import Endpoint, Link, Topology

__all__ = ["cut"]


def cut(
    topology: Topology,
    keep_nodes: Iterable[str] = (),
    keep_endpoints: Iterable[str] | None = None,
    *,
    name: str | None = None,
    fold_spurs: bool = False,
    capacity_scale: Fraction | int = Fraction(1),
    max_capacity_bps: int | None = None,
) -> Topology:
    """The sub-network of `keep_nodes` and of the nodes of `keep_endpoints`, with all links among them.

    dpids, port numbers, addresses and figures stay as they are. Without `keep_endpoints` every endpoint of the kept
    nodes stays. With `fold_spurs`, a kept endpoint at a node that hangs on a single link and is not in `keep_nodes`
    moves to the other end of that link, with the smaller of the two capacities: ten stations without ten switches,
    at the price of the spurs' delay and availability, which the warnings say. Capacities change only as told: times
    `capacity_scale` (rounded down), then at most `max_capacity_bps`.

    Raises InputError when something named does not exist or the result is not connected.
    """
    wanted = list(dict.fromkeys(keep_nodes))
    for node in wanted:
        if node not in topology.nodes:
            raise InputError(f"{node!r} is not a node of {topology.name}", expected="ids of nodes to keep")
    endpoints, notes = _kept_endpoints(topology, wanted, keep_endpoints, fold_spurs)
    nodes = set(wanted).union(e.node for e in endpoints)
    links = [link for link in topology.links.values() if link.a in nodes and link.b in nodes]

    def scaled(capacity_bps: int | None) -> int | None:
        if capacity_bps is None:
            return None
        rate_bps = int(capacity_bps * Fraction(capacity_scale))
        return rate_bps if max_capacity_bps is None else min(rate_bps, max_capacity_bps)

    named = frozenset[str]().union(*(topology.nodes[n].risk_groups for n in nodes), *(x.risk_groups for x in links))
    result = Topology(
        name=name or f"{topology.name}-cut",
        nodes=MappingProxyType({n: node for n, node in topology.nodes.items() if n in nodes}),
        links=MappingProxyType({x.id: replace(x, capacity_bps=scaled(x.capacity_bps)) for x in links}),
        endpoints=MappingProxyType({e.id: replace(e, capacity_bps=scaled(e.capacity_bps)) for e in endpoints}),
        risk_groups=MappingProxyType({g: group for g, group in topology.risk_groups.items() if g in named}),
        warnings=(f"a cut of {topology.name}: {len(nodes)} of {len(topology.nodes)} nodes", *notes),
    )
    _check_connected(topology, result)
    return result


def _kept_endpoints(
    topology: Topology, nodes: list[str], keep: Iterable[str] | None, fold_spurs: bool
) -> tuple[list[Endpoint], list[str]]:
    if keep is None:
        return [e for e in topology.endpoints.values() if e.node in nodes], []
    chosen = list(dict.fromkeys(keep))
    for endpoint in chosen:
        if endpoint not in topology.endpoints:
            raise InputError(f"{endpoint!r} is not an endpoint of {topology.name}", expected="ids of endpoints to keep")
    kept = [topology.endpoints[endpoint] for endpoint in chosen]
    if not fold_spurs:
        return kept, []
    spurs = _spurs(topology, nodes)
    folded = [_folded(e, spurs[e.node]) if e.node in spurs else e for e in kept]
    moved = [e.id for e in kept if e.node in spurs]
    note = f"attached without their spurs, whose delay and availability do not count: {', '.join(moved)}"
    return _with_own_ports(topology, folded, set(moved)), [note] if moved else []


def _spurs(topology: Topology, nodes: list[str]) -> Mapping[str, Link]:
    """The only link of each node that has just one and is not asked for by name."""
    links: dict[str, list[Link]] = {}
    for link in topology.links.values():
        links.setdefault(link.a, []).append(link)
        links.setdefault(link.b, []).append(link)
    return {node: own[0] for node, own in links.items() if len(own) == 1 and node not in nodes}


def _folded(endpoint: Endpoint, spur: Link) -> Endpoint:
    """The endpoint at the far end of the spur, on the spur's port there, which the cut leaves free."""
    far = spur.other(endpoint.node)
    known = [rate for rate in (endpoint.capacity_bps, spur.capacity_bps) if rate is not None]
    return replace(endpoint, node=far, port=spur.port_at(far), capacity_bps=min(known) if len(known) == 2 else None)


def _with_own_ports(topology: Topology, endpoints: list[Endpoint], moved: set[str]) -> list[Endpoint]:
    """Several endpoints of one spur cannot share its port: later ones take the next number free at the node."""
    taken = {(node, link.port_at(node)) for link in topology.links.values() for node in (link.a, link.b)}
    taken |= {(e.node, e.port) for e in topology.endpoints.values()}
    used: set[tuple[str, int]] = set()
    result = []
    for endpoint in endpoints:
        port = endpoint.port
        if endpoint.id in moved and (endpoint.node, port) in used:
            port = next(p for p in count(1) if (endpoint.node, p) not in taken | used)
        used.add((endpoint.node, port))
        result.append(replace(endpoint, port=port))
    return result


def _check_connected(topology: Topology, result: Topology) -> None:
    import networkx as nx

    parts = components(result)
    if len(parts) == 1:
        return
    if not parts:
        raise InputError("the cut keeps nothing", expected="ids of nodes or endpoints to keep")
    there = topology.graph
    if nx.has_path(there, parts[0][0], parts[1][0]):
        missing = [n for n in nx.shortest_path(there, parts[0][0], parts[1][0]) if n not in result.nodes]
        remedy = f"keep {', '.join(missing)} too"
    else:
        remedy = "keep nodes of one connected part"
    raise InputError(
        f"{parts[0][0]} and {parts[1][0]} are not connected in the cut", expected="a connected network", remedy=remedy
    )
