"""What promises are worth beside the queues they share ports with, all of them sending their bursts at once.

Input: a topology and admitted decisions. Output: for each path and direction the delay bound with what its queues wait
at each port for those of the same and of higher priority (`carelane.topology.calculus.htb_waits_ps`), in place of the
one frame that the plan counts, and which objectives break.

The queues are those that `compile` makes, floors, bursts and priorities alike, queue 0 among them. What has a
schedule is counted as if it were there always.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from ipaddress import IPv4Network
from types import MappingProxyType

from carelane.controller.pipeline.class_queues import SharedBound, Way, bound_of, ways_of
from carelane.controller.pipeline.compile import Claimed, claims, queue_plan, resolve_slice, woken
from carelane.controller.pipeline.identifiers import labels_needed
from carelane.controller.pipeline.limits import Bound
from carelane.controller.pipeline.program import FIRST_LABEL, PortQos, SliceIds
from carelane.controller.pipeline.queues import Queues
from carelane.controller.pipeline.shape import delivery_port, shape_of
from carelane.controller.pipeline.slice_plan import Decision, PlannedPath, role_number
from carelane.topology.calculus import FloorQueue, htb_waits_ps
from carelane.topology.delay import FRAME_BYTES, PS
from carelane.topology.ledger import PortKey
from carelane.topology.model import Topology
from carelane.topology.paths import PathGraph, Route

__all__ = ["ports_of", "waited_bounds", "waited_out_by"]

LEAST_BURST_BITS = 8 * (1600 + 64)
"""Open vSwitch raises a smaller allowance to the MTU, which labels put at 1600, and 64 bytes (lib/netdev-linux.c)."""

_Waits = Mapping[int, int | None]
"""By slice number."""


def waited_bounds(topology: Topology, decisions: Sequence[Decision]) -> tuple[SharedBound, ...]:
    """A row for each path and direction that carries traffic, in the order of the decisions.

    Raises ProgramError for a slice that no switch could carry.
    """
    admitted = [decision for decision in decisions if decision.admitted]
    waits = _waits(topology, admitted)
    graph = PathGraph.of(topology)
    rows: list[SharedBound] = []
    for number, decision in enumerate(admitted, 1):
        ways = list(ways_of(topology, decision))
        queueing = _queueing_s(graph, decision, {port: found.get(number) for port, found in waits.items()})
        rows += [bound_of(way, None if queueing is None else queueing[_key(way)]) for way in ways]
    return tuple(rows)


def waited_out_by(
    topology: Topology, admitted: Sequence[Decision], further: Sequence[Decision]
) -> tuple[SharedBound, ...]:
    """Whose objectives hold now among the `admitted`, and would not with the `further` ones beside them: those rows.

    Raises as `waited_bounds`.
    """
    rows = waited_bounds(topology, admitted)
    fine = {row.name for row in rows} - {row.name for row in rows if not row.keeps}
    joined = waited_bounds(topology, [*admitted, *further])
    return tuple(row for row in joined if row.name in fine and not row.keeps)


def ports_of(topology: Topology, decision: Decision) -> frozenset[PortKey]:
    """Every port where an admitted decision has a queue, those included where returning packets go."""
    ports: set[PortKey] = set()
    for path in decision.paths:
        ports |= {(node, hop.link) for hop in path.hops for node in (hop.node, hop.next_node)}
        ports |= {delivery_port(topology.endpoints[name]) for name in (path.source, path.to)}
    return frozenset(ports)


def _waits(topology: Topology, admitted: Sequence[Decision]) -> dict[PortKey, _Waits]:
    """What each slice's queue waits, at every port that has queues."""
    addressed, label, resolved = _addressed(topology), FIRST_LABEL, []
    for number, decision in enumerate(admitted, 1):
        labels = labels_needed(decision)
        resolved.append(resolve_slice(addressed, decision, SliceIds(number, label, labels)))
        label += labels
    keys: dict[tuple[str, int], list[PortKey]] = {}
    for link in topology.links.values():
        for node in (link.a, link.b):
            keys.setdefault((node, link.port_at(node)), []).append((node, link.id))
    for endpoint in topology.endpoints.values():
        keys.setdefault((endpoint.node, endpoint.port), []).append(delivery_port(endpoint))
    waits: dict[PortKey, _Waits] = {}
    claimed = claims(topology, resolved)
    for node, ports in queue_plan(topology, resolved).items():
        for qos in ports:
            by_number = _worst(qos, claimed[node, qos.port])
            waits |= dict.fromkeys(keys.get((node, qos.port), ()), by_number)
    return waits


