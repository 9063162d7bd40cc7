"""How much of the network may be promised, to whom, and who has to give way: the operator's admission policy.

Four things, each absent unless the file states it: `maxReservable`, the share of each link that floors may take;
`quotas`, what one tenant may hold; `preemption`, which services may take the place of less important ones; `weights`,
how what is left is shared. A policy only states them; `carelane.controller` decides and shares by it.
"""

from __future__ import annotations

from carelane.policies.admission.manifest import read_policy
from carelane.policies.admission.model import EVERYBODY, AdmissionPolicy, Preemption, Quota, bounded

__all__ = ["EVERYBODY", "AdmissionPolicy", "Preemption", "Quota", "bounded", "read_policy"]
