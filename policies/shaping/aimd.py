"""Additive increase, multiplicative decrease: the yardstick without a model of the network (Chiu and Jain, 1989).

Each adaptive or elastic source raises its ceiling by a fixed step while none of its links is congested and halves
what it has above its declaration when one is. It needs no demand and no topology, and it oscillates: that is what it
is here to be compared with.
"""

from __future__ import annotations

import numpy as np

from carelane.policies.shaping._fill import Floats
from carelane.policies.shaping.share import Layout

__all__ = ["aimd"]


def aimd(layout: Layout, ceilings: Floats, rates: Floats, *, step_bps: float, congested: float = 0.98) -> Floats:
    """The next ceilings, from the present ones and the rates measured under them, all bit/s in the layout's order."""
    if not layout.sources:
        return ceilings
    paths = layout.paths
    full = paths.load(np.nan_to_num(rates)) > congested * layout.capacity
    hit = np.zeros(paths.flows, dtype=bool)
    hit[paths.flow[full[paths.link]]] = True
    above = np.maximum(ceilings - layout.declared, 0.0)
    line = np.full(paths.flows, np.inf)
    np.minimum.at(line, paths.flow, layout.capacity[paths.link])
    raised = layout.declared + np.where(hit, above / 2, above + step_bps)
    return np.where(layout.of_kind("contract"), layout.declared, np.maximum(np.minimum(raised, line), layout.declared))