def _worst(qos: PortQos, claimed: Sequence[Claimed]) -> _Waits:
    """What each queue waits at most: of those that share, only such as one failure wakes send at once."""
    asleep = {queue.id for queue, booking in claimed if booking.wakes is not None}
    always = frozenset(queue.id for queue in qos.queues) - asleep
    groups = {always, *(always.union(queue.id for queue, _ in part) for part in woken(claimed).values())}
    waits: dict[int, int | None] = {}
    for group in groups:
        sending = [queue for queue in qos.queues if queue.id in group]
        floors = [FloorQueue(q.priority, q.min_rate_bps, max(q.burst_bits, LEAST_BURST_BITS)) for q in sending]
        found = htb_waits_ps(qos.max_rate_bps, floors, 8 * FRAME_BYTES)
        for queue, wait in zip(sending, found, strict=True):
            before = waits.get(queue.id, 0)
            waits[queue.id] = None if wait is None or before is None else max(wait, before)
    return waits


def _addressed(topology: Topology) -> Topology:
    """Queues do not depend on addresses, and a plan does without: everybody gets one that is only used here."""
    first = int(IPv4Network("10.0.0.0/8").network_address)
    return replace(
        topology,
        endpoints=MappingProxyType(
            {
                name: replace(endpoint, address=IPv4Network(first + number))
                for number, (name, endpoint) in enumerate(topology.endpoints.items())
            }
        ),
    )


def _key(way: Way) -> tuple[str, str, str, bool]:
    return way.path.role, way.path.source, way.path.to, way.stream.down


def _queueing_s(
    graph: PathGraph, decision: Decision, waits: Mapping[PortKey, int | None]
) -> dict[tuple[str, str, str, bool], Fraction] | None:
    """Queueing and transmission delay of every way of a slice; None: no bound."""
    shape = shape_of(decision.requirement)
    leaf_of = {leaf.id: number for number, leaf in enumerate(shape.leaves)}
    paths, rows = [], []
    for path in decision.paths:
        route = Route(path.nodes, tuple(hop.link for hop in path.hops))
        leaf = path.to if shape.rooted_at_source else path.source
        route = route if shape.rooted_at_source else route.reversed()
        paths.append((leaf_of[leaf], role_number(path.role), route))
        rows.append(_Rates.of(path, shape.rooted_at_source))
    queues = Queues(graph, shape, paths, decision.requirement.max_packet_bytes)
    latencies = {port: waits.get(port, 0) for port in queues.ports}
    known = {port: latency for port, latency in latencies.items() if latency is not None}
    delays = queues.delays_ps(rows, known) if len(known) == len(latencies) else None
    if delays is None:
        return None
    found = {}
    for path, (down, up) in zip(decision.paths, delays, strict=True):
        for turned, delay in ((True, down), (False, up)):
            found[path.role, path.source, path.to, turned] = Fraction(delay, PS)
    return found


class _Rates:
    """Floors of a path, seen from the root."""

    def __init__(self, down: Bound, up: Bound) -> None:
        self.down, self.up = down, up

    @classmethod
    def of(cls, path: PlannedPath, rooted_at_source: bool) -> _Rates:
        forward, reverse = Bound(path.reserved_bps, 0), Bound(path.reverse_bps, 0)
        return cls(forward, reverse) if rooted_at_source else cls(reverse, forward)
