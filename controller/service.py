"""The one door of REST, gRPC and the command line to carelane: thread-safe, typed, without a web framework."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from carelane.controller._describe import detail_of, sharers_of, step_of, summary_of
from carelane.controller._filings import AlsoFiled, Filings
from carelane.controller._switch_views import link_mismatches, switch_views
from carelane.controller._upkeep import LEAST_GAIN, AlsoDrained, AlsoMoved, DrainResult, Upkeep
from carelane.controller._verification import Verification, verify_network
from carelane.controller._whatif import Asked, what_if
from carelane.controller.leadership import Leadership, Place, Standing
from carelane.controller.pipeline import decision_json, plan_json, resolve
from carelane.controller.pipeline.changes import SwitchChanges
from carelane.controller.pipeline.diff import diff
from carelane.controller.reconcile.access import AccessControl, close, refused_for_access
from carelane.controller.reconcile.admission import Rules, dry_run, propose
from carelane.controller.reconcile.desired import desired_program
from carelane.controller.reconcile.drift import DriftCheck
from carelane.controller.reconcile.filing import withdraw
from carelane.controller.reconcile.holdings import Held, Holdings
from carelane.controller.reconcile.metrics import ReconcileMetrics
from carelane.controller.reconcile.reconciler import Reconciler
from carelane.controller.reconcile.reoptimise import Aim, Reoptimised
from carelane.controller.southbound.protocol import Doorkeeper
from carelane.controller.telemetry.compliance import IntentCompliance
from carelane.controller.telemetry.containment import Offence
from carelane.controller.telemetry.loop import TelemetryLoop
from carelane.controller.telemetry.metrics import TelemetryMetrics
from carelane.controller.telemetry.probes import ProbeReport
from carelane.controller.telemetry.sharing import Observation
from carelane.controller.views import (
    ApplyResult,
    Health,
    HistoryEntry,
    IntentDetail,
    IntentSummary,
    LinkAvoided,
    LinkMismatch,
    SwitchView,
    owned,
)
from carelane.errors import NotLeader, StoreUnavailable, SwitchUnreachable
from carelane.intents.lifecycle import SETTLED, Phase
from carelane.intents.manifest import from_manifest
from carelane.intents.model import ServiceIntent
from carelane.policies.admission import AdmissionPolicy
from carelane.store import Reader, Store, StoredDrain, StoredIntent, Writer
from carelane.topology.model import Topology
from carelane.tracing import traced

__all__ = ["AlsoFiled", "AlsoWithdrawn", "IntentService"]

_POLL_S = 0.05
AlsoWithdrawn = Callable[[Writer, IntentSummary, StoredIntent], None]


class IntentService:
    """Every method may be called from any thread. Errors come from `carelane.errors`; a refusal is not one.

    `topology` is bounded by `policy` already. `faults` tells what is wrong with the process that should be doing the
    work (nothing: an empty answer).
    """

    def __init__(
        self,
        topology: Topology,
        reconciler: Reconciler,
        drift: DriftCheck,
        *,
        faults: Callable[[], Sequence[str]] = tuple,
        telemetry: TelemetryLoop | None = None,
        upkeep: Upkeep | None = None,
        access: AccessControl | None = None,
        leadership: Leadership | None = None,
        policy: AdmissionPolicy | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.topology = topology
        self._reconciler = reconciler
        self._store = reconciler.store
        self._southbound = reconciler.southbound
        self._drift = drift
        self._faults = faults
        self._telemetry = telemetry
        self._leadership = leadership
        self._now = now
        self.upkeep = upkeep or Upkeep(reconciler, now, policy=policy)
        self.access = access or AccessControl(topology, None, now)
        self.policy = policy
        self.filings = Filings(self.topology, reconciler, self._rules(), now)

    @property
    def standing(self) -> Standing:
        """Whether this controller acts, and who does if not."""
        return Standing("single", None, None) if self._leadership is None else self._leadership.standing

    @property
    def controllers(self) -> tuple[Place, ...]:
        """Every controller of this network, the leader first."""
        return () if self._leadership is None else self._leadership.places()

    def require_leader(self) -> None:
        """Raises NotLeader where only the controller that acts can answer."""
        standing = self.standing
        if not standing.acts:
            raise NotLeader(standing.leader)

    @property
    def metrics(self) -> ReconcileMetrics:
        """A Prometheus collector of what the loop does; register it with the registry that `/metrics` serves."""
        return self._reconciler.metrics

    @property
    def telemetry_metrics(self) -> TelemetryMetrics | None:
        """A Prometheus collector of what the closed loop measures and does; None where nothing is measured."""
        return self._telemetry.metrics if self._telemetry else None

    def compliance(self, name: str) -> IntentCompliance | None:
        """Promised and measured, objective by objective; None while there is no slice of it or nothing is measured."""
        return self._telemetry.compliance_of(name) if self._telemetry else None

    def sources(self) -> tuple[Observation, ...]:
        """What each site of each slice sent in the last epoch, wants, and may send."""
        outcome = self._telemetry.outcome if self._telemetry else None
        return outcome.observations if outcome else ()

    def offences(self) -> tuple[Offence, ...]:
        """Sources that are held at their own port now, and why."""
        return self._telemetry.offences() if self._telemetry else ()

    def report_probe(self, report: ProbeReport) -> None:
        """Take what a probe at a site measured. Raises NotFoundError for a slice that is not there."""
        with self._store.read() as read:
            read.intent(report.slice)
        if self._telemetry is not None:
            self._telemetry.report(report)

    @property
    def store(self) -> Store:
        """For what is not an intent: keys, audit, kept answers, sessions."""
        return self._store

    @traced("intents.apply")
    def apply(
        self, intents: Sequence[ServiceIntent], *, preempt: bool = False, also: AlsoFiled | None = None
    ) -> tuple[ApplyResult, ...]:
        """File intents, decided in order in one transaction; refusals are results.

        With `preempt`, less important slices go where the admission policy lets that be: in the same transaction they
        are refused, and the loop takes them off the switches.

        An intent that is filed already, word for word, stays as it is. `also` runs in the same transaction, so that
        what it writes is there exactly when the filing is. Raises InputError (nothing of the file is taken),
        ConflictError (a name of another tenant), StoreUnavailable.
        """
        return self.filings.apply(intents, also, consent=preempt)

    @traced("intents.apply")
    def change(
        self, name: str, make: Callable[[StoredIntent], ServiceIntent], *, also: AlsoFiled | None = None
    ) -> ApplyResult:
        """File what `make` makes of the intent as it is now, in one transaction: no update between is lost.

        `make` may raise, which changes nothing. Raises NotFoundError, and what `apply` raises.
        """
        return self.filings.change(name, make, also)

    def _rules(self, preempt: bool = False) -> Rules:
        return Rules(self.access, self.policy, preempt, lambda: self._reconciler.broken)

    @traced("intents.plan")
    def plan(
        self, intents: Sequence[ServiceIntent], *, optimize: bool = False, preempt: bool = False
    ) -> Mapping[str, Any]:
        """Dry run against what is admitted now; the contract's plan JSON. Stores nothing. Raises InputError.

        Who would have to go is named, with `preempt` as if that were consented to.
        """
        with self._store.read() as read:
            now = self._now()
            found = dry_run(self.topology, read, intents, optimize=optimize, now=now, rules=self._rules(preempt))
        return plan_json(self.topology, found)

    @traced("intents.explain")
    def explain(self, name: str, *, tenant: str | None = None) -> Mapping[str, Any] | None:
        """The decision on an intent as the contract's JSON, None while there is none; with `tenant`, only its own.

        A refusal comes with the remedies there are now (`fits_now`: none is needed any more). Raises NotFoundError.
        """
        with self._store.read() as read:
            intent = owned(read.intent(name), tenant)
            decided = intent.status.decision
            if decided is None or decided["decision"] == "admitted" or intent.deleted_at is not None:
                return decided
            asked, moment = [from_manifest(intent.manifest)], self._now()
            result = dry_run(self.topology, read, asked, optimize=False, now=moment, rules=self._rules())
        now = decision_json(result.decisions[0])
        if now["decision"] == "admitted":
            return {**decided, "remedies": [], "remedies_searched": "whole", "fits_now": True}
        return {**decided, "remedies": now["remedies"], "remedies_searched": now["remedies_searched"]}

    @traced("planner.what_if")
    def what_if(self, asked: Asked) -> Mapping[str, Any]:
        """What would become of the slices in force; nothing is changed, and nobody goes for what is added.

        Raises InputError for unknown names.
        """
        return what_if(self.topology, self.holdings(), asked, self._rules().consented)

    @traced("intents.diff")
    def diff(self, intents: Sequence[ServiceIntent] = ()) -> tuple[SwitchChanges, ...]:
        """What `apply` would send to each switch (without intents: what a repair would send). Sends nothing.

        Raises InputError, SwitchUnreachable when a switch that would change cannot be read, and NotLeader.
        """
        self.require_leader()
        with self._store.read() as read:
            failed = read.in_phase((Phase.FAILED,))
            holdings = Holdings.of(read.slices())
            proposed = self._proposed(read, holdings, intents)
            avoid = self._reconciler.avoid(read)
        ceilings = self._reconciler.ceilings
        out = failed | self._reconciler.idle(holdings)
        before = desired_program(self.topology, holdings, out, ceilings, avoid=avoid).program
        out = (failed - {intent.name for intent in intents}) | self._reconciler.idle(proposed)
        after = desired_program(self.topology, proposed, out, ceilings, avoid=avoid).program
        changes: list[SwitchChanges] = []
        for node in self.topology.nodes:
            try:
                changes.append(diff(self._southbound.read(node).own, after[node]))
            except SwitchUnreachable:
                if before[node] != after[node]:
                    raise
        return tuple(item for item in changes if item)

    def drain(self, target: str, *, force: bool = False, also: AlsoDrained | None = None) -> DrainResult:
        """Take a link or switch out of service; what uses it moves without loss. Wait for the names to be Active.

        `also` runs in the same transaction.
        Raises NotFoundError, or ConflictError when slices would be left without a path (unless forced).
        """
        return self.upkeep.drain(target, force=force, also=also)

    def undrain(self, target: str, *, also: AlsoDrained | None = None) -> DrainResult:
        """Put it back into service. Raises NotFoundError when it is not drained."""
        return self.upkeep.undrain(target, also=also)

    def reoptimise(
        self, aim: Aim = "shorter", *, gain: float = LEAST_GAIN, dry_run: bool = False, also: AlsoMoved | None = None
    ) -> Reoptimised:
        """Move slices, without loss, to where the network now carries them better (`reconcile.reoptimise`); `also` runs
        in the same transaction, unless it is a dry run. Raises InputError for a `gain` outside 1% to 100%."""
        return self.upkeep.reoptimise(aim, gain=gain, dry_run=dry_run, also=also)

    def drains(self) -> tuple[StoredDrain, ...]:
        """What is out of service on purpose."""
        return self.upkeep.drains()

    def verify(self) -> Verification:
        """Read every switch and prove on what is found there that each slice gets what it was promised.

        Slices that are being changed meanwhile may show as faults; `moving` names them. Raises NotLeader: others do
        not know the ceilings.
        """
        self.require_leader()
        with self._store.read() as read:
            failed = read.in_phase((Phase.FAILED,))
            holdings = Holdings.of(read.slices())
            avoid = self._reconciler.avoid(read)
        out = failed | self._reconciler.idle(holdings)
        return verify_network(self.topology, self._southbound, holdings, out, self._reconciler.ceilings, avoid)

    def list(
        self,
        *,
        tenant: str | None = None,
        names: Collection[str] | None = None,
        withdrawn: bool = False,
        phases: Collection[Phase] | None = None,
        service: str | None = None,
        prefix: str = "",
        after: str | None = None,
        limit: int | None = None,
    ) -> tuple[IntentSummary, ...]:
        """Intents by name, withdrawn ones only on request; `after` and `limit` page through them."""
        if phases is None and not withdrawn:
            phases = [phase for phase in Phase if phase is not Phase.WITHDRAWN]
        with self._store.read() as read:
            intents = read.intents(
                names=names, tenant=tenant, phases=phases, service=service, prefix=prefix, after=after, limit=limit
            )
        return tuple(map(summary_of, intents))

    def describe(self, name: str, *, tenant: str | None = None) -> IntentDetail:
        """Everything about one intent; with `tenant`, only if it is that tenant's. Raises NotFoundError."""
        with self._store.read() as read:
            intent = owned(read.intent(name), tenant)
            running, history = Holdings.of(read.slices(name)).in_force(name), read.history(name, tenant=intent.tenant)
            beside = sharers_of(self.topology, read, running)
        detail = detail_of(self.topology, intent, running, history, beside)
        return replace(detail, compliance=self._telemetry.compliance_of(name) if self._telemetry else None)

    def enforce_access(self) -> tuple[str, ...]:
        """Names whose access the policy closed or opened since: closed slices go, refused intents are decided anew."""
        if self.access.policy is None:
            return ()
        with self._store.write() as write:
            held = [item for item in Holdings.of(write.slices()).slices if not item.retiring]
            closing = [(item, why) for item in held if (why := self.access.violation(item.decision.requirement))]
            refused = [item for item in write.intents(phases=(Phase.REFUSED,)) if refused_for_access(item)]
            wanted = [from_manifest(item.manifest) for item in refused]
            opening = [item for item in wanted if self.access.violation(resolve(item, self.topology)) is None]
            for item, why in closing:
                close(write, item, why, self._now())
            if opening:
                self.filings.file(write, opening)
        names = (*(item.name for item, _ in closing), *(item.name for item in opening))
        self._reconciler.queue.add(names)
        return names

    def history(
        self, name: str, *, tenant: str | None = None, before_id: int | None = None, limit: int = 100
    ) -> tuple[HistoryEntry, ...]:
        """Steps of an intent, newest first, since it is its present tenant's. Raises NotFoundError."""
        with self._store.read() as read:
            intent = owned(read.intent(name), tenant)
            found = read.history(name, limit, tenant=intent.tenant, before_id=before_id)
        return tuple(step_of(event) for event in reversed(found))

    def holdings(self) -> Holdings:
        """Everything that is held now, retiring slices included."""
        with self._store.read() as read:
            return Holdings.of(read.slices())

    @traced("intents.delete")
    def delete(
        self, name: str, *, check: Callable[[StoredIntent], None] | None = None, also: AlsoWithdrawn | None = None
    ) -> IntentSummary:
        """Withdraw; doing it again changes nothing. `check` may raise. Raises NotFoundError."""
        with self._store.write() as write:
            before = write.intent(name)
            if check is not None:
                check(before)
            intent = withdraw(write, name, self._now())
            if also is not None:
                also(write, summary_of(intent), before)
        self._reconciler.queue.add([name])
        return summary_of(intent)

    def wait(self, names: Sequence[str], timeout_s: float) -> tuple[IntentSummary, ...]:
        """Until every name has settled on its latest generation, or time is up. Raises NotFoundError."""
        end = time.monotonic() + timeout_s
        while True:
            with self._store.read() as read:
                found = [read.intent(name) for name in names]
            settled = [i.phase in SETTLED and i.status.observed_generation >= i.generation for i in found]
            if all(settled) or time.monotonic() >= end:
                return tuple(summary_of(intent) for intent in found)
            time.sleep(_POLL_S)

    def switches(self) -> tuple[SwitchView, ...]:
        """Every declared switch, and undeclared ones that connected, with what the last check found."""
        return switch_views(self._southbound, self._drift)

    def refusals(self) -> Mapping[str, int]:
        """Connections of switches that were refused, by reason."""
        return self._southbound.refusals() if isinstance(self._southbound, Doorkeeper) else {}

    def link_mismatches(self) -> tuple[LinkMismatch, ...]:
        """Discovery against the declared topology. Links of a port that is down, or of a switch that is away, cannot
        be seen and are no mismatch. Only the controller that acts discovers any."""
        return link_mismatches(self.topology, self._southbound) if self.standing.acts else ()

    def links_avoided(self) -> tuple[LinkAvoided, ...]:
        """Links that do not work, or did not lately. Only the controller that acts avoids any."""
        dead, avoided = self._reconciler.dead, self._reconciler.broken if self.standing.acts else ()
        return tuple(LinkAvoided(link, link not in dead) for link in sorted(avoided))

    def health(self) -> Health:
        """`live` while the threads of the controller work, `ready` while intents can be stored and acted on."""
        faults = tuple(self._faults())
        reasons = list(faults)
        try:
            self._store.check()
        except StoreUnavailable as error:
            reasons.append(str(error))
        return Health(live=not faults, ready=not reasons, reasons=tuple(reasons))

    def _proposed(self, read: Reader, holdings: Holdings, intents: Sequence[ServiceIntent]) -> Holdings:
        """What would be held if these intents were filed now."""
        slices = {held.name: held for held in holdings.slices if not held.retiring}
        for filing in propose(self.topology, read, intents, self._rules(), now=self._now()):
            if filing.decision is not None and filing.ids is not None:
                name = filing.intent.name
                slices[name] = Held(0, name, 0, False, filing.ids, filing.decision, filing.floors)
        return Holdings(tuple(slices.values()))
