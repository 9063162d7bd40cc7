"""Embed: find paths, rates and floors for one requirement beside what the ledger already holds. Pure.

Input: graph, requirement, ledger. Output: an `Embedding`, or None when there is none (or when the effort ran out).
Decisions taken here:

- Every leaf gets the fewest mutually disjoint paths that reach the availability asked for (one, two, then three; never
  three where switches copy for several receivers), and of so many the cheapest (least propagation in all, then hops),
  the primary being the fastest of them. Each path, backups too, meets every bound and holds its floors.
- Only links whose figures are stated are used for a promise that needs them.
- Primary paths of several leaves form a tree, so that trunks are shared and queues feed each other in one direction
  only. The tree is grown leaf by leaf; if a leaf finds no place, it is tried again with that leaf first. Where the root
  sends the same to all leaves, their backups form a second tree if they can, so that those share copies as well.
- Where flows of the slice meet in a queue, all of them get one common rate, the least that keeps every bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import prod

import numpy as np
import numpy.typing as npt

from carelane.controller.pipeline.limits import AMPLE_BPS, Bound, Limits, Room
from carelane.controller.pipeline.queues import LeafPath, OwnFloors, Queues, room_at
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.shape import Slice, access_port, shape_of
from carelane.topology.availability import (
    exact_availability,
    exact_ratio,
    switching_unavailability,
    unstated_availability,
)
from carelane.topology.backup_pool import Standby
from carelane.topology.disjoint import disjoint_routes
from carelane.topology.ledger import CapacityLedger, PortKey
from carelane.topology.model import Topology
from carelane.topology.paths import UNKNOWN_PS, Effort, PathGraph, Query, Route

__all__ = ["Embedder", "Embedding", "Routes", "Row", "embed", "reached"]

MAX_PATHS = 3
MAX_TREES = 2
"""Paths between which switches move a receiver's copies by themselves; a third waits for the controller (ADR 48)."""
_NONE = np.zeros(0, dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class Row:
    """One path of one leaf, from the root. `propagation_ps` None: some link states no delay."""

    leaf: int
    role: int
    route: Route
    propagation_ps: int | None
    down: Bound
    up: Bound


@dataclass(frozen=True, slots=True)
class Embedding:
    """Rows by leaf and role, and every floor the slice needs. `availability` None: not all figures are stated.

    `standby` is there when the backup shares its floors with others.
    """

    shape: Slice
    rows: tuple[Row, ...]
    floors: Mapping[PortKey, int]
    availability: Fraction | None
    standby: Standby | None = None

    def held(self, ledger: CapacityLedger, requirement: Requirement) -> CapacityLedger:
        """`ledger` with the slice of `requirement` embedded so."""
        shared = frozenset(self.standby.ports) if self.standby else frozenset[PortKey]()
        floors = [(port, rate_bps) for port, rate_bps in self.floors.items() if port not in shared]
        return ledger.with_slice(requirement.name, floors, requirement.window, self.standby)


def embed(
    graph: PathGraph,
    requirement: Requirement,
    ledger: CapacityLedger,
    effort: Effort,
    *,
    unlimited: bool = False,
) -> Embedding | None:
    """An embedding of `requirement`, or None. `unlimited` leaves capacity (not its data) out of account."""
    return Embedder(
        graph, requirement, Room(graph, ledger.seen_by(requirement.name, requirement.window), unlimited), effort
    ).run()


Routes = list[tuple[Route, ...]]
Entered = list[dict[int, int]]
"""For the tree of each role, by which arc it enters a node."""


class Embedder:
    """One search for an embedding. `usable_room` and `room_of` are what a path of each role finds free."""

    def __init__(self, graph: PathGraph, requirement: Requirement, room: Room, effort: Effort) -> None:
        self.graph = graph
        self.requirement = requirement
        self.room = room
        self.effort = effort
        self.shape = shape_of(requirement)
        self.limits = Limits(requirement, self.shape, room)
        self.target = requirement.objectives.availability

    def run(self) -> Embedding | None:
        if not self._ends_fit():
            return None
        order = list(range(len(self.shape.leaves)))
        for _ in range(min(3, len(order))):
            routes, failed = self._all_routes(order)
            if routes is not None:
                return self._with_rates(routes)
            if failed == order[0]:
                return None
            order = [failed, *(leaf for leaf in order if leaf != failed)]
        return None

    def _ends_fit(self) -> bool:
        down, up = self.shape.down, self.shape.up
        for leaf in self.shape.leaves:
            if self.room.delivery(leaf) < down.floor_bps:
                return False
        if any(self.room.access(endpoint) < load for endpoint, load in self.shape.access_loads()):
            return False
        ends = {self.shape.root.node, *(leaf.node for leaf in self.shape.leaves)}
        unstated = any(self.graph.topology.nodes[node].availability is None for node in ends)
        return self.room.delivery(self.shape.root) >= up.floor_bps and not (unstated and self.target is not None)

    def _all_routes(self, order: Sequence[int]) -> tuple[Routes | None, int]:
        """Routes of all leaves, or None and the leaf that found no place."""
        routes: dict[int, tuple[Route, ...]] = {}
        floors = OwnFloors(self.shape)
        entered: Entered = [{} for _ in range(MAX_PATHS)]
        for leaf in order:
            found = self._leaf_routes(leaf, floors, entered)
            if found is None:
                return None, leaf
            routes[leaf] = found
            for role, route in enumerate(found):
                arcs = self.graph.arcs(route)
                floors.add(arcs, role)
                if role == 0 or self.shape.down.sharing == "one":
                    entered[role].update((self.graph.tail[arc ^ 1], arc) for arc in arcs)
        return [routes[leaf] for leaf in range(len(order))], -1

    def _leaf_routes(self, leaf: int, floors: OwnFloors, entered: Entered) -> tuple[Route, ...] | None:
        """The fewest disjoint routes for one leaf that are enough; backups in the tree of backups if possible."""
        found = self._routes_with(leaf, floors, entered, entered[1])
        if found is None and entered[1] and not self.effort.exhausted:
            return self._routes_with(leaf, floors, entered, {})
        return found

    def _routes_with(
        self, leaf: int, floors: OwnFloors, entered: Entered, backups: Mapping[int, int]
    ) -> tuple[Route, ...] | None:
        """They may end where the root is."""
        root, end = self.shape.root, self.shape.leaves[leaf]
        backup = self._query(leaf, floors, backups, 1)
        primary = self._query(leaf, floors, entered[0], 0) if entered[0] else backup
        least = 2 if self.requirement.protection == "required" else 1
        some = MAX_TREES if self.requirement.connectivity == "point-to-multipoint" else MAX_PATHS
        most = some if self.target is not None and self.requirement.protection != "none" else least
        counts = [1] if root.node == end.node else range(least, most + 1)
        budget = None if self.target is None else self._budget(root.node, end.node, self.target)
        if budget is not None and budget < 0:
            return None
        for count in counts:
            queries = [primary, *[backup] * (count - 1)]
            found = disjoint_routes(queries, self.effort, None if budget is None else float(budget), self._enough)
            if found is not None or self.effort.exhausted:
                return found
        return None

    def _enough(self, routes: tuple[Route, ...]) -> bool:
        return self.target is None or reached(self.graph.topology, routes) >= exact_ratio(self.target)

    def _budget(self, first: str, last: str, target: float) -> Fraction:
        """What the unavailabilities of the paths between the end nodes may multiply to; negative: hopeless."""
        topology = self.graph.topology
        ends = {first, last}
        stated = [topology.nodes[node].availability for node in ends]
        stated += [topology.risk_groups[group].availability for group in self._paid(ends)]
        common = prod((exact_ratio(value) for value in stated if value is not None), start=Fraction(1))
        return 1 - exact_ratio(target) / common if common else Fraction(-1)

    def _paid(self, ends: set[str]) -> frozenset[str]:
        groups = {group for node in ends for group in self.graph.topology.nodes[node].risk_groups}
        return frozenset(groups & self.graph.group_wear.keys())

    def _query(self, leaf: int, floors: OwnFloors, entered: Mapping[int, int], role: int) -> Query:
        """The search for one leaf; nodes of the tree may only be entered by their own branch."""
        graph, room = self.graph, self.usable_room(floors, role)
        returning = room.reshape(-1, 2)[:, ::-1].ravel()  # of arc ^ 1
        usable = (room >= self.shape.down.floor_bps) & (returning >= self.shape.up.floor_bps)
        if self.limits.timed:
            usable &= graph.delay_stated
        if self.target is not None:
            usable &= graph.availability_stated
        for node, own in entered.items():
            for _, arc in graph.leaving[node]:
                usable[arc ^ 1] &= arc ^ 1 == own
        # without a bound on time, room beyond what is asked makes no difference, and need not be compared
        return self._search(leaf, usable, room if self.limits.timed else self._ample)

    def usable_room(self, floors: OwnFloors, role: int) -> npt.NDArray[np.int64]:
        """Room per arc for the search of a path of that role."""
        return floors.left(self.room, role)

    def room_of(self, role: int) -> npt.NDArray[np.int64]:
        """Room per arc that a path of that role has in the end."""
        del role
        return self.room.arcs

    @cached_property
    def _ample(self) -> npt.NDArray[np.int64]:
        return np.full(len(self.graph.tail), AMPLE_BPS)

    def _search(self, leaf: int, usable: npt.NDArray[np.bool_], room: npt.NDArray[np.int64]) -> Query:
        graph, end = self.graph, self.shape.leaves[leaf]
        return Query(
            graph,
            graph.node_index[self.shape.root.node],
            graph.node_index[end.node],
            usable,
            room,
            self.limits.test(end),
            paid_groups=self._paid({self.shape.root.node, end.node}),
            limits=self.limits.numbers(end),
        )

    def _with_rates(self, routes: Routes) -> Embedding | None:
        paths: list[LeafPath] = [
            (leaf, role, route) for leaf, own in enumerate(routes) for role, route in enumerate(own)
        ]
        queues = Queues(self.graph, self.shape, paths, self.requirement.max_packet_bytes)
        rows = self._shared_rates(queues) if queues.shared.any_shared else self._single_rates(queues)
        if rows is None:
            return None
        floors = queues.floors(rows)
        for endpoint, load in self.shape.access_loads():
            if load:
                floors[access_port(endpoint)] = load
        topology = self.graph.topology
        known = not any(unstated_availability(topology, own) for own in routes)
        worst = min(reached(topology, own) for own in routes) if known else None
        return Embedding(self.shape, tuple(rows), floors, worst)

    def _propagation_ps(self, route: Route) -> int | None:
        total = sum(self.graph.propagation[self.graph.link_index[link]] for link in route.links)
        return total if total < UNKNOWN_PS else None

    def _single_rates(self, queues: Queues) -> list[Row] | None:
        """Every path alone in its queues: the closed form."""
        rows = []
        for leaf, role, route in queues.paths:
            end = self.shape.leaves[leaf]
            metrics = self._search(leaf, _NONE, self.room_of(role)).metrics(self.graph.arcs(route))
            bounds = self.limits.bounds(metrics, end)
            if bounds is None:
                return None
            rows.append(Row(leaf, role, route, self._propagation_ps(route), *bounds))
        return rows

    def _shared_rates(self, queues: Queues) -> list[Row] | None:
        """One rate for each direction, the least that keeps all bounds and fits all ports."""
        down, up = self.shape.down.floor_bps, self.shape.up.floor_bps
        room = room_at(self.room, queues.ports, (self.shape.root, *self.shape.leaves))

        def fits(more: Rates) -> bool:
            floors = queues.uniform_floors(down and down + more[0], up and up + more[1])
            return all(floor <= room[port] for port, floor in floors.items())

        def rows(more: Rates) -> list[Row] | None:
            bounds = queues.bounds(down and down + more[0], up and up + more[1])
            if bounds is None:
                return None
            result = [
                Row(leaf, role, route, self._propagation_ps(route), *pair)
                for (leaf, role, route), pair in zip(queues.paths, bounds, strict=True)
            ]
            kept = all(self.limits.kept(row.propagation_ps or 0, row.down, row.up) for row in result)
            return result if kept else None

        if not fits((0, 0)):
            return None
        as_asked = rows((0, 0))
        if as_asked is not None or not self.limits.timed:
            return as_asked
        return rows(
            _least(_most(fits, max(room.values())), lambda more: rows(more) is not None, self.limits.round_trip)
        )


def reached(topology: Topology, routes: Sequence[Route]) -> Fraction:
    """Availability of a leaf's routes, the time of switching over counted as far as it is known."""
    return max(Fraction(0), exact_availability(topology, routes) - switching_unavailability(topology, routes))


Rates = tuple[int, int]


def _most(fits: Callable[[Rates], bool], limit: int) -> Rates:
    """The most that can be added to both rates: each by itself, or in step where they stand in each other's way."""
    down, up = _last(lambda step: fits((step, 0)), limit), _last(lambda step: fits((0, step)), limit)
    if fits((down, up)):
        return down, up
    step = _last(lambda step: fits((min(step, down), min(step, up))), limit)
    return min(step, down), min(step, up)


def _least(most: Rates, keeps: Callable[[Rates], bool], in_step: bool) -> Rates:
    """The least that `keeps` all bounds, at most `most`: in step for a round trip, else each direction by itself."""
    if not keeps(most):
        return most
    if in_step:
        highest = max(most)
        less = _last(lambda less: keeps((min(most[0], highest - less), min(most[1], highest - less))), highest)
        return min(most[0], highest - less), min(most[1], highest - less)
    down = most[0] - _last(lambda less: keeps((most[0] - less, most[1])), most[0])
    return down, most[1] - _last(lambda less: keeps((down, most[1] - less)), most[1])


def _last(holds: Callable[[int], bool], limit: int) -> int:
    """The largest number in 0..limit that `holds`, which is true up to some number and false beyond; 0 holds."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low
