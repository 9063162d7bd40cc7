"""Which counters tell about which site of which slice, and which meter and queues hold it. Pure.

A source is what one edge port sends into a slice in one direction (for point to multipoint: what the one meter at the
source polices, whoever receives it). Everything is read out of the compiled program, so that what is measured and
held is exactly what was installed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from carelane.controller.pipeline.ceilings import QueuePlace
from carelane.controller.pipeline.compile import CLASSIFY, CORE, Slice, Way, resolve_slice
from carelane.controller.pipeline.identifiers import CookieKind, cookie_of
from carelane.controller.pipeline.program import FlowRule, Program, SliceIds
from carelane.controller.pipeline.slice_plan import Decision
from carelane.controller.southbound.counters import FlowKey
from carelane.errors import PermanentError
from carelane.policies.shaping import Layout, SharePolicy, Source, kind_of
from carelane.topology.model import Topology

__all__ = ["EdgePort", "Tap", "Wiring", "wire"]

_ARP = 0x0806


@dataclass(frozen=True, slots=True)
class Tap:
    """Where one source is counted and held.

    `sent` are the counters at the ingress switch, `delivered` those at the switches that hand packets over. `queues`
    are the slice's at the first egress port of every path, `way` those at all of them. `line_bps` is what the edge
    port can carry (None: not stated).
    """

    source: Source
    slice: str
    tenant: str
    service: str
    site: str
    to: tuple[str, ...]
    forward: bool
    node: str
    port: int
    meter: int | None
    queues: tuple[QueuePlace, ...]
    way: tuple[QueuePlace, ...]
    sent: tuple[FlowKey, ...]
    delivered: tuple[tuple[str, FlowKey], ...]
    line_bps: int | None
    speakers: int | None = None
    """How many of the slice's sites speak at once, at most; None: all may."""

    @property
    def key(self) -> str:
        return self.source.key

    @property
    def nodes(self) -> frozenset[str]:
        """Switches that tell about it."""
        return frozenset({self.node, *(node for node, _ in self.delivered)})


@dataclass(frozen=True, slots=True)
class EdgePort:
    """An edge port with the counter of frames whose source address does not belong there."""

    node: str
    port: int
    endpoints: tuple[str, ...]
    spoofed: FlowKey


@dataclass(frozen=True, slots=True)
class Wiring:
    """Everything to watch. `taps` are in the order of the layout's sources."""

    taps: tuple[Tap, ...]
    layout: Layout
    edges: tuple[EdgePort, ...]

    @property
    def nodes(self) -> tuple[str, ...]:
        """Switches that have anything to tell, in order of name."""
        found = frozenset[str]().union(*(tap.nodes for tap in self.taps))
        return tuple(sorted(found | {edge.node for edge in self.edges}))


def wire(
    topology: Topology, slices: Iterable[tuple[Decision, SliceIds]], program: Program, policy: SharePolicy
) -> Wiring:
    """Taps of every slice that the program carries; one that does not fit the topology any more has none."""
    rules = _rules(program)
    ports = {_link(node, port.port): port for node, switch in program.items() for port in switch.ports}
    capacity = {name: port.max_rate_bps for name, port in ports.items()}
    # floors of backups that share may sum to more than the port; no more of them is ever in use
    reserved = {
        name: min(sum(queue.min_rate_bps for queue in port.queues), port.max_rate_bps) for name, port in ports.items()
    }
    placed = [(node, port) for node, switch in program.items() for port in switch.ports]
    queues = {(node, port.port, queue.id) for node, port in placed for queue in port.queues}
    taps: list[Tap] = []
    for decision, ids in slices:
        try:
            owner = resolve_slice(topology, decision, ids)
        except PermanentError:
            continue
        for ways in _by_source(owner):
            tap = _tap(topology, owner, ways, rules, capacity, policy)
            if tap is not None:
                first, way = (tuple(place for place in found if place in queues) for found in (tap.queues, tap.way))
                taps.append(replace(tap, queues=first, way=way))
    layout = Layout(tuple(tap.source for tap in taps), capacity, reserved)
    return Wiring(tuple(taps), layout, tuple(_edges(topology, program)))


