"""Programs survive the wire: what is encoded, sent through os-ken's own parser and decoded is what went in."""

from __future__ import annotations

import struct
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carelane.controller.pipeline.changes import Operation
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
    PushMpls,
    SetDscp,
    SetEthDst,
    SetMplsLabel,
    SetMplsTc,
    SetQueue,
    ToGroup,
    ToMeter,
)
from carelane.controller.southbound.openflow._compat import ofp, ofproto_parser, parser
from carelane.controller.southbound.openflow._decode import decode_flow, decode_group, decode_meter, split
from carelane.controller.southbound.openflow._encode import DESC, encode, encode_match
from carelane.errors import ProgramError

u16, u32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
ports = st.integers(1, 0xFFFFFF00) | st.just(IN_PORT)
macs = st.binary(min_size=6, max_size=6).map(lambda b: b.hex(":"))
ipv4 = st.tuples(st.ip_addresses(v=4), st.integers(1, 32)).map(lambda p: _net(p, 32))
ipv6 = st.tuples(st.ip_addresses(v=6), st.integers(1, 128)).map(lambda p: _net(p, 128))


def _net(pair: tuple[Any, int], width: int) -> str:
    address, length = pair
    kept = int(address) >> (width - length) << (width - length)
    return f"{type(address)(kept)}/{length}"


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


@st.composite
def matches(draw: st.DrawFn) -> Match:
    kind = draw(st.sampled_from(("any", "ipv4", "ipv6", "arp", "mpls", "other")))
    base: dict[str, Any] = {name: draw(optional(macs)) for name in ("eth_src", "eth_dst")}
    base["in_port"] = draw(optional(st.integers(1, 0xFFFFFF00)))
    if kind in ("ipv4", "ipv6", "arp"):
        base["eth_type"] = {"ipv4": 0x0800, "ipv6": 0x86DD, "arp": 0x0806}[kind]
        addresses = ipv6 if kind == "ipv6" else ipv4
        base |= {"ip_src": draw(optional(addresses)), "ip_dst": draw(optional(addresses))}
        if kind != "arp" and draw(st.booleans()):
            base["ip_proto"] = draw(st.sampled_from((6, 17, 132)))
            base |= {"l4_src": draw(optional(u16)), "l4_dst": draw(optional(u16))}
    elif kind == "mpls":
        base |= {"eth_type": 0x8847, "mpls_label": draw(optional(st.integers(0, (1 << 20) - 1)))}
        base["mpls_tc"] = draw(optional(st.integers(0, 7)))
    elif kind == "other":
        base["eth_type"] = draw(u16)
    return Match(**base)


applied = st.one_of(
    st.builds(Output, ports),
    st.builds(Output, st.just(CONTROLLER_PORT), u16),
    st.builds(PushMpls),
    st.builds(SetMplsLabel, st.integers(0, (1 << 20) - 1)),
    st.builds(SetMplsTc, st.integers(0, 7)),
    st.builds(PopMpls, st.sampled_from((0x0800, 0x0806, 0x86DD))),
    st.builds(SetDscp, st.integers(0, 63)),
    st.builds(SetQueue, u32),
    st.builds(SetEthDst, macs),
    st.builds(ToGroup, u32),
)
actions = st.tuples(
    optional(st.builds(ToMeter, u32)),
    st.lists(applied, max_size=8),
    optional(st.builds(GotoTable, st.integers(0, 253))),
).map(lambda parts: tuple(a for a in (parts[0], *parts[1], parts[2]) if a is not None))
rules = st.builds(FlowRule, st.integers(0, 253), u16, matches(), actions, st.integers(0, (1 << 64) - 1))
verbs = st.sampled_from(("add", "modify", "delete"))


@st.composite
def groups(draw: st.DrawFn) -> Group:
    kind: Any = draw(st.sampled_from(("all", "fast-failover", "indirect")))
    watch = st.integers(1, 0xFFFFFF00) if kind == "fast-failover" else st.none()
    bucket = st.builds(Bucket, st.lists(applied, max_size=5).map(tuple), watch)
    return Group(draw(u32), kind, tuple(draw(st.lists(bucket, max_size=4))))


def sent(target: Any, verb: Any = "add") -> Any:
    """The message as os-ken's parser sees it."""
    data = encode(Operation(verb, target), 77)
    version, kind, length, xid = ofproto_parser.header(data)
    assert (len(data), xid) == (length, 77)
    return ofproto_parser.msg(DESC, version, kind, length, xid, data)


def serialised(message: Any) -> bytes:
    message.xid = 77
    message.serialize()
    return bytes(message.buf)


@given(rules, verbs)
def test_a_flow_is_encoded_as_os_ken_encodes_it(rule: FlowRule, verb: Any) -> None:
    message = sent(rule, verb)
    again = parser.OFPFlowMod(
        DESC,
        cookie=message.cookie,
        cookie_mask=message.cookie_mask,
        table_id=message.table_id,
        command=message.command,
        priority=message.priority,
        buffer_id=message.buffer_id,
        out_port=message.out_port,
        out_group=message.out_group,
        flags=message.flags,
        match=parser.OFPMatch(**dict(message.match.items())),
        instructions=message.instructions,
    )
    assert serialised(again) == encode(Operation(verb, rule), 77)


