"""What-if on the running network: the slices in force and their floors, asked on a copy."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from carelane.controller.pipeline.whatif import Baseline, Question, added, answer_json, ask
from carelane.controller.reconcile.holdings import Holdings
from carelane.policies.admission import AdmissionPolicy
from carelane.topology.failure import Failure
from carelane.topology.model import Topology

__all__ = ["Asked", "what_if"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as callers put it: ids of what fails and of what is drained, new capacities of links in bit/s, and
    lines of intents in addition."""

    failed: Collection[str] = ()
    drained: Collection[str] = ()
    upgrades: Mapping[str, int] = field(default_factory=dict)
    lines: Sequence[str] = ()


def what_if(
    topology: Topology, holdings: Holdings, asked: Asked, policy: AdmissionPolicy | None = None
) -> dict[str, Any]:
    """What each slice in force would become, and what `policy`, by which `topology` is bounded, lets be added.

    Raises InputError for unknown names and for a faulty line.
    """
    in_force = tuple(held.decision for held in holdings.slices if not held.retiring)
    question = Question(
        Failure.of(topology, asked.failed, "fail"),
        Failure.of(topology, asked.drained, "drain"),
        dict(asked.upgrades),
        added(asked.lines, {decision.name for decision in in_force}, topology),
    )
    return answer_json(ask(Baseline(topology, in_force, holdings.ledger(topology), policy), question))
