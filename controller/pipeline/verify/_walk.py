"""One walk: all copies of a set of packets through the tables of all switches, with some ports dead."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from carelane.controller.pipeline.compile import CLASSIFY, CORE, MPLS, PORTS
from carelane.controller.pipeline.identifiers import slice_number
from carelane.controller.pipeline.program import (
    CONTROLLER_PORT,
    IN_PORT,
    Action,
    Bucket,
    FlowRule,
    GotoTable,
    Group,
    Output,
    PopMpls,
    PushMpls,
    SetDscp,
    SetEthDst,
    SetMplsLabel,
    SetMplsTc,
    SetQueue,
    ToGroup,
    ToMeter,
)
from carelane.controller.pipeline.verify._cube import Cube, describe, overlap
from carelane.controller.pipeline.verify._expect import Journey, Place, Wiring
from carelane.controller.pipeline.verify._tables import Found, Item, Tables
from carelane.controller.pipeline.verify.faults import FaultKind, Visit

__all__ = ["Ending", "Finding", "Frame", "Walk", "Walker"]


class Frame(NamedTuple):
    """The packets on their way: what is inside, and the label entry over it, if any. `popped` is the last payload
    type an action claimed.
    """

    inner: Cube
    dscp: int | None
    label: int | None = None
    tc: int = 0
    popped: int | None = None

    @property
    def visible(self) -> Cube:
        if self.label is None:
            return self.inner
        return Cube(MPLS, self.inner.eth_src, self.inner.eth_dst, label=self.label, tc=self.tc)


class Ending(NamedTuple):
    """Where one copy ended, and why it did when it was not delivered."""

    outcome: Literal["delivered", "dropped", "looped", "controller"]
    place: Place
    frame: Frame
    visits: tuple[Visit, ...]
    reason: str = ""


class Finding(NamedTuple):
    """Something wrong that was met on the way."""

    kind: FaultKind
    node: str
    detail: str
    visits: tuple[Visit, ...]
    packet: str = ""


@dataclass(slots=True)
class Walk:
    """`consulted` are the ports whose liveness mattered: with other ports dead, it would have gone the same way."""

    endings: list[Ending] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    consulted: set[Place] = field(default_factory=set)
    dead: frozenset[Place] = frozenset()
    meters: list[int] = field(default_factory=list)

    def holds_for(self, dead: frozenset[Place]) -> bool:
        """Whether it would have gone the same way with the ports of `dead` instead."""
        return dead & self.consulted == self.dead


@dataclass(slots=True)
class _At:
    """A copy inside a switch. `groups` are those that it is in."""

    node: str
    in_port: int
    frame: Frame
    visits: tuple[Visit, ...]
    queue: int | None = None
    groups: tuple[int, ...] = ()


@dataclass(slots=True)
class _Hop(Walk):
    """What one switch does with a frame; `onward` are the copies that reach other switches."""

    onward: list[_At] = field(default_factory=list)


class Walker:
    """Follows one journey while some ports are dead. Walks share what switches do: each hop is worked out once.

    `used` is everything of slices that any of the walks came upon; `looked` the tables asked, with what.
    """

    def __init__(self, tables: Tables, wiring: Wiring, owners: dict[tuple[str, object], int], journey: Journey) -> None:
        self.used: set[Item] = set()
        self.looked: set[tuple[str, int, int, Cube]] = set()
        self._tables = tables
        self._wiring = wiring
        self._owners = owners
        self._journey = journey
        self._hops: dict[tuple[str, int, Frame], list[_Hop]] = {}

    def walk(self, dead: frozenset[Place]) -> Walk:
        """All copies, to their ends, while the ports of `dead` are."""
        walk = Walk()
        start = Frame(self._journey.packets, None if self._journey.dscp is None else 0)
        waiting = [_At(*self._journey.origin, start, ())]
        seen: set[int] = set()
        while waiting:
            at = waiting.pop()
            key, visits = (at.node, at.in_port, at.frame), at.visits
            known = self._hops.setdefault(key, [])  # one to a key: the key is looked up once, which is what costs
            if id(known) in seen:
                walk.endings.append(Ending("looped", key[:2], at.frame, visits, "it has been here before"))
                continue
            seen.add(id(known))
            hop = self._hop(known, key, dead)
            walk.consulted |= hop.consulted
            walk.meters += hop.meters
            if hop.endings:
                walk.endings += [ending._replace(visits=visits + ending.visits) for ending in hop.endings]
            if hop.findings:
                walk.findings += [finding._replace(visits=visits + finding.visits) for finding in hop.findings]
            waiting += [_At(on.node, on.in_port, on.frame, visits + on.visits) for on in hop.onward]
        walk.dead = dead & walk.consulted
        return walk

    def _hop(self, known: list[_Hop], key: tuple[str, int, Frame], dead: frozenset[Place]) -> _Hop:
        for hop in known:
            if hop.holds_for(dead):
                return hop
        self._dead = dead
        self._result = _Hop()
        known.append(self._result)
        self._switch(_At(*key, ()))
        self._result.dead = dead & self._result.consulted
        return self._result

    def _switch(self, at: _At) -> None:
        table: int | None = PORTS
        while table is not None:
            cube = at.frame.visible
            found = self._tables.look_up(at.node, table, at.in_port, cube)
            self.looked.add((at.node, table, at.in_port, cube))
            self._question(found, table, at, cube)
            if found.rule is None:
                self._end("dropped", at, f"table {table} has no rule for it")
                return
            number = slice_number(found.rule.cookie)
            if number:
                self.used.add(Item("flow", at.node, found.rule.key))
            endings, waiting = len(self._result.endings), len(self._result.onward)
            before, table = table, self._execute(found.rule.actions, at)
            if table is not None and table <= before:
                self._end("looped", at, f"table {before} leads back to table {table}")
                return
            if table is None and endings == len(self._result.endings) and waiting == len(self._result.onward):
                self._end("dropped", at, "a rule drops it")

    def _question(self, found: Found, table: int, at: _At, cube: Cube) -> None:
        """What is wrong with the rule these packets meet, apart from what it does."""
        for captor in found.captors:
            harmless = found.rule is not None and captor.actions == found.rule.actions
            if not harmless and not self._is_rightful(captor, table, at.node):
                part = describe(overlap(captor.match, cube))
                detail = f"a rule of priority {captor.priority} in table {table} takes some of its packets"
                self._find("captured", at, detail, part)
        rule = found.rule
        if rule is None:
            return
        if found.rival is not None and found.rival.actions != rule.actions:
            self._find("ambiguous", at, f"two rules of priority {rule.priority} in table {table} match it")
        number = slice_number(rule.cookie)
        if number == 0:
            return
        if number != self._journey.number:
            self._find("foreign-rule", at, f"a rule of slice number {number} in table {table} takes it")
        elif table == CLASSIFY and rule.match != self._journey.match:
            self._find("too-broad", at, "the rule that classifies it matches more than its addresses")
        elif table == CORE and (rule.match.in_port is None or rule.match.mpls_label is None):
            self._find("too-broad", at, "a core rule does not state label and input port")
        elif table not in (CLASSIFY, CORE):
            self._find("too-broad", at, f"a slice has no rules in table {table}, where it was not told apart yet")

    def _is_rightful(self, captor: FlowRule, table: int, node: str) -> bool:
        """More specific addresses are another slice's by right (longest prefix first)."""
        return table == CLASSIFY and self._owners.get((node, captor.match)) == slice_number(captor.cookie)

    def _execute(self, actions: tuple[Action, ...], at: _At) -> int | None:
        for action in actions:
            match action:
                case GotoTable(table=table):
                    return table
                case Output(port=port):
                    self._emit(port, at)
                case SetQueue(queue=queue):
                    at.queue = queue
                case ToGroup(group=number):
                    self._group(number, at)
                case ToMeter(meter=number):
                    self._result.meters.append(number)
                    self.used.add(Item("meter", at.node, number))
                case _:
                    self._rewrite(action, at)
        return None

    def _group(self, number: int, at: _At) -> None:
        group = self._tables.groups[at.node].get(number)
        if group is None:
            self._find("missing-reference", at, f"group {number:#x} does not exist")
            return
        if number in at.groups:
            self._end("looped", at, f"group {number:#x} leads back to itself")
            return
        self.used.add(Item("group", at.node, number))
        for bucket in self._chosen(group, at):
            copy = _At(at.node, at.in_port, at.frame, at.visits, at.queue, (*at.groups, number))
            self._execute(bucket.actions, copy)

    def _chosen(self, group: Group, at: _At) -> tuple[Bucket, ...]:
        if group.type != "fast-failover":
            return group.buckets
        for bucket in group.buckets:
            for action in bucket.actions:
                if isinstance(action, Output) and self._port(action.port, at) != bucket.watch_port:
                    detail = f"group {group.id:#x} watches port {bucket.watch_port} and sends out of {action.port}"
                    self._find("wrong-watch", at, detail)
                elif isinstance(action, ToGroup) and bucket.watch_port != at.in_port:
                    detail = f"group {group.id:#x} watches port {bucket.watch_port} before it sends into a group"
                    self._find("wrong-watch", at, f"{detail}; that of arrival, {at.in_port}, is sure to live")
        for bucket in group.buckets:
            place = (at.node, bucket.watch_port or 0)
            self._result.consulted.add(place)
            if place not in self._dead:
                return (bucket,)
        return ()

    def _rewrite(self, action: Action, at: _At) -> None:
        frame = at.frame
        match action:
            case PushMpls() if frame.label is None:
                at.frame = frame._replace(label=0, tc=(frame.dscp or 0) & 7)
            case SetMplsLabel(label=label) if frame.label is not None:
                at.frame = frame._replace(label=label)
            case SetMplsTc(tc=tc) if frame.label is not None:
                at.frame = frame._replace(tc=tc)
            case PopMpls(eth_type=kind) if frame.label is not None:
                at.frame = frame._replace(label=None, tc=0, popped=kind)
            case SetDscp(dscp=dscp) if frame.label is None and frame.dscp is not None:
                at.frame = frame._replace(dscp=dscp)
            case SetEthDst(mac=mac):
                at.frame = frame._replace(inner=frame.inner._replace(eth_dst=mac))
            case _:
                self._find("wrong-header", at, f"{type(action).__name__} does not apply to it here")

    def _emit(self, port: int, at: _At) -> None:
        out_port = self._port(port, at)
        place = (at.node, out_port)
        visits = (*at.visits, Visit(at.node, at.in_port, out_port, at.queue))
        after = _At(at.node, at.in_port, at.frame, visits, at.queue)
        if port == CONTROLLER_PORT:
            self._end("controller", after)
        elif port == at.in_port:
            self._end("dropped", at, "it would leave by the port of arrival, which takes IN_PORT")
        else:
            self._queue(place, after)
            self._result.consulted.add(place)
            if place in self._dead:
                self._end("dropped", at, f"it is sent out of port {out_port}, which is dead")
            elif (peer := self._wiring.peers.get(place)) is not None:
                self._result.onward.append(_At(*peer, at.frame, visits))
            elif place in self._wiring.hosts:
                self._result.endings.append(Ending("delivered", place, at.frame, visits))
            else:
                self._end("dropped", after, f"there is no port {out_port} in the topology")

    def _queue(self, place: Place, at: _At) -> None:
        if place not in self._wiring.rates:
            return
        if at.queue != self._journey.number:
            self._find("wrong-queue", at, f"it leaves port {place[1]} through queue {at.queue or 0}")
        elif at.queue not in self._tables.queues(place):
            self._find("wrong-queue", at, f"port {place[1]} has no queue {at.queue}")
        else:
            self.used.add(Item("queue", at.node, (place[1], at.queue)))

    def _port(self, port: int, at: _At) -> int:
        return at.in_port if port == IN_PORT else port

    def _find(self, kind: FaultKind, at: _At, detail: str, packet: str = "") -> None:
        self._result.findings.append(Finding(kind, at.node, detail, at.visits, packet or describe(at.frame.visible)))

    def _end(self, outcome: Literal["dropped", "looped", "controller"], at: _At, reason: str = "") -> None:
        self._result.endings.append(Ending(outcome, (at.node, at.in_port), at.frame, at.visits, reason))
