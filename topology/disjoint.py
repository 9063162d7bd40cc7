"""Sets of disjoint paths: no shared link, risk group or inner node, each acceptable, together available enough.

Taking the best path and then looking for another misses feasible pairs ("trap" topologies), so the cheapest set of
ways that share no link and no node comes first (Suurballe). If it keeps every bound it is the answer, and if there are
too few such ways there is no answer. Otherwise, with shared risk groups and bounds on each path, the problem is
NP-hard: take candidates for the first path in order of cost; find the cheapest companions of each; then find a
smallest part of it that leaves no (cheaper) companions to any later candidate (a conflict set, after Xie et al.,
"Divide and conquer for partially SRLG-disjoint paths", 2018), and go on with the candidates that avoid one member of
that part each. Every first path with cheaper companions avoids at least one member, so nothing is missed. It ends when
nothing cheaper than the best set is left, at the latest where a set costs what Suurballe's ways cost. An `Effort` caps
the work; when it runs out, "none" proves nothing, and a set need not be the cheapest.

Cost of a set: the sum of the paths' propagation delays, then of their hops. Among paths that obey the same query the
primary is the cheapest.

Availability. The end nodes and the risk groups they touch are common to all paths; the rest of the paths share
nothing, so the set is available enough when the product of the paths' own unavailabilities stays within a budget.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from math import expm1, inf, log1p

from carelane.topology.paths import Cost, Effort, PathGraph, Query, Route, best_route
from carelane.topology.search._route import least_wear
from carelane.topology.search._ways import cheapest_ways, most_ways

__all__ = ["Avoid", "conflicts", "disjoint_routes"]

Avoid = tuple[frozenset[int], frozenset[int]]
"""Banned links and nodes, by index."""
Element = tuple[str, int]
"""("link", index) or, for inner nodes, ("node", index)."""

NOTHING: Avoid = (frozenset(), frozenset())
ENDLESS: Cost = (10**30, 0)


def disjoint_routes(
    queries: Sequence[Query],
    effort: Effort,
    unavailability: float | None = None,
    accept: Callable[[tuple[Route, ...]], bool] = lambda _: True,
) -> tuple[Route, ...] | None:
    """One route for each query (primary first), mutually disjoint, of the least cost in all; or None.

    All queries have the same ends and graph; those after the first are alike. `unavailability` is the budget for the
    product of the routes' own unavailabilities (None: any); `accept` has the exact last word on a full set.
    """
    first = queries[0]
    if first.graph.kept_ways.get((first.source, first.target), len(queries)) < len(queries):
        return None
    found = _Search(queries, effort, accept).solve(0, NOTHING, unavailability, (), ENDLESS)
    if found is None and len(queries) > 1:
        most_ways(first.graph, first.source, first.target)  # a refusal asks many times more
    return found.routes if found else None


def conflicts(graph: PathGraph, elements: Sequence[Element], ends: frozenset[int]) -> Avoid:
    """What a path disjoint from one made of `elements` must avoid."""
    links = {index for kind, index in elements if kind == "link"}
    nodes = {index for kind, index in elements if kind == "node"}
    groups = {group for index in links for group in graph.link_groups[index]}
    groups |= {group for index in nodes for group in graph.node_groups[index]}
    for group in groups:
        links |= graph.group_links.get(group, frozenset())
        nodes |= graph.group_nodes.get(group, frozenset())
    return frozenset(links), frozenset(nodes - ends)


@dataclass(frozen=True, slots=True)
class _Found:
    """Routes in order and their cost, those chosen before them not included in it."""

    routes: tuple[Route, ...]
    cost: Cost


@dataclass(frozen=True, slots=True)
class _Level:
    """The search for the first path of what is left: its query, and what binds the set from here on."""

    first: Query
    depth: int
    avoid: Avoid
    budget: float | None
    best: float
    chosen: tuple[Route, ...]
    least: Cost


class _Search:
    """The recursion over paths; the last one is a plain constrained path."""

    def __init__(
        self,
        queries: Sequence[Query],
        effort: Effort,
        accept: Callable[[tuple[Route, ...]], bool],
        any_will_do: bool = False,
    ) -> None:
        self.queries = queries
        self.effort = effort
        self.accept = accept
        self.any_will_do = any_will_do
        self.graph = queries[0].graph
        self.source, self.target = queries[0].source, queries[0].target
        self.ends = frozenset((self.source, self.target))

    def solve(
        self, depth: int, avoid: Avoid, budget: float | None, chosen: tuple[Route, ...], below: Cost
    ) -> _Found | None:
        """The cheapest routes for the queries from `depth` on, if cheaper than `below`; `chosen` come before them."""
        queries = self.queries[depth:]
        if len(queries) == 1:
            return self._last(queries[0], avoid, budget, chosen, below)
        alike = all(query is queries[0] for query in queries)
        ways, least = cheapest_ways(_any_of(queries), len(queries), *avoid)
        enough = self.effort.spend(len(queries) * len(self.graph.node_ids))
        if not enough or len(ways) < len(queries) or least >= below:
            return None
        if alike and (found := self._all_good(queries[0], ways, budget, chosen)):
            return found
        best = 0.0 if budget is None else min(_least_unavailability(query, avoid) for query in queries)
        within = _wear_within(_share(budget, best ** (len(queries) - 1)))
        first = replace(queries[0], max_wear=min(queries[0].max_wear, within))
        return self._by_first_path(_Level(first, depth, avoid, budget, best, chosen, least), below, alike)

    def _last(
        self, query: Query, avoid: Avoid, budget: float | None, chosen: tuple[Route, ...], below: Cost
    ) -> _Found | None:
        def accept(route: Route) -> bool:
            return query.accept(route) and self.accept((*chosen, route))

        bound = replace(query, max_wear=min(query.max_wear, _wear_within(budget)), accept=accept)
        route = best_route(bound, self.effort, *avoid, below=below)
        return _Found((*chosen, route), query.metrics(self.graph.arcs(route)).cost) if route else None

    def _all_good(
        self, query: Query, ways: Sequence[Sequence[int]], budget: float | None, chosen: tuple[Route, ...]
    ) -> _Found | None:
        """The ways as a set, if they keep every bound and share no risk group."""
        product, unions, cost = 1.0, NOTHING, (0, 0)
        for way in ways:
            metrics, elements = query.metrics(way), self._elements(way)
            if not query.passes(metrics) or not _apart(elements, unions):
                return None
            product *= -expm1(-metrics.wear)
            unions = _joined(unions, conflicts(self.graph, elements, self.ends))
            cost = _total([cost, metrics.cost])
        if budget is not None and product > budget * (1.0 + 1e-9):
            return None
        routes = tuple(self.graph.route(self.source, way) for way in ways)
        if not all(query.accept(route) for route in routes) or not self.accept((*chosen, *routes)):
            return None
        return _Found((*chosen, *routes), cost)

    def _by_first_path(self, level: _Level, below: Cost, alike: bool) -> _Found | None:
        """Branch and bound over the first path; where all obey one query it is the cheapest of the set."""
        heap: list[tuple[Cost, list[int], Route, frozenset[Element]]] = []
        seen: set[frozenset[Element]] = set()
        failed: dict[Route, list[Element]] = {}
        best: _Found | None = None
        others = len(self.queries) - level.depth - 1

        def consider(excluded: frozenset[Element]) -> None:
            if excluded in seen:
                return
            seen.add(excluded)
            route = best_route(level.first, self.effort, *_joined(level.avoid, _plain(excluded)))
            if route is not None:
                arcs = self.graph.arcs(route)
                heappush(heap, (level.first.metrics(arcs).cost, arcs, route, excluded))

        consider(frozenset())
        while heap and not self.effort.exhausted:
            cost, arcs, route, excluded = heappop(heap)
            if _times(cost, others + 1 if alike else 1) >= below:
                break
            if route not in failed:
                found = self._with_companions(level, route, arcs, _less(below, cost))
                if found is not None:
                    best, below = found, found.cost
                    if self.any_will_do or below <= level.least:
                        break
                failed[route] = self._conflict_set(level, self._elements(arcs), _less(below, cost))
            for element in failed[route]:
                consider(excluded | {element})
        return self._in_order(best, level.depth) if best and alike else best

    def _with_companions(self, level: _Level, route: Route, arcs: list[int], below: Cost) -> _Found | None:
        metrics = level.first.metrics(arcs)
        rest = _share(level.budget, -expm1(-metrics.wear))
        found = self._companions(self._elements(arcs), level, rest, (*level.chosen, route), below)
        return None if found is None else replace(found, cost=_total([metrics.cost, found.cost]))

    def _in_order(self, found: _Found, depth: int) -> _Found:
        """The routes from `depth` on with the cheapest first."""
        query = self.queries[-1]

        def key(route: Route) -> tuple[Cost, list[int]]:
            arcs = self.graph.arcs(route)
            return query.metrics(arcs).cost, arcs

        return replace(found, routes=(*found.routes[:depth], *sorted(found.routes[depth:], key=key)))

    def _elements(self, arcs: Sequence[int]) -> list[Element]:
        inner = [self.graph.tail[arc] for arc in arcs[1:]]
        return [("link", arc >> 1) for arc in arcs] + [("node", node) for node in inner]

    def _companions(
        self,
        elements: Sequence[Element],
        level: _Level,
        budget: float | None,
        chosen: tuple[Route, ...],
        below: Cost,
    ) -> _Found | None:
        avoid = _joined(level.avoid, conflicts(self.graph, elements, self.ends))
        return self.solve(level.depth + 1, avoid, budget, chosen, below)

    def _conflict_set(self, level: _Level, elements: list[Element], below: Cost) -> list[Element]:
        """A small part of `elements` that leaves no companions below a cost to any first path containing it.

        The most available first path there could be is supposed. If companions exist then, the failure came from this
        path's own figures and only another path can help: each of its links is a branch.
        """
        probe = _Search(self.queries, self.effort, lambda _: True, any_will_do=True)
        budget = _share(level.budget, level.best)

        def hopeless(part: list[Element]) -> bool:
            return probe._companions(part, level, budget, (), below) is None and not self.effort.exhausted

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


def _any_of(queries: Sequence[Query]) -> Query:
    """A query that may use every arc that one of `queries` may."""
    if all(query is queries[0] for query in queries):
        return queries[0]
    import numpy as np

    return replace(queries[-1], usable=np.logical_or.reduce([np.asarray(query.usable) for query in queries]))


def _plain(excluded: frozenset[Element]) -> Avoid:
    links = frozenset(index for kind, index in excluded if kind == "link")
    return links, frozenset(index for kind, index in excluded if kind == "node")


def _joined(a: Avoid, b: Avoid) -> Avoid:
    return a[0] | b[0], a[1] | b[1]


def _apart(elements: Sequence[Element], avoid: Avoid) -> bool:
    return not any(index in avoid[kind == "node"] for kind, index in elements)


def _total(costs: Sequence[Cost]) -> Cost:
    return sum(cost[0] for cost in costs), sum(cost[1] for cost in costs)


def _times(cost: Cost, count: int) -> Cost:
    return cost[0] * count, cost[1] * count


def _less(below: Cost, cost: Cost) -> Cost:
    return below[0] - cost[0], below[1] - cost[1]


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
    wear = least_wear(query, *avoid)
    return -expm1(-wear) * (1.0 - 1e-9)  # a little less, so that rounding never rules a path out
