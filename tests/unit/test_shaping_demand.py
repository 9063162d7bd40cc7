"""The demand estimate: a step is followed at once, noise and quiet move nothing, silence is not zero."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from carelane.policies.shaping import DemandPolicy, HeldDemand, Layout, Sample, Source, follow, settled, share

POLICY = DemandPolicy()
M = 1e6


def held_after(rates: Iterable[float], start: HeldDemand | None = None, *, elastic: bool = False) -> list[HeldDemand]:
    states = [start or HeldDemand()]
    for rate in rates:
        states.append(follow(states[-1], Sample(rate), POLICY, elastic=elastic))
    return states[1:]


def test_a_step_is_held_within_two_epochs() -> None:
    before = held_after([1 * M] * 30)[-1]
    states = held_after([2.5 * M, 4 * M, 4 * M], before)  # the step falls into the middle of an epoch
    assert states[0].bps >= 0.9 * 4 * M, "half an epoch of a step tells the whole of it"
    assert math.isclose(states[1].bps, 4 * M * POLICY.margin)
    late, early = (held_after([part * M, 4 * M, 4 * M], before) for part in (1.5, 3.9))
    assert math.isclose(late[1].bps, 4 * M * POLICY.margin), "it came late in the epoch"
    assert early[0].bps > 6 * M
    assert math.isclose(early[1].bps, 4 * M * POLICY.margin), "it came early, and too much was given for one epoch"


def test_what_backlog_added_to_a_step_is_given_up_within_a_window_and_then_nothing_moves() -> None:
    before = held_after([1 * M] * 30)[-1]
    dice = random.Random(3)
    states = held_after([3 * M, 5.2 * M, *(4 * M * dice.gauss(1, 0.05) for _ in range(60))], before)
    assert states[1].bps >= 5.2 * M, "fast up"
    settled_at = 1 + POLICY.window
    assert states[settled_at].bps <= 1.12 * 4 * M
    assert {state.bps for state in states[settled_at:24]} == {states[settled_at].bps}
    assert sum(a.bps != b.bps for a, b in pairwise(states[settled_at:])) <= 1, "at most one change in the sixty epochs"


def test_noise_around_a_steady_rate_moves_nothing() -> None:
    dice = random.Random(7)
    states = held_after([4 * M * dice.gauss(1, 0.04) for _ in range(400)])
    changes = sum(a.bps != b.bps for a, b in pairwise(states[20:]))
    assert changes <= len(states) / 20, "at most one change in twenty epochs"
    assert 1.0 <= states[-1].bps / (4 * M) <= 1.15


def test_a_fall_is_followed_slowly_and_once() -> None:
    before = held_after([4 * M] * 30)[-1]
    states = held_after([3 * M] * 80, before)
    assert all(state.bps == before.bps for state in states[:19])
    assert math.isclose(states[-1].bps, 3 * M * POLICY.margin)
    assert sum(a.bps != b.bps for a, b in pairwise(states)) <= 2


def test_what_is_hardly_used_is_given_up_at_once() -> None:
    before = held_after([4 * M] * 30)[-1]
    assert held_after([1 * M], before)[-1].bps == before.bps, "one quiet epoch is a pause between two sentences"
    assert math.isclose(held_after([1 * M] * 2, before)[-1].bps, 1 * M * POLICY.margin)


def test_what_a_pause_leaves_is_lent_while_the_demand_is_still_held() -> None:
    before = held_after([4 * M] * 30)[-1]
    paused = held_after([0.5 * M], before)[-1]
    assert paused.bps == before.bps
    assert math.isclose(paused.lendable(POLICY), 0.5 * M * POLICY.margin)
    again = held_after([4 * M], paused)[-1]
    assert again.lendable(POLICY) == again.bps == before.bps, "it speaks again, and nothing is lent any more"
    assert math.isinf(follow(HeldDemand(math.inf), Sample(1 * M, 10 * M), POLICY, elastic=True).lendable(POLICY))


def test_a_jump_is_one_for_one_epoch() -> None:
    states = held_after([2 * M, 4 * M, 4 * M], held_after([1 * M] * 30)[-1])
    assert [state.jumped for state in states] == [True, False, False]


def test_who_has_just_jumped_gets_twice_what_was_seen_before_the_rest_is_handed_out() -> None:
    stations = tuple(Source(f"s{n}", "adaptive", 1_000_000, ("trunk",)) for n in range(4))
    layout = Layout(stations, {"trunk": 20_000_000}, {"trunk": 4_000_000})
    wanted = [5 * M, 0.9 * M, 0.9 * M, 0.9 * M]
    calm, jumped = share(layout, wanted), share(layout, wanted, [True, False, False, False])
    assert math.isclose(calm.ceiling[0], 1.15 * 5 * M), "beyond four times its declaration hardly more is handed out"
    assert math.isclose(jumped.ceiling[0], 2 * 5 * M)
    assert np.allclose(jumped.ceiling[1:], 1 * M + 7 * M / 3), "and the rest still goes to the others"
    assert np.allclose(jumped.granted, calm.granted), "at nobody's cost"


def test_missing_and_nonsense_samples_change_nothing_until_the_demand_is_unknown() -> None:
    state = before = held_after([3 * M] * 10)[-1]
    for sample in (None, Sample(math.nan), Sample(-5.0), Sample(math.inf)):
        state = follow(state, sample, POLICY, elastic=False)
        assert state.bps == before.bps
    for _ in range(POLICY.patience):
        state = follow(state, None, POLICY, elastic=False)
    assert math.isnan(state.bps), "unknown, not zero"


def test_an_elastic_source_at_its_ceiling_wants_everything_until_it_is_content() -> None:
    full = follow(HeldDemand(), Sample(9.5 * M, ceiling_bps=10 * M), POLICY, elastic=True)
    assert math.isinf(full.bps)
    assert math.isinf(follow(full, Sample(8 * M, ceiling_bps=10 * M), POLICY, elastic=True).bps), "it is held"
    state = full
    for _ in range(POLICY.patience):
        state = follow(state, Sample(2 * M, ceiling_bps=10 * M), POLICY, elastic=True)
    assert math.isclose(state.bps, 2 * M * POLICY.margin)
    assert math.isinf(follow(state, Sample(1 * M, ceiling_bps=10 * M, dropped=True), POLICY, elastic=True).bps)


def test_a_session_on_the_hour_is_there_before_its_first_packet() -> None:
    quiet = held_after([0.0] * 30)[-1]
    ready = follow(quiet, Sample(0.0), POLICY, elastic=False, expected_bps=4 * M)
    assert ready.bps == 4 * M


def test_a_step_is_served_to_nine_tenths_within_three_epochs() -> None:
    """Ten stations, a trunk with 30 of 40 Mbit/s unreserved; one speaker goes from 1 to 6 Mbit/s, the rest stay."""
    stations = tuple(Source(f"s{n}", "adaptive", 1_000_000, ("trunk",)) for n in range(10))
    layout = Layout(stations, {"trunk": 40_000_000}, {"trunk": 10_000_000})
    demand = [held_after([0.9 * M] * 30)[-1]] * 10
    ceilings = share(layout, [state.bps for state in demand]).ceiling
    for _ in range(3):
        offered = [6 * M] + [0.9 * M] * 9
        demand = [
            follow(state, Sample(rate), POLICY, elastic=False) for state, rate in zip(demand, offered, strict=True)
        ]
        ceilings = share(layout, [state.bps for state in demand]).ceiling
    assert ceilings[0] >= 0.9 * 6 * M
    assert np.all(ceilings[1:] >= 0.9 * M)


def test_an_elastic_ceiling_rests_while_it_is_close_to_what_the_others_leave() -> None:
    bulk = Source("bulk", "elastic", 1_000_000, ("trunk",))
    layout = Layout((bulk, Source("s", "adaptive", 5_000_000, ("trunk",))), {"trunk": 20_000_000}, {"trunk": 6_000_000})
    ceiling = np.full(2, math.nan)
    seen = []
    for wanted in (4.0, 4.5, 3.9, 5.0, 3.0, 4.9):
        ceiling = settled(layout, share(layout, [math.inf, wanted * M]), ceiling)
        seen.append(round(ceiling[0] / M, 1))
    assert seen == [16.0, 16.0, 16.0, 16.0, 17.0, 15.1], "5% too little or 12% too much, and not before"


def test_steady_demand_moves_a_ceiling_at_most_once_in_twenty_epochs() -> None:
    """Nine sites talk and one wants all there is, each with the noise of video: everybody's room depends on all."""
    dice = random.Random(3)
    stations = tuple(Source(f"s{n}", "adaptive", 850_000, ("cable",)) for n in range(10))
    layout = Layout(stations, {"cable": 20_000_000}, {"cable": 15_000_000})
    held, ceiling = [HeldDemand()] * 10, np.full(10, math.nan)
    changes, epochs = np.zeros(10), 200
    for epoch in range(epochs):
        offered = [dice.gauss(0.85, 0.04) * M if n else 12 * M for n in range(10)]
        held = [follow(state, Sample(rate), POLICY, elastic=False) for state, rate in zip(held, offered, strict=True)]
        after = settled(layout, share(layout, [state.bps for state in held]), ceiling)
        if epoch >= 20:
            changes += after != ceiling
        ceiling = after
    assert 20 * changes.max() / (epochs - 20) <= 1
