"""Promises beside the queues they share ports with: the plan's figure where nobody goes first, else by hand."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any, Literal

import pytest

from carelane.controller.pipeline import plan, resolve
from carelane.controller.pipeline.compile import compile_program
from carelane.controller.pipeline.identifiers import labels_needed
from carelane.controller.pipeline.port_waits import waited_bounds, waited_out_by
from carelane.controller.pipeline.program import FIRST_LABEL, PortQos, SliceIds
from carelane.controller.pipeline.slice_plan import Decision
from carelane.intents import ServiceIntent, StatedObjectives
from carelane.policies.admission.manifest import parse_policy
from carelane.topology import Topology, parse_topology
from carelane.topology.delay import FRAME_BYTES

FRAME = Fraction(8 * FRAME_BYTES)
LINE = """
apiVersion: carelane/v1
kind: Topology
metadata: {name: line}
spec:
  nodes: [{id: a, availability: 1}, {id: b, availability: 1}]
  links: [{id: l1, a: a, b: b, capacity: 100Mbps, delay: 1ms, availability: 0.999}]
  endpoints:
    - {id: a/1, node: a, address: 10.0.0.1/32, capacity: 1Gbps}
    - {id: a/2, node: a, address: 10.0.0.3/32, capacity: 1Gbps}
    - {id: b/1, node: b, address: 10.0.0.2/32, capacity: 1Gbps}
    - {id: b/2, node: b, address: 10.0.0.4/32, capacity: 1Gbps}
"""
SURGERY, VIDEO = "remote-surgery", "remote-surgery-video"


@pytest.fixture(scope="module")
def line() -> Topology:
    return parse_topology(LINE)


def ask(
    name: str, service: str, ends: int = 1, rate: int = 10**7, burst: int = 1500, **objectives: Any
) -> ServiceIntent:
    figures: dict[str, Any] = {"delay_s": "none", "jitter_s": "none", "loss": "none", "availability": "none"}
    figures |= {"forward_bps": rate, "reverse_bps": 0} | objectives
    intent = ServiceIntent(
        name, "t", service, (f"a/{ends}",), (f"b/{ends}",), objectives=StatedObjectives(**figures), direction="forward"
    )
    return replace(intent, burst_bytes=burst, protection="none")


def admit(topology: Topology, *intents: ServiceIntent) -> tuple[Decision, ...]:
    decisions = plan(topology, [resolve(intent, topology) for intent in intents]).decisions
    assert all(decision.admitted for decision in decisions)
    return decisions


def at_link(topology: Topology, decisions: tuple[Decision, ...]) -> PortQos:
    """The queues that compile puts at port l1 of switch a."""
    slices = [
        (decision, SliceIds(number, FIRST_LABEL + 8 * number, labels_needed(decision)))
        for number, decision in enumerate(decisions, 1)
    ]
    (found,) = [qos for qos in compile_program(topology, slices)["a"].ports if qos.port == topology.links["l1"].a_port]
    return found


def test_alone_at_its_ports_a_slice_gets_what_the_plan_says(line: Topology) -> None:
    decisions = admit(line, ask("x", VIDEO, burst=64_000))
    (row,) = waited_bounds(line, decisions)
    assert row.delay_s is not None
    assert float(row.delay_s) == pytest.approx(decisions[0].paths[0].delay_bound_s or 0, abs=1e-12)


SQUARE = """
apiVersion: carelane/v1
kind: Topology
metadata: {name: square}
spec:
  nodes: [{id: a}, {id: b}, {id: c}, {id: d}]
  links:
    - {id: ab, a: a, b: b, capacity: 100Mbps, delay: 1ms}
    - {id: bc, a: b, b: c, capacity: 100Mbps, delay: 1ms}
    - {id: cd, a: c, b: d, capacity: 100Mbps, delay: 1ms}
    - {id: da, a: d, b: a, capacity: 100Mbps, delay: 1ms}
    - {id: ac, a: a, b: c, capacity: 100Mbps, delay: 1ms}
  endpoints:
    - {id: a/1, node: a, capacity: 1Gbps}
    - {id: b/1, node: b, capacity: 1Gbps}
    - {id: c/1, node: c, capacity: 1Gbps}
    - {id: d/1, node: d, capacity: 1Gbps}
