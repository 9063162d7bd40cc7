"""Capacity that backups share: reserved once for all whose primaries no single failure takes down together.

One failure at a time: a link, a node, or a risk group with everything in it. A backup carries traffic only after a
failure that its primary suffers from, so at a port the reservation is what always runs there, plus the most that any
one failure sends there (Kar, Kodialam and Lakshman, "Routing restorable bandwidth guaranteed connections using maximum
2-route flows", 2003; shared backup path protection in RFC 4427).

`carelane.topology.ledger` keeps a `Load` for each port with such backups.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from types import MappingProxyType

__all__ = ["IDLE", "Component", "Failure", "Load", "Part", "Standby"]

PortKey = tuple[str, str]
"""As `carelane.topology.ledger.PortKey`."""
Failure = tuple[str, str]
"""(kind, id), kind being link, node or risk group."""
Component = tuple[str, str]
"""As `carelane.topology.availability.Component`."""

_GUARD = 1e-12
"""Products of a thousand floats below 1 are exact to 1e-13; this is taken off."""


@dataclass(frozen=True, slots=True)
class Standby:
    """The shared backup of a tenant's slice: `floors` (bit/s) that it needs only after one of `failures`.

    `availability` of every component that the slice's two paths need, None where none is stated; `switching` is the
    time lost in switching over, `kept` the availability that is promised, whoever shares (None: none is).
    """

    tenant: str
    floors: tuple[tuple[PortKey, int], ...]
    failures: frozenset[Failure]
    primary: frozenset[Component]
    backup: frozenset[Component]
    availability: Mapping[Component, float | None]
    switching: Fraction = Fraction(0)
    kept: float | None = None

    @property
    def ports(self) -> Iterable[PortKey]:
        """Where it holds floors."""
        return (port for port, _ in self.floors)

    def keeps(self, sharers: Iterable[Standby]) -> bool:
        """Whether what is promised holds beside these.

        The backup counts as up only while all that it needs is up, and all that the primaries of `sharers` need: no
        state is counted in which two of them might want the same capacity.
        """
        if self.kept is None:
            return True
        known, needed = dict(self.availability), set(self.backup)
        for other in sharers:
            known.update(other.availability)
            needed |= other.primary
        figures = {part: known[part] for part in needed | self.primary}
        if any(figure is None for figure in figures.values()):
            return False
        alone, moved, both = (_all_up(parts, figures) for parts in (self.primary, needed, needed | self.primary))
        return alone + moved - both - float(self.switching) - _GUARD >= self.kept


def _all_up(parts: Iterable[Component], figures: Mapping[Component, float | None]) -> float:
    return prod((figures[part] or 0.0 for part in sorted(parts)), start=1.0)  # in one order, for the last bit's sake


Part = tuple[frozenset[Failure], int]
"""A floor, and the failures after which it is needed."""


@dataclass(frozen=True, slots=True)
class Load:
    """Shared backups at one port: what each slice needs there and when, and what each failure adds up to."""

    held: Mapping[str, tuple[Part, ...]]
    after: Mapping[Failure, int]
    most_bps: int = 0

    def changed(self, name: str, parts: tuple[Part, ...]) -> Load:
        """The load in which slice `name` holds exactly `parts` here."""
        after = dict(self.after)
        for sign, own in ((-1, self.held.get(name, ())), (1, parts)):
            for failure, rate_bps in _by_failure(own).items():
                after[failure] = after.get(failure, 0) + sign * rate_bps
        held = {other: kept for other, kept in self.held.items() if other != name}
        if parts:
            held[name] = parts
        after = {failure: rate_bps for failure, rate_bps in after.items() if rate_bps}
        return Load(held, after, max(after.values(), default=0))

    def after_any_bps(self, failures: Iterable[Failure]) -> int:
        """The most that one of these failures adds."""
        return max((self.after.get(failure, 0) for failure in failures), default=0)


IDLE = Load(MappingProxyType({}), MappingProxyType({}))


def _by_failure(parts: tuple[Part, ...]) -> dict[Failure, int]:
    """Of several floors of one slice at a port, as while it moves, the largest counts."""
    found: dict[Failure, int] = {}
    for failures, rate_bps in parts:
        for failure in failures:
            found[failure] = max(rate_bps, found.get(failure, 0))
    return found
