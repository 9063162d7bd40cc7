"""What REST answers with, for the OpenAPI document. Decisions may gain fields, so these models admit more of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from carelane.errors import InputError

__all__ = [
    "Applied",
    "AppliedList",
    "AuditPage",
    "Capacity",
    "Compliance",
    "ComplianceList",
    "Consultations",
    "Controllers",
    "Detail",
    "HistoryPage",
    "KeyList",
    "KeyRequest",
    "NewKey",
    "Plan",
    "Probe",
    "Problem",
    "ShownKey",
    "Summary",
    "SummaryPage",
    "Who",
    "checked",
]


Model = TypeVar("Model", bound=BaseModel)


def checked(model: type[Model], value: Any, source: str) -> Model:
    """`value` as `model`. Raises InputError with the first field that does not fit."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or None
        raise InputError(first["msg"], source, field=field) from error


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Problem(_Open):
    """Problem details (RFC 9457); input errors carry `line`, `field`, `expected` and `remedy`."""

    type: str = Field(examples=["urn:carelane:problem:input"])
    title: str
    status: int
    detail: str


class Decision(_Open):
    """A row of the plan JSON: what was decided, with paths, reasons, offers, remedies and assumptions."""

    name: str = Field(examples=["or1-surgery"])
    decision: Literal["admitted", "refused"]
    paths: list[dict[str, Any]]
    reasons: list[dict[str, Any]] = []
    offers: list[dict[str, Any]] = []
    remedies: list[dict[str, Any]] = []


class Plan(_Open):
    topology: str
    decisions: list[Decision]
    totals: dict[str, float]


class Applied(_Open):
    name: str = Field(examples=["or1-surgery"])
    outcome: Literal["created", "changed", "unchanged"]
    generation: int
    phase: str = Field(examples=["Admitted"])
    admitted: bool
    decision: dict[str, Any]


class AppliedList(BaseModel):
    intents: list[Applied]


class Summary(_Open):
    name: str
    tenant: str
    service: str
    generation: int
    observed_generation: int
    phase: str
    reason: str
    message: str
    created_at: datetime
    updated_at: datetime


class SummaryPage(BaseModel):
    intents: list[Summary]
    next_cursor: str | None


class Step(_Open):
    id: int
    at: datetime
    phase_from: str | None
    phase_to: str
    reason: str
    message: str


class HistoryPage(BaseModel):
    history: list[Step]
    next_cursor: str | None


class Detail(_Open):
    summary: Summary
    manifest: dict[str, Any]
    conditions: list[dict[str, Any]]
    decision: dict[str, Any] | None
    running_generation: int | None
    running_decision: dict[str, Any] | None
    placement: dict[str, Any] | None
    history: list[Step]


class LinkCapacity(BaseModel):
    """One direction of a link. `slices` hold something on it."""

    model_config = ConfigDict(populate_by_name=True)

    link: str
    source: str = Field(alias="from")
    to: str
    capacity_mbps: float | None
    reserved_mbps: float
    free_mbps: float | None
    slices: int


class Capacity(BaseModel):
    links: list[LinkCapacity]


class Place(BaseModel):
    address: str = Field(examples=["https://controller-1.example:8642"])
    role: Literal["leader", "follower", "single"]
    seen_at: datetime | None
    here: bool


class Controllers(BaseModel):
    controllers: list[Place]


class Who(BaseModel):
    subject: str = Field(examples=["key:k3v9x0q2m7ab"])
    kind: Literal["api-key", "oidc"]
    role: str
    tenant: str | None


class ShownKey(BaseModel):
    id: str
    label: str
    role: str
    tenant: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class KeyList(BaseModel):
    keys: list[ShownKey]


class NewKey(ShownKey):
    key: str = Field(description="Shown this once; carelane keeps only its hash.")


class KeyRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    label: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["PACS of the county"])
    role: Literal["viewer", "hospital-it", "engineer", "admin"]
    tenant: str | None = Field(
        default=None, pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", examples=["county-hospital"]
    )
    expires_at: datetime | None = None


class AuditEntry(BaseModel):
    id: int
    at: datetime
    subject: str
    role: str
    tenant: str | None
    action: str = Field(examples=["intent.file"])
    target: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    request_id: str


class AuditPage(BaseModel):
    entries: list[AuditEntry]
    next_cursor: str | None


class Objective(_Open):
    objective: str = Field(examples=["delay"])
    state: Literal["met", "broken", "unknown"]
    promised: float
    measured: float | None
    unit: str
    margin: float | None
    samples: int
    confidence: float | None


class Compliance(_Open):
    name: str
    state: Literal["met", "broken", "unknown"]
    objectives: list[Objective]
    burn_rates: dict[str, float | None]
    budget_left: float | None


class ComplianceList(BaseModel):
    intents: list[Compliance]


class Site(_Open):
    site: str
    offered_mbps: float | None
    allowed_mbps: float | None
    used_mbps: float | None
    floor_mbps: float | None


class Consultation(BaseModel):
    name: str
    sites: list[Site]


class Consultations(BaseModel):
    consultations: list[Consultation]


ShortText = Annotated[str, Field(min_length=1, max_length=253)]


class Probe(BaseModel):
    """One interval of one probe (RFC 8762); times in seconds."""

    model_config = ConfigDict(extra="forbid", strict=True)

    slice: ShortText
    source: ShortText
    target: ShortText
    sent: int = Field(ge=0)
    received: int = Field(ge=0)
    delay_min_s: float
    delay_max_s: float
    jitter_s: float
    round_trip_min_s: float
    clock_error_s: float = 0.0
