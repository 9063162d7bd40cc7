"""Servers that divide their rate between classes: each class has a queue, and what the scheduler leaves for it.

A queue is analysed as a server of its own with a service curve (`_schedulers`). That of deficit round robin depends on
quanta and packets alone, so all classes are analysed at once. That of strict priority depends on what higher classes
bring, so classes are analysed one after the other, from the highest down; they must come in one order everywhere, and
may meet only where a scheduler keeps them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Generic, Literal, TypeVar

from carelane.errors import InputError
from carelane.topology.calculus._curves import (
    ArrivalCurve,
    RateLatency,
    ServiceCurve,
    left_over_arbitrary,
    rate_latency,
    sum_of,
)
from carelane.topology.calculus._network import Flow, Network, Server
from carelane.topology.calculus._schedulers import deficit_round_robin

__all__ = ["Lost", "Part", "class_by_class"]

Found = TypeVar("Found")
Arrival = Callable[[str], ArrivalCurve | None]


@dataclass(frozen=True, slots=True)
class Lost:
    """A flow that meets a queue for which higher classes leave nothing, or may leave nothing."""

    flow: str
    reason: str


@dataclass(frozen=True, slots=True)
class Part(Generic[Found]):
    """Some classes of a network as a network of their own `queues`, what was found there, and the flows without bound.

    Whatever comes behind a queue without service is not among the queues.
    """

    found: Found | None
    lost: tuple[Lost, ...]
    queues: frozenset[str]


def class_by_class(
    network: Network,
    multiplexing: Literal["fifo", "arbitrary"],
    analyse: Callable[[Network], tuple[Found, Arrival]],
) -> list[Part[Found]]:
    """The parts of `network`, each analysed behind those before it. Raises InputError, and what `analyse` raises."""
    _check(network)
    arrivals: dict[tuple[str, str], ArrivalCurve | None] = {}
    parts = []
    for members in _turns(network):
        part, arrival = _part(network, members, arrivals, strict=multiplexing == "arbitrary", analyse=analyse)
        parts.append(part)
        for server, name in {(server, flow.traffic_class or "") for flow in members for server in flow.path}:
            queue = _queue(server, name)
            if network.servers[server].priorities:
                arrivals[server, name] = arrival(queue) if arrival is not None and queue in part.queues else None
    return parts


def _turns(network: Network) -> list[list[Flow]]:
    """Flows that are analysed together, in order."""
    after: dict[str | None, set[str | None]] = {flow.traffic_class: set() for flow in network.flows.values()}
    for server in network.servers.values():
        met = {network.flows[flow].traffic_class for flow in network.crossing[server.id]}
        order = [name for name in server.priorities if name in met]
        for higher, lower in pairwise(order):
            after[lower].add(higher)
    if not any(server.priorities for server in network.servers.values()):
        return [list(network.flows.values())]
    try:
        sequence = list(TopologicalSorter(after).static_order())
    except CycleError as error:
        names = ", ".join(str(name) for name in error.args[1][:-1])
        raise InputError(
            f"classes {names} come in different orders at different servers",
            field="spec.servers",
            expected="one order of priorities in the network",
        ) from None
    return [[flow for flow in network.flows.values() if flow.traffic_class == name] for name in sequence]


def _check(network: Network) -> None:
    """Raises InputError for servers where classes meet that a class-by-class analysis cannot keep apart."""
    if not any(server.priorities for server in network.servers.values()):
        return
    for server in network.servers.values():
        met = dict.fromkeys(network.flows[flow].traffic_class or "none" for flow in network.crossing[server.id])
        if len(met) > 1 and not server.priorities and not server.quanta:
            raise InputError(
                f"classes {', '.join(met)} meet at server {server.id}, which has no scheduler",
                field="spec.servers",
                expected="priorities or quanta at every server where classes meet, as other servers have priorities",
            )


def _queue(server: str, name: str) -> str:
    """The queue's name in the part's network; no identifier has a space."""
    return f"{server} {name}"


def _part(
    network: Network,
    members: Sequence[Flow],
    arrivals: Mapping[tuple[str, str], ArrivalCurve | None],
    *,
    strict: bool,
    analyse: Callable[[Network], tuple[Found, Arrival]],
) -> tuple[Part[Found], Arrival | None]:
    queues: dict[str, Server | None] = {}
    for flow in members:
        for server in flow.path:
            name = _name(network, server, flow)
            if name not in queues:
                queues[name] = _server(network, server, flow.traffic_class or "", arrivals, strict=strict)
    paths, lost = _truncated(network, members, queues)
    kept = [replace(flow, path=paths[flow.id]) for flow in members if paths[flow.id]]
    if not kept:
        return Part(None, lost, frozenset()), None
    crossed = dict.fromkeys(queue for flow in kept for queue in flow.path)
    found, arrival = analyse(Network.of([known for name in crossed if (known := queues[name]) is not None], kept))
    return Part(found, lost, frozenset(crossed)), arrival


def _name(network: Network, server: str, flow: Flow) -> str:
    known = network.servers[server]
    return _queue(server, flow.traffic_class or "") if known.priorities or known.quanta else server


def _truncated(
    network: Network, members: Sequence[Flow], queues: Mapping[str, Server | None]
) -> tuple[dict[str, tuple[str, ...]], tuple[Lost, ...]]:
    """Paths before the first queue without service. What may come behind it is without bound, and so on."""
    dead = {name for name, server in queues.items() if server is None}
    first = dict.fromkeys(dead, "higher classes leave nothing at")
    while True:
        spread = set()
        for flow in members:
            names = [_name(network, server, flow) for server in flow.path]
            start = next((place for place, name in enumerate(names) if name in dead), len(names))
            spread |= set(names[start + 1 :]) - dead
        if not spread:
            break
        dead |= spread
        first |= dict.fromkeys(spread, "what arrives has no bound at")
    paths, lost = {}, []
    for flow in members:
        names = [_name(network, server, flow) for server in flow.path]
        place = next((place for place, name in enumerate(names) if name in dead), len(names))
        paths[flow.id] = tuple(names[:place])
        if place < len(names):
            lost.append(Lost(flow.id, f"{first[names[place]]} server {flow.path[place]}"))
    return paths, tuple(lost)


def _server(
    network: Network,
    server: str,
    name: str,
    arrivals: Mapping[tuple[str, str], ArrivalCurve | None],
    *,
    strict: bool,
) -> Server | None:
    """The queue of class `name` at `server`; None when nothing is left for it."""
    known = network.servers[server]
    if not known.priorities and not known.quanta:
        return known
    packets = {each: Fraction(0) for each in (*known.priorities, *known.quanta)}
    for flow in (network.flows[flow] for flow in network.crossing[server]):
        packets[flow.traffic_class or ""] = max(packets[flow.traffic_class or ""], flow.packet)
    curve = _round_robin(known, name, packets) if known.quanta else None
    if known.priorities:
        place = known.priorities.index(name)
        above = [arrivals[server, each] for each in known.priorities[:place] if (server, each) in arrivals]
        in_the_way = [packets[each] for each in known.priorities[place if strict else place + 1 :]]
        curve = _by_priority(known, above, max(in_the_way, default=Fraction(0)))
    if curve is None:
        return None
    return Server(_queue(server, name), curve.rate, curve.latency, known.peak, curve=curve)


def _by_priority(server: Server, above: Sequence[ArrivalCurve | None], in_the_way: Fraction) -> ServiceCurve | None:
    """[R (t - T) - arrivals of higher classes - longest packet in the way]+."""
    higher = [curve for curve in above if curve is not None]
    if len(higher) < len(above):
        return None
    if not higher:
        return rate_latency(server.rate, server.latency + in_the_way / server.rate)
    blocked = ArrivalCurve.of(bucket._replace(burst=bucket.burst + in_the_way) for bucket in sum_of(higher).buckets)
    return left_over_arbitrary(rate_latency(server.rate, server.latency), blocked)


def _round_robin(server: Server, name: str, packets: Mapping[str, Fraction]) -> ServiceCurve:
    classes = list(server.quanta)
    left = deficit_round_robin(
        server.rate, list(server.quanta.values()), [packets[each] for each in classes], classes.index(name)
    )
    return ServiceCurve(tuple(RateLatency(line.rate, line.latency + server.latency) for line in left.lines))
