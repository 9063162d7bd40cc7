"""From what a switch reports to the program's words, so that a read-back equals what was applied.

Works on the bytes of each entry: a stranger's entry that os-ken cannot parse must not hide the others. Matches and
instructions repeat, so their decoding is cached by content.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, Literal

from carelane.controller.pipeline.program import (
    CONTROLLER_PORT,
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
from carelane.controller.southbound.openflow._compat import ofp, parser

__all__ = ["Entry", "decode_flow", "decode_group", "decode_match", "decode_meter", "split"]

_FLOW_STATS = struct.Struct(ofp.OFP_FLOW_STATS_0_PACK_STR)
_GROUP_DESC = struct.Struct(ofp.OFP_GROUP_DESC_STATS_PACK_STR)
_METER_CONFIG = struct.Struct(ofp.OFP_METER_CONFIG_PACK_STR)
_METER_FLAGS = ofp.OFPMF_KBPS | ofp.OFPMF_BURST
_UNMASKED = {
    "in_port": "in_port",
    "eth_src": "eth_src",
    "eth_dst": "eth_dst",
    "eth_type": "eth_type",
    "ip_proto": "ip_proto",
    "mpls_label": "mpls_label",
    "mpls_tc": "mpls_tc",
} | {f"{protocol}_{side}": f"l4_{side}" for protocol in ("tcp", "udp", "sctp") for side in ("src", "dst")}
_ADDRESSES = {"ipv4_src": "ip_src", "ipv4_dst": "ip_dst", "ipv6_src": "ip_src", "ipv6_dst": "ip_dst"} | {
    "arp_spa": "ip_src",
    "arp_tpa": "ip_dst",
}
_GROUP_TYPES: dict[int, Literal["all", "fast-failover", "indirect"]] = {
    ofp.OFPGT_ALL: "all",
    ofp.OFPGT_FF: "fast-failover",
    ofp.OFPGT_INDIRECT: "indirect",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a switch. `target` is None when carelane never makes such an entry; `text` describes it."""

    id: int
    target: FlowRule | Group | Meter | None
    text: str
    packets: int = 0
    key: tuple[int, int, Match] | None = None


class _Foreign(Exception):
    """Not something the program types can say."""


def split(body: bytes) -> Iterator[bytes]:
    """The entries of a flow, group-description or meter-configuration reply; each starts with its length."""
    offset = 0
    while offset + 2 <= len(body):
        (length,) = struct.unpack_from("!H", body, offset)
        if length < 8:
            raise ValueError(f"an entry of {length} bytes in a statistics reply")
        yield body[offset : offset + length]
        offset += length


def decode_flow(entry: bytes) -> Entry:
    """A flow entry; its `id` is the cookie."""
    _, table, _, _, priority, idle, hard, flags, cookie, packets, _ = _FLOW_STATS.unpack_from(entry)
    (match_length,) = struct.unpack_from("!H", entry, _FLOW_STATS.size + 2)
    end = _FLOW_STATS.size + match_length + -match_length % 8
    match = decode_match(entry[_FLOW_STATS.size : end])
    actions = _decode_instructions(entry[end:])
    text = f"flow cookie={cookie:#x} table={table} priority={priority} {_match_text(entry[_FLOW_STATS.size : end])}"
    key = None if match is None else (table, priority, match)
    plain = not (idle or hard or flags & ~ofp.OFPFF_RESET_COUNTS)
    if match is None or actions is None or not plain:
        return Entry(cookie, None, text, packets, key)
    return Entry(cookie, FlowRule(table, priority, match, actions, cookie), text, packets, key)


def decode_group(entry: bytes) -> Entry:
    _, kind, number = _GROUP_DESC.unpack_from(entry)
    text = f"group {number:#x}"
    try:
        buckets = tuple(_bucket(b) for b in parser.OFPGroupDescStats.parser(entry, 0).buckets)
        return Entry(number, Group(number, _GROUP_TYPES[kind], buckets), text)
    except Exception:  # noqa: BLE001  os-ken's parser fails in many ways on what it does not know
        return Entry(number, None, text)


