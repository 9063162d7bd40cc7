"""Disjoint ways by successive shortest paths (Suurballe, 1974; Suurballe and Tarjan, 1984)."""

from __future__ import annotations

from typing import NamedTuple

from carelane.topology.search._kernels._arrays import ENDLESS, NODE_MASK, Arcs, Flat, Heap, Numbers, drop_first, push
from carelane.topology.search._kernels._shortest import downhill, remainders

__all__ = ["Flow", "disjoint_ways"]

INTERNAL = -(2**40)
"""Stands in a trace for the step from a used node's exit back to its entry."""
KERNELS = ("disjoint_ways",)


class Flow(NamedTuple):
    """State of the disjoint ways: potentials and distances per side of a node, and the arcs that carry a way.

    `left_*` are distances to the target per node, `none` has no entries, `waiting` one.
    """

    pull_weight: Numbers
    pull_hops: Numbers
    weight: Numbers
    hops: Numbers
    done: Numbers
    came_from: Numbers
    came_by: Numbers
    enters: Numbers
    leaves: Numbers
    left_weight: Numbers
    left_hops: Numbers
    carries: Numbers
    none: Numbers
    waiting: Numbers


def reach(flow: Flow, heap: Heap, size: int, here: int, side: int, by: int, weight: int, hops: int) -> int:
    """Note a step from side `here` to `side` of cost (weight, hops), if it is an improvement; the heap's new size."""
    total = flow.weight[here] + weight + flow.pull_weight[here] - flow.pull_weight[side]
    count = flow.hops[here] + hops + flow.pull_hops[here] - flow.pull_hops[side]
    if total < flow.weight[side] or (total == flow.weight[side] and count < flow.hops[side]):
        flow.weight[side] = total
        flow.hops[side] = count
        flow.came_from[side] = here
        flow.came_by[side] = by
        return push(heap, size, total, count, side)
    return size


def cheapest_augmentation(
    flat: Flat, usable: Numbers, arcs: Arcs, source: int, target: int, heap: Heap, flow: Flow
) -> bool:
    """Dijkstra on what the ways found so far leave, costs reduced by the potentials; whether the target is reached.

    Side v is the exit of node v; where a way passes, side n + v is its entry, else both are one.
    """
    nodes = len(flat.first) - 1
    for side in range(2 * nodes):
        flow.weight[side] = ENDLESS
        flow.done[side] = 0
    flow.weight[source] = 0
    flow.hops[source] = 0
    size = push(heap, 0, 0, 0, source)
    while size > 0:
        side = heap.order[0] & NODE_MASK
        size = drop_first(heap, size)
        if flow.done[side]:
            continue
        flow.done[side] = 1
        if side == target:
            return True
        if side >= nodes:
            arc = flow.enters[side - nodes]
            before = flat.head[arc ^ 1]
            if before != source:
                size = reach(flow, heap, size, side, before, -1 - arc, -arcs.propagation[arc], -1)
            continue
        if flow.enters[side] >= 0:
            size = reach(flow, heap, size, side, nodes + side, INTERNAL, 0, 0)
        far = flow.weight[side] + flow.pull_weight[side]
        count = flow.hops[side] + flow.pull_hops[side] + 1
        for place in range(flat.first[side], flat.first[side + 1]):
            onward = flat.near[place]
            if flow.enters[onward] >= 0:
                onward += nodes
            if flow.done[onward]:
                continue
            total = far + arcs.near_propagation[place] - flow.pull_weight[onward]
            hops = count - flow.pull_hops[onward]
            if total > flow.weight[onward] or (total == flow.weight[onward] and hops >= flow.hops[onward]):
                continue
            arc = flat.out[place]
            if usable[arc] and not flow.carries[arc]:
                flow.weight[onward] = total
                flow.hops[onward] = hops
                flow.came_from[onward] = side
                flow.came_by[onward] = arc
                size = push(heap, size, total, hops, onward)
    return False


