"""What a check of the machine found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Purpose", "missing", "note", "ok"]

Purpose = Literal["server", "switches", "lab", "tests"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`missing` makes the machine unfit for the purpose; a `note` does not. `remedy` says how to get it."""

    purpose: Purpose
    check: str
    status: Literal["ok", "note", "missing"]
    found: str
    remedy: str = ""


def ok(purpose: Purpose, check: str, found: str) -> Finding:
    return Finding(purpose, check, "ok", found)


def note(purpose: Purpose, check: str, found: str, remedy: str) -> Finding:
    return Finding(purpose, check, "note", found, remedy)


def missing(purpose: Purpose, check: str, found: str, remedy: str) -> Finding:
    return Finding(purpose, check, "missing", found, remedy)