def decode_meter(entry: bytes) -> Entry:
    _, flags, number = _METER_CONFIG.unpack_from(entry)
    text = f"meter {number}"
    try:
        (band,) = parser.OFPMeterConfigStats.parser(entry, 0).bands
        if flags != _METER_FLAGS or band.type != ofp.OFPMBT_DROP:
            return Entry(number, None, text)
        return Entry(number, Meter(number, band.rate, band.burst_size), text)
    except Exception:  # noqa: BLE001  as above
        return Entry(number, None, text)


@lru_cache(maxsize=1 << 16)
def decode_match(data: bytes) -> Match | None:
    """A match in OpenFlow's bytes; None when our words cannot say it."""
    try:
        found: dict[str, Any] = {}
        for name, value in parser.OFPMatch.parser(data, 0).items():
            if name in _ADDRESSES:
                found[_ADDRESSES[name]] = _network(value)
            elif name in _UNMASKED and not isinstance(value, tuple):
                found[_UNMASKED[name]] = value
            else:
                return None
        return Match(**found)
    except Exception:  # noqa: BLE001  as above
        return None


@lru_cache(maxsize=1 << 14)
def _match_text(data: bytes) -> str:
    try:
        fields = parser.OFPMatch.parser(data, 0).items()
        return ",".join(f"{name}={'/'.join(v) if isinstance(v, tuple) else v}" for name, v in fields) or "any packet"
    except Exception:  # noqa: BLE001  as above
        return f"match {data.hex()}"


def _network(value: str | tuple[str, str]) -> str:
    """Canonical a.b.c.d/len of what os-ken reports as an address, or as address and mask."""
    if isinstance(value, str):
        return str(ip_network(value))
    address, mask = (ip_address(text) for text in value)
    ones = f"{int(mask):b}".rstrip("0")
    if "0" in ones or int(mask).bit_length() != mask.max_prefixlen:
        raise _Foreign(f"mask {mask}")
    return str(ip_network(f"{address}/{len(ones)}"))


@lru_cache(maxsize=1 << 14)
def _decode_instructions(data: bytes) -> tuple[Action, ...] | None:
    try:
        actions: list[Action] = []
        offset = 0
        while offset < len(data):
            instruction = parser.OFPInstruction.parser(data, offset)
            actions += _instruction(instruction)
            offset += instruction.len
        return tuple(actions)
    except Exception:  # noqa: BLE001  as above
        return None


def _instruction(instruction: Any) -> list[Action]:
    if isinstance(instruction, parser.OFPInstructionMeter):
        return [ToMeter(instruction.meter_id)]
    if isinstance(instruction, parser.OFPInstructionGotoTable):
        return [GotoTable(instruction.table_id)]
    if isinstance(instruction, parser.OFPInstructionActions) and instruction.type == ofp.OFPIT_APPLY_ACTIONS:
        return [_action(action) for action in instruction.actions]
    raise _Foreign(str(instruction))


def _action(action: Any) -> Action:
    if isinstance(action, parser.OFPActionSetField):
        return _set_field(action.key, action.value)
    match type(action).__name__:
        case "OFPActionOutput":
            # The length matters at the controller port only.
            return Output(action.port, action.max_len if action.port == CONTROLLER_PORT else 0)
        case "OFPActionGroup":
            return ToGroup(action.group_id)
        case "OFPActionSetQueue":
            return SetQueue(action.queue_id)
        case "OFPActionPushMpls" if action.ethertype == 0x8847:
            return PushMpls()
        case "OFPActionPopMpls":
            return PopMpls(action.ethertype)
    raise _Foreign(str(action))


def _set_field(name: str, value: Any) -> Action:
    match name:
        case "mpls_label":
            return SetMplsLabel(value)
        case "mpls_tc":
            return SetMplsTc(value)
        case "ip_dscp":
            return SetDscp(value)
        case "eth_dst":
            return SetEthDst(value)
    raise _Foreign(name)


def _bucket(bucket: Any) -> Bucket:
    if bucket.watch_group != ofp.OFPG_ANY:
        raise _Foreign("watch_group")
    watch = None if bucket.watch_port == ofp.OFPP_ANY else bucket.watch_port
    return Bucket(tuple(_action(action) for action in bucket.actions), watch)
