"""Numbers given to switches and ports stay what they are when a network grows."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from carelane.topology import Topology, parse_topology


def network(nodes: int, links: list[tuple[int, int]], endpoints: list[int]) -> Topology:
    text = ["apiVersion: carelane/v1", "kind: Topology", "metadata: {name: n}", "spec:", "  nodes:"]
    text += [f"    - {{id: n{i}}}" for i in range(nodes)]
    text += ["  links:"] + [f"    - {{id: l{i}, a: n{a}, b: n{b}}}" for i, (a, b) in enumerate(links)]
    text += ["  endpoints:"] + [f"    - {{id: e{i}, node: n{n}}}" for i, n in enumerate(endpoints)]
    return parse_topology("\n".join(text))


def numbers(topology: Topology) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {n.id: (n.dpid,) for n in topology.nodes.values()}
    found |= {x.id: (x.a_port, x.b_port) for x in topology.links.values()}
    return found | {e.id: (e.port,) for e in topology.endpoints.values()}


def test_lowest_free_numbers_in_declaration_order() -> None:
    topology = network(3, [(0, 1), (1, 2), (0, 1)], [0, 0, 1])
    assert numbers(topology) == {
        "n0": (1,), "n1": (2,), "n2": (3,),
        "l0": (1, 1), "l1": (2, 1), "l2": (2, 3),
        "e0": (1001,), "e1": (1002,), "e2": (1001,),
    }  # fmt: skip


def test_declared_numbers_are_kept_and_stepped_around() -> None:
    topology = parse_topology(
        """
apiVersion: carelane/v1
kind: Topology
metadata: {name: n}
spec:
  nodes: [{id: a}, {id: b, dpid: 1}, {id: c}]
  links: [{id: l1, a: a, b: b}, {id: l2, a: a, b: b, aPort: 1}, {id: l3, a: a, b: c}]
  endpoints: [{id: e1, node: a}, {id: e2, node: a, port: 1001}, {id: e3, node: a, port: 2}]
"""
    )
    assert [n.dpid for n in topology.nodes.values()] == [2, 1, 3]
    assert [x.a_port for x in topology.links.values()] == [3, 1, 4]
    assert [e.port for e in topology.endpoints.values()] == [1002, 1001, 2]


@given(st.integers(2, 5), st.integers(0, 8), st.integers(0, 6), st.integers(0, 3), st.integers(0, 4), st.randoms())
def test_growing_renumbers_nothing(
    nodes: int, links: int, endpoints: int, more_nodes: int, more: int, choose: random.Random
) -> None:
    grown = nodes + more_nodes
    pairs = [tuple(choose.sample(range(nodes), 2)) for _ in range(links)]
    more_pairs = [tuple(choose.sample(range(grown), 2)) for _ in range(more)]
    places = [choose.randrange(nodes) for _ in range(endpoints)]
    more_places = [choose.randrange(grown) for _ in range(more)]
    before = numbers(network(nodes, [(a, b) for a, b in pairs], places))
    after = network(grown, [(a, b) for a, b in pairs + more_pairs], places + more_places)
    assert {name: found for name, found in numbers(after).items() if name in before} == before
    used = [(x.a, x.a_port) for x in after.links.values()] + [(x.b, x.b_port) for x in after.links.values()]
    used += [(e.node, e.port) for e in after.endpoints.values()]
    assert len(used) == len(set(used))
    assert len({n.dpid for n in after.nodes.values()}) == len(after.nodes)
