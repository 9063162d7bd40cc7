"""Weighted max-min filling on all links at once, in a few array operations a round.

Every flow's extra rises in proportion to its weight until the flow has what it wants or one of its links is full
(Bertsekas and Gallager, Data Networks, section 6.5.2). A round freezes every flow whose limit is certain: its want
is below the level of all its links, or one of its links is the tightest for every flow still rising there. Levels
never sink when flows freeze, so both are final, and at least the tightest flow freezes in each round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

__all__ = ["Floats", "Incidence", "fill"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_EPSILON = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Incidence:
    """Which flow crosses which link, as pairs ordered by flow; every flow crosses at least one link."""

    flow: Ints
    link: Ints
    first: Ints
    flows: int
    links: int

    @classmethod
    def of(cls, paths: tuple[tuple[int, ...], ...], links: int) -> Self:
        """From the link numbers of each flow, each at most once. Raises ValueError for a flow without links."""
        lengths = np.array([len(path) for path in paths], dtype=np.int64)
        if not lengths.all():
            raise ValueError(f"flow {int(np.argmin(lengths))} crosses no link")
        flow = np.repeat(np.arange(len(paths)), lengths)
        link = np.array([number for path in paths for number in path], dtype=np.int64)
        first = np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.int64) if len(paths) else lengths
        return cls(flow, link, first, len(paths), links)

    def load(self, rates: Floats) -> Floats:
        """What flows of these rates put on each link."""
        return np.bincount(self.link, weights=rates[self.flow], minlength=self.links).astype(np.float64)


def fill(paths: Incidence, room: Floats, weights: Floats, wanted: Floats) -> Floats:
    """The weighted max-min extras: none above `wanted` (which may be infinite), no link above `room`.

    Rates in bit/s; weights above 0. Negative room counts as none. Raises ValueError for an unbounded extra (an
    infinite want over links of infinite room).
    """
    extra = np.zeros(paths.flows)
    room = np.maximum(room, 0.0)
    rising = np.asarray(wanted) > 0
    desire = wanted / weights
    flow, link = paths.flow, paths.link
    while rising.any():
        kept = rising[flow]
        flow, link = flow[kept], link[kept]
        # Of each rising flow the first of its pairs: they stay ordered by flow.
        first = np.flatnonzero(np.diff(flow, prepend=-1))
        order = flow[first]
        load = np.bincount(link, weights=weights[flow], minlength=paths.links)
        free = np.maximum(room - paths.load(extra), 0.0)
        level = np.divide(free, load, out=np.full(paths.links, np.inf), where=load > 0)
        tightest = np.minimum.reduceat(level[link], first)
        limit = np.full(paths.flows, np.inf)
        limit[order] = np.minimum(tightest, desire[order])
        lowest = np.full(paths.links, np.inf)
        np.minimum.at(lowest, link, limit[flow])
        full = lowest >= level * (1 - _EPSILON)
        stopped = np.zeros(paths.flows, dtype=bool)
        stopped[flow[full[link]]] = True
        stopped[order] |= desire[order] <= tightest
        stopped &= rising
        if not np.isfinite(limit[stopped]).all():
            raise ValueError("an infinite want over links of infinite room")
        extra[stopped] = np.minimum(limit[stopped] * weights[stopped], wanted[stopped])
        rising &= ~stopped
    return extra
