"""The planner against brute force on small random networks: it never misses what is feasible, never promises more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, permutations
from typing import Any

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import MBPS, network, networks, requirement

from carelane.controller.pipeline import plan
from carelane.controller.pipeline.requirement import Objectives, Protection, Requirement
from carelane.controller.pipeline.rounding import DELAY_STEP_PS, availability_above, offered_delay_s
from carelane.controller.pipeline.slice_plan import Offer
from carelane.topology.delay import budget_ps
from carelane.topology.ledger import CapacityLedger
from carelane.topology.model import Link, Node, Topology

PROTECTIONS: list[Protection] = ["auto", "required", "none"]
Path = tuple[tuple[str, ...], tuple[str, ...]]


@st.composite
def cases(draw: st.DrawFn) -> tuple[Topology, Requirement]:
    topology = draw(networks())
    objectives = Objectives(
        delay_s=draw(st.sampled_from([None, 0.006, 0.01, 0.02, 0.05])),
        jitter_s=draw(st.sampled_from([None, None, 0.003, 0.006])),
        loss=draw(st.sampled_from([None, None, 0.01, 0.02])),
        availability=draw(st.sampled_from([None, 0.8, 0.9, 0.95, 0.98, 0.99])),
        round_trip=draw(st.integers(0, 3)) == 0,
    )
    rate = draw(st.sampled_from([2, 10, 10, 40])) * MBPS
    return topology, requirement(topology, rate, objectives, draw(st.sampled_from(PROTECTIONS)))


# --- the oracle: the definitions of the contract, written down once more, without any search ---


def simple_paths(topology: Topology) -> Iterator[Path]:
    graph: nx.MultiGraph[str] = nx.MultiGraph()
    graph.add_nodes_from(topology.nodes)
    for link in topology.links.values():
        graph.add_edge(link.a, link.b, key=link.id)
    first, last = topology.endpoints["s"].node, topology.endpoints["t"].node
    found: Any = nx.all_simple_edge_paths(graph, first, last)
    for edges in found:
        yield (first, *(edge[1] for edge in edges)), tuple(edge[2] for edge in edges)


def exact(value: float) -> Fraction:
    return Fraction(repr(value))


def meets(topology: Topology, wanted: Requirement, path: Path) -> bool:
    """Rates exist that keep delay, jitter, loss and capacity; both directions share bursts and packets here."""
    links = [topology.links[name] for name in path[1]]
    capacity = [link.capacity_bps or 0 for link in links] + [10**9]
    best = min(capacity)
    if wanted.forward_bps > best or wanted.reverse_bps > best:
        return False
    bits = 8 * (wanted.burst_bytes + len(capacity) * wanted.max_packet_bytes)
    queueing = Fraction(bits, best) + sum(Fraction(8 * 1522, rate) for rate in capacity)
    propagation = sum((exact(link.delay_s or 0.0) for link in links), Fraction(0))
    goals = wanted.objectives
    slack = Fraction(len(links) + 4, 10**12)  # the planner rounds each term up to whole picoseconds
    if goals.jitter_s is not None and queueing + slack > exact(goals.jitter_s):
        return False
    trips = 2 if goals.round_trip else 1
    if goals.delay_s is not None and trips * (propagation + queueing + slack) > exact(goals.delay_s):
        return False
    delivered = Fraction(1)
    for link in links:
        delivered *= 1 - exact(link.loss or 0.0)
    return goals.loss is None or 1 - delivered <= exact(goals.loss)


def touched(topology: Topology, path: Path, inner_only: bool) -> set[str]:
    nodes = path[0][1:-1] if inner_only else path[0]
    groups: set[str] = set()
    for name in path[1]:
        groups |= topology.links[name].risk_groups
    for name in nodes:
        groups |= topology.nodes[name].risk_groups
    return groups


def disjoint(topology: Topology, a: Path, b: Path) -> bool:
    if set(a[1]) & set(b[1]) or set(a[0][1:-1]) & set(b[0][1:-1]):
        return False
    return not touched(topology, a, True) & touched(topology, b, True)


def works(topology: Topology, paths: tuple[Path, ...]) -> Fraction:
    """Availability by summing over all subsets of paths."""

    def product(chosen: tuple[Path, ...]) -> Fraction:
        nodes = {name for path in chosen for name in path[0]}
        links = {name for path in chosen for name in path[1]}
        groups = {name for path in chosen for name in touched(topology, path, False)}
        result = Fraction(1)
        for value in (
            *(topology.nodes[name].availability for name in nodes),
            *(topology.links[name].availability for name in links),
            *(topology.risk_groups[name].availability for name in groups),
        ):
            result *= 1 if value is None else exact(value)
        return result

    return sum(
        (
            (1 if size % 2 else -1) * product(chosen)
            for size in range(1, len(paths) + 1)
            for chosen in combinations(paths, size)
        ),
        Fraction(0),
    )


Cost = tuple[Fraction, int]


def cost(topology: Topology, paths: tuple[Path, ...]) -> Cost:
    """Propagation of all paths, then hops of all."""
    delays = (exact(topology.links[name].delay_s or 0.0) for path in paths for name in path[1])
    return sum(delays, Fraction(0)), sum(len(path[1]) for path in paths)


def brute_force(topology: Topology, wanted: Requirement) -> tuple[int, Cost, list[tuple[Path, ...]]] | None:
    """How many paths it takes, what they cost at least, and the sets that cost that; None when it is impossible."""
    usable = [path for path in simple_paths(topology) if meets(topology, wanted, path)]
    target = wanted.objectives.availability
    least = 2 if wanted.protection == "required" else 1
    most = 3 if target is not None and wanted.protection != "none" else least
    for count in range(least, most + 1):
        sets = [
            paths
            for paths in permutations(usable, count)
            if all(disjoint(topology, a, b) for a, b in combinations(paths, 2))
            and (target is None or works(topology, paths) >= exact(target))
        ]
        if sets:
            cheapest = min(cost(topology, paths) for paths in sets)
            return count, cheapest, [paths for paths in sets if cost(topology, paths) == cheapest]
    return None


@given(cases())
@settings(max_examples=250, deadline=None)
def test_finds_exactly_what_brute_force_finds(case: tuple[Topology, Requirement]) -> None:
    topology, wanted = case
    expected = brute_force(topology, wanted)
    decision = plan(topology, [wanted]).decisions[0]
    assert decision.proven
    assert decision.admitted == (expected is not None)
    if expected is not None:
        count, cheapest, sets = expected
        found = tuple((path.nodes, tuple(hop.link for hop in path.hops)) for path in decision.paths)
        assert len(found) == count
        assert cost(topology, found) == cheapest
        assert found in sets
        assert [cost(topology, (path,)) for path in found] == sorted(cost(topology, (path,)) for path in found)
        if count == 1:
            assert found == min(sets, key=lambda paths: paths[0][1])
    else:
        assert decision.reasons


@given(cases())
@settings(max_examples=100, deadline=None)
def test_what_is_promised_is_kept(case: tuple[Topology, Requirement]) -> None:
    topology, wanted = case
    result = plan(topology, [wanted])
    decision, goals = result.decisions[0], wanted.objectives
    for path in decision.paths:
        assert path.delay_bound_s is not None
        assert path.jitter_bound_s is not None
        if goals.round_trip:
            assert goals.delay_s is None or (path.round_trip_bound_s or 1) <= goals.delay_s
        else:
            assert goals.delay_s is None or path.delay_bound_s <= goals.delay_s
        assert goals.jitter_s is None or path.jitter_bound_s <= goals.jitter_s
        assert path.reserved_bps >= wanted.forward_bps
        assert path.reverse_bps >= wanted.reverse_bps
    if decision.admitted and goals.availability is not None:
        assert decision.availability is not None
        assert decision.availability >= goals.availability


@given(cases(), st.integers(1, 4))
@settings(max_examples=80, deadline=None)
def test_every_offer_when_filed_is_admitted_and_a_step_less_is_not(
    case: tuple[Topology, Requirement], before: int
) -> None:
    topology, wanted = case
    plain = requirement(topology, 8 * MBPS, Objectives(), "none")
    others = [Requirement(**{**fields(plain), "name": f"other-{index}"}) for index in range(before)]
    ledger = plan(topology, others).ledger
    decision = plan(topology, [wanted], ledger).decisions[0]
    for offer in decision.offers:
        asked = fields(wanted) | {
            "forward_bps": offer.bandwidth_bps,
            "reverse_bps": offer.reverse_bps,
            "protection": offer.protection,
            "objectives": Objectives(offer.delay_s, offer.jitter_s, offer.loss, offer.availability, offer.round_trip),
        }
        assert plan(topology, [Requirement(**asked)], ledger).decisions[0].admitted, offer
        first = next(other for other in decision.offers if other.relaxed == offer.relaxed)
        less = nearer(offer) if offer is first and decision.proven else None
        if less is not None:
            asked["objectives"] = replace(asked["objectives"], **less)
            assert not plan(topology, [Requirement(**asked)], ledger).decisions[0].admitted, offer


def nearer(offer: Offer) -> dict[str, float] | None:
    """The one objective that an offer loosens, a step nearer to what was asked."""
    if offer.relaxed == "delay" and offer.delay_s is not None:
        return {"delay_s": offered_delay_s(budget_ps(offer.delay_s) - DELAY_STEP_PS)}
    if offer.relaxed == "jitter" and offer.jitter_s is not None:
        return {"jitter_s": offered_delay_s(budget_ps(offer.jitter_s) - DELAY_STEP_PS)}
    if offer.relaxed == "availability" and offer.availability is not None:
        return {"availability": availability_above(offer.availability)}
    return None


def fields(item: Requirement) -> dict[str, Any]:
    return {name: getattr(item, name) for name in Requirement.__slots__}


@given(networks(), st.lists(st.sampled_from([5, 10, 20, 40]), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_floors_never_sum_to_more_than_a_port_has(topology: Topology, rates: list[int]) -> None:
    wanted = [
        Requirement(
            **{**fields(requirement(topology, rate * MBPS, Objectives(delay_s=0.02), "auto")), "name": f"i{index}"}
        )
        for index, rate in enumerate(rates)
    ]
    result = plan(topology, wanted)
    for node, name in result.ledger.floors:
        capacity = (
            topology.links[name].capacity_bps if name in topology.links else topology.endpoints[name].capacity_bps
        )
        assert result.ledger.reserved_bps((node, name)) <= (capacity or 0)
    for decision in result.decisions:
        for path in decision.paths:
            for hop in path.hops:
                assert result.ledger.floors[hop.node, hop.link][decision.name] >= path.reserved_bps
                assert result.ledger.floors[hop.next_node, hop.link][decision.name] >= path.reverse_bps
    assert result.totals.upper_bound_bps >= result.totals.admitted_bps


def test_the_ledger_passed_in_is_not_changed() -> None:
    nodes = [Node("a", 1), Node("b", 2)]
    topology = network(nodes, [Link("l", "a", "b", 1, 1, capacity_bps=10**7, delay_s=0.001)], [])
    ledger = CapacityLedger()
    first = plan(topology, [requirement(topology, 10**7, Objectives(), "none")], ledger)
    assert first.decisions[0].admitted
    assert not ledger.floors
    assert first.ledger.reserved_bps(("a", "l")) == 10**7
