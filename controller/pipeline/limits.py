"""What a single path must satisfy: rates that meet its delay and jitter bounds within the room there is.

The room of a port is its capacity less the floors that other slices hold there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, log

import numpy as np
import numpy.typing as npt

from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.shape import Slice, access_port, delivery_port
from carelane.topology.delay import budget_ps, port_latency_ps, rate_for_bps, round_trip_rates_bps, transmission_ps
from carelane.topology.ledger import CapacityLedger, PortKey
from carelane.topology.model import Endpoint
from carelane.topology.paths import TOLERANCE, Metrics, PathGraph, PathLimits

__all__ = ["AMPLE_BPS", "Bound", "Limits", "Room", "metrics_along"]

AMPLE_BPS = 10**18


class Room:
    """Room per port under a ledger; `unlimited` asks what would be if capacity were no object."""

    def __init__(self, graph: PathGraph, ledger: CapacityLedger, unlimited: bool = False) -> None:
        self._graph = graph
        self._unlimited = unlimited
        self._ledger = ledger

    @cached_property
    def arcs(self) -> npt.NDArray[np.int64]:
        """Room per arc; -1 where the capacity is not stated. Not to be written to."""
        capacities = self._graph.capacities
        if self._unlimited:
            return np.where(capacities < 0, -1, AMPLE_BPS)
        kept = self._graph.kept_room
        if kept is None or kept[0] is not self._ledger:  # a refusal is explained with many plans on one ledger
            kept = self._graph.kept_room = (self._ledger, self._free_arcs())
        return kept[1]

    def _free_arcs(self) -> npt.NDArray[np.int64]:
        arc_of, capacities = self._graph.arc_of, self._graph.capacities
        free = capacities.copy()
        for port, reserved in self._ledger.reserved():
            arc = arc_of.get(port)
            if arc is not None and capacities[arc] >= 0:
                free[arc] -= reserved
        return free

    def _at(self, port: PortKey, capacity_bps: int | None) -> int:
        if capacity_bps is None:
            return -1
        return AMPLE_BPS if self._unlimited else capacity_bps - self._ledger.reserved_bps(port)

    def delivery(self, endpoint: Endpoint) -> int:
        """Room towards the endpoint; -1 when its capacity is not stated."""
        return self._at(delivery_port(endpoint), endpoint.capacity_bps)

    def access(self, endpoint: Endpoint) -> int:
        """Room of the endpoint's own sending side."""
        return self._at(access_port(endpoint), endpoint.capacity_bps)

    def at(self, port: PortKey, endpoints: Mapping[str, Endpoint]) -> int:
        """Room at a link's egress port, or at a delivery or access port of one of `endpoints` (by id)."""
        node, name = port
        if name in endpoints and not node:
            return self.access(endpoints[name])
        if name in endpoints and endpoints[name].node == node:
            return self.delivery(endpoints[name])
        return self._at(port, self._graph.capacity[self._graph.arc_of[port]])


@dataclass(frozen=True, slots=True)
class Bound:
    """One direction of a path: its floor (bit/s) and the worst queueing and transmission delay; 0, 0: not used."""

    rate_bps: int
    queueing_ps: int


