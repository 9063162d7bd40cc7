from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ConnectRequest(_message.Message):
    __slots__ = ("number", "hello", "read", "apply", "counters", "link_delays", "set_rank")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    APPLY_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    LINK_DELAYS_FIELD_NUMBER: _ClassVar[int]
    SET_RANK_FIELD_NUMBER: _ClassVar[int]
    number: int
    hello: ClientHello
    read: ReadSwitch
    apply: SwitchChanges
    counters: ReadCounters
    link_delays: ReadLinkDelays
    set_rank: SetRank
    def __init__(self, number: _Optional[int] = ..., hello: _Optional[_Union[ClientHello, _Mapping]] = ..., read: _Optional[_Union[ReadSwitch, _Mapping]] = ..., apply: _Optional[_Union[SwitchChanges, _Mapping]] = ..., counters: _Optional[_Union[ReadCounters, _Mapping]] = ..., link_delays: _Optional[_Union[ReadLinkDelays, _Mapping]] = ..., set_rank: _Optional[_Union[SetRank, _Mapping]] = ...) -> None: ...

class ConnectResponse(_message.Message):
    __slots__ = ("number", "hello", "state", "receipt", "counters", "link_delays", "fault", "network", "doubt", "rank_set")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    LINK_DELAYS_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    DOUBT_FIELD_NUMBER: _ClassVar[int]
    RANK_SET_FIELD_NUMBER: _ClassVar[int]
    number: int
    hello: ServerHello
    state: SwitchState
    receipt: Receipt
    counters: SwitchCounters
    link_delays: LinkDelays
    fault: Fault
    network: Network
    doubt: Doubt
    rank_set: RankSet
    def __init__(self, number: _Optional[int] = ..., hello: _Optional[_Union[ServerHello, _Mapping]] = ..., state: _Optional[_Union[SwitchState, _Mapping]] = ..., receipt: _Optional[_Union[Receipt, _Mapping]] = ..., counters: _Optional[_Union[SwitchCounters, _Mapping]] = ..., link_delays: _Optional[_Union[LinkDelays, _Mapping]] = ..., fault: _Optional[_Union[Fault, _Mapping]] = ..., network: _Optional[_Union[Network, _Mapping]] = ..., doubt: _Optional[_Union[Doubt, _Mapping]] = ..., rank_set: _Optional[_Union[RankSet, _Mapping]] = ...) -> None: ...

class ClientHello(_message.Message):
    __slots__ = ("topology",)
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    topology: str
    def __init__(self, topology: _Optional[str] = ...) -> None: ...

class ServerHello(_message.Message):
    __slots__ = ("version", "address")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    version: str
    address: str
    def __init__(self, version: _Optional[str] = ..., address: _Optional[str] = ...) -> None: ...

class ReadSwitch(_message.Message):
    __slots__ = ("node",)
    NODE_FIELD_NUMBER: _ClassVar[int]
    node: str
    def __init__(self, node: _Optional[str] = ...) -> None: ...

class ReadCounters(_message.Message):
    __slots__ = ("node",)
    NODE_FIELD_NUMBER: _ClassVar[int]
    node: str
    def __init__(self, node: _Optional[str] = ...) -> None: ...

