"""The pydantic models of a ServiceIntent manifest. Fields hold parsed values; the JSON Schema shows the text form."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from carelane.errors import InputError
from carelane.intents import _quantities as quantities
from carelane.intents._shape import MAX_ENDPOINTS
from carelane.intents.catalogue import find_service
from carelane.intents.model import OFF, Off
from carelane.units import DURATION_UNITS, RATE_UNITS, SIZE_UNITS

__all__ = ["KIND", "Manifest", "Objectives", "SchemaOfText"]

KIND = "ServiceIntent"
_NUMBER = r"[+]?[0-9]{1,18}([.][0-9]{1,40})?([eE][+-]?[0-9]{1,2})?"
_RATIO = r"[+]?[0-9]{0,18}[.]?[0-9]{1,40}([eE][+-]?[0-9]{1,2})?"
_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})", re.ASCII)


def _quantity_schema(units: Iterable[str], example: str) -> dict[str, Any]:
    """Text of a number and one of `units`."""
    alternatives = "|".join(re.escape(unit).replace("\\/", "/") for unit in sorted(units, key=len, reverse=True))
    return {"type": "string", "pattern": rf"^\s*{_NUMBER}\s*({alternatives})\s*$", "examples": [example]}


def _or_none(schema: dict[str, Any], *others: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, *others, {"const": OFF, "description": "switches the catalogue's default off"}]}


def _unless_off(parse: Callable[[object], float]) -> Callable[[object], float | Off]:
    return lambda value: OFF if value == OFF else parse(value)


_TIME = _quantity_schema(DURATION_UNITS, "20ms")
_RATE = _quantity_schema(RATE_UNITS, "40Mbps")
_SIZE = _quantity_schema(SIZE_UNITS, "64KB")
_PERCENTAGE = {"type": "string", "pattern": rf"^\s*{_RATIO}\s*[%％]\s*$", "examples": ["99.999%"]}
_BARE_RATIO = {"type": "number", "exclusiveMaximum": 1, "minimum": quantities.MIN_AVAILABILITY}
_BARE_RATIO_TEXT = {"type": "string", "pattern": rf"^\s*{_RATIO}\s*$"}
_LABEL = {"type": ["string", "integer"], "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", "minimum": 0}
_NAME = {"type": ["string", "integer"], "minLength": 1, "maxLength": quantities.MAX_ENDPOINT, "minimum": 0}
_ENDPOINTS = {
    "anyOf": [
        _NAME,
        {"type": "array", "items": _NAME, "minItems": 1, "maxItems": MAX_ENDPOINTS, "uniqueItems": True},
    ]
}

Delay = Annotated[float | Off, BeforeValidator(_unless_off(quantities.delay_s)), WithJsonSchema(_or_none(_TIME))]
Jitter = Annotated[float | Off, BeforeValidator(_unless_off(quantities.jitter_s)), WithJsonSchema(_or_none(_TIME))]
Loss = Annotated[float | Off, BeforeValidator(_unless_off(quantities.loss)), WithJsonSchema(_or_none(_PERCENTAGE))]
Availability = Annotated[
    float | Off,
    BeforeValidator(_unless_off(quantities.availability)),
    WithJsonSchema(_or_none(_PERCENTAGE, _BARE_RATIO, _BARE_RATIO_TEXT)),
]
Rate = Annotated[int, BeforeValidator(quantities.bandwidth_bps), WithJsonSchema(_RATE)]
Burst = Annotated[int, BeforeValidator(quantities.burst_bytes), WithJsonSchema(_SIZE)]
Volume = Annotated[int, BeforeValidator(quantities.volume_bytes), WithJsonSchema(_SIZE)]
Label = Annotated[str, BeforeValidator(quantities.check_label), WithJsonSchema(_LABEL)]
Priority = Annotated[
    int,
    BeforeValidator(quantities.check_priority),
    WithJsonSchema({"type": "integer", "minimum": quantities.MIN_PRIORITY, "maximum": quantities.MAX_PRIORITY}),
]

Speakers = Annotated[
    int,
    BeforeValidator(quantities.check_speakers),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_ENDPOINTS}),
]


def _service_name(value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"{str(value)[:40]!r} is not a service", expected="a name of the catalogue")
    return find_service(value).name


def _endpoint_list(value: object) -> object:
    """One name stands for a list of one; how many a list may hold is checked before its items are."""
    names = [value] if isinstance(value, (str, int)) else value
    if not isinstance(names, list) or not names:
        raise InputError("no endpoints", expected="an endpoint such as county/or-1, or a list of them")
    if len(names) > MAX_ENDPOINTS:
        raise InputError(f"{len(names)} endpoints", expected=f"at most {MAX_ENDPOINTS}")
    return names


def _moment(value: object) -> str:
    """An RFC 3339 time with its zone, kept as written."""
    try:
        if isinstance(value, str) and _RFC3339.fullmatch(value):
            datetime.fromisoformat(value.upper())
            return value
    except ValueError:
        pass
    raise InputError(f"{str(value)[:40]!r} is not a time", expected="RFC 3339 with zone: 2026-03-01T08:00:00+08:00")


Service = Annotated[
    str, BeforeValidator(_service_name), WithJsonSchema({"type": "string", "examples": ["remote-surgery", "远程手术"]})
]
Endpoints = Annotated[
    list[Annotated[str, BeforeValidator(quantities.check_endpoint)]],
    BeforeValidator(_endpoint_list),
    WithJsonSchema(_ENDPOINTS),
]
Moment = Annotated[str, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)

    @field_validator("*", mode="before")
    @classmethod
    def _not_empty(cls, value: object) -> object:
        """A key with nothing after it is a slip, not a wish for the default."""
        if value is None:
            raise InputError("has no value", remedy="leave the field out to take the default")
        return value


class SchemaOfText(GenerateJsonSchema):
    """JSON Schema as a file is written: a field is given or left out, never null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default") is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the base's signature
        return False


