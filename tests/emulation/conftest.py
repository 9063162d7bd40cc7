"""Fixtures with a real Open vSwitch in namespaces of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from ovs_sandbox import OvsSandbox, why_not  # pyright: ignore[reportMissingImports]  (tests/support is no package)


@pytest.fixture
def ovs() -> Iterator[OvsSandbox]:
    """A running Open vSwitch without bridges; the test runs in its network namespace."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with OvsSandbox() as sandbox, sandbox.entered():
        yield sandbox
