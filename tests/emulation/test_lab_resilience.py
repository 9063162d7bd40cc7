"""Failures in the lab: repaired in the switches, and a seeded storm of them after which everything still holds."""

from __future__ import annotations

from lab_needs import NEEDS_LAB, skip_without_delay

from carelane.lab.measure import figures
from carelane.lab.scenario import ScenarioContext
from carelane.lab.scenarios.changes import Changes
from carelane.lab.scenarios.chaos import Chaos
from carelane.lab.scenarios.failover import Failover
from carelane.lab.traffic.models import Periodic

pytestmark = NEEDS_LAB


def test_without_a_controller_any_link_of_the_path_may_fail_both_ways_and_silently() -> None:
    """In the lab kernel: how long a repair took is for the scenario's report, that it happened is for this test."""
    skip_without_delay()
    said: list[str] = []
    report = Failover(carrier=3, silent=2, rerouted=0).run(ScenarioContext(None, seed=1, say=said.append))
    proven = next(check for check in report.checks if check.name == "what the switches hold is proven")
    assert proven.passed, proven.detail
    run = report.runs["switches"]
    for flow in run.flows.values():
        got = figures(flow)
        # Five links were dead for 0.7 s each; without a repair, 3,500 packets would be missing. On a busy machine the
        # guest's one processor may hear of a dead port half a second late, which is for the report to judge.
        assert got.lost < 0.75 * 3500, (flow.name, got.lost, report.notes)
        assert got.received > 0.9 * got.attempted


def test_drains_reoptimisations_rerates_and_withdrawals_of_others_lose_no_packet() -> None:
    """200 packets a second both ways: a busy machine must not be what loses them."""
    stream = Periodic(period_s=0.005, ip_bytes=88)
    report = Changes(turns=2, stream=stream).run(ScenarioContext("userspace", seed=1, say=lambda _: None))
    assert [check.detail for check in report.checks if not check.passed] == []
    (run,) = report.runs.values()
    assert all(figures(flow).received > 1000 for flow in run.flows.values())


def test_two_minutes_of_chaos() -> None:
    said: list[str] = []
    report = Chaos(seconds=120.0).run(ScenarioContext("userspace", seed=7, say=said.append))
    assert [check.detail for check in report.checks if not check.passed] == [], said
