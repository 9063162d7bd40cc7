"""Compile: admitted decisions and their numbers become the state of every switch. Pure and deterministic.

Input: the topology and (Decision, SliceIds) of every slice that is to exist. Output: a `Program`, the whole state
that carelane wants on every declared switch. Decisions taken here:

Table 0, ports. A link port passes labelled frames to the core table and LLDP to the controller; nothing else. An
edge port passes IP and ARP whose source address (and MAC, where stated) belongs to the endpoint there; whatever else
a host sends, labelled frames included, is dropped and counted at a rule of that port.

Table 1, classify, at the ingress switch. One rule a pair and direction: police (inelastic classes), mark the DSCP,
push a label entry, queue, send. With backup paths the packet goes to a fast-failover group whose buckets watch the
first link of each path in order of activation, and comes back when a link further down is dead (`_protection`).
Pairs on one switch are delivered directly.

Table 2, core. Match label **and** in_port, queue, send: rules grow with paths, not with flows, and a packet that
strays matches nothing, so forwarding cannot loop. The last switch pops the label, sets the host's MAC where stated,
and delivers through the slice's queue.

ARP (IPv4 pairs with both directions) rides on the same labels and meters with all MPLS traffic class bits set, which
tells the last switch what is under the label; core rules ignore those bits. IPv6 hosts need static neighbours.

Point to multipoint: each receiver is reached by unicast like a pair, and all of them by the slice's group address
over a tree (`identifiers.multicast_address`), both under one meter at the source. With backup paths there is a second
tree, to which the receivers behind a dead link are moved (`_tree`).

Every link port is watched by BFD at the interval of `carelane.policies.liveness`, so that the groups also notice a
link that swallows packets without losing its carrier.

Meters: `_policing`. Queues: `_queues`; only ports that a slice uses get a QoS tree. Numbers: `identifiers`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from ipaddress import IPv4Network, IPv6Network

from carelane.controller.pipeline.compile._compilation import Compilation, draft_of
from carelane.controller.pipeline.compile._draft import meet
from carelane.controller.pipeline.compile._layout import (
    ARP,
    CLASSIFY,
    CORE,
    MPLS,
    PORTS,
    ether_type,
    ground_rules,
    ground_watches,
)
from carelane.controller.pipeline.compile._policing import Bucket, forward_bucket, reverse_bucket
from carelane.controller.pipeline.compile._queues import (
    LEAST_FLOOR_BPS,
    Claimed,
    claims,
    egress_rates,
    queue_plan,
    woken,
)
from carelane.controller.pipeline.compile._resolved import Lane, Site, Slice, Way, resolve_slice
from carelane.controller.pipeline.program import Program, SliceIds
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.slice_plan import Decision
from carelane.topology.model import Topology

__all__ = [
    "ARP",
    "CLASSIFY",
    "CORE",
    "LEAST_FLOOR_BPS",
    "MPLS",
    "PORTS",
    "Bucket",
    "Claimed",
    "Compilation",
    "Flow",
    "Lane",
    "Site",
    "Slice",
    "Way",
    "check_slice",
    "claims",
    "compile_program",
    "egress_rates",
    "ether_type",
    "flows_of",
    "forward_bucket",
    "ground_rules",
    "ground_watches",
    "queue_plan",
    "resolve_slice",
    "reverse_bucket",
    "woken",
]


Flow = tuple[str, int, IPv4Network | IPv6Network | None, IPv4Network | IPv6Network | None]
"""Switch and port where packets come in, their source, their destination."""


def compile_program(
    topology: Topology, slices: Iterable[tuple[Decision, SliceIds]], avoid: Collection[str] = frozenset()
) -> Program:
    """The program of every switch of `topology`, in declaration order, carrying exactly `slices` in any order.

    Of protected slices, lanes that touch none of the links to `avoid` come first.

    Raises InputError (an endpoint without the address a switch needs), ProgramError (a decision that does not fit
    the topology) or ConflictError (two slices with the same numbers or the same traffic, a port promised twice).
    `check_slice` tells about one slice beforehand; a `Compilation` keeps what it compiled for the next time.
    """
    return Compilation(topology).program(slices, avoid)


def check_slice(
    topology: Topology, decision: Decision, ids: SliceIds, others: Iterable[tuple[Decision, SliceIds]]
) -> None:
    """Raise what `compile_program` would raise if the slice joined `others`, which compile together already and have
    other numbers.

    For use at admission, so that one impossible slice never stands in the way of all the rest. Numbers and labels
    are allocated once: only slices that carry some of the same `flows_of` can collide, and only they are compiled. That
    floors fit the ports is the ledger's business.
    """
    draft = draft_of(resolve_slice(topology, decision, ids), {})
    own = flows_of(topology, decision.requirement)
    for other, numbers in others:
        if not own.isdisjoint(flows_of(topology, other.requirement)):
            meet(draft_of(resolve_slice(topology, other, numbers), {}), draft)


def flows_of(topology: Topology, requirement: Requirement) -> frozenset[Flow]:
    """What the edge tells the packets of a slice by, in each direction that carries some."""
    flows: set[Flow] = set()
    for pair in requirement.pairs:
        near, far = (topology.endpoints.get(end.id, end) for end in (pair.source, pair.destination))
        if requirement.forward_bps > 0:
            flows.add((near.node, near.port, near.address, far.address))
        if requirement.reverse_bps > 0:
            flows.add((far.node, far.port, far.address, near.address))
    return frozenset(flows)
