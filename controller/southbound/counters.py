"""What switches count, as they count it: running totals, to be turned into rates by whoever reads them twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from carelane.controller.pipeline.program import Match
from carelane.controller.southbound.protocol import DiscoveredLink

__all__ = ["Count", "CounterSource", "DelaySource", "FlowKey", "LinkDelay", "SwitchCounters"]

FlowKey = tuple[int, int, int, Match]
"""Cookie, table, priority and match of a flow entry: another owner's entry in the same place is another counter."""


@dataclass(frozen=True, slots=True)
class Count:
    """Running totals of one thing. `packets` and `bytes` (layer 2) came in; `dropped` of them did not go on.

    Flow entries count what matched, dropped or not; meters likewise, with what their band dropped. Queues and ports
    count what they sent; their drops come on top. The unit of `dropped` is packets.
    """

    packets: int
    bytes: int
    dropped: int = 0
    dropped_bytes: int = 0


@dataclass(frozen=True, slots=True)
class SwitchCounters:
    """One reading of one switch, at `at_s` of the reader's monotonic clock; it took `took_s` to get.

    Only entries that bear carelane's marks. `queues` is by (port, queue); `ports` has (received, sent).
    """

    node: str
    at_s: float
    took_s: float = 0.0
    flows: Mapping[FlowKey, Count] = field(default_factory=dict)
    meters: Mapping[int, Count] = field(default_factory=dict)
    queues: Mapping[tuple[int, int], Count] = field(default_factory=dict)
    ports: Mapping[int, tuple[Count, Count]] = field(default_factory=dict)
    groups: Mapping[int, Count] = field(default_factory=dict)


@runtime_checkable
class CounterSource(Protocol):
    """A southbound whose switches count."""

    def counters(self, node: str) -> SwitchCounters:
        """Read all counters of a switch once. Raises SwitchUnreachable, or ProgramError for an answer that is none."""
        ...


@dataclass(frozen=True, slots=True)
class LinkDelay:
    """One way over a link, as measured through its switches: `seconds`, give or take `error_s`."""

    seconds: float
    error_s: float


@runtime_checkable
class DelaySource(Protocol):
    """A southbound that measures its links."""

    def link_delays(self) -> Mapping[DiscoveredLink, LinkDelay]:
        """One-way delay by link direction; links not measured are left out."""
        ...
