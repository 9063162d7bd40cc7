"""What the kernels work on: links as flat arrays, and the heap of entries that wait for their turn."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["ENDLESS", "NODE_BITS", "NODE_MASK", "Arcs", "Flat", "Heap", "Numbers", "drop_first", "push"]

Numbers = Any
"""A list, or a NumPy array when compiled."""

ENDLESS = 2**62
"""Further than any sum of weights."""
NODE_BITS = 32
NODE_MASK = 2**32 - 1
KERNELS = ()


class Flat(NamedTuple):
    """Who is next to whom: `near[place]` is where `out[place]` leads. `widest`: the most arcs that leave one node."""

    first: Numbers
    out: Numbers
    near: Numbers
    head: Numbers
    widest: int


class Arcs(NamedTuple):
    """Figures of links, which hold for both ways: `near_*` per place, as in `Flat.out`, where they lie side by side.

    `propagation` is per arc, `node_wear` per node, `group_wear` per paying risk group, `groups` in words per arc.
    """

    propagation: Numbers
    near_propagation: Numbers
    near_latency: Numbers
    near_loss: Numbers
    near_wear: Numbers
    node_wear: Numbers
    groups: Numbers
    group_wear: Numbers
    words: int


class Heap(NamedTuple):
    """Entries (weight, hops, node) of a binary heap; `order` is hops and node in one number, which saves time."""

    weight: Numbers
    order: Numbers


def push(heap: Heap, size: int, weight: float, hops: int, node: int) -> int:
    """Put an entry in; the new size."""
    order, at = (hops << NODE_BITS) | node, size
    while at > 0:
        up = (at - 1) >> 1
        above = heap.weight[up]
        if above < weight or (above == weight and heap.order[up] <= order):
            break
        heap.weight[at] = above
        heap.order[at] = heap.order[up]
        at = up
    heap.weight[at] = weight
    heap.order[at] = order
    return size + 1


def drop_first(heap: Heap, size: int) -> int:
    """Take the first entry (at 0) out; the new size."""
    size -= 1
    weight, order = heap.weight[size], heap.order[size]
    at, child = 0, 1
    while child < size:
        under = heap.weight[child]
        if child + 1 < size:
            other = heap.weight[child + 1]
            if other < under or (other == under and heap.order[child + 1] < heap.order[child]):
                child += 1
                under = other
        if weight < under or (weight == under and order <= heap.order[child]):
            break
        heap.weight[at] = under
        heap.order[at] = heap.order[child]
        at = child
        child = 2 * at + 1
    heap.weight[at] = weight
    heap.order[at] = order
    return size
