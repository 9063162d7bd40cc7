"""Diff: what turns a switch's own state into its program, in the order in which it is safe. Pure.

Input: what the switch holds of ours and what it should hold. Output: ordered, minimal operations; nothing that is
already right is touched. A rule that keeps its key and cookie is modified, which keeps its counters; a changed
cookie means another owner, and the rule is added over the old one (OpenFlow replaces it in one step, counters anew).

The order, and what each step protects:

1. delete flows: first, so that no packet of a new slice meets a rule of the former owner of its label or address;
2. delete groups and meters that no remaining flow uses (a switch deletes the flows of a group it deletes, so one
   that a flow uses until step 6 must stay until then);
3. liveness watches, and queues: before anything that sends into them. A queue that something remaining still uses
   stays until step 7;
4. meters, 5. groups, 6. flows: referenced things before what refers to them, groups that groups send to included;
7. delete the groups and meters that flows have just let go of; then take away their queues, the QoS of ports that
   no slice uses any longer, and the watches of ports that lead nowhere any longer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeVar

from carelane.controller.pipeline.changes import Operation, SwitchChanges, Target
from carelane.controller.pipeline.program import (
    Action,
    FlowRule,
    Group,
    Meter,
    Output,
    PortBfd,
    PortQos,
    SetQueue,
    SwitchProgram,
    ToGroup,
    ToMeter,
)

__all__ = ["References", "diff", "references"]

_Item = TypeVar("_Item", FlowRule, Group, Meter, PortBfd)
_Verb = Literal["add", "modify", "delete"]


@dataclass(frozen=True, slots=True)
class References:
    """What actions refer to: groups, meters, and queues by egress port."""

    groups: frozenset[int]
    meters: frozenset[int]
    queues: frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class _Delta:
    """Parts of one kind: gone ones as they were, the others as they should be."""

    gone: tuple[Target, ...]
    changed: tuple[Operation, ...]


class _Staying:
    """What refers to something on a switch until the last step; looked through only where something goes."""

    def __init__(self, own: SwitchProgram, desired: SwitchProgram, deleted: Iterable[Target]) -> None:
        self._own, self._desired, self._deleted = own, desired, deleted

    @cached_property
    def direct(self) -> References:
        """What the flows refer to that are not deleted first."""
        return references(self._actions)

    @cached_property
    def groups(self) -> frozenset[int]:
        """Those that flows use, and those that these send to."""
        return _with_inner(self.direct.groups, self._own.groups)

    @cached_property
    def queues(self) -> frozenset[tuple[int, int]]:
        """Those that flows use, and the groups that stay or that flows use."""
        lasting = self.groups | {group.id for group in self._desired.groups}
        buckets = [bucket.actions for group in self._own.groups if group.id in lasting for bucket in group.buckets]
        return references([*self._actions, *buckets]).queues

    @cached_property
    def _actions(self) -> list[Sequence[Action]]:
        deleted = {rule.key for rule in self._deleted if isinstance(rule, FlowRule)}
        return [rule.actions for rule in self._own.flows if rule.key not in deleted]


def references(action_lists: Iterable[Sequence[Action]]) -> References:
    """Collect what the action lists (of flows or group buckets) refer to."""
    groups: set[int] = set()
    meters: set[int] = set()
    queues: set[tuple[int, int]] = set()
    for actions in action_lists:
        queue = 0
        for action in actions:
            match action:
                case ToGroup(group=number):
                    groups.add(number)
                case ToMeter(meter=number):
                    meters.add(number)
                case SetQueue(queue=number):
                    queue = number
                case Output(port=port):
                    queues.add((port, queue))
                case _:
                    pass
    return References(frozenset(groups), frozenset(meters), frozenset(queues))


def diff(own: SwitchProgram, desired: SwitchProgram) -> SwitchChanges:
    """Ordered, minimal operations from `own` to `desired`; empty when they are equal."""
    flows = _delta(own.flows, desired.flows, lambda rule: rule.key)
    groups = _delta(_by_depth(own.groups)[::-1], _by_depth(desired.groups), lambda group: group.id)
    meters = _delta(own.meters, desired.meters, lambda meter: meter.id)
    watches = _delta(own.watches, desired.watches, lambda watch: watch.port)
    staying = _Staying(own, desired, flows.gone)
    grown, shrunk = _ports(own.ports, desired.ports, staying)
    early_groups, late_groups = _split(groups.gone, lambda: staying.groups)
    early_meters, late_meters = _split(meters.gone, lambda: staying.direct.meters)
    operations = (
        *_deletes(flows.gone),
        *_deletes(early_groups),
        *_deletes(early_meters),
        *watches.changed,
        *grown,
        *meters.changed,
        *groups.changed,
        *flows.changed,
        *_deletes(late_groups),
        *_deletes(late_meters),
        *shrunk,
        *_deletes(watches.gone),
    )
    return SwitchChanges(desired.node, desired.dpid, operations)


def _inner(group: Group) -> frozenset[int]:
    """The groups that a group's buckets send to."""
    return frozenset(
        action.group for bucket in group.buckets for action in bucket.actions if isinstance(action, ToGroup)
    )


