"""The running network: what an engineer does to links and switches."""

from __future__ import annotations

__all__: list[str] = []
