"""Catalogue services as QoS profiles.

A profile promises rate, delay and jitter. Availability and loss of the catalogue are not among a session's promises:
the profile has no field for the one, and names no figure for the other. A service without a default rate cannot be
asked for by name alone, so its profile is INACTIVE.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from carelane.intents import CATALOGUE, CatalogueService
from carelane.policies.classes import CLASSES

__all__ = ["MAX_DURATION_S", "PROFILES", "is_active"]

MAX_DURATION_S = 86_400
_RATE_UNITS = (("bps", 1), ("kbps", 10**3), ("Mbps", 10**6), ("Gbps", 10**9), ("Tbps", 10**12))
_SERVICE_CLASSES = MappingProxyType(
    {
        "CS4": "real_time_interactive",
        "CS3": "broadcast_video",
        "AF21": "low_latency_data",
        "AF11": "high_throughput_data",
        "CS1": "low_priority_data",
        "DF": "standard",
    }
)


def is_active(service: CatalogueService) -> bool:
    """Whether a session can be made of the service's defaults alone."""
    return "bandwidth_bps" in service.defaults


def _figure(service: CatalogueService, key: str) -> float | None:
    sourced = service.defaults.get(key)
    return None if sourced is None or sourced.value is None else float(sourced.value)


def _profile(service: CatalogueService) -> dict[str, Any]:
    rate, delay, jitter = (_figure(service, key) for key in ("bandwidth_bps", "delay_s", "jitter_s"))
    both_ways = bool(_figure(service, "round_trip"))
    fields: dict[str, Any] = {
        "name": service.name,
        "description": f"{service.title} / {service.title_zh}",
        "status": "ACTIVE" if is_active(service) else "INACTIVE",
        "targetMinUpstreamRate": _rate(rate),
        "maxUpstreamRate": _rate(rate),
        "targetMinDownstreamRate": _rate(rate),
        "maxDownstreamRate": _rate(rate),
        "minDuration": {"value": 1, "unit": "Seconds"},
        "maxDuration": {"value": MAX_DURATION_S, "unit": "Seconds"},
        "priority": max(1, min(100, 100 - 10 * service.priority)),
        "packetDelayBudget": _time(delay / 2 if delay is not None and both_ways else delay),
        "jitter": _time(jitter),
        "serviceClass": _SERVICE_CLASSES.get(CLASSES[service.traffic_class].dscp_name),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _rate(rate_bps: float | None) -> dict[str, Any] | None:
    """At most 1024 of a unit, as the specification bounds it; cut, so that no more is announced than is promised."""
    if rate_bps is None:
        return None
    unit, size = next(pair for pair in _RATE_UNITS if rate_bps / pair[1] <= 1024)
    return {"value": int(rate_bps // size), "unit": unit}


def _time(seconds: float | None) -> dict[str, Any] | None:
    if seconds is None:
        return None
    microseconds = round(seconds * 1e6)
    if microseconds % 1000 == 0:
        return {"value": microseconds // 1000, "unit": "Milliseconds"}
    return {"value": microseconds, "unit": "Microseconds"}


PROFILES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {service.name: MappingProxyType(_profile(service)) for service in CATALOGUE.values()}
)
