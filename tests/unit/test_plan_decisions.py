"""Decisions: what is admitted, what is refused, why, and what would be accepted instead."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from written_networks import MBPS, ask, network

from carelane.controller.pipeline import decision_json, plan, plan_json
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.slice_plan import Decision
from carelane.errors import InputError
from carelane.topology import CapacityLedger, Topology, parse_topology


def decide(topology: Topology, requirement: Requirement, ledger: CapacityLedger | None = None) -> Decision:
    return plan(topology, [requirement], ledger).decisions[0]


LONG = """
n1: s n 1Gbps 2500km 0.9985
n2: n t 1Gbps 1200km 0.9985
s1: s o 1Gbps 2600km 0.9985
s2: o t 1Gbps 1120km 0.9985
"""


def test_surgery_over_3700_km_one_way_is_admitted_with_a_backup() -> None:
    topology = network(LONG)
    decision = decide(topology, ask(topology, rate=10, delay_s=0.020, availability=0.99999))
    assert decision.admitted
    assert decision.proven
    assert [path.role for path in decision.paths] == ["primary", "backup"]
    assert decision.paths[0].propagation_s == 0.0185
    assert all(path.delay_bound_s is not None and path.delay_bound_s <= 0.020 for path in decision.paths)
    # 1500 B burst and three 1500 B ports within 1.5 ms less three frames' time at 1 Gbit/s
    assert decision.paths[0].reserved_bps == pytest.approx(48_000 / (0.0015 - 3 * 1522 * 8e-9), rel=1e-6)


def test_a_round_trip_of_20_ms_over_3700_km_is_physically_impossible() -> None:
    topology = network(LONG)
    decision = decide(topology, ask(topology, delay_s=0.020, round_trip=True))
    assert not decision.admitted
    reason, offer = decision.reasons[0], decision.offers[0]
    assert (reason.constraint, reason.required, reason.unit, reason.at) == ("delay", 20.0, "ms", None)
    assert isinstance(reason.available, float)
    assert 37.0 < reason.available <= 37.6
    assert "propagation alone is 37 ms round trip over 3700 km" in reason.detail
    assert offer.delay_s == pytest.approx(reason.available / 1000)
    assert offer.round_trip
    unhurried = decision.offers[1]
    assert unhurried.reserved_bps == 40 * MBPS < offer.reserved_bps
    for item in decision.offers:
        taken = ask(topology, delay_s=item.delay_s, round_trip=True)
        assert decide(topology, taken).admitted


def test_a_link_is_reserved_to_its_last_bit_and_no_further() -> None:
    topology = network("l: s t 100Mbps 1ms")
    wanted = [ask(topology, f"i{k}", rate=25) for k in range(5)]
    result = plan(topology, wanted)
    assert [decision.admitted for decision in result.decisions] == [True] * 4 + [False]
    assert result.ledger.reserved_bps(("s", "l")) == result.ledger.reserved_bps(("t", "l")) == 100 * MBPS
    reason = result.decisions[4].reasons[0]
    assert (reason.constraint, reason.at, reason.required, reason.available, reason.unit) == (
        "bandwidth",
        "l",
        25.0,
        0.0,
        "Mbps",
    )
    assert result.decisions[4].offers == ()
    assert result.totals.admitted_bps == 100 * MBPS
    assert result.totals.offered_bps == 125 * MBPS


def test_what_is_left_is_offered_exactly() -> None:
    topology = network("l: s t 100Mbps 1ms")
    ledger = plan(topology, [ask(topology, "first", rate=60.123)]).ledger
    decision = decide(topology, ask(topology, rate=50), ledger)
    assert [offer.bandwidth_bps for offer in decision.offers] == [39_877_000]
    assert decide(topology, ask(topology, rate=39.877), ledger).admitted


def test_the_directions_are_separate() -> None:
    topology = network("l: s t 100Mbps 1ms")
    one_way = ask(topology, "one", rate=90, direction="forward")
    back = ask(topology, "two", rate=90, direction="reverse")
    result = plan(topology, [one_way, back])
    assert all(decision.admitted for decision in result.decisions)
    assert result.decisions[1].paths[0].reserved_bps == 0
    assert result.decisions[1].paths[0].reverse_bps == 90 * MBPS


def test_the_access_line_limits_both_ways() -> None:
    topology = network("l: s t 1Gbps 1ms", capacity=100 * MBPS)
    result = plan(topology, [ask(topology, f"i{k}", rate=60, direction="forward") for k in range(2)])
    refused = result.decisions[1]
    assert not refused.admitted
    assert refused.reasons[0].at in ("s/1", "t/1")
    assert refused.reasons[0].available == 40.0


def test_filing_a_name_again_replaces_its_floors() -> None:
    topology = network("l: s t 100Mbps 1ms")
    before = plan(topology, [ask(topology, rate=80)]).ledger
    after = plan(topology, [ask(topology, rate=90)], before)
    assert after.decisions[0].admitted
    assert after.ledger.reserved_bps(("s", "l")) == 90 * MBPS
    kept = plan(topology, [ask(topology, rate=200)], before)
    assert kept.ledger == before


def test_capacity_and_delay_can_each_give() -> None:
    """The fast way is full, the slow one late: both are reasons, both relaxed offers fit."""
    topology = network("fast: s t 30Mbps 5ms\nslow1: s m 1Gbps 10ms\nslow2: m t 1Gbps 10ms")
    decision = decide(topology, ask(topology, delay_s=0.010))
    assert [reason.constraint for reason in decision.reasons] == ["bandwidth", "delay"]
    assert (decision.reasons[0].at, decision.reasons[0].available) == ("fast", 30.0)
    assert {offer.relaxed for offer in decision.offers} == {"bandwidth", "delay"}


def test_reasons_that_have_to_give_together() -> None:
    """Too far, and too narrow: neither alone would help."""
    topology = network("l: s t 30Mbps 15ms")
    decision = decide(topology, ask(topology, delay_s=0.010))
    assert [reason.constraint for reason in decision.reasons] == ["delay", "bandwidth"]
    assert [offer.relaxed for offer in decision.offers] == ["delay+bandwidth"]


def test_fewest_paths_that_reach_the_availability() -> None:
    rows = "\n".join(f"{m}{e}: {e} {m} 1Gbps 1ms 0.996" for m in "abc" for e in "st")
    topology = network(rows)
    counts = {}
    for target in (0.99, 0.9999, 0.999999, 0.9999999):
        decision = decide(topology, ask(topology, availability=target))
        counts[target] = len(decision.paths)
        assert not decision.paths or (decision.availability or 0) >= target
    assert counts == {0.99: 1, 0.9999: 2, 0.999999: 3, 0.9999999: 0}


def test_availability_refused_names_the_best_there_is() -> None:
    topology = network("a: s t 1Gbps 1ms 0.999\nb: s t 1Gbps 1ms 0.999")
    decision = decide(topology, ask(topology, availability=0.9999999))
    assert decision.reasons[0].constraint == "availability"
    assert decision.reasons[0].available == 0.999999
    assert decision.offers[0].availability == 0.999999
    assert decide(topology, ask(topology, availability=0.999999)).admitted


def test_protection_none_means_one_path() -> None:
    topology = network("a: s t 1Gbps 1ms 0.999\nb: s t 1Gbps 1ms 0.999")
    decision = decide(topology, ask(topology, availability=0.9999, protection="none"))
    assert not decision.admitted
    assert "protection is switched off" in decision.reasons[0].detail


def test_protection_required_without_a_second_way() -> None:
    topology = network("a: s m 1Gbps 1ms\nb: m t 1Gbps 1ms\nc: m t 1Gbps 1ms")
    decision = decide(topology, ask(topology, protection="required"))
    assert [reason.constraint for reason in decision.reasons] == ["disjointness"]
    assert decision.offers[0].protection == "auto"


def test_a_shared_duct_is_not_disjoint() -> None:
    topology = network("a: s t 1Gbps 1ms duct\nb: s t 1Gbps 1ms duct\nc: s t 1Gbps 9ms")
    decision = decide(topology, ask(topology, protection="required"))
    assert [path.hops[0].link for path in decision.paths] == ["a", "c"]


def test_backups_meet_the_bound_too() -> None:
    topology = network("a: s t 1Gbps 1ms\nb: s t 1Gbps 9ms")
    assert decide(topology, ask(topology, protection="required", delay_s=0.012)).admitted
    late = decide(topology, ask(topology, protection="required", delay_s=0.008))
    assert {reason.constraint for reason in late.reasons} == {"delay", "disjointness"}


@pytest.mark.parametrize(
    ("figures", "objective", "missing"),
    [
        ("1ms 0.999", {}, "capacity"),
        ("1Gbps 0.999", {"delay_s": 0.1}, "delay"),
        ("1Gbps 0.999", {"jitter_s": 0.1}, "delay"),
        ("1Gbps 1ms", {"availability": 0.9}, "availability"),
    ],
)
def test_figures_that_are_not_stated_carry_no_promise(figures: str, objective: dict[str, Any], missing: str) -> None:
    topology = network(f"known: s m 1Gbps 1ms 0.999\nl: m t {figures}")
    decision = decide(topology, ask(topology, **objective))
    reason = decision.reasons[0]
    assert (reason.constraint, reason.at, reason.required) == ("unknown-data", "l", missing)
    assert [offer.relaxed for offer in decision.offers] == (
        [] if missing == "capacity" else list({key.split("_")[0] for key in objective})
    )


def test_a_way_with_all_figures_is_preferred() -> None:
    topology = network("short: s t 1Gbps\nlong1: s m 1Gbps 5ms\nlong2: m t 1Gbps 5ms")
    assert len(decide(topology, ask(topology, delay_s=0.1)).paths[0].hops) == 2
    free = decide(topology, ask(topology))
    assert len(free.paths[0].hops) == 2


def test_without_a_delay_objective_unknown_delays_are_no_obstacle() -> None:
    topology = network("l: s t 1Gbps")
    path = decide(topology, ask(topology)).paths[0]
    assert (path.delay_bound_s, path.propagation_s) == (None, None)
    assert path.jitter_bound_s is not None


def test_an_endpoint_without_capacity_carries_no_promise() -> None:
    topology = network("l: s t 1Gbps 1ms", capacity=None)
    decision = decide(topology, ask(topology))
    assert [(reason.constraint, reason.at) for reason in decision.reasons] == [
        ("unknown-data", "s/1"),
        ("unknown-data", "t/1"),
    ]


def test_unreachable() -> None:
    topology = network("l: s a 1Gbps 1ms\nm: b t 1Gbps 1ms")
    decision = decide(topology, ask(topology))
    assert [reason.constraint for reason in decision.reasons] == ["unreachable"]
    assert decision.proven
    assert decision.offers == ()


def test_loss_of_links_multiplies() -> None:
    topology = network("a: s m 1Gbps 1ms\nb: m t 1Gbps 1ms")
    lossy = Topology(
        topology.name,
        topology.nodes,
        {name: replace(link, loss=0.01) for name, link in topology.links.items()},
        topology.endpoints,
        topology.risk_groups,
    )
    assert decide(lossy, ask(lossy, loss=0.0199)).admitted
    refused = decide(lossy, ask(lossy, loss=0.0198))
    assert refused.reasons[0].constraint == "loss"
    assert refused.offers[0].loss == pytest.approx(0.0199)
    silent = decide(topology, ask(topology, loss=0.0001))
    assert any("congestion loss only" in text for text in silent.assumptions)


def test_both_ends_on_one_switch() -> None:
    topology = parse_topology(
        json.dumps(
            {
                "apiVersion": "carelane/v1",
                "kind": "Topology",
                "metadata": {"name": "one"},
                "spec": {
                    "nodes": [{"id": "s", "kind": "switch", "availability": 0.999}],
                    "endpoints": [{"id": f"s/{k}", "node": "s", "capacity": "1Gbps"} for k in (1, 2)],
                },
            }
        )
    )
    decision = decide(topology, ask(topology, to="s/2", availability=0.999, protection="required", delay_s=0.01))
    assert decision.admitted
    assert decision.paths[0].hops == ()
    assert decision.availability == 0.999
    assert any("one switch" in text for text in decision.assumptions)


TREE = "trunk: s m 100Mbps 1ms 0.999\nx: m x 100Mbps 1ms 0.999\ny: m y 100Mbps 2ms 0.999\nz: m z 100Mbps 3ms 0.999"


def test_point_to_multipoint_shares_its_trunk_once() -> None:
    topology = network(TREE, ends="s x y z")
    result = plan(topology, [ask(topology, to="x/1 y/1 z/1", rate=80)])
    decision = result.decisions[0]
    assert decision.admitted
    assert [path.to for path in decision.paths] == ["x/1", "y/1", "z/1"]
    for port in (("s", "trunk"), ("m", "trunk"), ("m", "x"), ("x", "x"), ("x", "x/1"), ("s", "s/1")):
        assert result.ledger.reserved_bps(port) == 80 * MBPS


def test_the_shared_return_of_receivers_is_bounded_with_all_their_bursts() -> None:
    topology = network(TREE, ends="s x y z")
    alone = decide(topology, ask(topology, to="x/1", rate=80))
    shared = decide(topology, ask(topology, to="x/1 y/1 z/1", rate=80))
    assert (shared.paths[0].jitter_bound_s or 0) > (alone.paths[0].jitter_bound_s or 1)


def test_a_consultation_adds_up_at_its_hub() -> None:
    topology = network(TREE, ends="s x y z")
    result = plan(topology, [ask(topology, source="x/1 y/1 z/1", to="s/1", rate=30)])
    assert result.decisions[0].admitted
    assert [(path.source, path.to) for path in result.decisions[0].paths] == [(f"{n}/1", "s/1") for n in "xyz"]
    assert result.decisions[0].paths[0].nodes == ("x", "m", "s")
    assert result.ledger.reserved_bps(("m", "trunk")) == result.ledger.reserved_bps(("s", "trunk")) == 90 * MBPS
    assert result.ledger.reserved_bps(("s", "s/1")) == 90 * MBPS
    assert result.ledger.reserved_bps(("x", "x")) == 30 * MBPS
    too_much = decide(topology, ask(topology, source="x/1 y/1 z/1", to="s/1", rate=34))
    assert (too_much.reasons[0].constraint, too_much.reasons[0].at) == ("bandwidth", "trunk")
    assert too_much.offers[0].bandwidth_bps == 33_333_000


def test_sites_that_take_turns_share_the_trunk_and_wait_for_so_many_bursts_only() -> None:
    topology = network(TREE, ends="s x y z")

    def turns(speakers: int | None, rate: float = 30) -> Requirement:
        return replace(ask(topology, source="x/1 y/1 z/1", to="s/1", rate=rate, burst_bytes=30_000), speakers=speakers)

    held, waits = {}, {}
    for speakers in (1, 2, 3, None):
        result = plan(topology, [turns(speakers)])
        assert result.decisions[0].admitted
        held[speakers] = {result.ledger.reserved_bps(port) for port in (("m", "trunk"), ("s", "trunk"), ("s", "s/1"))}
        waits[speakers] = max(path.jitter_bound_s or 0 for path in result.decisions[0].paths)
        assert result.ledger.reserved_bps(("x", "x")) == 30 * MBPS
        assert result.ledger.reserved_bps(("", "s/1")) == min(speakers or 3, 3) * 30 * MBPS
        assert result.totals.admitted_bps == min(speakers or 3, 3) * 30 * MBPS
    assert held == {1: {30 * MBPS}, 2: {60 * MBPS}, 3: {90 * MBPS}, None: {90 * MBPS}}
    assert waits[3] == waits[None]
    # each burst is paid for at the rate of so many speakers, so it takes no longer the more of them there are
    assert waits[1] == pytest.approx(waits[3], rel=0.05)
    assert decide(topology, turns(2, 50)).admitted
    refused = decide(topology, turns(2, 51))
    assert (refused.reasons[0].constraint, refused.reasons[0].at) == ("bandwidth", "trunk")
    assert refused.reasons[0].required == 102.0


def test_beside_sites_that_take_turns_there_is_room_for_others() -> None:
    topology = network(TREE, ends="s x y z")
    consultation = replace(ask(topology, source="x/1 y/1 z/1", to="s/1", rate=20), speakers=1)
    first, beside, more = plan(
        topology, [consultation, ask(topology, "beside", "x/1", "s/1", 80), ask(topology, "more", "y/1", "s/1", 1)]
    ).decisions
    assert (first.admitted, beside.admitted, more.admitted) == (True, True, False)


def test_a_tight_consultation_gets_a_common_rate_that_keeps_every_bound() -> None:
    topology = network(TREE, ends="s x y z")
    easy = decide(topology, ask(topology, source="x/1 y/1 z/1", to="s/1", rate=5))
    worst = max(path.delay_bound_s or 0 for path in easy.paths)
    tight = decide(topology, ask(topology, source="x/1 y/1 z/1", to="s/1", rate=5, delay_s=worst * 0.6))
    assert tight.admitted
    assert {path.reserved_bps for path in tight.paths} != {5 * MBPS}
    assert all((path.delay_bound_s or 1) <= worst * 0.6 for path in tight.paths)


def test_the_site_that_fails_is_named() -> None:
    topology = network(TREE, ends="s x y z")
    decision = decide(topology, ask(topology, to="x/1 y/1 z/1", rate=10, direction="forward", delay_s=0.0033))
    assert (decision.reasons[0].constraint, decision.reasons[0].at) == ("delay", "y/1")
    assert decide(
        topology, ask(topology, to="x/1 y/1 z/1", rate=10, direction="forward", delay_s=decision.offers[0].delay_s)
    ).admitted


def test_primary_paths_to_several_receivers_form_a_tree() -> None:
    """Two equal ways pass m: nobody may enter m twice."""
    ways = "a: s p 1Gbps 1ms\nb: p m 1Gbps 1ms\nc: s q 1Gbps 1ms\nd: q m 1Gbps 1ms\n"
    topology = network(ways + "e: m x 1Gbps 1ms\nf: m y 1Gbps 1ms", ends="s x y")
    decision = decide(topology, ask(topology, to="x/1 y/1"))
    entered: dict[str, set[str]] = {}
    for path in decision.paths:
        for hop in path.hops:
            entered.setdefault(hop.next_node, set()).add(hop.link)
    assert all(len(links) == 1 for links in entered.values())


def test_two_intents_of_one_name_are_bad_input() -> None:
    topology = network("l: s t 1Gbps 1ms")
    with pytest.raises(InputError, match="two intents are named 'x'"):
        plan(topology, [ask(topology), ask(topology)])


def test_optimize_admits_at_least_as_much_and_keeps_the_order() -> None:
    topology = network("l: s t 100Mbps 1ms")
    wanted = [ask(topology, "big", rate=60), ask(topology, "huge", rate=100)]
    plain, best = plan(topology, wanted), plan(topology, wanted, optimize=True)
    assert (plain.totals.admitted_bps, best.totals.admitted_bps) == (60 * MBPS, 100 * MBPS)
    assert [decision.name for decision in best.decisions] == ["big", "huge"]
    assert best.totals.upper_bound_bps >= best.totals.admitted_bps
    assert best.totals.gap >= 0


def test_an_impossible_intent_does_not_raise_the_upper_bound() -> None:
    topology = network(LONG)
    result = plan(topology, [ask(topology, "a", delay_s=0.02), ask(topology, "b", delay_s=0.02, round_trip=True)])
    assert plan_json(topology, result)["totals"] == {
        "offered_mbps": 80.0,
        "admitted_mbps": 40.0,
        "upper_bound_mbps": 40.0,
        "gap": 0.0,
    }


def test_the_contract_s_keys_and_roundings() -> None:
    topology = network(LONG)
    decision = decision_json(decide(topology, ask(topology, delay_s=0.020, availability=0.99999)))
    assert list(decision) == ["name", "decision", "availability", "paths", "reasons", "offers", "assumptions", "proven"]
    path = decision["paths"][0]
    assert path["links"] == ["n1", "n2"]
    assert path["to"] == "t/1"
    assert path["propagation_ms"] == 18.5
    assert path["delay_bound_ms"] <= 20.0
    # 1 - (1 - 0.9985 ** 2) ** 2 = 0.99999101349493...: cut, and to twelve digits, so that nothing asked for is lost
    assert decision["availability"] == 0.999991013494
    refused = decision_json(decide(topology, ask(topology, delay_s=0.010)))
    assert refused["decision"] == "refused"
    assert refused["paths"] == []
    assert {"delay_ms", "availability", "bandwidth_mbps"} <= set(refused["offers"][0])
    assert {"constraint", "at", "required", "available", "unit"} <= set(refused["reasons"][0])


def test_a_bandwidth_reason_names_the_link_where_the_access_line_is_as_full() -> None:
    topology = network("l: s t 1Gbps 1ms")
    reason = decide(topology, ask(topology, rate=1000.000001)).reasons[0]
    assert (reason.constraint, reason.at, reason.available) == ("bandwidth", "l", 1000.0)


def test_the_availability_shown_is_never_less_than_what_was_asked_for_and_reached() -> None:
    topology = network("l: s t 1Gbps 1ms 0.99937017")
    decision = decision_json(decide(topology, ask(topology, availability=0.99937015)))
    assert decision["availability"] == 0.99937017


SCRIPT = """
import json, sys
from carelane.controller.pipeline import plan, plan_json, resolve
from carelane.intents import parse_line
from carelane.topology import load_topology
topology = load_topology("gaotai")
ends = sorted(topology.endpoints)
lines = [f"remote consultation {a} -> {b}: 99.9%" for a in ends[:3] for b in ends[-3:]]
requirements = [resolve(parse_line(line, name=f"i{k}"), topology) for k, line in enumerate(lines)]
print(json.dumps(plan_json(topology, plan(topology, requirements))))
"""


def test_the_same_input_gives_the_same_bytes_whatever_the_hash_seed() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "1")
    }
    assert len(outputs) == 1


def test_only_the_direction_that_needs_more_gets_more() -> None:
    """The receivers' bursts meet on the way back; the one copy on the way out is alone."""
    topology = network(TREE, ends="s x y z")
    easy = decide(topology, ask(topology, to="x/1 y/1 z/1", rate=5))
    bound = (easy.paths[0].jitter_bound_s or 0) * 0.9
    tight = decide(topology, ask(topology, to="x/1 y/1 z/1", rate=5, jitter_s=bound))
    assert tight.admitted
    assert {path.reserved_bps for path in tight.paths} == {5 * MBPS}
    assert all(path.reverse_bps > 5 * MBPS for path in tight.paths)


def test_bandwidth_is_no_reason_where_only_the_bound_is_too_tight() -> None:
    """10 Mbit/s fit easily; 0.3 ms for queueing would take more than the empty link has."""
    topology = network("l: s t 100Mbps 1ms")
    decision = decide(topology, ask(topology, rate=10, delay_s=0.0013))
    assert [reason.constraint for reason in decision.reasons] == ["delay"]
    assert decision.offers[0].delay_s is not None
    assert decide(topology, ask(topology, rate=10, delay_s=decision.offers[0].delay_s)).admitted


def test_an_offered_availability_is_the_best_that_there_is_however_little_better() -> None:
    topology = network("""near: s t 1Gbps 1ms 0.998
                          far: s t 1Gbps 2ms 0.9980005""")
    (decision,) = plan(topology, [ask(topology, availability=0.9999, protection="none")]).decisions
    assert [offer.availability for offer in decision.offers] == [0.9980005]
