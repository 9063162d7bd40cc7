"""Reserved floors, beside the topology and just as immutable: every change is a new ledger.

A new ledger shares everything with the old one but the ports that the slice touches, so planning one more slice costs
what its path is long, however much is held already.

A slice may hold its floors during a window of time only. What is reserved at a port is the most that is held there at
any one moment; `seen_by` tells how a slice with a window of its own sees the ledger. Ports where nothing has a window
cost nothing for it.

A slice may also share the floors of its backup with others (`carelane.topology.backup_pool`): of those, what is
reserved is the most that any single failure needs at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from types import MappingProxyType

from carelane.topology._persistent import PersistentMap
from carelane.topology.backup_pool import IDLE, Failure, Load, Part, Standby
from carelane.topology.windows import ALWAYS, NOTHING, Profile, Window

__all__ = ["CapacityLedger", "PortKey"]

PortKey = tuple[str, str]
"""(node, link id) for a link's egress port at that node; (node, endpoint id) for a delivery port."""

Floors = tuple[tuple[PortKey, int], ...]
Timed = tuple[PortKey, Window, int]
"""A floor that is held during a window."""


class CapacityLedger:
    """Floors by egress port and slice, in bit/s. A slice counts once per port, however many paths share it.

    `since_us`: nothing before that moment (microseconds since 1970, UTC) matters any more; None: all time does.
    """

    __slots__ = (
        "_floors", "_loads", "_profiles", "_reserved", "_scheduled", "_seen", "_slices", "_standby", "_steady",
        "since_us",
    )  # fmt: skip

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
        self._scheduled: PersistentMap[str, tuple[Timed, ...]] = PersistentMap()
        self._standby: PersistentMap[str, tuple[Standby, ...]] = PersistentMap()
        self._loads: PersistentMap[PortKey, Load] = PersistentMap()
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
            floors = dict(self._slices.get(name, ()))
        else:
            floors = {p: self._own(name, p).peak() for p in dict.fromkeys(part[0] for part in self._parts(name))}
        for standby in self.standby(name):
            for port, rate_bps in standby.floors:
                floors[port] = max(rate_bps, floors.get(port, 0))
        return floors

    def standby(self, name: str) -> tuple[Standby, ...]:
        """The shared backup of slice `name`: none, one, or two while it moves from one to another."""
        return self._standby.get(name, ())  # type: ignore[no-any-return]

    def shared(self) -> Iterator[tuple[PortKey, Load]]:
        """Every port with shared backups, in no particular order."""
        return self._loads.pairs()

    def sharers(self, ports: Iterable[PortKey]) -> frozenset[str]:
        """The slices that have shared backups at any of `ports`."""
        loads = (self._loads.get(port) for port in ports)
        return frozenset(name for load in loads if load is not None for name in load.held)

    def sharing_with(self, name: str) -> tuple[tuple[str, str], ...]:
        """With whom slice `name` shares its backup, in order of name, and whose slices those are."""
        ports = [port for standby in self.standby(name) for port in standby.ports]
        return tuple((other, self.standby(other)[0].tenant) for other in sorted(self.sharers(ports) - {name}))

    def working_bps(self, port: PortKey) -> int:
        """What is reserved at `port` without shared backups."""
        return self.reserved_bps(port) - int(self._loads.get(port, IDLE).most_bps)

    def after_any_bps(self, port: PortKey, failures: Iterable[Failure]) -> int:
        """The most that is needed at `port` at once after any one of `failures`.

        A further backup needed after those only fits beside it, as long as what is reserved fits already.
        """
        return self.working_bps(port) + int(self._loads.get(port, IDLE).after_any_bps(failures))

    def _parts(self, name: str) -> Iterator[Timed]:
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
        self,
        name: str,
        floors: Iterable[tuple[PortKey, int]],
        window: Window | None = None,
        standby: Standby | None = None,
    ) -> CapacityLedger:
        """A ledger in which slice `name` holds exactly `floors` (nothing else of it remains), during `window`, and
        those of its shared backup."""
        base = self.without_slice(name)
        held = tuple(dict(floors).items())
        if window is not None:
            base = base._with_parts(name, [(port, window, rate_bps) for port, rate_bps in held])
        else:
            base = base._moved(held, 1, base._slices.set(name, held) if held else base._slices)
        return base._with_standby(name, () if standby is None else (standby,))

    def with_also(
        self,
        name: str,
        floors: Iterable[tuple[PortKey, int]],
        window: Window | None = None,
        standby: Standby | None = None,
    ) -> CapacityLedger:
        """A ledger in which slice `name` holds `floors` too, as while it moves: at every moment the larger of both."""
        shared = self.standby(name)
        if standby is not None and standby not in shared:
            shared = (*shared, standby)
        return self._without_standby(name)._with_floors_too(name, floors, window)._with_standby(name, shared)

    def with_held_by(self, other: CapacityLedger, name: str) -> CapacityLedger:
        """A ledger in which slice `name` holds what it holds in `other` too."""
        result, steady = self, other._slices.get(name, ())
        if steady:
            result = result.with_also(name, steady)
        for port, window, rate_bps in other._scheduled.get(name, ()):
            result = result.with_also(name, [(port, rate_bps)], None if window == ALWAYS else window)
        for standby in other.standby(name):
            result = result.with_also(name, (), standby=standby)
        return result

    def _with_floors_too(
        self, name: str, floors: Iterable[tuple[PortKey, int]], window: Window | None
    ) -> CapacityLedger:
        """`with_also` of a slice without a shared backup."""
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
        base = self._without_standby(name)._without_parts(name)
        held = base._slices.get(name)
        if held is None:
            return base
        return base._moved(held, -1, base._slices.discard(name))

    def _with_standby(self, name: str, shared: tuple[Standby, ...]) -> CapacityLedger:
        """With these backups of a slice that has none: beside its own floors, only what exceeds them counts."""
        if not shared:
            return self
        own = dict(self._slices.get(name, ()))
        parts: dict[PortKey, tuple[Part, ...]] = {}
        for standby in shared:
            for port, rate_bps in standby.floors:
                if (more_bps := rate_bps - own.get(port, 0)) > 0:
                    parts[port] = (*parts.get(port, ()), (standby.failures, more_bps))
        return self._loaded(name, parts, self._standby.set(name, shared))

    def _without_standby(self, name: str) -> CapacityLedger:
        shared = self.standby(name)
        if not shared:
            return self
        ports = dict.fromkeys(port for standby in shared for port in standby.ports)
        return self._loaded(name, dict.fromkeys(ports, ()), self._standby.discard(name))

    def _loaded(
        self, name: str, parts: Mapping[PortKey, tuple[Part, ...]], standby: PersistentMap[str, tuple[Standby, ...]]
    ) -> CapacityLedger:
        """With exactly these parts of a slice at these ports."""
        loads, more = self._loads, []
        for port, own in parts.items():
            before = loads.get(port, IDLE)
            after = before.changed(name, own)
            loads = loads.set(port, after) if after.held else loads.discard(port)
            more.append((port, after.most_bps - before.most_bps))
        reserved = _added(self._reserved, more, 1)
        steady = reserved if self._steady is self._reserved else _added(self._steady, more, 1)
        return self._with(reserved, steady, standby=standby, loads=loads)

    def _moved(self, floors: Floors, sign: int, slices: PersistentMap[str, Floors]) -> CapacityLedger:
        """With floors that have no window added or taken away."""
        reserved = _added(self._reserved, floors, sign)
        steady = reserved if self._steady is self._reserved else _added(self._steady, floors, sign)
        return self._with(reserved, steady, slices=slices)

    def _own(self, name: str, port: PortKey) -> Profile:
        own = NOTHING
        for where, window, rate_bps in self._parts(name):
            own = own.plus(window, rate_bps) if where == port else own
        return own

    def _with_parts(self, name: str, parts: Iterable[Timed]) -> CapacityLedger:
        added = tuple(parts)
        if not added:
            return self
        held = (*self._scheduled.get(name, ()), *added)
        return self._changed_by(added, 1, self._scheduled.set(name, held))

    def _without_parts(self, name: str) -> CapacityLedger:
        held = self._scheduled.get(name)
        return self if held is None else self._changed_by(held, -1, self._scheduled.discard(name))

    def _changed_by(
        self, parts: Iterable[Timed], sign: int, scheduled: PersistentMap[str, tuple[Timed, ...]]
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
        scheduled: PersistentMap[str, tuple[Timed, ...]] | None = None,
        profiles: Mapping[PortKey, Profile] | None = None,
        standby: PersistentMap[str, tuple[Standby, ...]] | None = None,
        loads: PersistentMap[PortKey, Load] | None = None,
    ) -> CapacityLedger:
        made = CapacityLedger.__new__(CapacityLedger)
        made._slices = self._slices if slices is None else slices
        made._scheduled = self._scheduled if scheduled is None else scheduled
        made._profiles = self._profiles if profiles is None else profiles
        made._standby = self._standby if standby is None else standby
        made._loads = self._loads if loads is None else loads
        made._reserved, made._steady = reserved, steady
        made._floors, made._seen, made.since_us = None, None, self.since_us
        return made

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CapacityLedger) or self.floors != other.floors or self._profiles != other._profiles:
            return False
        return dict(self._standby.items()) == dict(other._standby.items())

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
