"""The constrained shortest path: the fastest way where it will do, otherwise exact label setting.

Label setting takes partial paths in order of the cost they must still reach (A*), and drops those that another one at
the same node beats in every metric, or whose best imaginable remainder would not pass. Exact because every metric only
gets worse along a path. A risk group's availability counts once a path, so labels are compared after charging one for
the groups that the other has paid. The kernels test in floating point with a tolerance in the path's favour; whole
paths are then tested exactly, and a rejected one makes way for the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

from carelane.topology.search._engine import Engine, engine
from carelane.topology.search._graph import Route
from carelane.topology.search._kernels import (
    ENDLESS,
    GROW,
    SPENT,
    Arcs,
    Flat,
    Heap,
    Labels,
    PathLimits,
    Remainders,
    Target,
)
from carelane.topology.search._query import TOLERANCE, UNLIMITED, Cost, Effort, Query, start_metrics

__all__ = ["best_route", "least_wear", "usable_arcs"]

_FREE = PathLimits(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, inf, inf, inf, inf, False, inf)
_SPACE = 1024


def best_route(
    query: Query,
    effort: Effort,
    banned_links: frozenset[int] = frozenset(),
    banned_nodes: frozenset[int] = frozenset(),
    below: Cost | None = None,
) -> Route | None:
    """The acceptable route of least (propagation, hops, link ids) that avoids the banned links and nodes, or None.

    With `below`, only routes of less (propagation, hops) count.
    """
    if query.source == query.target:
        route = query.graph.route(query.source, [])
        met = query.passes(start_metrics()) and query.accept(route) and (below is None or below > (0, 0))
        return route if met else None
    return _Search(query, effort, banned_links, banned_nodes, below).run()


def usable_arcs(
    query: Query, run: Engine, banned_links: frozenset[int] = frozenset(), banned_nodes: frozenset[int] = frozenset()
) -> Any:
    """Flags of the arcs that may be used, for the kernels."""
    usable = run.flags(query.usable)
    for link in banned_links:
        usable[2 * link] = usable[2 * link + 1] = False
    for node in banned_nodes:
        for _, arc in query.graph.leaving[node]:
            usable[arc] = usable[arc ^ 1] = False
    return usable


def least_wear(query: Query, banned_links: frozenset[int], banned_nodes: frozenset[int]) -> float:
    """No path from source to target wears less, risk groups left out; inf when there is none."""
    search = _Search(query, Effort(0), banned_links, banned_nodes, None)
    return float(search.least(search.arcs.near_wear, search.arcs.node_wear)[query.source])


class _Search:
    """One query on the arrays of one engine."""

    def __init__(
        self,
        query: Query,
        effort: Effort,
        banned_links: frozenset[int],
        banned_nodes: frozenset[int],
        below: Cost | None,
    ) -> None:
        graph = query.graph
        self.query = query
        self.effort = effort
        self.below = below
        self.nodes = len(graph.node_ids)
        self.size = len(graph.tail) + 2
        self.engine = engine(self.size)
        self.flat: Flat
        self.arcs: Arcs
        self.flat, self.arcs = graph.flat(self.engine)
        self.usable = usable_arcs(query, self.engine, banned_links, banned_nodes)
        self.none = self.engine.reals(())
        self.waiting = self.engine.integers((0,))
        self.heap = Heap(*(self.engine.blank(self.size) for _ in range(2)))

    def run(self) -> Route | None:
        query, run = self.query, self.engine
        far, hops = run.blank(self.nodes), run.blank(self.nodes)
        settled = self._fastest(far, hops, query.source, ENDLESS)
        if hops[query.source] == ENDLESS or not self.effort.spend(settled):
            return None
        if self.below is not None and (far[query.source], hops[query.source]) >= self.below:
            return None
        path = run.blank(self.nodes)
        count = run.downhill(
            self.flat, self.usable, self.arcs.near_propagation, far, hops, query.source, query.target, path
        )
        route = self._accepted([int(arc) for arc in path[:count]])
        return route or self._label_setting(far, hops)

    def _fastest(self, far: Any, hops: Any, stop: int, limit: int) -> int:
        """Least propagation from every node to the target, begun or gone on with."""
        run, none = self.engine, self.none
        return run.remainders(
            self.flat, self.usable, self.arcs.near_propagation, none, ENDLESS, self.query.target, stop, limit,
            self.heap, self.waiting, far, hops, none, none,
        )  # fmt: skip

    def _accepted(self, arcs: Sequence[int]) -> Route | None:
        """The route made of `arcs`, if the exact test passes it."""
        metrics = self.query.metrics(arcs)
        if not self.query.passes(metrics) or (self.below is not None and metrics.cost >= self.below):
            return None
        route = self.query.graph.route(self.query.source, arcs)
        return route if self.query.accept(route) else None

    def least(self, weight: Any, node_weight: Any, limit: float = inf, along: Any = ()) -> Any:
        """Least sum of real weights to the target from the source and every node nearer than it.

        Elsewhere it is that of some way; not worked out beyond `limit`.
        """
        run = self.engine
        heap = Heap(run.blank(self.size, real=True), run.blank(self.size))  # the other one may be gone on with
        far, hops = run.blank(self.nodes, real=True), run.blank(self.nodes)
        run.remainders(
            self.flat, self.usable, weight, node_weight, inf, self.query.target, self.query.source, limit,
            heap, run.integers((0,)), far, hops, self.arcs.near_propagation, along if len(along) else self.none,
        )  # fmt: skip
        return far

    def _label_setting(self, far: Any, hops: Any) -> Route | None:
        query, run, arcs, none = self.query, self.engine, self.arcs, self.none
        limits = query.limits or _FREE
        exact_only = query.limits is None
        target = Target(
            query.source,
            query.target,
            float(query.max_wear),
            *_clamped(self.below or (ENDLESS, ENDLESS)),
            use_wear=exact_only or query.max_wear < inf,
            use_loss=exact_only or (limits.max_loss < inf and query.graph.lossy),
            use_time=exact_only or limits.delay_ps < inf or limits.jitter_ps < inf,
        )
        wear_alone = target.use_wear and not (target.use_loss or target.use_time or arcs.words)
        along = run.blank(self.nodes if wear_alone else 0)
        wear = (
            self.least(arcs.near_wear, arcs.node_wear, query.max_wear + TOLERANCE, along) if target.use_wear else none
        )
        if target.use_wear and wear[query.source] > query.max_wear + TOLERANCE:
            return None
        loss = self.least(arcs.near_loss, none, limits.max_loss + TOLERANCE) if target.use_loss else none
        if target.use_loss and loss[query.source] > limits.max_loss + TOLERANCE:
            return None
        most = ENDLESS
        if wear_alone and wear[query.source] < query.max_wear - TOLERANCE:
            most = int(along[query.source])
        self._fastest(far, hops, -1, most)
        fewest = run.blank(self.nodes if target.use_time else 0)
        if target.use_time:
            run.fewest_hops(self.flat, self.usable, query.target, run.blank(self.nodes), fewest)
        room = run.integers(query.room) if target.use_time else none
        rest = Remainders(far, hops, fewest, wear, loss, query.graph.least_latency, along)
        return self._candidates(limits, target, rest, room, most)

    def _candidates(self, limits: PathLimits, target: Target, rest: Remainders, room: Any, most: int) -> Route | None:
        """The first label at the target that passes the exact test; one that takes longer than `most` is not needed."""
        labels = self._first_label(most)
        while True:
            found = self.engine.next_candidate(
                self.flat, self.arcs, self.usable, room, limits, target, rest, labels, TOLERANCE
            )
            if found == GROW:
                labels = self._grown(labels)
                continue
            self.effort.left = int(labels.state[2])
            if found == SPENT:
                self.effort.exhausted = True
                return None
            route = self._accepted(_path(labels, int(found))) if found >= 0 else None
            if route is not None:
                return route
            if labels.state[3] < ENDLESS:  # paths were left out in view of one that the exact test has rejected
                self._fastest(rest.weight, rest.hops, -1, ENDLESS)
                return self._candidates(limits, target, rest._replace(along=self.engine.blank(0)), room, ENDLESS)
            if found < 0:
                return None

    def _first_label(self, most: int) -> Labels:
        run, graph = self.engine, self.query.graph
        space = _SPACE + self.flat.widest
        whole = {name: run.blank(space) for name in Labels._fields if name not in ("state", "settled", "wear", "loss")}
        labels = Labels(
            state=run.integers([1, 1, self.effort.left, most]),
            settled=run.filled(self.nodes, -1),
            wear=run.blank(space, real=True),
            loss=run.blank(space, real=True),
            **(whole | {"paid": run.blank(space * graph.words)}),
        )
        first = {
            "heap": 0, "node": self.query.source, "parent": -1, "arc": -1, "hops": 0, "weight": 0, "key_weight": 0,
            "key_hops": 0, "latency": 0, "room": UNLIMITED, "return_room": UNLIMITED, "wear": 0.0, "loss": 0.0,
        }  # fmt: skip
        for name, value in first.items():
            getattr(labels, name)[0] = value
        for place, word in enumerate(graph.group_words(self.query.paid_groups)):
            labels.paid[place] = word
        return labels

    def _grown(self, labels: Labels) -> Labels:
        """The same with twice the room."""
        space = 2 * len(labels.node)
        longer = {
            name: self.engine.grown(array, space * (self.query.graph.words if name == "paid" else 1))
            for name, array in labels._asdict().items()
            if name not in ("state", "settled")
        }
        return labels._replace(**longer)


def _clamped(cost: Cost) -> Cost:
    return max(-ENDLESS, min(ENDLESS, cost[0])), cost[1]


def _path(labels: Labels, label: int) -> list[int]:
    """The arcs from the source to a label."""
    arcs = []
    while labels.parent[label] >= 0:
        arcs.append(int(labels.arc[label]))
        label = int(labels.parent[label])
    return arcs[::-1]
