"""The admission policy: documents with their faults, how full links may be, quotas, and who has to give way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import pytest
from written_networks import MBPS, ask, network

from carelane.controller.pipeline import decision_json, plan
from carelane.controller.pipeline.remedies import remedied
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.slice_plan import PlanResult
from carelane.errors import InputError
from carelane.policies.admission import AdmissionPolicy, bounded
from carelane.policies.admission.manifest import parse_policy
from carelane.topology import CapacityLedger, Topology
from carelane.topology.model import Endpoint

HEAD = "apiVersion: carelane/v1\nkind: Policy\nmetadata: {name: p}\nspec:\n"
LINE = network("l1: s t 100Mbps 1ms")
TWO_WAYS = network("l1: s t 100Mbps 1ms\nl2: s t 100Mbps 5ms")


def policy(spec: str, topology: Topology = LINE) -> AdmissionPolicy:
    return parse_policy(HEAD + spec, topology)


def slice_of(
    name: str,
    rate: float,
    priority: int = 5,
    *,
    service: str = "remote-teaching",
    tenant: str = "t",
    on: Topology = LINE,
) -> Requirement:
    return replace(ask(on, name, rate=rate), priority=priority, service=service, tenant=tenant)


def decide(asked: Sequence[Requirement], spec: str, on: Topology = LINE, *, optimize: bool = False) -> PlanResult:
    rules = policy(spec, on)
    return plan(bounded(on, rules), asked, optimize=optimize, policy=rules)


def admitted(result: PlanResult) -> list[str]:
    return [decision.name for decision in result.decisions if decision.admitted]


@pytest.mark.parametrize(
    ("spec", "line", "field", "says"),
    [
        ("  maxReservable: 80\n", 5, "spec.maxReservable.default", "outside 0..1"),
        ("  maxReservable: 0%\n", 5, "spec.maxReservable.default", "nothing could be reserved"),
        ("  maxReservable:\n    links: {l9: 50%}\n", 6, "spec.maxReservable.links.l9", "is no link of test"),
        ("  quotas:\n    t: {bandwidth: 200}\n", 6, "spec.quotas.t.bandwidth", "has no unit"),
        ("  quotas:\n    t: {}\n", 6, "spec.quotas.t", "without a limit"),
        ("  quotas:\n    t: {slices: -1}\n", 6, "spec.quotas.t.slices", "greater than or equal to 0"),
        ("  preemption:\n    by: [surgery]\n", 6, "spec.preemption.by[0]", "is no service"),
        ("  preemption:\n    minimumPriorityGap: 0\n", 6, "spec.preemption.minimumPriorityGap", "greater than or"),
        ("  backups: lent\n", 5, "spec.backups.default", "'dedicated' or 'shared'"),
        ("  backups:\n    services: {surgery: shared}\n", 6, "spec.backups.services", "is no service"),
        ("  weights:\n    classes: {surgery: 2}\n", 6, "spec.weights.classes.surgery", "is no traffic class"),
        ("  weights:\n    tenants: {t: 0}\n", 6, "spec.weights.tenants.t", "greater than or equal to 0.001"),
        ("  weights:\n    sites: {u/*: 2}\n", 6, "spec.weights.sites.u/*", "is no site of test"),
        ("  preemtion: {}\n", 5, "spec.preemtion", ""),
    ],
)
def test_a_fault_is_placed_at_its_line_and_field(spec: str, line: int, field: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_policy(HEAD + spec, LINE, "policy.yaml")
    found = caught.value
    assert (found.file, found.line, found.field) == ("policy.yaml", line, field)
    assert says in str(found)


def test_another_kind_is_no_policy() -> None:
    with pytest.raises(InputError, match="one document of kind Policy"):
        parse_policy("apiVersion: carelane/v1\nkind: AccessPolicy\nmetadata: {name: p}\n", LINE)


def test_backups_are_dedicated_unless_the_policy_says_otherwise_for_all_or_for_a_service() -> None:
    assert not policy("  maxReservable: 100%\n").shares("remote-surgery")
    assert policy("  backups: shared\n").shares("remote-surgery")
    some = policy("  backups: {default: shared, services: {remote-surgery: dedicated}}\n")
    assert (some.shares("remote-surgery"), some.shares("imaging-transfer")) == (False, True)
    assert (some.lasting.shares("remote-surgery"), some.lasting.shares("imaging-transfer")) == (False, True)
    assert some.lenient


@pytest.mark.parametrize("optimize", [False, True])
def test_no_more_of_a_link_is_reserved_than_policy_lets(optimize: bool) -> None:
    asked = [slice_of("a", 30), slice_of("b", 30), slice_of("c", 30)]
    assert admitted(plan(LINE, asked, optimize=optimize)) == ["a", "b", "c"]
    result = decide(asked, "  maxReservable: 80%\n", optimize=optimize)
    assert len(admitted(result)) == 2
    (reason,) = (item.reasons[0] for item in result.decisions if not item.admitted)
    assert (reason.constraint, reason.at, reason.required, reason.available) == ("bandwidth", "l1", 30.0, 20.0)
    assert "of the 80% that policy lets be reserved of 100 Mbit/s" in reason.detail
    assert result.totals.upper_bound_bps <= 80 * MBPS
    exact = decide([slice_of("a", 80)], "  maxReservable: 80%\n", optimize=optimize)
    assert admitted(exact) == ["a"]
    assert exact.ledger.reserved_bps(("s", "l1")) == 80 * MBPS


def test_a_link_has_its_own_share_and_the_others_the_common_one() -> None:
    spec = "  maxReservable: {default: 50%, links: {l2: 20%}}\n"
    found = bounded(TWO_WAYS, policy(spec, TWO_WAYS))
    assert {link.id: link.reservable_bps for link in found.links.values()} == {"l1": 50 * MBPS, "l2": 20 * MBPS}
    assert found.links["l1"].capacity_bps == 100 * MBPS  # bounds on delay know the line as it is


def test_an_upgrade_that_is_named_as_a_remedy_is_enough_under_the_policy_and_no_less_is() -> None:
    rules = policy("  maxReservable: 80%\n")
    there = bounded(LINE, rules)
    (decision,) = remedied(there, plan(there, [slice_of("a", 100)], policy=rules)).decisions
    (remedy,) = decision.remedies
    assert (remedy.kind, remedy.name, remedy.to_bps) == ("upgrade-link", "l1", 125 * MBPS)
    for capacity, fits in ((remedy.to_bps, True), (remedy.to_bps - 1000, False)):
        links = {"l1": replace(LINE.links["l1"], capacity_bps=capacity)}
        wide = bounded(replace(LINE, links=MappingProxyType(links)), rules)
        assert plan(wide, [slice_of("a", 100)]).decisions[0].admitted is fits


@pytest.mark.parametrize("optimize", [False, True])
def test_a_tenant_holds_no_more_than_its_quota_and_the_refusal_says_how_much_is_left(optimize: bool) -> None:
    asked = [
        slice_of("a", 30, tenant="county"),
        slice_of("b", 15, tenant="county"),
        slice_of("c", 10, tenant="county"),
        slice_of("d", 40, tenant="city"),
    ]
    spec = "  quotas:\n    county: {bandwidth: 40Mbps}\n"
    result = decide(asked, spec, optimize=optimize)
    assert admitted(result) == ["a", "c", "d"]
    (reason,) = result.decisions[1].reasons
    left = 0.0 if optimize else 10.0  # in a batch it is said beside all that was admitted
    assert (reason.constraint, reason.required, reason.available, reason.unit) == ("policy", 15.0, left, "Mbps")
    assert "tenant county may hold 40 Mbit/s" in reason.detail
    assert result.totals.upper_bound_bps == 80 * MBPS


@pytest.mark.parametrize("optimize", [False, True])
def test_slices_are_counted_too_and_everybody_else_has_a_common_limit(optimize: bool) -> None:
    asked = [slice_of(f"{tenant}{k}", 1, tenant=tenant) for tenant in ("a", "b") for k in range(3)]
    spec = '  quotas:\n    a: {slices: 1}\n    "*": {slices: 2}\n'
    result = decide(asked, spec, optimize=optimize)
    assert admitted(result) == ["a0", "b0", "b1"]
    reason = result.decisions[1].reasons[0]
    assert (reason.constraint, reason.required, reason.available, reason.unit) == ("policy", 1.0, 0.0, "slices")


def test_what_counts_is_the_larger_direction_once_and_each_site_of_a_hub() -> None:
    both = replace(slice_of("a", 20), reverse_bps=5 * MBPS)
    assert admitted(decide([both], "  quotas:\n    t: {bandwidth: 20Mbps}\n")) == ["a"]
    ends = [Endpoint(f"s/{k}", "s", 50 + k, capacity_bps=10**9) for k in range(2)]
    pair = both.pairs[0]
    there = replace(LINE, endpoints=MappingProxyType({**LINE.endpoints, **{end.id: end for end in ends}}))
    hub = replace(both, connectivity="hub", pairs=tuple(replace(pair, source=end) for end in ends))
    assert admitted(decide([hub], "  quotas:\n    t: {bandwidth: 39Mbps}\n", there)) == []
    assert admitted(decide([hub], "  quotas:\n    t: {bandwidth: 40Mbps}\n", there)) == ["a"]


def test_a_slice_that_is_filed_again_takes_its_own_place_in_the_quota() -> None:
    old = slice_of("a", 30)
    ledger = CapacityLedger().with_slice("a", [(("s", "l1"), 30 * MBPS)])
    rules = policy("  quotas:\n    t: {bandwidth: 40Mbps, slices: 1}\n")
    for rate, fits in ((40, True), (41, False)):
        result = plan(LINE, [slice_of("a", rate)], ledger, policy=rules, held={"a": old})
        assert result.decisions[0].admitted is fits


def test_a_batch_gives_what_packing_refused_to_others_of_the_tenant() -> None:
    """The larger one counts first and does not fit the link; its share of the quota is not lost."""
    asked = [slice_of("large", 120, 6), slice_of("small", 50, 5)]
    result = decide(asked, "  quotas:\n    t: {bandwidth: 120Mbps}\n", optimize=True)
    assert admitted(result) == ["small"]
    assert result.decisions[0].reasons[0].constraint == "bandwidth"
    assert result.decisions[0].reasons[0].available == 50.0  # beside the small one
    assert 50 * MBPS <= result.totals.upper_bound_bps <= 120 * MBPS


def test_without_a_word_of_policy_nobody_gives_way() -> None:
    asked = [slice_of("low", 80, 1), slice_of("high", 80, 9)]
    assert admitted(decide(asked, "  maxReservable: 100%\n")) == ["low"]
    assert admitted(decide(asked, "  preemption: {}\n")) == ["high"]


def test_the_victim_is_named_and_told_who_took_its_place() -> None:
    asked = [slice_of("low", 80, 1, tenant="city"), slice_of("high", 80, 9, service="remote-surgery")]
    low, high = decide(asked, "  preemption: {}\n").decisions
    assert high.preempts == (("low", "city"),)
    assert decision_json(high)["preempts"] == ["low"]
    (reason,) = low.reasons
    assert reason.constraint == "policy"
    assert "pre-empted by another tenant's slice (remote-surgery, priority 9 over 1)" in reason.detail
    assert reason.others == ("high",)
    assert "file it again" in reason.detail


@pytest.mark.parametrize(
    ("rule", "priority", "service", "takes"),
    [
        ("{}", 5, "remote-teaching", False),  # as important
        ("{}", 6, "remote-teaching", True),
        ("{minimumPriorityGap: 2}", 6, "remote-teaching", False),
        ("{minimumPriorityGap: 2}", 7, "remote-teaching", True),
        ("{by: [emergency-rescue]}", 9, "remote-teaching", False),
        ("{by: [emergency-rescue]}", 6, "emergency-rescue", True),
        ("{of: [imaging-transfer]}", 9, "emergency-rescue", False),
        ("{of: [remote-teaching]}", 9, "emergency-rescue", True),
    ],
)
def test_who_gives_way_is_for_the_policy_to_say(rule: str, priority: int, service: str, takes: bool) -> None:
    asked = [slice_of("held", 80, 5), slice_of("new", 80, priority, service=service)]
    assert admitted(decide(asked, f"  preemption: {rule}\n")) == (["new"] if takes else ["held"])


def test_nobody_goes_when_that_would_not_help() -> None:
    asked = [slice_of("low", 80, 1), slice_of("equal", 10, 9), slice_of("high", 95, 9)]
    result = decide(asked, "  preemption: {}\n")
    assert admitted(result) == ["low", "equal"]
    assert result.decisions[2].reasons[0].constraint == "bandwidth"
    assert result.decisions[2].preempts == ()


@pytest.mark.parametrize(
    ("held", "rate", "victims"),
    [
        ({"a": (40, 3), "b": (30, 2), "c": (30, 1)}, 30, {"c"}),  # the least important
        ({"a": (40, 3), "b": (30, 2), "c": (30, 1)}, 40, {"b", "c"}),  # nobody more important than has to
        ({"a": (50, 1), "b": (20, 1), "c": (30, 1)}, 25, {"c"}),  # one is enough: the smallest such
        ({"a": (40, 3), "b": (30, 1), "c": (30, 1)}, 70, {"a", "b"}),  # not both small ones
        ({"a": (60, 2), "b": (20, 1), "c": (20, 1)}, 50, {"a"}),  # one where it is enough
        ({"a": (34, 1), "b": (33, 1), "c": (33, 1)}, 100, {"a", "b", "c"}),
    ],
)
def test_as_few_and_as_unimportant_ones_go_as_are_enough(
    held: dict[str, tuple[int, int]], rate: int, victims: set[str]
) -> None:
    asked = [slice_of(name, size, priority) for name, (size, priority) in held.items()]
    result = decide([*asked, slice_of("new", rate, 9)], "  preemption: {}\n")
    assert {name for name, _ in result.decisions[-1].preempts} == victims
    assert set(admitted(result)) == held.keys() - victims | {"new"}


def test_a_slice_that_could_go_another_way_is_not_displaced_for_nothing() -> None:
    """There is room on the longer way, so nobody has to go."""
    asked = [slice_of("low", 80, 1, on=TWO_WAYS), slice_of("high", 80, 9, on=TWO_WAYS)]
    result = decide(asked, "  preemption: {}\n", TWO_WAYS)
    assert admitted(result) == ["low", "high"]


def test_a_quota_is_not_made_room_in_by_pre_emption() -> None:
    asked = [slice_of("low", 30, 1), slice_of("high", 30, 9)]
    assert admitted(decide(asked, "  preemption: {}\n  quotas:\n    t: {bandwidth: 40Mbps}\n")) == ["low"]


@pytest.mark.parametrize(("gap", "goes"), [(4, True), (5, False)])
def test_a_batch_takes_the_place_of_what_is_held_only_as_policy_lets_it(gap: int, goes: bool) -> None:
    """60 of 100 are held; the packing finds room for 20 and not for 70, which may displace by a gap of 4 at most."""
    rules = policy(f"  preemption: {{minimumPriorityGap: {gap}}}\n", LINE)
    old, wide, small = slice_of("old", 60, 1), slice_of("wide", 70, 5), slice_of("small", 20, 5)
    ledger = plan(LINE, [old]).ledger
    result = plan(LINE, [wide, small], ledger, optimize=True, policy=rules, held={"old": old})
    assert admitted(result) == (["wide", "small"] if goes else ["small"])
    assert result.decisions[0].preempts == ((("old", "t"),) if goes else ())
    assert result.ledger.names == ({"wide", "small"} if goes else {"old", "small"})
    assert result.totals.admitted_bps <= result.totals.upper_bound_bps
    plainly = plan(LINE, [wide, small], ledger, optimize=True, policy=None, held={"old": old})
    assert admitted(plainly) == ["small"]
