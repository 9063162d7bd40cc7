"""Who or what device may reach what, from where, when, for which service, at which class and rate. Default: inside a
tenant everything, between tenants nothing.

Input: the requirement of one slice and the moment. Output: nothing, or the `Violation` that names what forbids it.
Admission asks before it plans, so what is not allowed gets no rule on any switch: the switches drop it at the edge port
as they drop everything without a slice. What was admitted is asked about again while it runs, because windows close.
"""

from __future__ import annotations

from carelane.policies.access.decide import Contact, Violation, first_violation, reachable
from carelane.policies.access.manifest import read_policy
from carelane.policies.access.model import AccessPolicy, AccessRule, Window

__all__ = [
    "AccessPolicy",
    "AccessRule",
    "Contact",
    "Violation",
    "Window",
    "first_violation",
    "reachable",
    "read_policy",
]
