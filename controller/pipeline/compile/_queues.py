"""Floors, ceilings and bursts of the queues at every egress port a slice uses.

Read from the kernel's HTB (net/sched/sch_htb.c): leaves within their own rate are served first, strictly by
priority; leaves above it borrow afterwards, again by priority. Hence:

- floor: what the plan reserved at the port. A slice that is policed to its declaration stays within it.
- ceiling: the port's rate, for every class. The meter at the edge, not HTB, holds a slice to its declaration; a
  ceiling at the floor would only delay a burst that the link could carry at once, and elastic classes live on it.
- burst: HTB spends tokens when packets leave. A queue that waited behind others leaves in one piece whatever came
  in meanwhile, so the allowance must cover the policed burst and its growth, rate x queueing along the path
  (Le Boudec and Thiran, Network Calculus, Theorem 1.4.3), with a packet of slack. Too small an allowance turns the
  class to borrowing, behind every leaf that is within its rate; a generous one costs nothing, as the meter polices.
- priority: the traffic class's; at ports where only a shared backup leads, the last.

Backups that share (`carelane.controller.pipeline.shared_backup`) have queues with their whole floors, and those may
sum to more than the port: a class whose own tokens are there is served whatever its parent has (htb_dequeue takes
leaves that may send before those that borrow), and an idle one takes nothing. Floors are held as long as those that
are in use fit, which they do after every single failure. Should several failures wake more than fits, the last priority
leaves everybody else what is his: those who share lose, and their availability does not count on such a state.

Queue 0 carries what has no queue of its own: link discovery and BFD. Its floor keeps them within their rate and so
ahead of everything that borrows. No floor is stated below 16 kbit/s: Open vSwitch raises a smaller one to the port's
MTU a second (12 kbit/s for 1500 bytes, 12.8 for the 1600 that labels need; seen in tc), and what is read back from
the kernel would not be what was asked for. This least floor is not counted against the port.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil

from carelane.controller.pipeline.compile._resolved import Lane, Slice, Way
from carelane.controller.pipeline.program import PortQos, Queue
from carelane.errors import CollisionError
from carelane.policies.classes import STANDARD
from carelane.topology.backup_pool import Failure
from carelane.topology.model import Topology

__all__ = ["LEAST_FLOOR_BPS", "Claimed", "PortPlan", "claims", "egress_rates", "port_qos", "queue_plan", "woken"]

LEAST_FLOOR_BPS = 16_000
_BEST_EFFORT_BURST_BITS = 10 * 1500 * 8

_queue = lru_cache(maxsize=1 << 18)(Queue)
"""The same object for the same queue: programs compiled one after the other are told apart by what changed."""

_Port = tuple[str, int]
_Share = tuple[object, bool]
"""Floors and bursts under one key at a port count once, those under different keys add up: (pair, forward). Of a hub's
sites as many add up, in each direction, as speak at once: they share the queue, and its floor is theirs together. What
a point-to-multipoint slice sends counts once for each tree (at crowded ports for each receiver), and once where it is
delivered; what its receivers send counts once. The plan's ledger adds up in the same way."""


@dataclass(frozen=True, slots=True)
class Booking:
    """The floor that a queue was promised, and the failures after which only it is needed (None: always)."""

    floor_bps: int
    wakes: frozenset[Failure] | None = None


Claimed = tuple[Queue, Booking]


@dataclass
class _Claim:
    """What one slice asks of one port."""

    owner: Slice
    awake: bool = False
    floors: dict[_Share, int] = field(default_factory=dict)
    bursts: dict[_Share, int] = field(default_factory=dict)

    def add(self, way: Way, lane: Lane, place: _Port) -> None:
        """What `lane` needs at a port on its way."""
        floor_share, burst_share = self._shares(way.pair, way.forward)
        if self.owner.multipoint and way.forward:
            floor_share = burst_share = copies_share(way, lane, place), True
        self.floors[floor_share] = max(lane.floor_bps, self.floors.get(floor_share, 0))
        self.bursts[burst_share] = max(self._burst_bits(way, lane), self.bursts.get(burst_share, 0))

    def lend(self, way: Way, lane: Lane) -> None:
        """What packets of `lane` need that come back: they stand in for those of the other direction."""
        _, burst_share = self._shares(way.pair, not way.forward)
        self.bursts[burst_share] = max(self._burst_bits(way, lane), self.bursts.get(burst_share, 0))

    def _shares(self, pair: int, forward: bool) -> tuple[_Share, _Share]:
        floor_share = (0 if self.owner.multipoint else pair, forward)
        return floor_share, floor_share if forward else (pair, False)

    def _burst_bits(self, way: Way, lane: Lane) -> int:
        packet_bits = self.owner.requirement.max_packet_bytes * 8
        return way.bucket.burst_bits + ceil(lane.floor_bps * lane.growth_s) + packet_bits

    @property
    def floor_bps(self) -> int:
        most = self._most
        return sum(sum(sorted(floors, reverse=True)[:most]) for floors in _by_direction(self.floors))

    @property
    def _most(self) -> int:
        """How many shares of a direction add up: of a hub's sites, those that speak at once."""
        requirement = self.owner.requirement
        return requirement.together if requirement.connectivity == "hub" else max(len(self.floors), len(self.bursts))

    @property
    def burst_bits(self) -> int:
        """As the delay bound counts them: of sites that take turns, the largest burst for each that speaks."""
        most = self._most
        return sum(min(sum(bursts), most * max(bursts)) for bursts in _by_direction(self.bursts))

    @property
    def booking(self) -> Booking:
        return Booking(self.floor_bps, None if self.awake else self.owner.wakes)

    def queue(self, ceiling_bps: int) -> Queue:
        floor_bps = _stated_floor(self.floor_bps, ceiling_bps)
        asleep = self.booking.wakes is not None
        priority = STANDARD.htb_priority if asleep else self.owner.traffic_class.htb_priority
        return _queue(self.owner.ids.number, floor_bps, ceiling_bps, self.burst_bits, priority, self.owner.name)


