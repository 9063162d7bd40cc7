"""What-if on the running network: the slices in force and their floors, asked on a copy."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from carelane.controller.pipeline.whatif import Baseline, Question, answer_json, ask
from carelane.controller.reconcile.holdings import Holdings
from carelane.topology.failure import Failure
from carelane.topology.model import Topology

__all__ = ["what_if"]


def what_if(
    topology: Topology, holdings: Holdings, failed: Collection[str], upgrades: Mapping[str, int]
) -> dict[str, Any]:
    """What each slice in force would become; `upgrades` in bit/s. Raises InputError for unknown names."""
    in_force = tuple(held.decision for held in holdings.slices if not held.retiring)
    question = Question(Failure.of(topology, failed, "fail"), upgrades=dict(upgrades))
    return answer_json(ask(Baseline(topology, in_force, holdings.ledger()), question))
