"""Random networks with random protected and unprotected slices, and random faults in their programs; all by seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network
from itertools import pairwise
from typing import Any

import networkx as nx

from carelane.controller.pipeline.compile import CLASSIFY, CORE, PORTS, compile_program
from carelane.controller.pipeline.identifiers import allocate, slice_number
from carelane.controller.pipeline.planner import plan
from carelane.controller.pipeline.program import (
    IN_PORT,
    Bucket,
    FlowRule,
    GotoTable,
    Group,
    Match,
    Output,
    PopMpls,
    PortQos,
    Program,
    SetDscp,
    SetEthDst,
    SetMplsLabel,
    SetQueue,
    SliceIds,
    SwitchProgram,
    ToGroup,
    ToMeter,
)
from carelane.controller.pipeline.requirement import Connectivity, Objectives, Pair, Requirement
from carelane.controller.pipeline.slice_plan import Decision, PlannedPath
from carelane.topology.model import Endpoint, Hop, Link, Node, RiskGroup, Topology

__all__ = ["MUTATIONS", "TREE_MUTATIONS", "World", "mutate", "three_lanes", "tree_world", "world"]

MBIT = 1_000_000
CLASSES = ("telephony", "realtime-interactive", "low-latency-data", "high-throughput-data")


@dataclass(frozen=True)
class World:
    topology: Topology
    slices: list[tuple[Decision, SliceIds]]

    def program(self) -> Program:
        return compile_program(self.topology, self.slices)


def world(seed: int) -> World:
    """A ring with chords of three to seven switches, an endpoint or two at each, and one to five slices."""
    dice = random.Random(seed)
    size = dice.randint(3, 7)
    nodes = {f"n{i}": Node(f"n{i}", i + 1) for i in range(size)}
    ports = dict.fromkeys(nodes, 0)

    def port(node: str) -> int:
        ports[node] += 1
        return ports[node]

    joins = [(i, (i + 1) % size) for i in range(size)]
    joins += [tuple(dice.sample(range(size), 2)) for _ in range(dice.randint(0, 3))]
    links = {}
    for i, (a, b) in enumerate(joins):
        groups = frozenset({"duct"}) if dice.random() < 0.2 else frozenset()
        links[f"l{i}"] = Link(
            f"l{i}", f"n{a}", f"n{b}", port(f"n{a}"), port(f"n{b}"), 1000 * MBIT, 0.001, risk_groups=groups
        )
    ends = {}
    for i in range(size + 2):
        node = f"n{i % size}"
        mac = f"02:00:00:00:00:{i:02x}" if dice.random() < 0.5 else None
        ends[f"e{i}"] = Endpoint(f"e{i}", node, port(node), ip_network(f"10.0.{i}.1/32"), 1000 * MBIT, mac)
    topology = Topology("world", nodes, links, ends, {"duct": RiskGroup("duct")})
    return World(topology, _slices(topology, dice))


def _slices(topology: Topology, dice: random.Random) -> list[tuple[Decision, SliceIds]]:
    slices: list[tuple[Decision, SliceIds]] = []
    taken: set[frozenset[str]] = set()
    for i in range(dice.randint(1, 5)):
        kinds: tuple[Connectivity, ...] = ("point-to-point", "point-to-point", "hub", "point-to-multipoint")
        kind = dice.choice(kinds)
        centre, *others = dice.sample(sorted(topology.endpoints), 4)
        others = others[: 1 if kind == "point-to-point" else 3]
        pairs = [(other, centre) if kind == "hub" else (centre, other) for other in others]
        pairs = [pair for pair in pairs if frozenset(pair) not in taken]
        if not pairs:
            continue
        taken |= {frozenset(pair) for pair in pairs}
        decision = _decide(topology, dice, f"slice-{i}", kind, pairs)
        slices.append((decision, allocate(decision, [ids for _, ids in slices])))
    return slices


def _decide(
    topology: Topology, dice: random.Random, name: str, kind: Connectivity, pairs: Sequence[tuple[str, str]]
) -> Decision:
    ends = topology.endpoints
    rates = (10 * MBIT, dice.choice((0, 2 * MBIT, 10 * MBIT)))
    joined = tuple(Pair(ends[a], ends[b]) for a, b in pairs)
    requirement = Requirement(
        name, "t", "test", dice.choice(CLASSES), 1, kind, joined, *rates, 3000, 1500, Objectives()
    )
    if kind == "hub":
        requirement = replace(requirement, speakers=dice.choice((None, 1, 2)))
    paths = []
    for a, b in pairs:
        for k, hops in enumerate(_disjoint(topology, ends[a].node, ends[b].node, dice.randint(1, 3))):
            nodes = (ends[a].node, *(hop.next_node for hop in hops))
            role = ("primary", "backup", "backup-2")[k]
            paths.append(PlannedPath(role, a, b, nodes, hops, *rates, None, None, 0.001))
    return Decision(requirement, True, tuple(paths))


def _disjoint(topology: Topology, start: str, end: str, count: int) -> list[tuple[Hop, ...]]:
    """Up to `count` paths that share no link, interior switch or risk group; a single empty one on one switch."""
    graph: Any = nx.MultiGraph()
    graph.add_edges_from((link.a, link.b, name) for name, link in topology.links.items())
    found: list[tuple[Hop, ...]] = []
    while start != end and len(found) < count and nx.has_path(graph, start, end):
        nodes = nx.shortest_path(graph, start, end)
        hops = tuple(Hop(min(graph[a][b]), a, b) for a, b in pairwise(nodes))
        found.append(hops)
        used = {hop.link for hop in hops}
        groups = frozenset[str]().union(*(topology.links[link].risk_groups for link in used))
        graph.remove_nodes_from(nodes[1:-1])
        gone = used | {name for name, link in topology.links.items() if link.risk_groups & groups}
        graph.remove_edges_from([edge for edge in graph.edges(keys=True) if edge[2] in gone])
    return found or [()]


Mutation = Callable[[SwitchProgram, random.Random], SwitchProgram | None]


def mutate(program: Program, name: str, seed: int) -> Program | None:
    """The program with one fault of that kind at a random place; None where there is nothing to break in that way."""
    dice = random.Random(f"{name}-{seed}")
    nodes = sorted(program)
    dice.shuffle(nodes)
    for node in nodes:
        broken = {**MUTATIONS, **TREE_MUTATIONS}[name](program[node], dice)
        if broken is not None and broken != program[node]:
            return {**program, node: broken}
    return None


def _own(switch: SwitchProgram) -> list[FlowRule]:
    return [rule for rule in switch.flows if slice_number(rule.cookie)]


def _flow(switch: SwitchProgram, old: FlowRule, *new: FlowRule) -> SwitchProgram:
    return replace(switch, flows=(*(rule for rule in switch.flows if rule != old), *new))


def _actions(switch, dice, kind, change, rules=None):
    """Change one action of `kind` in a rule, or in a bucket of a group."""
    places: list[object] = [rule for rule in (rules or _own(switch)) if any(isinstance(a, kind) for a in rule.actions)]
    places += [
        (group, i)
        for group in switch.groups
        for i, bucket in enumerate(group.buckets)
        if any(isinstance(action, kind) for action in bucket.actions)
    ]
    if not places:
        return None
    place = dice.choice(places)
    if isinstance(place, FlowRule):
        return _flow(switch, place, replace(place, actions=_changed(place.actions, kind, change)))
    group, i = place
    bucket = replace(group.buckets[i], actions=_changed(group.buckets[i].actions, kind, change))
    return _group(switch, group, replace(group, buckets=(*group.buckets[:i], bucket, *group.buckets[i + 1 :])))


def _changed(actions, kind, change):
    made = [change(action) if isinstance(action, kind) else action for action in actions]
    return tuple(action for action in made if action is not None)


def _group(switch: SwitchProgram, old: Group, new: Group | None) -> SwitchProgram:
    groups = [group for group in switch.groups if group.id != old.id]
    return replace(switch, groups=(*groups, new) if new is not None else tuple(groups))


def _failover(switch: SwitchProgram, dice: random.Random) -> Group | None:
    groups = [group for group in switch.groups if group.type == "fast-failover"]
    return dice.choice(groups) if groups else None


def _wrong_port(switch, dice):
    return _actions(switch, dice, Output, lambda a: a if a.port == IN_PORT else Output(a.port % 5 + 1))


def _wrong_watch(switch, dice):
    group = _failover(switch, dice)
    if group is None:
        return None
    i = dice.randrange(len(group.buckets))
    wrong = replace(group.buckets[i], watch_port=(group.buckets[i].watch_port or 0) % 6 + 1)
    return _group(switch, group, replace(group, buckets=(*group.buckets[:i], wrong, *group.buckets[i + 1 :])))


def _dropped_bucket(switch, dice):
    groups = [group for group in switch.groups if len(group.buckets) > 1]
    if not groups:
        return None
    group = dice.choice(groups)
    gone = dice.randrange(len(group.buckets))
    return _group(switch, group, replace(group, buckets=group.buckets[:gone] + group.buckets[gone + 1 :]))


def _swapped_buckets(switch, dice):
    group = _failover(switch, dice)
    return None if group is None else _group(switch, group, replace(group, buckets=group.buckets[::-1]))


def _missing_group(switch, dice):
    return None if not switch.groups else _group(switch, dice.choice(switch.groups), None)


def _missing_rule(switch, dice):
    rules = list(switch.flows)
    return _flow(switch, dice.choice(rules)) if rules else None


def _shadowing_rule(switch, dice):
    """A rule of another slice, of no slice, or a broader one, above a rule that is in use."""
    if not _own(switch):
        return None
    rule = dice.choice(_own(switch))
    match = dice.choice((rule.match, replace(rule.match, ip_dst=None, mpls_tc=None)))
    actions = dice.choice(((), (Output(1),), rule.actions))
    cookie = dice.choice((rule.cookie, rule.cookie + 7))
    return replace(
        switch, flows=(*switch.flows, replace(rule, priority=60_000, match=match, actions=actions, cookie=cookie))
    )


def _rival_rule(switch, dice):
    rules = [rule for rule in _own(switch) if rule.table == CLASSIFY]
    if not rules:
        return None
    rule = dice.choice(rules)
    match = replace(rule.match, ip_src=None)
    return replace(switch, flows=(*switch.flows, replace(rule, match=match, actions=(Output(2),))))


def _leaked_label(switch, dice):
    rules = [rule for rule in _own(switch) if rule.table == CORE]
    if not rules:
        return None
    rule = dice.choice(rules)
    match = replace(rule.match, mpls_label=dice.choice((150_000, (rule.match.mpls_label or 0) + 1000)))
    return replace(switch, flows=(*switch.flows, replace(rule, match=match)))


def _wrong_label(switch, dice):
    return _actions(switch, dice, SetMplsLabel, lambda a: SetMplsLabel(a.label + dice.choice((1, 2, 500))))


def _broad_core(switch, dice):
    rules = [rule for rule in _own(switch) if rule.table == CORE and rule.match.mpls_tc is None]
    if not rules:
        return None
    rule = dice.choice(rules)
    return _flow(switch, rule, replace(rule, match=replace(rule.match, in_port=None)))


def _loop(switch, dice):
    """A core rule, or a group's buckets, that send everything back."""
    groups = [group for group in switch.groups if group.type == "fast-failover"]
    rules = [rule for rule in _own(switch) if rule.table == CORE]
    if groups and dice.random() < 0.5:
        group = dice.choice(groups)
        back = replace(group.buckets[0], actions=(Output(IN_PORT),))
        return _group(switch, group, replace(group, buckets=(back, *group.buckets[1:])))
    if not rules:
        return None
    rule = dice.choice(rules)
    return _flow(
        switch, rule, replace(rule, actions=(*(a for a in rule.actions if isinstance(a, SetQueue)), Output(IN_PORT)))
    )


