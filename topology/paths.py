"""The constrained shortest path: a topology as flat arrays, and an exact search on it.

Input: a `PathGraph` (built once per topology) and a `Query` (ends, arcs that may be used, room on them, and a test
whether a path with given metrics is acceptable). Output: the acceptable path of least propagation delay, ties broken
by hops and then by link ids, so that equal input gives equal bytes. None means that there is none, unless the
`Effort` ran out, which it records.

Method. First a plain shortest path, which nearly always passes the test. Otherwise label setting: partial paths in
order of cost, dropped when another one at the same node is at least as good in every metric, or when even the best
imaginable remainder (backward shortest distances, one per metric) would not pass. Exact because every metric only
gets worse along a path. A risk group's availability counts once a path, so a label is only compared after charging it
for the groups that the other has already paid.

Numbers are integers (picoseconds, bit/s, indices in order of ids) except the logarithms of availability and loss,
which are used for pruning with a tolerance; `Query.accept` has the exact last word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from heapq import heappop, heappush
from math import inf, log
from typing import NamedTuple

from carelane.topology.delay import cost_ps, port_latency_ps
from carelane.topology.model import Hop, Topology

__all__ = ["TOLERANCE", "UNKNOWN_PS", "Effort", "Metrics", "PathGraph", "Query", "Route", "best_route", "hops_of"]

UNKNOWN_PS = 10**24
"""Stands for a delay that is not stated: more than any sum of real ones, so such links come last."""
TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """A simple path: its nodes and the links between them, one fewer."""

    nodes: tuple[str, ...]
    links: tuple[str, ...]

    def reversed(self) -> Route:
        return Route(self.nodes[::-1], self.links[::-1])


def hops_of(route: Route) -> tuple[Hop, ...]:
    """The route as hops."""
    ends = zip(route.nodes, route.nodes[1:], strict=False)
    return tuple(Hop(link, node, following) for link, (node, following) in zip(route.links, ends, strict=True))


class Metrics(NamedTuple):
    """What a path adds up to, its end ports not included. Every field only gets worse as the path grows.

    `wear` is -log availability of links, inner nodes and risk groups; `loss` is -log of the share delivered;
    `room` and `return_room` are what its tightest port still has, onwards and in the return direction (bit/s).
    """

    propagation_ps: int
    hops: int
    latency_ps: int
    wear: float
    loss: float
    room: int
    return_room: int


@dataclass
class Effort:
    """Work left to a search, in labels. `exhausted` tells that it ended early, so that its "none" proves nothing."""

    left: int
    exhausted: bool = False

    def spend(self) -> bool:
        """Whether there was any left."""
        self.left -= 1
        self.exhausted = self.exhausted or self.left < 0
        return self.left >= 0


class PathGraph:
    """Flat arrays of a topology. Arc 2l leads from a to b of link l, arc 2l + 1 back; arc ^ 1 is the return."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.node_ids = sorted(topology.nodes)
        self.link_ids = sorted(topology.links)
        self.node_index = {name: index for index, name in enumerate(self.node_ids)}
        self.link_index = {name: index for index, name in enumerate(self.link_ids)}
        links = [topology.links[name] for name in self.link_ids]
        nodes = [topology.nodes[name] for name in self.node_ids]
        self.tail: list[int] = []
        self.leaving: list[list[tuple[int, int]]] = [[] for _ in nodes]
        for index, link in enumerate(links):
            a, b = self.node_index[link.a], self.node_index[link.b]
            self.tail += [a, b]
            if a != b:
                self.leaving[a].append((b, 2 * index))
                self.leaving[b].append((a, 2 * index + 1))
        self.capacity = [link.capacity_bps for link in links for _ in range(2)]
        self.arc_of = {(self.node_ids[tail], self.link_ids[arc >> 1]): arc for arc, tail in enumerate(self.tail)}
        """The arc that leaves by an egress port, (node, link id) as in the ledger."""
        self.propagation = [UNKNOWN_PS if link.delay_s is None else cost_ps(link.delay_s) for link in links]
        self.latency = [port_latency_ps(link.capacity_bps) if link.capacity_bps else 0 for link in links]
        self.loss = [_wear(1.0 - link.loss) if link.loss else 0.0 for link in links]
        self.link_wear = [_wear(link.availability) for link in links]
        self.node_wear = [_wear(node.availability) for node in nodes]
        own = {name: group.availability for name, group in topology.risk_groups.items()}
        self.group_wear = {name: _wear(value) for name, value in own.items() if value is not None}
        self.link_groups = [link.risk_groups for link in links]
        self.node_groups = [node.risk_groups for node in nodes]
        self.group_links = _members(self.link_groups)
        self.group_nodes = _members(self.node_groups)
        self._link_paying = [link.risk_groups & self.group_wear.keys() for link in links]
        self._node_paying = [node.risk_groups & self.group_wear.keys() for node in nodes]

    def paying_groups(self, link: int, node: int) -> frozenset[str]:
        """Risk groups with an availability of their own that stepping over `link` to `node` touches."""
        first, second = self._link_paying[link], self._node_paying[node]
        return first | second if first and second else first or second

    @cached_property
    def unstated(self) -> frozenset[str]:
        """The figures that some link, or for availability some node, does not state: capacity, delay, availability."""
        links, nodes = self.topology.links.values(), self.topology.nodes.values()
        missing = {
            "capacity": any(link.capacity_bps is None for link in links),
            "delay": any(link.delay_s is None for link in links),
            "availability": any(x.availability is None for x in links) or any(n.availability is None for n in nodes),
        }
        return frozenset(figure for figure, found in missing.items() if found)

    @cached_property
    def part_of(self) -> list[int]:
        """A number per node, equal for nodes that links join, directly or not."""
        parts = [-1] * len(self.node_ids)
        for start in range(len(parts)):
            stack = [start] if parts[start] < 0 else []
            while stack:
                node = stack.pop()
                if parts[node] < 0:
                    parts[node] = start
                    stack.extend(following for following, _ in self.leaving[node])
        return parts

    def route(self, source: int, arcs: Sequence[int]) -> Route:
        nodes = [source, *(self.tail[arc ^ 1] for arc in arcs)]
        return Route(tuple(self.node_ids[n] for n in nodes), tuple(self.link_ids[arc >> 1] for arc in arcs))

    def arcs(self, route: Route) -> list[int]:
        """The arcs of a route, in order."""
        result = []
        for link, node in zip(route.links, route.nodes, strict=False):
            arc = 2 * self.link_index[link]
            result.append(arc if self.tail[arc] == self.node_index[node] else arc + 1)
        return result


