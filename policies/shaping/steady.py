"""Ceilings that stay where they are as long as they serve: no switch is told what changes nothing. Pure.

Every site's headroom, and what a site that wants everything gets, moves a little with every other's demand. A ceiling
is therefore set somewhat below what it could be, and kept until that matters: it no longer fits (the new shares are
the most that is feasible, so it follows down at once), its source would lose more than `loss` of what it was granted
(up at once), or it is below `room` of what it could be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carelane.policies.shaping._fill import Floats
from carelane.policies.shaping.share import Layout, Shares

__all__ = ["SteadyPolicy", "steady"]


@dataclass(frozen=True, slots=True)
class SteadyPolicy:
    """Ratios. A moved ceiling takes `take` of the headroom and leaves out half of `loss`: as far from both edges."""

    loss: float = 0.03
    take: float = 0.85
    room: float = 0.7


def steady(layout: Layout, before: Floats, shares: Shares, policy: SteadyPolicy | None = None) -> Floats:
    """The next ceilings from those in force (NaN: none yet), bit/s in the layout's order.

    Never above the shares' ceilings, hence feasible as they are, and never below a declaration. Of contract sources
    they are the shares' own.
    """
    policy = policy or SteadyPolicy()
    declared, most = layout.declared, shares.ceiling
    granted = np.minimum(shares.granted, most)
    moved = np.maximum((1 - policy.loss / 2) * granted + policy.take * (most - granted), np.minimum(declared, most))
    with np.errstate(invalid="ignore"):
        kept = (before >= (1 - policy.loss) * granted) & (before >= declared) & (before <= most)
        kept &= before >= policy.room * most
    kept &= ~layout.of_kind("contract")
    return np.where(layout.of_kind("contract"), most, np.where(kept, before, moved))
