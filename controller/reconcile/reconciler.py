"""The loop: given names, and nothing else, make the switches carry what the store says, and say what became of it.

A pass never asks what happened; it compares. It reads the stored slices (all of them: the program of a switch is
computed from everything that is to be on it), reads the switches on which the given names live or lived, carries
out the differences that belong to these names, reads back, and writes down how each name stands. A crash anywhere
loses nothing, because the next pass for the same name starts from the same two facts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import structlog

from carelane.controller.pipeline.ceilings import NO_CEILINGS, Ceilings, with_ceilings
from carelane.controller.reconcile.desired import Compiler, Desired
from carelane.controller.reconcile.drains import drained_links
from carelane.controller.reconcile.holdings import Holdings, nodes_of
from carelane.controller.reconcile.metrics import ReconcileMetrics
from carelane.controller.reconcile.programmer import PassResult, Programmer, Scope
from carelane.controller.reconcile.promise import judge_promise
from carelane.controller.reconcile.queue import WorkQueue
from carelane.controller.reconcile.room import blockers
from carelane.controller.reconcile.schedules import Alarm, next_turn, outside, waiting
from carelane.controller.reconcile.staging import Owners
from carelane.controller.reconcile.standing import Finding, moved
from carelane.controller.reconcile.turn import Turn
from carelane.controller.reconcile.verdict import Evidence, Verdict, judge
from carelane.controller.southbound.protocol import Southbound, SwitchStatus
from carelane.errors import CarelaneError, PermanentError
from carelane.intents.lifecycle import INSTALLED, KEPT, Phase
from carelane.store import Reader, Store, StoredIntent, Writer
from carelane.topology.model import Topology
from carelane.tracing import following, request_fields

__all__ = ["Reconciler", "View"]

log = structlog.get_logger("carelane.reconcile")


@dataclass(frozen=True, slots=True)
class View:
    """One state of the store, and what it asks of the switches `at` a moment, without the slices that are `waiting`
    for their windows, or past them."""

    holdings: Holdings
    intents: Mapping[str, StoredIntent]
    desired: Desired
    owners: Owners
    waiting: frozenset[str]
    at: datetime

    def nodes(self, topology: Topology, name: str) -> frozenset[str]:
        """Declared switches that concern a name."""
        return self.holdings.nodes(name) & topology.nodes.keys()

    def needs(self, topology: Topology, name: str) -> frozenset[str]:
        """Declared switches without which the slice in force does not work; none when no slice is, or it waits."""
        in_force = None if name in self.waiting else self.holdings.in_force(name)
        return nodes_of(in_force.decision) & topology.nodes.keys() if in_force else frozenset()


class Reconciler:
    """Thread-safe; passes take turns, with each other and with drift checks, under `turn`."""

    def __init__(
        self,
        store: Store,
        southbound: Southbound,
        topology: Topology,
        *,
        queue: WorkQueue | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.store = store
        self.southbound = southbound
        self.topology = topology
        self.queue = queue or WorkQueue()
        self.metrics = ReconcileMetrics(self.queue.depth)
        self.turn = Turn()
        self.programmer = Programmer(southbound, self.turn)
        self.ceilings = NO_CEILINGS
        self.broken: frozenset[str] = frozenset()
        self.dead: frozenset[str] = frozenset()
        self.waiting: frozenset[str] = frozenset()
        self._alarm = Alarm()
        self._compiler = Compiler(topology)
        self.observe: Callable[[str], tuple[Finding, ...]] = lambda _: ()
        self._now = now

    def close(self) -> None:
        """Wait for the pass that is under way; none follows."""
        self.queue.close()
        with self.turn:
            self.programmer.close()

    def enqueue_all(self) -> None:
        """Every name that holds anything or waits for something, as after a start."""
        with self.store.read() as read:
            names = read.holders()
        self.queue.add(sorted(names))

    def enqueue_unfinished(self) -> None:
        """Names that another process filed or withdrew, or that were forgotten; those under way are left alone."""
        unfinished = (Phase.REQUESTED, Phase.ADMITTED, Phase.INSTALLING, Phase.WITHDRAWING)
        with self.store.read() as read:
            names = read.in_phase(unfinished) | read.holders(retiring=True)
        self.queue.add_idle(sorted(names))

    def enqueue_nodes(self, nodes: Collection[str]) -> None:
        """Every name that lives on one of these switches."""
        with self.store.read() as read:
            holdings = Holdings.of(read.slices())
        names = {held.name for held in holdings.slices if not holdings.nodes(held.name).isdisjoint(nodes)}
        self.queue.add(sorted(names))

    def follow_schedules(self) -> tuple[str, ...]:
        """Put names in the queue whose windows have opened or closed; asked often, it costs nothing in between."""
        now = self._now()
        if not self._alarm.rings(now):
            return ()
        try:
            with self.store.read() as read:
                slices = [held for held in Holdings.of(read.slices()).slices if not held.retiring]
                names = {held.name for held in slices if held.decision.requirement.schedule is not None}
                intents = read.intents(names=names)
        except CarelaneError:
            self._alarm.set(now)
            raise
        self._alarm.set(next_turn(slices, now))
        closed = waiting(self.topology, slices, now)
        due = sorted(i.name for i in intents if (i.name in closed) != (i.phase is Phase.SUSPENDED))
        self.queue.add(due)
        return tuple(due)

    def idle(self, holdings: Holdings) -> frozenset[str]:
        """Names of slices in force whose window is closed now."""
        return waiting(self.topology, holdings.slices, self._now())

    def work(self, timeout_s: float | None = None) -> bool:
        """Take what is ready and reconcile it; False when there was nothing within `timeout_s`."""
        names = self.queue.take(timeout_s)
        if not names:
            return False
        try:
            with following("reconcile", self.queue.origins(names)):
                self.reconcile(names)
        except CarelaneError as error:
            log.warning("reconcile failed", names=sorted(names), error=str(error), kind=type(error).__name__)
            self._retry_all(names)
        except Exception:
            log.exception("reconcile broke", names=sorted(names))
            self._retry_all(names)
        return True

    def reconcile(self, names: Collection[str]) -> None:
        """One pass over these names; what switches do ends in the names' conditions.

        Raises StoreUnavailable, and NotLeader when the term ends meanwhile.
        """
        started = time.monotonic()
        with self.turn:
            view = self.view(names)
            starting = [name for name, intent in view.intents.items() if _waits_for_room(view, intent)]
            blocked = blockers(self.topology, view.holdings, starting, view.at)
            names = frozenset(names) - blocked.keys()
            self._note_installing(view, blocked.keys())
            result = self._run(view, names)
            rejected = self._rejected(view, names, result)
            self._settle(view, names - rejected, result)
            for name in sorted(rejected):
                # One of them is at fault; alone, each meets only its own errors.
                self._settle(view, frozenset({name}), self._run(view, {name}))
            self._defer(blocked, names)
        self.metrics.time.observe(time.monotonic() - started)

    def shape(self, ceilings: Ceilings) -> PassResult:
        """Make these ceilings part of what is desired, and carry out what that changes, where it changes.

        The switches concerned are read, changed and read again as in any other pass; one that cannot be reached gets
        its ceilings when it is next checked for drift. Raises StoreUnavailable, and the ceilings stay as they were, or
        NotLeader when the term ends meanwhile.
        """
        with self.turn:
            with self.store.read() as read:
                names = read.in_phase((Phase.ACTIVE, Phase.DEGRADED))
            view = self.view(names)
            before = view.desired.program
            after = with_ceilings(view.desired.compiled, ceilings)
            self.ceilings = ceilings
            nodes = [node for node in after if after[node] != before[node]]
            return self.programmer.run(after, view.owners, self.scope(view, names), nodes)

    def view(self, names: Collection[str]) -> View:
        """What the store holds and asks for now, proven; for the holder of `turn`. The next window is listened for.

        Raises StoreUnavailable, or ProgramError where the program fails verification and no slice is to blame.
        """
        with self.store.read() as read:
            holdings = Holdings.of(read.slices())
            failed = {intent.name for intent in read.intents(phases=(Phase.FAILED,))}
            intents = {intent.name: intent for intent in read.intents(names=names)}
            avoid = self.avoid(read)
        now = self._now()
        closed = waiting(self.topology, holdings.slices, now)
        self._alarm.set(next_turn(holdings.slices, now))
        desired = self._compiler.desired(holdings, failed | closed, self.ceilings, avoid)
        self.waiting = closed
        return View(holdings, intents, desired, Owners.of(holdings), closed, now)

    def avoid(self, read: Reader) -> frozenset[str]:
        """Links that carry traffic only where there is no other path: `broken` and drained ones."""
        return self.broken | drained_links(self.topology, read.drains())

    def scope(self, view: View, names: Collection[str]) -> Scope:
        """The declared switches of these names."""
        nodes = {name: view.nodes(self.topology, name) for name in names}
        needs = {name: view.needs(self.topology, name) for name in names}
        return Scope(nodes, needs)

    def _run(self, view: View, names: Collection[str]) -> PassResult:
        scope = self.scope(view, names)
        return self.programmer.run(view.desired.program, view.owners, scope, scope.switches())

    def _rejected(self, view: View, names: Collection[str], result: PassResult) -> frozenset[str]:
        """Names that share a switch's permanent error with others, so that the culprit is not known."""
        refusing = {node for node, error in result.errors.items() if isinstance(error, PermanentError)}
        concerned = [name for name in names if not refusing.isdisjoint(view.nodes(self.topology, name))]
        return frozenset(concerned if len(concerned) > 1 else ())

    def _defer(self, blocked: Mapping[str, frozenset[str]], worked_on: Collection[str]) -> None:
        """These come back: at once where all that they wait for was worked on just now, else after a while."""
        if not blocked:
            return
        with self.store.write() as write:
            for name, others in sorted(blocked.items()):
                if others <= frozenset(worked_on):
                    self.queue.add([name])
                    self.queue.done(name)
                    continue
                attempts, delay_s = self.queue.retry(name)
                intent, now = write.find(name), self._now()
                if intent is None or intent.phase is not Phase.ADMITTED:
                    continue
                message = "the slices whose place it takes are not off the switches yet; it follows when they are"
                finding = Finding(INSTALLED, "Unknown", "WaitsForRoom", message)
                standing = moved(
                    intent.status.standing, intent.phase, [finding], reason=finding.reason, message=message, at=now
                )
                write.set_status(name, standing, attempts=attempts, next_retry_at=now + timedelta(seconds=delay_s))

    def _note_installing(self, view: View, but: Collection[str]) -> None:
        starting = [intent for intent in view.intents.values() if _starts(view, intent) and intent.name not in but]
        if not starting:
            return
        with self.store.write() as write:
            for intent in starting:
                current = write.intent(intent.name)
                if current.phase is intent.phase and current.generation == intent.generation:
                    standing = moved(
                        current.status.standing,
                        Phase.INSTALLING,
                        (),
                        reason="Programming",
                        message="its rules are being sent to the switches",
                        at=self._now(),
                    )
                    write.set_status(intent.name, standing)

    def _settle(self, view: View, names: Collection[str], result: PassResult) -> None:
        """Write down how each name stands, and see to it that it comes back if it has to."""
        statuses = self.southbound.statuses()
        with self.store.write() as write:
            for name in sorted(names):
                intent = write.find(name)
                stored = {held.id: held.retiring for held in write.slices(name)}
                if intent is None or stored != {held.id: held.retiring for held in view.holdings.of_name(name)}:
                    self.queue.add([name])
                    self.queue.done(name)
                    continue
                self._settle_one(write, view, intent, result, statuses)

    def _settle_one(
        self,
        write: Writer,
        view: View,
        intent: StoredIntent,
        result: PassResult,
        statuses: Mapping[str, SwitchStatus],
    ) -> None:
        name = intent.name
        held = view.holdings.of_name(name)
        needs = view.needs(self.topology, name)
        in_force = view.holdings.in_force(name)
        if not held and intent.phase not in (Phase.WITHDRAWING, Phase.REQUESTED):
            self.queue.done(name)
            return
        unfit = view.desired.unfit.get(name)
        error = unfit or result.error_of(needs)
        left = result.error_of(view.nodes(self.topology, name) - needs)
        mismatches = [line for node in sorted(needs & result.states.keys()) for line in result.states[node].mismatches]
        closed = outside(in_force, view.at) if in_force and name in view.waiting else None
        promise = judge_promise(self.topology, in_force.decision, statuses, self.dead) if in_force else None
        seen = self.observe(name) if in_force and closed is None else ()
        broken = next((item for item in seen if item.type == KEPT), None)
        if promise is not None and promise.status == "True" and broken is not None:
            promise = broken  # the paths are there, and measurements say that the promise does not hold on them
        verdict = judge(intent, held, Evidence(error, left, promise, mismatches, closed, unfit is not None))
        verdict = replace(verdict, findings=(*verdict.findings, *(item for item in seen if item.type != KEPT)))
        if verdict.restore is not None:
            write.restore(name, verdict.restore)
            write.note(name, verdict.reason, verdict.message)
        write.release(verdict.release)
        self._write(write, intent, verdict, error or left)

    def _write(self, write: Writer, intent: StoredIntent, verdict: Verdict, error: CarelaneError | None) -> None:
        name, now = intent.name, self._now()
        attempts, due = 0, None
        if verdict.retry:
            attempts, delay_s = self.queue.retry(name)
            due = now + timedelta(seconds=delay_s)
        else:
            if verdict.again:
                self.queue.add([name])
            self.queue.done(name)
        standing = moved(
            intent.status.standing,
            verdict.phase,
            verdict.findings,
            reason=verdict.reason,
            message=verdict.message,
            at=now,
        )
        done = verdict.phase not in (Phase.INSTALLING, Phase.WITHDRAWING) or verdict.restore is not None
        observed = intent.generation if done else None
        write.set_status(name, standing, observed_generation=observed, attempts=attempts, next_retry_at=due)
        self._count(intent, verdict, error)

    def _count(self, intent: StoredIntent, verdict: Verdict, error: CarelaneError | None) -> None:
        outcome = "error" if error is not None else "requeue" if verdict.retry or verdict.again else "success"
        self.metrics.total.labels(outcome).inc()
        if error is not None:
            self.metrics.errors.inc()
        if verdict.phase is not intent.phase or error is not None:
            log.info(
                "intent reconciled",
                name=intent.name,
                generation=intent.generation,
                phase=verdict.phase.value,
                reason=verdict.reason,
                error=str(error) if error else None,
                **request_fields(intent.name),
            )

    def _retry_all(self, names: Collection[str]) -> None:
        for name in sorted(names):
            self.queue.retry(name)
        self.metrics.errors.inc(len(names))
        self.metrics.total.labels("error").inc(len(names))


def _waits_for_room(view: View, intent: StoredIntent) -> bool:
    """Whether it may have to wait for others: nothing says yet that it is on the switches."""
    return _starts(view, intent) or intent.phase is Phase.INSTALLING


def _starts(view: View, intent: StoredIntent) -> bool:
    """Whether its rules are to be sent for the first time, or its window has opened."""
    opens = intent.phase is Phase.SUSPENDED and view.holdings.in_force(intent.name) is not None
    return (intent.phase is Phase.ADMITTED or opens) and intent.name not in view.waiting
