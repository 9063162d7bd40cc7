"""Random networks and slices: everyone gets exactly their own packets, whatever else is installed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_network
from itertools import pairwise
from typing import Any

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from carelane.controller.pipeline.compile import compile_program
from carelane.controller.pipeline.diff import diff
from carelane.controller.pipeline.identifiers import allocate, multicast_address, slice_number
from carelane.controller.pipeline.program import SliceIds, SwitchProgram
from carelane.controller.pipeline.requirement import Objectives, Pair, Requirement
from carelane.controller.pipeline.slice_plan import Decision, PlannedPath
from carelane.controller.southbound.simulator import Packet, Simulator
from carelane.policies.classes import CLASSES
from carelane.topology.model import Endpoint, Hop, Link, Node, Topology

CAPACITY_BPS = 10_000_000_000


@dataclass(frozen=True)
class World:
    topology: Topology
    slices: list[tuple[Decision, SliceIds]]


@st.composite
def topologies(draw):
    size = draw(st.integers(2, 6))
    nodes = [f"n{i}" for i in range(size)]
    joins = [(draw(st.integers(0, i - 1)), i) for i in range(1, size)]
    joins += draw(st.lists(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)), max_size=6))
    ports = dict.fromkeys(nodes, 0)

    def port(node):
        ports[node] += 1
        return ports[node]

    links = {
        f"l{i}": Link(f"l{i}", nodes[a], nodes[b], port(nodes[a]), port(nodes[b]), CAPACITY_BPS)
        for i, (a, b) in enumerate(joins)
        if a != b
    }
    endpoints = {}
    for i in range(draw(st.integers(3, 6))):
        node = draw(st.sampled_from(nodes))
        mac = f"02:00:00:00:00:{i:02x}" if draw(st.booleans()) else None
        endpoints[f"e{i}"] = Endpoint(f"e{i}", node, port(node), ip_network(f"10.0.0.{i}/32"), CAPACITY_BPS, mac)
    return Topology("random", {n: Node(n, i + 1) for i, n in enumerate(nodes)}, links, endpoints, {})


def routes(topology: Topology, start: str, end: str) -> list[tuple[Hop, ...]]:
    """A shortest path and, where there is one, another that shares no link with it."""
    graph: Any = nx.MultiGraph()
    graph.add_nodes_from(topology.nodes)
    graph.add_edges_from((link.a, link.b, name) for name, link in topology.links.items())
    found: list[tuple[Hop, ...]] = []
    while start != end and nx.has_path(graph, start, end) and len(found) < 2:
        nodes = nx.shortest_path(graph, start, end)
        hops = tuple(Hop(min(graph[a][b]), a, b) for a, b in pairwise(nodes))
        graph.remove_edges_from([(hop.node, hop.next_node, hop.link) for hop in hops])
        found.append(hops)
    return found or [()]


def decide(topology, name, connectivity, pairs, traffic_class, forward_bps, reverse_bps) -> Decision:
    ends = topology.endpoints
    requirement = Requirement(
        name,
        "t",
        "test",
        traffic_class,
        1,
        connectivity,
        tuple(Pair(ends[a], ends[b]) for a, b in pairs),
        forward_bps,
        reverse_bps,
        3000,
        1500,
        Objectives(),
    )
    paths = []
    for a, b in pairs:
        for i, hops in enumerate(routes(topology, ends[a].node, ends[b].node)):
            nodes = (ends[a].node, *(hop.next_node for hop in hops))
            role = "backup" if i else "primary"
            paths.append(PlannedPath(role, a, b, nodes, hops, forward_bps, reverse_bps, None, None, 0.001))
    return Decision(requirement, True, tuple(paths))


@st.composite
def worlds(draw):
    topology = draw(topologies())
    names = list(topology.endpoints)
    slices: list[tuple[Decision, SliceIds]] = []
    taken: set[frozenset[str]] = set()
    for i in range(draw(st.integers(1, 4))):
        connectivity = draw(st.sampled_from(["point-to-point", "point-to-multipoint", "hub"]))
        centre, *others = draw(st.permutations(names))
        others = others[: 1 if connectivity == "point-to-point" else draw(st.integers(1, 3))]
        others = [other for other in others if frozenset((centre, other)) not in taken]
        if not others:
            continue
        taken |= {frozenset((centre, other)) for other in others}
        pairs = [(other, centre) if connectivity == "hub" else (centre, other) for other in others]
        forward_bps, reverse_bps = draw(st.sampled_from([(5_000_000, 1_000_000), (1_000_000, 0), (0, 7)]))
        traffic_class = draw(st.sampled_from(list(CLASSES)))
        decision = decide(topology, f"slice{i}", connectivity, pairs, traffic_class, forward_bps, reverse_bps)
        slices.append((decision, allocate(decision, [ids for _, ids in slices])))
    return World(topology, slices)


def installed(world: World) -> Simulator:
    simulator = Simulator(world.topology)
    for node, wanted in compile_program(world.topology, world.slices).items():
        simulator.apply(diff(simulator.read(node).own, wanted))
    return simulator


def packet(world: World, source: str, to: str | None, kind: int = 0x0800) -> Packet:
    ends = world.topology.endpoints
    mac = ends[source].mac or "02:00:00:00:00:ff"
    addresses = [str(ends[name].address).split("/")[0] if name else None for name in (source, to)]
    return Packet(kind, addresses[0], addresses[1], eth_src=mac)


def admitted(world: World) -> dict[tuple[str, str], tuple[int, Decision]]:
    """Who may send to whom, and in which slice."""
    allowed = {}
    for decision, ids in world.slices:
        for pair in decision.requirement.pairs:
            if decision.requirement.forward_bps:
                allowed[(pair.source.id, pair.destination.id)] = (ids.number, decision)
            if decision.requirement.reverse_bps:
                allowed[(pair.destination.id, pair.source.id)] = (ids.number, decision)
    return allowed


@given(worlds())
@settings(max_examples=60, deadline=None)
def test_packets_reach_exactly_whom_a_slice_names_through_its_own_queue(world):
    simulator, allowed = installed(world), admitted(world)
    for source in world.topology.endpoints:
        for to in world.topology.endpoints:
            walk = simulator.send(source, packet(world, source, to))
            if (source, to) not in allowed:
                assert walk.reached == []
                continue
            assert walk.reached == [to]
            assert walk.queues == {allowed[(source, to)][0]}
            asking = simulator.send(source, packet(world, source, to, 0x0806))
            assert asking.reached == ([to] if (to, source) in allowed else [])


@given(worlds())
@settings(max_examples=40, deadline=None)
def test_trees_deliver_once_to_every_receiver_and_to_nobody_else(world):
    simulator = installed(world)
    for decision, ids in world.slices:
        requirement = decision.requirement
        if requirement.connectivity != "point-to-multipoint" or not requirement.forward_bps:
            continue
        group = str(multicast_address(ids))
        for name in world.topology.endpoints:
            walk = simulator.send(name, replace(packet(world, name, None), ip_dst=group))
            expected = sorted(pair.destination.id for pair in requirement.pairs)
            assert walk.reached == (expected if name == requirement.pairs[0].source.id else [])
            assert walk.queues <= {ids.number}
            assert all(copy.outcome != "looped" for copy in walk.copies)


@given(worlds(), st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_protected_pair_survives_the_loss_of_any_link_of_its_path(world, silent):
    simulator, allowed = installed(world), admitted(world)
    for (source, to), (number, decision) in allowed.items():
        paths = [path for path in decision.paths if {path.source, path.to} == {source, to}]
        if len(paths) < 2:
            continue
        for hop in paths[0].hops:
            simulator.set_link(hop.link, up=False, silent=silent)
            walk = simulator.send(source, packet(world, source, to))
            assert (walk.reached, walk.queues) == ([to], {number})
            simulator.set_link(hop.link, up=True, silent=silent)


@given(worlds(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_programs_do_not_depend_on_the_order_of_slices(world, random):
    shuffled = list(world.slices)
    random.shuffle(shuffled)
    assert compile_program(world.topology, shuffled) == compile_program(world.topology, world.slices)


@given(worlds())
@settings(max_examples=40, deadline=None)
def test_a_slice_comes_and_goes_without_touching_the_entries_of_others(world):
    before = compile_program(world.topology, world.slices[:-1])
    after = compile_program(world.topology, world.slices)
    newcomer = world.slices[-1][1] if world.slices else SliceIds(0, 0, 0)
    for node, switch in after.items():
        kept = tuple(rule for rule in switch.flows if slice_number(rule.cookie) != newcomer.number)
        assert kept == before[node].flows if world.slices else switch.flows
        labels = range(newcomer.first_label, newcomer.first_label + newcomer.labels)
        assert [group for group in switch.groups if group.id & 0xFFFFF not in labels] == list(before[node].groups)
        assert [meter for meter in switch.meters if meter.id not in labels] == list(before[node].meters)
        old_queues = {(port.port, queue) for port in before[node].ports for queue in port.queues}
        assert old_queues <= {(port.port, queue) for port in switch.ports for queue in port.queues}


@given(worlds())
@settings(max_examples=20, deadline=None)
def test_withdrawing_everything_leaves_only_the_ground_rules(world):
    simulator = installed(world)
    bare = compile_program(world.topology, [])
    for node, wanted in bare.items():
        simulator.apply(diff(simulator.read(node).own, wanted))
        own = simulator.read(node).own
        assert own == wanted
        assert own == SwitchProgram(node, wanted.dpid, own.flows, watches=own.watches)
        assert all(slice_number(rule.cookie) == 0 for rule in own.flows)
