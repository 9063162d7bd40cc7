"""The one place that imports Mininet.

Debian ships Mininet for the system's Python, outside any virtual environment. Only that one package is taken from
there: putting the whole folder on the path would let old system libraries stand in for the product's own.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from typing import Any

from carelane.lab.failures import LabError

__all__ = ["load"]

_FOLDERS = ("/usr/lib/python3/dist-packages", "/usr/local/lib/python3/dist-packages")


def load(module: str) -> Any:
    """Import ``mininet.<module>``. Raises `LabError` when Mininet is not installed."""
    with warnings.catch_warnings():
        # Mininet 2.3.0 uses distutils, deprecated in 3.11; nothing we could change.
        warnings.simplefilter("ignore", DeprecationWarning)
        if "mininet" not in sys.modules:
            _load_package()
        return importlib.import_module(f"mininet.{module}")


def _load_package() -> None:
    # Looked up by folder, not by name, so a folder called "mininet" on the path (ours is) cannot shadow it.
    spec = PathFinder.find_spec("mininet", [*_FOLDERS, *sys.path])
    if spec is None or spec.loader is None:
        raise LabError(f"Mininet is not installed (looked in {', '.join(_FOLDERS)}); apt-get install mininet")
    package = module_from_spec(spec)
    sys.modules["mininet"] = package
    spec.loader.exec_module(package)
