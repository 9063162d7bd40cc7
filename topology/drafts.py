"""What a loader has read, before numbers are assigned and references are checked (`topology.build`)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Literal, Protocol

from carelane.errors import InputError
from carelane.topology.model import Repair

__all__ = ["Defaults", "EndpointDraft", "Fault", "LinkDraft", "NodeDraft", "RiskGroupDraft", "Section"]

Section = Literal["nodes", "links", "endpoints", "riskGroups"]


class Fault(Protocol):
    """How a loader turns a finding at item `index` of a section into an InputError with file, line and field."""

    def __call__(
        self,
        message: str,
        section: Section,
        index: int,
        field: str = "id",
        *,
        expected: str | None = None,
        remedy: str | None = None,
    ) -> InputError: ...


@dataclass(frozen=True, slots=True)
class Defaults:
    """Explicit figures for what a file does not say; None leaves it unknown."""

    capacity_bps: int | None = None
    availability: float | None = None


@dataclass(frozen=True, slots=True)
class NodeDraft:
    id: str
    dpid: int | None = None
    availability: float | None = None
    site: str | None = None
    lat: float | None = None
    lon: float | None = None
    risk_groups: tuple[str, ...] = ()
    repair: Repair | None = None


@dataclass(frozen=True, slots=True)
class LinkDraft:
    id: str
    a: str
    b: str
    a_port: int | None = None
    b_port: int | None = None
    capacity_bps: int | None = None
    delay_s: float | None = None
    length_m: float | None = None
    availability: float | None = None
    loss: float | None = None
    risk_groups: tuple[str, ...] = ()
    repair: Repair | None = None


@dataclass(frozen=True, slots=True)
class EndpointDraft:
    id: str
    node: str
    port: int | None = None
    address: IPv4Network | IPv6Network | None = None
    capacity_bps: int | None = None
    mac: str | None = None
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class RiskGroupDraft:
    id: str
    availability: float | None = None
    repair: Repair | None = None
