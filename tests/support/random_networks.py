"""Small random networks between an s and a t, as hypothesis draws them."""

from __future__ import annotations

from itertools import combinations
from types import MappingProxyType

from hypothesis import strategies as st

from carelane.controller.pipeline.requirement import Objectives, Pair, Protection, Requirement
from carelane.topology.model import Endpoint, Link, Node, RiskGroup, Topology

__all__ = ["MBPS", "network", "networks", "requirement"]

MBPS = 10**6


def network(nodes: list[Node], links: list[Link], groups: list[RiskGroup], capacity_bps: int = 10**9) -> Topology:
    places = {"s": nodes[0].id, "t": nodes[len(nodes) // 2].id}
    ends = [Endpoint(name, node, 99, capacity_bps=capacity_bps) for name, node in places.items()]
    return Topology(
        "random",
        MappingProxyType({node.id: node for node in nodes}),
        MappingProxyType({link.id: link for link in links}),
        MappingProxyType({end.id: end for end in ends}),
        MappingProxyType({group.id: group for group in groups}),
    )


@st.composite
def networks(draw: st.DrawFn) -> Topology:
    count = draw(st.integers(3, 7))
    availabilities = st.sampled_from([1.0, 1.0, 0.999, 0.99, 0.9])
    solid = st.sampled_from([1.0, 1.0, 1.0, 1.0, 0.9999, 0.99])
    groups = [RiskGroup("g0"), RiskGroup("g1", 0.99), RiskGroup("g2", 0.95)]
    names = st.frozensets(st.sampled_from(["g0", "g1", "g2"]), max_size=1)
    nodes = [
        Node(
            f"n{index}",
            index + 1,
            draw(solid),
            risk_groups=draw(names) if draw(st.booleans()) else frozenset(),
        )
        for index in range(count)
    ]
    pairs = list(combinations(range(count), 2))
    end = count // 2
    skeletons = {
        "ring": [(index, (index + 1) % count) for index in range(count)],
        "fan": [(at, index) for index in range(1, count) if index != end for at in (0, end)],
        "none": [],
    }
    skeleton = skeletons[draw(st.sampled_from(["ring", "ring", "fan", "none"]))]
    chosen = skeleton + draw(st.lists(st.sampled_from(pairs), min_size=2, max_size=max(3, 11 - len(skeleton))))
    links = [
        Link(
            f"l{index}",
            f"n{a}",
            f"n{b}",
            1,
            2,
            capacity_bps=draw(st.sampled_from([20, 100, 100, 500])) * MBPS,
            delay_s=draw(st.integers(0, 5)) / 1000,
            availability=draw(availabilities),
            loss=draw(st.sampled_from([None, 0.0, 0.01])),
            risk_groups=draw(names) if draw(st.integers(0, 2)) == 0 else frozenset(),
        )
        for index, (a, b) in enumerate(chosen)
    ]
    return network(nodes, links, groups)


def requirement(topology: Topology, rate_bps: int, objectives: Objectives, protection: Protection) -> Requirement:
    pair = Pair(topology.endpoints["s"], topology.endpoints["t"])
    return Requirement(
        "x",
        "t",
        "s",
        "standard",
        1,
        "point-to-point",
        (pair,),
        rate_bps,
        rate_bps // 2,
        3000,
        1500,
        objectives,
        protection,
    )
