"""Who may look at switches and change them: one pass at a time, and only within the term in which it began."""

from __future__ import annotations

import threading

__all__ = ["Turn"]


class Turn:
    """A context manager that one thread at a time is in.

    A pass compares what it read and planned. When another controller led meanwhile, and we do again, that is of a
    time before what the other one did: such a pass must end without a further change, although we lead.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun = 0
        self.term = 0
        """Counts up when we stop leading."""

    def __enter__(self) -> None:
        self._lock.acquire()
        self._begun = self.term

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def end_term(self) -> None:
        """Does not wait for the pass that is under way."""
        self.term += 1

    def is_over(self) -> bool:
        """Whether the term in which the pass under way began has ended."""
        return self._begun != self.term
