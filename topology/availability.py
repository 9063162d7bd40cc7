"""Availability of a service that works while any of its paths works, exactly.

A path works while all its components work: links, nodes (end nodes too) and those risk groups that state an
availability of their own, each counted once however often it is touched. Components fail independently. The service's
availability is the inclusion-exclusion sum over unions of components, in exact fractions of the decimal figures that
were stated: A = P(S1) + P(S2) - P(S1 u S2) for two paths.

Switching over takes time too: every failure of what only the path in use needs is an outage of `SWITCH_OVER_S`. How
often that is follows from the MTBF where it is stated; an availability alone does not tell how often something fails,
so without an MTBF nothing is counted, and a decision says so among its assumptions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import cache
from itertools import combinations
from math import prod

from carelane.errors import InputError
from carelane.topology.model import Repair, Topology
from carelane.topology.paths import Route

__all__ = [
    "SWITCH_OVER_S",
    "Component",
    "components_of",
    "exact_availability",
    "exact_ratio",
    "limiting_component",
    "service_availability",
    "stated_availability",
    "switching_unavailability",
    "unprovided_switching",
    "unstated_availability",
]

Component = tuple[str, str]
"""(kind, id), kind being node, link or risk group."""

MAX_PATHS = 12
SWITCH_OVER_S = Fraction(3, 10)
"""Outage of one switch-over: three BFD messages missed (RFC 5880, detection multiplier 3) at an interval of 100 ms."""


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
    return _any_works([components_of(topology, path) for path in paths], _ratios(topology, paths))


def _ratios(topology: Topology, paths: Iterable[Route]) -> dict[Component, Fraction]:
    everything = {part for path in paths for part in components_of(topology, path)}
    return {part: exact_ratio(stated_availability(topology, part) or 0.0) for part in everything}


def _any_works(sets: Sequence[frozenset[Component]], ratios: Mapping[Component, Fraction]) -> Fraction:
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


def switching_unavailability(topology: Topology, paths: Sequence[Route]) -> Fraction:
    """The share of time spent in switching over, as far as MTBFs are stated; 0 for a single path.

    Only what not all paths need makes a switch-over of its failure. Any path may be the one in use, so the one that
    fails most often counts.
    """
    if len(paths) < 2:
        return Fraction(0)
    rates = [sum((1 / _mtbf_s(topology, part) for part in own), Fraction(0)) for own in _own_parts(topology, paths)]
    return min(Fraction(1), max(rates) * SWITCH_OVER_S)


def unprovided_switching(topology: Topology, paths: Sequence[Route]) -> tuple[Component, ...]:
    """The components whose failures would cost a switch-over and that state no MTBF, sorted; none for a single path."""
    if len(paths) < 2:
        return ()
    parts = {part for path in paths for part in components_of(topology, path)}
    common = frozenset.intersection(*(components_of(topology, path) for path in paths))
    return tuple(sorted(part for part in parts - common if _repair(topology, part) is None))


def _own_parts(topology: Topology, paths: Sequence[Route]) -> list[list[Component]]:
    """Per path, the components with a stated MTBF that not all paths need."""
    sets = [components_of(topology, path) for path in paths]
    common = frozenset.intersection(*sets)
    return [[part for part in own - common if _repair(topology, part) is not None] for own in sets]


def _repair(topology: Topology, component: Component) -> Repair | None:
    kind, name = component
    if kind == "node":
        return topology.nodes[name].repair
    return topology.links[name].repair if kind == "link" else topology.risk_groups[name].repair


def _mtbf_s(topology: Topology, component: Component) -> Fraction:
    repair = _repair(topology, component)
    assert repair is not None
    return exact_ratio(repair.mtbf_s)


def limiting_component(topology: Topology, paths: Sequence[Route]) -> tuple[Component, Fraction] | None:
    """The component whose failures cost the service most, and the availability if it never failed; None: nothing does.

    The difference is the component's improvement potential (Barlow and Proschan's importance times its own
    unavailability). Ties go to the first in order of kind and id. Raises InputError as `exact_availability` does.
    """
    reached = exact_availability(topology, paths)
    sets, ratios = [components_of(topology, path) for path in paths], _ratios(topology, paths)
    best: tuple[Component, Fraction] | None = None
    for part in sorted(ratios):
        without = _any_works(sets, ratios | {part: Fraction(1)})
        if without > (best[1] if best else reached):
            best = part, without
    return best


def service_availability(topology: Topology, paths: Sequence[Route]) -> float:
    """`exact_availability` as the nearest float; whoever prints it rounds it down."""
    return float(exact_availability(topology, paths))
