"""Shared backups from filing to switch: what is admitted, what the queues are, what is proven, what survives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from carelane.api.present import seen_by
from carelane.cli._decisions import sharing_lines
from carelane.controller.pipeline import plan, resolve
from carelane.controller.pipeline.compile import Compilation, compile_program
from carelane.controller.pipeline.diff import diff
from carelane.controller.pipeline.identifiers import allocate
from carelane.controller.pipeline.port_waits import waited_bounds
from carelane.controller.pipeline.program import Program, SliceIds
from carelane.controller.pipeline.slice_plan import Decision
from carelane.controller.pipeline.verify import Verifier, verify_program
from carelane.controller.reconcile.holdings import Holdings
from carelane.controller.southbound.simulator import Simulator
from carelane.errors import ConflictError
from carelane.intents import load_intents
from carelane.policies.admission.manifest import parse_policy
from carelane.topology import parse_topology
from carelane.topology.model import Topology

Slices = list[tuple[Decision, SliceIds]]

LADDER = """
apiVersion: carelane/v1
kind: Topology
metadata: {name: ladder}
spec:
  nodes:
    - {id: a, kind: switch, availability: 1}
    - {id: b, kind: switch, availability: 1}
    - {id: c, kind: switch, availability: 1}
    - {id: d, kind: switch, availability: 1}
    - {id: e, kind: switch, availability: 1}
    - {id: f, kind: switch, availability: 1}
  links:
    - {id: ab, a: a, b: b, capacity: 100Mbps, length: 20km, availability: 99.9%}
    - {id: cd, a: c, b: d, capacity: 100Mbps, length: 20km, availability: 99.9%}
    - {id: ae, a: a, b: e, capacity: 100Mbps, length: 20km, availability: 99.9%}
    - {id: ce, a: c, b: e, capacity: 100Mbps, length: 20km, availability: 99.9%}
    - {id: ef, a: e, b: f, capacity: 100Mbps, length: 20km, availability: 99.9%}
    - {id: fb, a: f, b: b, capacity: 100Mbps, length: 20km, availability: 99.9%}
    - {id: fd, a: f, b: d, capacity: 100Mbps, length: 20km, availability: 99.9%}
  endpoints:
