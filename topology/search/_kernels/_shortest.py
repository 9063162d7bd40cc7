"""Shortest ways to one node from all others: Dijkstra (1959), and by hops."""

from __future__ import annotations

from carelane.topology.search._kernels._arrays import (
    ENDLESS,
    NODE_BITS,
    NODE_MASK,
    Flat,
    Heap,
    Numbers,
    drop_first,
    push,
)

__all__ = ["downhill", "fewest_hops", "remainders"]

KERNELS = ("remainders", "downhill", "fewest_hops")


def remainders(
    flat: Flat,
    usable: Numbers,
    weight: Numbers,
    node_weight: Numbers,
    endless: float,
    target: int,
    stop: int,
    limit: float,
    heap: Heap,
    waiting: Numbers,
    far: Numbers,
    hops: Numbers,
    propagation: Numbers,
    along: Numbers,
) -> int:
    """Least (weight, hops) from every node to `target`, until `stop` is reached; how many nodes that took.

    Distances beyond `limit` are not worked out, only told to be beyond it. `node_weight` is paid for every node that
    is entered on the way, `target` excepted; empty: none. `waiting[0]` entries of the heap were left by a call that is
    to be gone on with; 0 starts. `along`, unless empty, gets the propagation of the ways.
    """
    size = waiting[0]
    if size == 0:
        for node in range(len(far)):
            far[node] = endless
            hops[node] = ENDLESS
        far[target] = 0
        hops[target] = 0
        if len(along) > 0:
            along[target] = 0
        size = push(heap, 0, far[target], 0, target)
    settled = 0
    while size > 0:
        here, count, node = heap.weight[0], heap.order[0] >> NODE_BITS, heap.order[0] & NODE_MASK
        size = drop_first(heap, size)
        if here > far[node] or count > hops[node]:
            continue
        settled += 1
        if node == stop or here > limit:
            size = push(heap, size, here, count, node)
            break
        if len(node_weight) > 0 and node != target:
            here = here + node_weight[node]
        count += 1
        for place in range(flat.first[node], flat.first[node + 1]):
            before = flat.near[place]
            total = here + weight[place]
            if (total < far[before] or (total == far[before] and count < hops[before])) and usable[flat.out[place] ^ 1]:
                far[before] = total
                hops[before] = count
                if len(along) > 0:
                    along[before] = along[node] + propagation[place]
                size = push(heap, size, total, count, before)
    waiting[0] = size
    return settled


def downhill(
    flat: Flat, usable: Numbers, weight: Numbers, far: Numbers, hops: Numbers, source: int, target: int, path: Numbers
) -> int:
    """The fastest way by the lowest arcs from the source on, put into `path`; how many arcs."""
    node, count = source, 0
    while node != target:
        for place in range(flat.first[node], flat.first[node + 1]):
            arc = flat.out[place]
            onward = flat.near[place]
            if usable[arc] and far[onward] + weight[place] == far[node] and hops[onward] + 1 == hops[node]:
                path[count] = arc
                count += 1
                node = onward
                break
    return count


def fewest_hops(flat: Flat, usable: Numbers, target: int, queue: Numbers, fewest: Numbers) -> int:
    """Fewest hops from every node to `target`; how many nodes reach it."""
    for node in range(len(fewest)):
        fewest[node] = ENDLESS
    fewest[target] = 0
    queue[0] = target
    done, known = 0, 1
    while done < known:
        node = queue[done]
        done += 1
        for place in range(flat.first[node], flat.first[node + 1]):
            before = flat.near[place]
            if fewest[before] == ENDLESS and usable[flat.out[place] ^ 1]:
                fewest[before] = fewest[node] + 1
                queue[known] = before
                known += 1
    return known
