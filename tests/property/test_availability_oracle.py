"""Availability against the sum over all states of all components."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st

from carelane.topology.availability import exact_availability
from carelane.topology.model import Link, Node, RiskGroup, Topology
from carelane.topology.paths import Route

ratios = st.sampled_from([0.0, 0.1, 0.5, 0.9, 0.996, 1.0])


@given(st.lists(ratios, min_size=6, max_size=6), ratios, st.frozensets(st.integers(0, 3), max_size=3))
@settings(max_examples=60, deadline=None)
def test_equals_the_sum_over_all_states(values: list[float], group: float, members: frozenset[int]) -> None:
    """Two nodes, four parallel links of which some share a duct, three paths that use one link each."""
    duct = frozenset({"duct"})
    duct_of = [duct if k in members else frozenset[str]() for k in range(4)]
    topology = Topology(
        "t",
        MappingProxyType({"a": Node("a", 1, values[0]), "b": Node("b", 2, values[1])}),
        MappingProxyType(
            {
                f"l{k}": Link(f"l{k}", "a", "b", k, k, availability=values[2 + k], risk_groups=duct_of[k])
                for k in range(4)
            }
        ),
        MappingProxyType({}),
        MappingProxyType({"duct": RiskGroup("duct", group)}),
    )
    total = Fraction(0)
    figures = [*values, group]
    for state in product((True, False), repeat=7):
        chance = Fraction(1)
        for up, value in zip(state, figures, strict=True):
            exact = Fraction(repr(value))
            chance *= exact if up else 1 - exact
        nodes_up = state[0] and state[1]
        if nodes_up and any(state[2 + k] and (k not in members or state[6]) for k in range(3)):
            total += chance
    paths = [Route(("a", "b"), (f"l{k}",)) for k in range(3)]
    assert exact_availability(topology, paths) == total
