"""Deciding slices in force anew, beside one another: for drains, repairs and re-optimisation."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from carelane.controller.pipeline.replan import carried_anyhow
from carelane.controller.reconcile.admission import Desk, Filing, Rules
from carelane.controller.reconcile.holdings import Held, Holdings
from carelane.intents.manifest import from_manifest
from carelane.policies.admission import AdmissionPolicy
from carelane.store import Reader
from carelane.topology.model import Topology

__all__ = ["Replanner"]


class Replanner:
    """Decides slices in force again without some links. Stores nothing.

    Each is decided beside what was decided before: of the `policy`, what holds for slices that are held. What is
    `broken`, and not among those links, is for those that have no place elsewhere.
    """

    def __init__(
        self,
        topology: Topology,
        without: Collection[str],
        reader: Reader,
        now: datetime,
        policy: AdmissionPolicy | None = None,
        broken: frozenset[str] = frozenset(),
    ) -> None:
        self._topology, self._without, self._reader, self._now = topology, without, reader, now
        self._rules = Rules(policy=None if policy is None else policy.lasting, broken=lambda: broken)
        self.forget()

    def decide(self, held: Held, *, anyhow: bool = False) -> Filing:
        """Word for word as promised, or `anyhow`: with less availability and protection, if it has any."""
        record, promised = self._reader.intent(held.name), held.decision.promised
        asked = carried_anyhow(promised) if anyhow else promised
        decision, ids = self._desk.decide(asked)
        if ids is not None and asked != promised:
            decision = replace(decision, owed=promised)
        floors = self._desk.decided.slice_floors(held.name) if ids else {}
        intent = from_manifest(record.manifest)
        return Filing(intent, record.manifest, record, "unchanged", decision, ids, floors, generation=held.generation)

    def forget(self) -> None:
        """What was decided last is not stored: begin again with what is."""
        holdings = Holdings.of(self._reader.slices())
        self._desk = Desk(self._topology, holdings, self._without, self._now, self._rules)
