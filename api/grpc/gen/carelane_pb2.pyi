import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    OUTCOME_CREATED: _ClassVar[Outcome]
    OUTCOME_CHANGED: _ClassVar[Outcome]
    OUTCOME_UNCHANGED: _ClassVar[Outcome]

class ComplianceState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMPLIANCE_STATE_UNSPECIFIED: _ClassVar[ComplianceState]
    COMPLIANCE_STATE_MET: _ClassVar[ComplianceState]
    COMPLIANCE_STATE_BROKEN: _ClassVar[ComplianceState]
    COMPLIANCE_STATE_UNKNOWN: _ClassVar[ComplianceState]
OUTCOME_UNSPECIFIED: Outcome
OUTCOME_CREATED: Outcome
OUTCOME_CHANGED: Outcome
OUTCOME_UNCHANGED: Outcome
COMPLIANCE_STATE_UNSPECIFIED: ComplianceState
COMPLIANCE_STATE_MET: ComplianceState
COMPLIANCE_STATE_BROKEN: ComplianceState
COMPLIANCE_STATE_UNKNOWN: ComplianceState

class IntentSource(_message.Message):
    __slots__ = ("manifests", "line")
    MANIFESTS_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    manifests: str
    line: IntentLine
    def __init__(self, manifests: _Optional[str] = ..., line: _Optional[_Union[IntentLine, _Mapping]] = ...) -> None: ...

class IntentLine(_message.Message):
    __slots__ = ("line", "to", "name", "tenant")
    LINE_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    line: str
    to: _containers.RepeatedScalarFieldContainer[str]
    name: str
    tenant: str
    def __init__(self, line: _Optional[str] = ..., to: _Optional[_Iterable[str]] = ..., name: _Optional[str] = ..., tenant: _Optional[str] = ..., **kwargs) -> None: ...

class FileIntentsRequest(_message.Message):
    __slots__ = ("source", "idempotency_key", "preempt")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    PREEMPT_FIELD_NUMBER: _ClassVar[int]
    source: IntentSource
    idempotency_key: str
    preempt: bool
    def __init__(self, source: _Optional[_Union[IntentSource, _Mapping]] = ..., idempotency_key: _Optional[str] = ..., preempt: _Optional[bool] = ...) -> None: ...

class FileIntentsResponse(_message.Message):
    __slots__ = ("intents",)
    INTENTS_FIELD_NUMBER: _ClassVar[int]
    intents: _containers.RepeatedCompositeFieldContainer[AppliedIntent]
    def __init__(self, intents: _Optional[_Iterable[_Union[AppliedIntent, _Mapping]]] = ...) -> None: ...

