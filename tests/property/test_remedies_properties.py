"""Remedies on small random networks: doing one admits the slice, a little less does not, and none is overlooked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_networks import MBPS, networks, requirement

from carelane.controller.pipeline import plan
from carelane.controller.pipeline.remedies import SHOWN, STEP_BPS, Budget, remedies_for
from carelane.controller.pipeline.requirement import Objectives, Requirement
from carelane.controller.pipeline.slice_plan import Remedy
from carelane.topology.ledger import CapacityLedger
from carelane.topology.model import Topology

Known = Mapping[str, Requirement]


def admits(topology: Topology, wanted: Requirement, ledger: CapacityLedger) -> bool:
    return plan(topology, [wanted], ledger).decisions[0].admitted


def widened(topology: Topology, wanted: Requirement, remedy: Remedy, bps: int) -> tuple[Topology, Requirement]:
    if remedy.kind == "upgrade-link":
        links = {**topology.links, remedy.name: replace(topology.links[remedy.name], capacity_bps=bps)}
        return replace(topology, links=MappingProxyType(links)), wanted
    ends = {**topology.endpoints, remedy.name: replace(topology.endpoints[remedy.name], capacity_bps=bps)}
    pairs = tuple(replace(p, source=ends[p.source.id], destination=ends[p.destination.id]) for p in wanted.pairs)
    return replace(topology, endpoints=MappingProxyType(ends)), replace(wanted, pairs=pairs)


@settings(max_examples=60, deadline=None)
@given(
    networks(),
    st.lists(st.tuples(st.sampled_from([5, 20, 60]), st.integers(1, 3)), max_size=6),
    st.sampled_from([30, 90, 300]),
    st.sampled_from([None, 0.004, 0.02]),
    st.sampled_from(["auto", "required"]),
)
def test_a_remedy_cures_and_less_does_not(topology, held, rate, delay_s, protection) -> None:  # type: ignore[no-untyped-def]
    slices = [
        replace(requirement(topology, mbps * MBPS, Objectives(), "none"), name=f"held-{n}", priority=priority)
        for n, (mbps, priority) in enumerate(held)
    ]
    before = plan(topology, slices)
    known = {item.name: item.requirement for item in before.decisions if item.admitted}
    wanted = requirement(topology, rate * MBPS, Objectives(delay_s=delay_s), protection)
    ledger = before.ledger
    assume(not admits(topology, wanted, ledger))
    budget = Budget()
    found = remedies_for(topology, wanted, ledger, known, budget)
    upgrades = [remedy for remedy in found if remedy.kind != "remove-intent"]
    for remedy in upgrades:
        assert admits(*widened(topology, wanted, remedy, remedy.to_bps), ledger)
        if remedy.to_bps - STEP_BPS > remedy.from_bps:
            assert not admits(*widened(topology, wanted, remedy, remedy.to_bps - STEP_BPS), ledger)
    cures = [name for name in known if admits(topology, wanted, ledger.without_slice(name))]
    order = sorted(cures, key=lambda name: (known[name].priority, known[name].forward_bps, name))
    assert [remedy.name for remedy in found if remedy.kind == "remove-intent"] == order[:1]
    if budget.short:
        assert len(upgrades) == SHOWN
        return
    boundless = [
        name
        for name in topology.links
        if admits(*widened(topology, wanted, Remedy("upgrade-link", name), 10**15), ledger)
    ]
    assert sorted(remedy.name for remedy in upgrades if remedy.kind == "upgrade-link") == sorted(boundless)
