"""Batches: how much is admitted, that it fits, and that the bound is what its prices prove, worked out once more."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from types import MappingProxyType

import networkx as nx
import pytest

from carelane.controller.pipeline import plan, plan_json
from carelane.controller.pipeline.batch import plan_batch
from carelane.controller.pipeline.lane import LaneGraph
from carelane.controller.pipeline.requirement import Connectivity, Objectives, Pair, Protection, Requirement
from carelane.controller.pipeline.slice_plan import PlanResult
from carelane.topology import CapacityLedger
from carelane.topology.model import Endpoint, Link, Node, Topology
from carelane.topology.search import _engine

MBPS = 10**6


def network(links: Sequence[tuple[str, str, int]], access: int = 1000) -> Topology:
    """Links (a, b, Mbit/s) of 1 ms each, and an endpoint per node."""
    names = sorted({name for a, b, _ in links for name in (a, b)})
    return Topology(
        "batch",
        MappingProxyType({name: Node(name, k + 1, 0.9999) for k, name in enumerate(names)}),
        MappingProxyType({
            f"l{k}": Link(f"l{k}", a, b, k + 1, k + 1, capacity_bps=rate * MBPS, delay_s=0.001, availability=0.999)
            for k, (a, b, rate) in enumerate(links)
        }),
        MappingProxyType({n: Endpoint(n, n, 1000 + k, capacity_bps=access * MBPS) for k, n in enumerate(names)}),
        MappingProxyType({}),
    )  # fmt: skip


def ask(
    topology: Topology,
    name: str,
    ends: str,
    forward: int,
    reverse: int = 0,
    *,
    priority: int = 1,
    objectives: Objectives = Objectives(),  # noqa: B008 (frozen)
    protection: Protection = "auto",
    connectivity: Connectivity = "point-to-point",
) -> Requirement:
    first, *others = (topology.endpoints[end] for end in ends.split())
    hub = connectivity == "hub"
    pairs = tuple(Pair(other, first) if hub else Pair(first, other) for other in others)
    return Requirement(
        name, "t", "s", "standard", priority, connectivity, pairs, forward * MBPS, reverse * MBPS, 1500, 1500,
        objectives, protection,
    )  # fmt: skip


def checked_bound(topology: Topology, wanted: Sequence[Requirement], prices: Mapping[tuple[str, str], float]) -> float:
    """Weak duality by NetworkX: rent of all ports, and of each requirement what it is worth beyond its cheapest way."""
    assert all(price >= 0 for price in prices.values())
    rent = 0.0
    for (_, name), price in prices.items():
        capacity = (
            topology.links[name].capacity_bps if name in topology.links else topology.endpoints[name].capacity_bps
        )
        rent += price * (capacity or 0)
    total = rent
    for item in wanted:
        costs = []
        graph: nx.DiGraph[str] = nx.DiGraph()
        for link in topology.links.values():
            for a, b in ((link.a, link.b), (link.b, link.a)):
                cost = item.forward_bps * prices.get((a, link.id), 0.0) + item.reverse_bps * prices.get(
                    (b, link.id), 0.0
                )
                if not graph.has_edge(a, b) or graph[a][b]["weight"] > cost:
                    graph.add_edge(a, b, weight=cost)
        for pair in item.pairs:
            a, b = pair.source, pair.destination
            ends = item.forward_bps * (prices.get(("", a.id), 0.0) + prices.get((b.node, b.id), 0.0))
            ends += item.reverse_bps * (prices.get(("", b.id), 0.0) + prices.get((a.node, a.id), 0.0))
            costs.append(ends + nx.shortest_path_length(graph, a.node, b.node, weight="weight"))
        value = item.forward_bps or item.reverse_bps
        if item.connectivity == "hub":
            most = item.speakers or len(item.pairs)
            total += max(0.0, value * min(most, len(item.pairs)) - sum(sorted(costs, reverse=True)[:most]))
        else:
            total += max(0.0, value - max(costs))
    return total


def fits(topology: Topology, result: PlanResult) -> None:
    """Floors are what the decisions promise, and no port holds more than it has."""
    for node, name in result.ledger.floors:
        limit = topology.links[name].capacity_bps if name in topology.links else topology.endpoints[name].capacity_bps
        assert result.ledger.reserved_bps((node, name)) <= (limit or 0)
    for decision in result.decisions:
        assert bool(result.ledger.slice_floors(decision.name)) == decision.admitted
        for path in decision.paths:
            for hop in path.hops:
                assert result.ledger.slice_floors(decision.name).get((hop.node, hop.link), 0) >= path.reserved_bps


def a_grid(side: int, rate: int) -> Topology:
    at = {(x, y): f"n{x}{y}" for x in range(side) for y in range(side)}
    return network([
        (at[p], at[q], rate) for p, q in combinations(sorted(at), 2) if abs(p[0] - q[0]) + abs(p[1] - q[1]) == 1
    ])  # fmt: skip


def many(topology: Topology, count: int, seed: int, *, both: bool) -> list[Requirement]:
    dice = random.Random(seed)
    made = []
    for k in range(count):
        rate = dice.randint(1, 10)
        ends = " ".join(dice.sample(sorted(topology.endpoints), 2))
        made.append(ask(topology, f"i{k}", ends, rate, rate if both else 0))
    return made


@pytest.mark.parametrize("both", [False, True])
def test_a_crowded_grid_is_packed_close_to_the_certified_bound(both: bool) -> None:
    topology = a_grid(4, 60)
    wanted = many(topology, 400, 3, both=both)
    online, batch = plan(topology, wanted), plan(topology, wanted, optimize=True)
    fits(topology, online)
    fits(topology, batch)
    assert online.totals.admitted_bps < batch.totals.admitted_bps < batch.totals.offered_bps
    assert batch.totals.gap < 0.03
    assert online.totals.upper_bound_bps >= batch.totals.admitted_bps
    bound = checked_bound(topology, wanted, batch.totals.prices)
    assert batch.totals.upper_bound_bps == pytest.approx(bound, rel=1e-6)
    assert bound <= batch.totals.upper_bound_bps * (1 + 1e-12)


def test_the_certificate_is_published_with_the_plan_and_the_bytes_are_the_same() -> None:
    topology = a_grid(3, 30)
    wanted = many(topology, 120, 5, both=True)
    first, second = (plan_json(topology, plan(topology, wanted, optimize=True)) for _ in range(2))
    assert first == second
    prices = {(row["node"], row["port"]): row["price"] for row in first["certificate"]["prices"]}
    bound = checked_bound(topology, wanted, prices)
    assert first["totals"]["upper_bound_mbps"] * MBPS == pytest.approx(bound, rel=1e-6)
    assert "certificate" not in plan_json(topology, plan(topology, wanted))


def test_a_batch_finds_what_no_order_finds() -> None:
    """First come, first served would take the short way and block the other; both fit if the first goes round."""
    topology = network([("s", "t", 10), ("s", "m", 10), ("m", "t", 10), ("u", "s", 10), ("t", "v", 10)])
    wanted = [ask(topology, "a", "s t", 10), ask(topology, "b", "u v", 10, objectives=Objectives(delay_s=0.014))]
    result = plan(topology, wanted, optimize=True)
    assert [decision.admitted for decision in result.decisions] == [True, True]
    assert [hop.link for hop in result.decisions[0].paths[0].hops] == ["l1", "l2"]


def test_a_refused_requirement_fits_nowhere_beside_the_rest() -> None:
    topology = a_grid(3, 30)
    wanted = many(topology, 120, 7, both=False)
    result = plan(topology, wanted, optimize=True)
    refused = [decision.requirement for decision in result.decisions if not decision.admitted]
    assert refused
    for item in refused:
        alone = plan(topology, [item], result.ledger).decisions[0]
        assert not alone.admitted
    assert all(decision.reasons and decision.proven for decision in result.decisions if not decision.admitted)


def test_higher_priority_is_packed_first() -> None:
    topology = network([("s", "t", 100)])
    wanted = [ask(topology, "bulk", "s t", 100, priority=1), ask(topology, "surgery", "s t", 30, priority=9)]
    result = plan(topology, wanted, optimize=True)
    assert [decision.admitted for decision in result.decisions] == [False, True]
    assert result.totals.upper_bound_bps == 100 * MBPS
    equal = [ask(topology, "bulk", "s t", 100), ask(topology, "surgery", "s t", 30)]
    assert [decision.admitted for decision in plan(topology, equal, optimize=True).decisions] == [True, False]


def test_every_objective_holds_in_a_batch() -> None:
    """Delay, availability, protection, trees and consultations in one batch, certified and kept."""
    topology = a_grid(3, 60)
    kinds: list[dict[str, object]] = [
        {"objectives": Objectives(delay_s=0.006)},
        {"objectives": Objectives(availability=0.9995)},
        {"protection": "required"},
        {},
    ]
    dice = random.Random(11)
    wanted = []
    for k in range(48):
        ends = " ".join(dice.sample(sorted(topology.endpoints), 2))
        wanted.append(ask(topology, f"i{k}", ends, dice.randint(3, 12), 2, **kinds[k % 4]))  # type: ignore[arg-type]
    wanted.append(ask(topology, "tree", "n00 n11 n22", 8, 4, connectivity="point-to-multipoint"))
    wanted.append(ask(topology, "hub", "n11 n00 n22", 5, 5, connectivity="hub"))
    wanted.append(replace(ask(topology, "turns", "n11 n00 n22 n02", 5, 5, connectivity="hub"), speakers=2))
    result = plan(topology, wanted, optimize=True)
    fits(topology, result)
    assert result.totals.admitted_bps >= plan(topology, wanted).totals.admitted_bps
    assert checked_bound(topology, wanted, result.totals.prices) <= result.totals.upper_bound_bps * (1 + 1e-9)
    assert any(len(decision.paths) == 2 for decision in result.decisions)
    for decision in result.decisions:
        goals = decision.requirement.objectives
        for path in decision.paths if goals.delay_s else ():
            assert path.delay_bound_s is not None
            assert path.delay_bound_s <= 0.006
        if decision.admitted and goals.availability:
            assert (decision.availability or 0) >= goals.availability


def test_a_batch_beside_what_others_hold() -> None:
    topology = network([("s", "t", 100)])
    held = CapacityLedger().with_slice("other", [(("s", "l0"), 80 * MBPS)])
    wanted = [ask(topology, "a", "s t", 15), ask(topology, "b", "s t", 20), ask(topology, "c", "s t", 200)]
    result = plan(topology, wanted, held, optimize=True)
    assert [decision.admitted for decision in result.decisions] == [False, True, False]
    assert result.totals.upper_bound_bps == 20 * MBPS
    assert result.ledger.slice_floors("other") == {("s", "l0"): 80 * MBPS}


def test_compiled_searches_decide_the_same() -> None:
    topology = a_grid(3, 30)
    wanted = many(topology, 150, 9, both=True)
    by_engine = [
        plan_json(topology, plan_batch(LaneGraph(topology, run=run), wanted, CapacityLedger()))
        for run in (_engine.plain(), _engine.compiled())
    ]
    assert by_engine[0] == by_engine[1]


def test_a_refused_change_keeps_the_slice_that_runs() -> None:
    topology = network([("s", "t", 100)])
    before = plan(topology, [ask(topology, "old", "s t", 60)]).ledger
    wanted = [ask(topology, "old", "s t", 120), ask(topology, "new", "s t", 70), ask(topology, "small", "s t", 40)]
    result = plan(topology, wanted, before, optimize=True)
    assert [decision.admitted for decision in result.decisions] == [False, False, True]
    assert result.ledger.slice_floors("old") == before.slice_floors("old")
    changed = plan(topology, [ask(topology, "old", "s t", 30), wanted[1]], before, optimize=True)
    assert [decision.admitted for decision in changed.decisions] == [True, True]


def test_what_is_impossible_alone_does_not_raise_the_bound() -> None:
    topology = network([("s", "m", 100), ("m", "t", 100)])
    wanted = [ask(topology, f"i{k}", "s t", 40) for k in range(3)]
    late = [ask(topology, f"late{k}", "s t", 5, objectives=Objectives(delay_s=0.002)) for k in range(4)]
    result = plan(topology, [*wanted, *late], optimize=True)
    assert (result.totals.admitted_bps, result.totals.upper_bound_bps) == (80 * MBPS, 100 * MBPS)
    assert checked_bound(topology, wanted, result.totals.prices) == pytest.approx(100 * MBPS, rel=1e-6)


def test_nothing_possible_is_bounded_by_nothing() -> None:
    topology = network([("s", "t", 10), ("u", "v", 10)])
    wanted = [ask(topology, "far", "s u", 1), ask(topology, "much", "s t", 20)]
    totals = plan(topology, wanted, optimize=True).totals
    assert (totals.admitted_bps, totals.upper_bound_bps, totals.gap) == (0, 0, 0.0)
