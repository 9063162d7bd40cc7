"""No packet is later than its bound, whatever sources and servers do within their contracts.

The bounds are fluid, the packets are not: a server that stores and forwards whole packets of at most L is one of
latency T + L/R towards whole packets, and a line of rate C lets L more than C t through at once, which costs L/R more
for each line that ends at a server. The analysis is told so; nothing else is allowed for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from queue_simulation import (
    Choice,
    Queue,
    Source,
    by_class,
    by_rank,
    first_come,
    greedy,
    newest_flow,
    round_robin,
    simulate,
)

from carelane.topology.calculus import ClassFlow, Flow, Network, Server, SharedPort, class_delays, delay_bounds

LONGEST = 2
PACKETS = 60


@dataclass(frozen=True)
class Drawn:
    """A network by its flows (path, rate, burst) and its servers (latency, rate)."""

    flows: tuple[tuple[tuple[int, ...], int, int], ...]
    servers: tuple[tuple[int, Fraction], ...]
    seed: int

    def network(self, *, lines: bool = False) -> Network:
        """As the analysis has to see it."""
        coming = [
            len({path[path.index(s) - 1] for path, _, _ in self.flows if s in path[1:]})
            for s in range(len(self.servers))
        ]
        servers = [
            Server(f"s{n}", rate, latency + (1 + lines * coming[n]) * LONGEST / rate, rate if lines else None)
            for n, (latency, rate) in enumerate(self.servers)
        ]
        flows = [
            Flow(f"f{n}", tuple(f"s{s}" for s in path), Fraction(rate), Fraction(burst))
            for n, (path, rate, burst) in enumerate(self.flows)
        ]
        return Network.of(servers, flows)

    def worst(self, dice: Random, choose: Choice, *, lines: bool = False) -> dict[str, float]:
        """The longest delays of one run; with `lines` no server is faster than its rate."""
        sources = {}
        for n, (path, rate, burst) in enumerate(self.flows):
            start = dice.choice([0.0, 0.0, float(self.servers[path[0]][0]), dice.uniform(0, 20)])
            packets = greedy(dice, rate, burst, LONGEST, start, PACKETS)
            sources[f"f{n}"] = Source(tuple(f"s{s}" for s in path), packets)
        queues = {}
        for n, (latency, rate) in enumerate(self.servers):
            faster = 1.0 if lines else dice.choice([1.0, 1.0, 1.5, 20.0])
            idle = dice.choice([lambda latency=latency: latency, lambda latency=latency: dice.uniform(0, latency)])
            queues[f"s{n}"] = Queue(float(rate) * faster, idle)
        return simulate(sources, queues, choose)


@st.composite
def networks(draw: st.DrawFn, *, circles: bool = False) -> Drawn:
    """Up to five servers, whose flows go from lower to higher numbers unless circles are wanted."""
    count = draw(st.integers(2 if circles else 1, 5))
    numbers = st.lists(st.integers(0, count - 1), min_size=1, max_size=4, unique=True)
    paths = draw(st.lists(numbers if circles else numbers.map(sorted), min_size=1, max_size=6))
    flows = tuple((tuple(path), draw(st.integers(1, 4)), draw(st.integers(LONGEST, 15))) for path in paths)
    spare = [draw(st.fractions(Fraction(105, 100), 3, max_denominator=20)) for _ in range(count)]
    load = [max(1, sum(rate for path, rate, _ in flows if n in path)) for n in range(count)]
    servers = tuple((draw(st.integers(0, 6)), load[n] * spare[n]) for n in range(count))
    return Drawn(flows, servers, draw(st.integers(0, 2**32)))


def _orders(drawn: Drawn, dice: Random) -> list[list[str]]:
    """Every flow is the last of some order."""
    flows = [f"f{n}" for n in range(len(drawn.flows))]
    dice.shuffle(flows)
    return [flows[n:] + flows[:n] for n in range(min(3, len(flows)))]


@given(networks())
@settings(deadline=None, max_examples=60)
def test_in_order_of_arrival(drawn: Drawn) -> None:
    network, dice = drawn.network(), Random(drawn.seed)
    bounds = [
        delay_bounds(network, "tfa", "fifo").flows,
        delay_bounds(network, "tfa", "fifo", propagation="delay").flows,
        delay_bounds(network, "sfa", "fifo").flows,
        delay_bounds(network, "sfa", "fifo", propagation="delay").flows,
    ]
    for order in _orders(drawn, dice):
        for flow, taken in drawn.worst(dice, first_come(order)).items():
            for found in bounds:
                delay = found[flow].delay
                assert delay is not None
                assert taken <= float(delay) + 1e-9


@given(networks())
@settings(deadline=None, max_examples=60)
def test_in_whatever_order(drawn: Drawn) -> None:
    network, dice = drawn.network(), Random(drawn.seed)
    bounds = [
        delay_bounds(network, "tfa", "arbitrary").flows,
        delay_bounds(network, "tfa", "arbitrary", propagation="delay").flows,
        delay_bounds(network, "sfa", "arbitrary").flows,
        delay_bounds(network, "sfa", "arbitrary", propagation="delay").flows,
    ]
    for order in _orders(drawn, dice):
        for choose in (by_rank(order), newest_flow(order), first_come(order)):
            for flow, taken in drawn.worst(dice, choose).items():
                for found in bounds:
                    delay = found[flow].delay
                    assert delay is not None
                    assert taken <= float(delay) + 1e-9


@given(networks())
@settings(deadline=None, max_examples=60)
def test_behind_lines_that_shape(drawn: Drawn) -> None:
    network, dice = drawn.network(lines=True), Random(drawn.seed)
    fifo = [
        delay_bounds(network, "tfa", "fifo", line_shaping=True).flows,
        delay_bounds(network, "tfa", "fifo", line_shaping=True, propagation="service").flows,
        delay_bounds(network, "sfa", "fifo", line_shaping=True).flows,
        delay_bounds(network, "sfa", "fifo", line_shaping=True, propagation="delay").flows,
    ]
    anyhow = [
        delay_bounds(network, "tfa", "arbitrary", line_shaping=True).flows,
        delay_bounds(network, "tfa", "arbitrary", line_shaping=True, propagation="delay").flows,
        delay_bounds(network, "sfa", "arbitrary", line_shaping=True).flows,
    ]
    for order in _orders(drawn, dice):
        for choose, bounds in ((first_come(order), fifo), (by_rank(order), anyhow)):
            for flow, taken in drawn.worst(dice, choose, lines=True).items():
                for found in bounds:
                    delay = found[flow].delay
                    assert delay is not None
                    assert taken <= float(delay) + 1e-9


@given(networks(circles=True))
@settings(deadline=None, max_examples=60)
def test_where_servers_feed_each_other_in_circles(drawn: Drawn) -> None:
    """There may be no bound; where there is one, it holds."""
    dice = Random(drawn.seed)
    plain, shaped = drawn.network(), drawn.network(lines=True)
    fifo = delay_bounds(plain, "tfa", "fifo").flows
    separate = delay_bounds(plain, "sfa", "fifo", propagation="delay").flows
    anyhow = delay_bounds(plain, "tfa", "arbitrary").flows
    lined = delay_bounds(shaped, "tfa", "fifo", line_shaping=True).flows
    for order in _orders(drawn, dice):
        runs = (
            (fifo, drawn.worst(dice, first_come(order))),
            (separate, drawn.worst(dice, first_come(order))),
            (anyhow, drawn.worst(dice, newest_flow(order))),
            (lined, drawn.worst(dice, first_come(order), lines=True)),
        )
        for bounds, worst in runs:
            for flow, taken in worst.items():
                delay = bounds[flow].delay
                assert delay is None or taken <= float(delay) + 1e-9


@given(networks(circles=True), st.lists(st.integers(0, 2), min_size=6, max_size=6))
@settings(deadline=None, max_examples=60)
def test_in_queues_that_classes_share(drawn: Drawn, classes: list[int]) -> None:
    """Ports without rest, strict priority between classes, order of arrival within; `class_delays` knows packets."""
    ports = [SharedPort(f"s{n}", rate, Fraction(LONGEST)) for n, (_, rate) in enumerate(drawn.servers)]
    flows = [
        ClassFlow(f"f{n}", classes[n], tuple(f"s{s}" for s in path), Fraction(rate), Fraction(burst))
        for n, (path, rate, burst) in enumerate(drawn.flows)
    ]
    bounds, dice = class_delays(ports, flows), Random(drawn.seed)
    restless = replace(drawn, servers=tuple((0, rate) for _, rate in drawn.servers))
    of = {flow.id: flow.priority for flow in flows}
    for order in _orders(drawn, dice):
        for flow, taken in restless.worst(dice, by_class(of, order), lines=True).items():
            delay = bounds[flow]
            assert delay is None or taken <= float(delay) + 1e-9


@given(networks(), st.lists(st.integers(0, 2), min_size=6, max_size=6), st.booleans())
@settings(deadline=None, max_examples=60)
def test_behind_schedulers(drawn: Drawn, classes: list[int], robin: bool) -> None:
    """Servers with a queue for each class, by strict priority or deficit round robin; in order of arrival within."""
    plain, names, dice = drawn.network(), ("high", "middle", "low"), Random(drawn.seed)
    of = {f"f{n}": names[classes[n]] for n in range(len(drawn.flows))}
    quanta = {name: Fraction(dice.choice([3, 4, 10])) for name in names}
    network = Network.of(
        [replace(s, quanta=quanta) if robin else replace(s, priorities=names) for s in plain.servers.values()],
        [replace(f, traffic_class=of[f.id], packet=Fraction(LONGEST)) for f in plain.flows.values()],
    )
    bounds = [
        delay_bounds(network, "tfa", "fifo").flows,
        delay_bounds(network, "tfa", "fifo", propagation="delay").flows,
        delay_bounds(network, "sfa", "fifo").flows,
        delay_bounds(network, "tfa", "arbitrary").flows,
    ]
    for order in _orders(drawn, dice):
        ranked = by_class({flow: names.index(name) for flow, name in of.items()}, order)
        choose = round_robin({name: float(size) for name, size in quanta.items()}, of, order) if robin else ranked
        for flow, taken in drawn.worst(dice, choose).items():
            for found in bounds:
                delay = found[flow].delay
                assert delay is None or taken <= float(delay) + 1e-9


def test_the_simulation_reaches_the_bound_of_one_server() -> None:
    """Three sources burst at once into a server that rests for its latency: the oracle is not a soft one."""
    drawn = Drawn((((0,), 1, 10),) * 3, ((5, Fraction(4)),), 0)
    bound = delay_bounds(drawn.network(), "tfa", "fifo").flows["f2"].delay
    sources = {f"f{n}": Source(("s0",), greedy(Random(1), 1, 10, LONGEST, 0.0, PACKETS)) for n in range(3)}
    worst = simulate(sources, {"s0": Queue(4.0, lambda: 5.0)}, first_come(["f0", "f1", "f2"]))
    assert bound is not None
    assert worst["f2"] == pytest.approx(float(bound), abs=2 * LONGEST / 4)


def test_lowest_priority_comes_near_the_arbitrary_bound() -> None:
    """Two sources always go first: the third waits until both buckets and their refills are served."""
    drawn = Drawn((((0,), 1, 12),) * 3, ((3, Fraction(4)),), 0)
    bound = delay_bounds(drawn.network(), "sfa", "arbitrary").flows["f2"].delay
    sources = {
        f"f{n}": Source(("s0",), [(k * 0.01 if k < 6 else 2.0 * (k - 5), 2.0) for k in range(40)]) for n in (0, 1)
    }
    sources["f2"] = Source(("s0",), [(0.0, 2.0)] * 6)
    worst = simulate(sources, {"s0": Queue(4.0, lambda: 3.0)}, by_rank(["f0", "f1", "f2"]))
    assert bound is not None
    assert 0.7 * float(bound) <= worst["f2"] <= float(bound)
