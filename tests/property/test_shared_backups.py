"""Shared backup capacity is never double-booked: every single failure, replayed from the routes themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from ipaddress import IPv4Network
from itertools import combinations
from math import prod
from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st

from carelane.controller.pipeline import plan
from carelane.controller.pipeline.compile import compile_program
from carelane.controller.pipeline.identifiers import allocate
from carelane.controller.pipeline.program import SliceIds
from carelane.controller.pipeline.replan import replan
from carelane.controller.pipeline.requirement import Objectives, Pair, Requirement
from carelane.controller.pipeline.slice_plan import Decision
from carelane.controller.pipeline.verify import verify_program
from carelane.controller.pipeline.whatif import Question, baseline
from carelane.controller.pipeline.whatif import ask as what_if
from carelane.policies.admission import AdmissionPolicy
from carelane.topology.failure import Failure, single_failures
from carelane.topology.ledger import CapacityLedger, PortKey
from carelane.topology.model import Endpoint, Link, Node, RiskGroup, Topology

MBPS = 10**6
SHARED = AdmissionPolicy("shared", shared_backups=True)
FREE = frozenset[str]()


def made(links: list[tuple[str, str, int, frozenset[str]]], up: float = 0.999) -> Topology:
    """Links (a, b, Mbit/s, risk groups); endpoints "x/0" to "x/7" at every node x, one for each intent there may be."""
    names = sorted({end for a, b, *_ in links for end in (a, b)})
    groups = {group for *_, own in links for group in own}
    return Topology(
        "made",
        MappingProxyType({name: Node(name, place + 1, 1.0) for place, name in enumerate(names)}),
        MappingProxyType(
            {
                f"l{k}": Link(f"l{k}", a, b, 10 + k, 50 + k, rate * MBPS, 0.001, up, risk_groups=own)
                for k, (a, b, rate, own) in enumerate(links)
            }
        ),
        MappingProxyType(
            {
                f"{name}/{k}": Endpoint(f"{name}/{k}", name, 100 + k, IPv4Network(f"10.0.{place}.{k}"), 10**9)
                for place, name in enumerate(names)
                for k in range(8)
            }
        ),
        MappingProxyType({group: RiskGroup(group) for group in groups}),
    )


def ask(
    topology: Topology, name: str, source: str, to: str, rate: int, availability: float | None = None
) -> Requirement:
    number = sum(map(ord, name)) % 8
    pair = Pair(topology.endpoints[f"{source}/{number}"], topology.endpoints[f"{to}/{number}"])
    return Requirement(
        name, "t", "s", "standard", 1, "point-to-point", (pair,), rate * MBPS, rate * MBPS, 3000, 1500,
        Objectives(availability=availability), "required",
    )  # fmt: skip


def ports_of(decision: Decision, role: str) -> Counter[PortKey]:
    ports: Counter[PortKey] = Counter()
    for path in decision.paths:
        for hop in path.hops if path.role == role else ():
            ports[hop.node, hop.link] += path.reserved_bps
            ports[hop.next_node, hop.link] += path.reverse_bps
    return ports


def down(topology: Topology, kind: str, name: str, decision: Decision) -> bool:
    """Whether the failure takes the primary down, by what a link, a node and a risk group are."""
    path = decision.paths[0]
    links = [hop.link for hop in path.hops]
    if kind == "risk group":
        hit = any(name in topology.links[link].risk_groups for link in links)
        return hit or any(name in topology.nodes[node].risk_groups for node in path.nodes)
    return name in (links if kind == "link" else path.nodes)


def check(topology: Topology, decisions: Iterable[Decision], ledger: CapacityLedger | None = None) -> None:
    """After any single failure, all primaries (none gives way), all backups of their own and the shared ones that it
    wakes fit everywhere; and what the ledger reserves is the most of that."""
    failures = [("link", name) for name in topology.links] + [("node", name) for name in topology.nodes]
    failures += [("risk group", name) for name in topology.risk_groups] + [("none", "")]
    most: Counter[PortKey] = Counter()
    for kind, name in failures:
        load: Counter[PortKey] = Counter()
        for decision in decisions:
            load += ports_of(decision, "primary")
            if decision.backups == "dedicated" or (kind != "none" and down(topology, kind, name, decision)):
                load += ports_of(decision, "backup")
        for (node, link), rate_bps in load.items():
            assert rate_bps <= (topology.links[link].capacity_bps or 0), (kind, name, link)
            most[node, link] = max(rate_bps, most[node, link])
    if ledger is not None:
        assert most == {port: held for port, held in ledger.reserved() if port[1] in topology.links}


@st.composite
def cases(draw: st.DrawFn) -> tuple[Topology, list[Requirement]]:
    count = draw(st.integers(4, 7))
    pairs = [(a, b) for a in range(count) for b in range(a)]
    ring = [(k, (k + 1) % count) for k in range(count)]
    chosen = ring + draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=6))
    own = st.frozensets(st.sampled_from(["d1", "d2"]), max_size=1)
    links = [(f"n{a}", f"n{b}", draw(st.sampled_from([10, 20, 40])), draw(own)) for a, b in chosen]
    topology = made(links)
    wanted = []
    target = st.sampled_from([None, 0.999, 0.99995])
    for k in range(draw(st.integers(2, 8))):
        a, b = draw(st.sampled_from(pairs))
        wanted.append(ask(topology, f"i{k}", f"n{a}", f"n{b}", draw(st.sampled_from([5, 10, 20])), draw(target)))
    return topology, wanted


def up_share(topology: Topology, decision: Decision, sharers: Sequence[Decision]) -> float:
    """By enumeration of states of the links (nodes never fail here): the primary is up, or it is down, the backup is
    up, and no primary of those who share with it is down. States with more than three links down are left out: nobody's
    promise here rests on them."""
    first, second = ({hop.link for hop in path.hops} for path in decision.paths)
    others = [{hop.link for hop in other.paths[0].hops} for other in sharers]
    links = sorted(first.union(second, *others))
    up = {link: topology.links[link].availability or 0.0 for link in links}
    total = 0.0
    for dead in (set(part) for count in range(4) for part in combinations(links, count)):
        moved = second.isdisjoint(dead) and all(other.isdisjoint(dead) for other in others)
        if first.isdisjoint(dead) or moved:
            total += prod(1 - up[link] if link in dead else up[link] for link in links)
    return total


def verify(topology: Topology, decisions: Sequence[Decision]) -> None:
    """What the ledger lets in, the switches' programs and their verifier let in, too."""
    slices: list[tuple[Decision, SliceIds]] = []
    for decision in decisions:
        slices.append((decision, allocate(decision, [ids for _, ids in slices])))
    assert verify_program(topology, compile_program(topology, slices), slices) == ()