def raise_potentials(flow: Flow, nodes: int, target: int) -> None:
    """After a search, by how far each side is, at most as far as the target, so that no arc left costs less than 0."""
    far, far_hops = flow.weight[target], flow.hops[target]
    for side in range(2 * nodes):
        if side >= nodes and flow.enters[side - nodes] < 0:
            flow.pull_weight[side] = flow.pull_weight[side - nodes]
            flow.pull_hops[side] = flow.pull_hops[side - nodes]
        elif flow.done[side]:
            flow.pull_weight[side] += flow.weight[side]
            flow.pull_hops[side] += flow.hops[side]
        else:
            flow.pull_weight[side] += far
            flow.pull_hops[side] += far_hops


def carry(flat: Flat, flow: Flow, source: int, target: int) -> None:
    """Change the ways by the path that the last search found."""
    for taking_back in (True, False):
        side = target
        while side != source:
            by = flow.came_by[side]
            if taking_back and by < 0 and by != INTERNAL:
                arc = -1 - by
                flow.carries[arc] = 0
                flow.enters[flat.head[arc]] = -1
                flow.leaves[flat.head[arc ^ 1]] = -1
            elif not taking_back and by >= 0:
                flow.carries[by] = 1
                if flat.head[by] != target:
                    flow.enters[flat.head[by]] = by
                if flat.head[by ^ 1] != source:
                    flow.leaves[flat.head[by ^ 1]] = by
            side = flow.came_from[side]


def first_way(flat: Flat, usable: Numbers, arcs: Arcs, source: int, target: int, heap: Heap, flow: Flow) -> bool:
    """The cheapest way, and potentials that tell every later search how far the target is; whether there is one.

    Looked for from the target: distances from the source would be as good, but would draw the next search to all nodes
    that are nearer than the target, as those to the target draw it to the few that lead there without much of a detour.
    """
    nodes, none = len(flat.first) - 1, flow.none
    flow.waiting[0] = 0
    remainders(
        flat, usable, arcs.near_propagation, none, ENDLESS, target, source, ENDLESS,
        heap, flow.waiting, flow.left_weight, flow.left_hops, none, none,
    )  # fmt: skip
    far, far_hops = flow.left_weight[source], flow.left_hops[source]
    if far_hops == ENDLESS:
        return False
    for node in range(nodes):
        left, left_hops = flow.left_weight[node], flow.left_hops[node]
        if left > far or (left == far and left_hops > far_hops):  # perhaps further still: not settled
            left, left_hops = far, far_hops
        flow.pull_weight[node] = flow.pull_weight[nodes + node] = far - left
        flow.pull_hops[node] = flow.pull_hops[nodes + node] = far_hops - left_hops
        flow.enters[node] = -1
        flow.leaves[node] = -1
    for arc in range(len(flow.carries)):
        flow.carries[arc] = 0
    count = downhill(
        flat, usable, arcs.near_propagation, flow.left_weight, flow.left_hops, source, target, flow.came_by
    )
    for place in range(count):
        arc = flow.came_by[place]
        flow.carries[arc] = 1
        if place > 0:
            flow.leaves[flat.head[arc ^ 1]] = arc
        if place < count - 1:
            flow.enters[flat.head[arc]] = arc
    return True


def disjoint_ways(
    flat: Flat, usable: Numbers, arcs: Arcs, source: int, target: int, wanted: int, heap: Heap, flow: Flow
) -> int:
    """Ways that share no arc and no inner node, up to `wanted`, least (weight, hops) in all; how many there are.

    `flow.carries` tells the arcs, `flow.leaves` the next one at each inner node.
    """
    if not first_way(flat, usable, arcs, source, target, heap, flow):
        return 0
    for found in range(1, wanted):
        if not cheapest_augmentation(flat, usable, arcs, source, target, heap, flow):
            return found
        if found + 1 < wanted:
            raise_potentials(flow, len(flat.first) - 1, target)
        carry(flat, flow, source, target)
    return wanted
