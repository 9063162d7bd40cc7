"""Networks that have no bound somewhere, go in circles, or are larger than the textbook's."""

from __future__ import annotations

from fractions import Fraction

import pytest

from carelane.errors import InputError
from carelane.topology.calculus import Analysis, Flow, Multiplexing, Network, Server, delay_bounds
from carelane.topology.calculus._left_over import LeftOver


def network(paths: dict[str, str], rate: str = "2", peaks: str = "") -> Network:
    """Servers of rate 10 and latency 1, one a letter, those in `peaks` with a line of 10; flows of burst 1 by name."""
    names = sorted({server for path in paths.values() for server in path})
    return Network.of(
        [Server(name, Fraction(10), Fraction(1), Fraction(10) if name in peaks else None) for name in names],
        [Flow(name, tuple(path), Fraction(rate), Fraction(1)) for name, path in paths.items()],
    )


def ring(rate: str) -> Network:
    """Four servers in a circle, each flow crosses three of them: each server carries three."""
    return network({"w": "abc", "x": "bcd", "y": "cda", "z": "dab"}, rate)


@pytest.mark.parametrize("analysis", ["tfa", "sfa"])
@pytest.mark.parametrize("multiplexing", ["fifo", "arbitrary"])
def test_an_overloaded_server_takes_the_bound_of_its_flows_and_of_those_behind_it(
    analysis: Analysis, multiplexing: Multiplexing
) -> None:
    """b is overloaded; v meets flows from it at c; u never does."""
    crowd = network({"x": "ab", "y": "bc", "z": "b", "v": "c", "u": "a"}, "4")
    bounds = delay_bounds(crowd, analysis, multiplexing).flows
    assert bounds["u"].delay is not None
    assert bounds["u"].reason is None
    for flow in "xyzv":
        assert bounds[flow].delay is None
        assert bounds[flow].reason == "server b is overloaded: its flows bring 12, it serves 10"


def test_a_full_server_has_a_bound_in_order_of_arrival_and_none_in_arbitrary_order() -> None:
    full = network({"x": "a", "y": "a"}, "5")
    assert delay_bounds(full, "tfa", "fifo").flows["x"].delay == 1 + Fraction(2, 10)
    without = delay_bounds(full, "tfa", "arbitrary").flows["x"]
    assert (without.delay, without.reason) == (None, "server a is full: its flows bring 10, it serves 10")


def test_line_shaping_keeps_bounds_behind_an_overloaded_server_with_a_slow_line() -> None:
    """b is overloaded but sends 11 at most, which c, 20 fast, can bear."""
    servers = [
        Server("b", Fraction(10), Fraction(1), Fraction(11)),
        Server("c", Fraction(20), Fraction(1)),
    ]
    flows = [
        Flow("x", ("b", "c"), Fraction(6), Fraction(1)),
        Flow("y", ("b",), Fraction(6), Fraction(1)),
        Flow("v", ("c",), Fraction(2), Fraction(1)),
    ]
    bounds = delay_bounds(Network.of(servers, flows), "tfa", "fifo", line_shaping=True).flows
    assert bounds["v"].delay == 1 + Fraction(1, 20)
    assert bounds["x"].delay is None


def test_a_circle_has_the_fixed_point_that_algebra_gives() -> None:
    """D = T + (3 b + r (0 + D + 2 D)) / R for each server, so D = 1.3 / (1 - 0.3 r)."""
    for rate in ("1", "2", "2.5", "3.2"):
        expected = Fraction("1.3") / (1 - Fraction("0.3") * Fraction(rate))
        delay = delay_bounds(ring(rate), "tfa", "fifo").flows["w"].delay
        assert delay is not None
        assert expected * 3 <= delay <= expected * 3 * (1 + Fraction(1, 10**9))


def test_a_circle_whose_bursts_feed_themselves_has_no_bound_and_line_shaping_gives_one() -> None:
    """Plain, D = T + (5 b + 10 r D) / R has no solution from r = 1 on; with lines D = T + (b + r t) / R, where the four
    that come together leave their line at t = (4 b + 10 r D) / (R - 4 r)."""
    long_way = {"v": "abcde", "w": "bcdea", "x": "cdeab", "y": "deabc", "z": "eabcd"}
    plain = delay_bounds(network(long_way, "1.2"), "tfa", "fifo").flows
    assert all(bound.delay is None for bound in plain.values())
    assert plain["v"].reason == "bursts grow without end in the circle through a, b, c, d, e"
    shaped = delay_bounds(network(long_way, "1.2", "abcde"), "tfa", "fifo", line_shaping=True)
    slope = Fraction("1.2") / (10 - Fraction("4.8")) / 10
    exact = (1 + Fraction(1, 10) + 4 * slope) / (1 - 12 * slope)
    for bound in shaped.flows.values():
        assert bound.delay is not None
        assert 5 * exact <= bound.delay <= 5 * exact * (1 + Fraction(1, 10**9))


