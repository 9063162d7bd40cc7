"""Replanning on networks small enough to know the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import MappingProxyType

import pytest
from worlds import tree_world

from carelane.controller.pipeline import plan
from carelane.controller.pipeline.compile import compile_program
from carelane.controller.pipeline.identifiers import allocate
from carelane.controller.pipeline.replan import replan
from carelane.controller.pipeline.requirement import Objectives, Pair, Protection, Requirement
from carelane.controller.pipeline.trees import floors_on_links
from carelane.controller.pipeline.verify import verify_program
from carelane.errors import InputError
from carelane.topology.failure import Failure, single_failures
from carelane.topology.model import Endpoint, Link, Node, RiskGroup, Topology

MBPS = 10**6
MEETING = (0, 81, 116, 136, 138, 159, 161, 163, 173, 205, 229)
"""Tree worlds in which copies meet at a port."""


def topology(*links: tuple[str, str, str, int], groups: dict[str, set[str]] | None = None) -> Topology:
    """Links as (id, a, b, Mbit/s), 1 ms each; one endpoint of the same name at each node."""
    nodes = sorted({node for _, a, b, _ in links for node in (a, b)})
    member = {link: frozenset({g for g, links_ in (groups or {}).items() if link in links_}) for link, *_ in links}
    return Topology(
        "small",
        MappingProxyType({node: Node(node, index + 1, 0.99999) for index, node in enumerate(nodes)}),
        MappingProxyType(
            {
                name: Link(name, a, b, 10 + i, 50 + i, rate * MBPS, 0.001, 0.999, risk_groups=member[name])
                for i, (name, a, b, rate) in enumerate(links)
            }
        ),
        MappingProxyType({f"@{node}": Endpoint(f"@{node}", node, 1, capacity_bps=1000 * MBPS) for node in nodes}),
        MappingProxyType({name: RiskGroup(name) for name in groups or {}}),
    )


def wish(
    net: Topology,
    name: str,
    ends: Sequence[str],
    rate: int,
    *,
    priority: int = 1,
    availability: float | None = None,
    delay_s: float | None = None,
    protection: Protection = "auto",
) -> Requirement:
    pairs = tuple(Pair(net.endpoints[f"@{ends[0]}"], net.endpoints[f"@{end}"]) for end in ends[1:])
    return Requirement(
        name, "t", "s", "telephony", priority, "point-to-point" if len(pairs) == 1 else "point-to-multipoint", pairs,
        rate * MBPS, 0, 1500, 1500, Objectives(delay_s=delay_s, availability=availability), protection,
    )  # fmt: skip


DIAMOND = topology(("ab", "a", "b", 100), ("bd", "b", "d", 100), ("ac", "a", "c", 100), ("cd", "c", "d", 30))


def test_the_more_important_slice_gets_the_way_that_is_left() -> None:
    before = Failure(links=frozenset({"cd"})).leaves(DIAMOND)  # so that both take the one way there is
    planned = plan(before, [wish(DIAMOND, "low", "ad", 20), wish(DIAMOND, "high", "ad", 20, priority=2)])
    assert {hop.link for decision in planned.decisions for hop in decision.paths[0].hops} == {"ab", "bd"}
    replanned = replan(DIAMOND, planned.decisions, planned.ledger, Failure(links=frozenset({"bd"})))
    assert [(fate.name, fate.outcome, fate.carried) for fate in replanned.fates] == [
        ("low", "broken", False),
        ("high", "restored", False),
    ]
    low = replanned.fates[0]
    assert [(reason.constraint, reason.at) for reason in low.reasons] == [("bandwidth", "cd")]
    assert replanned.ledger.reserved_bps(("c", "cd")) == 20 * MBPS


def test_a_backup_carries_on_and_becomes_the_primary_of_a_weaker_promise() -> None:
    planned = plan(DIAMOND, [wish(DIAMOND, "pair", "ad", 20, availability=0.9999)])
    assert [path.role for path in planned.decisions[0].paths] == ["primary", "backup"]
    (fate,) = replan(DIAMOND, planned.decisions, planned.ledger, Failure(nodes=frozenset({"b"}))).fates
    assert (fate.outcome, fate.carried) == ("weakened", True)
    assert [(path.role, path.nodes) for path in fate.now.paths] == [("primary", ("a", "c", "d"))]
    assert fate.now.availability == pytest.approx(0.99999**3 * 0.999**2, abs=1e-9)
    assert fate.now.availability is not None
    assert fate.now.availability < 0.9999
    assert fate.reasons[0].constraint == "availability"


def test_a_site_whose_switch_is_gone_leaves_the_others_their_slice() -> None:
    planned = plan(DIAMOND, [wish(DIAMOND, "lesson", "abc", 20)])
    replanned = replan(DIAMOND, planned.decisions, planned.ledger, Failure(nodes=frozenset({"c"})))
    (fate,) = replanned.fates
    assert (fate.outcome, {path.to for path in fate.now.paths}) == ("weakened", {"@b"})
    assert [(reason.constraint, reason.at) for reason in fate.reasons] == [("unreachable", "@c")]


def test_a_site_whose_access_link_is_gone_leaves_the_others_their_slice() -> None:
    net = topology(("hx", "h", "x", 100), ("ax", "a", "x", 100), ("bx", "b", "x", 100), ("cx", "c", "x", 100))
    planned = plan(net, [wish(net, "lesson", "habc", 10)])
    replanned = replan(net, planned.decisions, planned.ledger, Failure(links=frozenset({"cx"})))
    (fate,) = replanned.fates
    assert (fate.outcome, {path.to for path in fate.now.paths}) == ("weakened", {"@a", "@b"})
    assert len(fate.now.requirement.pairs) == 2
    assert fate.reasons
    assert replanned.ledger.reserved_bps(("x", "ax")) == 10 * MBPS
    assert replanned.ledger.reserved_bps(("x", "cx")) == 0


def test_a_slice_whose_root_is_gone_breaks_and_holds_nothing() -> None:
    planned = plan(DIAMOND, [wish(DIAMOND, "lesson", "abc", 20)])
    replanned = replan(DIAMOND, planned.decisions, planned.ledger, Failure(nodes=frozenset({"a"})))
    assert [fate.outcome for fate in replanned.fates] == ["broken"]
    assert not dict(replanned.ledger.reserved())


def test_a_delay_that_the_detour_cannot_keep_is_the_reason() -> None:
    net = topology(("ab", "a", "b", 100), ("ac", "a", "c", 100), ("cd", "c", "d", 100), ("db", "d", "b", 100))
    planned = plan(net, [wish(net, "near", "ab", 20, delay_s=0.002)])
    (fate,) = replan(net, planned.decisions, planned.ledger, Failure(links=frozenset({"ab"}))).fates
    assert (fate.outcome, fate.reasons[0].constraint) == ("broken", "delay")


def test_a_risk_group_takes_all_its_links() -> None:
    net = topology(
        ("ab", "a", "b", 100), ("ac", "a", "c", 100), ("cb", "c", "b", 100), ("x", "a", "b", 100),
        groups={"duct": {"ab", "x"}},
    )  # fmt: skip
    planned = plan(net, [wish(net, "one", "ab", 20)])
    (fate,) = replan(net, planned.decisions, planned.ledger, Failure.of(net, ["duct"])).fates
    assert [path.nodes for path in fate.now.paths] == [("a", "c", "b")]


def test_nothing_fails_nothing_changes() -> None:
    planned = plan(DIAMOND, [wish(DIAMOND, "low", "ad", 20)])
    replanned = replan(DIAMOND, planned.decisions, planned.ledger, Failure())
    assert replanned.topology is DIAMOND
    assert replanned.ledger == planned.ledger
    assert [fate.outcome for fate in replanned.fates] == ["kept"]


def test_ids_are_looked_up_and_ambiguous_ones_asked_back() -> None:
    net = topology(("a", "a", "b", 100), groups={"duct": {"a"}})
    assert Failure.of(net, ["node:a", "duct"]).label == "node a, risk group duct"
    with pytest.raises(InputError, match=r"'a' is the id of a link and of a node") as caught:
        Failure.of(net, ["a"], "--fail")
    assert (caught.value.field, caught.value.remedy) == ("--fail", "write link:a")
    with pytest.raises(InputError, match="no link, node or risk group"):
        Failure.of(net, ["zz"])
    assert [failure.label for failure in single_failures(net)] == ["link a", "node a", "node b", "risk group duct"]


def test_what_a_failure_leaves_of_trees_is_sound_and_within_what_is_held() -> None:
    """Backups that become first paths share no floor with backups any longer; what does not fit then has to go."""
    outcomes: Counter[tuple[str, bool]] = Counter()
    stripped = 0
    for seed in (*range(1, 9), *MEETING):
        made = tree_world(seed)
        for decision, _ in made.slices:
            planned = plan(made.topology, [decision.requirement])
            for failure in single_failures(made.topology):
                replanned = replan(made.topology, planned.decisions, planned.ledger, failure)
                (fate,) = replanned.fates
                outcomes[fate.outcome, fate.carried] += 1
                if not fate.now.admitted:
                    continue
                held = replanned.ledger.slice_floors(decision.name)
                needed = floors_on_links(made.topology, fate.now.paths)
                assert all(rate <= held[port] for port, rate in needed.items()), (seed, failure)
                slices = [(fate.now, allocate(fate.now, []))]
                assert verify_program(made.topology, compile_program(made.topology, slices), slices) == ()
                links, nodes = failure.extent(made.topology)
                alive = [
                    path
                    for path in planned.decisions[0].paths
                    if not links & {hop.link for hop in path.hops} and not nodes & set(path.nodes)
                ]
                stripped += fate.outcome == "weakened" and len(fate.now.paths) < len(alive)
    assert outcomes["weakened", True] > 20, "one ring: no backup is left, and everybody goes on receiving"
    assert outcomes["restored", True] > 20
    assert stripped, "where a second tree carries copies at all times, there was no floor left for backups in it"
