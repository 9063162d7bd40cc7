"""What must be true of one slice, read from its decision: who sends what to whom, and what that needs on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network

from carelane.controller.pipeline.compile import ARP, LEAST_FLOOR_BPS, Lane, Slice, Way, ether_type
from carelane.controller.pipeline.identifiers import multicast_address
from carelane.controller.pipeline.program import Match, Meter
from carelane.controller.pipeline.verify._cube import Cube
from carelane.controller.pipeline.verify._states import places_of
from carelane.policies.classes import STANDARD
from carelane.topology.model import Topology

__all__ = ["Journey", "QueueNeed", "Wiring", "journeys", "queue_needs"]

Place = tuple[str, int]


@dataclass(frozen=True)
class Wiring:
    """Where ports lead: `peers` to another switch, `hosts` out of the network; `rates` where a port's rate is known."""

    peers: Mapping[Place, Place]
    hosts: frozenset[Place]
    rates: Mapping[Place, int]

    @classmethod
    def of(cls, topology: Topology) -> Wiring:
        peers: dict[Place, Place] = {}
        rates: dict[Place, int] = {}
        for link in topology.links.values():
            a, b = (link.a, link.a_port), (link.b, link.b_port)
            peers[a], peers[b] = b, a
            if link.capacity_bps is not None:
                rates[a] = rates[b] = link.capacity_bps
        for endpoint in topology.endpoints.values():
            if endpoint.capacity_bps is not None:
                place = (endpoint.node, endpoint.port)
                rates[place] = max(endpoint.capacity_bps, rates.get(place, 0))
        hosts = frozenset((endpoint.node, endpoint.port) for endpoint in topology.endpoints.values())
        return cls(peers, hosts, rates)


@dataclass(frozen=True)
class Journey:
    """All packets of one kind from one port, and where they must arrive.

    `targets` gives the place of every receiver and the MAC address the packet must carry there (None: its own).
    `lanes` may carry it there, in order of activation. `copy_bps` is what each copy of a tree loads a port with that
    some lane sends into (0: not a tree).
    """

    slice: str
    number: int
    origin: Place
    packets: Cube
    match: Match
    targets: Mapping[Place, str | None]
    dscp: int | None
    meter: Meter | None
    lanes: Mapping[Place, tuple[Lane, ...]]
    allowed: frozenset[Place]
    copy_bps: int = 0

    @cached_property
    def spans(self) -> Mapping[Place, tuple[frozenset[Place], ...]]:
        """The ports that each lane to a receiver cannot do without."""
        return {place: tuple(places_of(lane) for lane in lanes) for place, lanes in self.lanes.items()}

    @cached_property
    def routes(self) -> Mapping[Place, tuple[list[Place], ...]]:
        """The ports that each lane to a receiver sends into, one after the other."""
        return {
            place: tuple([(step.node, step.out_port) for step in lane.steps] for lane in lanes)
            for place, lanes in self.lanes.items()
        }

    @cached_property
    def policed(self) -> list[int]:
        """The meters that it is to pass."""
        return [] if self.meter is None else [self.meter.id]

    @cached_property
    def sending(self) -> frozenset[Place]:
        """The ports that lanes send into."""
        return frozenset(place for routes in self.routes.values() for route in routes for place in route)


@dataclass(frozen=True, slots=True)
class QueueNeed:
    """What the slice's queue at a port must be: exactly this floor, at least this burst, this priority. `asleep`: it is
    needed only after a failure of the slice's primary, and shares its floor until then."""

    floor_bps: int
    burst_bits: int
    priority: int
    asleep: bool = False


def journeys(owner: Slice) -> Iterator[Journey]:
    """Every journey of a slice: IP of each direction of each pair, ARP where both speak IPv4, and the tree."""
    requirement = owner.requirement
    both = requirement.forward_bps > 0 and requirement.reverse_bps > 0
    for way in owner.ways:
        source, destination = way.origin.address, way.target.address
        mac = way.target.mac
        yield _journey(owner, way, ether_type(source), source, destination, mac, owner.traffic_class.dscp)
        if both and source.version == 4:
            yield _journey(owner, way, ARP, source, destination, None, None)
    if owner.multipoint and requirement.forward_bps > 0:
        yield _tree(owner)


