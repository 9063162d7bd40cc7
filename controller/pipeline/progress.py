"""How far long work is, for whoever wants to know. The stages stay pure: what is told changes no decision."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Progress", "silent"]

Progress = Callable[[str, int, int], None]
"""Told a step's name, how much of it is done, and how much there is of it."""


def silent(_step: str, _done: int, _total: int) -> None:
    """Nobody wants to know."""
