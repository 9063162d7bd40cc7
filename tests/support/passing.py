"""A watcher of switches whose time a test tells."""

from __future__ import annotations

from typing import Any

import pytest

from carelane.controller.southbound.simulator import Simulator

__all__ = ["Passing"]


class Passing:
    """A clock that a test moves, while the watcher looks at the switches once a second."""

    def __init__(self, rig: Any, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
        self._rig, self._simulator, self._at_s = rig, simulator, 100.0
        monkeypatch.setattr("carelane.controller._upkeep.time.monotonic", lambda: self._at_s)

    def seconds(self, count: int) -> None:
        for _ in range(count):
            self._rig.service.upkeep.observe(self._simulator.statuses())
            self._at_s += 1.0
        self._rig.settle()
