"""Files whose servers have a queue for each class: figures by hand, and what cannot be analysed, by name."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import pytest

from carelane.errors import InputError
from carelane.topology.calculus import delay_bounds, parse_network

HEAD = "apiVersion: carelane/v1\nkind: CalculusNetwork\nspec:\n"
PRIORITIES = f"""{HEAD}  servers:
    - {{id: s0, rate: 20, latency: 1, priorities: [voice, video, data]}}
    - {{id: s1, rate: 10, latency: 0, priorities: [voice, video, data]}}
  flows:
    - {{id: v, class: voice, path: [s0, s1], rate: 4, burst: 8, packet: 2}}
    - {{id: d, class: data, path: [s0, s1], rate: 1, burst: 6, packet: 3}}
"""
ROBIN = f"""{HEAD}  servers:
    - {{id: s0, rate: 1000, latency: 0, quanta: {{a: 12800, b: 12800, c: 12800}}}}
  flows:
    - {{id: f0, class: a, path: [s0], rate: 300, burst: 12000, packet: 11992}}
    - {{id: f1, class: b, path: [s0], rate: 300, burst: 12000, packet: 11992}}
    - {{id: f2, class: c, path: [s0], rate: 300, burst: 12000, packet: 11992}}
"""


def delays(
    text: str, analysis: Literal["tfa", "sfa"] = "tfa", order: Literal["fifo", "arbitrary"] = "fifo"
) -> dict[str, Fraction | None]:
    return {flow: bound.delay for flow, bound in delay_bounds(parse_network(text), analysis, order).flows.items()}


def test_strict_priority_by_hand() -> None:
    """Voice: [20 (t-1) - 3]+, then [10 t - 3]+ with the burst grown by 4 x 23/20. Data: what voice leaves."""
    found = delays(PRIORITIES)
    first = 1 + Fraction(3 + 8, 20)
    assert found["v"] == first + (3 + 8 + 4 * (1 + Fraction(3, 20))) / 10
    at_s0 = Fraction(20 + 8, 16)  # [20 (t-1) - 8 - 4 t]+ is a rate 16 after that time
    at_s1 = (8 + 4 * (1 + Fraction(3, 20))) / 6
    assert found["d"] == (at_s0 + Fraction(6, 16)) + (at_s1 + (6 + at_s0) / 6)


def test_separate_analysis_pays_the_burst_once() -> None:
    assert (delays(PRIORITIES, "sfa")["d"] or 0) < (delays(PRIORITIES)["d"] or 0)


def test_arbitrary_order_counts_the_own_packet_too() -> None:
    """Of voice the packet in the way may be its own; data has no lower class, and waits for its own 3."""
    low = PRIORITIES.replace("packet: 3", "packet: 0")
    assert (delays(low, order="arbitrary")["v"] or 0) > (delays(low)["v"] or 0)
    alone = "\n".join(row for row in PRIORITIES.splitlines() if "id: d" not in row) + "\n"
    more = Fraction(2, 20) + (2 + 4 * Fraction(2, 20)) / 10
    assert (delays(alone, order="arbitrary")["v"] or 0) - (delays(alone)["v"] or 0) == more


def test_three_equal_quanta() -> None:
    """333 Mbit/s after 73.6 us: bits and microseconds, packets of 1500 bytes less one (calculus.md of the project)."""
    for found in delays(ROBIN).values():
        assert found is not None
        assert float(found) == pytest.approx(73.56 + 12_000 * 3 / 1000, abs=0.05)


def test_a_full_class_takes_the_bound_of_lower_ones_and_of_what_they_meet() -> None:
    """At s0 nothing is left for data; at s1 other data then has no bound either, and voice keeps its own."""
    text = PRIORITIES.replace("rate: 4", "rate: 20") + "    - {id: x, class: data, path: [s1], rate: 1, burst: 1}\n"
    text = text.replace("path: [s0, s1], rate: 20", "path: [s0], rate: 20")
    bounds = delay_bounds(parse_network(text), "tfa", "fifo").flows
    assert bounds["v"].delay is not None
    assert (bounds["d"].delay, bounds["d"].reason) == (None, "higher classes leave nothing at server s0")
    assert (bounds["x"].delay, bounds["x"].reason) == (None, "what arrives has no bound at server s1")


def test_overload_within_a_class_names_its_queue() -> None:
    bounds = delay_bounds(parse_network(ROBIN.replace("rate: 300", "rate: 400", 1)), "tfa", "fifo").flows
    assert bounds["f0"].reason == "server s0 a is overloaded: its flows bring 400, it serves 333.3333333"
    assert bounds["f1"].delay is not None


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        ("class: data, ", "", "flow d is of no class, for which server s0 has no queue"),
        ("class: data", "class: bulk", "flow d is of class bulk, for which server s0 has no queue"),
        ("[voice, video, data]}\n    - {id: s1", "[data, voice]}\n    - {id: s1", "come in different orders"),
        ("latency: 0, priorities: [voice, video, data]", "latency: 0", "classes voice, data meet at server s1"),
        ("[voice, video, data]", "[voice, voice, data]", "server s0 lists a class twice"),
        ("[voice, video, data]}", "[voice], quanta: {data: 9}}", "server s0 has priorities and quanta"),
        ("[voice, video, data]", "voice", "priorities"),
        ("packet: 3", "packet: -3", "-3 is negative"),
    ],
)
def test_what_cannot_be_analysed_is_refused_by_name(wrong: str, right: str, message: str) -> None:
    assert wrong in PRIORITIES
    with pytest.raises(InputError, match=message):
        delays(PRIORITIES.replace(wrong, right, 1))


@pytest.mark.parametrize(
    ("quantum", "message"), [("11992", "not above the packets of f0"), ("0", "0 is not more than")]
)
def test_quanta_that_serve_no_packet_are_refused(quantum: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        delays(ROBIN.replace("a: 12800", f"a: {quantum}"))
