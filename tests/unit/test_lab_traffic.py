"""Traffic models: the same seed sends the same packets, long-run rates are the declared ones, buckets are kept."""

from __future__ import annotations

import itertools
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carelane.errors import InputError
from carelane.lab.traffic.models import (
    AUDIO,
    HAPTIC,
    MIN_IP_BYTES,
    Model,
    Periodic,
    TcpTransfer,
    Video,
    Wearable,
    flood,
    model_from_json,
    model_to_json,
    screen,
)
from carelane.lab.traffic.packet import TokenBucket
from carelane.lab.traffic.plan import Bucket, Flow, TrafficPlan, join_consultation


def _packets(model: Model, seconds: float, seed: int = 1) -> list[tuple[int, int]]:
    schedule = model.packets(random.Random(seed))
    return list(itertools.takewhile(lambda packet: packet[0] < seconds * 1e9, schedule))


def _rate_bps(packets: list[tuple[int, int]], seconds: float) -> float:
    return 8 * sum(size for _, size in packets) / seconds


def test_haptic_control_is_704_kbit_a_second_at_1_khz() -> None:
    packets = _packets(HAPTIC, 2)
    assert len(packets) == 2000
    assert _rate_bps(packets, 2) == 704_000


@pytest.mark.parametrize(
    ("model", "rate_bps", "tolerance"),
    [(screen(), 4e6, 0.01), (screen(1_000_000), 1e6, 0.02), (flood(40_000_000), 40e6, 0.001), (AUDIO, 88_000, 0.001)],
)
def test_the_long_run_rate_is_the_declared_one(model: Model, rate_bps: float, tolerance: float) -> None:
    assert _rate_bps(_packets(model, 60), 60) == pytest.approx(rate_bps, rel=tolerance)


MODELS = st.one_of(
    st.builds(Periodic, period_s=st.floats(1e-4, 0.1), ip_bytes=st.integers(MIN_IP_BYTES, 1500)),
    st.builds(
        Video,
        rate_bps=st.integers(200_000, 50_000_000),
        fps=st.sampled_from([30.0, 60.0]),
        gop=st.integers(1, 120),
        i_ratio=st.floats(1.5, 2.0),
        spread=st.floats(0, 0.9),
    ),
    st.builds(Wearable, cluster_s=st.floats(0.5, 20), alarm_packets=st.integers(1, 9), cluster_seed=st.integers(0, 99)),
)


@given(MODELS, st.integers())
@settings(max_examples=60, deadline=None)
def test_time_never_runs_back_and_every_packet_can_be_sent(model: Model, seed: int) -> None:
    packets = list(itertools.islice(model.packets(random.Random(seed)), 2000))
    assert all(earlier[0] <= later[0] for earlier, later in itertools.pairwise(packets))
    assert all(MIN_IP_BYTES <= size <= 1500 for _, size in packets)


@given(MODELS, st.integers())
@settings(max_examples=30, deadline=None)
def test_the_same_seed_sends_the_same_packets_also_after_json(model: Model, seed: int) -> None:
    again = model_from_json(json.loads(json.dumps(model_to_json(model))))
    assert again == model
    first = list(itertools.islice(model.packets(random.Random(seed)), 300))
    assert list(itertools.islice(again.packets(random.Random(seed)), 300)) == first


def test_i_frames_are_aligned_and_bigger() -> None:
    model = Video(rate_bps=4_000_000, gop=10, i_ratio=2.0, sigma=0.0)
    for seed in (1, 2):
        frames: dict[int, int] = {}
        for at, size in _packets(model, 1, seed):
            frames[at] = frames.get(at, 0) + size
        sizes = [frames[at] for at in sorted(frames)]
        assert [index for index, size in enumerate(sizes) if size > 1.5 * sizes[1]] == [0, 10, 20]


def test_frames_stay_between_half_and_one_and_a_half_of_the_mean() -> None:
    model = Video(rate_bps=4_000_000, gop=1, i_ratio=1.0, sigma=0.6)
    frames: dict[int, int] = {}
    for at, size in _packets(model, 30):
        frames[at] = frames.get(at, 0) + size
    mean = 4_000_000 / 30 / 8
    assert 0.499 * mean <= min(frames.values()) <= max(frames.values()) <= 1.501 * mean


def _alarm_seconds(seed: int) -> list[float]:
    """Times with many packets within 200 ms, where the steady stream alone has two or three."""
    times = [at / 1e9 for at, _ in _packets(Wearable(cluster_s=5, alarm_packets=20, cluster_seed=7), 60, seed)]
    bursts = [at for at in times if sum(0 <= other - at < 0.2 for other in times) > 15]
    return [at for index, at in enumerate(bursts) if index == 0 or at - bursts[index - 1] > 0.3]


def test_wearables_of_one_cluster_alarm_together() -> None:
    one, other = _alarm_seconds(1), _alarm_seconds(2)
    assert len(one) > 3
    assert one == pytest.approx(other, abs=0.3)


@pytest.mark.parametrize("data", [{}, {"kind": "magic"}, {"kind": "periodic"}, {"kind": "video", "rate_bps": 0}])
def test_an_unknown_or_impossible_model_is_an_input_error(data: dict[str, object]) -> None:
    with pytest.raises(InputError):
        model_from_json(data)


@given(
    st.integers(10_000, 10_000_000),
    st.integers(1600, 50_000),
    st.lists(st.tuples(st.integers(0, 10_000_000), st.integers(60, 1514)), min_size=1, max_size=200),
)
def test_a_conforming_sender_never_exceeds_its_bucket_over_any_interval(
    rate_bps: int, burst: int, offers: list[tuple[int, int]]
) -> None:
    bucket = TokenBucket(rate_bps, burst)
    now, sent = 0, []
    for gap, size in offers:
        now = bucket.ready_at(now + gap, size)
        bucket.take(now, size)
        sent.append((now, size))
    for first in range(len(sent)):
        total = 0
        for at, size in sent[first:]:
            total += size
            assert total <= burst + rate_bps * (at - sent[first][0]) / 8e9 + 1e-3


def test_a_plan_survives_json_and_names_its_flows_once() -> None:
    flows = join_consultation(
        ["s1", "s2"], "centre", start_s=2, duration_s=5, buckets={"s1": Bucket(5_000_000, 64_000)}
    )
    plan = TrafficPlan((*flows, Flow("file", "s1", "centre", TcpTransfer(520_000), measured=False)), seed=3)
    assert TrafficPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    assert {flow.start_s for flow in flows} == {2}
    assert plan.duration_s == 10
    with pytest.raises(InputError):
        TrafficPlan((flows[0], flows[0]))
