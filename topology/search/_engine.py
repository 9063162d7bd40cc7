"""Which way the kernels run: as plain Python on lists, or compiled by numba on NumPy arrays. Answers are equal.

Compiling pays where there is much to search, and costs a second or more (from numba's cache, most of that is its
import), so `engine` stays with plain Python until a process has asked for enough work. Without numba, and with
NUMBA_DISABLE_JIT set, it always does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from carelane.topology.search import _kernels

__all__ = ["Compiled", "Engine", "Plain", "compiled", "engine", "plain"]

PATIENCE = 400_000
"""Work (arcs looked at) that a process asks for before the kernels are compiled: some tenths of a second."""


class Engine:
    """The kernels of the path search as attributes, those of other modules, and the arrays they work on."""

    remainders: Callable[..., int]
    downhill: Callable[..., int]
    fewest_hops: Callable[..., int]
    next_candidate: Callable[..., int]
    disjoint_ways: Callable[..., int]

    def __init__(self) -> None:
        for module in _kernels.MODULES:
            vars(self).update(self.functions(module))

    def functions(self, module: ModuleType) -> dict[str, Callable[..., Any]]:
        """The functions that `module` lists in KERNELS, as this engine runs them.

        They may call each other and those of modules that were asked for before.
        """
        raise NotImplementedError

    def flags(self, values: Any) -> Any:
        """A working copy of truth values."""
        raise NotImplementedError

    def integers(self, values: Any) -> Any:
        """A working copy of whole numbers."""
        raise NotImplementedError

    def indices(self, values: Any) -> Any:
        """A copy of arc and node numbers, small so that more of them are at hand."""
        raise NotImplementedError

    def reals(self, values: Any) -> Any:
        """A working copy of real numbers."""
        raise NotImplementedError

    def blank(self, size: int, real: bool = False) -> Any:
        """Room for `size` numbers of any value."""
        raise NotImplementedError

    def filled(self, size: int, value: int) -> Any:
        """`size` times `value`."""
        raise NotImplementedError

    def grown(self, array: Any, size: int) -> Any:
        """`array` with room for `size` numbers."""
        raise NotImplementedError


class Plain(Engine):
    """Python's own lists and integers."""

    def functions(self, module: ModuleType) -> dict[str, Callable[..., Any]]:
        return {name: getattr(module, name) for name in module.KERNELS}

    def flags(self, values: Any) -> Any:
        return _listed(values)

    def integers(self, values: Any) -> Any:
        return _listed(values)

    def indices(self, values: Any) -> Any:
        return _listed(values)

    def reals(self, values: Any) -> Any:
        return _listed(values)

    def blank(self, size: int, real: bool = False) -> Any:
        return [0.0 if real else 0] * size

    def filled(self, size: int, value: int) -> Any:
        return [value] * size

    def grown(self, array: Any, size: int) -> Any:
        return array + [0] * (size - len(array))


class Compiled(Engine):
    """NumPy arrays and numba's machine code, cached beside the source or in the user's cache directory."""

    def __init__(self) -> None:
        import numba
        import numpy

        self._numpy, self._njit = numpy, numba.njit
        self._made: dict[FunctionType, Any] = {}
        self._sources = sha256()
        super().__init__()

    def functions(self, module: ModuleType) -> dict[str, Callable[..., Any]]:
        # numba's cache looks at the file of a function, not at those of what it calls: their text is in the name
        with suppress(OSError):  # installed without its source, so that nobody changes it either
            self._sources.update(Path(str(module.__file__)).read_bytes())
        namespace = dict(vars(module))  # in which the kernels call each other compiled
        for name, body in vars(module).items():
            if not isinstance(body, FunctionType):
                continue
            if body.__module__ == module.__name__:
                copy = FunctionType(body.__code__, namespace, name, body.__defaults__)
                copy.__qualname__ = f"{name}_{self._sources.hexdigest()[:12]}"
                self._made[body] = _jit(self._njit, copy)
            namespace[name] = self._made.get(body, body)
        return {name: namespace[name] for name in module.KERNELS}

    def flags(self, values: Any) -> Any:
        return self._numpy.array(values, dtype=self._numpy.bool_)

    def integers(self, values: Any) -> Any:
        return self._numpy.array(values, dtype=self._numpy.int64)

    def indices(self, values: Any) -> Any:
        return self._numpy.array(values, dtype=self._numpy.int32)

    def reals(self, values: Any) -> Any:
        return self._numpy.array(values, dtype=self._numpy.float64)

    def blank(self, size: int, real: bool = False) -> Any:
        return self._numpy.empty(size, dtype=self._numpy.float64 if real else self._numpy.int64)

    def filled(self, size: int, value: int) -> Any:
        return self._numpy.full(size, value, dtype=self._numpy.int64)

    def grown(self, array: Any, size: int) -> Any:
        larger = self._numpy.empty(size, dtype=array.dtype)
        larger[: len(array)] = array
        return larger


def _listed(values: Any) -> Any:
    return values.tolist() if hasattr(values, "tolist") else list(values)


def _jit(njit: Callable[..., Any], function: FunctionType) -> Any:
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no directory to cache in: compile for this process alone
        return njit(nogil=True)(function)


@cache
def plain() -> Engine:
    return Plain()


@cache
def compiled() -> Engine | None:
    """The compiled engine, or None where numba is absent or switched off."""
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return None
    try:
        return Compiled()
    except ImportError:
        return None


_asked = 0


def engine(work: int) -> Engine:
    """The engine for a search that looks at about `work` arcs."""
    global _asked  # noqa: PLW0603 - one process, one decision; a lost update only delays it
    if _asked < PATIENCE:
        _asked += work
        if _asked < PATIENCE:
            return plain()
    return compiled() or plain()
