"""Discovered against declared links."""

from __future__ import annotations

from carelane.controller.southbound.links import check_links
from carelane.controller.southbound.protocol import DiscoveredLink, SwitchStatus
from carelane.topology.model import Endpoint, Link, Node, Topology

TOPOLOGY = Topology(
    "test",
    {name: Node(name, dpid) for dpid, name in enumerate("abc", 1)},
    {"ab": Link("ab", "a", "b", 1, 1), "bc": Link("bc", "b", "c", 2, 1)},
    {"a/x": Endpoint("a/x", "a", 9)},
    {},
)
WIRED = frozenset(
    {
        DiscoveredLink("a", 1, "b", 1),
        DiscoveredLink("b", 1, "a", 1),
        DiscoveredLink("b", 2, "c", 1),
        DiscoveredLink("c", 1, "b", 2),
    }
)


def up(**missing: dict[int, bool]) -> dict[str, SwitchStatus]:
    ports = {"a": {1: True, 9: True}, "b": {1: True, 2: True}, "c": {1: True}} | missing
    return {name: SwitchStatus(name, n, True, "", ports[name]) for n, name in enumerate("abc", 1)}


def test_as_declared() -> None:
    assert check_links(TOPOLOGY, WIRED, up()) == ()


def test_a_link_seen_in_one_direction_only() -> None:
    assert check_links(TOPOLOGY, WIRED - {DiscoveredLink("c", 1, "b", 2)}, up()) == (
        "link bc: c port 1 -> b port 2 is declared but not seen",
    )


def test_swapped_cables() -> None:
    seen = {DiscoveredLink("a", 1, "c", 1), DiscoveredLink("c", 1, "a", 1)}
    assert check_links(TOPOLOGY, seen, up()) == (
        "link ab: a port 1 -> b port 1 is declared, but the port leads to c port 1",
        "link ab: b port 1 -> a port 1 is declared but not seen",
        "link bc: b port 2 -> c port 1 is declared but not seen",
        "link bc: c port 1 -> b port 2 is declared, but the port leads to a port 1",
    )


def test_a_switch_away_or_a_port_down_is_not_wrong_wiring() -> None:
    statuses = up(b={1: False, 2: True})
    statuses["c"] = SwitchStatus("c", 3, False, "disconnected")
    assert check_links(TOPOLOGY, (), statuses) == ()


def test_a_port_that_does_not_exist() -> None:
    assert check_links(TOPOLOGY, WIRED, up(c={2: True})) == ("link bc: c has no port 1",)


def test_a_cable_between_undeclared_ports_and_where_an_endpoint_belongs() -> None:
    extra = {DiscoveredLink("a", 9, "dpid:ff", 3), DiscoveredLink("dpid:ff", 3, "a", 9), DiscoveredLink("b", 7, "c", 7)}
    assert check_links(TOPOLOGY, WIRED | extra, up()) == (
        "b port 7 -> c port 7 is seen but not declared",
        "dpid:ff port 3 -> a port 9 is seen but not declared",
        "endpoint a/x: a port 9 leads to dpid:ff port 3",
    )
