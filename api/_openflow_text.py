"""Operations as one line each, in the words of ovs-ofctl, which is what people compare them with."""

from __future__ import annotations

from dataclasses import fields

from carelane.controller.pipeline.changes import Operation, Target
from carelane.controller.pipeline.program import (
    CONTROLLER_PORT,
    IN_PORT,
    Action,
    FlowRule,
    GotoTable,
    Group,
    Match,
    Meter,
    Output,
    PopMpls,
    PortQos,
    PushMpls,
    SetDscp,
    SetEthDst,
    SetMplsLabel,
    SetQueue,
    ToGroup,
    ToMeter,
)
from carelane.units import format_rate

__all__ = ["operation_text"]

_PORT_NAMES = {IN_PORT: "in_port", CONTROLLER_PORT: "controller"}
_MATCH_NAMES = {
    "eth_src": "dl_src",
    "eth_dst": "dl_dst",
    "eth_type": "dl_type",
    "ip_src": "nw_src",
    "ip_dst": "nw_dst",
    "ip_proto": "nw_proto",
    "l4_src": "tp_src",
    "l4_dst": "tp_dst",
}


def operation_text(operation: Operation) -> str:
    """``add flow table=0,priority=100,in_port=1 actions=meter:16,...``"""
    return f"{operation.verb} {_target(operation.target)}"


def _target(target: Target) -> str:
    if isinstance(target, FlowRule):
        match = _match(target.match)
        head = f"flow table={target.table},priority={target.priority}" + (f",{match}" if match else "")
        return f"{head} actions={_actions(target.actions)}"
    if isinstance(target, Group):
        buckets = (f"bucket={_watch(bucket.watch_port)}actions={_actions(bucket.actions)}" for bucket in target.buckets)
        return f"group group_id={target.id},type={target.type},{','.join(buckets)}"
    if isinstance(target, Meter):
        return f"meter meter={target.id},kbps,burst,band=type=drop,rate={target.rate_kbps},burst_size={target.burst_kb}"
    return _queues(target)


def _queues(port: PortQos) -> str:
    classes = "; ".join(
        f"queue {queue.id} ({queue.slice or 'best effort'}) {format_rate(queue.min_rate_bps)}"
        f" to {format_rate(queue.max_rate_bps)}, priority {queue.priority}"
        for queue in port.queues
    )
    return f"queues port={port.port}: {classes or 'none'}"


def _match(match: Match) -> str:
    parts = []
    for item in fields(match):
        value = getattr(match, item.name)
        if value is not None:
            shown = f"0x{value:04x}" if item.name == "eth_type" else value
            parts.append(f"{_MATCH_NAMES.get(item.name, item.name)}={shown}")
    return ",".join(parts)


def _watch(port: int | None) -> str:
    return "" if port is None else f"watch_port:{port},"


def _actions(actions: tuple[Action, ...]) -> str:
    return ",".join(_action(action) for action in actions) or "drop"


def _action(action: Action) -> str:
    match action:
        case Output(port=port):
            return f"output:{_PORT_NAMES.get(port, port)}"
        case PushMpls():
            return "push_mpls:0x8847"
        case SetMplsLabel(label=label):
            return f"set_field:{label}->mpls_label"
        case PopMpls(eth_type=eth_type):
            return f"pop_mpls:0x{eth_type:04x}"
        case SetDscp(dscp=dscp):
            return f"set_field:{dscp}->ip_dscp"
        case SetQueue(queue=queue):
            return f"set_queue:{queue}"
        case SetEthDst(mac=mac):
            return f"set_field:{mac}->eth_dst"
        case ToGroup(group=group):
            return f"group:{group}"
        case ToMeter(meter=meter):
            return f"meter:{meter}"
        case GotoTable(table=table):
            return f"goto_table:{table}"