"""
"""Primaries a-b and c-d share nothing; the backups of both need e-f."""
LADDER += "".join(
    f"    - {{id: {node}/{host}, node: {node}, address: 10.0.{net}.{host}/32, capacity: 1Gbps}}\n"
    for net, node in enumerate("abcdef", 1)
    for host in (1, 2, 3)
)
SHARED = "apiVersion: carelane/v1\nkind: Policy\nmetadata: {name: p}\nspec:\n  backups: shared\n"


def intent(name: str, source: str, to: str, mbps: int = 60, availability: str = "none", tenant: str = "county") -> str:
    return (
        f"---\napiVersion: carelane/v1\nkind: ServiceIntent\nmetadata: {{name: {name}, tenant: {tenant}}}\n"
        f"spec:\n  service: remote-consultation\n  from: [{source}]\n  to: [{to}]\n  protection: required\n"
        f"  burst: 6KB\n  objectives: {{bandwidth: {mbps}Mbps, delay: 50ms, availability: {availability}, "
        "jitter: none, loss: none}\n"
    )


ONE, TWO, THREE = intent("one", "a/1", "b/1"), intent("two", "c/1", "d/1"), intent("three", "a/2", "b/2", 30)


@pytest.fixture(scope="module")
def ladder() -> Topology:
    return parse_topology(LADDER)


@pytest.fixture
def rig_of(make_rig: Callable[..., Any], ladder: Topology) -> Callable[..., Any]:
    network = Simulator(ladder)

    def made(**more: Any) -> Any:
        return make_rig(topology=ladder, southbound=network, policy=parse_policy(SHARED, ladder), **more)

    return made


def planned(topology: Topology, *documents: str) -> Slices:
    """Each admitted, its backup shared."""
    policy = parse_policy(SHARED, topology)
    wanted = [resolve(item, topology) for item in load_intents("".join(documents))]
    slices: Slices = []
    for decision in plan(topology, wanted, policy=policy).decisions:
        assert decision.backups == "shared"
        slices.append((decision, allocate(decision, [ids for _, ids in slices])))
    return slices


def queues(program: Program, topology: Topology, node: str, link: str) -> dict[str, tuple[int, int]]:
    """Floor in Mbit/s and priority by slice."""
    port = topology.links[link].port_at(node)
    (qos,) = [qos for qos in program[node].ports if qos.port == port]
    return {queue.slice: (queue.min_rate_bps // 10**6, queue.priority) for queue in qos.queues if queue.slice}


def test_both_queues_have_their_whole_floor_and_the_last_priority_where_they_share(ladder: Topology) -> None:
    slices = planned(ladder, ONE, TWO)
    program = compile_program(ladder, slices)
    assert queues(program, ladder, "e", "ef") == {"one": (60, 7), "two": (60, 7)}
    ((_, priority),) = queues(program, ladder, "a", "ab").values()
    assert priority < 7, "a primary goes before all that sleep"
    assert verify_program(ladder, program, slices) == ()
    assert verify_program(ladder, compile_program(ladder, slices, {"ab"}), slices, {"ab"}) == ()


def in_one_duct(topology: Topology, *names: str) -> Topology:
    """The same network, only that these links lie in one duct."""
    links = {
        name: replace(link, risk_groups=frozenset({"duct"})) if name in names else link
        for name, link in topology.links.items()
    }
    return replace(topology, links=MappingProxyType(links))


def without(topology: Topology, link: str) -> Topology:
    return replace(topology, links=MappingProxyType({k: v for k, v in topology.links.items() if k != link}))


def test_backups_that_one_duct_wakes_together_are_found(ladder: Topology) -> None:
    slices = planned(ladder, ONE, TWO)
    program, duct = compile_program(ladder, slices), in_one_duct(ladder, "ab", "cd")
    faults = verify_program(duct, program, slices)
    assert {(fault.kind, fault.failed) for fault in faults} == {("overbooked", "risk group duct")}
    assert {fault.node for fault in faults} == {"e", "f"}
    assert all("120000000 are promised on it to one, two" in fault.detail for fault in faults)
    with pytest.raises(ConflictError, match=r"one and two are promised 120000000 bit/s on port"):
        compile_program(duct, slices)
    fitting, unfit = Compilation(duct).fitting(slices)
    assert list(unfit) == ["two"]
    assert verify_program(duct, fitting, slices[:1]) == ()


def test_a_primary_that_moves_into_the_others_duct_is_found_though_no_queue_changes(ladder: Topology) -> None:
    """Nothing of the port is touched: the check has to come from the slice."""
    by_east = parse_topology(LADDER.replace("  endpoints:\n", EAST + "  endpoints:\n"))
    duct = in_one_duct(by_east, "ab-east", "cd")
    slices = planned(without(by_east, "ab-east"), ONE, TWO)
    before = compile_program(by_east, slices)
    verifier = Verifier(duct)
    assert verifier.check(before, slices) == ()
    moved = (planned(without(by_east, "ab"), ONE)[0][0], slices[0][1])
    after = compile_program(by_east, [moved, slices[1]])
    assert queues(after, by_east, "e", "ef") == queues(before, by_east, "e", "ef")
    changes = [diff(before[node], after[node]) for node in by_east.nodes if before[node] != after[node]]
    faults = verifier.check_change(changes, [moved])
    assert {(fault.kind, fault.node, fault.failed) for fault in faults} == {
        ("overbooked", node, "risk group duct") for node in "ef"
    }


def test_waits_count_only_what_one_failure_wakes(ladder: Topology) -> None:
    """With both at once on e-f there would be no bound at all."""
    slices = planned(ladder, ONE, TWO)
    rows = waited_bounds(ladder, [decision for decision, _ in slices])
    assert len(rows) == 8
    assert None not in {row.delay_s for row in rows}
    assert [row for row in rows if row.name == "one"] == list(waited_bounds(ladder, [slices[0][0]]))


def held_at(rig: Any, node: str, link: str) -> int:
    with rig.store.read() as read:
        holdings = Holdings.of(read.slices())
    return holdings.ledger(rig.topology).reserved_bps((node, link)) // 10**6


def backups(rig: Any) -> dict[str, str]:
    with rig.store.read() as read:
        return {held.name: held.decision.backups for held in Holdings.of(read.slices()).slices if not held.retiring}


def links(planned: Mapping[str, Any]) -> list[str]:
    (decision,) = planned["decisions"]
    return list(decision["paths"][0]["links"])


def test_filings_share_and_another_life_of_the_controller_counts_alike(rig_of: Callable[..., Any]) -> None:
    rig = rig_of()
    assert rig.apply(ONE) == {"one": "Admitted"}
    assert rig.apply(TWO) == {"two": "Admitted"}
    rig.settle()
    assert {rig.phase("one"), rig.phase("two")} == {"Active"}
    assert rig.service.verify().proven
    assert held_at(rig, "e", "ef") == 60
    again = rig_of()
    assert held_at(again, "e", "ef") == 60
    assert again.apply(THREE) == {"three": "Admitted"}, "30 beside 60 of the slice whose primary it shares a link with"
    assert held_at(again, "e", "ef") == 90
    assert again.apply(intent("four", "a/3", "b/3", 20, tenant="city")) == {"four": "Refused"}, "a-b is full"
    assert again.apply(intent("five", "c/2", "d/2", 40)) == {"five": "Admitted"}, "100 with that of two, after c-d"
    again.settle()
    assert held_at(again, "e", "ef") == 100
    assert again.service.verify().proven
    assert set(backups(again).values()) == {"shared"}
    again.service.delete("one")
    again.service.delete("five")
    again.settle()
    assert held_at(again, "e", "ef") == 60
    assert rig_of().service.verify().proven


def test_what_a_broken_link_woke_is_running_and_a_second_drain_would_wake_too_much(rig_of: Callable[..., Any]) -> None:
    rig = rig_of()
    rig.apply(ONE, TWO)
    rig.settle()
    new = rig.intents(intent("new", "e/1", "f/1", 40).replace("required", "none"))
    assert links(rig.service.plan(new)) == ["ef"]
    rig.reconciler.broken = rig.reconciler.dead = frozenset({"ab"})
    assert links(rig.service.plan(new)) != ["ef"], "60 run at e-f, and 60 more would after c-d"
    rig.service.apply(new)
    assert links({"decisions": [rig.service.describe("new").running_decision]}) != ["ef"]
    rig.service.delete("new")
    rig.settle()
    rig.reconciler.broken = rig.reconciler.dead = frozenset()
    assert rig.service.drain("ab").staying == ("one",), "no other pair of ways: it stays on its backup"
    with pytest.raises(ConflictError, match=r"cd cannot be drained: .*shared backups of one, two would run at e "):
        rig.service.drain("cd")
    rig.service.undrain("ab")
    assert rig.service.drain("cd").staying == ("two",)
    rig.settle()
    assert rig.service.verify().proven


def test_who_shares_is_told_and_other_tenants_slices_are_not_named(rig_of: Callable[..., Any]) -> None:
    rig = rig_of()
    rig.apply(ONE, TWO.replace("county", "city"))
    seen = rig.service.describe("one").running_decision
    assert (seen["backups"], seen["shares_with"], seen["shares_with_of"]) == ("shared", ["two"], ["city"])
    assert next(sharing_lines(seen)).startswith("its backup shares capacity with two;")
    theirs = seen_by("county", seen)
    assert theirs["shares_with"] == [None]
    assert "shares_with_of" not in theirs
    (planned,) = rig.service.plan(rig.intents(THREE))["decisions"]
    assert planned["shares_with"] == ["one", "two"]


EAST = """    - {id: ab-east, a: a, b: b, capacity: 100Mbps, length: 40km, availability: 99.9%}
"""
