"""Settings of a running carelane, from CARELANE_* environment variables or the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from carelane.errors import InputError
from carelane.key_files import DEFAULT_DATABASE

__all__ = ["LONGEST_LEASE_S", "Settings", "load_settings"]

ENV_PREFIX = "CARELANE_"

LONGEST_LEASE_S = 60
"""A lease that would last longer was given before the database's clock was set back, and is over."""


class Settings(BaseSettings):
    """Every setting of `carelane up`; each may be given as CARELANE_<NAME>."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True)

    topology: str | None = Field(default=None, description="file, or name of a bundled topology")
    default_capacity: str | None = Field(default=None, description="for links that state none, such as 10Gbps")
    default_availability: str | None = Field(default=None, description="for links and nodes that state none")
    database: str = Field(default=DEFAULT_DATABASE, description="SQLAlchemy URL")
    rest_host: str = "127.0.0.1"
    rest_port: int = Field(default=8642, ge=0, le=65535)
    grpc_port: int | None = Field(default=None, ge=0, le=65535, description="gRPC too, at the address of REST")
    allowed_hosts: str = Field(default="", description="further Host names REST answers to, separated by commas")
    openflow_host: str = "127.0.0.1"
    openflow_port: int = Field(default=6653, ge=0, le=65535)
    ovsdb: str | None = Field(default=None, description="tcp:HOST:PORT, ssl:... or unix:PATH; or NODE=REMOTE,...")
    southbound: str | None = Field(
        default=None,
        description="unix:PATH where `carelane southbound` holds the switches; OpenFlow and OVSDB settings are its own",
    )
    tls_key: str | None = Field(default=None, description="PEM file: our key; with it, OpenFlow is over TLS only")
    tls_cert: str | None = Field(default=None, description="PEM file: our certificate")
    tls_ca: str | None = Field(default=None, description="PEM file: authorities of switches and OVSDB servers")
    rest_tls: bool = Field(default=False, description="REST and gRPC over TLS with the same certificate")
    advertise: str | None = Field(default=None, description="URL at which clients find this controller")
    lease_s: float = Field(
        default=1.5, ge=0.5, le=LONGEST_LEASE_S, description="how long one leads without a sign of life"
    )
    drift_interval_s: float = Field(default=10.0, gt=0)
    access: str | None = Field(default=None, description="file of kind AccessPolicy")
    policy: str | None = Field(default=None, description="file of kind Policy: quotas, pre-emption, how full links are")
    key_file: str | None = Field(default=None, description="where the first admin key is written and looked for")
    seal_file: str | None = Field(
        default=None, description="keys that seal sinks' tokens in the store; the same file for every controller"
    )
    sink_hosts: str = Field(
        default="", description="hosts that may be notified, by commas; any but this machine if empty"
    )
    rate_per_s: float = Field(default=100.0, gt=0, description="calls a second that each caller may make")
    rate_burst: int = Field(default=200, gt=0, description="calls that each caller may make at once")
    oidc_issuer: str | None = Field(default=None, description="`iss` of accepted tokens; OIDC is off without it")
    oidc_audience: str | None = Field(default=None, description="`aud` of accepted tokens")
    oidc_jwks_url: str | None = Field(default=None, description="keys of the issuer; found by discovery if not given")
    oidc_algorithms: str = Field(default="RS256,ES256", description="accepted signatures, separated by commas")
    oidc_leeway_s: float = Field(default=30.0, ge=0, le=300, description="clock skew that is forgiven")
    oidc_role_claim: str = Field(default="carelane_role", description="claim with the role, or a list of them")
    oidc_tenant_claim: str = Field(default="carelane_tenant", description="claim with the tenant")
    oidc_device_claim: str = Field(default="carelane_device", description="claim with the address of a device")
    oidc_role_map: str = Field(default="", description="what the issuer calls roles: their-admin=admin,nurse=viewer")
    telemetry_interval_s: float = Field(default=1.0, ge=0.1, le=60, description="an epoch of the closed loop")
    sharing: Literal["fair", "aimd", "off"] = Field(
        default="fair", description="fair shares by demand; off: floors only; aimd: a yardstick to compare with"
    )
    hold_off_s: float = Field(default=10.0, ge=0, description="how long a link that lives again is avoided")
    repair_after_s: float = Field(default=5.0, ge=0, description="how long a link is dead before slices move for good")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "console", "json"] = "auto"
    traces: Literal["none", "console", "otlp"] = Field(default="none", description="where OpenTelemetry spans go")


def load_settings(overrides: Mapping[str, object]) -> Settings:
    """The settings; `overrides` that are not None win over the environment. Raises InputError."""
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]).removeprefix(ENV_PREFIX.lower())
        option = f"--{name.replace('_', '-')}"
        raise InputError(
            f"{first['msg']} (got {str(first['input'])[:60]!r})",
            field=option if name in given else f"{ENV_PREFIX}{name.upper()}",
            remedy=f"see `carelane up --help`; {option} and {ENV_PREFIX}{name.upper()} mean the same",
        ) from error
