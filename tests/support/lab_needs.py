"""What a test that opens a lab needs, and the reason why it is skipped where that is missing."""

from __future__ import annotations

import os
import shutil

import pytest

from carelane.lab.cell import Cell
from carelane.lab.failures import LabError
from carelane.lab.substrate import choose

__all__ = ["NEEDS_LAB", "skip_without_delay"]

_TOOLS = ("ovs-vswitchd", "mnexec", "ip", "tc", "nsenter")

NEEDS_LAB = [
    pytest.mark.root,
    pytest.mark.ovs,
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(any(shutil.which(t) is None for t in _TOOLS), reason="needs Open vSwitch and Mininet"),
]


def skip_without_delay() -> None:
    """Skip the test where no substrate emulates delay."""
    with Cell.open() as cell:
        try:
            substrate = choose(cell)
        except LabError as error:
            pytest.skip(str(error))
    if not substrate.has_delay:
        pytest.skip(f"needs a kernel with Open vSwitch and netem: {substrate.reason}")
