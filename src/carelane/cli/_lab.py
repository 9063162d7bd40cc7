"""`carelane lab`: hands over to carelane.lab, which is heavy and needs root."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

from carelane.cli._exit import Exit, tell
from carelane.cli._output import emit_rows
from carelane.errors import InputError

__all__ = ["list_scenarios", "open_shell", "run_scenario"]

AUTO = "auto"


def run_scenario(name: str, report: Path, substrate: str, seed: int) -> Exit:
    """Exit 1 when a promise was broken. Raises InputError, NotFoundError, LabError."""
    _check(substrate)
    from carelane.lab.scenario import run

    return Exit(run(name, report, None if substrate == AUTO else substrate, seed, tell))
