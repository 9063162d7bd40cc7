"""`carelane lab`: hands over to carelane.lab, which is heavy and needs root."""

from __future__ import annotations

__all__ = ["list_scenarios", "open_shell", "run_scenario"]