class AppliedIntent(_message.Message):
    __slots__ = ("name", "outcome", "generation", "phase", "admitted", "decision")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    ADMITTED_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    name: str
    outcome: Outcome
    generation: int
    phase: str
    admitted: bool
    decision: _struct_pb2.Struct
    def __init__(self, name: _Optional[str] = ..., outcome: _Optional[_Union[Outcome, str]] = ..., generation: _Optional[int] = ..., phase: _Optional[str] = ..., admitted: _Optional[bool] = ..., decision: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class PlanIntentsRequest(_message.Message):
    __slots__ = ("source", "optimize", "preempt")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    OPTIMIZE_FIELD_NUMBER: _ClassVar[int]
    PREEMPT_FIELD_NUMBER: _ClassVar[int]
    source: IntentSource
    optimize: bool
    preempt: bool
    def __init__(self, source: _Optional[_Union[IntentSource, _Mapping]] = ..., optimize: _Optional[bool] = ..., preempt: _Optional[bool] = ...) -> None: ...

class PlanIntentsResponse(_message.Message):
    __slots__ = ("plan",)
    PLAN_FIELD_NUMBER: _ClassVar[int]
    plan: _struct_pb2.Struct
    def __init__(self, plan: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class GetIntentRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetIntentResponse(_message.Message):
    __slots__ = ("summary", "manifest", "decision", "conditions")
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    summary: IntentSummary
    manifest: _struct_pb2.Struct
    decision: _struct_pb2.Struct
    conditions: _containers.RepeatedCompositeFieldContainer[Condition]
    def __init__(self, summary: _Optional[_Union[IntentSummary, _Mapping]] = ..., manifest: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., decision: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., conditions: _Optional[_Iterable[_Union[Condition, _Mapping]]] = ...) -> None: ...

class Condition(_message.Message):
    __slots__ = ("type", "status", "reason", "message", "since")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    type: str
    status: str
    reason: str
    message: str
    since: _timestamp_pb2.Timestamp
    def __init__(self, type: _Optional[str] = ..., status: _Optional[str] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListIntentsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "tenant", "withdrawn")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    tenant: str
    withdrawn: bool
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., tenant: _Optional[str] = ..., withdrawn: _Optional[bool] = ...) -> None: ...

class ListIntentsResponse(_message.Message):
    __slots__ = ("intents", "next_page_token")
    INTENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    intents: _containers.RepeatedCompositeFieldContainer[IntentSummary]
    next_page_token: str
    def __init__(self, intents: _Optional[_Iterable[_Union[IntentSummary, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class IntentSummary(_message.Message):
    __slots__ = ("name", "tenant", "service", "generation", "observed_generation", "phase", "reason", "message", "created_at", "updated_at")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_GENERATION_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    name: str
    tenant: str
    service: str
    generation: int
    observed_generation: int
    phase: str
    reason: str
    message: str
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., tenant: _Optional[str] = ..., service: _Optional[str] = ..., generation: _Optional[int] = ..., observed_generation: _Optional[int] = ..., phase: _Optional[str] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class PatchIntentRequest(_message.Message):
    __slots__ = ("name", "merge_patch", "idempotency_key", "if_generation")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MERGE_PATCH_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    IF_GENERATION_FIELD_NUMBER: _ClassVar[int]
    name: str
    merge_patch: str
    idempotency_key: str
    if_generation: int
    def __init__(self, name: _Optional[str] = ..., merge_patch: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., if_generation: _Optional[int] = ...) -> None: ...

class PatchIntentResponse(_message.Message):
    __slots__ = ("intent",)
    INTENT_FIELD_NUMBER: _ClassVar[int]
    intent: AppliedIntent
    def __init__(self, intent: _Optional[_Union[AppliedIntent, _Mapping]] = ...) -> None: ...

class AcceptOfferRequest(_message.Message):
    __slots__ = ("name", "offer", "idempotency_key", "if_generation")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OFFER_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    IF_GENERATION_FIELD_NUMBER: _ClassVar[int]
    name: str
    offer: int
    idempotency_key: str
    if_generation: int
    def __init__(self, name: _Optional[str] = ..., offer: _Optional[int] = ..., idempotency_key: _Optional[str] = ..., if_generation: _Optional[int] = ...) -> None: ...

class AcceptOfferResponse(_message.Message):
    __slots__ = ("intent",)
    INTENT_FIELD_NUMBER: _ClassVar[int]
    intent: AppliedIntent
    def __init__(self, intent: _Optional[_Union[AppliedIntent, _Mapping]] = ...) -> None: ...

class WithdrawIntentRequest(_message.Message):
    __slots__ = ("name", "idempotency_key", "if_generation")
    NAME_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    IF_GENERATION_FIELD_NUMBER: _ClassVar[int]
    name: str
    idempotency_key: str
    if_generation: int
    def __init__(self, name: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., if_generation: _Optional[int] = ...) -> None: ...

class WithdrawIntentResponse(_message.Message):
    __slots__ = ("summary",)
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    summary: IntentSummary
    def __init__(self, summary: _Optional[_Union[IntentSummary, _Mapping]] = ...) -> None: ...

class WatchIntentsRequest(_message.Message):
    __slots__ = ("after",)
    AFTER_FIELD_NUMBER: _ClassVar[int]
    after: int
    def __init__(self, after: _Optional[int] = ...) -> None: ...

class WatchIntentsResponse(_message.Message):
    __slots__ = ("id", "at", "name", "tenant", "phase_from", "phase_to", "reason", "message")
    ID_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    PHASE_FROM_FIELD_NUMBER: _ClassVar[int]
    PHASE_TO_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    id: int
    at: _timestamp_pb2.Timestamp
    name: str
    tenant: str
    phase_from: str
    phase_to: str
    reason: str
    message: str
    def __init__(self, id: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., name: _Optional[str] = ..., tenant: _Optional[str] = ..., phase_from: _Optional[str] = ..., phase_to: _Optional[str] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class WatchConditionsRequest(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class WatchConditionsResponse(_message.Message):
    __slots__ = ("name", "phase", "conditions")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    phase: str
    conditions: _containers.RepeatedCompositeFieldContainer[Condition]
    def __init__(self, name: _Optional[str] = ..., phase: _Optional[str] = ..., conditions: _Optional[_Iterable[_Union[Condition, _Mapping]]] = ...) -> None: ...

class WatchSitesRequest(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class WatchSitesResponse(_message.Message):
    __slots__ = ("name", "sites")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SITES_FIELD_NUMBER: _ClassVar[int]
    name: str
    sites: _containers.RepeatedCompositeFieldContainer[SiteTraffic]
    def __init__(self, name: _Optional[str] = ..., sites: _Optional[_Iterable[_Union[SiteTraffic, _Mapping]]] = ...) -> None: ...

class SiteTraffic(_message.Message):
    __slots__ = ("site", "to", "offered_mbps", "allowed_mbps", "used_mbps", "floor_mbps", "ceiling_mbps")
    SITE_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    OFFERED_MBPS_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_MBPS_FIELD_NUMBER: _ClassVar[int]
    USED_MBPS_FIELD_NUMBER: _ClassVar[int]
    FLOOR_MBPS_FIELD_NUMBER: _ClassVar[int]
    CEILING_MBPS_FIELD_NUMBER: _ClassVar[int]
    site: str
    to: _containers.RepeatedScalarFieldContainer[str]
    offered_mbps: float
    allowed_mbps: float
    used_mbps: float
    floor_mbps: float
    ceiling_mbps: float
    def __init__(self, site: _Optional[str] = ..., to: _Optional[_Iterable[str]] = ..., offered_mbps: _Optional[float] = ..., allowed_mbps: _Optional[float] = ..., used_mbps: _Optional[float] = ..., floor_mbps: _Optional[float] = ..., ceiling_mbps: _Optional[float] = ...) -> None: ...

class GetComplianceRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetComplianceResponse(_message.Message):
    __slots__ = ("compliance",)
    COMPLIANCE_FIELD_NUMBER: _ClassVar[int]
    compliance: IntentCompliance
    def __init__(self, compliance: _Optional[_Union[IntentCompliance, _Mapping]] = ...) -> None: ...

class WatchComplianceRequest(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class WatchComplianceResponse(_message.Message):
    __slots__ = ("compliance",)
    COMPLIANCE_FIELD_NUMBER: _ClassVar[int]
    compliance: IntentCompliance
    def __init__(self, compliance: _Optional[_Union[IntentCompliance, _Mapping]] = ...) -> None: ...

class IntentCompliance(_message.Message):
    __slots__ = ("name", "state", "objectives", "budget_left")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVES_FIELD_NUMBER: _ClassVar[int]
    BUDGET_LEFT_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: ComplianceState
    objectives: _containers.RepeatedCompositeFieldContainer[ObjectiveCompliance]
    budget_left: float
    def __init__(self, name: _Optional[str] = ..., state: _Optional[_Union[ComplianceState, str]] = ..., objectives: _Optional[_Iterable[_Union[ObjectiveCompliance, _Mapping]]] = ..., budget_left: _Optional[float] = ...) -> None: ...

class ObjectiveCompliance(_message.Message):
    __slots__ = ("objective", "state", "promised", "measured", "unit", "samples")
    OBJECTIVE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROMISED_FIELD_NUMBER: _ClassVar[int]
    MEASURED_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    objective: str
    state: ComplianceState
    promised: float
    measured: float
    unit: str
    samples: int
    def __init__(self, objective: _Optional[str] = ..., state: _Optional[_Union[ComplianceState, str]] = ..., promised: _Optional[float] = ..., measured: _Optional[float] = ..., unit: _Optional[str] = ..., samples: _Optional[int] = ...) -> None: ...
