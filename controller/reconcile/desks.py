"""The desk of the last filing, kept for the next: what is held is decoded and added up once, not for each filing.

A desk is used again only when the store says that nobody else changed what is held meanwhile (another process, the
reconciler, a withdrawal) and no link broke or came back, and only by whoever has the writer's turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.reconcile.admission import Desk, Rules
from carelane.store import Writer
from carelane.topology.model import Topology

__all__ = ["Desks"]


class Desks:
    """Call everything with the writer's turn."""

    def __init__(self, topology: Topology, rules: Rules) -> None:
        self._topology, self._rules = topology, rules
        self._desk: Desk | None = None
        self._mark: object = None
        self._write: Writer | None = None

    def of(self, write: Writer, requirements: Sequence[Requirement], now: datetime) -> Desk:
        """A desk that knows what is held as `write` sees it, and can decide these."""
        desk = self._desk
        if self._write is not write:
            # From here to `seal` the desk runs ahead of the store, so it counts only within this transaction.
            known = self._mark is not None and self._mark == self._mark_of(write)
            desk, self._mark, self._write = desk if known else None, None, write
        if desk is None or not desk.serves(requirements):
            desk = Desk.of(self._topology, write, now, self._rules)
        self._desk = desk
        return desk

    def seal(self, write: Writer) -> None:
        """The transaction is about to be committed, and the desk knows all that it changed."""
        if self._write is write:
            self._mark, self._write = self._mark_of(write), None

    def drop(self) -> None:
        """Something was rolled back: the desk may know of what is not."""
        self._desk = self._mark = self._write = None

    def _mark_of(self, write: Writer) -> object:
        return (write.holdings_mark(), write.drains(), self._rules.broken())
