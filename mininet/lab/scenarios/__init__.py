"""All scenarios. Importing this package registers them."""

from __future__ import annotations

from carelane.lab.scenario import register
from carelane.lab.scenarios.kernel_check import KernelCheck

__all__: list[str] = []

register(KernelCheck())
