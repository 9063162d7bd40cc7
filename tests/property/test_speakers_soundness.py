"""Consultations of which some sites speak at once: no packet is later than its bound, and the reservation is whole.

The sites send whatever their own buckets and those of so many speakers together let through, taking turns as badly as
chance will have it; every queue serves at its floor and rests for as long as a frame of somebody else takes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_network
from random import Random
from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st
from queue_simulation import Queue, Source, first_come, simulate

from carelane.controller.pipeline import plan
from carelane.controller.pipeline.certificate import least_cost
from carelane.controller.pipeline.compile import compile_program
from carelane.controller.pipeline.identifiers import allocate
from carelane.controller.pipeline.lane import LaneGraph
from carelane.controller.pipeline.requirement import Objectives, Pair, Requirement
from carelane.controller.pipeline.slice_plan import Decision, PlannedPath
from carelane.controller.pipeline.speakers import shared_ports
from carelane.controller.pipeline.verify import verify_program
from carelane.topology.delay import FRAME_BYTES
from carelane.topology.ledger import CapacityLedger, PortKey
from carelane.topology.model import Endpoint, Link, Node, Topology

LONGEST = 1500
PACKETS = 80


@dataclass(frozen=True)
class Consultation:
    topology: Topology
    requirement: Requirement
    seed: int


@st.composite
def consultations(draw: st.DrawFn) -> Consultation:
    """A tree of up to seven switches under the hub's, or a ring, with three to six sites, lines from narrow to wide."""
    count = draw(st.integers(2, 7))
    nodes = [Node(f"n{index}", index + 1) for index in range(count)]
    above = [draw(st.integers(max(0, index - 2), index - 1)) for index in range(1, count)]
    mbps = st.sampled_from([20, 40, 100, 1000])
    links = [
        Link(f"l{low}", f"n{low}", f"n{high}", 1, 100 + low, draw(mbps) * 10**6, 0.0)
        for low, high in enumerate(above, 1)
    ]
    ring = draw(st.booleans())
    if ring:
        links.append(Link("back", f"n{count - 1}", "n0", 2, 99, draw(mbps) * 10**6, 0.0))
    places = draw(st.lists(st.integers(1, count - 1), min_size=3, max_size=6))
    hub = Endpoint("hub", "n0", 1, capacity_bps=10**9)
    sites = [
        Endpoint(f"site{number}", f"n{place}", 200 + number, capacity_bps=draw(mbps) * 10**6)
        for number, place in enumerate(places)
    ]
    topology = Topology(
        "tree",
        MappingProxyType({node.id: node for node in nodes}),
        MappingProxyType({link.id: link for link in links}),
        MappingProxyType({end.id: end for end in (hub, *sites)}),
        MappingProxyType({}),
    )
    requirement = Requirement(
        name="consultation",
        tenant="t",
        service="remote-consultation",
        traffic_class="multimedia-conferencing",
        priority=6,
        connectivity="hub",
        pairs=tuple(Pair(site, hub) for site in sites),
        forward_bps=draw(st.integers(1, 5)) * 10**6,
        reverse_bps=draw(st.sampled_from([0, 10**6, 3 * 10**6])),
        burst_bytes=draw(st.sampled_from([1500, 3000, 9000, 40_000])),
        max_packet_bytes=LONGEST,
        objectives=Objectives(),
        protection=draw(st.sampled_from(["none", "required"])) if ring else "none",
        speakers=draw(st.none() | st.integers(1, len(places) - 1) | st.integers(1, len(places) - 1)),
    )
    return Consultation(topology, requirement, draw(st.integers(0, 2**32)))


def in_turns(
    dice: Random, flows: list[str], together: int, rate: float, burst: float
) -> dict[str, list[tuple[float, float]]]:
    """Packets (time, bits) of each flow: each conforms to its own bucket, and all of them to `together` buckets."""
    sent: dict[str, list[tuple[float, float]]] = {flow: [] for flow in flows}
    tokens, since = dict.fromkeys(flows, burst), dict.fromkeys(flows, 0.0)
    everybody, now = together * burst, 0.0
    speaking = dice.sample(flows, min(together, len(flows)))
    for _ in range(PACKETS):
        if dice.random() < 0.15:
            speaking = dice.sample(flows, min(together, len(flows)))
        flow = dice.choice(speaking if dice.random() < 0.8 else flows)
        size = 8.0 * (LONGEST if dice.random() < 0.8 else dice.randint(64, LONGEST))
        own = min(burst, tokens[flow] + (now - since[flow]) * rate)
        wait = max(0.0, (size - own) / rate, (size - everybody) / (together * rate))
        if dice.random() < 0.03:
            wait += burst / rate  # a pause fills the buckets again
        now += wait
        tokens[flow], since[flow] = min(burst, own + wait * rate) - size, now
        everybody = min(together * burst, everybody + wait * together * rate) - size
        sent[flow].append((now, size))
    return sent