def _members(groups_of: Sequence[frozenset[str]]) -> dict[str, frozenset[int]]:
    members: dict[str, set[int]] = {}
    for index, groups in enumerate(groups_of):
        for group in groups:
            members.setdefault(group, set()).add(index)
    return {group: frozenset(indices) for group, indices in members.items()}


def _wear(availability: float | None) -> float:
    if availability is None:
        return 0.0
    return -log(availability) if availability > 0 else inf


@dataclass(frozen=True)
class Query:
    """One search. `usable[arc]` and `room[arc]` are given for all arcs; the return direction is `room[arc ^ 1]`.

    `acceptable` is monotone: once false it stays false when any metric gets worse. `paid_groups` are the risk groups
    that the end nodes touch anyway.
    """

    graph: PathGraph
    source: int
    target: int
    usable: Sequence[bool]
    room: Sequence[int]
    acceptable: Callable[[Metrics], bool]
    max_wear: float = inf
    paid_groups: frozenset[str] = frozenset()
    accept: Callable[[Route], bool] = field(default=lambda _: True)

    def metrics(self, arcs: Iterable[int]) -> Metrics:
        """Metrics of the path made of `arcs`."""
        total = start_metrics()
        groups = self.paid_groups
        for arc in arcs:
            total, groups = self.extend(total, groups, arc)
        return total

    def extend(self, so_far: Metrics, groups: frozenset[str], arc: int) -> tuple[Metrics, frozenset[str]]:
        """Metrics and paid risk groups after one more arc."""
        graph, link, node = self.graph, arc >> 1, self.graph.tail[arc ^ 1]
        wear = so_far.wear + graph.link_wear[link] + (graph.node_wear[node] if node != self.target else 0.0)
        touched = graph.paying_groups(link, node)
        if touched and not touched <= groups:
            wear += sum(graph.group_wear[group] for group in sorted(touched - groups))
            groups = groups | touched
        metrics = Metrics(
            so_far.propagation_ps + graph.propagation[link],
            so_far.hops + 1,
            so_far.latency_ps + graph.latency[link],
            wear,
            so_far.loss + graph.loss[link],
            min(so_far.room, self.room[arc]),
            min(so_far.return_room, self.room[arc ^ 1]),
        )
        return metrics, groups

    def passes(self, metrics: Metrics) -> bool:
        return metrics.wear <= self.max_wear + TOLERANCE and self.acceptable(metrics)


UNLIMITED = 10**18


def start_metrics() -> Metrics:
    """Metrics of the empty path."""
    return Metrics(0, 0, 0, 0.0, 0.0, UNLIMITED, UNLIMITED)


Arcs = list[list[tuple[int, int]]]


def _neighbours(query: Query, banned_links: frozenset[int], banned_nodes: frozenset[int]) -> Arcs:
    usable = query.usable
    return [
        [
            (node, arc)
            for node, arc in leaving
            if usable[arc] and node not in banned_nodes and (arc >> 1) not in banned_links
        ]
        for leaving in query.graph.leaving
    ]


def best_route(
    query: Query,
    effort: Effort,
    banned_links: frozenset[int] = frozenset(),
    banned_nodes: frozenset[int] = frozenset(),
) -> Route | None:
    """The acceptable route of least (propagation, hops, link ids) that avoids the banned links and nodes, or None."""
    if query.source == query.target:
        route = query.graph.route(query.source, [])
        return route if query.passes(start_metrics()) and query.accept(route) else None
    neighbours = _neighbours(query, banned_links, banned_nodes)
    arcs = _shortest(query, neighbours, effort)
    if arcs is None:
        return None
    if query.passes(query.metrics(arcs)):
        route = query.graph.route(query.source, arcs)
        if query.accept(route):
            return route
    return _label_setting(query, neighbours, effort)


