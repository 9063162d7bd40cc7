"""What there was to share: by the senders' schedule, and by what they really sent."""

from __future__ import annotations

import numpy as np

from carelane.lab.samples import FlowSamples, RunSamples
from carelane.lab.scenarios._oracle import offered, sent
from carelane.lab.traffic.models import Periodic
from carelane.lab.traffic.plan import NOISE_FLOW, Flow, TrafficPlan

NONE = np.array([], dtype=np.int64)
ENDS = ("here", "there")


def run(plan: TrafficPlan, sent_s: np.ndarray, kept: np.ndarray) -> RunSamples:
    at_ns = (sent_s * 1e9).astype(np.int64)
    sizes = np.full(len(sent_s), 172, dtype=np.int64)
    count = len(sent_s)
    flow = FlowSamples("a", np.arange(count)[kept], at_ns[kept], at_ns[kept], sizes[kept], count, count, 0, 0.0)
    noise = FlowSamples(NOISE_FLOW, NONE, NONE, NONE, NONE, 0, 0, 0, 0.0)
    return RunSamples(plan, 0, {"a": flow}, noise, 0.0, {}, {}, 0)


def test_what_a_sender_sent_late_was_there_to_be_shared_when_it_was_sent() -> None:
    plan = TrafficPlan((Flow("a", *ENDS, Periodic(0.01, 172), 34, 0.0, 2.0),), 1)
    due = offered(plan, 0.25)[ENDS]
    at_s = np.arange(200) * 0.01
    all_kept = np.ones(200, dtype=bool)
    np.testing.assert_allclose(sent(run(plan, at_s, all_kept), 0.25)[ENDS], due)
    stalled = np.where((at_s >= 0.5) & (at_s < 0.75), 0.7501 + at_s * 1e-4, at_s)
    got = sent(run(plan, stalled, all_kept), 0.25)[ENDS]
    assert got[2] == 0, "nothing was sent while it stood still"
    assert got[3] == due[2] + due[3], "and all of it afterwards"
    assert got.sum() == due.sum()


def test_lost_packets_were_sent_between_their_neighbours() -> None:
    plan = TrafficPlan((Flow("a", *ENDS, Periodic(0.01, 172), 34, 0.0, 2.0),), 1)
    at_s = np.arange(200) * 0.01
    kept = np.ones(200, dtype=bool)
    kept[40:60] = False
    kept[190:] = False
    np.testing.assert_allclose(sent(run(plan, at_s, kept), 0.25)[ENDS], offered(plan, 0.25)[ENDS])
