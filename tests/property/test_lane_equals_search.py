"""The fast lane promises exactly what the general search does, and link prices change which way, never whether."""

from __future__ import annotations

from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st

from carelane.controller.pipeline import admit
from carelane.controller.pipeline.lane import LaneGraph, embed
from carelane.controller.pipeline.requirement import Objectives, Pair, Protection, Requirement
from carelane.topology import CapacityLedger
from carelane.topology.model import Endpoint, Link, Node, Topology
from carelane.topology.paths import Effort
from carelane.topology.search import _engine

MBPS = 10**6
PROTECTIONS: list[Protection] = ["auto", "none", "required"]


@st.composite
def networks(draw: st.DrawFn) -> Topology:
    count = draw(st.integers(2, 7))
    stated = draw(st.booleans())
    nodes = [Node(f"n{k}", k + 1, draw(st.sampled_from([1.0, 0.999])) if stated else None) for k in range(count)]
    ends = [(k, (k + 1) % count) for k in range(count)]
    ends += draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=8))
    delays = st.sampled_from([0.0, 0.001, 0.002, 0.005, None] if draw(st.booleans()) else [0.001, 0.002])
    links = [
        Link(
            f"l{k}",
            f"n{a}",
            f"n{b}",
            k + 1,
            k + 100,
            capacity_bps=draw(st.sampled_from([None, 20, 50, 100, 100])),
            delay_s=draw(delays),
            availability=draw(st.sampled_from([1.0, 0.999, 0.99])) if stated else None,
            loss=draw(st.sampled_from([None, None, 0.01])),
        )
        for k, (a, b) in enumerate(ends)
    ]
    links = [
        Link(x.id, x.a, x.b, x.a_port, x.b_port, None if x.capacity_bps is None else x.capacity_bps * MBPS, x.delay_s,
             x.availability, x.loss)
        for x in links
    ]  # fmt: skip
    capacities = st.sampled_from([100 * MBPS, 1000 * MBPS, None])
    endpoints = [
        Endpoint(f"e{k}", f"n{draw(st.integers(0, count - 1))}", 1000 + k, capacity_bps=draw(capacities))
        for k in range(3)
    ]
    return Topology(
        "random",
        MappingProxyType({node.id: node for node in nodes}),
        MappingProxyType({link.id: link for link in links}),
        MappingProxyType({end.id: end for end in endpoints}),
        MappingProxyType({}),
    )


@st.composite
def requirements(draw: st.DrawFn, topology: Topology, name: str) -> Requirement:
    a, b = draw(st.permutations(sorted(topology.endpoints)))[:2]
    forward, reverse = draw(st.sampled_from([(10, 10), (20, 5), (30, 0), (0, 15)]))
    plain = draw(st.booleans())
    objectives = Objectives(
        delay_s=None if plain else draw(st.sampled_from([None, 0.004, 0.02, 0.1])),
        jitter_s=None if plain else draw(st.sampled_from([None, None, 0.003])),
        loss=None if plain else draw(st.sampled_from([None, None, 0.015])),
        availability=None if plain else draw(st.sampled_from([None, 0.99, 0.9999])),
        round_trip=not plain and min(forward, reverse) > 0 and draw(st.booleans()),
    )
    pair = Pair(topology.endpoints[a], topology.endpoints[b])
    protection: Protection = draw(st.sampled_from(PROTECTIONS))
    return Requirement(
        name, "t", "s", "standard", 1, "point-to-point", (pair,), forward * MBPS, reverse * MBPS, 3000,
        1500, objectives, protection
    )  # fmt: skip


@given(st.data(), networks())
@settings(max_examples=250, deadline=None)
def test_the_fast_lane_promises_what_the_search_promises(data: st.DataObject, topology: Topology) -> None:
    plain = _engine.plain()
    lanes = {
        "python": LaneGraph(topology, run=plain),
        "compiled": LaneGraph(topology, run=_engine.compiled()),
        "priced": LaneGraph(topology, run=plain),
    }
    ledger = CapacityLedger()
    for number in range(data.draw(st.integers(1, 6))):
        wanted = data.draw(requirements(topology, f"i{number}"))
        for unlimited in (False, True):
            expected = admit.embed(lanes["python"], wanted, ledger, Effort(10**6), unlimited=unlimited)
            found = embed(lanes["python"], wanted, ledger, Effort(10**6), unlimited=unlimited)
            assert found == expected
            assert embed(lanes["compiled"], wanted, ledger, Effort(10**6), unlimited=unlimited) == expected
            if expected is not None and found is not None:
                assert list(found.floors.items()) == list(expected.floors.items())
        priced = embed(lanes["priced"], wanted, ledger, Effort(10**6), priced=True)
        expected = admit.embed(lanes["python"], wanted, ledger, Effort(10**6))
        assert (priced is None) == (expected is None)
        if priced is not None and expected is not None:
            assert len(priced.rows) == len(expected.rows)
            if not ledger.names:
                assert priced == expected
            before, ledger = ledger, ledger.with_slice(wanted.name, priced.floors.items())
            # a look back at an older ledger must not disturb the lane
            assert embed(lanes["priced"], wanted, before, Effort(10**6)) == expected
    for node, name in ledger.floors:
        limit = topology.links[name].capacity_bps if name in topology.links else topology.endpoints[name].capacity_bps
        assert limit is not None
        assert ledger.reserved_bps((node, name)) <= limit