@given(st.lists(rules, max_size=4))
def test_flows_come_back(wanted: list[FlowRule]) -> None:
    """Through the reply a switch would send, put together from the parsed flow-mods."""
    body = b""
    for rule in wanted:
        message = sent(rule)
        match = bytearray()
        message.match.serialize(match, 0)
        instructions = bytearray()
        for instruction in message.instructions:
            instruction.serialize(instructions, len(instructions))
        size = 48 + len(match) + len(instructions)
        body += struct.pack(
            ofp.OFP_FLOW_STATS_0_PACK_STR,
            *(size, message.table_id, 1, 2, message.priority, 0, 0, message.flags, message.cookie, 9, 10),
        )
        body += bytes(match) + bytes(instructions)
    entries = [decode_flow(entry) for entry in split(body)]
    assert [entry.target for entry in entries] == wanted
    assert [entry.id for entry in entries] == [rule.cookie for rule in wanted]
    assert all(entry.packets == 9 for entry in entries)


@given(groups())
def test_groups_come_back(wanted: Group) -> None:
    """os-ken has no parser for group-mods; a group description holds the same buckets."""
    data = encode(Operation("add", wanted), 77)
    _, kind, number = struct.unpack_from(ofp.OFP_GROUP_MOD_PACK_STR, data, 8)
    head = struct.pack(ofp.OFP_GROUP_DESC_STATS_PACK_STR, len(data) - 8, kind, number)
    assert decode_group(head + data[16:]).target == wanted


@given(st.builds(Meter, u32, u32, u32))
def test_meters_come_back(wanted: Meter) -> None:
    """As above; a meter configuration holds the same bands."""
    data = encode(Operation("add", wanted), 77)
    _, flags, number = struct.unpack_from(ofp.OFP_METER_MOD_PACK_STR, data, 8)
    head = struct.pack(ofp.OFP_METER_CONFIG_PACK_STR, len(data) - 8, flags, number)
    assert decode_meter(head + data[16:]).target == wanted


@settings(max_examples=300)
@given(st.binary(min_size=60, max_size=200))
def test_garbage_entries_are_described_and_never_ours_by_accident(data: bytes) -> None:
    for decode in (decode_flow, decode_group, decode_meter):
        entry = decode(data)
        assert entry.text


@pytest.mark.parametrize(
    "target",
    [
        FlowRule(0, 1, Match(eth_type=0x0800, ip_src="10.0.0.1/8"), (), 0),
        FlowRule(0, 1, Match(eth_type=0x0800, ip_src="0.0.0.0/0"), (), 0),
        FlowRule(0, 1, Match(eth_type=0x8847, ip_src="10.0.0.0/8"), (), 0),
        FlowRule(0, 1, Match(eth_type=0x0800, l4_src=5), (), 0),
        Group(1, "all", (Bucket((ToMeter(5),)),)),
        Group(1, "all", (Bucket((Output(1),), 1),)),
    ],
)
def test_what_cannot_be_said_is_refused(target: Any) -> None:
    with pytest.raises(ProgramError):
        encode(Operation("add", target), 1)


def test_every_action_and_match_field_is_covered() -> None:
    """What the program gains in words, the adapter must learn to say: it must never leave a field out."""
    assert {type(action) for action in ACTIONS} == set(Action.__args__)
    assert MATCH_FIELDS.keys() == {item.name for item in fields(Match)}
    for name, needs in MATCH_FIELDS.items():
        without = dict(needs)
        del without[name]
        assert encode_match(Match(**needs)) != encode_match(Match(**without)), name


ACTIONS = (
    *(Output(1), PushMpls(), SetMplsLabel(1), SetMplsTc(1), PopMpls(0x0800), SetDscp(1), SetQueue(1)),
    *(SetEthDst("0a:00:00:00:00:01"), ToGroup(1), ToMeter(1), GotoTable(1)),
)
MATCH_FIELDS: dict[str, dict[str, Any]] = {
    "in_port": {"in_port": 1},
    "eth_src": {"eth_src": "0a:00:00:00:00:01"},
    "eth_dst": {"eth_dst": "0a:00:00:00:00:01"},
    "eth_type": {"eth_type": 0x0800},
    "ip_src": {"eth_type": 0x0800, "ip_src": "10.0.0.0/8"},
    "ip_dst": {"eth_type": 0x0800, "ip_dst": "10.0.0.0/8"},
    "ip_proto": {"eth_type": 0x0800, "ip_proto": 6},
    "l4_src": {"eth_type": 0x0800, "ip_proto": 6, "l4_src": 1},
    "l4_dst": {"eth_type": 0x0800, "ip_proto": 17, "l4_dst": 1},
    "mpls_label": {"eth_type": 0x8847, "mpls_label": 16},
    "mpls_tc": {"eth_type": 0x8847, "mpls_tc": 1},
}