"""


@pytest.mark.parametrize("protection", ["none", "required"])
def test_alone_a_tree_and_its_backups_get_what_the_plan_says(protection: Literal["none", "required"]) -> None:
    """Of the two directions of a path the plan states the worse."""
    square = parse_topology(SQUARE)
    figures = StatedObjectives(0.15, "none", "none", "none", forward_bps=2_000_000, reverse_bps=2_000_000)
    asked = ServiceIntent("lesson", "t", "remote-teaching", ("a/1",), ("b/1", "c/1", "d/1"), objectives=figures)
    (decision,) = admit(square, replace(asked, protection=protection))
    rows = waited_bounds(square, [decision])
    assert len(rows) == 2 * len(decision.paths)
    for path in decision.paths:
        both = [row.delay_s for row in rows if row.role == path.role and path.to in (row.source, row.to)]
        worst = max(float(delay) for delay in both if delay is not None)
        assert len(both) == 2
        assert worst == pytest.approx(path.delay_bound_s or 0, abs=1e-11)


def test_the_higher_class_does_not_wait_and_the_lower_waits_for_its_bucket(line: Topology) -> None:
    """At the link the video waits for what surgery may send at once, one overdraft and the frame that has begun."""
    decisions = admit(line, ask("low", VIDEO, 1, burst=64_000), ask("high", SURGERY, 2, burst=9_000))
    low, high = waited_bounds(line, decisions)
    first = next(queue for queue in at_link(line, decisions).queues if queue.slice == "high")
    wait = (first.burst_bits + 2 * FRAME) / (10**8 - first.min_rate_bps)
    own = Fraction(8 * 64_000 + 2 * 12_000, decisions[0].paths[0].reserved_bps)
    assert high.delay_s is not None
    assert float(high.delay_s) == pytest.approx(decisions[1].paths[0].delay_bound_s or 0, abs=1e-12)
    assert low.delay_s is not None
    assert float(low.delay_s) == pytest.approx(float(own + wait + FRAME / 10**9) + 1e-3, abs=1e-11)


def test_who_was_fine_and_is_broken_by_what_comes_is_named(line: Topology) -> None:
    asked = ask("low", VIDEO, 1, burst=64_000, delay_s=0.06)
    (held,) = admit(line, asked)
    both = admit(line, asked, ask("high", SURGERY, 2, burst=400_000))
    assert [row.keeps for row in waited_bounds(line, [held])] == [True]
    assert [row.name for row in waited_out_by(line, [held], both[1:])] == ["low"]
    harmless = admit(line, asked, ask("later", "genome-transfer", 2, burst=400_000))
    assert waited_out_by(line, [held], harmless[1:]) == ()


def test_a_wait_that_costs_tokens_has_no_bound(line: Topology) -> None:
    """A bucket of one packet cannot keep what is earned behind a megabyte: a broken promise, if there is one."""
    decisions = admit(line, ask("low", VIDEO, 1, delay_s=0.5), ask("high", SURGERY, 2, burst=1_000_000))
    low, _ = waited_bounds(line, decisions)
    assert (low.delay_s, low.keeps) == (None, False)


def test_a_plan_without_addresses_is_bounded_too(line: Topology) -> None:
    bare = parse_topology(LINE.replace(" address: 10.0.0.1/32,", "").replace(" address: 10.0.0.4/32,", ""))
    wanted = (ask("low", VIDEO, 1, burst=64_000), ask("high", SURGERY, 2, burst=9_000))
    rows = [waited_bounds(network, admit(network, *wanted)) for network in (line, bare)]
    assert rows[0] == rows[1]


COUNTED = "apiVersion: carelane/v1\nkind: Policy\nmetadata: {name: p}\nspec: {portWaits: counted}\n"


@pytest.mark.parametrize("optimize", [False, True])
def test_policy_refuses_what_would_break_a_promise_by_going_first(line: Topology, optimize: bool) -> None:
    """The later surgery fits, and its bucket would break the video's delay; a smaller bucket does not."""
    rules = parse_policy(COUNTED, line)
    held = replace(ask("low", VIDEO, 1, burst=64_000, delay_s=0.06), priority=9)
    wanted = [held, replace(ask("high", SURGERY, 2, burst=400_000), priority=1)]
    asked = [resolve(intent, line) for intent in wanted]
    assert [item.admitted for item in plan(line, asked, optimize=optimize).decisions] == [True, True]
    result = plan(line, asked, policy=rules, optimize=optimize)
    assert [item.admitted for item in result.decisions] == [True, False]
    assert result.ledger.names == {"low"}
    assert result.totals.admitted_bps == 10**7
    (reason,) = result.decisions[1].reasons
    assert reason.constraint == "policy"
    assert "would break the delay of low" in reason.detail
    assert not result.decisions[1].proven
    small = plan(line, [asked[0], resolve(ask("high", SURGERY, 2, burst=9_000), line)], policy=rules, optimize=optimize)
    assert [item.admitted for item in small.decisions] == [True, True]
    assert all(row.keeps for row in waited_bounds(line, small.decisions))


def test_policy_refuses_a_promise_that_others_would_break(line: Topology) -> None:
    """In the other order it is the video that is refused, also beside slices of an earlier run."""
    rules = parse_policy(COUNTED, line)
    first, second = (
        resolve(intent, line)
        for intent in (ask("high", SURGERY, 2, burst=400_000), ask("low", VIDEO, 1, burst=64_000, delay_s=0.06))
    )
    both = plan(line, [first, second], policy=rules).decisions
    assert [item.admitted for item in both] == [True, False]
    assert "with what queues at its ports may send first" in both[1].reasons[0].detail
    earlier = plan(line, [first], policy=rules)
    later = plan(line, [second], earlier.ledger, policy=rules, held={"high": first}, promised=earlier.decisions)
    assert [item.admitted for item in later.decisions] == [False]
    assert later.ledger.names == {"high"}
