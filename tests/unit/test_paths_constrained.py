"""The constrained path and disjoint sets on networks where the obvious way goes wrong."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from carelane.topology.disjoint import disjoint_routes
from carelane.topology.model import Link, Node, Topology
from carelane.topology.paths import Effort, Metrics, PathGraph, Query, best_route, hops_of

MS = 10**9


def graph(links: dict[str, tuple[float, int] | tuple[float, int, str]]) -> PathGraph:
    """Links by name such as "s-a" (or "s-a-2" for a second one), with delay in ms, capacity, and maybe a risk group."""
    nodes = sorted({end for name in links for end in name.split("-")[:2]})
    made = {}
    for name, (delay_ms, capacity, *group) in links.items():
        a, b = name.split("-")[:2]
        made[name] = Link(name, a, b, 1, 1, capacity, delay_ms / 1000, risk_groups=frozenset(str(g) for g in group))
    nodes_by_id = {node: Node(node, index + 1) for index, node in enumerate(nodes)}
    return PathGraph(
        Topology("t", MappingProxyType(nodes_by_id), MappingProxyType(made), MappingProxyType({}), MappingProxyType({}))
    )


def query(on: PathGraph, least_room: int = 0, max_ms: float = 1e6, room_times_delay: int | None = None) -> Query:
    room = [capacity or 0 for capacity in on.capacity]

    def acceptable(metrics: Metrics) -> bool:
        if metrics.propagation_ps > max_ms * MS:
            return False
        return room_times_delay is None or metrics.room * max_ms >= room_times_delay + metrics.propagation_ps * 10 / MS

    usable = [free >= least_room for free in room]
    return Query(on, on.node_index["s"], on.node_index["t"], usable, room, acceptable)


def test_shortest_with_ties_broken_by_hops_then_names() -> None:
    tie = graph({"s-a": (1, 9), "a-t": (1, 9), "s-b": (1, 9), "b-t": (1, 9), "s-t": (2, 9), "s-t-2": (2, 9)})
    route = best_route(query(tie), Effort(100))
    assert route is not None
    assert route.links == ("s-t",)
    assert [(hop.node, hop.next_node) for hop in hops_of(route)] == [("s", "t")]


def test_a_wider_way_when_the_shortest_is_too_narrow_for_the_bound() -> None:
    """Room only enters the test at the end: cutting arcs beforehand would not find this."""
    two = graph({"s-a": (1, 1), "a-t": (1, 9), "s-b": (3, 9), "b-t": (3, 9)})
    route = best_route(query(two, max_ms=10, room_times_delay=20), Effort(100))
    assert route is not None
    assert route.nodes == ("s", "b", "t")


def test_greedy_disjoint_search_is_trapped_and_this_one_is_not() -> None:
    """The shortest path s-a-b-t blocks both alternatives; the pair s-a-t and s-b-t exists."""
    trap = graph({"s-a": (1, 9), "a-b": (1, 9), "b-t": (1, 9), "s-b": (3, 9), "a-t": (3, 9)})
    assert best_route(query(trap), Effort(100)).nodes == ("s", "a", "b", "t")  # type: ignore[union-attr]
    found = disjoint_routes([query(trap)] * 2, Effort(1000))
    assert found is not None
    assert {route.nodes for route in found} == {("s", "a", "t"), ("s", "b", "t")}


def test_a_risk_group_trap() -> None:
    """Fast s-a-t shares a duct with either alternative's half; only the two slow ways are disjoint."""
    ducts = graph(
        {
            "s-a": (1, 9, "d1"),
            "a-t": (1, 9, "d2"),
            "s-b": (2, 9, "d1"),
            "b-t": (2, 9),
            "s-c": (3, 9),
            "c-t": (3, 9, "d2"),
        }
    )
    found = disjoint_routes([query(ducts)] * 2, Effort(1000))
    assert found is not None
    assert [route.nodes for route in found] == [("s", "b", "t"), ("s", "c", "t")]


def test_a_bridge_has_no_disjoint_pair_and_that_is_proven_cheaply() -> None:
    links: dict[str, tuple[float, int]] = {f"s-a{k}": (1, 9) for k in range(8)}
    links |= {f"a{k}-m": (1, 9) for k in range(8)} | {"m-t": (1, 9)}
    effort = Effort(200)
    assert disjoint_routes([query(graph(links))] * 2, effort) is None  # type: ignore[arg-type]
    assert not effort.exhausted


def test_three_disjoint_ways() -> None:
    fan = graph({f"{end}-{middle}": (1, 9) for end in "st" for middle in "abc"})
    found = disjoint_routes([query(fan)] * 3, Effort(1000))
    assert found is not None
    assert sorted(route.nodes[1] for route in found) == ["a", "b", "c"]
    assert disjoint_routes([query(fan)] * 4, Effort(1000)) is None


def test_exhausted_effort_is_told() -> None:
    effort = Effort(1)
    assert best_route(query(graph({"s-a": (1, 9), "a-t": (1, 9)})), effort) is None
    assert effort.exhausted


@pytest.mark.parametrize("names", [["s-a", "a-t"], ["a-t", "s-a"]])
def test_order_of_declaration_makes_no_difference(names: list[str]) -> None:
    made = graph(dict.fromkeys([*names, "s-b", "b-t"], (1.0, 9)))
    route = best_route(query(made), Effort(100))
    assert route is not None
    assert route.nodes == ("s", "a", "t")
