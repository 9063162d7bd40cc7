"""Who may send how much in the next epoch: floors first, then weighted max-min shares of what is left.

Three kinds of flows, in the order in which they are served:

- **contract**: gets what it declared, always and never more. Surgery, monitoring, anything whose bound was proven
  against its declaration and which nobody expects to grow.
- **adaptive**: gets at least what it declared, and a share of capacity that *nobody* was promised. An idle floor is
  never lent to it: its sites share queues with proven bounds, and when the floor's owner came back, a queue filled at
  the higher rate would drain at the lower one and break them. With this guard the sum of what may enter a queue never
  exceeds the rate at which the queue is served, whoever wakes up.
- **elastic**: no bound was proven for it, so it may have whatever the others do not use now, idle floors included.

What no demand asks for is handed out too, as headroom by the same weights (to an adaptive source up to `HEADROOM` times
its declaration, or 15% above what it gets anyway): a ceiling above the demand costs nobody anything, because the next
epoch takes it back as soon as somebody wants it, and a site that jumps up to its fair share is served at once. Sources
that were seen to jump in this very epoch (nobody knows yet how far) come first: up to twice what they seem to want.
Pure and deterministic: equal input gives equal shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from carelane.errors import InputError
from carelane.policies.shaping._fill import Floats, Incidence, fill

__all__ = ["Kind", "Layout", "Shares", "Source", "settled", "share"]

Bools = npt.NDArray[np.bool_]
Kind = Literal["contract", "adaptive", "elastic"]

HEADROOM = 4.0
_ENOUGH = 0.99
_STALE = 1.3
_ROOM = 0.15
_BELOW, _ABOVE = 0.95, 1.12


@dataclass(frozen=True, slots=True)
class Source:
    """One site of a slice in one direction (or the one meter that several share).

    `declared_bps` is its contract; for elastic sources their floor. `links` names each egress port it may cross,
    backup paths included, so that a share stays feasible after a fail-over.
    """

    key: str
    kind: Kind
    declared_bps: int
    links: tuple[str, ...]
    weight: float = 1.0


@dataclass(frozen=True, eq=False)
class Layout:
    """The sources and links that share; changes only with slices, not from epoch to epoch.

    `capacity_bps` is by link; `reserved_bps` the sum of all floors there (of sources that are not listed, too).
    Raises InputError for a source without links, over an unknown link, with a weight or rate that is none.
    """

    sources: tuple[Source, ...]
    capacity_bps: Mapping[str, int]
    reserved_bps: Mapping[str, int]

    def __post_init__(self) -> None:
        for source in self.sources:
            unknown = [link for link in source.links if link not in self.capacity_bps]
            if not source.links or unknown:
                raise InputError(f"{source.key} crosses {unknown or 'no link'}", expected="links with a capacity")
            if not 0 < source.weight < np.inf or source.declared_bps < 0:
                raise InputError(f"{source.key}: weight {source.weight}, rate {source.declared_bps} bit/s",
                                 expected="a weight above 0 and a rate of 0 or more")  # fmt: skip

    @cached_property
    def paths(self) -> Incidence:
        numbers = {link: number for number, link in enumerate(self.capacity_bps)}
        paths = tuple(tuple(numbers[link] for link in dict.fromkeys(source.links)) for source in self.sources)
        return Incidence.of(paths, len(numbers))

    @cached_property
    def capacity(self) -> Floats:
        return np.array(list(self.capacity_bps.values()), dtype=float)

    @cached_property
    def unreserved(self) -> Floats:
        reserved: Floats = np.array([self.reserved_bps.get(link, 0) for link in self.capacity_bps], dtype=float)
        return self.capacity - reserved

    @cached_property
    def declared(self) -> Floats:
        return np.array([source.declared_bps for source in self.sources], dtype=float)

    @cached_property
    def weights(self) -> Floats:
        return np.array([source.weight for source in self.sources], dtype=float)

    def of_kind(self, kind: Kind) -> Bools:
        return np.array([source.kind == kind for source in self.sources], dtype=bool)


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """By source, in the layout's order, bit/s. `granted`: of what was asked; `ceiling`: with headroom on top."""

    granted: Floats
    ceiling: Floats


def share(layout: Layout, demands: Sequence[float] | Floats, jumped: Sequence[bool] | Bools = ()) -> Shares:
    """Shares for demands in the layout's order (bit/s; infinite: as much as there is; NaN counts as none).

    `jumped`: sources whose demand has just risen, in the same order; none when left out.
    """
    demand = np.nan_to_num(np.asarray(demands, dtype=float), nan=0.0, posinf=np.inf, neginf=0.0)
    if not layout.sources:
        return Shares(demand, demand)
    paths, declared, weights = layout.paths, layout.declared, layout.weights
    adaptive, elastic = layout.of_kind("adaptive"), layout.of_kind("elastic")
    above = np.maximum(demand - declared, 0.0)

    granted = np.minimum(demand, declared)
    rise = fill(paths, layout.unreserved, weights, np.where(adaptive, above, 0.0))
    eager = adaptive & (np.asarray(jumped, dtype=bool) if len(jumped) else False) & np.isfinite(demand)
    first = fill(paths, layout.unreserved - paths.load(rise), weights, np.where(eager, demand, 0.0))
    room_up_to = np.maximum(declared * (HEADROOM - 1), rise + _ROOM * (granted + rise))
    spare = np.where(adaptive, np.maximum(room_up_to - rise - first, 0.0), 0.0)
    headroom = first + fill(paths, layout.unreserved - paths.load(rise + first), weights, spare)
    granted = granted + rise

    used = paths.load(np.where(elastic, 0.0, granted))
    base = np.where(elastic, np.minimum(demand, declared), 0.0)
    room = layout.capacity - used - paths.load(base)
    more = fill(paths, room, weights, np.where(elastic, above, 0.0))
    rest = fill(paths, room - paths.load(more), weights, np.where(elastic, np.inf, 0.0))
    granted = granted + more
    ceiling = np.where(elastic, np.maximum(base + more + rest, declared), declared + rise + headroom)
    return Shares(granted, ceiling)


def settled(layout: Layout, shares: Shares, before: Sequence[float] | Floats) -> Floats:
    """Ceilings for the next epoch: those of the last (`before`; NaN where there was none), or all of `shares` anew.

    Every site's headroom depends on every other's demand, so ceilings that follow each estimate would never rest. The
    adaptive ones stay together as they are while each leaves its source what was granted (to 1%), all of them fit
    beside the floors of this layout, and each is at least 1/1.3 of what it would be anew. An elastic ceiling lies on
    what the others leave, and stays while it is no more than 5% below or 12% above that: HTB serves the others first.
    """
    adaptive, elastic = layout.of_kind("adaptive"), layout.of_kind("elastic")
    old, new = np.asarray(before, dtype=float), shares.ceiling
    close = (old >= np.maximum(_BELOW * new, layout.declared)) & (old <= _ABOVE * new)
    new = np.where(elastic & close, old, new)
    if not adaptive.any():
        return new
    beyond = np.where(adaptive, np.maximum(old - layout.declared, 0.0), 0.0)
    kept = (
        bool(np.isfinite(old[adaptive]).all())
        and bool((old >= np.maximum(layout.declared, shares.granted * _ENOUGH))[adaptive].all())
        and bool((old * _STALE >= new)[adaptive].all())
        and bool((layout.paths.load(beyond) <= np.maximum(layout.unreserved, 0.0) + 1.0).all())
    )
    return np.where(adaptive, old, new) if kept else new