def _meter(change):
    def broken(switch, dice):
        if not switch.meters:
            return None
        meter = dice.choice(switch.meters)
        changed = change(meter)
        rest = tuple(item for item in switch.meters if item != meter)
        return replace(switch, meters=(*rest, *changed))

    return broken


def _queue(change, *, best_effort=False):
    def broken(switch, dice):
        ports = [port for port in switch.ports if len(port.queues) > 1]
        if not ports:
            return None
        port = dice.choice(ports)
        queue = port.queues[0] if best_effort else dice.choice(port.queues[1:])
        rest = tuple(item for item in port.queues if item != queue)
        wrong = replace(port, queues=(*rest, *change(queue, port)))
        return replace(switch, ports=(*(item for item in switch.ports if item != port), wrong))

    return broken


def _overbooked(queue, port: PortQos):
    return (replace(queue, min_rate_bps=port.max_rate_bps), replace(queue, id=9_000, min_rate_bps=100_000, slice="x"))


def _port_rate(switch, dice):
    if not switch.ports:
        return None
    port = dice.choice(switch.ports)
    wrong = replace(port, max_rate_bps=port.max_rate_bps * 2)
    return replace(switch, ports=(*(item for item in switch.ports if item != port), wrong))


def _no_watch(switch, dice):
    watches = list(switch.watches)
    if not watches:
        return None
    watches.remove(dice.choice(watches))
    return replace(switch, watches=tuple(watches))


