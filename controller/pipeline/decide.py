"""Decide: one requirement, on what the ledger still has, becomes a decision and the ledger after it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from carelane.controller.pipeline.admit import Embedding, Row
from carelane.controller.pipeline.assumptions import model_assumptions
from carelane.controller.pipeline.offers import explain
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.rounding import PROMISED_DIGITS, floor_availability
from carelane.controller.pipeline.shared_backup import may_share, place
from carelane.controller.pipeline.slice_plan import Decision, PlannedPath, Reason, role_name
from carelane.topology.delay import seconds
from carelane.topology.ledger import CapacityLedger
from carelane.topology.paths import Effort, PathGraph, hops_of

__all__ = ["admitted", "attempt", "decide", "effort_for", "refused"]

EFFORT = 200_000
"""Search steps for one decision before it is given up as not proven: a few seconds."""
ONE_AT_A_TIME = (
    "shared backup: it counts as up only while no primary of those it shares with is down; after a second failure it "
    "may find less than its floor"
)
SITE_EFFORT = 1_000
"""More of them for each site."""


def effort_for(requirement: Requirement) -> Effort:
    """What a decision on `requirement` may cost."""
    return Effort(EFFORT + SITE_EFFORT * len(requirement.pairs))


def decide(graph: PathGraph, requirement: Requirement, ledger: CapacityLedger) -> tuple[Decision, CapacityLedger]:
    """The decision, and the ledger after it: with the slice, or unchanged after a refusal."""
    effort = effort_for(requirement)
    embedding = place(graph, requirement, ledger, effort)
    if embedding is None:
        return refused(graph, requirement, ledger, effort.exhausted), ledger
    return admitted(graph, requirement, embedding, effort.exhausted), embedding.held(ledger, requirement)


def attempt(
    graph: PathGraph, requirement: Requirement, ledger: CapacityLedger
) -> tuple[Decision, CapacityLedger] | None:
    """`decide` without reasons: None where there is no place, or none was found in time."""
    effort = effort_for(requirement)
    embedding = place(graph, requirement, ledger, effort)
    if embedding is None:
        return None
    return admitted(graph, requirement, embedding, effort.exhausted), embedding.held(ledger, requirement)


def refused(graph: PathGraph, requirement: Requirement, ledger: CapacityLedger, exhausted: bool = False) -> Decision:
    """The refusal of a requirement that has no embedding beside `ledger`, with its reasons and offers there."""
    why = explain(graph, requirement, ledger)
    return Decision(
        requirement,
        admitted=False,
        reasons=why.reasons,
        offers=why.offers,
        assumptions=(*requirement.assumptions, *model_assumptions(graph, requirement, None)),
        proven=why.proven and not exhausted and not (may_share(requirement) and _is_of_room(why.reasons)),
    )


def _is_of_room(reasons: Sequence[Reason]) -> bool:
    """Whether more room would help: what other pairs of paths could share is not searched to the end."""
    return any(reason.constraint == "bandwidth" for reason in reasons)


def admitted(graph: PathGraph, requirement: Requirement, embedding: Embedding, exhausted: bool = False) -> Decision:
    """The promise that an embedding is."""
    availability = embedding.availability
    return Decision(
        requirement,
        admitted=True,
        paths=tuple(_path(embedding, row, requirement) for row in embedding.rows),
        availability=None if availability is None else floor_availability(availability, PROMISED_DIGITS),
        assumptions=(
            *requirement.assumptions,
            *model_assumptions(graph, requirement, embedding),
            *((ONE_AT_A_TIME,) if embedding.standby is not None else ()),
        ),
        proven=not exhausted,
        backups="dedicated" if embedding.standby is None else "shared",
    )


def _path(embedding: Embedding, row: Row, requirement: Requirement) -> PlannedPath:
    """A row as seen from source to destination."""
    shape = embedding.shape
    leaf = shape.leaves[row.leaf]
    source, to = (shape.root, leaf) if shape.rooted_at_source else (leaf, shape.root)
    route = row.route if shape.rooted_at_source else row.route.reversed()
    forward, reverse = (row.down, row.up) if shape.rooted_at_source else (row.up, row.down)
    queueing = max(bound.queueing_ps for bound in (forward, reverse))
    known = row.propagation_ps
    round_trip = None
    if requirement.objectives.round_trip and known is not None:
        round_trip = seconds(2 * known + forward.queueing_ps + reverse.queueing_ps)
    return PlannedPath(
        role=role_name(row.role),
        source=source.id,
        to=to.id,
        nodes=route.nodes,
        hops=hops_of(route),
        reserved_bps=forward.rate_bps,
        reverse_bps=reverse.rate_bps,
        delay_bound_s=None if known is None else seconds(known + queueing),
        propagation_s=None if known is None else seconds(known),
        jitter_bound_s=seconds(queueing),
        round_trip_bound_s=round_trip,
    )
