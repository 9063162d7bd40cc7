"""One OpenFlow 1.3 switch in memory: tables, groups, meters, queues, and what they do to a packet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from carelane.controller.pipeline.changes import Operation, Target
from carelane.controller.pipeline.diff import references
from carelane.controller.pipeline.program import (
    FIRST_LABEL,
    GROUP_TAG,
    IN_PORT,
    LAST_LABEL,
    Action,
    Bucket,
    FlowRule,
    GotoTable,
    Group,
    Match,
    Meter,
    Output,
    PopMpls,
    PortBfd,
    PortQos,
    PushMpls,
    SetDscp,
    SetEthDst,
    SetMplsLabel,
    SetMplsTc,
    SetQueue,
    SwitchProgram,
    ToGroup,
    ToMeter,
    is_own_cookie,
)
from carelane.controller.pipeline.render import render_flow, render_group, render_meter
from carelane.controller.southbound._packet import Label, Packet, matches
from carelane.controller.southbound.counters import Count, SwitchCounters
from carelane.controller.southbound.protocol import flow_key_text
from carelane.errors import ProgramError, SwitchUnreachable

__all__ = ["Emission", "Fate", "SimulatedSwitch"]

_Key = tuple[int, int, Match]


@dataclass(frozen=True, slots=True)
class Emission:
    """A copy that leaves by `port` through `queue` (0 where the stated queue does not exist)."""

    port: int
    queue: int
    packet: Packet


@dataclass
class Fate:
    """What the switch did with one packet: the copies it sent, or why it sent none. `rule` matched last."""

    emissions: list[Emission] = field(default_factory=list)
    rule: FlowRule | None = None
    reason: str = ""


@dataclass
class _Metered:
    """A meter and its bucket; `tokens` are bits, `at_s` when they were counted."""

    meter: Meter
    tokens: float
    at_s: float | None = None
    packets: int = 0
    octets: int = 0
    dropped: int = 0
    dropped_octets: int = 0


@dataclass
class _Working:
    """The packet on its way through the tables, with the queue chosen so far."""

    packet: Packet
    queue: int = 0
    stopped: str = ""


class SimulatedSwitch:
    """Not thread-safe; the simulator holds the lock."""

    def __init__(self, node: str, dpid: int) -> None:
        self.node = node
        self.dpid = dpid
        self.connected = True
        self.down_ports: set[int] = set()
        self.silent_ports: set[int] = set()
        self.gone_ports: set[int] = set()
        self.wipe()

    def wipe(self) -> None:
        """Forget everything, as a switch does that loses power."""
        self._flows: dict[_Key, FlowRule] = {}
        self._packets: defaultdict[_Key, int] = defaultdict(int)
        self._octets: defaultdict[_Key, int] = defaultdict(int)
        self._sent: defaultdict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
        self._received: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
        self._groups: dict[int, Group] = {}
        self._meters: dict[int, _Metered] = {}
        self._ports: dict[int, PortQos] = {}
        self._watches: dict[int, PortBfd] = {}
        self._index: dict[tuple[int, int | None], list[FlowRule]] | None = None

    # State

    def own(self) -> SwitchProgram:
        return SwitchProgram(
            self.node,
            self.dpid,
            tuple(rule for rule in self._flows.values() if is_own_cookie(rule.cookie)),
            tuple(group for group in self._groups.values() if _is_own(group)),
            tuple(held.meter for held in self._meters.values() if _is_own(held.meter)),
            tuple(self._ports.values()),
            tuple(self._watches.values()),
        )

    def lives(self, port: int | None) -> bool:
        """Whether groups take a port for alive: it has a carrier, and BFD, where it watches, hears the other end."""
        silent = port in self.silent_ports and port in self._watches
        return port not in self.down_ports and port not in self.gone_ports and not silent

    def lose_port(self, port: int) -> None:
        """The port is gone, and with it what belonged to it."""
        self.gone_ports.add(port)
        self._ports.pop(port, None)
        self._watches.pop(port, None)

    def strangers(self) -> tuple[str, ...]:
        flows = [render_flow(rule) for rule in self._flows.values() if not is_own_cookie(rule.cookie)]
        groups = [render_group(group) for group in self._groups.values() if not _is_own(group)]
        meters = [render_meter(held.meter) for held in self._meters.values() if not _is_own(held.meter)]
        return (*sorted(flows), *sorted(groups), *sorted(meters))

    def flow_packets(self) -> dict[str, int]:
        own = (rule for rule in self._flows.values() if is_own_cookie(rule.cookie))
        return {flow_key_text(rule): self._packets[rule.key] for rule in own}

    def meter_drops(self) -> dict[int, int]:
        return {number: held.dropped for number, held in self._meters.items()}

    def counters(self, at_s: float, ports: Iterable[int]) -> SwitchCounters:
        """What an OpenFlow switch with these ports would answer to statistics requests, of our own entries."""
        own = [rule for rule in self._flows.values() if is_own_cookie(rule.cookie)]
        sent: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
        for (port, _), (packets, octets) in self._sent.items():
            sent[port][0] += packets
            sent[port][1] += octets
        queues = {(port, queue.id) for port, qos in self._ports.items() for queue in qos.queues}
        return SwitchCounters(
            self.node,
            at_s,
            flows={(rule.cookie, *rule.key): Count(self._packets[rule.key], self._octets[rule.key]) for rule in own},
            meters={
                number: Count(held.packets, held.octets, held.dropped, held.dropped_octets)
                for number, held in self._meters.items()
                if _is_own(held.meter)
            },
            queues={place: Count(*self._sent[place]) for place in sorted(queues | self._sent.keys())},
            ports={port: (Count(*self._received[port]), Count(*sent[port])) for port in sorted(ports)},
        )

    # Operations

    def carry_out(self, operation: Operation) -> None:
        """Raises ProgramError where a switch would refuse, SwitchUnreachable for queues of a port that is gone."""
        self._index = None
        match operation.target:
            case FlowRule() as rule:
                self._change_flow(operation.verb, rule)
            case Group() as group:
                self._change_group(operation.verb, group)
            case Meter() as meter:
                self._change_meter(operation.verb, meter)
            case PortQos() as port if operation.verb == "delete":
                self._ports.pop(port.port, None)
            case PortBfd() as watch if operation.verb == "delete":
                self._watches.pop(watch.port, None)
            case PortQos(port=number) | PortBfd(port=number) if number in self.gone_ports:
                raise SwitchUnreachable(f"{self.node}: port {number} does not exist on the switch")
            case PortQos() as port:
                self._ports[port.port] = port
            case PortBfd() as watch:
                self._watches[watch.port] = watch

    def _change_flow(self, verb: str, rule: FlowRule) -> None:
        if verb == "delete":
            self._forget_flow(rule.key)
            return
        self._check_references(rule.actions, f"flow {flow_key_text(rule)}")
        if verb == "add":
            self._flows[rule.key] = rule
            self._packets[rule.key] = self._octets[rule.key] = 0
        elif rule.key in self._flows:
            cookie = self._flows[rule.key].cookie
            self._flows[rule.key] = replace(rule, cookie=cookie)

    def _change_group(self, verb: str, group: Group) -> None:
        known = group.id in self._groups
        if verb == "delete":
            self._groups.pop(group.id, None)
            self._forget_flows_using(ToGroup(group.id))
            return
        if known != (verb == "modify"):
            raise ProgramError(f"{self.node}: group {group.id:#x} {'exists' if known else 'is unknown'}")
        for bucket in group.buckets:
            self._check_references(bucket.actions, f"group {group.id:#x}")
        self._groups[group.id] = group

    def _change_meter(self, verb: str, meter: Meter) -> None:
        known = meter.id in self._meters
        if verb == "delete":
            self._meters.pop(meter.id, None)
            self._forget_flows_using(ToMeter(meter.id))
            return
        if known != (verb == "modify"):
            raise ProgramError(f"{self.node}: meter {meter.id} {'exists' if known else 'is unknown'}")
        self._meters[meter.id] = _Metered(meter, meter.burst_kb * 1000)

    def _check_references(self, actions: tuple[Action, ...], what: str) -> None:
        wanted = references([actions])
        for number in wanted.groups - self._groups.keys():
            raise ProgramError(f"{self.node}: {what} refers to unknown group {number:#x}")
        for number in wanted.meters - self._meters.keys():
            raise ProgramError(f"{self.node}: {what} refers to unknown meter {number}")

    def _forget_flows_using(self, action: Action) -> None:
        for key in [key for key, rule in self._flows.items() if action in rule.actions]:
            self._forget_flow(key)

    def _forget_flow(self, key: _Key) -> None:
        self._flows.pop(key, None)
        self._packets.pop(key, None)
        self._octets.pop(key, None)

    # Packets

    def process(self, in_port: int, packet: Packet, at_s: float | None) -> Fate:
        """Run a packet through the tables. With `at_s`, meters police by that clock; without, they let pass."""
        fate, work = Fate(), _Working(packet)
        _tally(self._received[in_port], packet)
        table: int | None = 0
        while table is not None:
            rule = self._lookup(table, work.packet, in_port)
            if rule is None:
                fate.reason = f"no rule in table {table}"
                return fate
            self._packets[rule.key] += work.packet.times
            self._octets[rule.key] += work.packet.times * work.packet.size_bytes
            fate.rule = rule
            table = self._execute(rule.actions, work, in_port, at_s, fate)
        if not fate.emissions:
            fate.reason = work.stopped or "a rule drops it"
        return fate

    def _lookup(self, table: int, packet: Packet, in_port: int) -> FlowRule | None:
        index = self._rules_by_port()
        rules: list[FlowRule] = [*index.get((table, in_port), []), *index.get((table, None), [])]
        found = [rule for rule in rules if matches(rule.match, packet, in_port)]
        if not found:
            return None
        best = max(rule.priority for rule in found)
        top = [rule for rule in found if rule.priority == best]
        if any(rule.actions != top[0].actions for rule in top):
            raise ProgramError(f"{self.node}: {render_flow(top[0])} and {render_flow(top[1])} match the same packet")
        return top[0]

    def _rules_by_port(self) -> dict[tuple[int, int | None], list[FlowRule]]:
        if self._index is None:
            index: defaultdict[tuple[int, int | None], list[FlowRule]] = defaultdict(list)
            for rule in self._flows.values():
                index[(rule.table, rule.match.in_port)].append(rule)
            self._index = dict(index)
        return self._index

    def _execute(
        self, actions: tuple[Action, ...], work: _Working, in_port: int, at_s: float | None, fate: Fate
    ) -> int | None:
        for action in actions:
            match action:
                case GotoTable(table=table):
                    return table
                case ToMeter(meter=number):
                    self._police(number, work, at_s)
                case ToGroup(group=number):
                    self._replicate(self._groups[number], work, in_port, at_s, fate)
                case Output(port=port):
                    qos = self._ports.get(in_port if port == IN_PORT else port)
                    known = {queue.id for queue in qos.queues} if qos is not None else set()
                    queue = work.queue if work.queue in known else 0
                    _tally(self._sent[in_port if port == IN_PORT else port, queue], work.packet)
                    fate.emissions.append(Emission(port, queue, work.packet))
                case SetQueue(queue=queue):
                    work.queue = queue
                case _:
                    _rewrite(action, work)
            if work.stopped:
                return None
        return None

    def _replicate(self, group: Group, work: _Working, in_port: int, at_s: float | None, fate: Fate) -> None:
        buckets = group.buckets if group.type == "all" else self._first_live(group)
        if not buckets:
            work.stopped = f"group {group.id:#x} has no live bucket"
        for bucket in buckets:
            copy = _Working(work.packet, work.queue)
            self._execute(bucket.actions, copy, in_port, at_s, fate)
            work.stopped = work.stopped or copy.stopped

    def _first_live(self, group: Group) -> tuple[Bucket, ...]:
        if group.type == "indirect":
            return group.buckets
        return tuple(bucket for bucket in group.buckets if self.lives(bucket.watch_port))[:1]

    def _police(self, number: int, work: _Working, at_s: float | None) -> None:
        held, packet = self._meters[number], work.packet
        size, passed = packet.size_bytes, packet.times
        if at_s is not None:
            since_s = at_s - held.at_s if held.at_s is not None else 0.0
            held.tokens += since_s * held.meter.rate_kbps * 1000
            if packet.times == 1:
                # A train arrives evenly over the time since the last one, and the bucket refills while it comes.
                held.tokens = min(held.meter.burst_kb * 1000, held.tokens)
            held.at_s = at_s
            passed = min(packet.times, int(held.tokens // (size * 8)))
            held.tokens = min(held.meter.burst_kb * 1000, held.tokens - passed * size * 8)
        held.packets += packet.times
        held.octets += packet.times * size
        held.dropped += packet.times - passed
        held.dropped_octets += (packet.times - passed) * size
        work.packet = replace(packet, times=passed)
        if passed == 0:
            work.stopped = f"meter {number} drops what exceeds {held.meter.rate_kbps} kbit/s"


def _tally(counts: list[int], packet: Packet) -> None:
    counts[0] += packet.times
    counts[1] += packet.times * packet.size_bytes


def _rewrite(action: Action, work: _Working) -> None:
    packet = work.packet
    match action:
        case PushMpls():
            # Open vSwitch carries the low bits of the DSCP, or the outer entry's bits, into the new entry.
            tc = packet.labels[0].tc if packet.labels else packet.dscp & 7
            work.packet = replace(packet, labels=(Label(0, tc), *packet.labels))
        case SetMplsLabel(label=label) if packet.labels:
            work.packet = replace(packet, labels=(replace(packet.labels[0], label=label), *packet.labels[1:]))
        case SetMplsTc(tc=tc) if packet.labels:
            work.packet = replace(packet, labels=(replace(packet.labels[0], tc=tc), *packet.labels[1:]))
        case PopMpls(eth_type=kind) if packet.labels:
            work.packet = replace(packet, labels=packet.labels[1:])
            if work.packet.outer_type != kind:
                work.stopped = f"popped to {kind:#06x}, but {work.packet.outer_type:#06x} is under the label"
        case SetDscp(dscp=dscp) if not packet.labels:
            work.packet = replace(packet, dscp=dscp)
        case SetEthDst(mac=mac):
            work.packet = replace(packet, eth_dst=mac)
        case _:
            work.stopped = f"{type(action).__name__} does not apply to this packet"


def _is_own(item: Target) -> bool:
    match item:
        case Group(id=number):
            return number >> 24 == GROUP_TAG >> 24
        case Meter(id=number):
            return FIRST_LABEL <= number <= LAST_LABEL
        case _:
            return True
