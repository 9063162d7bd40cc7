"""All scenarios. Importing this package registers them."""

from __future__ import annotations

from carelane.lab.scenario import register
from carelane.lab.scenarios.chaos import Chaos
from carelane.lab.scenarios.failover import Failover
from carelane.lab.scenarios.kernel_check import KernelCheck
from carelane.lab.scenarios.zhoushan import ZhoushanConsultation

__all__: list[str] = []

register(Chaos())
register(Failover())
register(KernelCheck())
register(ZhoushanConsultation())
