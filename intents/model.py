"""What a service needs, as stated: nothing filled in, nothing looked up. `resolve` does both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["OFF", "CatalogueService", "Off", "Schedule", "ServiceIntent", "Sourced", "StatedObjectives"]

Off = Literal["none"]
OFF: Off = "none"
"""An objective explicitly switched off; None means "take the catalogue's default"."""


@dataclass(frozen=True, slots=True)
class StatedObjectives:
    """Objectives as written. Bandwidths are layer 2, per direction; a single figure in the manifest sets both."""

    delay_s: float | Off | None = None
    jitter_s: float | Off | None = None
    loss: float | Off | None = None
    availability: float | Off | None = None
    forward_bps: int | None = None
    reverse_bps: int | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the service is wanted (RFC 3339 times with zone); `deadline` with `volume_bytes` for bulk transfers."""

    start: str | None = None
    end: str | None = None
    deadline: str | None = None
    volume_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class ServiceIntent:
    """One declaration.

    Connectivity follows from the shape unless stated: one `source` and one `to` is point to point, one source and
    several `to` is point to multipoint, several sources and one `to` is a hub consultation whose hub is the `to`.
    """

    name: str
    tenant: str
    service: str
    source: tuple[str, ...]
    to: tuple[str, ...]
    objectives: StatedObjectives = field(default_factory=StatedObjectives)
    connectivity: Literal["point-to-point", "point-to-multipoint", "hub"] | None = None
    direction: Literal["both", "forward", "reverse"] = "both"
    burst_bytes: int | None = None
    round_trip: bool = False
    protection: Literal["auto", "required", "none"] = "auto"
    priority: int | None = None
    schedule: Schedule | None = None
    speakers: int | None = None
    """Of a hub consultation: how many sites speak at once, at most; None: all of them may."""


@dataclass(frozen=True, slots=True)
class Sourced:
    """A default and where it comes from. `value` None: no source was found and the intent must state one."""

    value: float | int | str | None
    source: str


@dataclass(frozen=True, slots=True)
class CatalogueService:
    """Defaults of one service. Keys of `defaults`: delay_s, jitter_s, loss, availability, bandwidth_bps,
    burst_bytes, max_packet_bytes, round_trip; a missing key means no default, and `not_found` says why under the
    same key. `traffic_class` as in `carelane.policies.classes`; `aliases` are other names, English and Chinese.
    """

    name: str
    title: str
    title_zh: str
    traffic_class: str
    priority: int
    defaults: Mapping[str, Sourced]
    aliases: tuple[str, ...] = ()
    note: str = ""
    not_found: Mapping[str, str] = field(default_factory=dict)
