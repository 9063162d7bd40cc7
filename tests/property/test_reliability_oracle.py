"""The union of many paths against the sum over all states, and against inclusion and exclusion."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, product
from math import prod
from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st

from carelane.topology.model import Link, Node, RiskGroup, Topology
from carelane.topology.reliability import NodePath, any_path_availability, union_probability

chances = st.sampled_from([Fraction(n, 10) for n in range(11)])
sets = st.lists(st.frozensets(st.integers(0, 8), max_size=5), min_size=1, max_size=9)


@given(sets, st.lists(chances, min_size=9, max_size=9))
@settings(deadline=None, max_examples=60)
def test_the_union_equals_the_sum_over_all_states(unions: list[frozenset[int]], up: list[Fraction]) -> None:
    total = Fraction(0)
    for state in product((True, False), repeat=9):
        if any(all(state[number] for number in needed) for needed in unions):
            total += prod(
                (chance if works else 1 - chance for works, chance in zip(state, up, strict=True)), start=Fraction(1)
            )
    assert union_probability(unions, dict(enumerate(up))) == total


def test_ninety_one_paths_through_a_grid_are_exact() -> None:
    """Every way right and down through a grid; sums over subsets of paths would have 2^91 terms."""
    rows, columns = 2, 12
    ways = []
    for turn in combinations(range(columns + rows), rows):
        x = y = 0
        used = set()
        for step in range(columns + rows):
            if step in turn:
                used.add(("down", x, y))
                y += 1
            else:
                used.add(("right", x, y))
                x += 1
        ways.append(frozenset(used))
    assert len(ways) == 91
    figure = union_probability(ways, {link: Fraction(9, 10) for way in ways for link in way})
    assert figure == _by_columns(rows, columns, Fraction(9, 10))


def _by_columns(rows: int, columns: int, up: Fraction) -> Fraction:
    """The chance that the far corner is reached, column by column over the set of reachable rows."""
    states: dict[frozenset[int], Fraction] = {frozenset({0}): Fraction(1)}
    for column in range(columns + 1):
        descended: dict[frozenset[int], Fraction] = {}
        for reached, chance in states.items():
            for works in product((True, False), repeat=rows):
                wet = set(reached)
                for row in range(rows):
                    if row in wet and works[row]:
                        wet.add(row + 1)
                weight = prod((up if w else 1 - up for w in works), start=chance)
                descended[frozenset(wet)] = descended.get(frozenset(wet), Fraction(0)) + weight
        if column == columns:
            return sum((chance for wet, chance in descended.items() if rows in wet), Fraction(0))
        states = {}
        for wet_rows, chance in descended.items():
            for works in product((True, False), repeat=rows + 1):
                across = frozenset(row for row in wet_rows if works[row])
                weight = prod((up if w else 1 - up for w in works), start=chance)
                states[across] = states.get(across, Fraction(0)) + weight
    raise AssertionError("unreachable")


ratios = st.sampled_from([0.1, 0.5, 0.9, 1.0])


@given(st.lists(ratios, min_size=7, max_size=7), st.frozensets(st.integers(0, 3)), st.booleans())
@settings(deadline=None, max_examples=60)
def test_any_of_parallel_links_serves_a_hop(values: list[float], in_duct: frozenset[int], named: bool) -> None:
    """Three nodes in a row, two parallel links on each hop; some links share a duct with a figure of its own."""
    duct = frozenset({"duct"})
    ends = [("a", "b"), ("a", "b"), ("b", "c"), ("b", "c")]
    links = {
        f"l{k}": Link(
            f"l{k}", *ends[k], k, k, availability=values[k], risk_groups=duct if k in in_duct else frozenset()
        )
        for k in range(4)
    }
    nodes = {name: Node(name, k, values[4] if name == "b" else 1.0) for k, name in enumerate("abc")}
    groups = {"duct": RiskGroup("duct", values[5])}
    topology = Topology("t", *(MappingProxyType(part) for part in (nodes, links, {}, groups)))  # type: ignore[arg-type]
    paths = [NodePath(("a", "b", "c"), ("l0" if named else None, None))]
    if named:
        paths.append(NodePath(("a", "b", "c"), (None, "l3")))
    total = Fraction(0)
    for state in product((True, False), repeat=6):
        figures = [Fraction(repr(value)) for value in (*values[:4], values[4], values[5])]
        up = [state[k] and (state[5] or k not in in_duct) for k in range(4)]
        works = state[4] and (up[0] or up[1]) and (up[2] or up[3])
        if named:
            works = state[4] and ((up[0] and (up[2] or up[3])) or ((up[0] or up[1]) and up[3]))
        if works:
            total += prod((f if s else 1 - f for f, s in zip(figures, state, strict=True)), start=Fraction(1))
    assert any_path_availability(topology, paths) == total
