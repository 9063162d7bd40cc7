"""Ways that share no link and no inner node, cheapest in all: Suurballe's algorithm on the flat arrays."""

from __future__ import annotations

from carelane.topology.search._engine import engine
from carelane.topology.search._graph import PathGraph
from carelane.topology.search._kernels import Flow, Heap
from carelane.topology.search._query import Cost, Query
from carelane.topology.search._route import usable_arcs

__all__ = ["cheapest_ways", "most_ways"]

_COUNTED = 3


def cheapest_ways(
    query: Query, wanted: int, banned_links: frozenset[int], banned_nodes: frozenset[int]
) -> tuple[list[list[int]], Cost]:
    """`wanted` ways as lists of arcs, the least (propagation, hops) in all of any so many; fewer when that is all.

    Cheapest way first. Risk groups and bounds are left out of account, so the cost, in which a delay that is not
    stated counts as a long one, is a lower bound for every set of disjoint paths, and too few ways prove that there is
    none.
    """
    graph, source, target = query.graph, query.source, query.target
    run = engine(len(graph.tail) * wanted)
    flat, arcs = graph.flat(run)
    nodes, size = len(graph.node_ids), len(graph.tail)
    usable = usable_arcs(query, run, banned_links, banned_nodes)
    heap = Heap(*(run.blank(size + 2 * nodes + 2) for _ in range(2)))
    rooms = (run.blank(length) for length in (*[2 * nodes] * 7, *[nodes] * 4, size))
    flow = Flow._make((*rooms, run.reals(()), run.blank(1)))
    found = run.disjoint_ways(flat, usable, arcs, source, target, wanted, heap, flow)
    if not found:
        return [], (0, 0)
    ways = [_followed(graph, flow, arc, target) for _, arc in graph.leaving[source] if flow.carries[arc]]
    costs = [(sum(int(arcs.propagation[arc]) for arc in way), len(way)) for way in ways]
    in_order = [way for _, way in sorted(zip(costs, ways, strict=True))]
    return in_order, (sum(cost[0] for cost in costs), sum(cost[1] for cost in costs))


def most_ways(graph: PathGraph, source: int, target: int) -> int:
    """How many ways share no link and no inner node whatever is reserved, counted up to three, and kept.

    Kept only where it is less than three: more ways are no reason for anything.
    """
    everywhere = [True] * len(graph.tail)
    query = Query(graph, source, target, everywhere, (), lambda _: True)
    count = len(cheapest_ways(query, _COUNTED, frozenset(), frozenset())[0])
    if count < _COUNTED:
        graph.kept_ways[source, target] = count
    return count


def _followed(graph: PathGraph, flow: Flow, arc: int, target: int) -> list[int]:
    way = [arc]
    while graph.tail[way[-1] ^ 1] != target:
        way.append(int(flow.leaves[graph.tail[way[-1] ^ 1]]))
    return way
