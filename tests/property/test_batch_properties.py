"""Batches on small random networks: never less than deciding one after the other, never more than the bound."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import MBPS, networks, requirement
from written_networks import ask, network

from carelane.controller.pipeline import plan
from carelane.controller.pipeline.requirement import Objectives

ASKED = st.tuples(
    st.sampled_from([5, 20, 40, 90]),
    st.sampled_from([None, 0.005, 0.02]),
    st.sampled_from([None, 0.9, 0.99]),
    st.sampled_from(["auto", "required"]),
)


@given(networks(), st.lists(ASKED, min_size=2, max_size=10))
@settings(max_examples=40, deadline=None)
def test_a_batch_never_admits_less_than_one_after_the_other(topology, asked) -> None:  # type: ignore[no-untyped-def]
    wanted = [
        replace(
            requirement(topology, rate * MBPS, Objectives(delay_s=delay, availability=goal), protection), name=f"i{n}"
        )
        for n, (rate, delay, goal, protection) in enumerate(asked)
    ]
    batch, simple = plan(topology, wanted, optimize=True).totals, plan(topology, wanted).totals
    assert simple.admitted_bps <= batch.admitted_bps <= min(batch.upper_bound_bps, simple.upper_bound_bps)


def test_a_batch_is_never_worse_than_deciding_one_after_the_other() -> None:
    topology = network("""a0: s m 100Mbps 2ms
                          b0: m t 500Mbps 1ms
                          a1: s n 100Mbps 1ms
                          b1: n t 100Mbps 1ms""")
    asked = [ask(topology, f"i{rate}", rate=rate, delay_s=0.02) for rate in (40, 90, 20)]
    assert all(decision.admitted for decision in plan(topology, asked).decisions)
    assert all(decision.admitted for decision in plan(topology, asked, optimize=True).decisions)
