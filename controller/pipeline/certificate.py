"""A bound on what any planner could admit, certified by link prices.

Take any prices y >= 0 per bit/s of each port. Every planner fits within the ports' room, so what it admits is at most

    sum over ports of room * y  +  sum over requirements of max(0, value - the least that its embedding costs under y)

(weak duality: Lagrangian relaxation of the ports' capacities). The least cost of an embedding is at least that of the
cheapest path between each of its pairs, at the rates asked for, over links with that room (and a stated delay, where
one is promised): objectives, protection and higher rates only add. So the prices are the whole proof; anyone can check
it with a shortest path for each requirement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor, fsum, inf

from carelane.controller.pipeline.lane import LaneGraph
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.value import demand_bps
from carelane.topology.ledger import PortKey

__all__ = ["GUARD", "Certificate", "certify", "least_cost"]

GUARD = 1e-9
"""Relative, against the promise: float sums of a million terms are exact to 1e-10."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """`bound` on what can be admitted (bit/s, or what is counted as worth), and the positive prices that prove it."""

    bound: float
    prices: Mapping[PortKey, float]

    @property
    def bound_bps(self) -> int:
        return floor(self.bound)  # what is admitted is whole


def certify(
    graph: LaneGraph,
    requirements: Sequence[Requirement],
    prices: Sequence[float],
    values: Sequence[float] | None = None,
    *,
    scale: bool = False,
) -> Certificate:
    """The certificate of `prices` (by arc) where `graph` has followed the ledger that others hold already.

    `values` is what admitting each is worth, their bandwidth unless given. With `scale` the prices are multiplied by
    what makes the bound least.
    """
    values = [float(demand_bps(item)) for item in requirements] if values is None else values
    worth = [(value, least_cost(graph, item, prices)) for value, item in zip(values, requirements, strict=True)]
    worth = [(value, cost) for value, cost in worth if cost < inf]  # the others have no way at all
    room = [(max(0, int(room)), float(price)) for room, price in zip(graph.room, prices, strict=True)]
    rent = fsum(free * price for free, price in room)
    factor = _best_factor(rent, worth) if scale else 1.0
    left = fsum(max(0.0, value - factor * cost * (1.0 - GUARD)) for value, cost in worth)
    bound = (factor * rent + left) * (1.0 + GUARD)
    kept = {graph.port_of[arc]: factor * price for arc, (_, price) in enumerate(room) if factor * price > 0.0}
    return Certificate(min(bound, sum(value for value, _ in worth)), kept)


def _best_factor(rent: float, worth: Sequence[tuple[float, float]]) -> float:
    """The factor of least bound, which is convex and bends where a requirement stops being worth its cost."""
    breaks = sorted((value / cost, cost) for value, cost in worth if cost > 0.0)
    slope = rent - fsum(cost for _, cost in breaks)
    factor = 0.0
    for at, cost in breaks:
        if slope >= 0.0:
            break
        factor = at
        slope += cost
    return factor


def least_cost(graph: LaneGraph, requirement: Requirement, prices: Sequence[float]) -> float:
    """No embedding of `requirement` costs less under `prices`, but for the error of float sums."""
    costs = sorted((graph.cost(requirement, pair, prices) for pair in requirement.pairs), reverse=True)
    # a port with the paths of c sites holds min(c, k) floors, which is no less than those of any k sites come to
    return sum(costs[: requirement.together if requirement.connectivity == "hub" else 1])