def _with_inner(numbers: frozenset[int], groups: Sequence[Group]) -> frozenset[int]:
    """`numbers` and all groups that are reached through them."""
    inner = {group.id: sent for group in groups if (sent := _inner(group))}
    found, waiting = set(numbers), [number for number in numbers if number in inner]
    while waiting:
        new = inner.get(waiting.pop(), frozenset()) - found
        found |= new
        waiting += new
    return frozenset(found)


def _by_depth(groups: Sequence[Group]) -> Sequence[Group]:
    """Groups in an order in which each comes after those it sends to; as they are, where none sends to another."""
    inner = {group.id: sent for group in groups if (sent := _inner(group))}
    if not inner:
        return groups
    depth: dict[int, int] = {}

    def of(number: int) -> int:
        if number not in depth:
            depth[number] = 0  # a group that leads back to itself is refused by the switch
            depth[number] = max((1 + of(other) for other in inner.get(number, ())), default=0)
        return depth[number]

    return sorted(groups, key=lambda group: of(group.id))


def _delta(old: Sequence[_Item], new: Sequence[_Item], key: Callable[[_Item], object]) -> _Delta:
    kept = set(map(id, old)) & set(map(id, new))  # most are the very same objects: nothing to compare
    before = {key(item): item for item in old if id(item) not in kept}
    after = {key(item): item for item in new if id(item) not in kept}
    changed = tuple(
        Operation(_verb(before.get(name), item), item) for name, item in after.items() if before.get(name) != item
    )
    return _Delta(tuple(item for name, item in before.items() if name not in after), changed)


def _verb(before: Target | None, after: Target) -> _Verb:
    if before is None:
        return "add"
    if isinstance(before, FlowRule) and isinstance(after, FlowRule) and before.cookie != after.cookie:
        return "add"
    return "modify"


def _deletes(items: Iterable[Target]) -> Iterator[Operation]:
    return (Operation("delete", item) for item in items)


def _split(gone: Sequence[Target], held: Callable[[], frozenset[int]]) -> tuple[list[Target], list[Target]]:
    """Groups or meters to delete before and after the flows."""
    early: list[Target] = []
    late: list[Target] = []
    for item in gone:
        (late if isinstance(item, (Group, Meter)) and item.id in held() else early).append(item)
    return early, late


def _ports(
    old: Sequence[PortQos], new: Sequence[PortQos], staying: _Staying
) -> tuple[list[Operation], list[Operation]]:
    """Port operations before and after the flows; a port appears in both only if it must keep a queue meanwhile."""
    before = {port.port: port for port in old}
    after = {port.port: port for port in new}
    grown: list[Operation] = []
    shrunk: list[Operation] = []
    for number, wanted in after.items():
        current = before.get(number)
        if current is None:
            grown.append(Operation("add", wanted))
        elif current is not wanted and current != wanted:
            names = {queue.id for queue in wanted.queues}
            gone = [queue for queue in current.queues if queue.id not in names]
            kept = tuple(queue for queue in gone if (number, queue.id) in staying.queues)
            interim = replace(wanted, queues=(*wanted.queues, *kept)) if kept else wanted
            if interim != current:
                grown.append(Operation("modify", interim))
            if interim != wanted:
                shrunk.append(Operation("modify", wanted))
    shrunk.extend(Operation("delete", port) for number, port in before.items() if number not in after)
    return grown, shrunk
