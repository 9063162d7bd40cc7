"""Failures in the lab: repaired in the switches, and a seeded storm of them after which everything still holds."""

from __future__ import annotations

import time

from lab_needs import NEEDS_LAB, skip_without_delay

from carelane.lab.carelane_server import CarelaneServer
from carelane.lab.from_topology import lab_network
from carelane.lab.lab import Lab
from carelane.lab.measure import figures
from carelane.lab.scenario import ScenarioContext
from carelane.lab.scenarios.chaos import Chaos
from carelane.lab.scenarios.failover import EAST, WEST, Failover, diamond
from carelane.lab.traffic.models import Periodic
from carelane.lab.traffic.plan import Flow, TrafficPlan

pytestmark = NEEDS_LAB

DRAINS = 4


def test_without_a_controller_any_link_of_the_path_may_fail_both_ways_and_silently() -> None:
    """In the lab kernel: how long a repair took is for the scenario's report, that it happened is for this test."""
    skip_without_delay()
    said: list[str] = []
    report = Failover(carrier=3, silent=2, rerouted=2).run(ScenarioContext(None, seed=1, say=said.append))
    proven = next(check for check in report.checks if check.name == "what the switches hold is proven")
    assert proven.passed, proven.detail
    run = report.runs["switches"]
    for flow in run.flows.values():
        got = figures(flow)
        # Five links were dead for 0.7 s each; without a repair, 3,500 packets would be missing. On a busy machine the
        # guest's one processor may hear of a dead port half a second late, which is for the report to judge.
        assert got.lost < 0.75 * 3500, (flow.name, got.lost, report.notes)
        assert got.received > 0.9 * got.attempted


def test_drains_lose_no_packet() -> None:
    topology = diamond()
    stream = Periodic(period_s=0.005, ip_bytes=88)
    with Lab.open("userspace") as lab:
        lab.build(lab_network(topology), controller=True)
        server = CarelaneServer(lab, topology, settings={"CARELANE_HOLD_OFF_S": "0"})
        server.start(switches=len(topology.nodes))
        line = f"video conference {WEST} -> {EAST}: 1 Mbps, jitter none, loss none, availability none"
        server.check_cli("apply", f"{line}, unprotected", "--name", "meeting")
        time.sleep(3.0)
        seconds = DRAINS * 9.0
        opening = Flow("opening", WEST, EAST, stream, dscp=34, duration_s=0.8, measured=False)
        lab.start(TrafficPlan((opening, Flow("meeting", WEST, EAST, stream, 34, start_s=1.0, duration_s=seconds))))
        time.sleep(2.0)
        for turn in range(DRAINS):
            link = ("p1-p2", "w-b")[turn % 2]
            server.check_cli("drain", link)
            server.check_cli("undrain", link)
        history = server.check_cli("describe", "meeting")
        got = figures(lab.collect().flows["meeting"])
        server.stop()
    assert "Moved" in history
    assert (got.lost, got.duplicates) == (0, 0)
    assert got.attempted == int(seconds / 0.005)


def test_ninety_seconds_of_chaos() -> None:
    said: list[str] = []
    report = Chaos(seconds=90.0).run(ScenarioContext("userspace", seed=7, say=said.append))
    assert [check.detail for check in report.checks if not check.passed] == [], said