def ports_of(path: PlannedPath, topology: Topology, *, forward: bool) -> tuple[PortKey, ...]:
    if forward:
        return (*((hop.node, hop.link) for hop in path.hops), (topology.endpoints[path.to].node, path.to))
    return (
        *((hop.next_node, hop.link) for hop in reversed(path.hops)),
        (topology.endpoints[path.source].node, path.source),
    )


def queue(topology: Topology, ledger: CapacityLedger, port: PortKey, dice: Random) -> Queue:
    name = port[1]
    capacity = (topology.links[name] if name in topology.links else topology.endpoints[name]).capacity_bps or 0
    latency = 8 * FRAME_BYTES / capacity
    lazy = dice.random() < 0.5
    return Queue(float(ledger.reserved_bps(port)), lambda: latency if lazy else dice.uniform(0, latency))


@settings(max_examples=60, deadline=None)
@given(consultations())
def test_no_packet_is_late_however_sites_take_turns(case: Consultation) -> None:
    """Both directions at once, each site on any one of its paths."""
    topology, asked, dice = case.topology, case.requirement, Random(case.seed)
    result = plan(topology, [asked])
    (decision,) = result.decisions
    for _ in range(4 if decision.admitted else 0):
        active = {path.source: path for path in dice.sample(decision.paths, len(decision.paths))}
        sources = {}
        for forward, rate in ((True, asked.forward_bps), (False, asked.reverse_bps)):
            if not rate:
                continue
            sent = in_turns(dice, sorted(active), asked.together, float(rate), 8.0 * asked.burst_bytes)
            for site, packets in sent.items():
                way = tuple(map("/".join, ports_of(active[site], topology, forward=forward)))
                if packets:
                    sources[f"{site} {forward}"] = Source(way, packets)
        ports = {
            port for path in active.values() for way in (True, False) for port in ports_of(path, topology, forward=way)
        }
        queues = {"/".join(port): queue(topology, result.ledger, port, dice) for port in sorted(ports)}
        order = sorted(sources)
        dice.shuffle(order)
        for flow, taken in simulate(sources, queues, first_come(order)).items():
            bound = active[flow.split()[0]].jitter_bound_s
            assert bound is not None
            assert taken <= bound + 1e-9


@settings(max_examples=60, deadline=None)
@given(consultations())
def test_the_switches_hold_what_the_ledger_does_and_each_port_so_many_rates(case: Consultation) -> None:
    addressed = _addressed(case)
    result = plan(addressed.topology, [addressed.requirement])
    (decision,) = result.decisions
    using = _sites_by_port(decision, addressed.topology)
    rates = {forward: max(_rates(decision, forward), default=0) for forward in (True, False)}
    for (node, name), sites in using.items():
        wanted = sum(min(len(sites[way]), addressed.requirement.together) * rates[way] for way in (True, False))
        assert result.ledger.reserved_bps((node, name)) == wanted
    if not decision.admitted:
        return
    ids = allocate(decision, [])
    program = compile_program(addressed.topology, [(decision, ids)])
    for node, name in using:
        if not result.ledger.reserved_bps((node, name)):
            continue
        links, ends = addressed.topology.links, addressed.topology.endpoints
        number = links[name].port_at(node) if name in links else ends[name].port
        (held,) = [q for port in program[node].ports if port.port == number for q in port.queues if q.id]
        assert held.min_rate_bps == max(16_000, result.ledger.reserved_bps((node, name)))
    assert not verify_program(addressed.topology, program, [(decision, ids)])
    graph = LaneGraph(addressed.topology)
    prices = [Random(case.seed + arc).random() for arc in range(len(graph.port_of))]
    paid = sum(result.ledger.reserved_bps(port) * price for port, price in zip(graph.port_of, prices, strict=True))
    cheapest = least_cost(graph, addressed.requirement, graph.array(prices))
    assert cheapest <= paid * (1 + 1e-9), "or a batch's bound would be too low"
    shared = {(port.node, port.link): port for port in shared_ports(decision)}
    for key, port in shared.items():
        assert result.ledger.reserved_bps(key) == port.reserved_bps
        assert port.sites > addressed.requirement.together


def _rates(decision: Decision, forward: bool) -> list[int]:
    return [path.reserved_bps if forward else path.reverse_bps for path in decision.paths]


def _sites_by_port(decision: Decision, topology: Topology) -> dict[PortKey, dict[bool, set[str]]]:
    using: dict[PortKey, dict[bool, set[str]]] = {}
    for path in decision.paths:
        for forward in (True, False):
            for port in ports_of(path, topology, forward=forward):
                using.setdefault(port, {True: set(), False: set()})[forward].add(path.source)
    return using


def _addressed(case: Consultation) -> Consultation:
    ends = {
        name: replace(end, address=ip_network(f"10.0.0.{number}/32"))
        for number, (name, end) in enumerate(case.topology.endpoints.items(), 1)
    }
    pairs = tuple(Pair(ends[p.source.id], ends[p.destination.id]) for p in case.requirement.pairs)
    topology = replace(case.topology, endpoints=MappingProxyType(ends))
    return Consultation(topology, replace(case.requirement, pairs=pairs), case.seed)
