"""Remedies of a refusal: the one link to widen, the one slice to let go, and what is said when there is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from written_networks import ask, network

from carelane.controller.pipeline import decision_json, plan, remedies
from carelane.controller.pipeline.remedies import Budget, remedied, remedies_for
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.slice_plan import Decision, PlanResult
from carelane.intents.model import Schedule
from carelane.policies.admission import AdmissionPolicy
from carelane.topology import Topology


def last(topology: Topology, requirements: list[Requirement], **options: Any) -> Decision:
    return remedied(topology, plan(topology, requirements), **options).decisions[-1]


def rows(decision: Decision) -> list[tuple[Any, ...]]:
    assert not decision.admitted
    return [tuple(row.values()) for row in decision_json(decision)["remedies"]]


LINE = """sm: s m 100Mbps 1ms
          mt: m t 50Mbps 1ms"""


def test_the_link_that_lacks_and_the_least_important_slice_that_is_large_enough() -> None:
    topology = network(LINE)
    held = [(30, 3, "surgery"), (12, 2, "round"), (4, 1, "small")]
    asked = [replace(ask(topology, name, rate=rate), priority=priority) for rate, priority, name in held]
    found = last(topology, [*asked, ask(topology, "late", rate=15)])
    assert rows(found) == [("upgrade-link", "mt", 50.0, 61.0), ("remove-intent", "round", "t")]
    assert found.remedies_searched == "whole"


def test_of_equally_important_slices_the_smallest_goes() -> None:
    topology = network(LINE)
    asked = [ask(topology, "large", rate=30), ask(topology, "fit", rate=12), ask(topology, "tiny", rate=4)]
    assert rows(last(topology, [*asked, ask(topology, "late", rate=15)]))[1] == ("remove-intent", "fit", "t")


def test_no_single_link_where_two_lack_but_perhaps_one_slice_that_crosses_both() -> None:
    topology = network("""sm: s m 50Mbps 1ms
                          mt: m t 50Mbps 1ms""")
    found = last(topology, [ask(topology, "both", rate=40), ask(topology, "late", rate=20)])
    assert rows(found) == [("remove-intent", "both", "t")]
    alone = last(topology, [ask(topology, "late", rate=60)])
    assert (rows(alone), alone.remedies_searched) == ([], "whole")


def test_of_two_ways_the_one_that_takes_least_comes_first() -> None:
    topology = network("""st: s t 50Mbps 1ms
                          sm: s m 1Gbps 5ms
                          mt: m t 80Mbps 5ms""")
    found = rows(last(topology, [ask(topology, rate=90)]))
    assert found == [("upgrade-link", "mt", 80.0, 90.0), ("upgrade-link", "st", 50.0, 90.0)]


def test_an_access_line_is_widened_where_it_is_what_lacks() -> None:
    topology = network("st: s t 1Gbps 1ms", capacity=30_000_000)
    assert rows(last(topology, [ask(topology, rate=40, direction="forward")])) == []  # both lines lack
    ends = dict(topology.endpoints)
    ends["t/1"] = replace(ends["t/1"], capacity_bps=10**9)
    found = rows(last(replace(topology, endpoints=ends), [ask(replace(topology, endpoints=ends), rate=40)]))
    assert found == [("upgrade-endpoint", "s/1", 30.0, 40.0)]


def test_a_delay_that_a_wider_link_keeps_and_one_that_light_forbids() -> None:
    topology = network("""sm: s m 2Mbps 1ms
                          mt: m t 1Gbps 1ms""")
    late = ask(topology, rate=1, delay_s=0.012)
    assert last(topology, [late]).reasons[0].constraint in ("delay", "bandwidth")
    (found,) = last(topology, [late]).remedies
    assert (found.kind, found.name) == ("upgrade-link", "sm")
    far = last(topology, [ask(topology, rate=1, delay_s=0.0015)])
    assert (rows(far), far.remedies_searched) == ([], "whole")


def test_unknown_figures_are_not_cured_by_capacity() -> None:
    found = last(network("st: s t 1ms"), [ask(network("st: s t 1ms"))])
    assert found.reasons[0].constraint == "unknown-data"
    assert (rows(found), found.remedies_searched) == ([], "whole")


def test_a_slice_of_another_time_is_not_asked_to_go() -> None:
    topology = network(LINE)

    def during(name: str, start: int, end: int, priority: int, rate: float = 40) -> Requirement:
        times = Schedule(f"2030-01-01T{start:02}:00:00Z", f"2030-01-01T{end:02}:00:00Z")
        return replace(ask(topology, name, rate=rate), schedule=times, priority=priority)

    asked = [during("night", 20, 23, 1), during("day", 8, 12, 5), during("late", 9, 10, 3, rate=30)]
    found = last(topology, asked)
    assert rows(found) == [("upgrade-link", "mt", 50.0, 70.0), ("remove-intent", "day", "t")]


def test_in_a_batch_the_remedies_hold_beside_everything_admitted() -> None:
    topology = network(LINE)
    asked = [ask(topology, "first", rate=15), ask(topology, "late", rate=40)]
    result = remedied(topology, plan(topology, asked, optimize=True), together=True)
    refused = {decision.name: rows(decision) for decision in result.decisions if not decision.admitted}
    assert refused == {"first": [("upgrade-link", "mt", 50.0, 55.0), ("remove-intent", "late", "t")]}


def test_a_search_that_stops_early_says_so() -> None:
    topology = network(LINE)
    asked = [ask(topology, "full", rate=50), ask(topology, "late", rate=20)]
    ledger = plan(topology, asked).ledger
    known = {"full": asked[0]}
    counts = []
    for plans in range(20):
        budget = Budget(plans=plans)
        found = remedies_for(topology, asked[1], ledger, known, budget)
        counts.append((len(found), budget.short))
        for remedy in found:  # what is there is proven all the same
            assert remedy.kind == "remove-intent" or remedy.to_bps >= 70_000_000
    assert counts[0] == (0, True)
    assert counts[-1] == (2, False)
    assert all(short for number, short in counts if number < 2)


def test_what_the_gate_stopped_is_not_said_to_be_incurable() -> None:
    topology = network("st: s t 100Mbps 1ms")
    bulk = replace(ask(topology, "bulk", rate=2), burst_bytes=160_000)
    policy = AdmissionPolicy("p", port_waits=True)
    result = plan(topology, [bulk, ask(topology, "late", rate=20, delay_s=0.01)], policy=policy)
    found = remedied(topology, result).decisions[-1]
    assert (found.reasons[0].constraint, found.remedies_searched) == ("policy", "not")


def many(count: int) -> tuple[Topology, PlanResult]:
    topology = network(LINE)
    late = [replace(ask(topology, f"late-{n}", rate=20), priority=n) for n in range(count)]
    return topology, plan(topology, [ask(topology, "full", rate=50), *late])


def test_every_refusal_of_a_file_has_its_share() -> None:
    topology, result = many(120)
    found = remedied(topology, result).decisions[1:]
    assert {item.remedies_searched for item in found} == {"whole"}
    assert {tuple(remedy.name for remedy in item.remedies) for item in found} == {("mt", "full")}


def test_where_not_all_can_be_searched_the_most_important_are_and_the_others_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    topology, result = many(6)
    monkeypatch.setattr(remedies, "_ELEMENTS", 4 * remedies._WORTH * (len(topology.nodes) + len(topology.links)))
    searched = {item.name: item.remedies_searched for item in remedied(topology, result).decisions[1:]}
    assert [name for name, how in searched.items() if how == "not"] == ["late-0", "late-1"]
    assert "not" not in {searched[f"late-{n}"] for n in range(2, 6)}


def test_widening_leaves_a_part_of_the_budget_for_what_could_go() -> None:
    ways = "\n".join(f"s{n}: s n{n} 10Mbps 1ms\n t{n}: n{n} t 1Gbps 1ms" for n in range(30))
    topology = network(ways)
    asked = [ask(topology, f"held-{n}", rate=10) for n in range(30)]
    result = plan(topology, [*asked, ask(topology, "late", rate=10)])
    known = {item.name: item for item in asked}
    found = remedies_for(topology, result.decisions[-1].requirement, result.ledger, known, Budget(plans=20))
    assert [remedy.kind for remedy in found][-1] == "remove-intent"
