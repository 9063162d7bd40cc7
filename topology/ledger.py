"""Reserved floors, beside the topology and just as immutable: every change is a new ledger.

A new ledger shares everything with the old one but the ports that the slice touches, so planning one more slice costs
what its path is long, however much is held already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, KeysView, Mapping
from types import MappingProxyType

from carelane.topology._persistent import PersistentMap

__all__ = ["CapacityLedger", "PortKey"]

PortKey = tuple[str, str]
"""(node, link id) for a link's egress port at that node; (node, endpoint id) for a delivery port."""

Floors = tuple[tuple[PortKey, int], ...]


class CapacityLedger:
    """Floors by egress port and slice, in bit/s. A slice counts once per port, however many paths share it."""

    __slots__ = ("_floors", "_reserved", "_slices")

    def __init__(self, floors: Mapping[PortKey, Mapping[str, int]] | None = None) -> None:
        by_slice: dict[str, dict[PortKey, int]] = {}
        for port, held in (floors or {}).items():
            for name, rate_bps in held.items():
                by_slice.setdefault(name, {})[port] = rate_bps
        self._slices: PersistentMap[str, Floors] = PersistentMap(
            (name, tuple(held.items())) for name, held in by_slice.items()
        )
        self._reserved: PersistentMap[PortKey, int] = PersistentMap(
            (port, sum(held.values())) for port, held in (floors or {}).items() if held
        )
        self._floors: Mapping[PortKey, Mapping[str, int]] | None = None

    @property
    def floors(self) -> Mapping[PortKey, Mapping[str, int]]:
        """Everything, by port and then by slice, sorted. Collected at first use: it costs what the ledger holds."""
        if self._floors is None:
            found: dict[PortKey, dict[str, int]] = {}
            for name, held in sorted(self._slices.pairs()):
                for port, rate_bps in held:
                    found.setdefault(port, {})[name] = rate_bps
            self._floors = MappingProxyType({port: MappingProxyType(found[port]) for port in sorted(found)})
        return self._floors

    @property
    def names(self) -> KeysView[str]:
        """The slices that hold anything, in no particular order."""
        return self._slices.keys()

    def slice_floors(self, name: str) -> Mapping[PortKey, int]:
        """What slice `name` holds."""
        return dict(self._slices.get(name, ()))

    def reserved_bps(self, port: PortKey) -> int:
        """The sum of the floors at `port`."""
        return int(self._reserved.get(port, 0))

    def reserved(self) -> Iterator[tuple[PortKey, int]]:
        """Every port that holds floors, and their sum, in no particular order."""
        return self._reserved.pairs()

    def changes(self, later: CapacityLedger) -> Iterator[tuple[PortKey, int]]:
        """Ports whose sum differs in `later`, with the sum there. Costs what differs, when one came from the other."""
        return ((port, total or 0) for port, total in self._reserved.changes(later._reserved))

    def with_slice(self, name: str, floors: Iterable[tuple[PortKey, int]]) -> CapacityLedger:
        """A ledger in which slice `name` holds exactly `floors` (nothing else of it remains)."""
        base = self.without_slice(name)
        held = tuple(dict(floors).items())
        reserved = base._reserved
        for port, rate_bps in held:
            reserved = reserved.set(port, reserved.get(port, 0) + rate_bps)
        return _ledger(base._slices.set(name, held) if held else base._slices, reserved)

    def without_slice(self, name: str) -> CapacityLedger:
        """A ledger without slice `name`; itself when the slice holds nothing."""
        held = self._slices.get(name)
        if held is None:
            return self
        reserved = self._reserved
        for port, rate_bps in held:
            left = reserved.get(port, 0) - rate_bps
            reserved = reserved.set(port, left) if left else reserved.discard(port)
        return _ledger(self._slices.discard(name), reserved)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CapacityLedger) and self.floors == other.floors

    def __hash__(self) -> int:
        return hash(frozenset(self.reserved()))

    def __repr__(self) -> str:
        return f"CapacityLedger({len(self._slices)} slices at {len(self._reserved)} ports)"


def _ledger(slices: PersistentMap[str, Floors], reserved: PersistentMap[PortKey, int]) -> CapacityLedger:
    made = CapacityLedger.__new__(CapacityLedger)
    made._slices, made._reserved, made._floors = slices, reserved, None
    return made
