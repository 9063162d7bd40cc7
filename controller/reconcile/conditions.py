"""Conditions as they are stored: one of each type, with the moment its status last changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

__all__ = ["ADMITTED", "INSTALLED", "KEPT", "Finding", "merge_conditions"]

ADMITTED = "Admitted"
"""The last decision on what was filed."""

INSTALLED = "Installed"
"""The switches hold exactly what the slice needs, read back after the change."""

KEPT = "Kept"
"""The promise holds now: every pair has a working path, and the protection that was promised is there."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one condition now."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


def merge_conditions(
    stored: Sequence[Mapping[str, Any]], findings: Sequence[Finding], *, generation: int, now: datetime
) -> tuple[dict[str, Any], ...]:
    """Stored conditions with the findings put in; `since` moves only when the status of a condition does."""
    kept = {str(item["type"]): dict(item) for item in stored}
    for finding in findings:
        before = kept.get(finding.type)
        since = before["since"] if before and before["status"] == finding.status else now.isoformat()
        kept[finding.type] = {
            "type": finding.type,
            "status": finding.status,
            "reason": finding.reason,
            "message": finding.message,
            "since": since,
            "observed_generation": generation,
        }
    return tuple(kept.values())
