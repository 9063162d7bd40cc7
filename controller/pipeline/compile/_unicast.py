"""Rules of one direction of one pair: classify at the edge, follow labels through the core, pop and deliver."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from carelane.controller.pipeline.compile._draft import Draft
from carelane.controller.pipeline.compile._layout import (
    ARP,
    ARP_TC,
    CLASSIFY,
    CORE,
    CORE_ARP_PRIORITY,
    CORE_PRIORITY,
    MPLS,
    classify_priority,
    ether_type,
)
from carelane.controller.pipeline.compile._protection import emit, pass_on, program_returns, send_on_first
from carelane.controller.pipeline.compile._resolved import Lane, Site, Slice, Way
from carelane.controller.pipeline.identifiers import group_id
from carelane.controller.pipeline.program import (
    Action,
    FlowRule,
    Match,
    Meter,
    PopMpls,
    PushMpls,
    SetDscp,
    SetEthDst,
    SetMplsTc,
    ToMeter,
)

__all__ = ["deliver", "police_actions", "program_way"]


def program_way(draft: Draft, owner: Slice, way: Way) -> None:
    """Everything one direction of a pair needs on all switches."""
    draft.ports.reserve(owner, way)
    if way.meter is not None:
        draft.meter(way.origin.node, Meter(way.meter, way.bucket.rate_kbps, way.bucket.burst_kb))
    if not way.lanes[0].steps:
        _classify(draft, owner, way, deliver(draft, owner, way.target))
        if _resolvable(owner, way):
            _classify_arp(draft, owner, way, emit(draft, owner, way.target.node, way.target.port))
        return
    onward = send_on_first(draft, owner, way.origin.node, way.lanes, group_id(way.label))
    _classify(draft, owner, way, (PushMpls(), *onward))
    if _resolvable(owner, way):
        _classify_arp(draft, owner, way, (PushMpls(), SetMplsTc(ARP_TC), *onward))
    for lane in way.lanes:
        _follow(draft, owner, way, lane)
    if way.protected:
        program_returns(draft, owner, way)


def deliver(draft: Draft, owner: Slice, target: Site) -> tuple[Action, ...]:
    """Hand an unlabelled packet to the host; its stated MAC spares the sender from having to know it."""
    addressed = (SetEthDst(target.mac),) if target.mac is not None else ()
    return (*addressed, *emit(draft, owner, target.node, target.port))


def police_actions(way: Way) -> tuple[Action, ...]:
    return () if way.meter is None else (ToMeter(way.meter),)


def _classify(draft: Draft, owner: Slice, way: Way, onward: tuple[Action, ...]) -> None:
    actions = (SetDscp(owner.traffic_class.dscp), *onward)
    _add_classifier(draft, owner, way, ether_type(way.origin.address), actions)


def _classify_arp(draft: Draft, owner: Slice, way: Way, onward: tuple[Action, ...]) -> None:
    """ARP between the members of a pair travels inside the slice, under the slice's meter, and nowhere else."""
    _add_classifier(draft, owner, way, ARP, onward)


def _add_classifier(draft: Draft, owner: Slice, way: Way, eth_type: int, actions: tuple[Action, ...]) -> None:
    source, destination = way.origin.address, way.target.address
    match = Match(in_port=way.origin.port, eth_type=eth_type, ip_src=str(source), ip_dst=str(destination))
    priority = classify_priority(source, destination)
    draft.flow(way.origin.node, FlowRule(CLASSIFY, priority, match, (*police_actions(way), *actions), owner.cookie))


def _resolvable(owner: Slice, way: Way) -> bool:
    """A question needs an answer: only pairs that carry IPv4 in both directions get ARP."""
    requirement = owner.requirement
    return way.origin.address.version == 4 and requirement.forward_bps > 0 and requirement.reverse_bps > 0


def _follow(draft: Draft, owner: Slice, way: Way, lane: Lane) -> None:
    for arrival, departure in pairwise(lane.steps):
        match = Match(in_port=arrival.in_port, eth_type=MPLS, mpls_label=lane.label)
        actions = pass_on(
            draft, owner, lane, arrival.in_port, departure.node, departure.out_port, returns=way.protected
        )
        draft.flow(departure.node, FlowRule(CORE, CORE_PRIORITY, match, actions, owner.cookie))
    last, target = lane.steps[-1], way.target
    match = Match(in_port=last.in_port, eth_type=MPLS, mpls_label=lane.label)
    pop = PopMpls(ether_type(target.address))
    actions = (pop, *deliver(draft, owner, target))
    draft.flow(target.node, FlowRule(CORE, CORE_PRIORITY, match, actions, owner.cookie))
    if _resolvable(owner, way):
        actions = (PopMpls(ARP), *emit(draft, owner, target.node, target.port))
        rule = FlowRule(CORE, CORE_ARP_PRIORITY, replace(match, mpls_tc=ARP_TC), actions, owner.cookie)
        draft.flow(target.node, rule)
