"""What `compile` produces and the southbound reads back: the state of switches, in carelane's own words.

No framework type appears here. The same types describe the desired program and the state read from a switch,
so that equality is the whole of "in sync".

Identifiers (all visible in `ovs-ofctl` and stable as long as the slice lives):
  label   MPLS path label: first_label + 2k forward and + 2k + 1 reverse for the k-th path; + 2n for the tree of n paths
  meter   the label of the primary path it polices (labels stay below what OVS accepts as a meter id)
  group   GROUP_TAG | label
  queue   the slice number, at every port the slice uses; queue 0 is best effort
  cookie  COOKIE_OWNER << 48 | kind << 32 | slice number; the pipeline's own rules have slice number 0 and a kind
          that tells what is counted there (`carelane.controller.pipeline.identifiers`)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Literal

__all__ = [
    "CONTROLLER_PORT",
    "COOKIE_OWNER",
    "FIRST_LABEL",
    "FIRST_SLICE",
    "GROUP_TAG",
    "IN_PORT",
    "LAST_LABEL",
    "LAST_SLICE",
    "Action",
    "Bucket",
    "FlowRule",
    "GotoTable",
    "Group",
    "Match",
    "Meter",
    "Output",
    "PopMpls",
    "PortBfd",
    "PortQos",
    "Program",
    "PushMpls",
    "Queue",
    "SetDscp",
    "SetEthDst",
    "SetMplsLabel",
    "SetMplsTc",
    "SetQueue",
    "SliceIds",
    "SwitchProgram",
    "ToGroup",
    "ToMeter",
    "is_own_cookie",
]

COOKIE_OWNER = 0xCA9E
GROUP_TAG = 0xCA000000
FIRST_LABEL = 16
LAST_LABEL = 199_999
FIRST_SLICE = 1
LAST_SLICE = 61_000
IN_PORT = 0xFFFFFFF8
CONTROLLER_PORT = 0xFFFFFFFD


def is_own_cookie(cookie: int) -> bool:
    return cookie >> 48 == COOKIE_OWNER


@dataclass(frozen=True, slots=True)
class SliceIds:
    """Numbers a slice keeps for life: its own and a block of `labels` path labels."""

    number: int
    first_label: int
    labels: int


@dataclass(frozen=True, slots=True)
class Match:
    """OpenFlow 1.3 match; None is a wildcard. Addresses are `a.b.c.d/len` text in canonical form, MACs lower case.

    With `eth_type` 0x86dd the addresses are IPv6 prefixes in canonical text and match the IPv6 fields; with 0x0806
    they are the protocol addresses of ARP (arp_spa and arp_tpa).
    """

    in_port: int | None = None
    eth_src: str | None = None
    eth_dst: str | None = None
    eth_type: int | None = None
    ip_src: str | None = None
    ip_dst: str | None = None
    ip_proto: int | None = None
    l4_src: int | None = None
    l4_dst: int | None = None
    mpls_label: int | None = None
    mpls_tc: int | None = None

    @property
    def order(self) -> tuple[tuple[int, int | str], ...]:
        """A total order over matches: by the first field, in the order above, in which they differ."""
        return tuple((place, value) for place, value in enumerate(_match_values(self)) if value is not None)


_match_values = attrgetter(*(item.name for item in fields(Match)))


@dataclass(frozen=True, slots=True)
class Output:
    port: int
    max_len: int = 0


@dataclass(frozen=True, slots=True)
class PushMpls:
    """Push a label stack entry with ethertype 0x8847."""


@dataclass(frozen=True, slots=True)
class SetMplsLabel:
    label: int


@dataclass(frozen=True, slots=True)
class SetMplsTc:
    """Set the traffic class bits of the label stack entry (RFC 5462)."""

    tc: int


@dataclass(frozen=True, slots=True)
class PopMpls:
    """Pop the label; the payload is of `eth_type` (0x0800, 0x0806 or 0x86dd)."""

    eth_type: int


@dataclass(frozen=True, slots=True)
class SetDscp:
    dscp: int


@dataclass(frozen=True, slots=True)
class SetQueue:
    queue: int


@dataclass(frozen=True, slots=True)
class SetEthDst:
    mac: str


@dataclass(frozen=True, slots=True)
class ToGroup:
    group: int


@dataclass(frozen=True, slots=True)
class ToMeter:
    """Instruction: police before the actions. First in `FlowRule.actions` when present."""

    meter: int


@dataclass(frozen=True, slots=True)
class GotoTable:
    """Instruction: continue in `table`. Last in `FlowRule.actions` when present."""

    table: int


Action = (
    Output
    | PushMpls
    | SetMplsLabel
    | SetMplsTc
    | PopMpls
    | SetDscp
    | SetQueue
    | SetEthDst
    | ToGroup
    | ToMeter
    | GotoTable
)


_Rank = tuple[int, int, tuple[tuple[int, int | str], ...]]


class _Ranked:
    """Room for a rank beside the fields of a frozen dataclass, of which it is no part."""

    __slots__ = ("_rank",)
    _rank: _Rank


@dataclass(frozen=True, slots=True)
class FlowRule(_Ranked):
    """One flow entry; no actions means drop. Identity in a table is (table, priority, match)."""

    table: int
    priority: int
    match: Match
    actions: tuple[Action, ...]
    cookie: int

    @property
    def key(self) -> tuple[int, int, Match]:
        return (self.table, self.priority, self.match)

    @property
    def rank(self) -> _Rank:
        """Its place among the rules of a switch. Worked out once: programs are put in order again and again."""
        try:
            return self._rank
        except AttributeError:
            object.__setattr__(self, "_rank", (self.table, -self.priority, self.match.order))
            return self._rank


_rank_of = attrgetter("rank")


@dataclass(frozen=True, slots=True)
class Bucket:
    """`watch_port` matters in fast-failover groups only."""

    actions: tuple[Action, ...]
    watch_port: int | None = None


@dataclass(frozen=True, slots=True)
class Group:
    id: int
    type: Literal["all", "fast-failover", "indirect"]
    buckets: tuple[Bucket, ...]


@dataclass(frozen=True, slots=True)
class Meter:
    """A token bucket that drops what exceeds it. Units are what OpenFlow carries: kbit/s and kbit."""

    id: int
    rate_kbps: int
    burst_kb: int


@dataclass(frozen=True, slots=True)
class Queue:
    """One HTB class: floor, ceiling, burst allowance (bits) and priority (0 first).

    `slice` names its owner; it is empty for queue 0, which belongs to the port.
    """

    id: int
    min_rate_bps: int
    max_rate_bps: int
    burst_bits: int
    priority: int
    slice: str


@dataclass(frozen=True, slots=True)
class PortQos:
    """The HTB tree of one egress port; queue 0 is best effort and always present."""

    port: int
    max_rate_bps: int
    queues: tuple[Queue, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "queues", tuple(sorted(self.queues, key=lambda queue: queue.id)))


@dataclass(frozen=True, slots=True)
class PortBfd:
    """BFD (RFC 5880) on a port towards another switch: a port whose session is down counts as dead in groups."""

    port: int
    interval_ms: int


@dataclass(frozen=True, slots=True)
class SwitchProgram:
    """Everything carelane owns on one switch. Each part is put in order here, so that equal programs are equal objects
    however they came about (compiled, or read back from a switch).
    """

    node: str
    dpid: int
    flows: tuple[FlowRule, ...] = ()
    groups: tuple[Group, ...] = ()
    meters: tuple[Meter, ...] = ()
    ports: tuple[PortQos, ...] = ()
    watches: tuple[PortBfd, ...] = ()

    def __post_init__(self) -> None:
        def put(name: str, items: list[Any]) -> None:
            object.__setattr__(self, name, tuple(items))

        put("flows", sorted(self.flows, key=_rank_of))
        put("groups", sorted(self.groups, key=lambda group: group.id))
        put("meters", sorted(self.meters, key=lambda meter: meter.id))
        put("ports", sorted(self.ports, key=lambda port: port.port))
        put("watches", sorted(self.watches, key=lambda watch: watch.port))


Program = Mapping[str, SwitchProgram]
"""Switch programs by node id."""
