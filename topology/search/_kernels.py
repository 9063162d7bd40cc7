"""The inner loops of the path search, in the part of Python that numba compiles. Nothing here knows of ids or objects.

Arcs are numbered so that `arc ^ 1` is the return of `arc`; those leaving node v are `out[first[v]:first[v + 1]]`, in
ascending order, and `head[arc]` is where an arc leads. Costs are pairs (weight, hops) in dictionary order: an ordered
group, so everything that holds of distances holds of them. `carelane.topology.search._engine` runs these functions on
lists as they stand, or on NumPy arrays when compiled; every array is given by the caller, so both are the same code.

Sources: Dijkstra (1959), A* (Hart, Nilsson and Raphael, 1968), label setting with dominance (Desrochers and Soumis,
1988), disjoint paths by successive shortest paths (Suurballe, 1974; Suurballe and Tarjan, 1984).
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = [
    "ENDLESS",
    "GROW",
    "HELPERS",
    "KERNELS",
    "NOTHING",
    "SPENT",
    "WORD_BITS",
    "Arcs",
    "Flat",
    "Flow",
    "Heap",
    "Labels",
    "PathLimits",
    "Remainders",
    "Target",
    "disjoint_ways",
    "downhill",
    "fewest_hops",
    "next_candidate",
    "remainders",
]

Numbers = Any
"""A list, or a NumPy array when compiled."""

ENDLESS = 2**62
"""Further than any sum of weights."""
NODE_BITS = 32
NODE_MASK = 2**32 - 1
SLACK = 1e-9
"""Relative tolerance of the test in floating point; the caller has the exact last word."""
WORD_BITS = 62
"""Risk groups in one word of a label."""
NOTHING, SPENT, GROW = -1, -2, -3
"""No (further) candidate; the effort is spent; more room for labels is needed before going on."""
INTERNAL = -(2**40)
"""Stands in a trace for the step from a used node's exit back to its entry."""


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


class Remainders(NamedTuple):
    """Per node, the least that each metric adds on the way to the target.

    `wear` and `loss` are least where they are less than at the source; elsewhere they are those of some way, and what
    the source has is a lower bound. `along` is the propagation of the way that `wear` is of, where that is needed.
    """

    weight: Numbers
    hops: Numbers
    fewest: Numbers
    wear: Numbers
    loss: Numbers
    latency_ps: int
    along: Numbers


class PathLimits(NamedTuple):
    """What a path must keep, as numbers. A direction whose rate is 0 carries nothing; inf is no limit.

    A direction of n ports (hops and the delivery port) meets a delay when some rate R between `*_bps` and the room
    has (`*_bits` + n `packet_bits`) / R + latencies + propagation within it; the jitter alike, without propagation.
    """

    down_bps: float
    up_bps: float
    down_bits: float
    up_bits: float
    packet_bits: float
    down_latency_ps: float
    up_latency_ps: float
    down_room_bps: float
    up_room_bps: float
    delay_ps: float
    jitter_ps: float
    round_trip: bool
    max_loss: float


class Target(NamedTuple):
    """Ends of a search, the wear it may reach, and the cost (weight, hops) that it must stay below."""

    source: int
    target: int
    max_wear: float
    below_weight: int
    below_hops: int
    use_wear: bool
    use_loss: bool
    use_time: bool


class Labels(NamedTuple):
    """Partial paths. `state`: how many there are, how many wait in `heap`, the effort left, and the most that the best
    path takes if the last test passes what the others pass; paths beyond it were left out."""

    state: Numbers
    heap: Numbers
    node: Numbers
    parent: Numbers
    arc: Numbers
    hops: Numbers
    weight: Numbers
    key_weight: Numbers
    key_hops: Numbers
    latency: Numbers
    room: Numbers
    return_room: Numbers
    wear: Numbers
    loss: Numbers
    paid: Numbers
    after: Numbers
    settled: Numbers


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


def one_way(need: float, fixed: float, high: float, asked: float, allowed: float) -> bool:
    """Whether a rate between `asked` and `high` sends `need` (bits, in ps at 1 bit/s) within `allowed` less `fixed`."""
    if high < asked:
        return False
    left = allowed - fixed + SLACK * allowed
    return left > 0 and need <= left * high * (1.0 + SLACK)


