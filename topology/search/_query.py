"""What a search is asked: ends, arcs that may be used, room on them, and what a path must keep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from carelane.topology.search._graph import PathGraph, Route
from carelane.topology.search._kernels import PathLimits

__all__ = ["TOLERANCE", "UNLIMITED", "Cost", "Effort", "Metrics", "Query", "start_metrics"]

TOLERANCE = 1e-12
UNLIMITED = 10**18

Cost = tuple[int, int]
"""Propagation (ps) and hops, in dictionary order."""


class Metrics(NamedTuple):
    """What a path adds up to, its end ports not included. Every field only gets worse as the path grows.

    `wear` is -log availability of links, inner nodes and risk groups; `loss` is -log of the share delivered;
    `room` and `return_room` are what its tightest port still has, onwards and in the return direction (bit/s).
    """

    propagation_ps: int
    hops: int
    latency_ps: int
    wear: float
    loss: float
    room: int
    return_room: int

    @property
    def cost(self) -> Cost:
        return self.propagation_ps, self.hops


def start_metrics() -> Metrics:
    """Metrics of the empty path."""
    return Metrics(0, 0, 0, 0.0, 0.0, UNLIMITED, UNLIMITED)


@dataclass
class Effort:
    """Work left to a search, in labels. `exhausted` tells that it ended early, so that its "none" proves nothing."""

    left: int
    exhausted: bool = False

    def spend(self, labels: int = 1) -> bool:
        """Whether there was as much left."""
        self.left -= labels
        self.exhausted = self.exhausted or self.left < 0
        return self.left >= 0


@dataclass(frozen=True)
class Query:
    """One search. `usable[arc]` and `room[arc]` are given for all arcs; the return direction is `room[arc ^ 1]`.

    `acceptable` is monotone: once false it stays false when any metric gets worse. `limits` say the same in numbers,
    perhaps more generously, so that partial paths can be given up early; without them the search compares whole paths
    in every metric. `paid_groups` are the risk groups that the end nodes touch anyway. `accept` has the last word.
    """

    graph: PathGraph
    source: int
    target: int
    usable: Sequence[bool] | npt.NDArray[np.bool_]
    room: Sequence[int] | npt.NDArray[np.int64]
    acceptable: Callable[[Metrics], bool]
    max_wear: float = inf
    paid_groups: frozenset[str] = frozenset()
    accept: Callable[[Route], bool] = field(default=lambda _: True)
    limits: PathLimits | None = None

    def metrics(self, arcs: Iterable[int]) -> Metrics:
        """Metrics of the path made of `arcs`."""
        graph, on = self.graph, list(arcs)
        if not on:
            return start_metrics()
        links, back = [arc >> 1 for arc in on], [arc ^ 1 for arc in on]
        nodes = list(map(graph.tail.__getitem__, back))
        wear = 0.0
        for link, node in zip(links, nodes, strict=True):
            wear += graph.link_wear[link] + (graph.node_wear[node] if node != self.target else 0.0)
        if graph.group_wear:
            paid = self.paid_groups.union(*map(graph.paying_groups, links, nodes)) - self.paid_groups
            wear += sum(graph.group_wear[group] for group in sorted(paid))
        room = self.room.__getitem__
        return Metrics(
            sum(map(graph.propagation.__getitem__, links)),
            len(on),
            sum(map(graph.latency.__getitem__, links)),
            wear,
            sum(map(graph.loss.__getitem__, links)),
            int(min(map(room, on))),
            int(min(map(room, back))),
        )

    def passes(self, metrics: Metrics) -> bool:
        return metrics.wear <= self.max_wear + TOLERANCE and self.acceptable(metrics)
