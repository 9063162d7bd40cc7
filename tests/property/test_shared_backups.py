"""Shared backup capacity is never double-booked: every single failure, replayed from the routes themselves."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st

from carelane.controller.pipeline import plan
from carelane.controller.pipeline.admit import Embedding
from carelane.controller.pipeline.requirement import Objectives, Pair, Requirement
from carelane.controller.pipeline.shared_backup import plan_shared
from carelane.topology.ledger import PortKey
from carelane.topology.model import Endpoint, Link, Node, RiskGroup, Topology

MBPS = 10**6


def made(links: list[tuple[str, str, int, frozenset[str]]]) -> Topology:
    """Links (a, b, Mbit/s, risk groups); an endpoint "x/1" at every node x."""
    names = sorted({end for a, b, *_ in links for end in (a, b)})
    groups = {group for *_, own in links for group in own}
    return Topology(
        "made",
        MappingProxyType({name: Node(name, place + 1, 0.9999) for place, name in enumerate(names)}),
        MappingProxyType(
            {
                f"l{k}": Link(f"l{k}", a, b, 1, 1, rate * MBPS, 0.001, 0.999, risk_groups=own)
                for k, (a, b, rate, own) in enumerate(links)
            }
        ),
        MappingProxyType({f"{name}/1": Endpoint(f"{name}/1", name, 99, capacity_bps=10**9) for name in names}),
        MappingProxyType({group: RiskGroup(group) for group in groups}),
    )


def ask(topology: Topology, name: str, source: str, to: str, rate: int) -> Requirement:
    pair = Pair(topology.endpoints[f"{source}/1"], topology.endpoints[f"{to}/1"])
    return Requirement(
        name, "t", "s", "standard", 1, "point-to-point", (pair,), rate * MBPS, rate * MBPS, 3000, 1500, Objectives(),
        "required",
    )  # fmt: skip


def ports_of(embedding: Embedding, role: int) -> set[PortKey]:
    ports = set()
    for row in embedding.rows:
        if row.role == role:
            for link, a, b in zip(row.route.links, row.route.nodes, row.route.nodes[1:], strict=False):
                ports |= {(a, link), (b, link)}
    return ports


def down(topology: Topology, kind: str, name: str, embedding: Embedding) -> bool:
    """Whether the failure takes the primary down, by what a link, a node and a risk group are."""
    route = next(row.route for row in embedding.rows if row.role == 0)
    if kind == "risk group":
        hit = any(name in topology.links[link].risk_groups for link in route.links)
        return hit or any(name in topology.nodes[node].risk_groups for node in route.nodes)
    return name in (route.links if kind == "link" else route.nodes)


def check(topology: Topology, embeddings: list[Embedding]) -> None:
    """After any single failure, all primaries (none gives way) and the backups it wakes fit everywhere."""
    failures = [("link", name) for name in topology.links] + [("node", name) for name in topology.nodes]
    failures += [("risk group", name) for name in topology.risk_groups] + [("none", "")]
    for kind, name in failures:
        load: Counter[PortKey] = Counter()
        for embedding in embeddings:
            ports = ports_of(embedding, 0)
            if kind != "none" and down(topology, kind, name, embedding):
                ports |= ports_of(embedding, 1)
            for port in ports:
                load[port] += embedding.floors[port]
        for (_, link), rate_bps in load.items():
            assert rate_bps <= (topology.links[link].capacity_bps or 0), (kind, name, link)


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
    for k in range(draw(st.integers(2, 8))):
        a, b = draw(st.sampled_from(pairs))
        wanted.append(ask(topology, f"i{k}", f"n{a}", f"n{b}", draw(st.sampled_from([5, 10, 20]))))
    return topology, wanted


@given(cases())
@settings(max_examples=120, deadline=None)
def test_no_single_failure_sends_more_to_a_port_than_it_has(case: tuple[Topology, list[Requirement]]) -> None:
    topology, wanted = case
    result = plan_shared(topology, wanted)
    admitted = [embedding for embedding in result.embeddings if embedding is not None]
    check(topology, admitted)
    for node, name in result.pool.ports():
        if name in topology.links:
            assert result.pool.reserved_bps((node, name)) <= (topology.links[name].capacity_bps or 0)
    empty = result.pool
    for requirement in wanted:
        empty = empty.without_slice(requirement.name)
    assert not list(empty.ports())


def test_two_backups_share_a_link_that_neither_could_have_twice() -> None:
    """Primaries a-b and c-d share nothing; both backups need e-f, which has room for one."""
    links = [
        ("a", "b", 10),
        ("c", "d", 10),
        ("a", "e", 10),
        ("c", "e", 10),
        ("e", "f", 10),
        ("f", "b", 10),
        ("f", "d", 10),
    ]
    free = frozenset[str]()
    apart = made([(a, b, rate, free) for a, b, rate in links])
    wanted = [ask(apart, "one", "a", "b", 10), ask(apart, "two", "c", "d", 10)]
    assert [decision.admitted for decision in plan(apart, wanted).decisions] == [True, False]
    shared = plan_shared(apart, wanted)
    both = [embedding for embedding in shared.embeddings if embedding is not None]
    assert len(both) == 2
    check(apart, both)
    assert shared.pool.reserved_bps(("e", "l4")) == 10 * MBPS
    one_duct = made([(a, b, rate, frozenset({"duct"}) if k < 2 else free) for k, (a, b, rate) in enumerate(links)])
    wanted = [ask(one_duct, "one", "a", "b", 10), ask(one_duct, "two", "c", "d", 10)]
    assert [embedding is not None for embedding in plan_shared(one_duct, wanted).embeddings] == [True, False]
