"""Whether what became of the packets is what was promised for that state of the network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from carelane.controller.pipeline.verify._cube import describe
from carelane.controller.pipeline.verify._expect import Journey, Place
from carelane.controller.pipeline.verify._states import State
from carelane.controller.pipeline.verify._tables import Tables
from carelane.controller.pipeline.verify._walk import Ending, Walk
from carelane.controller.pipeline.verify.faults import Fault, FaultKind, Visit

__all__ = ["judge", "judge_copies", "judge_meter", "promised"]


def judge(journey: Journey, state: State, walk: Walk) -> Iterator[Fault]:
    """Every fault of one walk.

    Promised is: always, that nothing loops, strays, doubles or changes its queue, and that what arrives carries the
    right headers; delivery to each receiver, while a lane of it is whole, by the first lane that is; and no copy more
    than receivers are to get.
    """

    def fault(kind: FaultKind, node: str, detail: str, visits: tuple[Visit, ...], packet: str = "") -> Fault:
        return Fault(kind, journey.slice, node, detail, state.failed, packet or describe(journey.packets), visits)

    for finding in walk.findings:
        yield fault(finding.kind, finding.node, finding.detail, finding.visits, finding.packet)
    arrivals: dict[Place, int] = {}
    for ending in walk.endings:
        node, port = ending.place
        if ending.outcome == "looped":
            yield fault("loop", node, ending.reason, ending.visits)
        elif ending.outcome == "controller":
            yield fault("misdelivered", node, "it is handed to the controller", ending.visits)
        elif ending.outcome == "delivered":
            arrivals[ending.place] = arrivals.get(ending.place, 0) + 1
            if ending.place not in journey.targets:
                yield fault("misdelivered", node, f"it is delivered at port {port}", ending.visits)
            else:
                for detail in _wrong_headers(journey, ending):
                    yield fault("wrong-header", node, detail, ending.visits)
        taken = [(visit.node, visit.out_port) for visit in ending.visits]
        if not journey.allowed.issuperset(taken):
            node, port = next(place for place in taken if place not in journey.allowed)
            yield fault(
                "off-path", node, f"it leaves by port {port}, where the slice has reserved nothing", ending.visits
            )
        elif ending.outcome == "delivered" and not _as_planned(journey, state, ending.place, taken):
            which = "that is whole" if state.failed else "as planned"
            yield fault("off-path", journey.origin[0], f"it does not take its first path {which}", ending.visits)
    for place, count in arrivals.items():
        if count > 1:
            visits = next(ending.visits for ending in reversed(walk.endings) if ending[:2] == ("delivered", place))
            yield fault("duplicated", place[0], f"{count} copies are delivered at port {place[1]}", visits)
    due = promised(journey, state)
    for place in due - arrivals.keys():
        lost = _lost(journey, walk, place)
        why = f"{lost.reason} at {lost.place[0]} port {lost.place[1]}" if lost else "no copy is sent there"
        visits = lost.visits if lost else ()
        yield fault("not-delivered", place[0], f"it does not reach port {place[1]}: {why}", visits)
    if not due and state.returns and not journey.copy_bps:
        for ending in walk.endings:
            if ending.outcome == "dropped" and ending.place[0] != journey.origin[0]:
                detail = f"it does not come back to the edge: {ending.reason}"
                yield fault("not-delivered", ending.place[0], detail, ending.visits)
    if len(walk.endings) > len(arrivals):
        for ending in _spare(journey, due, arrivals, walk):
            detail = f"one copy more is sent than it has receivers: {ending.reason}"
            yield fault("duplicated", ending.place[0], detail, ending.visits)


def promised(journey: Journey, state: State) -> frozenset[Place]:
    """The receivers to which delivery is promised in a state; a tree outlives one failure, a pair as many as it can."""
    if not state.failed:
        return frozenset(journey.targets)
    if state.further and journey.copy_bps:
        return frozenset()
    dead = state.dead
    return frozenset(place for place, spans in journey.spans.items() if any(dead.isdisjoint(span) for span in spans))


def judge_copies(journey: Journey, state: State, walk: Walk, tables: Tables) -> Iterator[Fault]:
    """Whether the slice's queue has a floor for every copy of a packet of a tree that a port on the way out takes."""
    taken: Counter[Place] = Counter()
    shown: dict[Place, tuple[Visit, ...]] = {}
    for visits in {ending.visits[: i + 1] for ending in walk.endings for i in range(len(ending.visits))}:
        place = (visits[-1].node, visits[-1].out_port)
        if place in journey.sending and not _returning(visits, journey.origin[0]):
            taken[place] += 1
            shown[place] = visits
    for place, copies in sorted(taken.items()):
        queue = tables.queues(place).get(journey.number)
        if queue is not None and queue.min_rate_bps < copies * journey.copy_bps:
            detail = (
                f"{copies} copies leave by port {place[1]}, {copies * journey.copy_bps} bit/s, through a queue with a "
                f"floor of {queue.min_rate_bps} bit/s"
            )
            packet = describe(journey.packets)
            yield Fault("wrong-floor", journey.slice, place[0], detail, state.failed, packet, shown[place])