class ReadLinkDelays(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SetRank(_message.Message):
    __slots__ = ("leads", "epoch")
    LEADS_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    leads: bool
    epoch: int
    def __init__(self, leads: _Optional[bool] = ..., epoch: _Optional[int] = ...) -> None: ...

class RankSet(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Doubt(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Fault(_message.Message):
    __slots__ = ("kind", "message")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Fault.Kind]
        KIND_SWITCH_UNREACHABLE: _ClassVar[Fault.Kind]
        KIND_PROGRAM: _ClassVar[Fault.Kind]
        KIND_NOT_FOUND: _ClassVar[Fault.Kind]
        KIND_UNEXPECTED: _ClassVar[Fault.Kind]
    KIND_UNSPECIFIED: Fault.Kind
    KIND_SWITCH_UNREACHABLE: Fault.Kind
    KIND_PROGRAM: Fault.Kind
    KIND_NOT_FOUND: Fault.Kind
    KIND_UNEXPECTED: Fault.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    kind: Fault.Kind
    message: str
    def __init__(self, kind: _Optional[_Union[Fault.Kind, str]] = ..., message: _Optional[str] = ...) -> None: ...

class Network(_message.Message):
    __slots__ = ("statuses", "links", "refusals")
    class RefusalsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    statuses: _containers.RepeatedCompositeFieldContainer[SwitchStatus]
    links: _containers.RepeatedCompositeFieldContainer[DiscoveredLink]
    refusals: _containers.ScalarMap[str, int]
    def __init__(self, statuses: _Optional[_Iterable[_Union[SwitchStatus, _Mapping]]] = ..., links: _Optional[_Iterable[_Union[DiscoveredLink, _Mapping]]] = ..., refusals: _Optional[_Mapping[str, int]] = ...) -> None: ...

class SwitchStatus(_message.Message):
    __slots__ = ("node", "dpid", "connected", "reason", "ports_up", "dead_ports", "connection")
    class PortsUpEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: bool
        def __init__(self, key: _Optional[int] = ..., value: _Optional[bool] = ...) -> None: ...
    NODE_FIELD_NUMBER: _ClassVar[int]
    DPID_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PORTS_UP_FIELD_NUMBER: _ClassVar[int]
    DEAD_PORTS_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    node: str
    dpid: int
    connected: bool
    reason: str
    ports_up: _containers.ScalarMap[int, bool]
    dead_ports: _containers.RepeatedScalarFieldContainer[int]
    connection: int
    def __init__(self, node: _Optional[str] = ..., dpid: _Optional[int] = ..., connected: _Optional[bool] = ..., reason: _Optional[str] = ..., ports_up: _Optional[_Mapping[int, bool]] = ..., dead_ports: _Optional[_Iterable[int]] = ..., connection: _Optional[int] = ...) -> None: ...

class DiscoveredLink(_message.Message):
    __slots__ = ("node", "port", "next_node", "next_port")
    NODE_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    NEXT_NODE_FIELD_NUMBER: _ClassVar[int]
    NEXT_PORT_FIELD_NUMBER: _ClassVar[int]
    node: str
    port: int
    next_node: str
    next_port: int
    def __init__(self, node: _Optional[str] = ..., port: _Optional[int] = ..., next_node: _Optional[str] = ..., next_port: _Optional[int] = ...) -> None: ...

class LinkDelays(_message.Message):
    __slots__ = ("delays",)
    DELAYS_FIELD_NUMBER: _ClassVar[int]
    delays: _containers.RepeatedCompositeFieldContainer[LinkDelay]
    def __init__(self, delays: _Optional[_Iterable[_Union[LinkDelay, _Mapping]]] = ...) -> None: ...

class LinkDelay(_message.Message):
    __slots__ = ("link", "delay_s", "error_s")
    LINK_FIELD_NUMBER: _ClassVar[int]
    DELAY_S_FIELD_NUMBER: _ClassVar[int]
    ERROR_S_FIELD_NUMBER: _ClassVar[int]
    link: DiscoveredLink
    delay_s: float
    error_s: float
    def __init__(self, link: _Optional[_Union[DiscoveredLink, _Mapping]] = ..., delay_s: _Optional[float] = ..., error_s: _Optional[float] = ...) -> None: ...

class SwitchState(_message.Message):
    __slots__ = ("own", "strangers", "mismatches", "flow_packets")
    class FlowPacketsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    OWN_FIELD_NUMBER: _ClassVar[int]
    STRANGERS_FIELD_NUMBER: _ClassVar[int]
    MISMATCHES_FIELD_NUMBER: _ClassVar[int]
    FLOW_PACKETS_FIELD_NUMBER: _ClassVar[int]
    own: SwitchProgram
    strangers: _containers.RepeatedScalarFieldContainer[str]
    mismatches: _containers.RepeatedScalarFieldContainer[str]
    flow_packets: _containers.ScalarMap[str, int]
    def __init__(self, own: _Optional[_Union[SwitchProgram, _Mapping]] = ..., strangers: _Optional[_Iterable[str]] = ..., mismatches: _Optional[_Iterable[str]] = ..., flow_packets: _Optional[_Mapping[str, int]] = ...) -> None: ...

class SwitchProgram(_message.Message):
    __slots__ = ("node", "dpid", "flows", "groups", "meters", "ports", "watches")
    NODE_FIELD_NUMBER: _ClassVar[int]
    DPID_FIELD_NUMBER: _ClassVar[int]
    FLOWS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    METERS_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    WATCHES_FIELD_NUMBER: _ClassVar[int]
    node: str
    dpid: int
    flows: _containers.RepeatedCompositeFieldContainer[FlowRule]
    groups: _containers.RepeatedCompositeFieldContainer[Group]
    meters: _containers.RepeatedCompositeFieldContainer[Meter]
    ports: _containers.RepeatedCompositeFieldContainer[PortQos]
    watches: _containers.RepeatedCompositeFieldContainer[PortBfd]
    def __init__(self, node: _Optional[str] = ..., dpid: _Optional[int] = ..., flows: _Optional[_Iterable[_Union[FlowRule, _Mapping]]] = ..., groups: _Optional[_Iterable[_Union[Group, _Mapping]]] = ..., meters: _Optional[_Iterable[_Union[Meter, _Mapping]]] = ..., ports: _Optional[_Iterable[_Union[PortQos, _Mapping]]] = ..., watches: _Optional[_Iterable[_Union[PortBfd, _Mapping]]] = ...) -> None: ...

class SwitchChanges(_message.Message):
    __slots__ = ("node", "dpid", "operations")
    NODE_FIELD_NUMBER: _ClassVar[int]
    DPID_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    node: str
    dpid: int
    operations: _containers.RepeatedCompositeFieldContainer[Operation]
    def __init__(self, node: _Optional[str] = ..., dpid: _Optional[int] = ..., operations: _Optional[_Iterable[_Union[Operation, _Mapping]]] = ...) -> None: ...

class Operation(_message.Message):
    __slots__ = ("verb", "flow_rule", "group", "meter", "port_qos", "port_bfd")
    VERB_FIELD_NUMBER: _ClassVar[int]
    FLOW_RULE_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    METER_FIELD_NUMBER: _ClassVar[int]
    PORT_QOS_FIELD_NUMBER: _ClassVar[int]
    PORT_BFD_FIELD_NUMBER: _ClassVar[int]
    verb: str
    flow_rule: FlowRule
    group: Group
    meter: Meter
    port_qos: PortQos
    port_bfd: PortBfd
    def __init__(self, verb: _Optional[str] = ..., flow_rule: _Optional[_Union[FlowRule, _Mapping]] = ..., group: _Optional[_Union[Group, _Mapping]] = ..., meter: _Optional[_Union[Meter, _Mapping]] = ..., port_qos: _Optional[_Union[PortQos, _Mapping]] = ..., port_bfd: _Optional[_Union[PortBfd, _Mapping]] = ...) -> None: ...

class FlowRule(_message.Message):
    __slots__ = ("table", "priority", "match", "actions", "cookie")
    TABLE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    MATCH_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    COOKIE_FIELD_NUMBER: _ClassVar[int]
    table: int
    priority: int
    match: Match
    actions: _containers.RepeatedCompositeFieldContainer[Action]
    cookie: int
    def __init__(self, table: _Optional[int] = ..., priority: _Optional[int] = ..., match: _Optional[_Union[Match, _Mapping]] = ..., actions: _Optional[_Iterable[_Union[Action, _Mapping]]] = ..., cookie: _Optional[int] = ...) -> None: ...

class Match(_message.Message):
    __slots__ = ("in_port", "eth_src", "eth_dst", "eth_type", "ip_src", "ip_dst", "ip_proto", "l4_src", "l4_dst", "mpls_label", "mpls_tc")
    IN_PORT_FIELD_NUMBER: _ClassVar[int]
    ETH_SRC_FIELD_NUMBER: _ClassVar[int]
    ETH_DST_FIELD_NUMBER: _ClassVar[int]
    ETH_TYPE_FIELD_NUMBER: _ClassVar[int]
    IP_SRC_FIELD_NUMBER: _ClassVar[int]
    IP_DST_FIELD_NUMBER: _ClassVar[int]
    IP_PROTO_FIELD_NUMBER: _ClassVar[int]
    L4_SRC_FIELD_NUMBER: _ClassVar[int]
    L4_DST_FIELD_NUMBER: _ClassVar[int]
    MPLS_LABEL_FIELD_NUMBER: _ClassVar[int]
    MPLS_TC_FIELD_NUMBER: _ClassVar[int]
    in_port: int
    eth_src: str
    eth_dst: str
    eth_type: int
    ip_src: str
    ip_dst: str
    ip_proto: int
    l4_src: int
    l4_dst: int
    mpls_label: int
    mpls_tc: int
    def __init__(self, in_port: _Optional[int] = ..., eth_src: _Optional[str] = ..., eth_dst: _Optional[str] = ..., eth_type: _Optional[int] = ..., ip_src: _Optional[str] = ..., ip_dst: _Optional[str] = ..., ip_proto: _Optional[int] = ..., l4_src: _Optional[int] = ..., l4_dst: _Optional[int] = ..., mpls_label: _Optional[int] = ..., mpls_tc: _Optional[int] = ...) -> None: ...

class Action(_message.Message):
    __slots__ = ("output", "push_mpls", "set_mpls_label", "set_mpls_tc", "pop_mpls", "set_dscp", "set_queue", "set_eth_dst", "to_group", "to_meter", "goto_table")
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    PUSH_MPLS_FIELD_NUMBER: _ClassVar[int]
    SET_MPLS_LABEL_FIELD_NUMBER: _ClassVar[int]
    SET_MPLS_TC_FIELD_NUMBER: _ClassVar[int]
    POP_MPLS_FIELD_NUMBER: _ClassVar[int]
    SET_DSCP_FIELD_NUMBER: _ClassVar[int]
    SET_QUEUE_FIELD_NUMBER: _ClassVar[int]
    SET_ETH_DST_FIELD_NUMBER: _ClassVar[int]
    TO_GROUP_FIELD_NUMBER: _ClassVar[int]
    TO_METER_FIELD_NUMBER: _ClassVar[int]
    GOTO_TABLE_FIELD_NUMBER: _ClassVar[int]
    output: Output
    push_mpls: PushMpls
    set_mpls_label: SetMplsLabel
    set_mpls_tc: SetMplsTc
    pop_mpls: PopMpls
    set_dscp: SetDscp
    set_queue: SetQueue
    set_eth_dst: SetEthDst
    to_group: ToGroup
    to_meter: ToMeter
    goto_table: GotoTable
    def __init__(self, output: _Optional[_Union[Output, _Mapping]] = ..., push_mpls: _Optional[_Union[PushMpls, _Mapping]] = ..., set_mpls_label: _Optional[_Union[SetMplsLabel, _Mapping]] = ..., set_mpls_tc: _Optional[_Union[SetMplsTc, _Mapping]] = ..., pop_mpls: _Optional[_Union[PopMpls, _Mapping]] = ..., set_dscp: _Optional[_Union[SetDscp, _Mapping]] = ..., set_queue: _Optional[_Union[SetQueue, _Mapping]] = ..., set_eth_dst: _Optional[_Union[SetEthDst, _Mapping]] = ..., to_group: _Optional[_Union[ToGroup, _Mapping]] = ..., to_meter: _Optional[_Union[ToMeter, _Mapping]] = ..., goto_table: _Optional[_Union[GotoTable, _Mapping]] = ...) -> None: ...

class Output(_message.Message):
    __slots__ = ("port", "max_len")
    PORT_FIELD_NUMBER: _ClassVar[int]
    MAX_LEN_FIELD_NUMBER: _ClassVar[int]
    port: int
    max_len: int
    def __init__(self, port: _Optional[int] = ..., max_len: _Optional[int] = ...) -> None: ...

class PushMpls(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SetMplsLabel(_message.Message):
    __slots__ = ("label",)
    LABEL_FIELD_NUMBER: _ClassVar[int]
    label: int
    def __init__(self, label: _Optional[int] = ...) -> None: ...

class SetMplsTc(_message.Message):
    __slots__ = ("tc",)
    TC_FIELD_NUMBER: _ClassVar[int]
    tc: int
    def __init__(self, tc: _Optional[int] = ...) -> None: ...

class PopMpls(_message.Message):
    __slots__ = ("eth_type",)
    ETH_TYPE_FIELD_NUMBER: _ClassVar[int]
    eth_type: int
    def __init__(self, eth_type: _Optional[int] = ...) -> None: ...

class SetDscp(_message.Message):
    __slots__ = ("dscp",)
    DSCP_FIELD_NUMBER: _ClassVar[int]
    dscp: int
    def __init__(self, dscp: _Optional[int] = ...) -> None: ...

class SetQueue(_message.Message):
    __slots__ = ("queue",)
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    queue: int
    def __init__(self, queue: _Optional[int] = ...) -> None: ...

class SetEthDst(_message.Message):
    __slots__ = ("mac",)
    MAC_FIELD_NUMBER: _ClassVar[int]
    mac: str
    def __init__(self, mac: _Optional[str] = ...) -> None: ...

class ToGroup(_message.Message):
    __slots__ = ("group",)
    GROUP_FIELD_NUMBER: _ClassVar[int]
    group: int
    def __init__(self, group: _Optional[int] = ...) -> None: ...

class ToMeter(_message.Message):
    __slots__ = ("meter",)
    METER_FIELD_NUMBER: _ClassVar[int]
    meter: int
    def __init__(self, meter: _Optional[int] = ...) -> None: ...

class GotoTable(_message.Message):
    __slots__ = ("table",)
    TABLE_FIELD_NUMBER: _ClassVar[int]
    table: int
    def __init__(self, table: _Optional[int] = ...) -> None: ...

class Group(_message.Message):
    __slots__ = ("id", "type", "buckets")
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    id: int
    type: str
    buckets: _containers.RepeatedCompositeFieldContainer[Bucket]
    def __init__(self, id: _Optional[int] = ..., type: _Optional[str] = ..., buckets: _Optional[_Iterable[_Union[Bucket, _Mapping]]] = ...) -> None: ...

class Bucket(_message.Message):
    __slots__ = ("actions", "watch_port")
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    WATCH_PORT_FIELD_NUMBER: _ClassVar[int]
    actions: _containers.RepeatedCompositeFieldContainer[Action]
    watch_port: int
    def __init__(self, actions: _Optional[_Iterable[_Union[Action, _Mapping]]] = ..., watch_port: _Optional[int] = ...) -> None: ...

class Meter(_message.Message):
    __slots__ = ("id", "rate_kbps", "burst_kb")
    ID_FIELD_NUMBER: _ClassVar[int]
    RATE_KBPS_FIELD_NUMBER: _ClassVar[int]
    BURST_KB_FIELD_NUMBER: _ClassVar[int]
    id: int
    rate_kbps: int
    burst_kb: int
    def __init__(self, id: _Optional[int] = ..., rate_kbps: _Optional[int] = ..., burst_kb: _Optional[int] = ...) -> None: ...

class Queue(_message.Message):
    __slots__ = ("id", "min_rate_bps", "max_rate_bps", "burst_bits", "priority", "slice")
    ID_FIELD_NUMBER: _ClassVar[int]
    MIN_RATE_BPS_FIELD_NUMBER: _ClassVar[int]
    MAX_RATE_BPS_FIELD_NUMBER: _ClassVar[int]
    BURST_BITS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    SLICE_FIELD_NUMBER: _ClassVar[int]
    id: int
    min_rate_bps: int
    max_rate_bps: int
    burst_bits: int
    priority: int
    slice: str
    def __init__(self, id: _Optional[int] = ..., min_rate_bps: _Optional[int] = ..., max_rate_bps: _Optional[int] = ..., burst_bits: _Optional[int] = ..., priority: _Optional[int] = ..., slice: _Optional[str] = ...) -> None: ...

class PortQos(_message.Message):
    __slots__ = ("port", "max_rate_bps", "queues")
    PORT_FIELD_NUMBER: _ClassVar[int]
    MAX_RATE_BPS_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    port: int
    max_rate_bps: int
    queues: _containers.RepeatedCompositeFieldContainer[Queue]
    def __init__(self, port: _Optional[int] = ..., max_rate_bps: _Optional[int] = ..., queues: _Optional[_Iterable[_Union[Queue, _Mapping]]] = ...) -> None: ...

class PortBfd(_message.Message):
    __slots__ = ("port", "interval_ms")
    PORT_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    port: int
    interval_ms: int
    def __init__(self, port: _Optional[int] = ..., interval_ms: _Optional[int] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("node", "operations", "duration_s")
    NODE_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    DURATION_S_FIELD_NUMBER: _ClassVar[int]
    node: str
    operations: int
    duration_s: float
    def __init__(self, node: _Optional[str] = ..., operations: _Optional[int] = ..., duration_s: _Optional[float] = ...) -> None: ...

class SwitchCounters(_message.Message):
    __slots__ = ("node", "at_s", "took_s", "flows", "meters", "queues", "ports", "groups")
    NODE_FIELD_NUMBER: _ClassVar[int]
    AT_S_FIELD_NUMBER: _ClassVar[int]
    TOOK_S_FIELD_NUMBER: _ClassVar[int]
    FLOWS_FIELD_NUMBER: _ClassVar[int]
    METERS_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    node: str
    at_s: float
    took_s: float
    flows: _containers.RepeatedCompositeFieldContainer[FlowCount]
    meters: _containers.RepeatedCompositeFieldContainer[MeterCount]
    queues: _containers.RepeatedCompositeFieldContainer[QueueCount]
    ports: _containers.RepeatedCompositeFieldContainer[PortCount]
    groups: _containers.RepeatedCompositeFieldContainer[GroupCount]
    def __init__(self, node: _Optional[str] = ..., at_s: _Optional[float] = ..., took_s: _Optional[float] = ..., flows: _Optional[_Iterable[_Union[FlowCount, _Mapping]]] = ..., meters: _Optional[_Iterable[_Union[MeterCount, _Mapping]]] = ..., queues: _Optional[_Iterable[_Union[QueueCount, _Mapping]]] = ..., ports: _Optional[_Iterable[_Union[PortCount, _Mapping]]] = ..., groups: _Optional[_Iterable[_Union[GroupCount, _Mapping]]] = ...) -> None: ...

class Count(_message.Message):
    __slots__ = ("packets", "bytes", "dropped", "dropped_bytes")
    PACKETS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_BYTES_FIELD_NUMBER: _ClassVar[int]
    packets: int
    bytes: int
    dropped: int
    dropped_bytes: int
    def __init__(self, packets: _Optional[int] = ..., bytes: _Optional[int] = ..., dropped: _Optional[int] = ..., dropped_bytes: _Optional[int] = ...) -> None: ...

class FlowCount(_message.Message):
    __slots__ = ("cookie", "table", "priority", "match", "count")
    COOKIE_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    MATCH_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    cookie: int
    table: int
    priority: int
    match: Match
    count: Count
    def __init__(self, cookie: _Optional[int] = ..., table: _Optional[int] = ..., priority: _Optional[int] = ..., match: _Optional[_Union[Match, _Mapping]] = ..., count: _Optional[_Union[Count, _Mapping]] = ...) -> None: ...

class MeterCount(_message.Message):
    __slots__ = ("meter", "count")
    METER_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    meter: int
    count: Count
    def __init__(self, meter: _Optional[int] = ..., count: _Optional[_Union[Count, _Mapping]] = ...) -> None: ...

class QueueCount(_message.Message):
    __slots__ = ("port", "queue", "count")
    PORT_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    port: int
    queue: int
    count: Count
    def __init__(self, port: _Optional[int] = ..., queue: _Optional[int] = ..., count: _Optional[_Union[Count, _Mapping]] = ...) -> None: ...

class PortCount(_message.Message):
    __slots__ = ("port", "received", "sent")
    PORT_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    SENT_FIELD_NUMBER: _ClassVar[int]
    port: int
    received: Count
    sent: Count
    def __init__(self, port: _Optional[int] = ..., received: _Optional[_Union[Count, _Mapping]] = ..., sent: _Optional[_Union[Count, _Mapping]] = ...) -> None: ...

class GroupCount(_message.Message):
    __slots__ = ("group", "count")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    group: int
    count: Count
    def __init__(self, group: _Optional[int] = ..., count: _Optional[_Union[Count, _Mapping]] = ...) -> None: ...
