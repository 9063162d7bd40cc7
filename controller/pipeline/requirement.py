"""What `resolve` hands to `plan`: an intent with every default filled, every name looked up, every unit gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from carelane.controller.pipeline.schedules import window_of
from carelane.intents.model import Schedule
from carelane.topology.model import Endpoint
from carelane.topology.windows import Window

__all__ = ["Backups", "Connectivity", "Objectives", "Pair", "Protection", "Requirement"]

Connectivity = Literal["point-to-point", "point-to-multipoint", "hub"]
Protection = Literal["auto", "required", "none"]
Backups = Literal["dedicated", "shared"]


@dataclass(frozen=True, slots=True)
class Objectives:
    """The service level objectives (RFC 9543 section 5.1) a promise is made of; None: not asked for.

    `delay_s` is one way, edge port to edge port, worst case; with `round_trip` it bounds the round trip.
    """

    delay_s: float | None = None
    jitter_s: float | None = None
    loss: float | None = None
    availability: float | None = None
    round_trip: bool = False


@dataclass(frozen=True, slots=True)
class Pair:
    """Two attachment circuits the slice joins; forward is source to destination."""

    source: Endpoint
    destination: Endpoint


@dataclass(frozen=True, slots=True)
class Requirement:
    """One slice to be planned.

    `pairs`: one for point to point; one per receiver for point to multipoint (same source); one per site for a
    hub (same destination, the hub). Rates are layer 2 and per pair; 0 means that the direction carries nothing.
    For point to multipoint `reverse_bps` is what all receivers share, each policed to an equal part of it.
    Of a hub's sites at most `speakers` speak at once (None: all may).
    A larger `priority` matters more. `traffic_class` names a class of `carelane.policies.classes`.
    `schedule` None: capacity is held for all time. `backups`: whether policy lets its backup share capacity.
    """

    name: str
    tenant: str
    service: str
    traffic_class: str
    priority: int
    connectivity: Connectivity
    pairs: tuple[Pair, ...]
    forward_bps: int
    reverse_bps: int
    burst_bytes: int
    max_packet_bytes: int
    objectives: Objectives
    protection: Protection = "auto"
    assumptions: tuple[str, ...] = ()
    speakers: int | None = None
    schedule: Schedule | None = None
    backups: Backups = "dedicated"

    @property
    def together(self) -> int:
        """How many pairs carry traffic at once, at most."""
        return min(self.speakers or len(self.pairs), len(self.pairs))

    @property
    def window(self) -> Window | None:
        """When the slice holds its capacity; None: always."""
        return window_of(self.schedule)
