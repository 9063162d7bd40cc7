"""Long pure work without the search for cyclic garbage, of which it makes none."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["no_collection"]

_MANY = 100_000


@contextmanager
def no_collection() -> Iterator[None]:
    """Proof and planning keep most of the objects they make, up to millions: to look through all of them again and
    again takes as long as the work itself. Also a decorator.

    Many new objects are then put beside the old ones in one pass. Left to themselves, the next two searches would go
    through all of them while somebody waits for a small change: 0.5 s each after the proof of 2,000 intents.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            if gc.get_count()[0] > _MANY:
                gc.collect(1)
            gc.enable()
