"""The os-ken adapter: the only place that imports os_ken."""

from __future__ import annotations

from carelane.controller.southbound.openflow.southbound import OpenFlowSouthbound

__all__ = ["OpenFlowSouthbound"]