def keeps_time(limits: PathLimits, weight: float, hops: int, latency: float, room: float, return_room: float) -> bool:
    """Whether rates exist that keep delay and jitter, within a tolerance in the path's favour."""
    ports = (hops + 1) * limits.packet_bits
    down_need, up_need = (limits.down_bits + ports) * 1e12, (limits.up_bits + ports) * 1e12
    down_fixed, up_fixed = latency + limits.down_latency_ps, latency + limits.up_latency_ps
    down_high, up_high = min(room, limits.down_room_bps), min(return_room, limits.up_room_bps)
    total = 2.0 * weight
    if limits.down_bps > 0:
        if not one_way(down_need, down_fixed, down_high, limits.down_bps, limits.jitter_ps):
            return False
        if not limits.round_trip and not one_way(
            down_need, down_fixed + weight, down_high, limits.down_bps, limits.delay_ps
        ):
            return False
        total += down_fixed + down_need / down_high
    if limits.up_bps > 0:
        if not one_way(up_need, up_fixed, up_high, limits.up_bps, limits.jitter_ps):
            return False
        if not limits.round_trip and not one_way(up_need, up_fixed + weight, up_high, limits.up_bps, limits.delay_ps):
            return False
        total += up_fixed + up_need / up_high
    return not limits.round_trip or total <= limits.delay_ps * (1.0 + SLACK)


def sooner(labels: Labels, a: int, b: int) -> bool:
    """Whether label `a` comes before `b`: by cost to come, then by arcs from the source on, a part before the whole."""
    if labels.key_weight[a] != labels.key_weight[b]:
        return bool(labels.key_weight[a] < labels.key_weight[b])
    if labels.key_hops[a] != labels.key_hops[b]:
        return bool(labels.key_hops[a] < labels.key_hops[b])
    shorter = labels.hops[a] <= labels.hops[b]
    while labels.hops[a] > labels.hops[b]:
        a = labels.parent[a]
    while labels.hops[b] > labels.hops[a]:
        b = labels.parent[b]
    if a == b:
        return bool(shorter)
    while labels.parent[a] != labels.parent[b]:
        a = labels.parent[a]
        b = labels.parent[b]
    return bool(labels.arc[a] < labels.arc[b])


def push_label(labels: Labels, label: int) -> None:
    """Let a label wait for its turn."""
    heap, at = labels.heap, labels.state[1]
    labels.state[1] = at + 1
    while at > 0:
        up = (at - 1) >> 1
        if not sooner(labels, label, heap[up]):
            break
        heap[at] = heap[up]
        at = up
    heap[at] = label


def pop_label(labels: Labels) -> int:
    """The label whose turn it is."""
    heap, size = labels.heap, labels.state[1] - 1
    labels.state[1] = size
    result, label = heap[0], heap[size]
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and sooner(labels, heap[child + 1], heap[child]):
            child += 1
        if sooner(labels, label, heap[child]):
            break
        heap[at] = heap[child]
        at = child
    heap[at] = label
    return int(result)


def owed(arcs: Arcs, paid: Numbers, by: int, bits: int, word: int) -> float:
    """Wear of the risk groups in `bits` of a word that label `by` has not paid for."""
    total = 0.0
    missing = bits & ~paid[by * arcs.words + word]
    at = word * WORD_BITS
    while missing:
        if missing & 1:
            total += arcs.group_wear[at]
        missing >>= 1
        at += 1
    return total


def dominated(arcs: Arcs, target: Target, labels: Labels, node: int, new: int) -> bool:
    """Whether every way on from `new` would be at least as good from a label settled at `node` before."""
    old = labels.settled[node]
    while old >= 0:
        if (
            labels.weight[old] <= labels.weight[new]
            and labels.loss[old] <= labels.loss[new]
            and labels.latency[old] <= labels.latency[new]
            and labels.room[old] >= labels.room[new]
            and labels.return_room[old] >= labels.return_room[new]
            and (labels.hops[old] <= labels.hops[new] or not target.use_time)
        ):
            if not target.use_wear:
                return True
            wear = labels.wear[old]
            for word in range(arcs.words):
                wear += owed(arcs, labels.paid, old, labels.paid[new * arcs.words + word], word)
            if wear <= labels.wear[new]:
                return True
        old = labels.after[old]
    return False


