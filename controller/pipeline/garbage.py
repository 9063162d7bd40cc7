"""Long pure work without the search for cyclic garbage, of which it makes none."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["no_collection"]


@contextmanager
def no_collection() -> Iterator[None]:
    """Proof and planning keep most of the objects they make, up to millions: to look through all of them again and
    again takes as long as the work itself. Also a decorator.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