def _open_edge(switch, dice):
    port = dice.randrange(1, 6)
    rule = dice.choice(switch.flows)
    return replace(switch, flows=(*switch.flows, FlowRule(0, 2500, Match(in_port=port), rule.actions, rule.cookie)))


def _further(add, tables=(CLASSIFY, CORE)):
    """More actions at the end of a rule, or at its start where `add` says so."""

    def broken(switch, dice):
        rules = [rule for rule in _own(switch) if rule.table in tables]
        if not rules:
            return None
        rule = dice.choice(rules)
        actions = add(rule, switch)
        return None if actions is None else _flow(switch, rule, replace(rule, actions=actions))

    return broken


def _policed_again(rule, switch):
    return (ToMeter(switch.meters[0].id), *rule.actions) if switch.meters else None


def _dscp_of_arp(rule, _):
    if rule.match.eth_type != 0x0806:
        return None
    return tuple(
        action for old in rule.actions for action in ((old, SetDscp(8)) if isinstance(old, ToMeter) else (old,))
    )


def _own_admission(switch, dice):
    """A slice's rule lets everything in at its port, whatever address it claims."""
    rules = [rule for rule in _own(switch) if rule.table == CLASSIFY]
    if not rules:
        return None
    rule = dice.choice(rules)
    match = Match(in_port=rule.match.in_port, eth_type=rule.match.eth_type)
    return replace(switch, flows=(*switch.flows, FlowRule(PORTS, 2500, match, (GotoTable(CLASSIFY),), rule.cookie)))


