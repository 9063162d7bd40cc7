"""Views of one intent, from what the store and the topology say."""

from __future__ import annotations

from collections.abc import Sequence

from carelane.controller.pipeline import decision_json
from carelane.controller.pipeline.compile import compile_program
from carelane.controller.pipeline.identifiers import CookieKind, cookie_of
from carelane.controller.reconcile.holdings import Held, Holdings
from carelane.controller.views import (
    ConditionView,
    HistoryEntry,
    IntentDetail,
    IntentSummary,
    Placement,
    PortPlacement,
)
from carelane.errors import PermanentError
from carelane.store import Reader, StoredEvent, StoredIntent
from carelane.topology.model import Topology

__all__ = ["detail_of", "sharers_of", "step_of", "summary_of"]


def summary_of(intent: StoredIntent) -> IntentSummary:
    standing = intent.status.standing
    return IntentSummary(
        name=intent.name,
        tenant=intent.tenant,
        service=str(intent.manifest.get("spec", {}).get("service", "")),
        generation=intent.generation,
        observed_generation=intent.status.observed_generation,
        phase=standing.phase,
        reason=standing.reason,
        message=standing.message,
        created_at=intent.created_at,
        updated_at=intent.updated_at,
    )


def detail_of(
    topology: Topology,
    intent: StoredIntent,
    running: Held | None,
    history: Sequence[StoredEvent],
    beside: Sequence[tuple[str, str]] = (),
) -> IntentDetail:
    """`running` is the slice in force, if any; `beside` are those with whom it shares its backup, and their tenants."""
    return IntentDetail(
        summary=summary_of(intent),
        manifest=intent.manifest,
        conditions=tuple(
            ConditionView(item.type, item.status, item.reason, item.message, item.since)
            for item in intent.status.standing.conditions
        ),
        decision=intent.status.decision,
        running_generation=running.generation if running else None,
        running_decision=decision_json(running.decision, beside) if running else None,
        placement=_placement(topology, running) if running else None,
        history=tuple(map(step_of, history)),
        attempts=intent.status.attempts,
        next_retry_at=intent.status.next_retry_at,
    )


def sharers_of(topology: Topology, read: Reader, running: Held | None) -> tuple[tuple[str, str], ...]:
    """With whom a slice in force shares its backup, and whose they are."""
    if running is None or running.decision.backups != "shared":
        return ()
    return Holdings.of(read.slices()).standing.ledger(topology).sharing_with(running.name)


def step_of(event: StoredEvent) -> HistoryEntry:
    return HistoryEntry(event.id, event.at, event.phase_from, event.phase_to, event.reason, event.message)


def _placement(topology: Topology, running: Held) -> Placement:
    ids = running.ids
    return Placement(
        number=ids.number,
        queue=ids.number,
        cookie=cookie_of(CookieKind.SLICE, ids.number),
        labels=tuple(range(ids.first_label, ids.first_label + ids.labels)),
        meters=_meters(topology, running),
        ports=tuple(
            PortPlacement(node, number, towards, floor_bps)
            for (node, towards), floor_bps in sorted(running.floors.items())
            if node  # without a switch: the access line, which the sender loads and no queue of ours shapes
            and (number := _port_number(topology, node, towards)) is not None
        ),
    )


def _port_number(topology: Topology, node: str, towards: str) -> int | None:
    if towards in topology.links:
        return topology.links[towards].port_at(node)
    return topology.endpoints[towards].port if towards in topology.endpoints else None


def _meters(topology: Topology, running: Held) -> tuple[int, ...]:
    """Meters its program has; none while the slice does not fit the topology any longer."""
    try:
        program = compile_program(topology, [(running.decision, running.ids)])
    except PermanentError:
        return ()
    return tuple(sorted({meter.id for switch in program.values() for meter in switch.meters}))
