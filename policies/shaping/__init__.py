"""Sharing by demand: estimate what each site wants, fill what is left after floors, never touch a promise. Pure."""

from carelane.policies.shaping.aimd import aimd
from carelane.policies.shaping.demand import DemandPolicy, HeldDemand, Sample, follow
from carelane.policies.shaping.policy import SharePolicy, kind_of
from carelane.policies.shaping.share import Kind, Layout, Shares, Source, settled, share

__all__ = [
    "DemandPolicy",
    "HeldDemand",
    "Kind",
    "Layout",
    "Sample",
    "SharePolicy",
    "Shares",
    "Source",
    "aimd",
    "follow",
    "kind_of",
    "settled",
    "share",
]
