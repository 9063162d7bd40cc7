"""Room for watches, each of which holds a thread for as long as it lasts."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from carelane.errors import TooManyRequests

__all__ = ["Places"]

RETRY_AFTER_S = 10


class Places:
    """`total` of them, and no more than `each` for one subject, so that nobody shuts out the others. Thread-safe."""

    def __init__(self, total: int, each: int) -> None:
        self._total, self._each = total, each
        self._taken: Counter[str] = Counter()
        self._mutex = threading.Lock()

    @contextmanager
    def taken(self, subject: str) -> Iterator[None]:
        """A place while the block runs. Raises TooManyRequests."""
        with self._mutex:
            if self._taken[subject] >= self._each:
                raise TooManyRequests(f"{self._each} watches of yours are open already", RETRY_AFTER_S)
            if self._taken.total() >= self._total:
                raise TooManyRequests("too many watches are open", RETRY_AFTER_S)
            self._taken[subject] += 1
        try:
            yield
        finally:
            with self._mutex:
                self._taken[subject] -= 1
                self._taken += Counter()  # forgets those who hold none
