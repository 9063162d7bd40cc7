"""The constrained path by label setting with dominance (Desrochers and Soumis, 1988), best imaginable way on first (A*:
Hart, Nilsson and Raphael, 1968).
"""

from __future__ import annotations

from typing import NamedTuple

from carelane.topology.search._kernels._arrays import ENDLESS, Arcs, Flat, Numbers

__all__ = [
    "GROW",
    "NOTHING",
    "SPENT",
    "WORD_BITS",
    "Labels",
    "PathLimits",
    "Remainders",
    "Target",
    "next_candidate",
]

SLACK = 1e-9
"""Relative tolerance of the test in floating point; the caller has the exact last word."""
WORD_BITS = 62
"""Risk groups in one word of a label."""
NOTHING, SPENT, GROW = -1, -2, -3
"""No (further) candidate; the effort is spent; more room for labels is needed before going on."""
KERNELS = ("next_candidate",)


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