def _shortest(query: Query, neighbours: Arcs, effort: Effort) -> list[int] | None:
    """Dijkstra from source to target by propagation, hops and arcs; None: not connected."""
    propagation = query.graph.propagation
    heap: list[tuple[int, int, tuple[int, ...], int]] = [(0, 0, (), query.source)]
    done: set[int] = set()
    reached: dict[int, tuple[int, int]] = {}
    while heap:
        cost, hops, path, node = heappop(heap)
        if node in done:
            continue
        if node == query.target:
            return list(path)
        done.add(node)
        if not effort.spend():
            return None
        for following, arc in neighbours[node]:
            if following in done:
                continue
            reach = (cost + propagation[arc >> 1], hops + 1)
            if following in reached and reached[following] < reach:
                continue
            reached[following] = reach
            heappush(heap, (*reach, (*path, arc), following))
    return None


class _Remainders:
    """Per node, the least each metric can still add on the way to the target; inf where it cannot be reached."""

    def __init__(self, query: Query, neighbours: Arcs) -> None:
        graph = query.graph
        into: Arcs = [[] for _ in neighbours]
        for node, leaving in enumerate(neighbours):
            for following, arc in leaving:
                into[following].append((node, arc))
        target = query.target

        def wear(arc: int) -> float:
            node = graph.tail[arc ^ 1]
            return graph.link_wear[arc >> 1] + (graph.node_wear[node] if node != target else 0.0)

        self.propagation = _distances(into, target, lambda arc: graph.propagation[arc >> 1])
        self.hops = _distances(into, target, lambda _: 1)
        self.latency = _distances(into, target, lambda arc: graph.latency[arc >> 1])
        self.wear = _distances(into, target, wear) if query.max_wear < inf else None
        self.loss = _distances(into, target, lambda arc: graph.loss[arc >> 1]) if any(graph.loss) else None

    def complete(self, metrics: Metrics, node: int) -> Metrics | None:
        """`metrics` with the best imaginable remainder added; None where there is no way on."""
        if self.hops[node] == inf:
            return None
        return metrics._replace(
            propagation_ps=metrics.propagation_ps + int(self.propagation[node]),
            hops=metrics.hops + int(self.hops[node]),
            latency_ps=metrics.latency_ps + int(self.latency[node]),
            wear=metrics.wear + (self.wear[node] if self.wear else 0.0),
            loss=metrics.loss + (self.loss[node] if self.loss else 0.0),
        )


def _distances(into: Arcs, target: int, weight: Callable[[int], float]) -> list[float]:
    distance: list[float] = [inf] * len(into)
    distance[target] = 0
    heap: list[tuple[float, int]] = [(0, target)]
    while heap:
        far, node = heappop(heap)
        if far > distance[node]:
            continue
        for before, arc in into[node]:
            further = far + weight(arc)
            if further < distance[before]:
                distance[before] = further
                heappush(heap, (further, before))
    return distance


Label = tuple[Metrics, frozenset[str]]


def _label_setting(query: Query, neighbours: Arcs, effort: Effort) -> Route | None:
    remainders = _Remainders(query, neighbours)
    group_wear = query.graph.group_wear if query.max_wear < inf else None
    settled: list[list[Label]] = [[] for _ in neighbours]
    order = 0
    heap: list[tuple[int, int, tuple[int, ...], int, int, Label]] = []
    heappush(heap, (0, 0, (), order, query.source, (start_metrics(), query.paid_groups)))
    while heap:
        _, _, path, _, node, label = heappop(heap)
        if node == query.target:
            route = query.graph.route(query.source, path)
            if query.accept(route):
                return route
            continue
        if any(_at_least_as_good(other, label, group_wear) for other in settled[node]):
            continue
        settled[node].append(label)
        if not effort.spend():
            return None
        for following, arc in neighbours[node]:
            metrics, groups = query.extend(*label, arc)
            imagined = remainders.complete(metrics, following)
            if imagined is None or not query.passes(imagined):
                continue
            if any(_at_least_as_good(other, (metrics, groups), group_wear) for other in settled[following]):
                continue
            order += 1
            key = (metrics.propagation_ps, metrics.hops, (*path, arc), order, following, (metrics, groups))
            heappush(heap, key)
    return None


def _at_least_as_good(first: Label, second: Label, group_wear: dict[str, float] | None) -> bool:
    """Whether every continuation of `second` would be at least as good after `first`, which was settled earlier.

    `group_wear` None: availability does not matter to this search.
    """
    a, b = first[0], second[0]
    if not (
        a.hops <= b.hops
        and a.latency_ps <= b.latency_ps
        and a.loss <= b.loss
        and a.room >= b.room
        and a.return_room >= b.return_room
        and a.propagation_ps <= b.propagation_ps
    ):
        return False
    if group_wear is None:
        return True
    owed = second[1] - first[1]
    return a.wear + (sum(group_wear[group] for group in owed) if owed else 0.0) <= b.wear
