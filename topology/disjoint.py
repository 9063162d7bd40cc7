"""Sets of disjoint paths: no shared link, risk group or inner node, each acceptable, together available enough.

Taking the best path and then looking for another misses feasible pairs ("trap" topologies), and with shared risk
groups or bounds on both paths the problem is NP-hard. So: take candidates for the first path in order of cost; when
one has no companions, find a smallest part of it that already makes companions impossible (a conflict set, after Xie
et al., "Divide and conquer for partially SRLG-disjoint paths", 2018), and continue with the candidates that avoid one
member of that part each. Every first path that has companions avoids at least one member, so nothing is missed, and
the first success has the best first path. An `Effort` caps the work; when it runs out, "none" proves nothing.

Availability. The end nodes and the risk groups they touch are common to all paths; the rest of the paths share
nothing, so the set is available enough when the product of the paths' own unavailabilities stays within a budget.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from heapq import heappop, heappush
from math import expm1, inf, log1p

from carelane.topology.paths import Effort, PathGraph, Query, Route, best_route

__all__ = ["Avoid", "conflicts", "disjoint_routes"]

Avoid = tuple[frozenset[int], frozenset[int]]
"""Banned links and nodes, by index."""

NOTHING: Avoid = (frozenset(), frozenset())


def disjoint_routes(
    queries: Sequence[Query],
    effort: Effort,
    unavailability: float | None = None,
    accept: Callable[[tuple[Route, ...]], bool] = lambda _: True,
) -> tuple[Route, ...] | None:
    """One route for each query (primary first), mutually disjoint, or None.

    All queries have the same ends and graph. `unavailability` is the budget for the product of the routes' own
    unavailabilities (None: any); `accept` has the exact last word on a full set.
    """
    search = _Search(queries, effort, accept)
    return search.solve(0, NOTHING, unavailability, ())


def conflicts(graph: PathGraph, elements: Sequence[tuple[str, int]], ends: frozenset[int]) -> Avoid:
    """What a path disjoint from one made of `elements` (("link", i) and inner ("node", i)) must avoid."""
    links = {index for kind, index in elements if kind == "link"}
    nodes = {index for kind, index in elements if kind == "node"}
    groups = {group for index in links for group in graph.link_groups[index]}
    groups |= {group for index in nodes for group in graph.node_groups[index]}
    for group in groups:
        links |= graph.group_links.get(group, frozenset())
        nodes |= graph.group_nodes.get(group, frozenset())
    return frozenset(links), frozenset(nodes - ends)


class _Search:
    """The recursion over paths; the last one is a plain constrained path."""

    def __init__(self, queries: Sequence[Query], effort: Effort, accept: Callable[[tuple[Route, ...]], bool]) -> None:
        self.queries = queries
        self.effort = effort
        self.accept = accept
        self.graph = queries[0].graph
        self.source, self.target = queries[0].source, queries[0].target
        self.ends = frozenset((self.source, self.target))

    def solve(
        self, depth: int, avoid: Avoid, budget: float | None, chosen: tuple[Route, ...]
    ) -> tuple[Route, ...] | None:
        """Routes for the queries from `depth` on, `chosen` being those before."""
        count = len(self.queries) - depth
        if count == 1:
            query = replace(
                self.queries[depth], max_wear=_wear_within(budget), accept=lambda route: self.accept((*chosen, route))
            )
            route = best_route(query, self.effort, *avoid)
            return (*chosen, route) if route else None
        if not self._enough_ways(depth, avoid):
            return None
        best = 0.0 if budget is None else min(_least_unavailability(query, avoid) for query in self.queries[depth:])
        first = replace(self.queries[depth], max_wear=_wear_within(_share(budget, best ** (count - 1))))
        return self._by_first_path(first, depth, avoid, budget, best, chosen)

    def _by_first_path(
        self,
        first: Query,
        depth: int,
        avoid: Avoid,
        budget: float | None,
        best: float,
        chosen: tuple[Route, ...],
    ) -> tuple[Route, ...] | None:
        heap: list[tuple[tuple[int, int, list[int]], Route, frozenset[tuple[str, int]]]] = []
        seen: set[frozenset[tuple[str, int]]] = set()
        failed: dict[Route, list[tuple[str, int]]] = {}

        def consider(excluded: frozenset[tuple[str, int]]) -> None:
            if excluded in seen:
                return
            seen.add(excluded)
            route = best_route(first, self.effort, *_joined(avoid, _plain(excluded)))
            if route is not None:
                arcs = self.graph.arcs(route)
                metrics = first.metrics(arcs)
                heappush(heap, ((metrics.propagation_ps, metrics.hops, arcs), route, excluded))

        consider(frozenset())
        while heap and not self.effort.exhausted:
            (_, _, arcs), route, excluded = heappop(heap)
            if route not in failed:
                elements = self._elements(arcs)
                own = -expm1(-first.metrics(arcs).wear)
                found = self._companions(elements, depth, avoid, _share(budget, own), (*chosen, route))
                if found is not None:
                    return found
                failed[route] = self._conflict_set(elements, depth, avoid, _share(budget, best))
            for element in failed[route]:
                consider(excluded | {element})
        return None

    def _elements(self, arcs: Sequence[int]) -> list[tuple[str, int]]:
        inner = [self.graph.tail[arc] for arc in arcs[1:]]
        return [("link", arc >> 1) for arc in arcs] + [("node", node) for node in inner]

    def _companions(
        self,
        elements: Sequence[tuple[str, int]],
        depth: int,
        avoid: Avoid,
        budget: float | None,
        chosen: tuple[Route, ...],
    ) -> tuple[Route, ...] | None:
        return self.solve(depth + 1, _joined(avoid, conflicts(self.graph, elements, self.ends)), budget, chosen)

    def _conflict_set(
        self, elements: list[tuple[str, int]], depth: int, avoid: Avoid, budget: float | None
    ) -> list[tuple[str, int]]:
        """A small part of `elements` that leaves no companions for any first path containing it.

        `budget` supposes the most available first path there could be. If companions exist then, the failure came
        from this path's own figures and only another path can help: each of its links is a branch.
        """
        probe = _Search(self.queries, self.effort, lambda _: True)

        def hopeless(part: list[tuple[str, int]]) -> bool:
            return probe._companions(part, depth, avoid, budget, ()) is None and not self.effort.exhausted

        if not hopeless(elements):
            return [element for element in elements if element[0] == "link"]
        kept, size = list(elements), max(1, len(elements) // 2)
        while True:
            start = 0
            while start < len(kept):
                without = kept[:start] + kept[start + size :]
                if hopeless(without):
                    kept = without
                else:
                    start += size
            if size == 1:
                return kept
            size = max(1, size // 2)

    def _enough_ways(self, depth: int, avoid: Avoid) -> bool:
        """Whether enough node-disjoint ways exist at all (max-flow with unit nodes): a quick and safe test."""
        usable = [any(flags) for flags in zip(*(query.usable for query in self.queries[depth:]), strict=True)]
        wanted = len(self.queries) - depth
        return _node_disjoint_ways(self.graph, usable, avoid, self.source, self.target, wanted) >= wanted


def _plain(excluded: frozenset[tuple[str, int]]) -> Avoid:
    links = frozenset(index for kind, index in excluded if kind == "link")
    return links, frozenset(index for kind, index in excluded if kind == "node")


def _joined(a: Avoid, b: Avoid) -> Avoid:
    return a[0] | b[0], a[1] | b[1]


def _share(budget: float | None, spent: float) -> float | None:
    """What is left for the other factors of a product within `budget` when `spent` is one of them."""
    if budget is None:
        return None
    return budget / spent if spent > budget else 1.0


def _wear_within(budget: float | None) -> float:
    """The wear (-log availability) of a path whose unavailability is `budget`."""
    if budget is None or budget >= 1.0:
        return inf
    return -log1p(-budget) if budget > 0 else 0.0


def _least_unavailability(query: Query, avoid: Avoid) -> float:
    """No path from source to target has less than this, risk groups left out."""
    graph, (links, nodes) = query.graph, avoid
    distance = {query.source: 0.0}
    heap = [(0.0, query.source)]
    while heap:
        far, node = heappop(heap)
        if node == query.target:
            return -expm1(-far) * (1.0 - 1e-9)  # a little less, so that rounding never rules a path out
        if far > distance[node]:
            continue
        for following, arc in graph.leaving[node]:
            if not query.usable[arc] or following in nodes or (arc >> 1) in links:
                continue
            inner = graph.node_wear[following] if following != query.target else 0.0
            further = far + graph.link_wear[arc >> 1] + inner
            if further < distance.get(following, inf):
                distance[following] = further
                heappush(heap, (further, following))
    return 1.0


def _node_disjoint_ways(
    graph: PathGraph, usable: Sequence[bool], avoid: Avoid, source: int, target: int, wanted: int
) -> int:
    """How many ways share no inner node, up to `wanted`: augmenting paths on nodes split into entry and exit."""
    used: set[int] = set()  # arcs that carry a way
    before: dict[int, int] = {}  # the arc by which a way enters an inner node
    for found in range(wanted):
        steps = _augment(graph, usable, avoid, (source, target), used, before)
        if steps is None:
            return found
        for arc, forward in steps:
            if forward:
                used.add(arc)
            else:
                used.discard(arc)
        before = {graph.tail[arc ^ 1]: arc for arc in used}
    return wanted


def _augment(
    graph: PathGraph,
    usable: Sequence[bool],
    avoid: Avoid,
    ends: tuple[int, int],
    used: set[int],
    before: dict[int, int],
) -> list[tuple[int, bool]] | None:
    """One augmenting path as (arc, added or taken back), or None."""
    source, target = ends
    links, nodes = avoid
    start: tuple[int, bool] = (source, True)  # (node, whether at its exit side)
    came: dict[tuple[int, bool], tuple[tuple[int, bool], tuple[int, bool] | None]] = {start: (start, None)}
    queue: list[tuple[int, bool]] = [start]
    for node, at_exit in queue:
        moves: list[tuple[tuple[int, bool], tuple[int, bool] | None]] = []
        occupied = node in before and node != target
        if at_exit:
            for following, arc in graph.leaving[node]:
                if usable[arc] and arc not in used and following not in nodes and (arc >> 1) not in links:
                    moves.append(((following, False), (arc, True)))
            if occupied and node != source:
                moves.append(((node, False), None))
        elif node == target:
            return _trace(came, (node, False), start)
        elif not occupied:
            moves.append(((node, True), None))
        if not at_exit and occupied:
            arc = before[node]
            moves.append(((graph.tail[arc], True), (arc, False)))
        for state, step in moves:
            if state not in came and state[0] != source:
                came[state] = ((node, at_exit), step)
                queue.append(state)
    return None


def _trace(
    came: dict[tuple[int, bool], tuple[tuple[int, bool], tuple[int, bool] | None]],
    state: tuple[int, bool],
    start: tuple[int, bool],
) -> list[tuple[int, bool]]:
    steps: list[tuple[int, bool]] = []
    while state != start:
        state, step = came[state]
        if step is not None:
            steps.append(step)
    return steps