def copies_share(way: Way, lane: Lane, place: _Port) -> object:
    """Which copies of a point-to-multipoint slice are one and the same at a port."""
    if place == (way.target.node, way.target.port):
        return None
    return (lane.tree, way.pair if place in lane.crowded else None, lane == way.planned[0])


def _by_direction(shares: Mapping[_Share, int]) -> Iterator[list[int]]:
    for forward in (True, False):
        amounts = [amount for (_, way), amount in shares.items() if way is forward]
        if amounts:
            yield amounts


class PortPlan:
    """What one slice asks of egress ports. A port that is not in `rates` (bit/s) gets no queues: there is nothing to
    divide where the capacity is unknown.
    """

    def __init__(self, rates: Mapping[_Port, int]) -> None:
        self._rates = rates
        self._claims: dict[_Port, _Claim] = {}

    def has_queues(self, node: str, port: int) -> bool:
        return (node, port) in self._rates

    def reserve(self, owner: Slice, way: Way) -> None:
        """Claim a queue at every port of every lane of `way`, delivery port included, and where packets come back."""
        for lane in way.lanes:
            ports = [(step.node, step.out_port) for step in lane.steps]
            for port in [*ports, (way.target.node, way.target.port)]:
                if port in self._rates:
                    claim = self._claim(owner, port)
                    claim.add(way, lane, port)
                    claim.awake |= lane.label == way.label or port == (way.target.node, way.target.port)
            for step in lane.steps[:-1] if way.protected else ():
                if (step.next_node, step.in_port) in self._rates:
                    claim = self._claim(owner, (step.next_node, step.in_port))
                    claim.lend(way, lane)
                    claim.awake |= lane.label == way.label

    def _claim(self, owner: Slice, port: _Port) -> _Claim:
        claim = self._claims.get(port)
        if claim is None:
            claim = self._claims[port] = _Claim(owner)
        return claim

    def queues(self) -> dict[_Port, Claimed]:
        """The slice's queue at every port it claims one of, with the floor it was promised there."""
        return {place: (claim.queue(self._rates[place]), claim.booking) for place, claim in self._claims.items()}


def woken(claimed: Iterable[Claimed]) -> dict[Failure, list[Claimed]]:
    """Those of a port's queues that a failure wakes, by failure."""
    found: defaultdict[Failure, list[Claimed]] = defaultdict(list)
    for queue, booking in claimed:
        for failure in booking.wakes or ():
            found[failure].append((queue, booking))
    return found


def _promised_bps(claimed: Sequence[Claimed]) -> int:
    """What is needed at once, after any single failure."""
    always = sum(booking.floor_bps for _, booking in claimed if booking.wakes is None)
    return always + max((sum(b.floor_bps for _, b in part) for part in woken(claimed).values()), default=0)


def port_qos(place: _Port, rate_bps: int, queues: Iterable[Claimed]) -> PortQos:
    """The QoS of a port with these queues and their floors. Raises ConflictError where it carries less."""
    node, port = place
    held = list(queues)
    promised_bps = _promised_bps(held)
    if promised_bps > rate_bps:
        raise CollisionError(
            [queue.slice for queue, _ in sorted(held, key=lambda item: item[0].id)],
            f"are promised {promised_bps} bit/s on port {port} of {node}, which carries {rate_bps} bit/s; "
            "plan these slices again",
        )
    best_effort = _queue(0, _stated_floor(0, rate_bps), rate_bps, _BEST_EFFORT_BURST_BITS, STANDARD.htb_priority, "")
    return PortQos(port, rate_bps, (best_effort, *(queue for queue, _ in held)))


def claims(topology: Topology, slices: Iterable[Slice]) -> Mapping[_Port, list[Claimed]]:
    """The queues that `slices` claim, by port."""
    rates = egress_rates(topology)
    held: defaultdict[_Port, list[Claimed]] = defaultdict(list)
    for item in slices:
        plan = PortPlan(rates)
        for way in item.ways:
            plan.reserve(item, way)
        for place, queue in plan.queues().items():
            held[place].append(queue)
    return held


def queue_plan(topology: Topology, slices: Iterable[Slice]) -> Mapping[str, list[PortQos]]:
    """The QoS of every port that `slices` use, by node. Raises ConflictError where a port carries less."""
    rates, held = egress_rates(topology), claims(topology, slices)
    found: defaultdict[str, list[PortQos]] = defaultdict(list)
    for place in sorted(held):
        found[place[0]].append(port_qos(place, rates[place], held[place]))
    return found


def _stated_floor(floor_bps: int, rate_bps: int) -> int:
    return min(max(floor_bps, LEAST_FLOOR_BPS), rate_bps)


def egress_rates(topology: Topology) -> dict[_Port, int]:
    """In bit/s, of every port whose capacity is known."""
    rates: dict[_Port, int] = {}
    for link in topology.links.values():
        if link.capacity_bps is not None:
            rates[(link.a, link.a_port)] = rates[(link.b, link.b_port)] = link.capacity_bps
    for endpoint in topology.endpoints.values():
        if endpoint.capacity_bps is not None:
            place = (endpoint.node, endpoint.port)
            rates[place] = max(endpoint.capacity_bps, rates.get(place, 0))
    return rates
