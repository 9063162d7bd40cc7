"""The cheapest path on flat arrays. Plain Python that numba compiles where there is much to search; equal answers.

Arc 2l leads from a to b of link l, arc 2l + 1 back, so `arc ^ 1` is the return. Lists and arrays both serve.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

__all__ = ["Flat", "Kernel", "Scratch", "cheapest", "compiled"]

Numbers = Any
"""A list or a NumPy array of numbers: numba takes only the latter, and neither has a type that covers both."""


class Flat(NamedTuple):
    """Arcs leaving node n: `out[first[n]:first[n + 1]]`, ascending, leading to `head[...]`."""

    first: Numbers
    out: Numbers
    head: Numbers


class Scratch(NamedTuple):
    """Room to work in, of one search at a time; `stamp[0]` counts searches, so that nothing needs to be cleared."""

    stamp: Numbers
    seen: Numbers
    settled: Numbers
    cost: Numbers
    hops: Numbers
    heap_cost: Numbers
    heap_hops: Numbers
    heap_node: Numbers
    path: Numbers


Kernel = Callable[[Flat, Scratch, Numbers, Numbers, Numbers, float, float, int, int, int, int], int]


def cheapest(
    flat: Flat,
    scratch: Scratch,
    base: Sequence[float],
    price: Sequence[float],
    room: Sequence[int],
    down_weight: float,
    up_weight: float,
    down: int,
    up: int,
    source: int,
    target: int,
) -> int:
    """Number of arcs of the cheapest path, put into `scratch.path`; -1 when there is none.

    An arc costs base[arc] + down_weight * price[arc] + up_weight * price[arc ^ 1] and serves where it has room for
    `down` and its return for `up`. Ties go to fewer hops, then to the lowest arcs from the source on. Dijkstra (1959)
    from the target until the source is settled; then downhill along the lowest arcs.
    """
    first, out, head = flat
    stamp, seen, settled, cost, hops, heap_cost, heap_hops, heap_node, path = scratch
    stamp[0] += 1
    now = stamp[0]
    cost[target] = 0.0
    hops[target] = 0
    seen[target] = now
    heap_cost[0] = 0.0
    heap_hops[0] = 0
    heap_node[0] = target
    size = 1
    found = False
    while size > 0 and not found:
        far = heap_cost[0]
        steps = heap_hops[0]
        node = heap_node[0]
        size -= 1
        last_cost, last_hops, last_node = heap_cost[size], heap_hops[size], heap_node[size]
        place = 0
        while 2 * place + 1 < size:
            child = 2 * place + 1
            other = child + 1
            if other < size and (
                heap_cost[other] < heap_cost[child]
                or (heap_cost[other] == heap_cost[child] and heap_hops[other] < heap_hops[child])
            ):
                child = other
            if heap_cost[child] > last_cost or (heap_cost[child] == last_cost and heap_hops[child] >= last_hops):
                break
            heap_cost[place], heap_hops[place], heap_node[place] = (
                heap_cost[child],
                heap_hops[child],
                heap_node[child],
            )
            place = child
        heap_cost[place], heap_hops[place], heap_node[place] = last_cost, last_hops, last_node
        if settled[node] == now:
            continue
        settled[node] = now
        if node == source:
            found = True
            continue
        for index in range(first[node], first[node + 1]):
            arc = out[index] ^ 1
            before = head[index]
            if room[arc] < down or room[arc ^ 1] < up or settled[before] == now:
                continue
            reach = far + (base[arc] + (down_weight * price[arc] + up_weight * price[arc ^ 1]))
            if seen[before] == now and (reach > cost[before] or (reach == cost[before] and steps + 1 >= hops[before])):
                continue
            seen[before] = now
            cost[before] = reach
            hops[before] = steps + 1
            place = size
            size += 1
            while place > 0:
                parent = (place - 1) // 2
                if heap_cost[parent] < reach or (heap_cost[parent] == reach and heap_hops[parent] <= steps + 1):
                    break
                heap_cost[place], heap_hops[place], heap_node[place] = (
                    heap_cost[parent],
                    heap_hops[parent],
                    heap_node[parent],
                )
                place = parent
            heap_cost[place], heap_hops[place], heap_node[place] = reach, steps + 1, before
    if not found:
        return -1
    node = source
    length = 0
    while node != target:
        following = -1
        for index in range(first[node], first[node + 1]):
            arc = out[index]
            after = head[index]
            if room[arc] < down or room[arc ^ 1] < up or settled[after] != now or hops[after] + 1 != hops[node]:
                continue
            reach = cost[after] + (base[arc] + (down_weight * price[arc] + up_weight * price[arc ^ 1]))
            if reach == cost[node]:
                path[length] = arc
                following = after
                break
        length += 1
        node = following
    return length


@cache
def compiled() -> Kernel:
    """`cheapest` compiled by numba: the first call ever takes seconds, later ones load it from numba's cache."""
    import numba

    kernel: Kernel = numba.njit(cache=True)(cheapest)
    return kernel
