"""Reading what a switch counts: five multipart requests, sent in one piece and decoded from their bytes.

Only carelane's own flow entries are asked for (by cookie); their matches repeat from reading to reading, so that the
decoding of a match is a dictionary lookup. What a switch does not count is left out. What an answer cannot mean (a
cut-off entry) is a ProgramError: the reader then has no sample of this switch, which is a state of its own, and never
a zero.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator

from carelane.controller.pipeline.program import COOKIE_OWNER, FIRST_LABEL, GROUP_TAG, LAST_LABEL, Match
from carelane.controller.southbound.counters import Count, FlowKey, SwitchCounters
from carelane.controller.southbound.openflow._compat import ofp
from carelane.controller.southbound.openflow._decode import decode_match, split
from carelane.controller.southbound.openflow._encode import encode_match
from carelane.controller.southbound.openflow._session import Session
from carelane.errors import ProgramError

__all__ = ["read_counters"]

_FLOW = struct.Struct(ofp.OFP_FLOW_STATS_0_PACK_STR)
_PORT = struct.Struct(ofp.OFP_PORT_STATS_PACK_STR)
_QUEUE = struct.Struct(ofp.OFP_QUEUE_STATS_PACK_STR)
_METER = struct.Struct(ofp.OFP_METER_STATS_PACK_STR)
_BAND = struct.Struct(ofp.OFP_METER_BAND_STATS_PACK_STR)
_GROUP = struct.Struct(ofp.OFP_GROUP_STATS_PACK_STR)
_UNKNOWN = (1 << 64) - 1
"""How OpenFlow says that a counter is not kept (section 7.3.5)."""

_OUR_FLOWS = struct.pack(
    ofp.OFP_FLOW_STATS_REQUEST_0_PACK_STR,
    ofp.OFPTT_ALL,
    ofp.OFPP_ANY,
    ofp.OFPG_ANY,
    COOKIE_OWNER << 48,
    0xFFFF << 48,
) + encode_match(Match())
_EVERY_METER = struct.pack("!I4x", ofp.OFPM_ALL)
_EVERY_GROUP = struct.pack("!I4x", ofp.OFPG_ALL)
_EVERY_PORT = struct.pack(ofp.OFP_PORT_STATS_REQUEST_PACK_STR, ofp.OFPP_ANY)
_EVERY_QUEUE = struct.pack(ofp.OFP_QUEUE_STATS_REQUEST_PACK_STR, ofp.OFPP_ANY, ofp.OFPQ_ALL)

_REQUESTS = (
    (ofp.OFPMP_METER, _EVERY_METER),
    (ofp.OFPMP_QUEUE, _EVERY_QUEUE),
    (ofp.OFPMP_FLOW, _OUR_FLOWS),
    (ofp.OFPMP_PORT_STATS, _EVERY_PORT),
    (ofp.OFPMP_GROUP, _EVERY_GROUP),
)
"""Meters and queues first: rates are computed against the moment they were asked for."""


def read_counters(session: Session, node: str) -> SwitchCounters:
    """Raises SwitchUnreachable, or ProgramError when an answer is no statistics reply."""
    started = time.monotonic()
    with session.lock:
        meters, queues, flows, ports, groups = session.multiparts(_REQUESTS)
    try:
        return SwitchCounters(
            node,
            (started + queues.at_s) / 2,
            time.monotonic() - started,
            dict(_flows(flows.body)),
            dict(_meters(meters.body)),
            dict(_queues(queues.body)),
            dict(_ports(ports.body)),
            dict(_groups(groups.body)),
        )
    except (struct.error, ValueError) as error:
        raise ProgramError(f"the switch's statistics make no sense: {error}") from error


def _flows(body: bytes) -> Iterator[tuple[FlowKey, Count]]:
    for entry in split(body):
        _, table, _, _, priority, _, _, _, cookie, packets, octets = _FLOW.unpack_from(entry)
        (match_length,) = struct.unpack_from("!H", entry, _FLOW.size + 2)
        match = decode_match(entry[_FLOW.size : _FLOW.size + match_length + -match_length % 8])
        if match is not None:
            yield (cookie, table, priority, match), Count(packets, octets)


def _meters(body: bytes) -> Iterator[tuple[int, Count]]:
    offset = 0
    while offset < len(body):
        number, length, _, packets, octets, _, _ = _METER.unpack_from(body, offset)
        if length < _METER.size:
            raise ValueError(f"a meter entry of {length} bytes")
        dropped = dropped_bytes = 0
        if length >= _METER.size + _BAND.size:
            dropped, dropped_bytes = _BAND.unpack_from(body, offset + _METER.size)
        if FIRST_LABEL <= number <= LAST_LABEL:
            yield number, Count(packets, octets, dropped, dropped_bytes)
        offset += length


def _queues(body: bytes) -> Iterator[tuple[tuple[int, int], Count]]:
    for port, queue, octets, packets, errors, _, _ in _QUEUE.iter_unpack(body):
        if _UNKNOWN not in (packets, octets):
            yield (port, queue), Count(packets, octets, _kept(errors))


def _ports(body: bytes) -> Iterator[tuple[int, tuple[Count, Count]]]:
    for port, rx, tx, rx_bytes, tx_bytes, rx_drop, tx_drop, *_ in _PORT.iter_unpack(body):
        if port <= ofp.OFPP_MAX and _UNKNOWN not in (rx, tx, rx_bytes, tx_bytes):
            yield port, (Count(rx, rx_bytes, _kept(rx_drop)), Count(tx, tx_bytes, _kept(tx_drop)))


def _groups(body: bytes) -> Iterator[tuple[int, Count]]:
    for entry in split(body):
        _, number, _, packets, octets, _, _ = _GROUP.unpack_from(entry)
        if number >> 24 == GROUP_TAG >> 24 and _UNKNOWN not in (packets, octets):
            yield number, Count(packets, octets)


def _kept(dropped: int) -> int:
    """A switch that does not count drops is not known to drop anything."""
    return 0 if dropped == _UNKNOWN else dropped
