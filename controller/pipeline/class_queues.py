"""What promises would be worth if slices shared a queue for each traffic class, instead of having queues of their own.

Input: a topology and admitted decisions. Output: for each path and direction the delay bound under strict priority
between the classes' queues and order of arrival within them (`carelane.topology.calculus`), and which objectives break.
Primary and backup paths are alternatives: where they meet they count once, elsewhere both are counted, which is never
less than any state of protection brings. Of a consultation all sites are counted, however few may speak at once.

A model of ports, not of linux-htb, whose classes have floors: a planner's answer to "what if the switches had eight
queues a port", and to what one more slice would do to those already there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from carelane.controller.pipeline.shape import Stream, delivery_port, shape_of
from carelane.controller.pipeline.slice_plan import Decision, PlannedPath
from carelane.errors import InputError
from carelane.policies.classes import CLASSES
from carelane.topology.calculus import ClassFlow, SharedPort, class_delays
from carelane.topology.delay import FRAME_BYTES, PS, cost_ps
from carelane.topology.ledger import PortKey
from carelane.topology.model import Hop, Topology

__all__ = ["SharedBound", "Way", "bound_of", "broken_by", "shared_bounds", "ways_of"]


@dataclass(frozen=True, slots=True)
class SharedBound:
    """One direction of a path under class queues; None: no bound. Jitter is the bound less the propagation."""

    name: str
    role: str
    source: str
    to: str
    traffic_class: str
    delay_s: Fraction | None
    jitter_s: Fraction | None
    keeps: bool
    """Whether the slice's delay and jitter objectives hold."""


def shared_bounds(topology: Topology, decisions: Sequence[Decision]) -> tuple[SharedBound, ...]:
    """A row for each path and direction that carries traffic, in the order of the decisions.

    Raises InputError for a port whose capacity is not stated.
    """
    ways = [way for decision in decisions if decision.admitted for way in ways_of(topology, decision)]
    ports: dict[PortKey, SharedPort] = {}
    for way in ways:
        for port in way.ports:
            ports[port] = SharedPort(_id(port), Fraction(_capacity_bps(topology, port)), Fraction(8 * FRAME_BYTES))
    flows = [
        ClassFlow(
            str(number),
            CLASSES[way.decision.requirement.traffic_class].htb_priority,
            tuple(_id(port) for port in way.ports),
            Fraction(way.stream.flow_bps),
            Fraction(8 * way.stream.burst_bytes),
            way.key,
            way.leaf,
        )
        for number, way in enumerate(ways)
    ]
    delays = class_delays(ports.values(), flows)
    return tuple(bound_of(way, delays[str(number)]) for number, way in enumerate(ways))


def broken_by(topology: Topology, admitted: Sequence[Decision], further: Sequence[Decision]) -> tuple[SharedBound, ...]:
    """Whose objectives hold now among the `admitted`, and would not with the `further` ones beside them: those rows.

    Raises InputError as `shared_bounds`.
    """
    rows = shared_bounds(topology, admitted)
    fine = {row.name for row in rows} - {row.name for row in rows if not row.keeps}
    return tuple(row for row in shared_bounds(topology, [*admitted, *further]) if row.name in fine and not row.keeps)


@dataclass(frozen=True, slots=True)
class Way:
    """One direction of one path, policed to `stream`."""

    decision: Decision
    path: PlannedPath
    source: str
    to: str
    ports: tuple[PortKey, ...]
    stream: Stream
    leaf: str

    @property
    def key(self) -> str:
        """The policed flow that it is part of: one for all leaves where traffic is copied to them."""
        leaf = "" if self.stream.sharing == "one" else self.leaf
        return f"{self.decision.name} {'down' if self.stream.down else 'up'} {leaf}"


def ways_of(topology: Topology, decision: Decision) -> Iterator[Way]:
    shape = shape_of(decision.requirement)
    for path in decision.paths:
        onwards, back = (shape.down, shape.up) if shape.rooted_at_source else (shape.up, shape.down)
        leaf = path.to if shape.rooted_at_source else path.source
        ends = ((path.source, path.to, path.hops, onwards), (path.to, path.source, _reversed(path.hops), back))
        for source, to, hops, stream in ends:
            if stream.flow_bps:
                ports = (*((hop.node, hop.link) for hop in hops), delivery_port(topology.endpoints[to]))
                yield Way(decision, path, source, to, ports, stream, leaf)


def _reversed(hops: Sequence[Hop]) -> tuple[Hop, ...]:
    return tuple(Hop(hop.link, hop.next_node, hop.node) for hop in reversed(hops))


def _id(port: PortKey) -> str:
    return f"{port[0]} {port[1]}"


def _capacity_bps(topology: Topology, port: PortKey) -> int:
    name = port[1]
    endpoint = topology.endpoints.get(name)
    if endpoint is not None and delivery_port(endpoint) == port:
        capacity = endpoint.capacity_bps
    else:
        capacity = topology.links[name].capacity_bps
    if capacity is None:
        raise InputError(f"{name} states no capacity", remedy="state it in the topology, or give --default-capacity")
    return capacity


def bound_of(way: Way, queueing_s: Fraction | None) -> SharedBound:
    objectives = way.decision.requirement.objectives
    propagation_s = way.path.propagation_s
    delay = None
    if queueing_s is not None and propagation_s is not None:
        delay = queueing_s + Fraction(cost_ps(propagation_s), PS)
    keeps = _within(delay, objectives.delay_s) and _within(queueing_s, objectives.jitter_s)
    return SharedBound(
        way.decision.name,
        way.path.role,
        way.source,
        way.to,
        way.decision.requirement.traffic_class,
        delay,
        queueing_s,
        keeps,
    )


def _within(bound_s: Fraction | None, asked_s: float | None) -> bool:
    return asked_s is None or (bound_s is not None and bound_s <= Fraction(repr(asked_s)))