class Metadata(_Model):
    name: Label
    tenant: Label = "default"


class Bandwidth(_Model):
    model_config = ConfigDict(json_schema_extra=lambda schema: _show_single_figure(schema))
    forward: Rate | None = None
    reverse: Rate | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_figure_for_both(cls, value: object) -> object:
        if isinstance(value, dict):
            if not value:
                raise InputError("has no value", expected="a rate such as 40Mbps, or forward and reverse")
            return value
        quantities.bandwidth_bps(value)
        return {"forward": value, "reverse": value}


def _show_single_figure(schema: dict[str, Any]) -> None:
    """The schema of the mapping becomes one of two forms."""
    mapping = dict(schema)
    schema.clear()
    schema["anyOf"] = [_RATE, mapping]


class Objectives(_Model):
    delay: Delay | None = None
    jitter: Jitter | None = None
    loss: Loss | None = None
    availability: Availability | None = None
    bandwidth: Bandwidth | None = None


class ScheduleSpec(_Model):
    start: Moment | None = None
    end: Moment | None = None
    deadline: Moment | None = None
    volume: Volume | None = None

    @field_validator("end", "deadline", mode="after")
    @classmethod
    def _after_start(cls, value: str, info: ValidationInfo) -> str:
        start = info.data.get("start")
        if start and datetime.fromisoformat(value.upper()) <= datetime.fromisoformat(start.upper()):
            raise InputError(f"{value} is not after the start, {start}")
        return value

    @model_validator(mode="after")
    def _whole(self) -> ScheduleSpec:
        if (self.deadline is None) != (self.volume is None):
            raise InputError("a deadline and a volume belong together", expected="both, or neither")
        if not (self.start or self.end or self.deadline):
            raise InputError("says nothing", expected="start, end, or deadline with volume")
        return self


class Spec(_Model):
    service: Service
    source: Endpoints = Field(alias="from")
    to: Endpoints
    objectives: Objectives = Field(default_factory=Objectives)
    connectivity: Literal["point-to-point", "point-to-multipoint", "hub"] | None = None
    direction: Literal["both", "forward", "reverse"] = "both"
    burst: Burst | None = None
    round_trip: StrictBool = Field(default=False, alias="roundTrip")
    protection: Literal["auto", "required", "none"] = "auto"
    priority: Priority | None = None
    schedule: ScheduleSpec | None = None
    speakers: Speakers | None = None


class Manifest(_Model):
    """What one service needs."""

    api_version: Literal["carelane/v1"] = Field(alias="apiVersion")
    kind: Literal["ServiceIntent"]
    metadata: Metadata
    spec: Spec
