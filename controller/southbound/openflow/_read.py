"""Reading a switch back: every flow, group and meter, ours and others'."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from carelane.controller.pipeline.program import (
    FIRST_LABEL,
    GROUP_TAG,
    LAST_LABEL,
    FlowRule,
    Group,
    Match,
    Meter,
    SwitchProgram,
    is_own_cookie,
)
from carelane.controller.southbound.openflow._compat import ofp
from carelane.controller.southbound.openflow._decode import Entry, decode_flow, decode_group, decode_meter, split
from carelane.controller.southbound.openflow._encode import encode_match
from carelane.controller.southbound.openflow._session import Session
from carelane.controller.southbound.ovsdb import PortsState
from carelane.controller.southbound.protocol import SwitchState, flow_key_text

__all__ = ["Entries", "read_switch"]

T = TypeVar("T", FlowRule, Group, Meter)
_TAG_MASK = 0xFF000000


@dataclass(frozen=True, slots=True)
class Entries:
    """The entries of a switch, undivided."""

    flows: tuple[Entry, ...]
    groups: tuple[Entry, ...]
    meters: tuple[Entry, ...]

    @property
    def foreign_keys(self) -> frozenset[tuple[int, int, Match]]:
        """Places in the flow tables that others' entries take."""
        return frozenset(e.key for e in self.flows if e.key is not None and not is_own_cookie(e.id))

    def state(self, node: str, dpid: int, ports: PortsState | None) -> SwitchState:
        flows, strange_flows = _divide(self.flows, FlowRule, is_own_cookie)
        groups, strange_groups = _divide(self.groups, Group, lambda number: number & _TAG_MASK == GROUP_TAG)
        meters, strange_meters = _divide(self.meters, Meter, lambda number: FIRST_LABEL <= number <= LAST_LABEL)
        ports = ports or PortsState()
        own = SwitchProgram(
            node=node,
            dpid=dpid,
            flows=tuple(flows),
            groups=tuple(groups),
            meters=tuple(meters),
            ports=ports.own,
            watches=ports.watches,
        )
        packets = {flow_key_text(e.target): e.packets for e in self.flows if isinstance(e.target, FlowRule)}
        strangers = (*strange_flows, *strange_groups, *strange_meters, *ports.strangers)
        return SwitchState(own, strangers, ports.mismatches, packets)


def read_switch(session: Session) -> Entries:
    """Raises SwitchUnreachable."""
    every_flow = struct.pack(
        ofp.OFP_FLOW_STATS_REQUEST_0_PACK_STR, ofp.OFPTT_ALL, ofp.OFPP_ANY, ofp.OFPG_ANY, 0, 0
    ) + encode_match(Match())
    every_meter = struct.pack("!I4x", ofp.OFPM_ALL)
    return Entries(
        flows=tuple(map(decode_flow, split(session.multipart(ofp.OFPMP_FLOW, every_flow)))),
        groups=tuple(map(decode_group, split(session.multipart(ofp.OFPMP_GROUP_DESC)))),
        meters=tuple(map(decode_meter, split(session.multipart(ofp.OFPMP_METER_CONFIG, every_meter)))),
    )


def _divide(entries: tuple[Entry, ...], kind: type[T], is_own: Callable[[int], bool]) -> tuple[list[T], list[str]]:
    """Our targets, and descriptions of the rest. What bears our mark but is not of our making counts as strange."""
    own: list[T] = []
    strange: list[str] = []
    for entry in entries:
        if not is_own(entry.id):
            strange.append(entry.text)
        elif isinstance(entry.target, kind):
            own.append(entry.target)
        else:
            strange.append(f"{entry.text} bears carelane's mark but is not of its making")
    return own, strange
