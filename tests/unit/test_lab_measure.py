"""Measurement on synthetic samples whose right answer is known."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carelane.lab.measure import (
    NoiseTrace,
    figures,
    judge_bandwidth,
    judge_delay,
    judge_jitter,
    judge_loss,
    spread,
)
from carelane.lab.plots import Curve
from carelane.lab.report import Check, Report
from carelane.lab.samples import FlowSamples, RunSamples, load_run
from carelane.lab.traffic.models import HAPTIC
from carelane.lab.traffic.packet import SAMPLE
from carelane.lab.traffic.plan import Flow, TrafficPlan

MS = 1_000_000
FLOW = "surgery"


def _samples(delays_ms: list[float], attempted: int | None = None, start_ms: float = 0.0) -> FlowSamples:
    sent = np.arange(len(delays_ms), dtype=np.int64) * MS + round(start_ms * MS)
    received = sent + np.rint(np.asarray(delays_ms, dtype=np.float64) * MS).astype(np.int64)
    count = len(delays_ms)
    return FlowSamples(
        name=FLOW,
        sequence=np.arange(count, dtype=np.int64),
        sent_ns=sent,
        received_ns=received,
        ip_bytes=np.full(count, 88, dtype=np.int64),
        attempted=count if attempted is None else attempted,
        sent=count,
        sent_bytes=88 * count,
        late_ms=0.0,
    )


def _run(flow: FlowSamples, noise_ms: list[float], overflow: int = 0) -> RunSamples:
    plan = TrafficPlan((Flow(FLOW, "a", "b", HAPTIC),))
    return RunSamples(plan, 0, {FLOW: flow}, _samples(noise_ms), 0.005, {}, {}, overflow)


CALM = [5.1] * 1000


def test_quantiles_are_samples_and_rounded_up() -> None:
    got = spread(np.arange(1, 1001) / 1000)
    assert got is not None
    assert (got.minimum_s, got.maximum_s) == (0.001, 1.0)
    assert got.p50_s >= 0.5
    assert got.p999_s == pytest.approx(1.0)
    assert spread(np.array([])) is None


def test_loss_duplicates_and_reordering_are_told_apart() -> None:
    flow = _samples([10.0] * 5, attempted=6)
    flow = FlowSamples(
        FLOW,
        sequence=np.array([0, 2, 1, 2, 4]),
        sent_ns=flow.sent_ns,
        received_ns=flow.received_ns,
        ip_bytes=flow.ip_bytes,
        attempted=6,
        sent=6,
        sent_bytes=528,
        late_ms=0.0,
    )
    got = figures(flow)
    assert (got.received, got.lost, got.duplicates, got.reordered) == (4, 2, 1, 1)
    assert got.loss_ratio == pytest.approx(2 / 6)


def test_jitters_by_name() -> None:
    got = figures(_samples([10.0, 12.0] * 500))
    assert got.ipdv_y1541_s == pytest.approx(0.002)
    assert got.jitter_rfc3550_s == pytest.approx(0.002, rel=1e-3)
    assert figures(_samples([10.0] * 100)).jitter_rfc3550_s == 0


def test_goodput_counts_what_arrived() -> None:
    assert figures(_samples([10.0] * 1001)).goodput_bps == pytest.approx(88 * 8 * 1000)
    assert figures(_samples([])).goodput_bps == 0


def test_a_late_packet_breaks_the_promise_when_the_lab_was_calm() -> None:
    delays = [10.0] * 1000
    delays[500] = 12.001
    verdict = judge_delay(_run(_samples(delays), CALM), FLOW, 0.012)
    assert not verdict.passed
    assert (verdict.over, verdict.over_noise) == (1, 1)
    assert judge_delay(_run(_samples([12.0] * 1000), CALM), FLOW, 0.012).passed


def test_a_packet_late_by_no_more_than_the_lab_was_is_excused() -> None:
    # The lab stood still from 510 to 520 ms: probes due then arrived at 520.
    noise = [5.0 + max(0.0, 520.0 - (sent + 5.0)) if 510 <= sent + 5 < 520 else 5.0 for sent in range(1000)]
    delays = [10.0] * 1000
    delays[505] = 10.0 + 5.0
    assert judge_delay(_run(_samples(delays), noise), FLOW, 0.010).passed
    # Longer than the disturbance: the rest is the network's.
    delays[505] = 10.0 + 10.5
    verdict = judge_delay(_run(_samples(delays), noise), FLOW, 0.010)
    assert (verdict.passed, verdict.over_noise) == (False, 1)
    # The same lateness at another time has no excuse.
    delays[505], delays[700] = 10.0, 15.0
    assert not judge_delay(_run(_samples(delays), noise), FLOW, 0.010).passed


def test_two_disturbances_on_the_way_add_up_and_overlapping_ones_do_not() -> None:
    probe = _samples([5.0] * 60)
    received = probe.received_ns.copy()
    received[5] += 2 * MS  # due at 10 ms, came at 12
    received[6] += 1 * MS  # due at 11 ms, came at 12: the same disturbance
    received[15] += 3 * MS  # due at 20 ms, came at 23
    late = FlowSamples(FLOW, probe.sequence, probe.sent_ns, received, probe.ip_bytes, 60, 60, 0, 0.0)
    trace = NoiseTrace(late, 0.005)
    during = trace.during(np.array([0, 11, 12, 21, 40]) * MS, np.array([50, 22, 20, 22, 50]) * MS)
    assert during == pytest.approx([0.005, 0.003, 0.0, 0.001, 0.0])


@given(st.lists(st.floats(5, 60), min_size=1, max_size=80), st.integers(0, 90), st.integers(0, 90))
def test_no_more_is_excused_than_the_time_on_the_way(noise_ms: list[float], sent: int, flight: int) -> None:
    trace = NoiseTrace(_samples(noise_ms), 0.005)
    (excused,) = trace.during(np.array([sent * MS]), np.array([(sent + flight) * MS]))
    assert 0 <= excused <= flight / 1e3 + 1e-9


def test_a_run_that_lives_on_excuses_is_no_proof() -> None:
    noise = [15.0] * 1000
    verdict = judge_delay(_run(_samples([15.0] * 1000), noise), FLOW, 0.010)
    assert verdict.over_noise == 0
    assert not verdict.passed
    assert "noisy" in verdict.detail


def test_nothing_received_is_never_a_kept_promise() -> None:
    run = _run(_samples([], attempted=100), CALM)
    assert not judge_delay(run, FLOW, 1.0).passed
    assert not judge_jitter(run, FLOW, 1.0).passed
    assert not judge_loss(run, FLOW, 0.5).passed
    assert not judge_bandwidth(run, FLOW, 1.0).passed
    assert not judge_loss(_run(_samples([], attempted=0), CALM), FLOW, 0.5).passed


def test_jitter_allows_one_packet_in_a_thousand() -> None:
    delays = [10.0] * 2000
    delays[3] = delays[900] = 30.0
    assert judge_jitter(_run(_samples(delays), CALM), FLOW, 0.005).passed
    delays[1500] = 30.0
    assert not judge_jitter(_run(_samples(delays), CALM), FLOW, 0.005).passed


def test_a_receiver_that_lost_packets_itself_cannot_prove_a_loss_objective() -> None:
    assert judge_loss(_run(_samples([10.0] * 100), CALM), FLOW, 0.0).passed
    assert not judge_loss(_run(_samples([10.0] * 100), CALM, overflow=1), FLOW, 0.0).passed


def test_samples_are_read_back_as_the_receiver_wrote_them(tmp_path: Path) -> None:
    (tmp_path / "0.samples").write_bytes(SAMPLE.pack(0, 1, 2, 88))
    (tmp_path / "1.samples").write_bytes(SAMPLE.pack(0, 100, 300, 88) + SAMPLE.pack(1, 200, 500, 90))
    counts = {"sent": 3, "bytes": 264, "errors": 1, "late_ms": 0.5}
    summary = {"sent": {"0": counts, "1": counts}, "tcp": {}, "start_ns": 7, "overflow": 0, "noise_delay_s": 0.005}
    run = load_run(tmp_path, TrafficPlan((Flow(FLOW, "a", "b", HAPTIC),)), summary)
    got = run.flows[FLOW]
    assert got.received_ns.tolist() == [300, 500]
    assert got.ip_bytes.tolist() == [88, 90]
    assert got.attempted == 4
    assert figures(got).lost == 2


def test_report_tells_kept_from_broken_and_stands_alone(tmp_path: Path) -> None:
    run = _run(_samples([10.0] * 1000), CALM)
    report = Report(scenario="t", substrate="lab-kernel", reason="a <test>", seed=4)
    assert not report.passed, "a report without promises proves nothing"
    report.add_run("one", run)
    report.objectives.append(judge_delay(run, FLOW, 0.012))
    report.comparisons.append(judge_delay(run, FLOW, 0.001, mode="plain"))
    report.add_plot("delay", "Delay", [Curve("surgery", run.flows[FLOW], 0)], 0.012)
    data = json.loads(report.write(tmp_path).read_text())
    assert data["pass"] is True, "a comparison fails nothing"
    (row,) = data["objectives"]
    assert (row["promised"], row["measured"], row["unit"], row["pass"]) == (12.0, 10.0, "ms", True)
    assert (row["samples"], row["mode"], row["intent"], row["objective"]) == (1000, "carelane", FLOW, "delay")
    assert row["noise_floor"]["maximum_ms"] == pytest.approx(0.1)
    assert data["comparisons"][0]["pass"] is False
    page = (tmp_path / "index.html").read_text()
    assert "data:image/png;base64," in page
    assert "a &lt;test&gt;" in page
    assert "http" not in page
    kept = np.load(tmp_path / "one.npz")
    assert len(kept[f"{FLOW}/received_ns"]) == 1000
    report.checks.append(Check("c", passed=False, detail=""))
    assert not report.passed


def test_infinite_figures_are_null_in_json() -> None:
    row = judge_delay(_run(_samples([]), CALM), FLOW, 1.0).to_json()
    assert row["measured"] is None
    assert "Infinity" not in json.dumps(row)
    assert math.isfinite(row["promised"])
