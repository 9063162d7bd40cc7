"""What all switches hold, indexed for look-ups by switch, table, input port and label, and changed in place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import compress, count
from operator import attrgetter, is_not
from typing import Literal, NamedTuple, TypeVar

from carelane.controller.pipeline.changes import Operation, Target
from carelane.controller.pipeline.compile import LEAST_FLOOR_BPS
from carelane.controller.pipeline.program import FlowRule, Group, Match, Meter, PortBfd, PortQos, Program, Queue
from carelane.controller.pipeline.verify._cube import ALL, NONE, Cube, meets

__all__ = ["Found", "Item", "Tables"]

_Kind = Literal["flow", "group", "meter", "queue"]


class Item(NamedTuple):
    """Something that a slice owns on a switch: a flow by its key, a group or meter by number, a queue by (port, id)."""

    kind: _Kind
    node: str
    key: object

    @property
    def queue(self) -> tuple[int, int]:
        """Port and number of a queue."""
        assert isinstance(self.key, tuple)
        port, number = self.key
        return int(port), int(number)


@dataclass(frozen=True, slots=True)
class Found:
    """The rule that takes all packets of a cube that no rule of `captors` takes first; `rival` has its priority."""

    rule: FlowRule | None
    captors: tuple[FlowRule, ...] = ()
    rival: FlowRule | None = None


_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_Place = tuple[str, int]
_Cell = tuple[int | None, int | None]

_NO_QUEUES: Mapping[int, Queue] = {}
_priority = attrgetter("priority")


class Tables:
    """Mutable; everything by node."""

    def __init__(self) -> None:
        self.flows: defaultdict[str, dict[object, FlowRule]] = defaultdict(dict)
        self.groups: defaultdict[str, dict[int, Group]] = defaultdict(dict)
        self.meters: defaultdict[str, dict[int, Meter]] = defaultdict(dict)
        self.ports: dict[_Place, PortQos] = {}
        self.watches: dict[_Place, PortBfd] = {}
        self._cells: defaultdict[tuple[str, int], defaultdict[_Cell, list[FlowRule]]]
        self._cells = defaultdict(lambda: defaultdict(list))
        self._queues: defaultdict[_Place, dict[int, Queue]] = defaultdict(dict)
        self._floors_bps: defaultdict[_Place, int] = defaultdict(int)
        self._labelled: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._seen: defaultdict[tuple[str, int], dict[_Cell, dict[Cube, Found]]] = defaultdict(dict)

    def load(self, program: Program) -> None:
        """Hold what the program says, in addition to what is held."""
        for node, switch in program.items():
            items: list[Target] = [*switch.flows, *switch.groups, *switch.meters, *switch.ports, *switch.watches]
            for item in items:
                self.carry_out(node, Operation("add", item))

    def carry_out(self, node: str, operation: Operation) -> FlowRule | None:
        """Do what the switch would do. A modified flow keeps its cookie. Returns the flow that was there."""
        gone = operation.verb == "delete"
        match operation.target:
            case FlowRule() as rule:
                return self._change_flow(node, rule, gone=gone)
            case Group() as group:
                _change(self.groups[node], group.id, group, gone=gone)
            case Meter() as meter:
                _change(self.meters[node], meter.id, meter, gone=gone)
            case PortQos() as port:
                self._change_port((node, port.port), None if gone else port)
            case PortBfd() as watch:
                _change(self.watches, (node, watch.port), watch, gone=gone)
        return None

    def look_up(self, node: str, table: int, in_port: int, cube: Cube) -> Found:
        """Which rule the packets of `cube` meet at `in_port`."""
        if cube.label is not None and not self._labelled.get((node, table)):
            cube = Cube(cube.eth_type, cube.eth_src, cube.eth_dst)  # no rule tells labels apart: one answer for all
        seen = self._seen[(node, table)].setdefault((in_port, cube.label), {})
        found = seen.get(cube)
        if found is None:
            found = seen[cube] = self._search(node, table, in_port, cube)
        return found

    def queues(self, place: _Place) -> Mapping[int, Queue]:
        """The queues a port has, by number."""
        return self._queues.get(place, _NO_QUEUES)

    def floors_bps(self, place: _Place) -> int:
        """What the queues of a port promise together; the least floor that every queue has is not counted."""
        return self._floors_bps.get(place, 0)

    def floor_bps(self, place: _Place, number: int) -> int:
        """What one of them counts in that."""
        queue = self.queues(place).get(number)
        return 0 if queue is None else _counted_bps(queue)

    def queue_changes(self, place: _Place, port: PortQos | None) -> tuple[list[Queue], list[Queue]]:
        """Queues that go and that come if `port` (None: nothing) takes the place of what is there."""
        former = self.ports.get(place)
        old = () if former is None else former.queues
        new = () if port is None else port.queues
        start = next(compress(count(), map(is_not, old, new)), min(len(old), len(new)))
        # Both are in order of numbers. What stayed is the same object or, read back from a switch, an equal one.
        gone, come = dict.fromkeys(old[start:]), dict.fromkeys(new[start:])
        return [queue for queue in gone if queue not in come], [queue for queue in come if queue not in gone]

    def items(self) -> Iterator[Item]:
        """Everything there is that a slice could own."""
        for node, flows in self.flows.items():
            yield from (Item("flow", node, key) for key in flows)
        for node, groups in self.groups.items():
            yield from (Item("group", node, number) for number in groups)
        for node, meters in self.meters.items():
            yield from (Item("meter", node, number) for number in meters)
        for (node, _), port in self.ports.items():
            yield from queue_items(node, port)

    def holds(self, item: Item) -> bool:
        if item.kind == "flow":
            return item.key in self.flows[item.node]
        if item.kind == "queue":
            port, number = item.queue
            return number in self.queues((item.node, port))
        held = self.groups if item.kind == "group" else self.meters
        return item.key in held[item.node]

    def _change_port(self, place: _Place, port: PortQos | None) -> None:
        gone, come = self.queue_changes(place, port)
        held = self._queues[place]
        for queue in gone:
            held.pop(queue.id, None)
        held.update((queue.id, queue) for queue in come)
        self._floors_bps[place] += sum(map(_counted_bps, come)) - sum(map(_counted_bps, gone))
        if port is None:
            self.ports.pop(place, None)
        else:
            self.ports[place] = port

    def _change_flow(self, node: str, rule: FlowRule, *, gone: bool) -> FlowRule | None:
        cell = self._cells[(node, rule.table)][_cell(rule.match)]
        key, flows = rule.key, self.flows[node]
        former = flows.pop(key, None)
        if former is not None:
            cell.remove(former)
        if not gone:
            flows[key] = rule
            cell.append(rule)
        if rule.match.mpls_label is not None or rule.match.mpls_tc is not None:
            self._labelled[(node, rule.table)] += (not gone) - (former is not None)
        seen, (in_port, label) = self._seen[(node, rule.table)], _cell(rule.match)
        if in_port is not None and label is not None:
            seen.pop((in_port, label), None)
        else:
            for corner in [at for at in seen if in_port in (None, at[0]) and label in (None, at[1])]:
                del seen[corner]
        return former

    def _search(self, node: str, table: int, in_port: int, cube: Cube) -> Found:
        captors: list[FlowRule] = []
        taker: FlowRule | None = None
        for rule in self._candidates(node, table, in_port, cube):
            if taker is not None and rule.priority < taker.priority:
                break
            relation = meets(rule.match, cube, in_port)
            if relation == NONE:
                continue
            if taker is not None:
                return Found(taker, tuple(captors), rule)
            if relation == ALL:
                rival = next((item for item in captors if item.priority == rule.priority), None)
                if rival is not None:
                    return Found(rule, tuple(captors), rival)
                taker = rule
            else:
                captors.append(rule)
        return Found(taker, tuple(captors))

    def _candidates(self, node: str, table: int, in_port: int, cube: Cube) -> Iterable[FlowRule]:
        cells = self._cells.get((node, table))
        if cells is None:
            return ()
        rules = [*cells.get((in_port, None), ()), *cells.get((None, None), ())]
        if cube.label is not None:
            rules += (*cells.get((in_port, cube.label), ()), *cells.get((None, cube.label), ()))
        if len(rules) > 1:
            rules.sort(key=_priority, reverse=True)
        return rules


def queue_items(node: str, port: PortQos) -> Iterator[Item]:
    """The queues of slices at a port; queue 0 is the port's own."""
    return (Item("queue", node, (port.port, queue.id)) for queue in port.queues if queue.id)


def _counted_bps(queue: Queue) -> int:
    return queue.min_rate_bps if queue.min_rate_bps > LEAST_FLOOR_BPS else 0


def _cell(match: Match) -> _Cell:
    return (match.in_port, match.mpls_label)


def _change(held: dict[_Key, _Value], key: _Key, item: _Value, *, gone: bool) -> None:
    if gone:
        held.pop(key, None)
    else:
        held[key] = item
