"""Pre-emption and quotas on small random networks: never over-booked, nobody goes without need or against policy."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import MBPS, networks, requirement

from carelane.controller.pipeline import plan
from carelane.controller.pipeline.requirement import Objectives, Requirement
from carelane.policies.admission import AdmissionPolicy, Preemption, Quota, bounded
from carelane.topology import CapacityLedger
from carelane.topology.model import Topology

SERVICES = ["remote-surgery", "remote-teaching", "imaging-transfer"]
asked = st.lists(
    st.tuples(st.sampled_from([10, 30, 60]), st.integers(0, 3), st.sampled_from(SERVICES), st.sampled_from("ab")),
    min_size=2,
    max_size=8,
)
services = st.frozensets(st.sampled_from(SERVICES), max_size=2)
policies = st.builds(
    AdmissionPolicy,
    name=st.just("p"),
    max_reservable=st.sampled_from([Fraction(1), Fraction(4, 5), Fraction(1, 3)]),
    quotas=st.sampled_from([{}, {"a": Quota(90 * MBPS)}, {"*": Quota(slices=2)}, {"a": Quota(60 * MBPS, 3)}]),
    preemption=st.one_of(st.none(), st.builds(Preemption, by=services, of=services, minimum_gap=st.integers(1, 2))),
)


def requirements(topology: Topology, rows: list[tuple[int, int, str, str]]) -> list[Requirement]:
    plain = requirement(topology, 1, Objectives(), "auto")
    return [
        replace(plain, name=f"r{k}", tenant=tenant, service=service, priority=priority, forward_bps=rate * MBPS,
                reverse_bps=rate * MBPS)
        for k, (rate, priority, service, tenant) in enumerate(rows)
    ]  # fmt: skip


def check_room(topology: Topology, policy: AdmissionPolicy, ledger: CapacityLedger) -> None:
    for (_, name), held_bps in ledger.reserved():
        if name in topology.links:
            share = policy.links.get(name, policy.max_reservable)
            assert held_bps <= (topology.links[name].capacity_bps or 0) * share


def check_quotas(policy: AdmissionPolicy, admitted: list[Requirement]) -> None:
    for tenant in "ab":
        own, quota = [item for item in admitted if item.tenant == tenant], policy.quota(tenant)
        assert quota.slices is None or len(own) <= quota.slices
        assert quota.bandwidth_bps is None or sum(item.forward_bps for item in own) <= quota.bandwidth_bps


@settings(max_examples=120, deadline=None)
@given(networks(), asked, policies)
def test_one_after_the_other(
    topology: Topology, rows: list[tuple[int, int, str, str]], policy: AdmissionPolicy
) -> None:
    wanted, there = requirements(topology, rows), bounded(topology, policy)
    held: dict[str, Requirement] = {}
    ledger = CapacityLedger()
    for new in wanted:
        before = ledger
        result = plan(there, [new], ledger, policy=policy, held=held)
        (decision,), ledger = result.decisions, result.ledger
        victims = [name for name, _ in decision.preempts]
        rule = policy.preemption
        for name in victims:
            assert rule is not None
            assert not rule.by or new.service in rule.by
            assert not rule.of or held[name].service in rule.of
            assert new.priority - held[name].priority >= rule.minimum_gap
        if victims:
            assert decision.admitted
            assert not plan(there, [new], before).decisions[0].admitted
            for spared in victims:  # none of them is there for nothing
                rest = before
                for name in victims:
                    rest = rest if name == spared else rest.without_slice(name)
                assert not plan(there, [new], rest).decisions[0].admitted
        if decision.admitted:
            held = {name: item for name, item in held.items() if name not in victims} | {new.name: new}
        assert ledger.names == held.keys()
        assert result.totals.admitted_bps <= result.totals.upper_bound_bps
        check_room(topology, policy, ledger)
        check_quotas(policy, list(held.values()))


@settings(max_examples=60, deadline=None)
@given(networks(), asked, policies, st.booleans())
def test_a_whole_file(
    topology: Topology, rows: list[tuple[int, int, str, str]], policy: AdmissionPolicy, optimize: bool
) -> None:
    wanted, there = requirements(topology, rows), bounded(topology, policy)
    result = plan(there, wanted, policy=policy, optimize=optimize)
    admitted = [item.requirement for item in result.decisions if item.admitted]
    check_room(topology, policy, result.ledger)
    check_quotas(policy, admitted)
    assert result.ledger.names == {item.name for item in admitted}
    assert [item.name for item in result.decisions] == [item.name for item in wanted]
    assert sum(item.forward_bps for item in admitted) == result.totals.admitted_bps <= result.totals.upper_bound_bps
    # the bound holds for every other order of filing, too
    for order in (wanted[::-1], sorted(wanted, key=lambda item: item.forward_bps)):
        other = plan(there, order, policy=replace(policy, preemption=None), optimize=False)
        assert other.totals.admitted_bps <= result.totals.upper_bound_bps
    assert all(item.reasons for item in result.decisions if not item.admitted)
