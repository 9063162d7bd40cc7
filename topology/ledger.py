"""Reserved floors, beside the topology and just as immutable: every change is a new ledger.

A new ledger shares everything with the old one but the ports that the slice touches, so planning one more slice costs
what its path is long, however much is held already.

A slice may hold its floors during a window of time only. What is reserved at a port is the most that is held there at
any one moment; `seen_by` tells how a slice with a window of its own sees the ledger. Ports where nothing has a window
cost nothing for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from types import MappingProxyType

from carelane.topology._persistent import PersistentMap
from carelane.topology.windows import ALWAYS, NOTHING, Profile, Window

__all__ = ["CapacityLedger", "PortKey"]

PortKey = tuple[str, str]
"""(node, link id) for a link's egress port at that node; (node, endpoint id) for a delivery port."""

Floors = tuple[tuple[PortKey, int], ...]
Part = tuple[PortKey, Window, int]
"""A floor that is held during a window."""


class CapacityLedger:
    """Floors by egress port and slice, in bit/s. A slice counts once per port, however many paths share it.

    `since_us`: nothing before that moment (microseconds since 1970, UTC) matters any more; None: all time does.
    """

    __slots__ = ("_floors", "_profiles", "_reserved", "_scheduled", "_seen", "_slices", "_steady", "since_us")

    def __init__(self, floors: Mapping[PortKey, Mapping[str, int]] | None = None, since_us: int | None = None) -> None:
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
        self._steady = self._reserved  # of slices without a window: the very same map as long as no slice has one
        self._scheduled: PersistentMap[str, tuple[Part, ...]] = PersistentMap()
        self._profiles: Mapping[PortKey, Profile] = {}  # few, and walked whole: a copy costs less than a trie
        self._floors: Mapping[PortKey, Mapping[str, int]] | None = None
        self._seen: tuple[Window, CapacityLedger] | None = None
        self.since_us = since_us

    @property
    def floors(self) -> Mapping[PortKey, Mapping[str, int]]:
        """Everything, by port and then by slice, sorted: the most each holds at any moment. Collected at first use."""
        if self._floors is None:
            found: dict[PortKey, dict[str, int]] = {}
            for name in sorted(self.names):
                for port, rate_bps in self.slice_floors(name).items():
                    found.setdefault(port, {})[name] = rate_bps
            self._floors = MappingProxyType({port: MappingProxyType(found[port]) for port in sorted(found)})
        return self._floors

    @property
    def names(self) -> Set[str]:
        """The slices that hold anything, in no particular order."""
        if not self._scheduled:
            return self._slices.keys()
        return self._slices.keys() | self._scheduled.keys()

    def slice_floors(self, name: str) -> Mapping[PortKey, int]:
        """What slice `name` holds, at most."""
        if name not in self._scheduled:
            return dict(self._slices.get(name, ()))
        return {port: self._own(name, port).peak() for port in dict.fromkeys(part[0] for part in self.parts(name))}

    def parts(self, name: str) -> Iterator[Part]:
        """What slice `name` holds, and when; at one port and moment they add up."""
        yield from ((port, ALWAYS, rate_bps) for port, rate_bps in self._slices.get(name, ()))
        yield from self._scheduled.get(name, ())

    def reserved_bps(self, port: PortKey) -> int:
        """The most that is held at `port` at any moment."""
        return int(self._reserved.get(port, 0))

    def reserved(self) -> Iterator[tuple[PortKey, int]]:
        """Every port that holds floors, and the most that is held there at any moment, in no particular order."""
        return self._reserved.pairs()

    def changes(self, later: CapacityLedger) -> Iterator[tuple[PortKey, int]]:
        """Ports whose sum differs in `later`, with the sum there. Costs what differs, when one came from the other."""
        return ((port, total or 0) for port, total in self._reserved.changes(later._reserved))

    def moments(self) -> list[int]:
        """Every moment (microseconds) at which what is held somewhere changes, in order."""
        return sorted({moment for profile in self._profiles.values() for moment in profile.moments})

    def seen_by(self, name: str, window: Window | None) -> CapacityLedger:
        """For planning slice `name`: without its own floors, and of the others what is held within `window`.

        The answer is to be read, not to be kept: the times are gone from it.
        """
        base = self.without_slice(name)
        if window is None or not base._profiles:
            return base
        if base._seen is None or base._seen[0] != window:
            reserved = base._steady
            for port, profile in base._profiles.items():
                if peak := profile.peak(window):
                    reserved = reserved.set(port, reserved.get(port, 0) + peak)
            base._seen = window, base._with(reserved, reserved, scheduled=PersistentMap(), profiles={})
        return base._seen[1]

    def with_slice(
        self, name: str, floors: Iterable[tuple[PortKey, int]], window: Window | None = None
    ) -> CapacityLedger:
        """A ledger in which slice `name` holds exactly `floors` (nothing else of it remains), during `window`."""
        base = self.without_slice(name)
        held = tuple(dict(floors).items())
        if window is not None:
            return base._with_parts(name, [(port, window, rate_bps) for port, rate_bps in held])
        return base._moved(held, 1, base._slices.set(name, held) if held else base._slices)

    def with_also(
        self, name: str, floors: Iterable[tuple[PortKey, int]], window: Window | None = None
    ) -> CapacityLedger:
        """A ledger in which slice `name` holds `floors` too, as while it moves: at every moment the larger of both."""
        if window is None and name not in self._scheduled:
            held = dict(self._slices.get(name, ()))
            return self.with_slice(name, (held | {p: max(rate, held.get(p, 0)) for p, rate in floors}).items())
        lacking = [
            (port, piece, rate_bps - level)
            for port, rate_bps in floors
            for piece, level in self._own(name, port).pieces(window or ALWAYS)
            if level < rate_bps
        ]
        return self._with_parts(name, lacking)

    def without_slice(self, name: str) -> CapacityLedger:
        """A ledger without slice `name`; itself when the slice holds nothing."""
        base = self._without_parts(name)
        held = base._slices.get(name)
        if held is None:
            return base
        return base._moved(held, -1, base._slices.discard(name))

    def _moved(self, floors: Floors, sign: int, slices: PersistentMap[str, Floors]) -> CapacityLedger:
        """With floors that have no window added or taken away."""
        reserved = _added(self._reserved, floors, sign)
        steady = reserved if self._steady is self._reserved else _added(self._steady, floors, sign)
        return self._with(reserved, steady, slices=slices)

    def _own(self, name: str, port: PortKey) -> Profile:
        own = NOTHING
        for where, window, rate_bps in self.parts(name):
            own = own.plus(window, rate_bps) if where == port else own
        return own

    def _with_parts(self, name: str, parts: Iterable[Part]) -> CapacityLedger:
        added = tuple(parts)
        if not added:
            return self
        held = (*self._scheduled.get(name, ()), *added)
        return self._changed_by(added, 1, self._scheduled.set(name, held))

    def _without_parts(self, name: str) -> CapacityLedger:
        held = self._scheduled.get(name)
        return self if held is None else self._changed_by(held, -1, self._scheduled.discard(name))

    def _changed_by(
        self, parts: Iterable[Part], sign: int, scheduled: PersistentMap[str, tuple[Part, ...]]
    ) -> CapacityLedger:
        reserved, profiles = self._reserved, dict(self._profiles)
        for port, window, rate_bps in parts:
            before = profiles.get(port, NOTHING)
            after = before.plus(window, sign * rate_bps)
            profiles[port] = after
            if after == NOTHING:
                del profiles[port]
            reserved = _added(reserved, [(port, after.peak() - before.peak())], 1)
        steady = self._steady
        return self._with(reserved if profiles else steady, steady, scheduled=scheduled, profiles=profiles)

    def _with(
        self,
        reserved: PersistentMap[PortKey, int],
        steady: PersistentMap[PortKey, int],
        *,
        slices: PersistentMap[str, Floors] | None = None,
        scheduled: PersistentMap[str, tuple[Part, ...]] | None = None,
        profiles: Mapping[PortKey, Profile] | None = None,
    ) -> CapacityLedger:
        made = CapacityLedger.__new__(CapacityLedger)
        made._slices = self._slices if slices is None else slices
        made._scheduled = self._scheduled if scheduled is None else scheduled
        made._profiles = self._profiles if profiles is None else profiles
        made._reserved, made._steady = reserved, steady
        made._floors, made._seen, made.since_us = None, None, self.since_us
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CapacityLedger) and self.floors == other.floors and self._profiles == other._profiles

    def __hash__(self) -> int:
        return hash(frozenset(self.reserved()))

    def __repr__(self) -> str:
        return f"CapacityLedger({len(self.names)} slices at {len(self._reserved)} ports)"


def _added(
    reserved: PersistentMap[PortKey, int], floors: Iterable[tuple[PortKey, int]], sign: int
) -> PersistentMap[PortKey, int]:
    """With `floors` added to the sums by port (sign 1) or taken off (-1)."""
    return reserved.changed(floors, _more if sign > 0 else _less)


def _more(total_bps: int | None, rate_bps: int) -> int | None:
    return ((total_bps or 0) + rate_bps) or None


def _less(total_bps: int | None, rate_bps: int) -> int | None:
    return ((total_bps or 0) - rate_bps) or None