def judge_meter(journey: Journey, state: State, walk: Walk, tables: Tables) -> Iterator[Fault]:
    """Whether the packets are policed once, where they enter, by a meter that is what was declared."""
    node = journey.origin[0]
    if walk.meters != journey.policed:
        detail = f"it passes meters {walk.meters} and should pass {journey.policed}"
        yield Fault("wrong-meter", journey.slice, node, detail, state.failed, describe(journey.packets))
    elif not state.failed and journey.meter is not None and tables.meters[node].get(journey.meter.id) != journey.meter:
        held = tables.meters[node].get(journey.meter.id)
        found = f"{held.rate_kbps} kbit/s with {held.burst_kb} kbit" if held else "missing"
        detail = (
            f"meter {journey.meter.id} is {found}; declared are {journey.meter.rate_kbps} kbit/s with "
            f"{journey.meter.burst_kb} kbit"
        )
        yield Fault("wrong-meter", journey.slice, node, detail, packet=describe(journey.packets))


def _returning(visits: tuple[Visit, ...], root: str) -> bool:
    """Whether a copy that turned around is still on its way back to the root."""
    turned = max((i for i, visit in enumerate(visits) if visit.in_port == visit.out_port), default=None)
    return turned is not None and all(visit.node != root for visit in visits[turned + 1 :])


def _lost(journey: Journey, walk: Walk, place: Place) -> Ending | None:
    """A copy that was dropped, the one that was nearest to the receiver at `place` if there are several."""
    routes = journey.routes[place]

    def along(ending: Ending) -> int:
        return max((sum((visit.node, visit.out_port) in way for visit in ending.visits) for way in routes), default=0)

    return max((ending for ending in walk.endings if ending.outcome == "dropped"), key=along, default=None)


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


def _as_planned(journey: Journey, state: State, place: Place, taken: list[Place]) -> bool:
    """Whether a copy arrived over the first lane of its receiver that is whole; back and forth before it is."""
    for span, route in zip(journey.spans.get(place, ()), journey.routes.get(place, ()), strict=True):
        if state.dead.isdisjoint(span):
            return (taken[-1 - len(route) : -1] if state.failed else taken[:-1]) == route
    return True


def _spare(journey: Journey, due: frozenset[Place], arrivals: Mapping[Place, int], walk: Walk) -> Iterator[Ending]:
    """Copies that are lost although every receiver has its own; what else is lost is told already."""
    lost = [ending for ending in walk.endings if ending.outcome == "dropped"]
    if due == journey.targets.keys() == arrivals.keys():
        yield from lost
    elif not journey.copy_bps:
        yield from lost[1:]
