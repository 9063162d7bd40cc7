"""Real queues wait for each other: no packet is later than ports of linux-htb allow, whatever the others bring."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import pytest
from htb_simulation import Line, through_htb
from hypothesis import given, settings
from hypothesis import strategies as st
from queue_simulation import greedy

from carelane.topology.calculus import FloorQueue, htb_waits_ps
from carelane.topology.delay import PS

FRAME = 12_000
LINE_BPS = 100_000_000
PACKETS = 80
Arrivals = list[tuple[float, float]]


@st.composite
def ports(draw: st.DrawFn) -> tuple[FloorQueue, ...]:
    """Queues whose floors fit the port; the first is the one that is watched. Half of the ports are full to the bit."""
    count = draw(st.integers(2, 6))
    shares = [draw(st.integers(1, 30)) for _ in range(count)]
    filled = draw(st.sampled_from([1.0, 1.0, 0.9, 0.6]))
    return tuple(
        FloorQueue(
            draw(st.integers(0, 3)),
            int(LINE_BPS * filled * share / sum(shares)),
            FRAME * draw(st.sampled_from([1, 2, 2, 5, 40, 200, 1000])),
        )
        for share in shares
    )


def _others(dice: Random, queue: FloorQueue, begin: float, until: float) -> Arrivals:
    """A flood from the start or from when the watched packets come, or bursts with pauses that bring tokens back."""
    kind = dice.choice(["flood", "flood", "bursts", "own rate"])
    if kind == "own rate":
        return greedy(dice, queue.floor_bps, queue.burst_bits, FRAME, begin, PACKETS)
    start = dice.choice([0.0, begin, dice.uniform(0.0, 2 * begin)])
    many = int((until - start) * LINE_BPS / FRAME) + 1
    if kind == "flood":
        return [(start, FRAME)] * many
    pause, size = dice.uniform(0.0, 0.01), dice.randint(1, 30)
    return [(start + k // size * pause, FRAME) for k in range(many)]


@given(st.lists(ports(), min_size=1, max_size=3), st.integers(1, 20), st.integers(0, 2**32))
@settings(deadline=None, max_examples=80)
def test_no_packet_waits_longer(chain: list[tuple[FloorQueue, ...]], burst: int, seed: int) -> None:
    """A flow with a floor at each of one to three ports, its bucket as large as `burst` frames."""
    waits = [htb_waits_ps(LINE_BPS, queues, FRAME)[0] for queues in chain]
    dice, rate = Random(seed), min(queues[0].floor_bps for queues in chain)
    begin = dice.choice([0.0, 0.01])
    packets = released = greedy(dice, rate, burst * FRAME, FRAME, begin, PACKETS)
    for queues in chain:
        until = packets[-1][0] + PACKETS * FRAME / rate
        watched = Line(queues[0].priority, queues[0].floor_bps, queues[0].burst_bits, packets, rank=dice.choice([0, 9]))
        others = [
            Line(each.priority, each.floor_bps, each.burst_bits, _others(dice, each, begin, min(until, 0.4)), rank=n)
            for n, each in enumerate(queues[1:], 1)
        ]
        left = through_htb(LINE_BPS, [watched, *others])[0]
        packets = [(time, size) for time, (_, size) in zip(left, packets, strict=True)]
    if None in waits:
        return
    allowed = Fraction((burst + len(chain)) * FRAME, rate) + Fraction(sum(wait or 0 for wait in waits), PS)
    late = max(end - start for (end, _), (start, _) in zip(packets, released, strict=True))
    assert late <= float(allowed) + 1e-9


def test_the_simulation_comes_near_the_bound_and_beyond_what_a_queue_alone_would_wait() -> None:
    """A lone packet behind a full bucket that goes first: the bursts of higher priorities are not to be left out."""
    higher = FloorQueue(0, 60_000_000, 100 * FRAME)
    watched = FloorQueue(1, 20_000_000, 60 * FRAME)
    wait = htb_waits_ps(LINE_BPS, [watched, higher], FRAME)[0]
    assert wait is not None
    lines = [Line(1, 2e7, watched.burst_bits, [(1e-6, FRAME)]), Line(0, 6e7, higher.burst_bits, [(0.0, FRAME)] * 2000)]
    late = through_htb(LINE_BPS, lines)[0][0] - 1e-6
    alone = FRAME / 2e7 + FRAME / LINE_BPS
    assert 0.9 * wait / PS < late <= wait / PS + FRAME / 2e7
    assert late > 10 * alone


def test_tokens_lost_while_waiting_cost_the_floor() -> None:
    """An allowance too small for the wait gets no bound, and indeed gets less than its floor."""
    bursty, greedy_one = FloorQueue(0, 40_000_000, 20 * FRAME), FloorQueue(0, 1_000_000, FRAME)
    waves = [(0.05 * k, FRAME) for k in range(6) for _ in range(100)]
    served = []
    for frames in (1, 60):
        queue = FloorQueue(1, 50_000_000, frames * FRAME)
        bound = htb_waits_ps(LINE_BPS, [queue, bursty, greedy_one], FRAME)[0]
        assert (bound is None) == (frames == 1)
        lines = [
            Line(1, 5e7, queue.burst_bits, [(0.0, FRAME)] * 1500),
            Line(0, 4e7, bursty.burst_bits, waves, rank=1),
            Line(0, 1e6, greedy_one.burst_bits, [(0.0, FRAME)] * 3000, rank=2),  # borrows all that nobody owns
        ]
        served.append(sum(time <= 0.3 for time in through_htb(LINE_BPS, lines)[0]) * FRAME / 0.3)
    assert served[0] < 0.97 * 5e7
    assert served[1] >= 0.99 * 5e7


@pytest.mark.parametrize(("own", "other"), [(60_000_000, 50_000_000), (0, 100_000_000)])
def test_floors_that_leave_nothing_have_no_bound(own: int, other: int) -> None:
    queues = [FloorQueue(1, own, 10**9), FloorQueue(1, other, 10**5)]
    assert htb_waits_ps(LINE_BPS, queues, FRAME)[0] is None


def test_of_floors_beyond_the_line_those_who_share_a_backup_lose() -> None:
    """Two failures at once wake more than fits: the last priority leaves a working queue all of its own."""
    floors = [60_000_000, 40_000_000, 40_000_000]
    until = 300 * FRAME / floors[0]

    def sent_bps(count: int) -> list[float]:
        flood = [(0.0, FRAME)] * 400
        lines = [Line(7 if n else 1, floors[n], 2 * FRAME, flood, rank=9 * (not n)) for n in range(count)]
        return [sum(at <= until for at in times) * FRAME / until for times in through_htb(LINE_BPS, lines)]

    assert sent_bps(2) == pytest.approx(floors[:2], rel=0.02)
    working, *woken = sent_bps(3)
    assert working == pytest.approx(floors[0], rel=0.02)
    assert sum(woken) == pytest.approx(LINE_BPS - floors[0], rel=0.02)
