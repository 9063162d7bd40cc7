"""Which way the kernels run: as plain Python on lists, or compiled by numba on NumPy arrays. Answers are equal.

Compiling pays where there is much to search, and costs a second or more (from numba's cache, most of that is its
import), so `engine` stays with plain Python until a process has asked for enough work. Without numba, and with
NUMBA_DISABLE_JIT set, it always does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any

from carelane.topology.search import _kernels

__all__ = ["Compiled", "Engine", "Plain", "compiled", "engine", "plain"]

PATIENCE = 400_000
"""Work (arcs looked at) that a process asks for before the kernels are compiled: some tenths of a second."""


class Engine:
    """The kernels as attributes, and how to make the arrays they work on."""

    remainders: Callable[..., int]
    downhill: Callable[..., int]
    fewest_hops: Callable[..., int]
    next_candidate: Callable[..., int]
    disjoint_ways: Callable[..., int]

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

    def __init__(self) -> None:
        for name in _kernels.KERNELS:
            setattr(self, name, getattr(_kernels, name))

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

        self._numpy = numpy
        namespace = dict(vars(_kernels))  # in which the kernels call each other compiled
        for name in (*_kernels.HELPERS, *_kernels.KERNELS):
            body = getattr(_kernels, name)
            copy = FunctionType(body.__code__, namespace, name, body.__defaults__)
            copy.__qualname__ = name
            namespace[name] = _jit(numba.njit, copy)
        for name in _kernels.KERNELS:
            setattr(self, name, namespace[name])

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
