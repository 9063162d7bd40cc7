"""Time of switching over, and the component that limits a service."""

from __future__ import annotations

from fractions import Fraction

import pytest

from carelane.controller.pipeline import plan, resolve
from carelane.controller.pipeline.slice_plan import Decision
from carelane.intents import parse_line
from carelane.topology import Topology, parse_topology
from carelane.topology.availability import (
    exact_availability,
    limiting_component,
    switching_unavailability,
    unprovided_switching,
)
from carelane.topology.paths import Route

HOUR_S = 3600


def square(top: str, bottom: str, end: str = "availability: 0.99999") -> Topology:
    """s - a - t and s - b - t, each link of a branch with the given figures."""
    links = [("l1", "s", "a", top), ("l2", "a", "t", top), ("l3", "s", "b", bottom), ("l4", "b", "t", bottom)]
    rows = "\n".join(
        f"    - {{id: {name}, a: {a}, b: {b}, capacity: 1Gbps, delay: {1 if 'a' in (a, b) else 2}ms, {figures}}}"
        for name, a, b, figures in links
    )
    return parse_topology(f"""
apiVersion: carelane/v1
kind: Topology
metadata: {{name: square}}
spec:
  nodes:
    - {{id: s, {end}}}
    - {{id: t, {end}}}
    - {{id: a, availability: 1}}
    - {{id: b, availability: 1}}
  links:
{rows}
  endpoints:
    - {{id: s/1, node: s, capacity: 1Gbps}}
    - {{id: t/1, node: t, capacity: 1Gbps}}
""")


TOP, BOTTOM = Route(("s", "a", "t"), ("l1", "l2")), Route(("s", "b", "t"), ("l3", "l4"))
OFTEN, SELDOM = "mtbf: 999h, mttr: 1h", "mtbf: 9999h, mttr: 1h"


def decide(topology: Topology, availability: str) -> Decision:
    line = f"remote surgery: 50 ms, {availability}, 10 Mbps, jitter none, loss none"
    intent = parse_line(line, source=("s/1",), to=("t/1",), name="x")
    return plan(topology, [resolve(intent, topology)]).decisions[0]


def test_every_failure_of_the_path_in_use_costs_a_switch_over() -> None:
    """Two links that fail once in 999 hours each; the end nodes, which state an availability only, never switch."""
    topology = square(OFTEN, SELDOM)
    lost = switching_unavailability(topology, [TOP, BOTTOM])
    assert lost == Fraction(2, 999 * HOUR_S) * Fraction(3, 10)
    assert switching_unavailability(topology, [BOTTOM, TOP]) == lost  # whichever is in use, the worse one counts
    assert switching_unavailability(topology, [TOP]) == 0


def test_what_all_paths_need_is_down_and_not_switched() -> None:
    topology = square(SELDOM, SELDOM, end=OFTEN)
    assert switching_unavailability(topology, [TOP, BOTTOM]) == Fraction(2, 9999 * HOUR_S) * Fraction(3, 10)


def test_without_mtbf_nothing_is_counted_and_that_is_said() -> None:
    topology = square("availability: 0.999", SELDOM)
    assert unprovided_switching(topology, [TOP, BOTTOM]) == (
        ("link", "l1"), ("link", "l2"), ("node", "a"), ("node", "b"),
    )  # fmt: skip
    decision = decide(square("availability: 0.999", "availability: 0.999"), "99.99%")
    assert len(decision.paths) == 2
    assert any("switch-over time not counted" in said for said in decision.assumptions)


def test_a_promise_counts_the_time_of_switching_over() -> None:
    topology = square(OFTEN, OFTEN)
    decision = decide(topology, "99.99%")
    static = exact_availability(topology, [TOP, BOTTOM])
    reached = static - switching_unavailability(topology, [TOP, BOTTOM])
    assert decision.availability is not None
    assert 0 <= reached - Fraction(repr(decision.availability)) < Fraction(1, 10**11)
    assert any("300 ms of switch-over counted" in said for said in decision.assumptions)
    between = f"{float(100 * (reached + static) / 2):.10f}%"  # what the paths reach, but for switching
    assert not decide(topology, between).admitted


@pytest.mark.parametrize(
    ("top", "bottom", "end", "limit", "unavailable"),
    [
        # the branches fail 1.99% and 0.02% of the time, a link about half of that
        ("0.99", "0.9999", "1", ("link", "l3"), Fraction(199, 10**4) * Fraction(1, 10**4)),
        ("0.99", "0.9", "1", ("link", "l1"), Fraction(1, 100) * Fraction(19, 100)),
        ("0.99", "0.9999", "0.999", ("node", "s"), None),
    ],
)
def test_the_component_that_limits_most(
    top: str, bottom: str, end: str, limit: tuple[str, str], unavailable: Fraction | None
) -> None:
    topology = square(*(f"availability: {value}" for value in (top, bottom, end)))
    found = limiting_component(topology, [TOP, BOTTOM])
    assert found is not None
    assert found[0] == limit
    if unavailable is None:
        assert found[1] == exact_availability(topology, [TOP, BOTTOM]) / Fraction(999, 1000)
    else:
        assert 1 - found[1] == unavailable


def test_nothing_limits_what_never_fails() -> None:
    assert limiting_component(square("availability: 1", "availability: 1", end="availability: 1"), [TOP]) is None


def test_a_refusal_names_what_limits() -> None:
    decision = decide(square("availability: 0.99", "availability: 0.9", end="availability: 0.99999"), "99.99%")
    assert not decision.admitted
    assert decision.reasons[0].constraint == "availability"
    assert "link l1 limits the best set most" in decision.reasons[0].detail