def queue_needs(owner: Slice, rates: Mapping[Place, int]) -> Mapping[Place, QueueNeed]:
    """By port. Floors of pairs add up, of a hub's as many of each direction as are active at once; those of a
    multipoint slice count once, on the way to receivers once for each tree."""
    floors: dict[Place, dict[tuple[object, bool], int]] = {}
    bursts: dict[Place, int] = {}
    awake: set[Place] = set()
    for way in owner.ways:
        for lane in way.lanes:
            if owner.wakes is not None and lane.label == way.label:
                awake |= places_of(lane) | {(way.target.node, way.target.port)}
            for place in _places(way, lane):
                held = floors.setdefault(place, {})
                share = (_share(owner, way, lane, place), way.forward)
                held[share] = max(held.get(share, 0), lane.floor_bps)
                bursts[place] = max(bursts.get(place, 0), way.bucket.burst_bits)
            for step in lane.steps[:-1] if way.protected else ():
                place = (step.next_node, step.in_port)
                floors.setdefault(place, {})
                bursts[place] = max(bursts.get(place, 0), way.bucket.burst_bits)
    return {
        place: QueueNeed(
            min(max(_reserved_bps(owner, held), LEAST_FLOOR_BPS), rates[place]),
            bursts[place],
            STANDARD.htb_priority if asleep else owner.traffic_class.htb_priority,
            asleep,
        )
        for place, held in floors.items()
        for asleep in (owner.wakes is not None and place not in awake,)
        if place in rates
    }


def _share(owner: Slice, way: Way, lane: Lane, place: Place) -> object:
    """Lanes of equal shares need one floor between them."""
    if not owner.multipoint:
        return way.pair
    if not way.forward or place == (way.target.node, way.target.port):
        return ""
    return (lane.tree, way.pair if place in lane.crowded else None, lane == way.planned[0])


def _reserved_bps(owner: Slice, held: Mapping[tuple[object, bool], int]) -> int:
    total = 0
    most = owner.requirement.together if owner.requirement.connectivity == "hub" else len(held)
    for forward in (True, False):
        rates = sorted(rate for (_, way), rate in held.items() if way == forward)
        total += sum(rates[-most:])
    return total


def _journey(
    owner: Slice,
    way: Way,
    eth_type: int,
    source: IPv4Network | IPv6Network,
    destination: IPv4Network | IPv6Network,
    mac: str | None,
    dscp: int | None,
) -> Journey:
    origin, target = way.origin, way.target
    crossed = frozenset[Place]().union(*(places_of(lane) for lane in way.lanes))
    return Journey(
        slice=owner.name,
        number=owner.ids.number,
        origin=(origin.node, origin.port),
        packets=Cube(eth_type, origin.mac, None, str(source), str(destination)),
        match=Match(in_port=origin.port, eth_type=eth_type, ip_src=str(source), ip_dst=str(destination)),
        targets={(target.node, target.port): mac},
        dscp=dscp,
        meter=None if way.meter is None else Meter(way.meter, way.bucket.rate_kbps, way.bucket.burst_kb),
        lanes={(target.node, target.port): way.lanes},
        allowed=crossed | {(target.node, target.port)},
    )


def _tree(owner: Slice) -> Journey:
    ways: dict[Place, Way] = {}
    for way in owner.ways:
        if way.forward:
            ways.setdefault((way.target.node, way.target.port), way)
    first = next(iter(ways.values()))
    source = first.origin.address
    group = ip_network(multicast_address(owner.ids, version=source.version))
    crossed = frozenset[Place]().union(*(places_of(lane) for way in ways.values() for lane in way.planned))
    kind = ether_type(source)
    meter = None
    if first.meter is not None:
        meter = Meter(first.meter, first.bucket.rate_kbps, first.bucket.burst_kb)
    return Journey(
        slice=owner.name,
        number=owner.ids.number,
        origin=(first.origin.node, first.origin.port),
        packets=Cube(kind, first.origin.mac, None, str(source), str(group)),
        match=Match(in_port=first.origin.port, eth_type=kind, ip_src=str(source), ip_dst=str(group)),
        targets=dict.fromkeys(ways),
        dscp=owner.traffic_class.dscp,
        meter=meter,
        lanes={place: way.planned for place, way in ways.items()},
        allowed=crossed | ways.keys(),
        copy_bps=owner.requirement.forward_bps,
    )


def _places(way: Way, lane: Lane) -> list[Place]:
    return [*((step.node, step.out_port) for step in lane.steps), (way.target.node, way.target.port)]
