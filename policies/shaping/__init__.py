"""Sharing by demand: estimate what each site wants, fill what is left after floors, never touch a promise. Pure."""

from carelane.policies.shaping.aimd import aimd
from carelane.policies.shaping.demand import DemandPolicy, HeldDemand, Sample, follow
from carelane.policies.shaping.policy import SharePolicy, kind_of
from carelane.policies.shaping.share import Kind, Layout, Shares, Source, share
from carelane.policies.shaping.steady import SteadyPolicy, steady

__all__ = [
    "DemandPolicy",
    "HeldDemand",
    "Kind",
    "Layout",
    "Sample",
    "SharePolicy",
    "Shares",
    "Source",
    "SteadyPolicy",
    "aimd",
    "follow",
    "kind_of",
    "share",
    "steady",
]
