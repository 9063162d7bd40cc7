"""Requests as the specification writes them; bounds that it leaves open are ours."""

from __future__ import annotations

from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    model_validator,
)

__all__ = ["CreateSession", "Device", "ExtendSession", "ProfileQuery", "RetrieveSessions", "SessionRow"]

INT32 = 2**31 - 1
Port = Annotated[StrictInt, Field(ge=0, le=65535)]
Seconds = Annotated[StrictInt, Field(ge=1, le=INT32)]


def _written(value: object) -> object:
    """The specification writes addresses and moments as text; a number that could be read as one is none."""
    if not isinstance(value, str) or "%" in value:
        raise ValueError("not text of that format")
    return value


def _is_v6(text: str) -> str:
    IPv6Address(text)  # raises a ValueError
    return text


V4 = Annotated[IPv4Address, BeforeValidator(_written)]
V6 = Annotated[StrictStr, BeforeValidator(_written), AfterValidator(_is_v6)]
"""Kept as it was written, because it comes back so."""
ProfileName = Annotated[StrictStr, Field(min_length=3, max_length=256, pattern=r"^[a-zA-Z0-9_.-]+$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _no_null(cls, value: Any) -> Any:
        """Optional members are left out, never null."""
        if isinstance(value, dict) and None in value.values():
            raise ValueError("null is not a value here; leave the member out")
        return value


class DeviceIpv4(_Model):
    publicAddress: V4
    privateAddress: V4 | None = None
    publicPort: Port | None = None

    @model_validator(mode="after")
    def _one_more(self) -> DeviceIpv4:
        if self.privateAddress is None and self.publicPort is None:
            raise ValueError("publicAddress needs privateAddress or publicPort beside it")
        return self


class Device(_Model):
    phoneNumber: Annotated[StrictStr, Field(pattern=r"^\+[1-9][0-9]{4,14}$")] | None = None
    networkAccessIdentifier: StrictStr | None = None
    ipv4Address: DeviceIpv4 | None = None
    ipv6Address: V6 | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> Device:
        if not self.model_fields_set:
            raise ValueError("at least one identifier")
        return self


class ApplicationServer(_Model):
    ipv4Address: Annotated[StrictStr, Field(max_length=50)] | None = None
    ipv6Address: Annotated[StrictStr, Field(max_length=100)] | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> ApplicationServer:
        if not self.model_fields_set:
            raise ValueError("at least one address")
        return self


class _Range(_Model):
    from_: Annotated[Port, Field(alias="from")]
    to: Port


class Ports(_Model):
    ranges: Annotated[list[_Range], Field(min_length=1, max_length=100)] | None = None
    ports: Annotated[list[Port], Field(min_length=1, max_length=1000)] | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> Ports:
        if not self.model_fields_set:
            raise ValueError("at least one of ranges and ports")
        return self


class SinkCredential(_Model):
    credentialType: Literal["PLAIN", "ACCESSTOKEN", "REFRESHTOKEN"]
    accessToken: Annotated[StrictStr, Field(min_length=1, max_length=8192, pattern=r"^[\x21-\x7e]+$")] | None = None
    accessTokenExpiresUtc: Annotated[AwareDatetime, BeforeValidator(_written)] | None = None
    accessTokenType: StrictStr | None = None


class CreateSession(_Model):
    device: Device | None = None
    applicationServer: ApplicationServer
    devicePorts: Ports | None = None
    applicationServerPorts: Ports | None = None
    qosProfile: ProfileName
    sink: Annotated[StrictStr, Field(max_length=2048)] | None = None
    sinkCredential: SinkCredential | None = None
    duration: Seconds


class ExtendSession(_Model):
    requestedAdditionalDuration: Seconds


class RetrieveSessions(_Model):
    device: Device | None = None


class ProfileQuery(_Model):
    device: Device | None = None
    name: ProfileName | None = None
    status: Literal["ACTIVE", "INACTIVE", "DEPRECATED"] | None = None


class SessionRow(BaseModel):
    """A stored session."""

    model_config = ConfigDict(frozen=True)

    id: str
    owner: str
    tenant: str
    intent: str
    device: str
    flow: str
    request: dict[str, Any]
    sink_credential: dict[str, Any] | None
    duration_s: int
    status: Literal["REQUESTED", "AVAILABLE", "UNAVAILABLE"]
    status_info: str | None
    created_at: datetime
    started_at: datetime | None
    expires_at: datetime | None
    deleted: bool
