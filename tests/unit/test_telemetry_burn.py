"""Error budgets: what is good, bad and not measured, and how fast the budget goes."""

from __future__ import annotations

import pytest

from carelane.controller.telemetry.burn import Budget

HOUR_S = 3600.0


def spent(parts: list[tuple[float, bool | None]]) -> tuple[Budget, float]:
    """A budget after so many seconds of good (False), bad (True) and unmeasured (None) time, and the moment."""
    budget, at_s = Budget(), 1e6
    for seconds, bad in parts:
        for _ in range(round(seconds / 10)):
            at_s += 10.0
            if bad is not None:
                budget.add(at_s, 10.0, bad=bad)
    return budget, at_s


def test_short_windows_tell_that_it_happens_and_long_ones_that_it_matters() -> None:
    budget, at_s = spent([(6 * HOUR_S, False), (120.0, True)])
    rates = budget.burn_rates(at_s, 0.999)
    assert rates.keys() == {"5m", "30m", "1h", "6h"}
    assert rates["5m"] == pytest.approx(120 / 300 / 0.001, rel=0.11), "the window in force, give or take a bucket"
    assert rates["1h"] == pytest.approx(120 / 3600 / 0.001, rel=0.02)
    assert rates["6h"] == pytest.approx(120 / 21600 / 0.001, rel=0.02)
    assert rates["5m"] > 14.4 < rates["1h"], "both of the first pair: somebody is called"
    assert rates["30m"] > 6 > rates["6h"], "two minutes of six hours are not yet worth a ticket"


def test_the_short_window_ends_soon_after_the_trouble_and_the_long_one_remembers() -> None:
    budget, at_s = spent([(HOUR_S, False), (600.0, True), (400.0, False)])
    rates = budget.burn_rates(at_s, 0.99)
    assert rates["5m"] == 0.0
    assert rates["1h"] == pytest.approx(600 / 3600 / 0.01, rel=0.02)
    budget, at_s = spent([(600.0, True), (7 * HOUR_S, False)])
    assert budget.burn_rates(at_s, 0.99)["6h"] == 0.0, "more than six hours ago is over"


def test_time_that_nobody_measured_is_neither_good_nor_bad() -> None:
    assert Budget().burn_rates(1e6, 0.99) == {}
    budget, at_s = spent([(300.0, True), (2000.0, None)])
    rates = budget.burn_rates(at_s, 0.9)
    assert rates.keys() == {"1h", "6h"}, "nothing is known of the last half hour"
    assert rates["1h"] == pytest.approx(10.0), "all that was measured was bad"
