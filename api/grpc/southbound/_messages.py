"""Between the product's frozen types and messages of the same names and fields. Exact both ways, or an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args

from carelane.api.grpc.gen import southbound_pb2 as pb
from carelane.controller.pipeline.changes import Operation, SwitchChanges, Target
from carelane.controller.pipeline.program import Action, Bucket, Match, Queue, SwitchProgram
from carelane.controller.southbound.counters import Count, SwitchCounters
from carelane.controller.southbound.protocol import DiscoveredLink, Receipt, SwitchState, SwitchStatus
from carelane.errors import ProgramError

__all__ = ["counters_message", "counters_value", "message", "value"]

_TYPES: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        *get_args(Action),
        *get_args(Target),
        *(Bucket, Match, Queue, SwitchProgram, Operation, SwitchChanges),
        *(DiscoveredLink, Receipt, SwitchState, SwitchStatus, Count),
    )
}
_WORDS = {("Operation", "verb"): ("add", "modify", "delete"), ("Group", "type"): ("all", "fast-failover", "indirect")}
_WRAPPED = {"Action": "action"}
"""Messages that are nothing but a choice; Operation has one among other fields."""


def message(made: Any) -> Any:
    """The message of a value of one of `_TYPES`. Raises ProgramError for a number that no field can hold."""
    name = type(made).__name__
    sent = getattr(pb, name)()
    try:
        for item in fields(made):
            _put(sent, item.name, getattr(made, item.name))
    except (ValueError, TypeError) as error:
        raise ProgramError(f"a {name} cannot be sent to the process that holds the switches: {error}") from error
    return sent


def _put(sent: Any, name: str, given: Any) -> None:
    if given is None:
        return
    if name == "target":
        getattr(sent, _snake(given)).CopyFrom(message(given))
    elif isinstance(given, Mapping):
        getattr(sent, name).update(given)
    elif name == "actions":
        sent.actions.extend(pb.Action(**{_snake(action): message(action)}) for action in given)
    elif isinstance(given, frozenset):
        getattr(sent, name).extend(sorted(given))
    elif isinstance(given, tuple):
        getattr(sent, name).extend(message(item) if type(item).__name__ in _TYPES else item for item in given)
    elif type(given).__name__ in _TYPES:
        getattr(sent, name).CopyFrom(message(given))
    else:
        setattr(sent, name, given)


def value(sent: Any) -> Any:
    """The value that `message` was given. Raises ProgramError for a message that no value has."""
    name = sent.DESCRIPTOR.name
    if name in _WRAPPED:
        return value(getattr(sent, _chosen(sent, _WRAPPED[name])))
    given: dict[str, Any] = {}
    for field in sent.DESCRIPTOR.fields:
        if field.containing_oneof is not None and field.containing_oneof.name == "target":
            continue
        given[field.name] = _field(sent, field)
    if name == "Operation":
        given["target"] = value(getattr(sent, _chosen(sent, "target")))
    if name == "SwitchStatus":
        given["dead_ports"] = frozenset(given["dead_ports"])
    for (kind, field_name), words in _WORDS.items():
        if kind == name and given[field_name] not in words:
            raise ProgramError(f"{name}.{field_name} is {given[field_name]!r}; expected one of {', '.join(words)}")
    return _TYPES[name](**given)


def _field(sent: Any, field: Any) -> Any:
    held = getattr(sent, field.name)
    if isinstance(held, Mapping):
        return dict(held)
    if field.is_repeated:
        return tuple(value(item) for item in held) if field.message_type is not None else tuple(held)
    if field.message_type is not None:
        return value(held)
    return held if not field.has_presence or sent.HasField(field.name) else None


def _chosen(sent: Any, choice: str) -> str:
    chosen: str | None = sent.WhichOneof(choice)
    if chosen is None:
        raise ProgramError(f"a {sent.DESCRIPTOR.name} without {choice}; are both processes of one version?")
    return chosen


def _snake(made: Any) -> str:
    name = type(made).__name__
    return name[0].lower() + "".join(f"_{char.lower()}" if char.isupper() else char for char in name[1:])


def counters_message(read: SwitchCounters) -> pb.SwitchCounters:
    """Like `message`; mappings with keys of several parts become rows."""
    return pb.SwitchCounters(
        node=read.node,
        at_s=read.at_s,
        took_s=read.took_s,
        flows=[
            pb.FlowCount(cookie=cookie, table=table, priority=priority, match=message(match), count=message(count))
            for (cookie, table, priority, match), count in read.flows.items()
        ],
        meters=[pb.MeterCount(meter=meter, count=message(count)) for meter, count in read.meters.items()],
        queues=[
            pb.QueueCount(port=port, queue=queue, count=message(count)) for (port, queue), count in read.queues.items()
        ],
        ports=[
            pb.PortCount(port=port, received=message(received), sent=message(sent))
            for port, (received, sent) in read.ports.items()
        ],
        groups=[pb.GroupCount(group=group, count=message(count)) for group, count in read.groups.items()],
    )


def counters_value(sent: pb.SwitchCounters) -> SwitchCounters:
    """The reading that `counters_message` was given."""
    return SwitchCounters(
        node=sent.node,
        at_s=sent.at_s,
        took_s=sent.took_s,
        flows={(row.cookie, row.table, row.priority, value(row.match)): value(row.count) for row in sent.flows},
        meters={row.meter: value(row.count) for row in sent.meters},
        queues={(row.port, row.queue): value(row.count) for row in sent.queues},
        ports={row.port: (value(row.received), value(row.sent)) for row in sent.ports},
        groups={row.group: value(row.count) for row in sent.groups},
    )
