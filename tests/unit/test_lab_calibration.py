"""The latency that is fitted to a measured HTB queue, on arrivals whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from carelane.lab.scenarios.htb_calibration import CARE, DATA, fitted_latency_s

RATE, BITS = 4_000_000, 11_312
GAP_NS = BITS * 10**9 // RATE


def fitted(received_ns: np.ndarray, late_s: np.ndarray | None = None) -> float:
    count = len(received_ns)
    late = np.zeros(count) if late_s is None else late_s
    return fitted_latency_s(received_ns.astype(np.int64), np.full(count, BITS), RATE, late)


def test_service_at_the_rate_has_no_latency_and_a_pause_is_one() -> None:
    steady = np.arange(1000) * GAP_NS
    assert fitted(steady) == pytest.approx(0, abs=1e-6)
    paused = steady + np.where(np.arange(1000) >= 500, 7_000_000, 0)
    assert fitted(paused) == pytest.approx(0.007, abs=1e-6)
    ahead = np.arange(1000) * GAP_NS // 2
    assert fitted(ahead) == pytest.approx(0, abs=1e-6), "faster is never late"


def test_what_was_served_ahead_is_no_excuse_for_falling_behind() -> None:
    fast = np.arange(500) * GAP_NS // 2
    slow = fast[-1] + 9_000_000 + np.arange(500) * GAP_NS
    assert fitted(np.concatenate((fast, slow))) == pytest.approx(0.009 - BITS / RATE, abs=1e-6)


def test_a_rate_below_the_floor_shows_as_a_latency_that_grows() -> None:
    assert fitted(np.arange(2000) * GAP_NS * 101 // 100) == pytest.approx(0.01 * 1999 * BITS / RATE, rel=0.01)


def test_the_labs_own_pause_is_taken_off_once() -> None:
    steady = np.arange(1000) * GAP_NS
    pause = np.where(np.arange(1000) >= 500, 0.007, 0.0)
    assert fitted(steady + (pause * 1e9), pause) == pytest.approx(0, abs=1e-6)


def test_the_model_is_that_of_the_delay_bounds() -> None:
    from carelane.topology.delay import cost_ps, port_latency_ps, seconds, transmission_ps

    for queue in (CARE, DATA):
        own = transmission_ps(queue.packet_bytes, queue.floor_bps) + port_latency_ps(20_000_000)
        assert queue.latency_s == pytest.approx(seconds(own))
        assert cost_ps(queue.delay_s) >= own
