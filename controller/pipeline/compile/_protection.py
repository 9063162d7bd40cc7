"""Protection in the switches: what a packet does when the next link of its path is dead, without any controller.

Where a way has several lanes, every switch that could send a packet into a dead link has somewhere else to send it:

- *At the edge* a fast-failover group picks the first lane, in order of activation, whose first link lives.
- *Along a lane* each switch but the last holds a fast-failover group: onward while the next link lives, else back out
  of the port of arrival (crank-back), still under the lane's label.
- *On the way back* the label arrives at the port by which it had left; a rule for exactly that port passes it on
  towards the edge, where another swaps the label for that of the next lane. Lanes are only ever tried in order and
  never again, so two broken lanes end in a drop, not in a loop.

Returning packets use the slice's own queue on the links of the lane in the other direction. What the other direction
reserved there is idle meanwhile, because its own packets turn around at the same dead link, from the other side: a
slice with equal rates both ways is covered; where the other direction reserves less, the rest is borrowed. The bounds
of the decision hold for each lane and not for the detour of a returned packet, which lasts until the controller has
put a living lane first (`avoid`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from carelane.controller.pipeline.compile._draft import Draft
from carelane.controller.pipeline.compile._layout import CORE, CORE_PRIORITY, MPLS
from carelane.controller.pipeline.compile._resolved import Lane, Slice, Way
from carelane.controller.pipeline.identifiers import group_id, return_group_id
from carelane.controller.pipeline.program import (
    IN_PORT,
    Action,
    Bucket,
    FlowRule,
    Group,
    Match,
    Output,
    SetMplsLabel,
    SetQueue,
    ToGroup,
)

__all__ = ["emit", "pass_on", "program_returns", "send_on_first"]


def emit(draft: Draft, owner: Slice, node: str, port: int) -> tuple[Action, ...]:
    """Send out of `port` through the slice's queue there."""
    return (*_queue(draft, owner, node, port), Output(port))


def send_on_first(draft: Draft, owner: Slice, node: str, lanes: Sequence[Lane], number: int) -> tuple[Action, ...]:
    """Label and send a packet whose label entry is already there: on the only lane, or on the first that lives."""
    buckets = []
    for lane in lanes:
        first = lane.steps[0]
        actions = (SetMplsLabel(lane.label), *emit(draft, owner, node, first.out_port))
        buckets.append(Bucket(actions, watch_port=first.out_port))
    if len(buckets) == 1:
        return buckets[0].actions
    draft.group(node, Group(number, "fast-failover", tuple(buckets)))
    return (ToGroup(number),)


def pass_on(
    draft: Draft, owner: Slice, lane: Lane, arrival: int, node: str, departure: int, *, returns: bool
) -> tuple[Action, ...]:
    """Onward at a switch along a lane; with `returns`, back out of the port of arrival when the next link is dead."""
    onward = emit(draft, owner, node, departure)
    if not returns:
        return onward
    back = (*_queue(draft, owner, node, arrival), Output(IN_PORT))
    number = group_id(lane.label)
    buckets = (Bucket(onward, watch_port=departure), Bucket(back, watch_port=arrival))
    draft.group(node, Group(number, "fast-failover", buckets))
    return (ToGroup(number),)


def program_returns(draft: Draft, owner: Slice, way: Way) -> None:
    """The rules by which a label that comes back reaches the edge, and by which the edge tries the next lane."""
    for place, lane in enumerate(way.lanes):
        others = way.lanes[place + 1 :]
        for arrival, departure in pairwise(lane.steps[:-1]):  # the last switch delivers, nothing returns from it
            actions = emit(draft, owner, departure.node, arrival.in_port)
            _rule(draft, owner, departure.node, departure.out_port, lane, actions)
        if others and len(lane.steps) > 1:
            first = lane.steps[0]
            actions = send_on_first(draft, owner, first.node, others, return_group_id(lane.label))
            _rule(draft, owner, first.node, first.out_port, lane, actions)


def _rule(draft: Draft, owner: Slice, node: str, in_port: int, lane: Lane, actions: tuple[Action, ...]) -> None:
    match = Match(in_port=in_port, eth_type=MPLS, mpls_label=lane.label)
    draft.flow(node, FlowRule(CORE, CORE_PRIORITY, match, actions, owner.cookie))


def _queue(draft: Draft, owner: Slice, node: str, port: int) -> tuple[Action, ...]:
    return (SetQueue(owner.ids.number),) if draft.ports.has_queues(node, port) else ()
