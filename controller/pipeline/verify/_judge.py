"""Whether what became of the packets is what was promised for that state of the network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from carelane.controller.pipeline.verify._cube import describe
from carelane.controller.pipeline.verify._expect import Journey
from carelane.controller.pipeline.verify._states import State
from carelane.controller.pipeline.verify._tables import Tables
from carelane.controller.pipeline.verify._walk import Ending, Walk
from carelane.controller.pipeline.verify.faults import Fault, FaultKind, Visit

__all__ = ["is_promised", "judge", "judge_meter"]


def judge(journey: Journey, state: State, walk: Walk) -> Iterator[Fault]:
    """Every fault of one walk.

    Promised is: always, that nothing loops, strays, doubles or changes its queue, and that what arrives carries the
    right headers; delivery, while a lane of the slice is whole (a tree is promised while nothing has failed); the
    planned way, while nothing has failed.
    """

    def fault(kind: FaultKind, node: str, detail: str, visits: tuple[Visit, ...], packet: str = "") -> Fault:
        return Fault(kind, journey.slice, node, detail, state.failed, packet or describe(journey.packets), visits)

    for finding in walk.findings:
        yield fault(finding.kind, finding.node, finding.detail, finding.visits, finding.packet)
    arrivals = Counter(ending.place for ending in walk.endings if ending.outcome == "delivered")
    for ending in walk.endings:
        node, port = ending.place
        if ending.outcome == "looped":
            yield fault("loop", node, ending.reason, ending.visits)
        elif ending.outcome == "controller":
            yield fault("misdelivered", node, "it is handed to the controller", ending.visits)
        elif ending.outcome == "delivered" and ending.place not in journey.targets:
            yield fault("misdelivered", node, f"it is delivered at port {port}", ending.visits)
        elif ending.outcome == "delivered":
            for detail in _wrong_headers(journey, ending):
                yield fault("wrong-header", node, detail, ending.visits)
        stray = next((visit for visit in ending.visits if (visit.node, visit.out_port) not in journey.allowed), None)
        if stray is not None:
            detail = f"it leaves by port {stray.out_port}, where the slice has reserved nothing"
            yield fault("off-path", stray.node, detail, ending.visits)
    for place, count in arrivals.items():
        if count > 1:
            yield fault("duplicated", place[0], f"{count} copies are delivered at port {place[1]}", ())
    if is_promised(journey, state):
        for place in journey.targets.keys() - arrivals.keys():
            lost = next((ending for ending in walk.endings if ending.outcome == "dropped"), None)
            why = f"{lost.reason} at {lost.place[0]} port {lost.place[1]}" if lost else "no copy is sent there"
            visits = lost.visits if lost else ()
            yield fault("not-delivered", place[0], f"it does not reach port {place[1]}: {why}", visits)
    elif state.returns:
        for ending in walk.endings:
            if ending.outcome == "dropped" and ending.place[0] != journey.origin[0]:
                detail = f"it does not come back to the edge: {ending.reason}"
                yield fault("not-delivered", ending.place[0], detail, ending.visits)
    if not state.failed and journey.lanes:
        for ending in _off_plan(journey, walk):
            yield fault("off-path", journey.origin[0], "it does not take its first path", ending.visits)


def is_promised(journey: Journey, state: State) -> bool:
    """Whether delivery is promised in a state."""
    if not state.failed:
        return True
    return any(state.dead.isdisjoint(span) for span in journey.spans)


def judge_meter(journey: Journey, walk: Walk, tables: Tables) -> Iterator[Fault]:
    """Whether the packets are policed where they enter, by a meter that is what was declared."""
    node = journey.origin[0]
    wanted = [] if journey.meter is None else [journey.meter.id]
    if walk.meters != wanted:
        detail = f"it passes meters {walk.meters} and should pass {wanted}"
        yield Fault("wrong-meter", journey.slice, node, detail, packet=describe(journey.packets))
    elif journey.meter is not None and tables.meters[node].get(journey.meter.id) != journey.meter:
        held = tables.meters[node].get(journey.meter.id)
        found = f"{held.rate_kbps} kbit/s with {held.burst_kb} kbit" if held else "missing"
        detail = (
            f"meter {journey.meter.id} is {found}; declared are {journey.meter.rate_kbps} kbit/s with "
            f"{journey.meter.burst_kb} kbit"
        )
        yield Fault("wrong-meter", journey.slice, node, detail, packet=describe(journey.packets))


def _wrong_headers(journey: Journey, ending: Ending) -> Iterator[str]:
    frame, mac = ending.frame, journey.targets[ending.place]
    if frame.label is not None:
        yield f"label {frame.label} is still on it"
    if frame.popped is not None and frame.popped != journey.packets.eth_type:
        yield f"its payload is popped to {frame.popped:#06x}"
    if journey.dscp is not None and frame.dscp != journey.dscp:
        yield f"it carries DSCP {frame.dscp} and not {journey.dscp}"
    if frame.inner.eth_dst != mac:
        yield f"it is addressed to {frame.inner.eth_dst or 'whatever MAC the sender chose'}, not {mac or 'as sent'}"


def _off_plan(journey: Journey, walk: Walk) -> Iterator[Ending]:
    planned = [(step.node, step.out_port) for step in journey.lanes[0].steps]
    for ending in walk.endings:
        if ending.outcome == "delivered" and [(v.node, v.out_port) for v in ending.visits[:-1]] != planned:
            yield ending
