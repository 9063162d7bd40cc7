"""Filing and changing intents over the store, many at once."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.reconcile.admission import Desk, Rules, propose
from carelane.controller.reconcile.desks import Desks
from carelane.controller.reconcile.filing import record
from carelane.controller.reconcile.group import Group
from carelane.controller.reconcile.reconciler import Reconciler
from carelane.controller.views import ApplyResult
from carelane.intents.model import ServiceIntent
from carelane.store import StoredIntent, Writer
from carelane.topology.model import Topology

__all__ = ["AlsoFiled", "Filings"]

AlsoFiled = Callable[[Writer, tuple[ApplyResult, ...], Mapping[str, StoredIntent]], None]
"""Runs with a filing: the transaction, what came of it, and the intents of these names, and of those that
were displaced, as they were before."""
Value = TypeVar("Value")

_LULL_S = 0.25
"""In a rush, those who were answered send again within so long: between two transactions nobody is under way."""


class Filings:
    """Thread-safe. Filings that wait at the same time share a transaction; see `Group`."""

    def __init__(self, topology: Topology, reconciler: Reconciler, rules: Rules, now: Callable[[], datetime]) -> None:
        self._topology, self._reconciler, self._rules, self._now = topology, reconciler, rules, now
        self._desks = Desks(topology, rules)
        self._group = Group(reconciler.store, seal=self._desks.seal, undone=self._desks.drop)
        self._underway = 0
        self._last = -math.inf
        self._rushing = False
        self._hurried = False
        self._calm = threading.Condition()

    def apply(
        self, intents: Sequence[ServiceIntent], also: AlsoFiled | None, *, consent: bool = False
    ) -> tuple[ApplyResult, ...]:
        """File all of them or none; with `consent` others go for them where policy lets that be.

        Raises InputError, ConflictError, StoreUnavailable, and what `also` raises.
        """
        return self._run(lambda _write: intents, also, consent=consent)

    def change(self, name: str, make: Callable[[StoredIntent], ServiceIntent], also: AlsoFiled | None) -> ApplyResult:
        """File what `make` makes of the intent as it is now. Raises NotFoundError, and what `make` raises."""
        return self._run(lambda write: [make(write.intent(name))], also)[0]

    def file(
        self, write: Writer, intents: Sequence[ServiceIntent], *, consent: bool = False
    ) -> tuple[tuple[ApplyResult, ...], Mapping[str, StoredIntent]]:
        """Decide and store, within a transaction: what came of it, and all that it touches as it was before."""
        before = {intent.name: found for intent in intents if (found := write.find(intent.name)) is not None}
        now = self._now()

        def desk_for(requirements: Sequence[Requirement]) -> Desk:
            return self._desks.of(write, requirements, now)

        rules = replace(self._rules, consent=consent)
        filings = propose(self._topology, write, intents, rules, desk_for, now=now)
        for victim in (victim.name for filing in filings for victim in filing.victims):
            if victim not in before and (found := write.find(victim)) is not None:
                before[victim] = found
        return tuple(record(write, filing, now) for filing in filings), before

    @property
    def busy(self) -> bool:
        """Whether filings are under way or, in a rush, will be in a moment."""
        return self._unrest_s() > 0

    def await_calm(self, timeout_s: float) -> None:
        """Return once no filing is under way, nor is likely to be in a moment, or after `timeout_s`.

        A pass of the loop costs nearly the same for one name as for many and shares a processor with the planner, so
        that under load it is better to let filings pile up for a moment.
        """
        end = time.monotonic() + timeout_s
        with self._calm:
            while not self._hurried and (left_s := min(self._unrest_s(), end - time.monotonic())) > 0:
                self._calm.wait(left_s)
            self._hurried = False

    def _unrest_s(self) -> float:
        if self._underway:
            return math.inf
        return self._last + _LULL_S - time.monotonic() if self._rushing else 0.0

    def hurry(self) -> None:
        """Something on the switches changed: `await_calm` lets its caller go on at once."""
        with self._calm:
            self._hurried = True
            self._calm.notify_all()

    def _run(
        self,
        make: Callable[[Writer], Sequence[ServiceIntent]],
        also: AlsoFiled | None,
        *,
        consent: bool = False,
    ) -> tuple[ApplyResult, ...]:
        def work(write: Writer) -> tuple[ApplyResult, ...]:
            results, before = self.file(write, make(write), consent=consent)
            if also is not None:
                also(write, results, before)
            return results

        with self._calm:  # under way from the moment it waits
            self._rushing = self.busy
            self._underway += 1
        try:
            results = self._group.run(work)
        finally:
            with self._calm:
                self._underway -= 1
                self._last = time.monotonic()
                self._calm.notify_all()
        self._reconciler.queue.add([name for result in results for name in (*result.preempted, result.name)])
        return results