@given(cases(), st.data())
@settings(max_examples=20, deadline=None)
def test_no_single_failure_sends_more_to_a_port_than_it_has(
    case: tuple[Topology, list[Requirement]], data: st.DataObject
) -> None:
    """While slices come, change and go, singly and in batches."""
    topology, wanted = case
    ledger, held = CapacityLedger(), dict[str, Decision]()
    for turn in range(2):
        batch = data.draw(st.booleans())
        for part in [wanted] if batch else [[item] for item in wanted]:
            result = plan(topology, part, ledger, policy=SHARED, optimize=batch)
            ledger = result.ledger
            held |= {decision.name: decision for decision in result.decisions if decision.admitted}
            check(topology, held.values(), ledger)
        for name in data.draw(st.lists(st.sampled_from(sorted(held)), unique=True)) if held else ():
            ledger = ledger.without_slice(name)
            del held[name]
            check(topology, held.values(), ledger)
        wanted = [replace(item, forward_bps=item.forward_bps // (turn + 2)) for item in wanted]
    for decision in held.values():
        promised = decision.requirement.objectives.availability
        if decision.backups == "shared" and promised is not None:
            mine = ports_of(decision, "backup").keys()
            beside = [
                other
                for other in held.values()
                if other.backups == "shared" and other is not decision and mine & ports_of(other, "backup").keys()
            ]
            assert decision.availability == promised
            assert up_share(topology, decision, beside) >= promised - 1e-9
    verify(topology, list(held.values()))
    if held:
        struck = replan(
            topology, list(held.values()), ledger, data.draw(st.sampled_from(list(single_failures(topology))))
        )
        for port, _ in struck.ledger.reserved():
            if port[1] in struck.topology.links:
                assert struck.ledger.working_bps(port) <= (topology.links[port[1]].capacity_bps or 0)
    for name in held:
        ledger = ledger.without_slice(name)
    assert not list(ledger.reserved())
    assert not list(ledger.shared())


DIAMOND = [
    ("a", "b", 10),
    ("c", "d", 10),
    ("a", "e", 10),
    ("c", "e", 10),
    ("e", "f", 10),
    ("f", "b", 10),
    ("f", "d", 10),
]
"""Primaries a-b and c-d share nothing; both backups need e-f, which has room for one."""


def admitted(topology: Topology, wanted: list[Requirement], policy: AdmissionPolicy | None = SHARED) -> list[str]:
    return [
        decision.backups if decision.admitted else "refused"
        for decision in plan(topology, wanted, policy=policy).decisions
    ]


def test_two_backups_share_a_link_that_neither_could_have_twice() -> None:
    apart = made([(*link, FREE) for link in DIAMOND])
    wanted = [ask(apart, "one", "a", "b", 10), ask(apart, "two", "c", "d", 10)]
    assert admitted(apart, wanted, None) == ["dedicated", "refused"]
    result = plan(apart, wanted, policy=SHARED)
    assert [decision.backups for decision in result.decisions] == ["shared", "shared"]
    check(apart, result.decisions, result.ledger)
    assert result.ledger.reserved_bps(("e", "l4")) == 10 * MBPS


def test_primaries_in_one_duct_share_nothing() -> None:
    duct = made([(a, b, rate, frozenset({"duct"}) if k < 2 else FREE) for k, (a, b, rate) in enumerate(DIAMOND)])
    wanted = [ask(duct, "one", "a", "b", 10), ask(duct, "two", "c", "d", 10)]
    result = plan(duct, wanted, policy=SHARED)
    assert [decision.admitted for decision in result.decisions] == [True, False]
    assert not result.decisions[1].proven, "other pairs might share"


def test_a_service_may_keep_its_backups_to_itself() -> None:
    apart = made([(*link, FREE) for link in DIAMOND])
    wanted = [ask(apart, "one", "a", "b", 10), replace(ask(apart, "two", "c", "d", 10), service="surgery")]
    assert admitted(apart, wanted, replace(SHARED, shared_services={"surgery": False})) == ["shared", "refused"]
    assert admitted(apart, wanted[::-1], replace(SHARED, shared_services={"surgery": False})) == [
        "dedicated",
        "refused",
    ]


def test_a_promise_of_availability_is_not_paid_for_by_another_who_shares() -> None:
    """Alone each backup makes 1 - 0.001 * 0.003 of it; beside the other its primary must be up, too."""
    apart = made([(*link, FREE) for link in DIAMOND])
    alone = 1 - 0.001 * (1 - 0.999**3)
    beside = 1 - 0.001 * (1 - 0.999**4)
    between, below = (alone + beside) / 2, beside - 1e-9
    assert admitted(apart, [ask(apart, "one", "a", "b", 10, between)]) == ["shared"]
    modest, demanding = (
        [ask(apart, "one", "a", "b", 10, target), ask(apart, "two", "c", "d", 10, other)]
        for target, other in ((below, below), (between, below))
    )
    assert admitted(apart, modest) == ["shared", "shared"]
    assert admitted(apart, demanding) == ["shared", "refused"], "the first one's promise would break"
    wide = replace(
        apart,
        links=MappingProxyType({name: replace(link, capacity_bps=20 * MBPS) for name, link in apart.links.items()}),
    )
    assert admitted(wide, demanding) == ["shared", "dedicated"], "there is room for floors of its own"


def test_after_a_failure_what_it_woke_runs_and_is_nobody_elses_room() -> None:
    """One more on e-f fits, but not once a-b is down: the first backup runs there, and the second may have to."""
    wide = made([(a, b, 20 if (a, b) == ("e", "f") else rate, FREE) for a, b, rate in DIAMOND])
    wanted = [ask(wide, "one", "a", "b", 10), ask(wide, "two", "c", "d", 10)]
    more = replace(ask(wide, "more", "e", "f", 10), protection="none")
    base = baseline(wide, wanted, SHARED)
    assert base.ledger.reserved_bps(("e", "l4")) == 10 * MBPS
    assert what_if(base, Question(added=(more,))).harmless
    after = what_if(base, Question(failed=Failure(links=frozenset({"l0"})), added=(more,)))
    one, two = after.fates
    assert (one.outcome, one.carried, one.now.backups) == ("weakened", True, "dedicated")
    assert (two.outcome, two.now.backups) == ("kept", "shared")
    assert not after.added[0].admitted
    assert after.ledger.working_bps(("e", "l4")) == 10 * MBPS
    assert after.ledger.reserved_bps(("e", "l4")) == 20 * MBPS


def test_what_a_ledger_holds_while_a_slice_moves_from_one_backup_to_another() -> None:
    apart = made([(*link, FREE) for link in DIAMOND])
    one, two = (ask(apart, name, *ends, 10) for name, ends in (("one", ("a", "b")), ("two", ("c", "d"))))
    both = plan(apart, [one, two], policy=SHARED).ledger
    moving = both.without_slice("one").with_held_by(both, "one").with_held_by(both, "one")
    assert moving == both
    assert moving.standby("one") == both.standby("one")
    woken = both.with_slice("one", both.slice_floors("one").items())
    assert woken.reserved_bps(("e", "l4")) == 20 * MBPS, "one that runs is not shared with"
    assert woken.working_bps(("e", "l4")) == 10 * MBPS
    assert woken.slice_floors("one") == both.slice_floors("one")
