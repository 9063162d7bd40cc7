"""Schedules in the planner: who shares capacity with whom, and which other time a refusal offers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from written_networks import MBPS, ask, network

from carelane.controller.pipeline import decision_json, plan, plan_json
from carelane.controller.pipeline.remedies import remedied
from carelane.controller.pipeline.schedules import as_text, moved_by, window_of
from carelane.controller.pipeline.slice_plan import Decision, Offer
from carelane.controller.reconcile.codec import decode_decision, encode_decision
from carelane.intents import Schedule
from carelane.topology import CapacityLedger, Topology
from carelane.topology.windows import Window

PAIR = network("l: s t 100Mbps 1ms")


def at(start: str, end: str | None = None) -> Schedule:
    """Hours of one day in Shanghai."""
    day = "2026-03-01T{}:00+08:00"
    return Schedule(day.format(start), None if end is None else day.format(end))


def other_times(decision: Decision) -> list[Offer]:
    return [offer for offer in decision.offers if offer.relaxed == "schedule"]


def refused_beside(topology: Topology, held: list[Schedule], wanted: Schedule | None, rate: float = 60) -> Decision:
    """The last decision of a file, which is a refusal; those before hold 60 Mbit/s at their times."""
    asked = [ask(topology, f"h{k}", rate=60, schedule=schedule) for k, schedule in enumerate(held)]
    *before, last = plan(topology, [*asked, ask(topology, rate=rate, schedule=wanted)]).decisions
    assert all(decision.admitted for decision in before)
    assert not last.admitted
    return last


@pytest.mark.parametrize(
    ("held", "wanted", "offered"),
    [
        ([at("08:00", "10:00")], at("09:30", "10:30"), at("10:00", "11:00")),
        ([at("08:00", "10:00")], at("07:30", "08:30"), at("07:00", "08:00")),
        ([at("08:00", "10:00")], at("08:30", "09:30"), at("10:00", "11:00")),  # as far either way: later
        ([at("08:00", "10:00"), at("10:30", "12:00")], at("09:00", "10:00"), at("07:00", "08:00")),
        ([at("08:00", "10:00"), at("10:30", "12:00")], at("09:50", "10:20"), at("10:00", "10:30")),
        ([at("08:00", "10:00")], at("09:00"), at("10:00")),
        ([at("08:00")], at("09:00", "10:00"), at("07:00", "08:00")),
    ],
)
def test_the_nearest_other_window_is_offered(held: list[Schedule], wanted: Schedule, offered: Schedule) -> None:
    decision = refused_beside(PAIR, held, wanted)
    (offer,) = other_times(decision)
    assert offer.schedule is not None
    assert window_of(offer.schedule) == window_of(offered)
    assert offer.schedule.start is not None
    assert offer.schedule.start.endswith("+08:00")
    assert offer.bandwidth_bps == offer.reserved_bps == 60 * MBPS
    (bandwidth,) = [offer for offer in decision.offers if offer.relaxed == "bandwidth"]
    assert (bandwidth.schedule, bandwidth.bandwidth_bps) == (wanted, 40 * MBPS)
    taken = [ask(PAIR, f"h{k}", rate=60, schedule=schedule) for k, schedule in enumerate(held)]
    again = plan(PAIR, [*taken, ask(PAIR, rate=60, schedule=offer.schedule)])
    assert again.decisions[-1].admitted
    assert decode_decision(encode_decision(decision)) == decision


@pytest.mark.parametrize(
    ("held", "wanted", "rate"),
    [
        ([at("08:00", "10:00")], None, 60),  # without a schedule there is nothing to be moved
        ([at("08:00", "10:00")], at("08:00", "09:00"), 101),  # no time has so much
        ([at("08:00"), Schedule(end="2026-03-01T08:00:00+08:00")], at("09:00", "10:00"), 60),
        ([at("08:00", "10:00")], Schedule(end="2026-03-01T09:00:00+08:00"), 60),  # since ever: no length to keep
    ],
)
def test_no_other_time_is_offered_where_none_helps(held: list[Schedule], wanted: Schedule | None, rate: float) -> None:
    assert other_times(refused_beside(PAIR, held, wanted, rate)) == []


def test_nothing_is_offered_that_is_past() -> None:
    held = ask(PAIR, "h", rate=60, schedule=at("08:00", "10:00"))
    wanted = ask(PAIR, rate=60, schedule=at("08:10", "08:50"))
    since = us_of_text("2026-03-01T07:30:00+08:00")
    for now, start in ((None, "07:20:00"), (since, "10:00:00")):
        ledger = CapacityLedger(since_us=now).with_slice("h", {("s", "l"): 60 * MBPS}.items(), held.window)
        (offer,) = other_times(plan(PAIR, [wanted], ledger).decisions[0])
        assert offer.schedule is not None
        assert offer.schedule.start == f"2026-03-01T{start}+08:00"


def test_a_window_that_is_open_from_now_on_gets_a_start() -> None:
    since = us_of_text("2026-03-01T00:00:00Z")
    transfer = Schedule(deadline="2026-03-01T02:00:00+00:00", volume_bytes=10**9)
    ledger = CapacityLedger(since_us=since).with_slice("h", {("s", "l"): 60 * MBPS}.items(), Window(None, since + 60))
    refused = plan(PAIR, [ask(PAIR, rate=60, schedule=transfer)], ledger).decisions[0]
    (row,) = [offer for offer in decision_json(refused)["offers"] if offer["relaxed"] == "schedule"]
    assert row["schedule"] == {
        "start": "2026-03-01T00:00:00.000060+00:00",
        "deadline": "2026-03-01T02:00:00.000060+00:00",
        "volume": "1GB",
    }


def test_both_paths_of_a_protected_slice_count() -> None:
    diamond = network("a: s m 100Mbps 1ms\nb: m t 100Mbps 1ms\nc: s n 100Mbps 1ms\nd: n t 100Mbps 1ms")
    backup = ask(diamond, "b", rate=60, protection="required", schedule=at("08:00", "10:00"))
    single = ask(diamond, "s", rate=60, schedule=at("10:00", "11:00"))
    wanted = ask(diamond, rate=60, protection="required", schedule=at("09:30", "10:30"))
    *_, last = plan(diamond, [backup, single, wanted]).decisions
    (offer,) = other_times(last)
    assert offer.schedule is not None
    assert window_of(offer.schedule) == window_of(at("11:00", "12:00"))  # as far as 07:00, and later


def test_a_tight_delay_may_wait_for_a_time_with_more_room() -> None:
    held = ask(PAIR, "h", rate=60, schedule=at("08:00", "10:00"))
    wanted = ask(PAIR, rate=10, delay_s=0.002, burst_bytes=6000, schedule=at("09:00", "10:00"))
    decision = plan(PAIR, [held, wanted]).decisions[1]
    assert {offer.relaxed for offer in decision.offers} >= {"delay", "schedule"}
    (offer,) = other_times(decision)
    assert offer.delay_s == 0.002
    assert offer.reserved_bps > 40 * MBPS


def test_remedies_know_the_time() -> None:
    early, late = (
        ask(PAIR, f"h{k}", rate=60, schedule=when)
        for k, when in enumerate((at("08:00", "09:00"), at("10:00", "11:00")))
    )
    wanted = ask(PAIR, rate=60, schedule=at("10:30", "10:45"))
    result = remedied(PAIR, plan(PAIR, [early, late, wanted]))
    assert [(remedy.kind, remedy.name) for remedy in result.decisions[2].remedies] == [
        ("upgrade-link", "l"),
        ("remove-intent", "h1"),
    ]
    assert result.decisions[2].remedies[0].to_bps == 120 * MBPS


def test_a_batch_shares_capacity_over_time_and_proves_its_bound() -> None:
    hours = [at(f"{hour:02}:00", f"{hour + 1:02}:00") for hour in range(8, 12)]
    wanted = [ask(PAIR, f"x{k}", rate=60, schedule=hours[k % 4]) for k in range(8)]
    wanted += [
        ask(PAIR, "always", rate=40),
        replace(ask(PAIR, "vital", rate=50, schedule=at("09:30", "10:30")), priority=9),
    ]
    result = plan(PAIR, wanted, optimize=True)
    assert {decision.name for decision in result.decisions if decision.admitted} == {"x0", "x3", "vital", "always"}
    document = plan_json(PAIR, result)
    moments = {row["at"] for row in document["certificate"]["prices"]}
    assert len(moments) > 1
    assert document["totals"]["upper_bound_mbps"] >= document["totals"]["admitted_mbps"] == 210.0


def test_times_are_read_and_written_back_alike() -> None:
    text = "2026-03-01T08:00:00.000001Z"
    assert as_text(us_of_text(text)) == text
    assert moved_by(Schedule(text, None, "9999-12-31T23:00:00Z"), 3_600_000_000) is None
    moved = moved_by(at("08:00", "09:00"), -1)
    assert moved is not None
    assert moved.start == "2026-03-01T07:59:59.999999+08:00"


def us_of_text(text: str) -> int:
    window = window_of(Schedule(start=text))
    assert window is not None
    assert window.opens_us is not None
    return window.opens_us
