"""Availability of a service that works while any of its paths works, exactly.

A path works while all its components work: links, nodes (end nodes too) and those risk groups that state an
availability of their own, each counted once however often it is touched. Components fail independently. The service's
availability is the inclusion-exclusion sum over unions of components, in exact fractions of the decimal figures that
were stated: A = P(S1) + P(S2) - P(S1 u S2) for two paths. Static: the time of switching over is not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cache
from itertools import combinations
from math import prod

from carelane.errors import InputError
from carelane.topology.model import Topology
from carelane.topology.paths import Route

__all__ = [
    "components_of",
    "exact_availability",
    "exact_ratio",
    "service_availability",
    "stated_availability",
    "unstated_availability",
]

Component = tuple[str, str]
"""(kind, id), kind being node, link or risk group."""

MAX_PATHS = 12


@cache
def exact_ratio(ratio: float) -> Fraction:
    """The decimal that was written, as a fraction: 0.9997 is 9997/10000."""
    return Fraction(repr(float(ratio)))


def components_of(topology: Topology, path: Route) -> frozenset[Component]:
    """What must work for `path` to work: its nodes, links, and risk groups that state an availability."""
    parts = [topology.nodes[node] for node in path.nodes] + [topology.links[link] for link in path.links]
    groups = {group for part in parts for group in part.risk_groups}
    stating = {
        group
        for group in groups
        if group in topology.risk_groups and topology.risk_groups[group].availability is not None
    }
    return frozenset(
        {("node", node) for node in path.nodes}
        | {("link", link) for link in path.links}
        | {("risk group", group) for group in stating}
    )


def stated_availability(topology: Topology, component: Component) -> float | None:
    """The component's own figure; None when it is unknown data."""
    kind, name = component
    if kind == "node":
        return topology.nodes[name].availability
    return topology.links[name].availability if kind == "link" else topology.risk_groups[name].availability


def unstated_availability(topology: Topology, paths: Iterable[Route]) -> tuple[Component, ...]:
    """The nodes and links of `paths` that state no availability, sorted: unknown data."""
    everything = {component for path in paths for component in components_of(topology, path)}
    return tuple(sorted(component for component in everything if stated_availability(topology, component) is None))


def exact_availability(topology: Topology, paths: Sequence[Route]) -> Fraction:
    """The availability as an exact fraction. Raises InputError for unstated figures or more than 12 paths."""
    if not paths or len(paths) > MAX_PATHS:
        raise InputError(f"{len(paths)} paths", expected=f"1 to {MAX_PATHS} paths", remedy="name fewer paths")
    missing = unstated_availability(topology, paths)
    if missing:
        kind, name = missing[0]
        raise InputError(f"{kind} {name} states no availability", remedy="state it in the topology, or give a default")
    sets = [components_of(topology, path) for path in paths]
    everything = frozenset[Component]().union(*sets)
    ratios = {part: exact_ratio(stated_availability(topology, part) or 0.0) for part in everything}
    # over one common denominator, in whole numbers: reducing every product on the way would take most of the time
    total = 0
    for size in range(1, len(sets) + 1):
        sign = 1 if size % 2 else -1
        for chosen in combinations(sets, size):
            union = frozenset[Component]().union(*chosen)
            total += sign * prod(
                ratio.numerator if part in union else ratio.denominator for part, ratio in ratios.items()
            )
    return Fraction(total, prod(ratio.denominator for ratio in ratios.values()))


def service_availability(topology: Topology, paths: Sequence[Route]) -> float:
    """`exact_availability` as the nearest float; whoever prints it rounds it down."""
    return float(exact_availability(topology, paths))