def test_an_overloaded_server_in_a_circle_leaves_no_bound_there() -> None:
    crowd = network({"w": "ab", "x": "ba", "y": "a", "u": "c"}, "4")
    bounds = delay_bounds(crowd, "tfa", "fifo").flows
    assert bounds["u"].delay == Fraction(11, 10)
    assert {name for name, bound in bounds.items() if bound.delay is None} == {"w", "x", "y"}
    assert bounds["x"].reason == "server a is overloaded: its flows bring 12, it serves 10"


def test_what_needs_feed_forward_refuses_a_circle_by_its_servers() -> None:
    with pytest.raises(InputError, match=r"in a circle: (a, b|b, a)"):
        delay_bounds(network({"w": "ab", "x": "ba"}), "sfa", "fifo")
    with pytest.raises(InputError, match="circle"):
        delay_bounds(network({"w": "ab", "x": "ba"}), "tfa", "fifo", propagation="service")


def test_a_circle_of_servers_without_a_circle_of_flows_is_feed_forward() -> None:
    separate = network({"w": "ab", "x": "bc", "y": "cd"})
    assert separate.circle is None
    assert all(bound.delay is not None for bound in delay_bounds(separate, "sfa", "arbitrary").flows.values())


def test_paths_longer_than_the_interpreters_stack() -> None:
    servers = [Server(f"s{n}", Fraction(10), Fraction(1)) for n in range(1500)]
    flows = [Flow("long", tuple(server.id for server in servers), Fraction(1), Fraction(5))]
    chain = Network.of(servers, flows)
    assert delay_bounds(chain, "sfa", "fifo").flows["long"].delay == 1500 + Fraction(1, 2)
    total = delay_bounds(chain, "tfa", "fifo").flows["long"].delay
    assert total == sum(1 + Fraction(5 + n, 10) for n in range(1500))


@pytest.mark.parametrize("analysis", ["tfa", "sfa"])
def test_entangled_flows_are_bounded_by_delay_instead(monkeypatch: pytest.MonkeyPatch, analysis: Analysis) -> None:
    entangled = network({"u": "abcdef", "v": "bcde", "w": "cdef", "x": "abc", "y": "def"}, "1")
    exact = delay_bounds(entangled, analysis, "fifo").flows
    monkeypatch.setattr("carelane.topology.calculus._left_over.MAX_SETS", 20)
    with pytest.raises(InputError, match="meet and part"):
        delay_bounds(entangled, analysis, "fifo", propagation="service")
    bounds = delay_bounds(entangled, analysis, "fifo")
    assert bounds.propagation == "delay"
    for flow, bound in bounds.flows.items():
        least = exact[flow].delay
        assert bound.delay is not None
        assert least is not None
        assert least < bound.delay < 2 * least


def test_separate_flow_analysis_by_delay_bounds_circles_too() -> None:
    """Each server delays by 1 + (1 + 1 + 2 D) / 10 = 1.5; x is burstier by 3 at a, and new at b."""
    circle = network({"w": "ab", "x": "ba"})
    found = delay_bounds(circle, "sfa", "fifo", propagation="delay").flows["w"].delay
    assert found is not None
    assert float(found) == pytest.approx((1 + 0.4) + (1 + 0.1) + 1 / 8, rel=1e-9)


def test_a_flow_is_left_out_of_its_own_cross_traffic_only_while_they_walk_together() -> None:
    """x leaves the path of the flow of interest at a and comes back at c: there it is bounded with the flow counted."""
    detour = network({"f": "abc", "x": "adc"}, "2")
    analysis = LeftOver(detour, fifo=True, shaping=False)
    f, x = analysis.bit["f"], analysis.bit["x"]
    apart = analysis.arrival("c", x, f)
    assert apart is not None
    assert apart.burst == 1 + 2 * (1 + Fraction(1, 10)) + 2 * 1
    together = LeftOver(network({"f": "abc", "x": "abc"}, "2"), fifo=True, shaping=False)
    alone = together.arrival("c", together.bit["x"], together.bit["f"])
    assert alone is not None
    assert alone.burst == 1 + 2 * 2
