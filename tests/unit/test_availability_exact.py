"""Exact availability of services over several paths."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType

import pytest

from carelane.errors import InputError
from carelane.topology.availability import exact_availability, service_availability, unstated_availability
from carelane.topology.model import Link, Node, RiskGroup, Topology
from carelane.topology.paths import Route


def topology(
    links: Mapping[str, tuple[str, str, float | None, frozenset[str]]],
    node_availability: float | None = 1.0,
    groups: tuple[RiskGroup, ...] = (),
) -> Topology:
    names = sorted({end for a, b, _, _ in links.values() for end in (a, b)})
    return Topology(
        "t",
        MappingProxyType({name: Node(name, i + 1, node_availability) for i, name in enumerate(names)}),
        MappingProxyType(
            {name: Link(name, a, b, 1, 2, availability=p, risk_groups=g) for name, (a, b, p, g) in links.items()}
        ),
        MappingProxyType({}),
        MappingProxyType({group.id: group for group in groups}),
    )


NONE: frozenset[str] = frozenset()


def test_five_edge_bridge() -> None:
    edges = ("sa", "sb", "ab", "at", "bt")
    bridge = topology({edge: (edge[0], edge[1], 0.9, NONE) for edge in edges})
    paths = [
        Route(("s", "a", "t"), ("sa", "at")),
        Route(("s", "b", "t"), ("sb", "bt")),
        Route(("s", "a", "b", "t"), ("sa", "ab", "bt")),
        Route(("s", "b", "a", "t"), ("sb", "ab", "at")),
    ]
    assert exact_availability(bridge, paths) == Fraction("0.97848")
    assert service_availability(bridge, paths) == 0.97848


@pytest.mark.parametrize(("count", "expected"), [(2, 0.999857), (3, 0.9999983)])
def test_disjoint_three_hop_paths_of_links_failing_at_four_per_mille(count: int, expected: float) -> None:
    links: dict[str, tuple[str, str, float | None, frozenset[str]]] = {}
    paths = []
    for k in range(count):
        nodes = ("s", f"a{k}", f"b{k}", "t")
        names = tuple(f"l{k}{hop}" for hop in range(3))
        links |= {name: (nodes[hop], nodes[hop + 1], 0.996, NONE) for hop, name in enumerate(names)}
        paths.append(Route(nodes, names))
    assert service_availability(topology(links), paths) == pytest.approx(expected, abs=5e-8 if count == 3 else 5e-7)
    assert service_availability(topology(links), paths) < 0.99999 or count == 3


def test_a_risk_group_counts_once_for_a_path_and_is_shared_by_paths() -> None:
    duct = frozenset({"duct"})
    shared = topology(
        {"x": ("a", "b", 0.9, duct), "y": ("b", "c", 0.9, duct), "z": ("a", "c", 0.9, duct)},
        1.0,
        (RiskGroup("duct", 0.5),),
    )
    long, short = Route(("a", "b", "c"), ("x", "y")), Route(("a", "c"), ("z",))
    assert exact_availability(shared, [long]) == Fraction("0.81") / 2
    assert exact_availability(shared, [long, short]) == (1 - Fraction("0.19") * Fraction("0.1")) / 2


def test_a_group_without_its_own_availability_costs_nothing() -> None:
    duct = frozenset({"duct"})
    shared = topology({"x": ("a", "b", 0.9, duct)}, 1.0, (RiskGroup("duct"),))
    assert exact_availability(shared, [Route(("a", "b"), ("x",))]) == Fraction("0.9")


def test_end_nodes_count() -> None:
    pair = topology({"x": ("a", "b", 1.0, NONE), "y": ("a", "b", 1.0, NONE)}, 0.99)
    both = [Route(("a", "b"), ("x",)), Route(("a", "b"), ("y",))]
    assert exact_availability(pair, both) == Fraction("0.99") ** 2


def test_unstated_figures_are_named_not_guessed() -> None:
    unknown = topology({"x": ("a", "b", None, NONE)}, None)
    path = Route(("a", "b"), ("x",))
    assert unstated_availability(unknown, [path]) == (("link", "x"), ("node", "a"), ("node", "b"))
    with pytest.raises(InputError, match="link x states no availability"):
        exact_availability(unknown, [path])


def test_no_paths_and_too_many_paths_are_refused() -> None:
    plain = topology({"x": ("a", "b", 1.0, NONE)})
    for paths in ([], [Route(("a", "b"), ("x",))] * 13):
        with pytest.raises(InputError, match="paths"):
            exact_availability(plain, paths)