def _by_source(owner: Slice) -> Iterator[list[Way]]:
    groups: defaultdict[tuple[str, int | None, int, bool], list[Way]] = defaultdict(list)
    for way in owner.ways:
        shared = owner.multipoint and way.forward
        groups[(way.origin.endpoint, way.meter, 0 if shared else way.pair, way.forward)].append(way)
    yield from groups.values()


def _tap(
    topology: Topology,
    owner: Slice,
    ways: Sequence[Way],
    rules: Mapping[tuple[str, int], list[FlowRule]],
    capacity: Mapping[str, int],
    policy: SharePolicy,
) -> Tap | None:
    first = ways[0]
    origin, requirement = first.origin, owner.requirement
    to = tuple(dict.fromkeys(way.target.endpoint for way in ways))
    steps = [(step.node, step.out_port) for way in ways for lane in way.lanes for step in lane.steps]
    exits = [(way.target.node, way.target.port) for way in ways]
    links = tuple(dict.fromkeys(_link(*place) for place in (*steps, *exits) if _link(*place) in capacity))
    if not links:
        return None
    starts = [
        (lane.steps[0].node, lane.steps[0].out_port) if lane.steps else (way.target.node, way.target.port)
        for way in ways
        for lane in way.lanes
    ]
    own = rules.get((origin.node, owner.ids.number), [])
    addresses = {str(way.target.address) for way in ways}
    shared = owner.multipoint and first.forward
    sent = tuple(
        (rule.cookie, *rule.key)
        for rule in own
        if rule.table == CLASSIFY
        and rule.match.eth_type != _ARP
        and rule.match.in_port == origin.port
        and (shared or rule.match.ip_dst in addresses)
    )
    labels = {(way.target.node, lane.label) for way in ways for lane in way.lanes}
    delivered = tuple(
        (node, (rule.cookie, *rule.key))
        for node in dict.fromkeys(way.target.node for way in ways)
        for rule in rules.get((node, owner.ids.number), [])
        if rule.table == CORE and rule.match.mpls_tc is None and (node, rule.match.mpls_label) in labels
    )
    source = Source(
        key=f"{owner.name}/{origin.endpoint}>{to[0] if len(to) == 1 else '*'}",
        kind=kind_of(owner.traffic_class),
        declared_bps=first.bucket.rate_kbps * 1000 if first.meter is not None else first.lanes[0].floor_bps,
        links=links,
        weight=policy.weight(owner.traffic_class.name, requirement.tenant, origin.endpoint),
    )
    return Tap(
        source,
        owner.name,
        requirement.tenant,
        requirement.service,
        origin.endpoint,
        to,
        first.forward,
        origin.node,
        origin.port,
        first.meter,
        tuple(dict.fromkeys((node, port, owner.ids.number) for node, port in starts)),
        tuple(dict.fromkeys((node, port, owner.ids.number) for node, port in (*steps, *exits))),
        sent,
        () if shared else delivered,
        topology.endpoints[origin.endpoint].capacity_bps,
        requirement.speakers,
    )


def _rules(program: Program) -> Mapping[tuple[str, int], list[FlowRule]]:
    """Rules of slices by node and slice number."""
    found: defaultdict[tuple[str, int], list[FlowRule]] = defaultdict(list)
    for node, switch in program.items():
        for rule in switch.flows:
            if rule.cookie & 0xFFFFFFFF:
                found[(node, rule.cookie & 0xFFFFFFFF)].append(rule)
    return found


def _edges(topology: Topology, program: Program) -> Iterator[EdgePort]:
    by_port: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for endpoint in topology.endpoints.values():
        by_port[(endpoint.node, endpoint.port)].append(endpoint.id)
    spoofed = cookie_of(CookieKind.SPOOFED_SOURCE)
    for node, switch in program.items():
        for rule in switch.flows:
            port = rule.match.in_port
            if rule.cookie == spoofed and port is not None:
                yield EdgePort(node, port, tuple(by_port[(node, port)]), (rule.cookie, *rule.key))


def _link(node: str, port: int) -> str:
    return f"{node}:{port}"
