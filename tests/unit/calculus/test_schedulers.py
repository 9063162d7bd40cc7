"""Service curves of strict priority and deficit round robin, against published figures and by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest

from carelane.errors import InputError
from carelane.topology.calculus import deficit_round_robin, rate_latency, strict_priority, token_bucket

GIGABIT = Fraction(10**9)
FRAME = Fraction(1522 * 8)


def test_three_equal_quanta_of_deficit_round_robin() -> None:
    """1600 B quanta, 1500 B packets less one byte, 1 Gbit/s: 333 Mbit/s and 73.6 us (calculus.md of the project)."""
    service = deficit_round_robin(GIGABIT, [Fraction(1600 * 8)] * 3, [Fraction(1499 * 8)] * 3, 0)
    assert service.rate == GIGABIT / 3
    assert float(service.latency * 10**6) == pytest.approx(73.6, abs=0.05)


def test_a_quantum_below_a_packet_is_refused() -> None:
    with pytest.raises(InputError, match="does not let a packet pass"):
        deficit_round_robin(GIGABIT, [Fraction(800), Fraction(800)], [Fraction(800), Fraction(10)], 1)


def test_the_highest_class_waits_for_one_frame_of_a_lower_one() -> None:
    assert strict_priority(GIGABIT, None, FRAME) == rate_latency(GIGABIT, FRAME / GIGABIT)


def test_a_lower_class_has_what_higher_ones_leave() -> None:
    """[C t - (b + r t) - L]+ is a rate C - r after (b + L) / (C - r)."""
    higher = token_bucket(GIGABIT / 4, Fraction(30_000))
    left = strict_priority(GIGABIT, higher, FRAME)
    assert left == rate_latency(GIGABIT * 3 / 4, (30_000 + FRAME) / (GIGABIT * 3 / 4))


def test_a_strict_curve_counts_the_classes_own_longest_packet() -> None:
    strict = strict_priority(GIGABIT, None, Fraction(0), longest_own=FRAME)
    assert strict == rate_latency(GIGABIT, FRAME / GIGABIT)


def test_nothing_is_left_behind_a_class_that_takes_the_port() -> None:
    assert strict_priority(GIGABIT, token_bucket(GIGABIT, Fraction(1)), FRAME) is None