def next_candidate(
    flat: Flat,
    arcs: Arcs,
    usable: Numbers,
    room: Numbers,
    limits: PathLimits,
    target: Target,
    rest: Remainders,
    labels: Labels,
    tolerance: float,
) -> int:
    """The next best label at the target, or NOTHING, SPENT or GROW; call again to go on. Label 0 is at the source."""
    space = len(labels.node)
    least_wear = rest.wear[target.source] if target.use_wear else 0.0
    least_loss = rest.loss[target.source] if target.use_loss else 0.0
    while labels.state[1] > 0:
        if labels.state[0] + flat.widest > space:
            return GROW
        label = pop_label(labels)
        node = labels.node[label]
        if node == target.target:
            return label
        if dominated(arcs, target, labels, node, label):
            continue
        labels.after[label] = labels.settled[node]
        labels.settled[node] = label
        labels.state[2] -= 1
        if labels.state[2] < 0:
            return SPENT
        for place in range(flat.first[node], flat.first[node + 1]):
            arc = flat.out[place]
            onward = flat.near[place]
            if not usable[arc] or rest.weight[onward] == ENDLESS:
                continue
            weight = labels.weight[label] + arcs.near_propagation[place]
            hops = labels.hops[label] + 1
            key, key_hops = weight + rest.weight[onward], hops + rest.hops[onward]
            if key > target.below_weight or (key == target.below_weight and key_hops >= target.below_hops):
                continue
            new = labels.state[0]
            wear = labels.wear[label]
            if target.use_wear:
                wear += arcs.near_wear[place]
                if onward != target.target:
                    wear += arcs.node_wear[onward]
                for word in range(arcs.words):
                    bits = arcs.groups[arc * arcs.words + word]
                    wear += owed(arcs, labels.paid, label, bits, word)
                    labels.paid[new * arcs.words + word] = labels.paid[label * arcs.words + word] | bits
                on_the_way = rest.wear[onward]
                if wear + min(on_the_way, least_wear) > target.max_wear + tolerance or key > labels.state[3]:
                    continue
                if len(rest.along) > 0 and wear + on_the_way < target.max_wear - tolerance:
                    labels.state[3] = min(labels.state[3], weight + rest.along[onward])
            loss = labels.loss[label]
            if target.use_loss:
                loss += arcs.near_loss[place]
                if loss + min(rest.loss[onward], least_loss) > limits.max_loss + tolerance:
                    continue
            latency, wide, back = labels.latency[label], labels.room[label], labels.return_room[label]
            if target.use_time:
                latency += arcs.near_latency[place]
                wide = min(wide, room[arc])
                back = min(back, room[arc ^ 1])
                ahead = rest.fewest[onward]
                slow = latency + ahead * rest.latency_ps
                if not keeps_time(limits, float(key), hops + ahead, float(slow), float(wide), float(back)):
                    continue
            labels.node[new] = onward
            labels.parent[new] = label
            labels.arc[new] = arc
            labels.hops[new] = hops
            labels.weight[new] = weight
            labels.key_weight[new] = key
            labels.key_hops[new] = key_hops
            labels.latency[new] = latency
            labels.room[new] = wide
            labels.return_room[new] = back
            labels.wear[new] = wear
            labels.loss[new] = loss
            if dominated(arcs, target, labels, onward, new):
                continue
            labels.state[0] = new + 1
            push_label(labels, new)
    return NOTHING


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


HELPERS = (
    "push",
    "drop_first",
    "one_way",
    "keeps_time",
    "sooner",
    "push_label",
    "pop_label",
    "owed",
    "dominated",
    "reach",
    "cheapest_augmentation",
    "raise_potentials",
    "carry",
    "first_way",
)
KERNELS = ("remainders", "downhill", "fewest_hops", "next_candidate", "disjoint_ways")
