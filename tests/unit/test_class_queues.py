"""Promises as if slices shared a queue for each class: figures by hand, and who breaks when one more comes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from carelane.controller.pipeline import plan, resolve
from carelane.controller.pipeline.class_queues import broken_by, shared_bounds
from carelane.controller.pipeline.slice_plan import Decision
from carelane.intents import ServiceIntent, StatedObjectives
from carelane.topology import Topology, parse_topology
from carelane.topology.calculus import ClassFlow, SharedPort, class_delays
from carelane.topology.delay import FRAME_BYTES

FRAME = Fraction(8 * FRAME_BYTES)
LINE = """
apiVersion: carelane/v1
kind: Topology
metadata: {name: line}
spec:
  nodes: [{id: a, availability: 1}, {id: b, availability: 1}]
  links:
    - {id: l1, a: a, b: b, capacity: 100Mbps, delay: 1ms, availability: 0.999}
    - {id: l2, a: a, b: b, capacity: 100Mbps, delay: 2ms, availability: 0.999}
  endpoints:
    - {id: a/1, node: a, address: 10.0.0.1/32, capacity: 1Gbps}
    - {id: b/1, node: b, address: 10.0.0.2/32, capacity: 1Gbps}
"""


@pytest.fixture(scope="module")
def line() -> Topology:
    """One way only, so that slices meet."""
    return parse_topology("".join(row for row in LINE.splitlines(keepends=True) if "id: l2" not in row))


def admit(topology: Topology, *intents: ServiceIntent) -> tuple[Decision, ...]:
    decisions = plan(topology, [resolve(intent, topology) for intent in intents]).decisions
    assert all(decision.admitted for decision in decisions)
    return decisions


def ask(name: str, service: str = "remote-surgery", rate: int = 10**7, **changes: Any) -> ServiceIntent:
    """One way from a/1 to b/1, one packet of burst, nothing asked but the rate and what `changes` names."""
    figures: dict[str, Any] = {"delay_s": "none", "jitter_s": "none", "loss": "none", "availability": "none"}
    figures |= {"forward_bps": rate, "reverse_bps": 0} | changes.pop("objectives", {})
    intent = ServiceIntent(name, "t", service, ("a/1",), ("b/1",), objectives=StatedObjectives(**figures))
    return replace(intent, **{"burst_bytes": 1500, "protection": "none", "direction": "forward"} | changes)


def test_two_slices_of_a_class_wait_for_each_other(line: Topology) -> None:
    """Port one: two frames and both bursts at 100 Mbit/s; port two: two frames and the one that comes at once."""
    rows = shared_bounds(line, admit(line, ask("x"), ask("y")))
    at_link = (2 * FRAME + 2 * 12_000) / 10**8
    at_delivery = (2 * FRAME + FRAME) / 10**9
    assert [row.name for row in rows] == ["x", "y"]
    for row in rows:
        assert row.jitter_s == at_link + at_delivery
        assert row.delay_s == Fraction(1, 1000) + at_link + at_delivery
        assert row.keeps


def test_a_lower_class_does_not_delay_a_higher_one(line: Topology) -> None:
    (alone,) = shared_bounds(line, admit(line, ask("x")))
    beside, low = shared_bounds(
        line, admit(line, ask("x"), ask("bulk", "genome-transfer", 5 * 10**7, burst_bytes=9000))
    )
    assert beside.jitter_s == alone.jitter_s
    assert low.jitter_s is not None
    assert alone.jitter_s is not None
    assert low.jitter_s > alone.jitter_s


def test_primary_and_backup_count_once_where_they_meet(line: Topology) -> None:
    """600 Mbit/s on links of 1 Gbit/s: both ways end at the same delivery port, which carries one of them."""
    wide = parse_topology(LINE.replace("100Mbps", "1Gbps"))
    rows = shared_bounds(wide, admit(wide, ask("x", rate=6 * 10**8, protection="required")))
    assert [row.role for row in rows] == ["primary", "backup"]
    assert all(row.delay_s is not None for row in rows)
    both = class_delays(
        [SharedPort("p", Fraction(10**9), FRAME)],
        [ClassFlow(name, 0, ("p",), Fraction(6 * 10**8), Fraction(12_000)) for name in "xy"],
    )
    assert both == {"x": None, "y": None}


def test_who_breaks_when_one_more_comes(line: Topology) -> None:
    tight = ask("tight", objectives={"delay_s": 0.0016})
    loose = ask("loose", objectives={"delay_s": 0.1})
    bursty = ask("bursty", burst_bytes=6000)
    decisions = admit(line, tight, loose, bursty)
    assert all(row.keeps for row in shared_bounds(line, decisions[:2]))
    broken = broken_by(line, decisions[:2], decisions[2:])
    assert [(row.name, row.keeps) for row in broken] == [("tight", False)]
    assert broken[0].delay_s is not None
    assert broken[0].delay_s > Fraction("0.0016")
    assert broken_by(line, decisions[:2], admit(line, ask("bulk", "genome-transfer", 10**6))) == ()


def test_a_class_above_that_fills_the_port_leaves_no_bound_below() -> None:
    port = SharedPort("p", Fraction(100), Fraction(1))
    high = ClassFlow("high", 0, ("p",), Fraction(100), Fraction(10))
    low = ClassFlow("low", 1, ("p",), Fraction(1), Fraction(1))
    assert class_delays([port], [low, high]) == {"low": None, "high": Fraction(12, 100)}


def test_copies_count_once_on_their_common_way() -> None:
    """Two leaves of one multicast stream over p, then apart: p carries it once."""
    ports = [SharedPort(name, Fraction(100), Fraction(1)) for name in "pqr"]
    copies = [
        ClassFlow(f"to {leaf}", 0, ("p", leaf), Fraction(60), Fraction(10), stream="s", leaf=leaf) for leaf in "qr"
    ]
    at_p = Fraction(12, 100)
    at_leaf = Fraction(2 + 1, 100)
    assert class_delays(ports, copies) == {"to q": at_p + at_leaf, "to r": at_p + at_leaf}
