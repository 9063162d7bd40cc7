"""Reserved floors, beside the topology and just as immutable: every change is a new ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

__all__ = ["CapacityLedger", "PortKey"]

PortKey = tuple[str, str]
"""(node, link id) for a link's egress port at that node; (node, endpoint id) for a delivery port."""


@dataclass(frozen=True)
class CapacityLedger:
    """Floors by egress port and slice, in bit/s. A slice counts once per port, however many paths share it."""

    floors: Mapping[PortKey, Mapping[str, int]] = field(default_factory=lambda: MappingProxyType({}))

    def reserved_bps(self, port: PortKey) -> int:
        return sum(self.floors.get(port, {}).values())

    def reserved(self) -> Iterator[tuple[PortKey, int]]:
        """Every port that holds floors, and their sum, in no particular order."""
        return ((port, sum(held.values())) for port, held in self.floors.items())

    def with_slice(self, name: str, floors: Iterable[tuple[PortKey, int]]) -> CapacityLedger:
        """A ledger in which slice `name` holds exactly `floors` (nothing else of it remains)."""
        changed = {port: dict(held) for port, held in self.without_slice(name).floors.items()}
        for port, rate_bps in floors:
            changed.setdefault(port, {})[name] = rate_bps
        return CapacityLedger(MappingProxyType({port: MappingProxyType(held) for port, held in changed.items()}))

    def without_slice(self, name: str) -> CapacityLedger:
        """A ledger without slice `name`; itself when the slice holds nothing."""
        if not any(name in held for held in self.floors.values()):
            return self
        kept = {port: {n: rate for n, rate in held.items() if n != name} for port, held in self.floors.items()}
        return CapacityLedger(MappingProxyType({port: MappingProxyType(held) for port, held in kept.items() if held}))
