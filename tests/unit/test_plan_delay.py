"""Delay bounds: figures worked out by hand, and queues simulated packet by packet."""

from __future__ import annotations

from fractions import Fraction
from heapq import heappop, heappush
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carelane.topology.delay import (
    FRAME_BYTES,
    PS,
    CyclicDependency,
    Flow,
    Port,
    SharedQueues,
    cost_ps,
    rate_for_bps,
    round_trip_rates_bps,
    seconds,
    transmission_ps,
)

MBPS = 10**6


def test_one_flow_pays_its_burst_once() -> None:
    """b = 3000 B, L = 1500 B, R = 12 Mbit/s, three ports: 2 ms + 3 ms + three latencies."""
    ports = {("n", str(k)): Port(12 * MBPS, 1000) for k in range(3)}
    flow = Flow(0, tuple(ports), ("f",) * 3, 3000, 12 * MBPS)
    assert SharedQueues([flow]).delays_ps(ports, 1500) == [5 * 10**9 + 3000]


def test_two_flows_share_a_queue_and_their_bursts_add() -> None:
    """At the shared port: both bursts, the first grown by rate x delay of its own port before."""
    ports = {("a", "x"): Port(10 * MBPS, 0), ("b", "y"): Port(20 * MBPS, 0)}
    flows = [
        Flow(0, (("a", "x"), ("b", "y")), (0, 0), 1250, 10 * MBPS),
        Flow(1, (("b", "y"),), (1,), 1250, 10 * MBPS),
    ]
    first = Fraction(2 * 10_000, 10 * MBPS)  # burst and one packet of 1250 bytes
    shared = Fraction(10_000 + 10 * MBPS * first + 10_000 + 10_000, 20 * MBPS)
    delays = SharedQueues(flows).delays_ps(ports, 1250)
    assert delays == [(first + shared) * PS, shared * PS]


def test_a_circle_of_queues_has_no_bound() -> None:
    ports = {("a", "x"): Port(MBPS, 0), ("b", "y"): Port(MBPS, 0)}
    flows = [Flow(0, (("a", "x"), ("b", "y")), (0, 0), 100, 1), Flow(1, (("b", "y"), ("a", "x")), (1, 1), 100, 1)]
    with pytest.raises(CyclicDependency):
        SharedQueues(flows).delays_ps(ports, 100)


def test_alternatives_of_one_pair_do_not_add_up() -> None:
    """Primary and backup meet at the delivery port only, and never carry the traffic together."""
    ports = {(name, name): Port(10 * MBPS, 0) for name in "abc"}
    flows = [Flow(0, ((x, x), ("c", "c")), (0, 0), 1250, MBPS) for x in "ab"]
    assert SharedQueues(flows).delays_ps(ports, 1250) == [3 * 10**9] * 2


def test_parts_of_a_flow_that_merge_again_are_burstier() -> None:
    ports = {(name, name): Port(10 * MBPS, 0) for name in "abc"}
    apart = [Flow(k, ((x, x), ("c", "c")), (0, 0), 1250, MBPS) for k, x in enumerate("ab")]
    assert all(delay > 3 * 10**9 for delay in SharedQueues(apart).delays_ps(ports, 1250))


@given(st.integers(1, 10**6), st.integers(1, 10**10))
def test_the_smallest_rate_is_the_smallest(size: int, budget: int) -> None:
    rate = rate_for_bps(size, budget)
    assert rate is not None
    assert transmission_ps(size, rate) <= budget
    assert rate == 1 or transmission_ps(size, rate - 1) > budget


@given(
    st.integers(1000, 10**6),
    st.integers(1000, 10**6),
    st.integers(10**6, 10**11),
    st.integers(1, 10**8),
    st.integers(1, 10**8),
)
def test_round_trip_rates_keep_the_budget_whenever_that_is_possible(
    a: int, b: int, budget: int, x: int, y: int
) -> None:
    low, high = (x, y), (20 * x, 20 * y)
    found = round_trip_rates_bps((a, b), budget, low, high)
    if transmission_ps(a, high[0]) + transmission_ps(b, high[1]) > budget:
        assert found is None
        return
    assert found is not None
    assert transmission_ps(a, found[0]) + transmission_ps(b, found[1]) <= budget
    assert all(least <= rate <= most for least, rate, most in zip(low, found, high, strict=True))


def test_round_trip_rates_are_cheap() -> None:
    """Equal sizes share equally; nothing is reserved beyond what is asked when that is enough."""
    assert round_trip_rates_bps((1000, 1000), 16 * 10**9, (1, 1), (10**9, 10**9)) == (MBPS, MBPS)
    assert round_trip_rates_bps((1000, 1000), 16 * 10**9, (2 * MBPS, 3 * MBPS), (10**9, 10**9)) == (2 * MBPS, 3 * MBPS)


def test_stated_delays_are_exact() -> None:
    assert cost_ps(0.0185) == 18_500_000_000
    assert cost_ps(1860e3 * 5e-9) == 9_300_000_000
    assert seconds(18_500_000_001) == 0.018500000001


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=5),
    st.integers(1, 5),
)
@settings(max_examples=60, deadline=None)
def test_no_simulated_packet_is_later_than_its_bound(sites: list[tuple[int, int]], slack: int) -> None:
    """Sites join a chain of four ports; each sends its burst at once, then packets at its rate, all in step."""
    packet, chain = 1250, [("c", str(k)) for k in range(4)]
    flows = [
        Flow(site, tuple(chain[start:]), (site,) * (4 - start), burst * packet, MBPS)
        for site, (start, burst) in enumerate(sites)
    ]
    floors = {port: max(1, sum(port in flow.ports for flow in flows)) * MBPS for port in chain}
    ports = {port: Port(floor, slack * 10**6) for port, floor in floors.items()}
    bounds = SharedQueues(flows).delays_ps(ports, packet)
    worst = simulate(flows, ports, packet, horizon=40)
    assert all(late <= bound for late, bound in zip(worst, bounds, strict=True))


def simulate(flows: list[Flow], ports: dict[tuple[str, str], Port], packet: int, horizon: int) -> list[int]:
    """Worst delay of each flow through first-come-first-served ports that are late by their latency now and then."""
    order = count()
    events: list[tuple[int, int, int, int, int]] = []
    for number, flow in enumerate(flows):
        every = transmission_ps(packet, flow.rate_bps)
        for k in range(horizon):
            sent = max(0, k - flow.burst_bytes // packet + 1) * every
            heappush(events, (sent, next(order), number, 0, sent))
    free = dict.fromkeys(ports, 0)
    worst = [0] * len(flows)
    while events:
        now, _, number, place, sent = heappop(events)
        if place == len(flows[number].ports):
            worst[number] = max(worst[number], now - sent)
            continue
        port = flows[number].ports[place]
        start = now + ports[port].latency_ps if free[port] <= now else free[port]
        free[port] = start + transmission_ps(packet, ports[port].floor_bps)
        heappush(events, (free[port], next(order), number, place + 1, sent))
    return worst


def test_the_longest_frame_counts_the_label() -> None:
    assert FRAME_BYTES == 1518 + 4
