"""The periodic check of every switch against the store: our own state is repaired, strangers are reported.

It takes turns with reconciliation, so that what it finds different is drift and not a change under way. Slices
that are being changed are left to their own reconciliation.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from carelane.controller.reconcile.programmer import PassResult, Scope
from carelane.controller.reconcile.reconciler import Reconciler, View
from carelane.controller.reconcile.staging import Keeper
from carelane.errors import TransientError
from carelane.intents.lifecycle import Phase
from carelane.tracing import traced

__all__ = ["DriftCheck", "NodeCheck"]

log = structlog.get_logger("carelane.drift")


@dataclass(frozen=True, slots=True)
class NodeCheck:
    """What the last check of a switch found."""

    at: datetime
    repaired: int
    strangers: tuple[str, ...]
    mismatches: tuple[str, ...]
    error: str | None


class DriftCheck:
    """Thread-safe."""

    def __init__(self, reconciler: Reconciler, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._reconciler = reconciler
        self._now = now
        self._lock = threading.Lock()
        self._checks: dict[str, NodeCheck] = {}

    def last(self) -> Mapping[str, NodeCheck]:
        """The last check of each switch that was ever reached."""
        with self._lock:
            return dict(self._checks)

    @traced("switches.check")
    def run(self, nodes: Collection[str] | None = None) -> Mapping[str, NodeCheck]:
        """Check and repair these switches, all by default. Raises StoreUnavailable, NotLeader.

        Switches of a slice whose window has just opened or closed are left out: that is no drift, and the loop's work.
        """
        reconciler = self._reconciler
        wanted = reconciler.topology.nodes.keys() if nodes is None else nodes & reconciler.topology.nodes.keys()
        with reconciler.turn:
            with reconciler.store.read() as read:
                names = read.holders()
            view = reconciler.view(names)
            wanted = wanted - _turning(view)
            scope = self._scope(view)
            result = reconciler.programmer.run(view.desired.program, view.owners, scope, wanted)
        checks = {node: self._checked(node, result) for node in wanted}
        self._report(checks)
        self._ask_for_reconciliation(view, scope, result)
        return checks

    def _scope(self, view: View) -> Scope:
        """Slices at rest, what no slice owns, and the pipeline itself."""
        rest = (Phase.ACTIVE, Phase.DEGRADED, Phase.FAILED)
        moving = {held.name for held in view.holdings.slices if held.retiring}
        names = [name for name, intent in view.intents.items() if intent.phase in rest and name not in moving]
        return replace(self._reconciler.scope(view, names), keepers=frozenset(Keeper))

    def _checked(self, node: str, result: PassResult) -> NodeCheck:
        changed = result.changed.get(node)
        state = result.states.get(node)
        error = result.errors.get(node)
        return NodeCheck(
            at=self._now(),
            repaired=len(changed.operations) if changed else 0,
            strangers=state.strangers if state else (),
            mismatches=state.mismatches if state else (),
            error=str(error) if error else None,
        )

    def _report(self, checks: Mapping[str, NodeCheck]) -> None:
        """Strangers and errors are said once, when they change. What the first check adds is no drift: it is new."""
        metrics = self._reconciler.metrics
        with self._lock:
            prepared = [node for node, check in checks.items() if check.repaired and node not in self._checks]
            if prepared:
                log.info("switches prepared", switches=len(prepared), first=prepared[0])
            for node, check in checks.items():
                before = self._checks.get(node)
                if check.repaired and before is not None:
                    metrics.repairs.inc(check.repaired)
                    log.warning("drift repaired", node=node, entries=check.repaired)
                if check.error is not None and (before is None or before.error != check.error):
                    log.warning("switch not checked", node=node, error=check.error)
                known = before.strangers if before else ()
                if check.strangers != known:
                    log.warning("strangers on switch", node=node, strangers=list(check.strangers))
                metrics.strangers.labels(node).set(len(check.strangers))
                self._checks[node] = check

    def _ask_for_reconciliation(self, view: View, scope: Scope, result: PassResult) -> None:
        """Names whose switches disagree with their status come back; who is away is asked when it returns."""
        troubled = {node for node, error in result.errors.items() if not isinstance(error, TransientError)}
        troubled |= {node for node, state in result.states.items() if state.mismatches}
        doubtful = {name for name, nodes in scope.nodes.items() if not nodes.isdisjoint(troubled)}
        degraded = {name for name, intent in view.intents.items() if intent.phase is Phase.DEGRADED}
        self._reconciler.queue.add_idle(sorted(doubtful | degraded))


def _turning(view: View) -> frozenset[str]:
    """Switches of slices that the loop has not yet put on them, or taken off them, as their windows say."""
    nodes: set[str] = set()
    for name, intent in view.intents.items():
        runs = intent.phase in (Phase.ACTIVE, Phase.DEGRADED)
        opens = intent.phase is Phase.SUSPENDED and view.holdings.in_force(name) is not None
        if runs if name in view.waiting else opens:
            nodes |= view.holdings.nodes(name)
    return frozenset(nodes)
