"""Which operations a pass may carry out, and in which order over all switches.

Make before break: labels, groups, meters and queues everywhere first, then the rules that send packets into them,
then what is no longer needed. Every operation belongs to a slice, to the pipeline itself, or to a port.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, IntEnum

from carelane.controller.pipeline.changes import Operation, SwitchChanges
from carelane.controller.pipeline.identifiers import group_label, slice_number
from carelane.controller.pipeline.program import FlowRule, Group, Meter, PortBfd, PortQos, SwitchProgram
from carelane.controller.reconcile.holdings import Holdings
from carelane.policies.classes import STANDARD

__all__ = ["Keeper", "Owner", "Owners", "Stage", "only", "only_keeps", "staged"]


class Keeper(Enum):
    """Owners that are not slices."""

    PIPELINE = "the pipeline's own rules"
    PORT = "a port's queues, which all slices at the port share"
    NOBODY = "left over: marked as ours, and no slice holds the number"


Owner = str | Keeper


class Stage(IntEnum):
    MAKE = 0
    STEER = 1
    BREAK = 2


@dataclass(frozen=True, slots=True)
class Owners:
    """Who owns an operation, by the numbers in it."""

    by_number: Mapping[int, str]
    by_label: Mapping[int, str]

    @classmethod
    def of(cls, holdings: Holdings) -> Owners:
        return cls(holdings.owners_by_number(), holdings.owners_by_label())

    def owner(self, operation: Operation) -> Owner:
        target = operation.target
        if isinstance(target, FlowRule):
            number = slice_number(target.cookie)
            return self.by_number.get(number, Keeper.NOBODY) if number else Keeper.PIPELINE
        if isinstance(target, Group):
            return self.by_label.get(group_label(target.id), Keeper.NOBODY)
        if isinstance(target, Meter):
            return self.by_label.get(target.id, Keeper.NOBODY)
        return Keeper.PIPELINE if isinstance(target, PortBfd) else Keeper.PORT


def only(changes: SwitchChanges, keep: Callable[[Operation], bool]) -> SwitchChanges:
    """The operations that `keep` accepts, in their order."""
    return replace(changes, operations=tuple(item for item in changes.operations if keep(item)))


def staged(
    changes: SwitchChanges,
    stage: Stage,
    current: SwitchProgram,
    owners: Owners,
    held_back: frozenset[str],
    keeping: frozenset[str],
) -> SwitchChanges:
    """The operations of one stage, in their order, without those of names that are held back.

    Queues that go are kept until the last stage where the port's rate has room for them, and longer where their slice
    is among those `keeping` theirs: its packets may still be sent into them.
    """
    ports = {port.port: port for port in current.ports}
    last = {item.target.port: item for item in changes.operations if isinstance(item.target, PortQos)}
    queues = [
        staged_port
        for port, operation in last.items()
        if (staged_port := _port_at(operation, stage, ports.get(port), keeping)) is not None
    ]
    rules = [
        item
        for item in changes.operations
        if not isinstance(item.target, PortQos)
        and _stage_of(item, owners) is stage
        and owners.owner(item) not in held_back
    ]
    # Queues before what sends into them, and away only after it.
    return replace(changes, operations=tuple(rules + queues if stage is Stage.BREAK else queues + rules))


def only_keeps(operation: Operation, current: SwitchProgram, keeping: frozenset[str]) -> bool:
    """Whether all that an operation would do to a port is to take queues of these slices from it."""
    target = operation.target
    if not isinstance(target, PortQos):
        return False
    held = next((port for port in current.ports if port.port == target.port), None)
    if held is None:
        return False
    last = _last(operation, held, keeping)
    return last.verb != "delete" and last.target == held


def _port_at(operation: Operation, stage: Stage, current: PortQos | None, keeping: frozenset[str]) -> Operation | None:
    target = operation.target
    assert isinstance(target, PortQos)
    interim = target if current is None else current if operation.verb == "delete" else _union(current, target)
    if stage is Stage.MAKE:
        return replace(operation, target=interim) if interim != current else None
    if stage is not Stage.BREAK or current is None:
        return None
    last = _last(operation, current, keeping)
    return last if last.verb == "delete" or (interim != target and last.target != interim) else None


def _last(operation: Operation, current: PortQos, keeping: frozenset[str]) -> Operation:
    """The operation without what it would take from slices that are keeping their queues."""
    target = operation.target
    assert isinstance(target, PortQos)
    kept = tuple(queue for queue in current.queues if queue.slice in keeping)
    if operation.verb == "delete":
        return replace(operation, verb="modify", target=replace(current, queues=kept)) if kept else operation
    return replace(operation, target=_union(replace(current, queues=kept), target))


def _stage_of(operation: Operation, owners: Owners) -> Stage:
    if operation.verb == "delete":
        return Stage.BREAK
    steers = isinstance(operation.target, FlowRule) and operation.target.match.mpls_label is None
    return Stage.STEER if steers and owners.owner(operation) is not Keeper.PIPELINE else Stage.MAKE


def _union(current: PortQos, wanted: PortQos) -> PortQos:
    """Wanted queues and those that go; the wanted ones alone where the floors of both do not fit the port.

    Those of the last priority are left out of that: backups that share, whose floors may sum to more than the port.
    """
    kept = {queue.id for queue in wanted.queues}
    queues = (*wanted.queues, *(queue for queue in current.queues if queue.id not in kept))
    always = (queue for queue in queues if queue.priority != STANDARD.htb_priority)
    if sum(queue.min_rate_bps for queue in always) > wanted.max_rate_bps:
        return wanted
    return replace(wanted, queues=tuple(sorted(queues, key=lambda queue: queue.id)))
