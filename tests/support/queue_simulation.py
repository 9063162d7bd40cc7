"""Packets through servers that do their worst within their contract: a discrete-event oracle for delay bounds.

A server may rest for up to its latency whenever it becomes busy, then sends whole packets at no less than its rate
until it is empty. Traffic of every flow conforms to its token bucket at the entry; everything else (when sources burst,
how long servers rest, who goes first) is drawn by the caller to be as bad as possible.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random

__all__ = [
    "Choice",
    "Packet",
    "Queue",
    "Source",
    "by_class",
    "by_rank",
    "first_come",
    "greedy",
    "newest_flow",
    "round_robin",
    "simulate",
]


@dataclass(slots=True)
class Packet:
    flow: str
    size: float
    released: float
    arrived: float = 0.0
    """At the server where it waits."""


@dataclass(frozen=True, slots=True)
class Source:
    """A flow's packets, (time, size) in order of time, and the servers they cross."""

    path: tuple[str, ...]
    packets: Sequence[tuple[float, float]]


@dataclass(slots=True)
class Queue:
    """A server: sends at `rate` after resting `rest` at the start of each busy period."""

    rate: float
    rest: Callable[[], float]
    waiting: dict[str, deque[Packet]] = field(default_factory=dict)
    busy: bool = False


Choice = Callable[[Mapping[str, deque[Packet]]], str]
"""Which flow's oldest packet is sent next; no waiting line in it is empty."""


def first_come(last: Sequence[str]) -> Choice:
    """In order of arrival; of packets that came together those of flows later in `last` go later."""
    rank = {flow: number for number, flow in enumerate(last)}
    return lambda waiting: min(waiting, key=lambda flow: (waiting[flow][0].arrived, rank[flow]))


def by_rank(order: Sequence[str]) -> Choice:
    """Strict priority between flows."""
    rank = {flow: number for number, flow in enumerate(order)}
    return lambda waiting: min(waiting, key=rank.__getitem__)


def by_class(classes: Mapping[str, int], last: Sequence[str]) -> Choice:
    """Strict priority between classes, in order of arrival within one."""
    rank = {flow: number for number, flow in enumerate(last)}
    return lambda waiting: min(waiting, key=lambda flow: (classes[flow], waiting[flow][0].arrived, rank[flow]))


def round_robin(quanta: Mapping[str, float], classes: Mapping[str, str], last: Sequence[str]) -> Choice:
    """Deficit round robin between classes (Shreedhar and Varghese), in order of arrival within one, at every server."""
    rank, ring = {flow: number for number, flow in enumerate(last)}, list(quanta)
    turns: dict[int, tuple[int, float]] = {}
    """Whose turn it is, and what is left of its quantum; by server."""
    kept: dict[tuple[int, int], float] = {}

    def choose(waiting: Mapping[str, deque[Packet]]) -> str:
        server = id(waiting)
        turn, left = turns.get(server, (0, quanta[ring[0]]))
        while True:
            own = [flow for flow in waiting if classes[flow] == ring[turn]]
            if own:
                flow = min(own, key=lambda flow: (waiting[flow][0].arrived, rank[flow]))
                if waiting[flow][0].size <= left:
                    turns[server] = turn, left - waiting[flow][0].size
                    return flow
            kept[server, turn] = left if own else 0.0
            turn = (turn + 1) % len(ring)
            left = kept.get((server, turn), 0.0) + quanta[ring[turn]]

    return choose


def newest_flow(last: Sequence[str]) -> Choice:
    """The flow that came last goes first."""
    rank = {flow: number for number, flow in enumerate(last)}
    return lambda waiting: max(waiting, key=lambda flow: (waiting[flow][-1].arrived, -rank[flow]))


def greedy(
    dice: Random, rate: float, burst: float, longest: float, start: float, count: int
) -> list[tuple[float, float]]:
    """A conforming source that sends whatever its bucket allows, with pauses that fill the bucket again."""
    packets, now, tokens = [], start, burst
    for _ in range(count):
        size = longest if dice.random() < 0.7 else dice.uniform(longest / 4, longest)
        pause = burst / rate if dice.random() < 0.05 else 0.0
        wait = max(pause, (size - tokens) / rate)
        now, tokens = now + wait, min(burst, tokens + wait * rate) - size
        packets.append((now, size))
    return packets


def simulate(sources: Mapping[str, Source], queues: Mapping[str, Queue], choose: Choice) -> dict[str, float]:
    """The longest time that a packet of each flow took from its release to the end of its last transmission."""
    worst = dict.fromkeys(sources, 0.0)
    events: list[tuple[float, int, str, Packet | None]] = []
    number = 0

    def at(time: float, server: str, packet: Packet | None) -> None:
        nonlocal number
        number += 1
        heappush(events, (time, number, server, packet))

    following = {
        flow: dict(zip(source.path, (*source.path[1:], None), strict=True)) for flow, source in sources.items()
    }
    for flow, source in sources.items():
        for time, size in source.packets:
            at(time, source.path[0], Packet(flow, size, time))
    sending: dict[str, Packet] = {}
    while events:
        now, _, server, arriving = heappop(events)
        queue = queues[server]
        if arriving is not None:
            arriving.arrived = now
            queue.waiting.setdefault(arriving.flow, deque()).append(arriving)
            if not queue.busy:
                queue.busy = True
                at(now + queue.rest(), server, None)
            continue
        sent = sending.pop(server, None)
        if sent is not None:
            onwards = following[sent.flow][server]
            if onwards is None:
                worst[sent.flow] = max(worst[sent.flow], now - sent.released)
            else:
                at(now, onwards, sent)
        if not queue.waiting:
            queue.busy = False
            continue
        flow = choose(queue.waiting)
        packet = queue.waiting[flow].popleft()
        if not queue.waiting[flow]:
            del queue.waiting[flow]
        sending[server] = packet
        at(now + packet.size / queue.rate, server, None)
    return worst
