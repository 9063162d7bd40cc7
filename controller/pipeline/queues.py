"""The queues of one slice: which floors it needs at which port, and the bounds where its own flows meet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from carelane.controller.pipeline.limits import Bound, Room
from carelane.controller.pipeline.shape import Slice, Stream, delivery_port
from carelane.controller.pipeline.trees import Branch, copies
from carelane.topology.delay import CyclicDependency, Flow, Port, SharedQueues, port_latency_ps
from carelane.topology.ledger import PortKey
from carelane.topology.model import Endpoint, Topology
from carelane.topology.paths import PathGraph, Route

__all__ = ["LeafPath", "OwnFloors", "Queues", "room_at"]

LeafPath = tuple[int, int, Route]
"""(leaf, role, route from the root)."""


class OwnFloors:
    """Floors of leaves placed so far, as far as they take room from further leaves of the same slice."""

    def __init__(self, shape: Slice) -> None:
        self._shape = shape
        self._placed: tuple[dict[int, int], dict[int, int]] = ({}, {})
        """How many leaves lead over an arc, for `down` and for `up`."""
        self._trees: dict[int, set[int]] = {}
        """Which trees lead over an arc, by the role of their paths."""

    def add(self, arcs: Sequence[int], role: int) -> None:
        """Note a path of another leaf. Floors that leaves share take no room from each other."""
        for stream, turn, placed in ((self._shape.down, 0, self._placed[0]), (self._shape.up, 1, self._placed[1])):
            if stream.sharing == "each":
                for arc in arcs:
                    placed[arc ^ turn] = placed.get(arc ^ turn, 0) + 1
        if self._shape.down.sharing == "one":
            for arc in arcs:
                self._trees.setdefault(arc, set()).add(role)

    def left(self, room: Room, role: int) -> npt.NDArray[np.int64]:
        """Room per arc for a path of that role of the next leaf: one of those that are active together may be the one
        that is placed; trees of other roles hold floors of their own."""
        if not any(self._placed) and not self._trees:
            return room.arcs
        free = room.arcs.copy()
        for stream, placed in zip((self._shape.down, self._shape.up), self._placed, strict=True):
            for arc, count in placed.items():
                free[arc] -= min(count, (stream.together or count) - 1) * stream.floor_bps
        for arc, roles in self._trees.items():
            free[arc] -= len(roles - {role}) * self._shape.down.floor_bps
        return free


class _Rated(Protocol):
    """Rows of an embedding, as far as floors are concerned."""

    @property
    def down(self) -> Bound: ...

    @property
    def up(self) -> Bound: ...


class Queues:
    """All ways that traffic of the slice may take through its queues, in every state of protection."""

    def __init__(self, graph: PathGraph, shape: Slice, paths: Sequence[LeafPath], packet_bytes: int) -> None:
        self.paths = paths
        self._shape = shape
        self._packet_bytes = packet_bytes
        self._down = [_ports_down(shape.leaves[leaf], route) for leaf, _, route in paths]
        self._up = [_ports_up(shape.root, route) for _, _, route in paths]
        trees = _tree_keys(graph.topology, paths) if shape.down.sharing == "one" else None
        leaves = [leaf for leaf, _, _ in paths]
        self._floor_keys = (
            trees or _at_all(map(shape.down.floor_key, leaves), self._down),
            _at_all(map(shape.up.floor_key, leaves), self._up),
        )
        self._latency: dict[PortKey, int] = {}
        for endpoint in (shape.root, *shape.leaves):
            self._latency[delivery_port(endpoint)] = _latency_ps(endpoint.capacity_bps)
        for _, _, route in paths:
            for link in route.links:
                data = graph.topology.links[link]
                latency = graph.latency[graph.link_index[link]]
                self._latency |= {(data.a, link): latency, (data.b, link): latency}
        self._flows = [
            *self._flows_of(shape.down, self._down, trees or _at_all(map(shape.down.flow_key, leaves), self._down)),
            *self._flows_of(shape.up, self._up, _at_all(map(shape.up.flow_key, leaves), self._up)),
        ]
        self.shared = SharedQueues(self._flows)
        self.ports = sorted({port for flow in self._flows for port in flow.ports})

    def _flows_of(
        self, stream: Stream, ways: Sequence[tuple[PortKey, ...]], keys: Sequence[tuple[object, ...]]
    ) -> list[Flow]:
        if not stream.floor_bps:
            return []
        return [
            Flow(leaf, ports, own, stream.burst_bytes, stream.flow_bps, stream.down, stream.together)
            for (leaf, _, _), ports, own in zip(self.paths, ways, keys, strict=True)
        ]

    def floors(self, rows: Sequence[_Rated]) -> dict[PortKey, int]:
        """The floor at every port, rows being in the order of `paths`."""
        return self._added([row.down.rate_bps for row in rows], [row.up.rate_bps for row in rows])

    def uniform_floors(self, down_bps: int, up_bps: int) -> dict[PortKey, int]:
        """The floor at every port when all paths have the same rates."""
        return self._added([down_bps] * len(self.paths), [up_bps] * len(self.paths))

    def _added(self, down: Sequence[int], up: Sequence[int]) -> dict[PortKey, int]:
        total: dict[PortKey, int] = {}
        down_keys, up_keys = self._floor_keys
        for stream, ways, keys, rates in (
            (self._shape.down, self._down, down_keys, down),
            (self._shape.up, self._up, up_keys, up),
        ):
            if not stream.floor_bps:
                continue
            held: dict[PortKey, dict[object, int]] = {}
            for ports, own, rate in zip(ways, keys, rates, strict=True):
                for port, key in zip(ports, own, strict=True):
                    floors = held.setdefault(port, {})
                    floors[key] = max(floors.get(key, 0), rate)
            for port, floors in held.items():
                total[port] = total.get(port, 0) + stream.added_bps(floors.values())
        return {port: total[port] for port in sorted(total)}

    def bounds(self, down_bps: int, up_bps: int) -> list[tuple[Bound, Bound]] | None:
        """Bounds (down, up) of every path at uniform rates; None when there are none (cyclic dependency)."""
        floors = self.uniform_floors(down_bps, up_bps)
        try:
            delays = self._delays_ps(floors, self._latency)
        except CyclicDependency:
            return None
        down = _bounds(down_bps, delays[: len(self.paths)] if down_bps else [], len(self.paths))
        up = _bounds(up_bps, delays[-len(self.paths) :] if up_bps else [], len(self.paths))
        return list(zip(down, up, strict=True))

    def delays_ps(self, rows: Sequence[_Rated], latency_ps: Mapping[PortKey, int]) -> list[tuple[int, int]] | None:
        """Queueing and transmission delay (down, up) of every path where others cause these latencies; 0: unused.

        None as with `bounds`.
        """
        try:
            delays = self._delays_ps(self.floors(rows), latency_ps)
        except CyclicDependency:
            return None
        idle = [0] * len(self.paths)
        down = delays[: len(self.paths)] if self._shape.down.floor_bps else idle
        up = delays[-len(self.paths) :] if self._shape.up.floor_bps else idle
        return list(zip(down, up, strict=True))

    def _delays_ps(self, floors: Mapping[PortKey, int], latency_ps: Mapping[PortKey, int]) -> list[int]:
        ports = {port: Port(floor, latency_ps[port]) for port, floor in floors.items()}
        return self.shared.delays_ps(ports, self._packet_bytes)


def _tree_keys(topology: Topology, paths: Sequence[LeafPath]) -> list[tuple[object, ...]]:
    """Which copies of what the root sends are the same, at every port of each path: one at the port of delivery."""
    branches = tuple(Branch(leaf, role, route.nodes, route.links) for leaf, role, route in paths)
    return [(*keys, None) for keys in copies(topology, branches)]


def _at_all(keys: Iterable[object], ways: Sequence[tuple[PortKey, ...]]) -> list[tuple[object, ...]]:
    """One key for all ports of a way."""
    return [(key,) * len(ports) for key, ports in zip(keys, ways, strict=True)]


def _bounds(rate_bps: int, delays: Sequence[int], count: int) -> list[Bound]:
    return [Bound(rate_bps, delay) for delay in delays] if rate_bps else [Bound(0, 0)] * count


def _ports_down(leaf: Endpoint, route: Route) -> tuple[PortKey, ...]:
    return (*zip(route.nodes, route.links, strict=False), delivery_port(leaf))


def _ports_up(root: Endpoint, route: Route) -> tuple[PortKey, ...]:
    back = route.reversed()
    return (*zip(back.nodes, back.links, strict=False), delivery_port(root))


def _latency_ps(capacity_bps: int | None) -> int:
    return port_latency_ps(capacity_bps) if capacity_bps else 0


def room_at(room: Room, ports: Sequence[PortKey], endpoints: Sequence[Endpoint]) -> Mapping[PortKey, int]:
    """Room at each of the slice's ports."""
    ends = {endpoint.id: endpoint for endpoint in endpoints}
    return {port: room.at(port, ends) for port in ports}