class Limits:
    """The objectives of a requirement in the planner's integers, and the test that a path search applies."""

    def __init__(self, requirement: Requirement, shape: Slice, room: Room) -> None:
        objectives = requirement.objectives
        self.shape = shape
        self.room = room
        self.packet_bytes = requirement.max_packet_bytes
        self.delay_ps = None if objectives.delay_s is None else budget_ps(objectives.delay_s)
        self.jitter_ps = None if objectives.jitter_s is None else budget_ps(objectives.jitter_s)
        self.round_trip = objectives.round_trip
        self.max_loss = inf if objectives.loss is None or objectives.loss >= 1 else -log(1.0 - objectives.loss)
        self.timed = self.delay_ps is not None or self.jitter_ps is not None
        self.root_latency = _latency_ps(shape.root)
        self.root_room = room.delivery(shape.root)

    def test(self, leaf: Endpoint) -> Callable[[Metrics], bool]:
        """The monotone test for paths from the root to `leaf`."""
        return lambda metrics: self.keeps_loss(metrics) and self.bounds(metrics, leaf) is not None

    def keeps_loss(self, metrics: Metrics) -> bool:
        return metrics.loss <= self.max_loss + TOLERANCE

    def numbers(self, leaf: Endpoint) -> PathLimits:
        """The same test as numbers, for the inner loops of the search."""
        down, up = self.shape.down, self.shape.up
        return PathLimits(
            down_bps=float(down.floor_bps),
            up_bps=float(up.floor_bps),
            down_bits=8.0 * down.burst_bytes,
            up_bits=8.0 * up.burst_bytes,
            packet_bits=8.0 * self.packet_bytes,
            down_latency_ps=float(_latency_ps(leaf)),
            up_latency_ps=float(self.root_latency),
            down_room_bps=float(self.room.delivery(leaf)),
            up_room_bps=float(self.root_room),
            delay_ps=inf if self.delay_ps is None else float(self.delay_ps),
            jitter_ps=inf if self.jitter_ps is None else float(self.jitter_ps),
            round_trip=self.round_trip,
            max_loss=self.max_loss,
        )

    def bounds(self, metrics: Metrics, leaf: Endpoint) -> tuple[Bound, Bound] | None:
        """The least rates (down, up) that meet the objectives on a path with `metrics`, alone in its queues."""
        down, up = self.shape.down, self.shape.up
        sizes, fixed, high = self._sides(metrics, leaf)
        rates = (
            self._one_way(down.floor_bps, sizes[0], fixed[0], metrics.propagation_ps, high[0]),
            self._one_way(up.floor_bps, sizes[1], fixed[1], metrics.propagation_ps, high[1]),
        )
        if rates[0] is None or rates[1] is None:
            return None
        chosen: tuple[int, int] | None = (rates[0], rates[1])
        if self.round_trip and self.delay_ps is not None:
            left = self.delay_ps - 2 * metrics.propagation_ps - fixed[0] - fixed[1]
            chosen = round_trip_rates_bps(sizes, left, (rates[0], rates[1]), high)
        if chosen is None:
            return None
        return _bound(chosen[0], sizes[0], fixed[0]), _bound(chosen[1], sizes[1], fixed[1])

    def least_rates(self, metrics: Metrics, leaf: Endpoint) -> tuple[int, int] | None:
        """What a path needs (down, up) that is no better than `metrics` in anything; None: no rate is enough."""
        sizes, fixed, _ = self._sides(metrics, leaf)
        asked = self.shape.down.floor_bps, self.shape.up.floor_bps
        down, up = (self._one_way(asked[k], sizes[k], fixed[k], metrics.propagation_ps, AMPLE_BPS) for k in (0, 1))
        return None if down is None or up is None else (down, up)

    def quickest(self, metrics: Metrics, leaf: Endpoint) -> tuple[Bound, Bound]:
        """The bounds (down, up) on the same path with all the room that it has; 0, 0 where nothing is carried."""
        sizes, fixed, high = self._sides(metrics, leaf)
        asked = self.shape.down.floor_bps, self.shape.up.floor_bps
        down, up = (_bound(high[k] if asked[k] else 0, sizes[k], fixed[k]) for k in (0, 1))
        return down, up

    def room_for(self, metrics: Metrics, leaf: Endpoint) -> tuple[int, int]:
        """What the path could reserve (down, up)."""
        return self._sides(metrics, leaf)[2]

    def _sides(self, metrics: Metrics, leaf: Endpoint) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """Per direction (down, up): bytes to be sent, latency whatever the rate (ps), and room (bit/s)."""
        packets = (metrics.hops + 1) * self.packet_bytes
        return (
            (self.shape.down.burst_bytes + packets, self.shape.up.burst_bytes + packets),
            (metrics.latency_ps + _latency_ps(leaf), metrics.latency_ps + self.root_latency),
            (min(metrics.room, self.room.delivery(leaf)), min(metrics.return_room, self.root_room)),
        )

    def _one_way(self, asked_bps: int, size: int, fixed_ps: int, propagation_ps: int, high_bps: int) -> int | None:
        """The least rate for one direction, 0 when it carries nothing, None when it cannot be."""
        if asked_bps == 0:
            return 0
        rate = asked_bps
        allowed = [] if self.jitter_ps is None else [self.jitter_ps - fixed_ps]
        if self.delay_ps is not None and not self.round_trip:
            allowed.append(self.delay_ps - propagation_ps - fixed_ps)
        for left in allowed:
            needed = rate_for_bps(size, left)
            if needed is None:
                return None
            rate = max(rate, needed)
        return rate if rate <= high_bps else None

    def kept(self, propagation_ps: int, down: Bound, up: Bound) -> bool:
        """Whether given bounds meet the objectives."""
        used = [bound for bound in (down, up) if bound.rate_bps]
        if self.jitter_ps is not None and any(bound.queueing_ps > self.jitter_ps for bound in used):
            return False
        if self.delay_ps is None:
            return True
        totals = [propagation_ps + bound.queueing_ps for bound in used]
        return (sum(totals) if self.round_trip else max(totals)) <= self.delay_ps


def metrics_along(graph: PathGraph, arcs: Sequence[int], room: Sequence[int] | npt.NDArray[np.int64]) -> Metrics:
    """Metrics of the path made of `arcs`, wear left out; `room` per arc."""
    links = [arc >> 1 for arc in arcs]
    return Metrics(
        sum(graph.propagation[link] for link in links),
        len(links),
        sum(graph.latency[link] for link in links),
        0.0,
        sum(graph.loss[link] for link in links),
        min((int(room[arc]) for arc in arcs), default=AMPLE_BPS),
        min((int(room[arc ^ 1]) for arc in arcs), default=AMPLE_BPS),
    )


def _latency_ps(endpoint: Endpoint) -> int:
    return port_latency_ps(endpoint.capacity_bps) if endpoint.capacity_bps else 0


def _bound(rate_bps: int, size_bytes: int, fixed_ps: int) -> Bound:
    return Bound(rate_bps, transmission_ps(size_bytes, rate_bps) + fixed_ps) if rate_bps else Bound(0, 0)
