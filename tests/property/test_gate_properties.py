"""Under `portWaits: counted` and `classQueues: counted` every promise holds by that model, in whatever order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from carelane.controller.pipeline import plan, resolve
from carelane.controller.pipeline.class_queues import shared_bounds
from carelane.controller.pipeline.port_waits import waited_bounds
from carelane.controller.pipeline.replan import replan
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.slice_plan import Decision
from carelane.intents import ServiceIntent, StatedObjectives
from carelane.policies.admission import AdmissionPolicy
from carelane.topology import CapacityLedger, Topology, parse_topology
from carelane.topology.failure import Failure

NODES = 5
COUNTED = (
    (AdmissionPolicy("waits", port_waits=True), waited_bounds),
    (AdmissionPolicy("classes", class_queues=True), shared_bounds),
)
SERVICES = ("remote-surgery", "remote-surgery-video", "remote-consultation", "genome-transfer")


def ring() -> Topology:
    """Five nodes in a ring with a chord, 100 Mbit/s, four endpoints at each."""
    links = [(k, (k + 1) % NODES) for k in range(NODES)] + [(0, 2)]
    text = "apiVersion: carelane/v1\nkind: Topology\nmetadata: {name: ring}\nspec:\n  nodes:\n"
    text += "".join(f"    - {{id: n{k}, availability: 0.9999}}\n" for k in range(NODES)) + "  links:\n"
    text += "".join(
        f"    - {{id: l{a}{b}, a: n{a}, b: n{b}, capacity: 100Mbps, delay: 1ms, availability: 0.999}}\n"
        for a, b in links
    )
    text += "  endpoints:\n" + "".join(
        f"    - {{id: n{k}/{site}, node: n{k}, capacity: 1Gbps}}\n" for k in range(NODES) for site in range(4)
    )
    return parse_topology(text)


RING = ring()


@st.composite
def requirements(draw: st.DrawFn) -> list[Requirement]:
    wanted = []
    for number in range(draw(st.integers(2, 9))):
        a, b = draw(st.lists(st.integers(0, NODES - 1), min_size=2, max_size=2, unique=True))
        site = draw(st.integers(0, 3))
        objectives: dict[str, Any] = {"jitter_s": "none", "loss": "none", "availability": "none"}
        objectives["delay_s"] = draw(st.sampled_from(["none", 0.01, 0.02, 0.05, 0.1]))
        objectives |= {"forward_bps": draw(st.sampled_from([2, 5, 20, 40])) * 10**6, "reverse_bps": 10**6}
        intent = ServiceIntent(
            f"i{number}", "t", draw(st.sampled_from(SERVICES)), (f"n{a}/{site}",), (f"n{b}/{site}",),
            objectives=StatedObjectives(**objectives),
        )  # fmt: skip
        burst = draw(st.sampled_from([1500, 6000, 30_000, 120_000]))
        intent = replace(intent, burst_bytes=burst, protection="required" if draw(st.booleans()) else "none")
        wanted.append(resolve(intent, RING))
    return wanted


@given(requirements(), st.sampled_from(["together", "batch", "one by one"]), st.sampled_from(COUNTED))
@settings(max_examples=60, deadline=None)
def test_every_promise_holds_by_the_model_that_policy_counts(wanted, how, counted) -> None:  # type: ignore[no-untyped-def]
    policy, bounds = counted
    admitted: list[Decision] = []
    if how == "one by one":
        ledger, held = CapacityLedger(), dict[str, Requirement]()
        for requirement in wanted:
            result = plan(RING, [requirement], ledger, policy=policy, held=held, promised=admitted)
            ledger = result.ledger
            if result.decisions[0].admitted:
                admitted.append(result.decisions[0])
                held[requirement.name] = requirement
    else:
        result = plan(RING, wanted, policy=policy, optimize=how == "batch")
        ledger = result.ledger
        admitted = [decision for decision in result.decisions if decision.admitted]
        assert result.totals.admitted_bps <= result.totals.upper_bound_bps
    assert ledger.names == {decision.name for decision in admitted}
    assert [row for row in bounds(RING, admitted) if not row.keeps] == []


@given(requirements(), st.sampled_from(sorted(RING.links)), st.sampled_from(COUNTED))
@settings(max_examples=30, deadline=None)
def test_no_repair_breaks_a_promise_by_the_model_that_policy_counts(wanted, link, counted) -> None:  # type: ignore[no-untyped-def]
    policy, bounds = counted
    planned = plan(RING, wanted, policy=policy)
    held = [decision for decision in planned.decisions if decision.admitted]
    after = replan(RING, held, planned.ledger, Failure(links=frozenset({link})), policy=policy)
    carried = [fate.now for fate in after.fates if fate.now.admitted]
    assert [row for row in bounds(after.topology, carried) if not row.keeps] == []
