"""Exact availability of services over many paths, and over hops that parallel links serve together.

`carelane.topology.availability` sums over all subsets of up to twelve paths; here the union is taken apart instead, so
that dozens of paths are fine: what all paths need is a factor, parts that share nothing are independent, components
that always occur together count as one, and what remains is split on the component most paths need (Shannon). All in
exact fractions of the decimals that were stated; components fail independently.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise, product
from math import prod
from typing import TypeVar

from carelane.errors import InputError
from carelane.topology.availability import components_of, exact_ratio, stated_availability
from carelane.topology.model import Topology
from carelane.topology.paths import Route

__all__ = ["NodePath", "any_path_availability", "serving_links", "union_probability"]

T = TypeVar("T", bound=Hashable)
MAX_PARTS = 100_000
"""Partial results of one union; beyond it the paths are too entangled to be exact in seconds."""
MAX_DEPTH = 200
"""Splits within each other, likewise."""
MAX_WAYS = 4096
"""Ways through the parallel links of one path, where risk groups keep them from being merged."""
Sets = frozenset[int]
"""Each member is a set of components, bit by bit."""


@dataclass(frozen=True, slots=True)
class NodePath:
    """Nodes, and for each hop the link taken; None: any link between the two nodes serves."""

    nodes: tuple[str, ...]
    links: tuple[str | None, ...]


def any_path_availability(topology: Topology, paths: Sequence[NodePath]) -> Fraction:
    """The exact probability that all components of at least one path work. End nodes count.

    Raises InputError for hops without a link, figures that are not stated, and paths too entangled to be exact.
    """
    if not paths:
        raise InputError("no paths", expected="at least one path")
    named = {link for path in paths for link in path.links if link is not None}
    chances: dict[Hashable, Fraction] = {}
    sets = [components for path in paths for components in _ways(topology, path, named, chances)]
    return union_probability(sets, chances)


def serving_links(topology: Topology, path: NodePath) -> list[tuple[str, ...]]:
    """For each hop the links that serve it. Raises InputError when there is none."""
    found = []
    for (a, b), link in zip(pairwise(path.nodes), path.links, strict=True):
        links = tuple(other.id for other in topology.links.values() if {other.a, other.b} == {a, b})
        if not links:
            raise InputError(f"no link joins {a} and {b}", expected=f"a neighbour of {a}: {_neighbours(topology, a)}")
        if link is not None and link not in links:
            raise InputError(f"link {link} does not join {a} and {b}", expected=" or ".join(links))
        found.append(links if link is None else (link,))
    return found


def _ways(
    topology: Topology, path: NodePath, named: set[str], chances: dict[Hashable, Fraction]
) -> Iterable[frozenset[Hashable]]:
    """The sets of components that make the path work; their availabilities go to `chances`.

    Parallel links become one component where nothing else depends on them, and alternative sets elsewhere.
    """
    choices: list[tuple[str, ...]] = []
    bundles: set[Hashable] = set()
    for links in serving_links(topology, path):
        if len(links) > 1 and not named.intersection(links) and not _share_risks(topology, links):
            bundle = ("links", links)
            chances[bundle] = 1 - prod((1 - _chance(topology, ("link", link)) for link in links), start=Fraction(1))
            bundles.add(bundle)
        else:
            choices.append(links)
    if prod(len(links) for links in choices) > MAX_WAYS:
        raise InputError(
            f"more than {MAX_WAYS} ways through parallel links of the path {','.join(path.nodes)}",
            remedy="name the links, as in a@l1,b",
        )
    for links in product(*choices):
        components = components_of(topology, Route(path.nodes, links))
        for component in components:
            chances[component] = _chance(topology, component)
        yield frozenset(components) | bundles


def _neighbours(topology: Topology, node: str) -> str:
    found = sorted({link.other(node) for link in topology.links.values() if node in (link.a, link.b)})
    return ", ".join(found[:10]) + (" and others" if len(found) > 10 else "") if found else "none"


def _share_risks(topology: Topology, links: Iterable[str]) -> bool:
    """Whether any of them is in a risk group that states an availability of its own."""
    groups = {group for link in links for group in topology.links[link].risk_groups}
    return any(
        group in topology.risk_groups and topology.risk_groups[group].availability is not None for group in groups
    )


def _chance(topology: Topology, component: tuple[str, str]) -> Fraction:
    stated = stated_availability(topology, component)
    if stated is None:
        kind, name = component
        raise InputError(f"{kind} {name} states no availability", remedy="state it in the topology, or give a default")
    return exact_ratio(stated)


def union_probability(sets: Iterable[frozenset[T]], chances: Mapping[T, Fraction]) -> Fraction:
    """The probability that all members of at least one of `sets` are up, each independently with its chance.

    Raises InputError when the sets are too entangled.
    """
    listed = list(sets)
    numbers: dict[T, int] = {}
    for components in listed:
        for component in components:
            numbers.setdefault(component, len(numbers))
    masks = frozenset(sum(1 << numbers[component] for component in components) for components in listed)
    return _Union([chances[component] for component in numbers]).probability(masks)


class _Union:
    """Probabilities of unions over one numbering of components; merged components get numbers of their own."""

    def __init__(self, chances: list[Fraction]) -> None:
        self._chances = chances
        self._merged: dict[int, int] = {}
        self._known: dict[Sets, Fraction] = {}
        self._depth = 0

    def probability(self, sets: Sets) -> Fraction:
        if not sets:
            return Fraction(0)
        if 0 in sets:
            return Fraction(1)
        if len(sets) == 1:
            return self._product(next(iter(sets)))
        if sets not in self._known:
            if len(self._known) >= MAX_PARTS or self._depth >= MAX_DEPTH:
                raise InputError("the paths are too entangled for an exact availability", remedy="name fewer paths")
            self._depth += 1
            self._known[sets] = self._taken_apart(_minimal(sets))
            self._depth -= 1
        return self._known[sets]

    def _product(self, components: int) -> Fraction:
        return prod((self._chances[number] for number in _bits(components)), start=Fraction(1))

    def _taken_apart(self, sets: Sets) -> Fraction:
        common = -1
        for components in sets:
            common &= components
        if common:
            rest = frozenset(components & ~common for components in sets)
            return self._product(common) * self.probability(rest)
        parts = _independent(sets)
        if len(parts) > 1:
            return 1 - prod((1 - self.probability(part) for part in parts), start=Fraction(1))
        sets = self._together(sets)
        most = self._most_needed(sets)
        up = frozenset(components & ~most for components in sets)
        down = frozenset(components for components in sets if not components & most)
        chance = self._chances[most.bit_length() - 1]
        return chance * self.probability(up) + (1 - chance) * self.probability(down)

    def _together(self, sets: Sets) -> Sets:
        """Components that occur in exactly the same sets, made one."""
        ordered = sorted(sets)
        places: dict[int, int] = {}
        for place, components in enumerate(ordered):
            for number in _bits(components):
                places[number] = places.get(number, 0) | 1 << place
        groups: dict[int, int] = {}
        for number, signature in places.items():
            groups[signature] = groups.get(signature, 0) | 1 << number
        for group in groups.values():
            if group & (group - 1):
                ordered = [c & ~group | self._one(group) if c & group else c for c in ordered]
        return frozenset(ordered)

    def _one(self, group: int) -> int:
        if group not in self._merged:
            self._merged[group] = 1 << len(self._chances)
            self._chances.append(self._product(group))
        return self._merged[group]

    def _most_needed(self, sets: Sets) -> int:
        counts: dict[int, int] = {}
        for components in sets:
            for number in _bits(components):
                counts[number] = counts.get(number, 0) + 1
        return 1 << max(counts, key=lambda number: (counts[number], -number))


def _bits(components: int) -> Iterable[int]:
    while components:
        lowest = components & -components
        yield lowest.bit_length() - 1
        components ^= lowest


def _minimal(sets: Sets) -> Sets:
    """Without sets that contain another: the smaller one works whenever they do."""
    kept: list[int] = []
    for components in sorted(sets, key=int.bit_count):
        if not any(smaller & components == smaller for smaller in kept):
            kept.append(components)
    return frozenset(kept)


def _independent(sets: Sets) -> list[Sets]:
    """Parts that have no component in common."""
    parts: list[tuple[int, list[int]]] = []
    for components in sets:
        joined, members = components, [components]
        apart = []
        for used, others in parts:
            if used & components:
                joined |= used
                members += others
            else:
                apart.append((used, others))
        parts = [*apart, (joined, members)]
    return [frozenset(members) for _, members in parts]
