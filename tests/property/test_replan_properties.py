"""Replanning on random networks: nothing over-booked, nothing sent over what failed, nothing moved without need."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st

from carelane.controller.pipeline import plan
from carelane.controller.pipeline.replan import replan
from carelane.controller.pipeline.requirement import Objectives, Pair, Protection, Requirement
from carelane.controller.pipeline.slice_plan import Decision, PlanResult
from carelane.controller.pipeline.whatif import Processes, Question, ask, sweep
from carelane.controller.pipeline.whatif._ask import Baseline
from carelane.topology.failure import Failure, single_failures
from carelane.topology.ledger import CapacityLedger, PortKey
from carelane.topology.model import Endpoint, Link, Node, RiskGroup, Topology

MBPS = 10**6


@st.composite
def networks(draw: st.DrawFn) -> Topology:
    """Four to seven switches in a ring with chords, an endpoint each, tight links, one shared duct."""
    count = draw(st.integers(4, 7))
    nodes = [Node(f"n{index}", index + 1, 0.99999) for index in range(count)]
    ring = [(index, (index + 1) % count) for index in range(count)]
    chords = [pair for pair in combinations(range(count), 2) if pair not in ring and pair[::-1] not in ring]
    pairs = ring + draw(st.lists(st.sampled_from(chords), unique=True, max_size=4) if chords else st.just([]))
    links = {}
    for number, (a, b) in enumerate(pairs):
        groups = frozenset({"duct"}) if draw(st.integers(0, 4)) == 0 else frozenset[str]()
        capacity_bps, delay_s = draw(st.sampled_from([10, 20, 40])) * MBPS, draw(st.sampled_from([0.001, 0.002, 0.005]))
        links[f"l{number}"] = Link(
            f"l{number}", f"n{a}", f"n{b}", 100 + number, 200 + number, capacity_bps, delay_s, 0.999, risk_groups=groups
        )
    ends = {f"e{index}": Endpoint(f"e{index}", f"n{index}", 1, capacity_bps=100 * MBPS) for index in range(count)}
    return Topology(
        "random",
        MappingProxyType({node.id: node for node in nodes}),
        MappingProxyType(links),
        MappingProxyType(ends),
        MappingProxyType({"duct": RiskGroup("duct")}),
    )


@st.composite
def requirements(draw: st.DrawFn, topology: Topology) -> list[Requirement]:
    found = []
    names = sorted(topology.endpoints)
    protections: list[Protection] = ["auto", "required", "none"]
    for number in range(draw(st.integers(1, 8))):
        sites = draw(st.lists(st.sampled_from(names), min_size=2, max_size=4, unique=True))
        pairs = tuple(Pair(topology.endpoints[sites[0]], topology.endpoints[site]) for site in sites[1:])
        found.append(
            Requirement(
                f"i{number}",
                "t",
                "s",
                "telephony",
                draw(st.integers(1, 3)),
                "point-to-point" if len(pairs) == 1 else "point-to-multipoint",
                pairs,
                draw(st.integers(1, 12)) * MBPS,
                draw(st.sampled_from([0, 1])) * MBPS,
                1500,
                1500,
                Objectives(
                    delay_s=draw(st.sampled_from([None, 0.02, 0.05])),
                    availability=draw(st.sampled_from([None, 0.99, 0.9999])),
                ),
                draw(st.sampled_from(protections)),
            )
        )
    return found


@st.composite
def cases(draw: st.DrawFn) -> tuple[Topology, PlanResult, Failure]:
    topology = draw(networks())
    result = plan(topology, draw(requirements(topology)))
    failed = draw(st.sampled_from(list(single_failures(topology))))
    if draw(st.booleans()):
        failed |= draw(st.sampled_from(list(single_failures(topology))))
    return topology, result, failed


def held_of(result: PlanResult) -> list[Decision]:
    return [decision for decision in result.decisions if decision.admitted]


def capacity_of(topology: Topology, port: PortKey) -> int:
    _, name = port
    part = topology.links.get(name) or topology.endpoints[name]
    assert part.capacity_bps is not None
    return part.capacity_bps


def assert_not_overbooked(topology: Topology, ledger: CapacityLedger) -> None:
    for port, reserved_bps in ledger.reserved():
        assert reserved_bps <= capacity_of(topology, port), port


@given(cases())
@settings(max_examples=60, deadline=None)
def test_nothing_is_over_booked_even_while_traffic_moves(case: tuple[Topology, PlanResult, Failure]) -> None:
    topology, result, failed = case
    held = held_of(result)
    replanned = replan(topology, held, result.ledger, failed)
    assert_not_overbooked(topology, replanned.ledger)
    # Until a slice is moved, its old surviving paths carry its traffic, beside those that were moved before it.
    links, nodes = failed.extent(topology)
    running: dict[PortKey, int] = defaultdict(int)
    for fate in replanned.fates:
        old = result.ledger.slice_floors(fate.name)
        new = replanned.ledger.slice_floors(fate.name)
        alive = {
            (node, hop.link)
            for path in fate.before.paths
            if not any(hop.link in links for hop in path.hops) and nodes.isdisjoint(path.nodes)
            for hop in path.hops
            for node in (hop.node, hop.next_node)
        }
        for port in {*new, *(alive & old.keys())}:
            running[port] += max(new.get(port, 0), old[port] if port in alive & old.keys() else 0)
    for port, load_bps in running.items():
        assert load_bps <= capacity_of(topology, port), port


@given(cases())
@settings(max_examples=60, deadline=None)
def test_untouched_slices_stay_and_the_others_leave_what_failed(case: tuple[Topology, PlanResult, Failure]) -> None:
    topology, result, failed = case
    links, nodes = failed.extent(topology)
    held = held_of(result)
    replanned = replan(topology, held, result.ledger, failed)
    assert [fate.before for fate in replanned.fates] == held
    for fate in replanned.fates:
        touched = any(not nodes.isdisjoint(path.nodes) for path in fate.before.paths) or any(
            hop.link in links for path in fate.before.paths for hop in path.hops
        )
        assert (fate.outcome == "kept") == (not touched)
        if not touched:
            assert fate.now is fate.before
            assert replanned.ledger.slice_floors(fate.name) == result.ledger.slice_floors(fate.name)
        if fate.outcome == "broken":
            assert fate.reasons
            assert not replanned.ledger.slice_floors(fate.name)
            continue
        assert fate.now.admitted
        assert (fate.outcome == "weakened") == bool(fate.reasons)
        for path in fate.now.paths:
            assert nodes.isdisjoint(path.nodes)
            assert not any(hop.link in links for hop in path.hops)
            asked_s = fate.before.requirement.objectives.delay_s
            assert asked_s is None or (path.delay_bound_s is not None and path.delay_bound_s <= asked_s)
        if fate.outcome == "restored":
            asked = fate.before.requirement.objectives.availability
            assert asked is None or (fate.now.availability is not None and fate.now.availability >= asked)
            assert {path.to for path in fate.now.paths} == {path.to for path in fate.before.paths}


@given(cases())
@settings(max_examples=8, deadline=None)
def test_a_sweep_is_the_single_questions_one_by_one(case: tuple[Topology, PlanResult, Failure]) -> None:
    topology, result, _ = case
    base = Baseline(topology, result.decisions, result.ledger)
    for struck in sweep(base, Processes(1)):
        fates = ask(base, Question(failed=struck.failure)).fates
        for outcome in ("restored", "weakened", "broken"):
            assert getattr(struck, outcome) == tuple(fate.name for fate in fates if fate.outcome == outcome)
        assert struck.kept == sum(fate.outcome == "kept" for fate in fates)
