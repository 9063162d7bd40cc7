"""Machine code of kernels is kept between processes; it must not outlive a change of what it calls in another file."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from carelane.topology.search._engine import Compiled


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], ModuleType]:
    """A module from its file, as it is now."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def load(path: Path) -> ModuleType:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, path.stem, module)
        spec.loader.exec_module(module)
        return module

    return load


def test_a_changed_helper_in_another_file_changes_what_calls_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loaded: Callable[[Path], ModuleType]
) -> None:
    helper, caller = tmp_path / "kept_helper.py", tmp_path / "kept_caller.py"
    caller.write_text('from kept_helper import step\n\nKERNELS = ("walk",)\n\n\ndef walk(a):\n    return step(a) + 1\n')
    monkeypatch.setattr("carelane.topology.search._kernels.MODULES", ())
    for change in (10, 200):
        helper.write_text(f"KERNELS = ()\n\n\ndef step(a):\n    return a + {change}\n")
        run = Compiled()
        run.functions(loaded(helper))
        assert run.functions(loaded(caller))["walk"](1) == 2 + change
    assert list(tmp_path.glob("__pycache__/kept_caller.walk*.nbi")), "nothing was kept, so nothing was shown"
