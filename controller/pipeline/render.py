"""Programs and changes as text, close to what `ovs-ofctl dump-flows` prints; for people, not for parsing."""

from __future__ import annotations

from carelane.controller.pipeline.changes import SwitchChanges, Target
from carelane.controller.pipeline.program import (
    CONTROLLER_PORT,
    IN_PORT,
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
    Program,
    PushMpls,
    SetDscp,
    SetEthDst,
    SetMplsLabel,
    SetMplsTc,
    SetQueue,
    SwitchProgram,
    ToGroup,
    ToMeter,
)
from carelane.units import format_rate

__all__ = [
    "describe_changes",
    "describe_program",
    "describe_switch",
    "render_flow",
    "render_group",
    "render_meter",
    "render_port",
]

_PORT_NAMES = {IN_PORT: "IN_PORT", CONTROLLER_PORT: "CONTROLLER"}
_TYPE_NAMES = {0x0800: "ip", 0x0806: "arp", 0x86DD: "ipv6", 0x8847: "mpls"}
_ADDRESS_NAMES = {0x86DD: ("ipv6_src", "ipv6_dst"), 0x0806: ("arp_spa", "arp_tpa")}
_SIGNS = {"add": "+", "modify": "~", "delete": "-"}


def describe_program(program: Program) -> list[str]:
    """Every switch under a heading of its own."""
    return [line for switch in program.values() for line in describe_switch(switch)]


def describe_switch(switch: SwitchProgram) -> list[str]:
    """A heading, then flows, groups, meters and queues, one a line."""
    items: list[Target] = [*switch.flows, *switch.groups, *switch.meters, *switch.ports, *switch.watches]
    return [f"{switch.node} (dpid {switch.dpid:016x})", *(f"  {_render(item)}" for item in items)]


def describe_changes(changes: SwitchChanges) -> list[str]:
    """A heading, then one line an operation in order: + add, ~ modify, - delete. Empty when there are none."""
    if not changes:
        return []
    lines = [f"{_SIGNS[operation.verb]} {_render(operation.target)}" for operation in changes.operations]
    return [f"{changes.node} (dpid {changes.dpid:016x})", *(f"  {line}" for line in lines)]


def render_flow(rule: FlowRule) -> str:
    """A whole flow entry."""
    actions = ",".join(_action(action) for action in rule.actions) or "drop"
    return (
        f"cookie={rule.cookie:#x}, table={rule.table}, priority={rule.priority}{_match(rule.match)} actions={actions}"
    )


def render_group(group: Group) -> str:
    kind = {"fast-failover": "ff"}.get(group.type, group.type)
    return f"group_id={group.id:#x},type={kind}{''.join(_bucket(bucket) for bucket in group.buckets)}"


def render_meter(meter: Meter) -> str:
    return f"meter={meter.id} kbps burst bands=type=drop rate={meter.rate_kbps} burst_size={meter.burst_kb}"


def render_port(port: PortQos) -> str:
    queues = "".join(
        f"; queue {queue.id}{f' ({queue.slice})' if queue.slice else ''} floor {format_rate(queue.min_rate_bps)} "
        f"ceiling {format_rate(queue.max_rate_bps)} burst {queue.burst_bits / 8000:g} kB priority {queue.priority}"
        for queue in port.queues
    )
    return f"port {port.port} {format_rate(port.max_rate_bps)}{queues}"


def _render(item: Target) -> str:
    match item:
        case FlowRule():
            return render_flow(item)
        case Group():
            return render_group(item)
        case Meter():
            return render_meter(item)
        case PortQos():
            return render_port(item)
        case PortBfd():
            return f"port {item.port} watched by BFD every {item.interval_ms} ms"


def _match(match: Match) -> str:
    kind = match.eth_type
    names = _ADDRESS_NAMES.get(kind or 0, ("nw_src", "nw_dst"))
    parts: list[str] = []
    if kind is not None:
        parts.append(_TYPE_NAMES.get(kind, f"dl_type={kind:#06x}"))
    for name, value in (
        ("in_port", match.in_port),
        ("dl_src", match.eth_src),
        ("dl_dst", match.eth_dst),
        (names[0], match.ip_src),
        (names[1], match.ip_dst),
        ("nw_proto", match.ip_proto),
        ("tp_src", match.l4_src),
        ("tp_dst", match.l4_dst),
        ("mpls_label", match.mpls_label),
        ("mpls_tc", match.mpls_tc),
    ):
        if value is not None:
            parts.append(f"{name}={value}")
    return "".join(f",{part}" for part in parts)


def _action(action: Action) -> str:
    match action:
        case Output(port=port):
            return f"output:{_PORT_NAMES.get(port, port)}"
        case PushMpls():
            return "push_mpls:0x8847"
        case PopMpls(eth_type=kind):
            return f"pop_mpls:{kind:#06x}"
        case SetMplsLabel(label=label):
            return f"set_field:{label}->mpls_label"
        case SetMplsTc(tc=tc):
            return f"set_field:{tc}->mpls_tc"
        case SetDscp(dscp=dscp):
            return f"set_field:{dscp}->ip_dscp"
        case SetEthDst(mac=mac):
            return f"set_field:{mac}->eth_dst"
        case SetQueue(queue=queue):
            return f"set_queue:{queue}"
        case ToGroup(group=group):
            return f"group:{group:#x}"
        case ToMeter(meter=meter):
            return f"meter:{meter}"
        case GotoTable(table=table):
            return f"goto_table:{table}"


def _bucket(bucket: Bucket) -> str:
    watch = f"watch_port:{bucket.watch_port}," if bucket.watch_port is not None else ""
    return f",bucket={watch}actions={','.join(_action(action) for action in bucket.actions)}"
