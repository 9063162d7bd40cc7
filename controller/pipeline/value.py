"""What admitting a requirement is worth: the bandwidth that totals and bounds count."""

from __future__ import annotations

from carelane.controller.pipeline.requirement import Requirement

__all__ = ["demand_bps"]


def demand_bps(requirement: Requirement) -> int:
    """What a requirement counts for: forward (reverse where that is all), once for all receivers.

    For a hub once for each site that may speak at once.
    """
    rate = requirement.forward_bps or requirement.reverse_bps
    return rate * requirement.together if requirement.connectivity == "hub" else rate
