"""Batches with schedules: who coincides, and a bound for them, certified by prices at several moments.

Requirements that all hold capacity at one moment compete for it as an ordinary batch does. So the requirements are
split into few such groups, each with its moment, and every group is packed on its own, beside those before it.

The bound is the one of `pipeline.certificate` with a price per port and moment: what is held at each of the moments
fits the room there, and a requirement pays at every moment that its window contains. For any prices y_t >= 0,

    sum over moments t and ports of room_t * y_t
    + sum over requirements of max(0, value - the least that its embedding costs under the sum of its moments' y_t)

bounds what any planner admits, however it shares capacity over time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor, fsum, inf

from carelane.controller.pipeline.batch._solve import pack
from carelane.controller.pipeline.certificate import GUARD, least_cost
from carelane.controller.pipeline.lane import LaneGraph
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.value import demand_bps
from carelane.topology.ledger import CapacityLedger, PortKey
from carelane.topology.windows import ALWAYS, Window

__all__ = ["Prices", "bound_over_time", "coinciding", "span"]

Prices = Mapping[int, Mapping[PortKey, float]]
"""By moment (microseconds since 1970 UTC) and port, per bit/s."""


def coinciding(requirements: Sequence[Requirement]) -> list[tuple[int, list[int]]]:
    """The fewest groups (of places) whose windows share a moment, each with such a moment; every place is in one."""
    windows = [requirement.window or ALWAYS for requirement in requirements]
    left = sorted(range(len(windows)), key=lambda place: (_closing(windows[place]), place))
    groups: list[tuple[int, list[int]]] = []
    while left:
        closes = windows[left[0]].closes_us
        opens = [window.opens_us for place in left if (window := windows[place]).opens_us is not None]
        moment = closes - 1 if closes is not None else max(opens, default=0)
        groups.append((moment, sorted(place for place in left if windows[place].contains(moment))))
        left = [place for place in left if not windows[place].contains(moment)]
    return groups


def _closing(window: Window) -> float:
    return inf if window.closes_us is None else window.closes_us


def span(requirements: Sequence[Requirement]) -> Window | None:
    """The shortest window around all of theirs; None when that is all time."""
    windows = [requirement.window for requirement in requirements]
    if any(window is None for window in windows):
        return None
    opens = [window.opens_us for window in windows if window is not None]
    closes = [window.closes_us for window in windows if window is not None]
    return Window(
        None if None in opens else min(moment for moment in opens if moment is not None),
        None if None in closes else max(moment for moment in closes if moment is not None),
    )


def bound_over_time(graph: LaneGraph, requirements: Sequence[Requirement], free: CapacityLedger) -> tuple[int, Prices]:
    """What no planner can admit more of beside `free` (bit/s), and the prices that prove it."""
    prices: dict[int, Mapping[PortKey, float]] = {}
    rents: list[float] = []
    for moment, group in coinciding(requirements):
        part = [requirements[place] for place in group]
        then = free.seen_by("", Window(moment, moment + 1))
        found = pack(graph, then, part, [float(demand_bps(item)) for item in part]).certificate.prices
        graph.follow(then)
        rents += [max(0, int(graph.room[graph.lane_arc[port]])) * price for port, price in found.items()]
        prices[moment] = found
    left = [_surplus(graph, requirement, free, prices) for requirement in requirements]
    return floor((fsum(rents) + fsum(left)) * (1.0 + GUARD)), prices


def _surplus(graph: LaneGraph, requirement: Requirement, free: CapacityLedger, prices: Prices) -> float:
    """What a requirement is worth beyond the least that it costs; nothing where it has no way at all."""
    window = requirement.window
    paid = [0.0] * len(graph.port_of)
    for moment, at in prices.items():
        if (window or ALWAYS).contains(moment):
            for port, price in at.items():
                paid[graph.lane_arc[port]] += price
    graph.follow(free.seen_by("", window))
    cost = least_cost(graph, requirement, graph.array(paid))
    return 0.0 if cost == inf else max(0.0, demand_bps(requirement) - cost * (1.0 - GUARD))
