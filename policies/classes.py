"""Traffic classes: the service classes of RFC 4594, with the HTB priority each gets at every port."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["CLASSES", "STANDARD", "TrafficClass"]


@dataclass(frozen=True, slots=True)
class TrafficClass:
    """`htb_priority` 0 is served first. An elastic class may borrow unused capacity above its floor."""

    name: str
    dscp: int
    dscp_name: str
    htb_priority: int
    elastic: bool = False


_CLASSES = (
    TrafficClass("telephony", 46, "EF", 0),
    TrafficClass("realtime-interactive", 32, "CS4", 1),
    TrafficClass("multimedia-conferencing", 34, "AF41", 2),
    TrafficClass("broadcast-video", 24, "CS3", 3),
    TrafficClass("low-latency-data", 18, "AF21", 4),
    TrafficClass("high-throughput-data", 10, "AF11", 5, elastic=True),
    TrafficClass("low-priority-data", 8, "CS1", 6, elastic=True),
    TrafficClass("standard", 0, "DF", 7, elastic=True),
)

CLASSES: Mapping[str, TrafficClass] = MappingProxyType({item.name: item for item in _CLASSES})
STANDARD = CLASSES["standard"]
