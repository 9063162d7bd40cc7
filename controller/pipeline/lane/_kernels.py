"""The cheapest path on flat arrays, in the part of Python that numba compiles: see `carelane.topology.search._engine`.

Arc 2l leads from a to b of link l, arc 2l + 1 back, so `arc ^ 1` is the return. Lists and arrays both serve.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from typing import Any, NamedTuple

from carelane.topology.paths import NODE_BITS, NODE_MASK, Heap, drop_first, push

__all__ = ["KERNELS", "Flat", "Jobs", "Scratch", "State", "cheapest", "improve"]

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
    heap: Heap
    path: Numbers


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
    stamp, seen, settled, cost, hops, heap, _ = scratch
    stamp[0] += 1
    now = stamp[0]
    cost[target] = 0.0
    hops[target] = 0
    seen[target] = now
    size = push(heap, 0, 0.0, 0, target)
    while size > 0:
        far, steps, node = heap.weight[0], (heap.order[0] >> NODE_BITS) + 1, heap.order[0] & NODE_MASK
        size = drop_first(heap, size)
        if settled[node] == now:
            continue
        settled[node] = now
        if node == source:
            return downhill(flat, scratch, base, price, room, down_weight, up_weight, down, up, source, target)
        for index in range(first[node], first[node + 1]):
            arc = out[index] ^ 1
            before = head[index]
            if room[arc] < down or room[arc ^ 1] < up or settled[before] == now:
                continue
            reach = far + (base[arc] + (down_weight * price[arc] + up_weight * price[arc ^ 1]))
            if seen[before] == now and (reach > cost[before] or (reach == cost[before] and steps >= hops[before])):
                continue
            seen[before] = now
            cost[before] = reach
            hops[before] = steps
            size = push(heap, size, reach, steps, before)
    return -1


def downhill(
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
    """Number of arcs of the way that the costs of `cheapest` stand for, by the lowest arcs, put into `scratch.path`."""
    first, out, head = flat
    stamp, _, settled, cost, hops, _, path = scratch
    now = stamp[0]
    node, length = source, 0
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


class Jobs(NamedTuple):
    """Requirements of a batch, by number. A requirement without candidates may take any path between its ends.

    Candidates of requirement i are numbered `candidates[i]` up to `candidates[i + 1]`, and candidate c asks
    `rate[...]` at `arc[...]` for the places `entries[c]` up to `entries[c + 1]`.
    """

    source: Numbers
    target: Numbers
    down: Numbers
    up: Numbers
    worth: Numbers
    candidates: Numbers
    entries: Numbers
    arc: Numbers
    rate: Numbers


class State(NamedTuple):
    """What is chosen: per requirement -1 for nothing, a candidate, or the length of its path at `paths[i * width]`."""

    chosen: Numbers
    moved: Numbers
    paths: Numbers
    room: Numbers
    price: Numbers


def improve(
    flat: Flat, scratch: Scratch, jobs: Jobs, state: State, base: Numbers, free: Numbers, sharpness: float, width: int
) -> int:
    """Each requirement in turn gives up its place and takes the cheapest, if that is worth it; number of changes.

    The price of an arc is exp(-sharpness * room / free): next to nothing while there is room, 1 per bit/s when full.
    """
    source, target, down, up, worth, candidates, entries, entry_arc, entry_rate = jobs
    chosen, moved, paths, room, price = state
    changes = 0
    for arc in range(len(room)):
        price[arc] = exp(-sharpness * room[arc] / free[arc]) if free[arc] > 0 else 1.0
    for job in range(len(source)):
        before = chosen[job]
        start = job * width
        first, last = candidates[job], candidates[job + 1]
        listed = last > first
        if before >= 0 and listed:
            for place in range(entries[before], entries[before + 1]):
                arc = entry_arc[place]
                room[arc] += entry_rate[place]
                price[arc] = exp(-sharpness * room[arc] / free[arc])
        elif before >= 0:
            for place in range(start, start + before):
                arc = paths[place]
                room[arc] += down[job]
                price[arc] = exp(-sharpness * room[arc] / free[arc]) if free[arc] > 0 else 1.0
                room[arc ^ 1] += up[job]
                price[arc ^ 1] = exp(-sharpness * room[arc ^ 1] / free[arc ^ 1]) if free[arc ^ 1] > 0 else 1.0
        after = -1
        same = False
        if listed:
            least = worth[job]
            for candidate in range(first, last):
                cost = 0.0
                for place in range(entries[candidate], entries[candidate + 1]):
                    if room[entry_arc[place]] < entry_rate[place]:
                        cost = least
                        break
                    cost += price[entry_arc[place]] * entry_rate[place]
                if cost < least:
                    least = cost
                    after = candidate
            same = after == before
            if after >= 0:
                for place in range(entries[after], entries[after + 1]):
                    arc = entry_arc[place]
                    room[arc] -= entry_rate[place]
                    price[arc] = exp(-sharpness * room[arc] / free[arc])
        else:
            length = cheapest(
                flat, scratch, base, price, room, 1.0 * down[job], 1.0 * up[job], down[job], up[job], source[job],
                target[job],
            )  # fmt: skip
            if 0 <= length <= width and scratch.cost[source[job]] < worth[job]:
                after = length
            same = after == before
            for place in range(max(after, 0)):
                arc = scratch.path[place]
                same = same and paths[start + place] == arc
                paths[start + place] = arc
                room[arc] -= down[job]
                price[arc] = exp(-sharpness * room[arc] / free[arc]) if free[arc] > 0 else 1.0
                room[arc ^ 1] -= up[job]
                price[arc ^ 1] = exp(-sharpness * room[arc ^ 1] / free[arc ^ 1]) if free[arc ^ 1] > 0 else 1.0
        chosen[job] = after
        moved[job] = 0 if same else 1
        if not same:
            changes += 1
    return changes


KERNELS = ("cheapest", "improve")