MUTATIONS: dict[str, Mutation] = {
    "copy to an unknown port": _further(lambda rule, _: (*rule.actions, Output(99))),
    "copy back": _further(lambda rule, _: (*rule.actions, Output(IN_PORT)), tables=(CORE,)),
    "policed again": _further(_policed_again, tables=(CORE,)),
    "DSCP of ARP": _further(_dscp_of_arp),
    "own admission": _own_admission,
    "wrong port": _wrong_port,
    "missing pop": lambda s, d: _actions(s, d, PopMpls, lambda _: None),
    "wrong pop": lambda s, d: _actions(s, d, PopMpls, lambda a: PopMpls(0x0806 if a.eth_type == 0x0800 else 0x0800)),
    "swapped queue": lambda s, d: _actions(s, d, SetQueue, lambda a: SetQueue(a.queue + 1)),
    "missing queue": lambda s, d: _actions(s, d, SetQueue, lambda _: None),
    "wrong dscp": lambda s, d: _actions(s, d, SetDscp, lambda a: SetDscp(a.dscp ^ 8)),
    "missing dscp": lambda s, d: _actions(s, d, SetDscp, lambda _: None),
    "wrong mac": lambda s, d: _actions(s, d, SetEthDst, lambda _: SetEthDst("02:00:00:00:00:ee")),
    "wrong label": _wrong_label,
    "wrong meter": lambda s, d: _actions(s, d, ToMeter, lambda a: ToMeter(a.meter + 1)),
    "no meter": lambda s, d: _actions(s, d, ToMeter, lambda _: None),
    "meter rate": _meter(lambda m: (replace(m, rate_kbps=m.rate_kbps * 2),)),
    "meter gone": _meter(lambda _: ()),
    "meter leaked": _meter(lambda m: (m, replace(m, id=m.id + 100_000))),
    "wrong watch port": _wrong_watch,
    "dropped bucket": _dropped_bucket,
    "swapped buckets": _swapped_buckets,
    "missing group": _missing_group,
    "missing rule": _missing_rule,
    "shadowing rule": _shadowing_rule,
    "rival rule": _rival_rule,
    "leaked label": _leaked_label,
    "broad core rule": _broad_core,
    "loop": _loop,
    "floor too low": _queue(lambda q, _: (replace(q, min_rate_bps=q.min_rate_bps // 2),)),
    "queue gone": _queue(lambda q, _: ()),
    "queue leaked": _queue(lambda q, _: (q, replace(q, id=q.id + 500, min_rate_bps=16_000))),
    "queue priority": _queue(lambda q, _: (replace(q, priority=7),)),
    "queue burst": _queue(lambda q, _: (replace(q, burst_bits=12_000),)),
    "best effort starved": _queue(lambda q, _: (replace(q, min_rate_bps=1),), best_effort=True),
    "capacity overbooked": _queue(_overbooked),
    "port rate": _port_rate,
    "no watch": _no_watch,
    "open edge": _open_edge,
}


def three_lanes() -> World:
    """One slice between two switches, over three paths of three links each."""
    names = ("s", "t", *(f"{side}{k}" for k in range(3) for side in "ab"))
    nodes = {name: Node(name, number) for number, name in enumerate(names, start=1)}
    links = {}
    paths = []
    for k, role in enumerate(("primary", "backup", "backup-2")):
        way = ("s", f"a{k}", f"b{k}", "t")
        for (a, b), ports in zip(pairwise(way), ((k + 1, 1), (2, 1), (2, k + 1)), strict=True):
            links[a + b] = Link(a + b, a, b, *ports, 1000 * MBIT, 0.001)
        hops = tuple(Hop(a + b, a, b) for a, b in pairwise(way))
        paths.append(PlannedPath(role, "e", "f", way, hops, 10 * MBIT, 10 * MBIT, None, None, 0.001))
    ends = {
        name: Endpoint(name, node, 9, ip_network(f"10.0.0.{i}/32"), 1000 * MBIT)
        for i, (name, node) in enumerate((("e", "s"), ("f", "t")), start=1)
    }
    requirement = Requirement(
        "x", "t", "test", "telephony", 1, "point-to-point", (Pair(ends["e"], ends["f"]),), 10 * MBIT, 10 * MBIT, 3000,
        1500, Objectives(),
    )  # fmt: skip
    decision = Decision(requirement, True, tuple(paths))
    return World(Topology("three", nodes, links, ends, {}), [(decision, allocate(decision, []))])


def tree_world(seed: int) -> World:
    """A world with one slice, planned: the same to several receivers, each with a backup. It may be refused: none."""
    dice = random.Random(seed)
    topology = world(seed).topology
    ends = topology.endpoints
    source, *others = dice.sample(sorted(ends), min(len(ends), dice.randint(3, 6)))
    pairs = tuple(Pair(ends[source], ends[other]) for other in others)
    objectives = Objectives(delay_s=dice.choice((None, 0.2)))
    requirement = Requirement(
        "lesson", "t", "test", "realtime-interactive", 1, "point-to-multipoint", pairs, 10 * MBIT,
        dice.choice((0, 2 * MBIT)), 3000, 1500, objectives, protection="required",
    )  # fmt: skip
    decision = plan(topology, [requirement]).decisions[0]
    return World(topology, [(decision, allocate(decision, []))] if decision.admitted else [])


def _failover_of_trees(switch: SwitchProgram) -> list[Group]:
    """Groups with a way back under another label, or to copies: those of trees only."""
    return [
        group
        for group in switch.groups
        if group.type == "fast-failover"
        and any(isinstance(action, (SetMplsLabel, ToGroup)) for action in group.buckets[-1].actions)
        and not isinstance(group.buckets[0].actions[0], SetMplsLabel)
    ]


def _tree_bucket(change):
    """Change the second bucket of a branch: what happens when its link is dead."""

    def broken(switch, dice):
        groups = _failover_of_trees(switch)
        if not groups:
            return None
        group = dice.choice(groups)
        buckets = change(group.buckets)
        return None if buckets is None else _group(switch, group, replace(group, buckets=buckets))

    return broken


def _copies(change):
    """Change a group that makes copies."""

    def broken(switch, dice):
        groups = [group for group in switch.groups if group.type == "all"]
        if not groups:
            return None
        group = dice.choice(groups)
        return _group(switch, group, replace(group, buckets=change(group.buckets, dice)))

    return broken


def _branch_unguarded(switch, dice):
    """Where copies are made, a branch goes straight to its port."""
    places = [
        (group, i, inner)
        for group in switch.groups
        for i, bucket in enumerate(group.buckets)
        for inner in _failover_of_trees(switch)
        if group.type == "all" and ToGroup(inner.id) in bucket.actions
    ]
    if not places:
        return None
    group, i, inner = dice.choice(places)
    buckets = (*group.buckets[:i], Bucket(inner.buckets[0].actions), *group.buckets[i + 1 :])
    return _group(switch, group, replace(group, buckets=buckets))


def _turn_label(buckets, change):
    actions = tuple(SetMplsLabel(change(a.label)) if isinstance(a, SetMplsLabel) else a for a in buckets[1].actions)
    return None if actions == buckets[1].actions else (buckets[0], replace(buckets[1], actions=actions))


def _waiting_for_a_link(buckets):
    """The source's switch makes its copies only while some other port lives."""
    if not any(isinstance(action, ToGroup) for action in buckets[1].actions):
        return None
    return (buckets[0], replace(buckets[1], watch_port=(buckets[1].watch_port or 0) % 3 + 1))


TREE_MUTATIONS: dict[str, Mutation] = {
    "turns under the tree's label": _tree_bucket(lambda b: _turn_label(b, lambda label: label - 4)),
    "turns under another link's label": _tree_bucket(lambda b: _turn_label(b, lambda label: label + 2)),
    "no way back": _tree_bucket(lambda b: b[:1]),
    "back before onward": _tree_bucket(lambda b: b[::-1]),
    "onward over the dead link": _tree_bucket(lambda b: (b[0], replace(b[0], watch_port=b[1].watch_port))),
    "branch without failover": _branch_unguarded,
    "copies that wait for a link": _tree_bucket(_waiting_for_a_link),
    "receiver left out": _copies(lambda b, d: (lambda i: b[:i] + b[i + 1 :])(d.randrange(len(b)))),
    "copy doubled": _copies(lambda b, d: (*b, d.choice(b))),
    "one floor for two trees": _queue(lambda q, _: (replace(q, min_rate_bps=q.min_rate_bps - 10 * MBIT),)),
    "wrong branch label": lambda s, d: _actions(s, d, SetMplsLabel, lambda a: SetMplsLabel(a.label ^ 1)),
    "rule of a branch gone": lambda s, d: _missing_own(s, d),
}
"""Faults that only trees can have, or that hit their parts."""


def _missing_own(switch, dice):
    rules = [rule for rule in _own(switch) if rule.table == CORE]
    return _flow(switch, dice.choice(rules)) if rules else None
