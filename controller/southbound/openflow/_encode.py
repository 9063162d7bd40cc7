"""From the program's words to OpenFlow 1.3 messages.

os-ken serialises every match field, instruction, bucket and band; the pieces are cached, because a program repeats
them by the thousand, and a flow-mod is put together from them. Tests hold the result equal, byte for byte, to
os-ken's own serialisation of the whole message.

`modify` is sent as OFPFC_ADD without OFPFF_RESET_COUNTS: over an existing entry that keeps its counters (OpenFlow
1.3.5, 6.4), and unlike OFPFC_MODIFY it carries the cookie and repairs an entry that has gone. `add` carries the flag,
so that a rule which takes over the place of another owner's starts counting at zero.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from ipaddress import ip_network
from typing import Any, Literal

from carelane.controller.pipeline.changes import Operation
from carelane.controller.pipeline.program import (
    Action,
    Bucket,
    FlowRule,
    GotoTable,
    Group,
    Match,
    Meter,
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
from carelane.controller.southbound.openflow._compat import ProtocolDesc, ofp, parser
from carelane.errors import ProgramError

__all__ = ["DESC", "barrier", "encode", "encode_actions", "encode_match", "flow_frame"]

Verb = Literal["add", "modify", "delete"]

DESC = ProtocolDesc(version=ofp.OFP_VERSION)
"""Stands for a datapath where os-ken wants to know the protocol version only."""

_FLOW_MOD = struct.Struct("!BBHI" + ofp.OFP_FLOW_MOD_PACK_STR0[1:])
_HEADER = struct.Struct(ofp.OFP_HEADER_PACK_STR)
_ALL_ONES = 0xFFFFFFFFFFFFFFFF
_L4 = {6: "tcp", 17: "udp", 132: "sctp"}
_IP_FIELDS = {0x0800: ("ipv4_src", "ipv4_dst"), 0x86DD: ("ipv6_src", "ipv6_dst"), 0x0806: ("arp_spa", "arp_tpa")}
_GROUP_TYPES = {"all": ofp.OFPGT_ALL, "fast-failover": ofp.OFPGT_FF, "indirect": ofp.OFPGT_INDIRECT}
_VERBS = {
    "group": {"add": ofp.OFPGC_ADD, "modify": ofp.OFPGC_MODIFY, "delete": ofp.OFPGC_DELETE},
    "meter": {"add": ofp.OFPMC_ADD, "modify": ofp.OFPMC_MODIFY, "delete": ofp.OFPMC_DELETE},
}


def encode(operation: Operation, xid: int) -> bytes:
    """The message that carries out `operation` on a flow, group or meter.

    Raises ProgramError for what OpenFlow 1.3 cannot say.
    """
    target = operation.target
    if isinstance(target, FlowRule):
        return flow_frame(target, xid, verb=operation.verb)
    if isinstance(target, Group):
        return _group_frame(target, _VERBS["group"][operation.verb], xid)
    if isinstance(target, Meter):
        return _meter_frame(target, _VERBS["meter"][operation.verb], xid)
    raise TypeError(f"{type(target).__name__} is not an OpenFlow target")


def barrier(xid: int) -> bytes:
    return _HEADER.pack(ofp.OFP_VERSION, ofp.OFPT_BARRIER_REQUEST, ofp.OFP_HEADER_SIZE, xid)


def flow_frame(rule: FlowRule, xid: int, *, verb: Verb = "add") -> bytes:
    """One flow-mod. A deletion is strict and bound to the rule's cookie, so that it cannot hit a stranger's entry."""
    delete = verb == "delete"
    match = encode_match(rule.match)
    instructions = b"" if delete else encode_actions(rule.actions)
    head = _FLOW_MOD.pack(
        ofp.OFP_VERSION,
        ofp.OFPT_FLOW_MOD,
        _FLOW_MOD.size + len(match) + len(instructions),
        xid,
        rule.cookie,
        _ALL_ONES if delete else 0,
        rule.table,
        ofp.OFPFC_DELETE_STRICT if delete else ofp.OFPFC_ADD,
        0,
        0,
        rule.priority,
        ofp.OFP_NO_BUFFER,
        ofp.OFPP_ANY,
        ofp.OFPG_ANY,
        ofp.OFPFF_RESET_COUNTS if verb == "add" else 0,
    )
    return head + match + instructions


@lru_cache(maxsize=1 << 16)
def encode_match(match: Match) -> bytes:
    """The padded ofp_match structure."""
    fields = sorted(_match_fields(match))
    body = b"".join(_field(name, value) for _, name, value in fields)
    length = 4 + len(body)
    return struct.pack("!HH", ofp.OFPMT_OXM, length) + body + bytes(-length % 8)


def _match_fields(match: Match) -> list[tuple[int, str, Any]]:
    """(OXM number, name, value in os-ken's form); OXM order puts prerequisites before what needs them."""
    found: list[tuple[str, Any]] = [
        (name, value)
        for name in ("in_port", "eth_src", "eth_dst", "eth_type", "ip_proto", "mpls_label", "mpls_tc")
        if (value := getattr(match, name)) is not None
    ]
    for index, text in enumerate((match.ip_src, match.ip_dst)):
        if text is not None:
            found.append(_ip_field(match.eth_type, index, text))
    for side, port in (("src", match.l4_src), ("dst", match.l4_dst)):
        if port is not None:
            protocol = _L4.get(match.ip_proto or 0)
            if protocol is None:
                raise ProgramError(f"match {match}: ports need ip_proto 6, 17 or 132")
            found.append((f"{protocol}_{side}", port))
    return [(ofp.oxm_from_user_header(name), name, value) for name, value in found]


def _ip_field(eth_type: int | None, index: int, text: str) -> tuple[str, Any]:
    network = ip_network(text, strict=False)
    family = eth_type if eth_type is not None else (0x0800 if network.version == 4 else 0x86DD)
    if family not in _IP_FIELDS:
        raise ProgramError(f"an address match needs IPv4, IPv6 or ARP, not eth_type {family:#06x}")
    if network.prefixlen == 0 or str(network) != text:
        raise ProgramError(f"address match {text!r}: write None for any address, or the canonical form {network}")
    address = str(network.network_address)
    exact = network.prefixlen == network.max_prefixlen
    return _IP_FIELDS[family][index], address if exact else (address, str(network.netmask))


@lru_cache(maxsize=1 << 16)
def _field(name: str, value: Any) -> bytes:
    number, raw, mask = ofp.oxm_from_user(name, value)
    buffer = bytearray()
    ofp.oxm_serialize(number, raw, mask, buffer, 0)
    return bytes(buffer)


@lru_cache(maxsize=1 << 14)
def encode_actions(actions: tuple[Action, ...]) -> bytes:
    """The instructions: meter, apply-actions, goto-table, in the order in which a switch executes them."""
    applied = [action for action in actions if not isinstance(action, ToMeter | GotoTable)]
    instructions: list[Any] = [parser.OFPInstructionMeter(a.meter) for a in actions if isinstance(a, ToMeter)]
    if applied:
        instructions.append(parser.OFPInstructionActions(ofp.OFPIT_APPLY_ACTIONS, [_action(a) for a in applied]))
    instructions += [parser.OFPInstructionGotoTable(a.table) for a in actions if isinstance(a, GotoTable)]
    buffer = bytearray()
    for instruction in instructions:
        instruction.serialize(buffer, len(buffer))
    return bytes(buffer)


def _action(action: Action) -> Any:
    match action:
        case Output():
            return parser.OFPActionOutput(action.port, action.max_len)
        case PushMpls():
            return parser.OFPActionPushMpls(0x8847)
        case SetMplsLabel():
            return parser.OFPActionSetField(mpls_label=action.label)
        case SetMplsTc():
            return parser.OFPActionSetField(mpls_tc=action.tc)
        case PopMpls():
            return parser.OFPActionPopMpls(action.eth_type)
        case SetDscp():
            return parser.OFPActionSetField(ip_dscp=action.dscp)
        case SetQueue():
            return parser.OFPActionSetQueue(action.queue)
        case SetEthDst():
            return parser.OFPActionSetField(eth_dst=action.mac)
        case ToGroup():
            return parser.OFPActionGroup(action.group)
        case ToMeter() | GotoTable():
            raise ProgramError(f"{action} is an instruction; it cannot stand in a bucket")


def _bucket(bucket: Bucket, group: Group) -> Any:
    if bucket.watch_port is not None and group.type != "fast-failover":
        raise ProgramError(f"group {group.id:#x}: watch_port belongs to fast-failover groups only")
    watch = ofp.OFPP_ANY if bucket.watch_port is None else bucket.watch_port
    actions = [_action(action) for action in bucket.actions]
    return parser.OFPBucket(watch_port=watch, watch_group=ofp.OFPG_ANY, actions=actions)


def _group_frame(group: Group, command: int, xid: int) -> bytes:
    buckets = [] if command == ofp.OFPGC_DELETE else [_bucket(bucket, group) for bucket in group.buckets]
    return _frame(parser.OFPGroupMod(DESC, command, _GROUP_TYPES[group.type], group.id, buckets), xid)


def _meter_frame(meter: Meter, command: int, xid: int) -> bytes:
    bands = [parser.OFPMeterBandDrop(rate=meter.rate_kbps, burst_size=meter.burst_kb)]
    flags = ofp.OFPMF_KBPS | ofp.OFPMF_BURST
    return _frame(parser.OFPMeterMod(DESC, command, flags, meter.id, bands), xid)


def _frame(message: Any, xid: int) -> bytes:
    message.set_xid(xid)
    message.serialize()
    return bytes(message.buf)
