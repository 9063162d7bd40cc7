"""The fast lane's view of a network: flat arrays with endpoints as nodes, and room and prices that follow a ledger.

Every endpoint is a node behind a link of its own: the arc towards the network is its access line's sending side, the
arc back its delivery port. A path between endpoints then meets every port that a slice reserves at.

Prices. Beside its propagation, an arc costs scale * (exp(STEEPNESS * u) - 1), u the share of it that is reserved: the
exponential link prices of online routing (Awerbuch, Azar and Plotkin, 1993). They are zero on an empty network, where
the cheapest path is the fastest, and grow to `exp(STEEPNESS)` typical links when an arc is nearly full, so that load
spreads before anything is full.
"""

from __future__ import annotations

import threading
from functools import cache
from itertools import chain
from math import exp, inf
from typing import Any

from carelane.controller.pipeline.lane import _kernels
from carelane.controller.pipeline.lane._kernels import Flat, Numbers, Scratch
from carelane.controller.pipeline.limits import AMPLE_BPS
from carelane.controller.pipeline.requirement import Pair, Requirement
from carelane.controller.pipeline.shape import access_port, delivery_port
from carelane.topology.ledger import CapacityLedger, PortKey
from carelane.topology.model import Endpoint, Topology
from carelane.topology.paths import UNKNOWN_PS, Engine, Heap, PathGraph, engine

__all__ = ["STEEPNESS", "LaneGraph"]

STEEPNESS = 12.0

_kept = threading.local()
"""The last graph of each thread: one intent after the other is mostly planned on one snapshot."""


@cache
def _functions(run: Engine) -> dict[str, Any]:
    return run.functions(_kernels)


def _engine(topology: Topology, searches: int) -> Engine:
    """The one for so many searches, which look at every link twice at most."""
    return engine(2 * searches * len(topology.links))


