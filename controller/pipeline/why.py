"""The reason for one constraint: where it binds, what was asked and what there is, in the units of the contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf

from carelane.controller.pipeline.limits import Room
from carelane.controller.pipeline.nearest import nearest, slowest_way
from carelane.controller.pipeline.relax import Trial, asked_bps, loosen
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.rounding import floor_availability, mbps, ms_up
from carelane.controller.pipeline.slice_plan import Constraint, Reason
from carelane.topology.availability import exact_availability, limiting_component
from carelane.topology.delay import seconds
from carelane.topology.model import Endpoint
from carelane.topology.paths import PathGraph, Route
from carelane.units import format_rate

__all__ = ["constraint_reason"]


def constraint_reason(
    trial: Trial,
    requirement: Requirement,
    constraint: Constraint,
    others: Sequence[Constraint],
    culprit: Endpoint | None,
) -> Reason:
    """Why `constraint` has to give, the `others` having given already; `culprit` is the site it is about, if one."""
    variant = requirement
    for other in others:
        if other != "bandwidth":
            variant = loosen(variant, other)
    at = culprit.id if culprit else None
    if constraint == "bandwidth":
        return _bandwidth(trial, variant)
    if constraint == "disjointness":
        return Reason("disjointness", at, 2, 1, "paths", "no second path avoids the first one's links, nodes and risks")
    trial = replace(trial, unlimited="bandwidth" in others)
    found = nearest(trial, variant, constraint)
    asked, best = variant.objectives, found.objectives if found else None
    if constraint == "availability":
        return _availability(trial, variant, best.availability if best else None, at)
    if constraint == "loss":
        detail = "the stated losses of the links alone exceed it"
        return Reason("loss", at, asked.loss, best.loss if best else None, "ratio", detail)
    if constraint == "jitter":
        available = ms_up(best.jitter_s) if best and best.jitter_s is not None else None
        detail = "queueing and transmission at the rates that fit take longer"
        return Reason("jitter", at, ms_up(asked.jitter_s or 0.0), available, "ms", detail)
    available = ms_up(best.delay_s) if best and best.delay_s is not None else None
    return Reason("delay", at, ms_up(asked.delay_s or 0.0), available, "ms", _physics(trial.graph, variant))


def _bandwidth(trial: Trial, requirement: Requirement) -> Reason:
    """The port that lacks most, on the way that would be taken if capacity were no object."""
    asked = asked_bps(requirement)
    wanted = trial.plan(requirement, unlimited=True)
    if wanted is None:
        return Reason("bandwidth", None, mbps(asked), None, "Mbps", "no way has enough left")
    room = Room(trial.graph, trial.ledger.seen_by(requirement.name, requirement.window))
    ends = {endpoint.id: endpoint for endpoint in (wanted.shape.root, *wanted.shape.leaves)}
    worst, lack = None, -inf
    # of ports that lack equally much, links come before access lines: capacity is laid there
    for port, floor in sorted(wanted.floors.items(), key=lambda held: (held[0][1] in ends, held[0])):
        left = max(0, room.at(port, ends))
        if floor - left > lack:
            worst, lack = (port, floor, left), floor - left
    if worst is None:
        return Reason("bandwidth", None, mbps(asked), None, "Mbps", "no way has enough left")
    (node, name), floor, left = worst
    side = f"at {node}" if node else "from the endpoint into the network"
    detail = f"{format_rate(left)} left {side}{_by_policy(trial.graph, name)}"
    if floor > asked:
        detail += f"; its paths there need {format_rate(floor)} for {format_rate(asked)} within the bounds asked for"
    return Reason("bandwidth", name, mbps(floor), mbps(left), "Mbps", detail)


def _by_policy(graph: PathGraph, name: str) -> str:
    """Says so where a link has more than policy lets be reserved."""
    link = graph.topology.links.get(name)
    if link is None or link.max_reservable == 1 or link.capacity_bps is None:
        return ""
    share = f"{float(100 * link.max_reservable):.6g}%"
    return f" of the {share} that policy lets be reserved of {format_rate(link.capacity_bps)}"


def _availability(trial: Trial, requirement: Requirement, best: float | None, at: str | None) -> Reason:
    """Names the end node where it alone is not enough."""
    target = requirement.objectives.availability or 0.0
    detail = "no set of up to three disjoint paths within the other limits reaches it"
    if requirement.protection == "none":
        detail = "no single path within the other limits reaches it, and protection is switched off"
    for node in sorted({end.node for pair in requirement.pairs for end in (pair.source, pair.destination)}):
        alone = exact_availability(trial.graph.topology, [Route((node,), ())])
        if float(alone) < target:
            return Reason(
                "availability", node, target, best, "ratio", f"node {node} alone reaches {floor_availability(alone)}"
            )
    return Reason("availability", at, target, best, "ratio", detail + _limit(trial, requirement, best))


def _limit(trial: Trial, requirement: Requirement, best: float | None) -> str:
    """Which component costs the best set of paths most."""
    if best is None:
        return ""
    found = trial.plan(replace(requirement, objectives=replace(requirement.objectives, availability=best)))
    if found is None:
        return ""
    sites: dict[int, list[Route]] = {}
    for row in found.rows:
        sites.setdefault(row.leaf, []).append(row.route)
    topology = trial.graph.topology
    worst = min(sites.values(), key=lambda routes: exact_availability(topology, routes))
    limit = limiting_component(topology, worst)
    if limit is None:
        return ""
    (kind, name), without = limit
    return f"; {kind} {name} limits the best set most: were it perfect, {floor_availability(without)}"


def _physics(graph: PathGraph, requirement: Requirement) -> str:
    """What propagation alone takes on the fastest way of the site that has the longest."""
    slowest = slowest_way(graph, requirement)
    if slowest is None:
        return ""
    taken, length_m = slowest
    trips, kind = (2, " round trip") if requirement.objectives.round_trip else (1, " one way")
    over = f" over {length_m / 1000:.6g} km" if length_m else ""
    return f"propagation alone is {ms_up(seconds(trips * taken)):.6g} ms{kind}{over}"
