"""What the planner admits on a bundled network is what the switches get: same floors, every pair served."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from carelane.controller.pipeline import plan, resolve
from carelane.controller.pipeline.compile import compile_program
from carelane.controller.pipeline.diff import diff
from carelane.controller.pipeline.identifiers import allocate
from carelane.controller.southbound.simulator import Packet, Simulator
from carelane.intents import parse_line
from carelane.topology import load_topology

LEAST_FLOOR_BPS = 16_000


@pytest.fixture(scope="module")
def planned():
    topology = load_topology("zhoushan")
    names = list(topology.endpoints)
    teacher, *others = names
    pairs = {frozenset((names[(k * 7) % len(names)], names[(k * 13 + 5) % len(names)])) for k in range(60)}
    lines = [
        parse_line("video conference", source=(a,), to=(b,), name=f"v{i}")
        for i, (a, b) in enumerate(sorted(sorted(pair) for pair in pairs if len(pair) == 2 and teacher not in pair))
    ]
    lines.append(parse_line("remote teaching", source=(teacher,), to=tuple(others[20:200:40]), name="lesson"))
    return topology, plan(topology, [resolve(line, topology) for line in lines])


def test_every_floor_in_the_ledger_is_a_queue_on_a_switch(planned):
    topology, result = planned
    slices = number(result)
    program = compile_program(topology, slices)
    ports = {(link.a, link.id): (link.a, link.a_port) for link in topology.links.values()}
    ports |= {(link.b, link.id): (link.b, link.b_port) for link in topology.links.values()}
    ports |= {(end.node, end.id): (end.node, end.port) for end in topology.endpoints.values()}
    promised = {
        (*ports[place], name): max(floor, LEAST_FLOOR_BPS)
        for place, floors in result.ledger.floors.items()
        for name, floor in floors.items()
        if place in ports
    }
    programmed = {
        (node, port.port, queue.slice): queue.min_rate_bps
        for node, switch in program.items()
        for port in switch.ports
        for queue in port.queues
        if queue.slice
    }
    assert len(promised) > 300
    assert programmed == promised


def test_every_admitted_pair_is_served_in_both_directions(planned):
    topology, result = planned
    slices = number(result)
    simulator = Simulator(topology)
    for node, wanted in compile_program(topology, slices).items():
        simulator.apply(diff(simulator.read(node).own, wanted))
    for decision, ids in slices:
        for pair in decision.requirement.pairs:
            rates = (decision.requirement.forward_bps, decision.requirement.reverse_bps)
            ways = ((pair.source, pair.destination), (pair.destination, pair.source))
            for (origin, target), rate in zip(ways, rates, strict=True):
                walk = simulator.send(origin.id, packet(origin, target))
                assert walk.reached == ([target.id] if rate else [])
                assert walk.queues <= {ids.number}


def number(result):
    slices = []
    for decision in result.decisions:
        if decision.admitted:
            slices.append((decision, allocate(decision, [ids for _, ids in slices])))
    assert len(slices) > 40
    return slices


def packet(origin, target):
    addresses = [str(ip_network(str(end.address)).network_address) for end in (origin, target)]
    return Packet(ip_src=addresses[0], ip_dst=addresses[1], eth_src=origin.mac or "02:00:00:00:00:ff")