class LaneGraph(PathGraph):
    """A path graph for one planning run, in one thread: `follow` moves its room and prices to a ledger."""

    def __init__(self, topology: Topology, searches: int = 1, run: Engine | None = None) -> None:
        vars(self).update(vars(PathGraph.of(topology)))  # all that does not change is shared
        self.endpoint_node = {name: len(self.node_ids) + k for k, name in enumerate(sorted(topology.endpoints))}
        ends = [topology.endpoints[name] for name in sorted(topology.endpoints)]
        self.links_end = len(self.capacity)
        self.port_of: list[PortKey] = [
            *((self.node_ids[tail], self.link_ids[arc >> 1]) for arc, tail in enumerate(self.tail)),
            *chain.from_iterable(_ports(end) for end in ends),
        ]
        self.lane_capacity = [
            *self.capacity,
            *chain.from_iterable((end.capacity_bps, end.capacity_bps) for end in ends),
        ]
        known = [delay for delay in self.propagation if delay < UNKNOWN_PS]
        unknown = float(sum(known) + 1)
        self.scale = max(sum(known) / len(known), 1.0) if known else 1.0
        base = [unknown if delay >= UNKNOWN_PS else float(delay) for delay in self.propagation for _ in range(2)]
        self.run = run or _engine(topology, searches)
        self.kernel, self.improve = (_functions(self.run)[name] for name in _kernels.KERNELS)
        self._lay_out(ends, [*base, *[0.0] * (2 * len(ends))])
        self._ledger = CapacityLedger()
        self.last_cost = inf
        self._length = -1

    @classmethod
    def for_run(cls, topology: Topology, searches: int) -> LaneGraph:
        """A graph that no other run of this thread is using; the last one's, where the snapshot is the same."""
        last: LaneGraph | None = getattr(_kept, "graph", None)
        run = _engine(topology, searches)
        if last is None or last.topology is not topology or last.run is not run:
            last = _kept.graph = cls(topology, run=run)
        return last

    def _lay_out(self, ends: list[Endpoint], base: list[float]) -> None:
        leaving = [*([*arcs] for arcs in self.leaving), *([] for _ in ends)]
        for k, end in enumerate(ends):
            node, access = self.node_index[end.node], self.links_end + 2 * k
            leaving[self.endpoint_node[end.id]].append((node, access))
            leaving[node].append((self.endpoint_node[end.id], access + 1))
        first = [0]
        for arcs in leaving:
            first.append(first[-1] + len(arcs))
        nodes, arcs_count = len(leaving), len(base)
        run, capacities = self.run, self.lane_capacity
        self.lane_flat = Flat(
            run.indices(first),
            run.indices([arc for arcs in leaving for _, arc in arcs]),
            run.indices([head for arcs in leaving for head, _ in arcs]),
        )
        self.scratch = Scratch(
            stamp=run.filled(1, 0),
            seen=run.filled(nodes, 0),
            settled=run.filled(nodes, 0),
            cost=run.blank(nodes, real=True),
            hops=run.blank(nodes),
            heap=Heap(run.blank(arcs_count + 1, real=True), run.blank(arcs_count + 1)),
            path=run.blank(nodes),
        )
        self.base = run.reals(base)
        self.nothing = run.reals([0.0] * arcs_count)
        self.price: Numbers = run.reals([0.0] * arcs_count)
        self.room: Numbers = run.integers([-1 if capacity is None else capacity for capacity in capacities])
        self.ample: Numbers = run.integers([-1 if capacity is None else AMPLE_BPS for capacity in capacities])
        self.timed = [delay < UNKNOWN_PS for delay in self.propagation for _ in range(2)] + [True] * 2 * len(ends)
        """Whether an arc may serve a promise on time: its link states a delay."""
        self.timed_room: Numbers = run.integers(
            [r if fit else -1 for r, fit in zip(self.room, self.timed, strict=True)]
        )
        self.timed_ample: Numbers = run.integers(
            [a if fit else -1 for a, fit in zip(self.ample, self.timed, strict=True)]
        )
        self.lane_arc = {port: arc for arc, port in enumerate(self.port_of)}

    def follow(self, ledger: CapacityLedger) -> None:
        """Room and prices as `ledger` leaves them."""
        if ledger is self._ledger:
            return
        for port, reserved in self._ledger.changes(ledger):
            arc = self.lane_arc.get(port)
            capacity = None if arc is None else self.lane_capacity[arc]
            if arc is None or capacity is None:
                continue
            self.room[arc] = capacity - reserved
            if self.timed[arc]:
                self.timed_room[arc] = capacity - reserved
            # end ports carry no price: whoever is attached there has no other way
            if arc < self.links_end and capacity:
                self.price[arc] = self.scale * (exp(STEEPNESS * min(reserved / capacity, 1.0)) - 1.0)
        self._ledger = ledger

    def search(
        self, requirement: Requirement, *, priced: bool, unlimited: bool, rates: tuple[int, int] | None = None
    ) -> list[int] | None:
        """Arcs of the cheapest path for a requirement's only pair, with room and the figures it needs, or None.

        Room is needed for `rates` (forward, reverse), those asked for where none are given.
        """
        pair, (down, up) = requirement.pairs[0], rates or (requirement.forward_bps, requirement.reverse_bps)
        plain, timed = (self.ample, self.timed_ample) if unlimited else (self.room, self.timed_room)
        share = down / (down + up) if priced else 0.0
        length = self.kernel(
            self.lane_flat,
            self.scratch,
            self.base,
            self.price,
            timed if is_timed(requirement) else plain,
            share,
            1.0 - share if priced else 0.0,
            down,
            up,
            self.endpoint_node[pair.source.id],
            self.endpoint_node[pair.destination.id],
        )
        return None if length < 0 else [int(arc) for arc in self.scratch.path[:length]]

    def load(self) -> list[float]:
        """The share of each arc that is reserved; 0 where the capacity is not stated."""
        return [
            1.0 - int(room) / capacity if capacity else 0.0
            for room, capacity in zip(self.room, self.lane_capacity, strict=True)
        ]

    def array(self, values: list[float]) -> Numbers:
        """Numbers as the searches take them."""
        return self.run.reals(values)

    def cheapest(self, requirement: Requirement, prices: Numbers) -> list[int] | None:
        """The cheapest path for a requirement's first pair under `prices` per bit/s; `last_cost` is what it costs."""
        self.last_cost = self.cost(requirement, requirement.pairs[0], prices)
        return None if self.last_cost == inf else [int(arc) for arc in self.scratch.path[: self._length]]

    def cost(self, requirement: Requirement, pair: Pair, prices: Numbers) -> float:
        """The least that a path for `pair` costs under `prices` per bit/s; infinite without any."""
        nodes = self.endpoint_node[pair.source.id], self.endpoint_node[pair.destination.id]
        down, up = requirement.forward_bps, requirement.reverse_bps
        room = self.timed_room if is_timed(requirement) else self.room
        self._length = self.kernel(
            self.lane_flat, self.scratch, self.nothing, prices, room, float(down), float(up), down, up, *nodes
        )
        return inf if self._length < 0 else float(self.scratch.cost[nodes[0]])


def is_timed(requirement: Requirement) -> bool:
    """Whether a delay or jitter is asked for, so that links must state theirs."""
    return requirement.objectives.delay_s is not None or requirement.objectives.jitter_s is not None


def _ports(endpoint: Endpoint) -> tuple[PortKey, PortKey]:
    return access_port(endpoint), delivery_port(endpoint)
