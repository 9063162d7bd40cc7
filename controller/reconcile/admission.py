"""Filing and withdrawing: one serialised transaction decides against what is held then, and stores what it decided.

Two clients that file at once are decided one after the other, each against the ledger the other left, so that no
port is promised twice. Bad input anywhere in a file undoes the whole transaction; a refusal is a decision.
A changed intent that is refused leaves the slice that runs in place and says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from carelane.controller.pipeline import plan, resolve
from carelane.controller.pipeline.compile import check_slice
from carelane.controller.pipeline.gate import Gate
from carelane.controller.pipeline.identifiers import allocate, labels_needed
from carelane.controller.pipeline.lane import LaneGraph
from carelane.controller.pipeline.preempt import consent_wanted, displaced, displacement
from carelane.controller.pipeline.program import SliceIds
from carelane.controller.pipeline.quotas import Usage
from carelane.controller.pipeline.remedies import remedied
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.schedules import us_of
from carelane.controller.pipeline.shared_backup import permitted
from carelane.controller.pipeline.slice_plan import Decision, PlanResult, Reason, Totals
from carelane.controller.pipeline.value import demand_bps
from carelane.controller.reconcile.access import AccessControl
from carelane.controller.reconcile.carriers import Carriers, collide
from carelane.controller.reconcile.collisions import decide_apart, indistinct, refused_for
from carelane.controller.reconcile.drains import carried, drained_links, usable
from carelane.controller.reconcile.holdings import Held, Holdings
from carelane.errors import ConflictError, InputError
from carelane.intents.lifecycle import Phase
from carelane.intents.manifest import to_manifest
from carelane.intents.model import ServiceIntent
from carelane.policies.admission import AdmissionPolicy
from carelane.store import Floors, Reader, StoredIntent
from carelane.topology.ledger import CapacityLedger
from carelane.topology.model import Topology
from carelane.tracing import traced

__all__ = ["Desk", "Filing", "Outcome", "Rules", "dry_run", "propose"]

Outcome = Literal["created", "changed", "unchanged"]

_Planned = tuple[Decision, Totals, CapacityLedger]
"""A decision, and the totals and the ledger after it."""


@dataclass(frozen=True, slots=True)
class Filing:
    """What is to be stored for one intent. `decision` None: it is filed and in force as it stands.

    `victims` are the refusals of those who have to go for it. `generation`: of a slice that is only planned anew, what
    it was filed as; None for what is filed now.
    """

    intent: ServiceIntent
    manifest: Mapping[str, Any]
    record: StoredIntent | None
    outcome: Outcome
    decision: Decision | None
    ids: SliceIds | None
    floors: Floors
    victims: tuple[Decision, ...] = ()
    generation: int | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What the topology does not say. `consent`: the caller agrees that others go, where policy says so. `broken` tells
    the links out of order now."""

    access: AccessControl | None = None
    policy: AdmissionPolicy | None = None
    consent: bool = False
    broken: Callable[[], frozenset[str]] = frozenset

    @property
    def lenient(self) -> bool:
        """Whether nothing of the policy but how full links may be can matter."""
        return self.policy is None or self.policy.lenient

    @property
    def consented(self) -> AdmissionPolicy | None:
        """The policy, under which nobody goes without consent."""
        return self.policy if self.policy is None or self.consent else replace(self.policy, preemption=None)


@traced("planner.propose")
def propose(
    topology: Topology,
    reader: Reader,
    intents: Sequence[ServiceIntent],
    rules: Rules = Rules(),
    desk_for: Callable[[Sequence[Requirement]], Desk] | None = None,
    *,
    now: datetime,
) -> tuple[Filing, ...]:
    """Decide every intent in file order against what is held. Stores nothing. Raises InputError, ConflictError.

    What the access policy forbids, or is past already, is refused before anything is planned; what something later in
    the same file displaces is refused, too. `desk_for` gives a desk that knows already what is held, for these
    requirements and under these rules.
    """
    requirements = _requirements(topology, intents)
    desk = desk_for(requirements) if desk_for else Desk.of(topology, reader, now, rules)
    filings: list[Filing] = []
    for intent, requirement in zip(intents, requirements, strict=True):
        record = reader.find(intent.name)
        _check_owner(intent, record)
        manifest = json.loads(json.dumps(to_manifest(intent), allow_nan=False))
        same = record is not None and record.manifest == manifest and record.deleted_at is None
        new = record is None or record.phase is Phase.WITHDRAWN
        outcome: Outcome = "created" if new else "unchanged" if same else "changed"
        held = desk.in_force.get(intent.name)
        if same and held is not None and record is not None and desk.stands(held, record):
            filings.append(Filing(intent, manifest, record, outcome, None, held.ids, held.floors))
            continue
        if same and record is not None and record.phase is Phase.SUSPENDED and _is_past(requirement, now):
            filings.append(Filing(intent, manifest, record, outcome, None, None, {}))
            continue
        decision, ids = desk.decide(requirement, consent=rules.consent)
        floors = desk.decided.slice_floors(intent.name) if ids else {}
        victims = desk.victims if ids else {}
        filings = [replace(f, decision=gone, ids=None, floors={}) if (gone := victims.get(f.intent.name))
                   else f for f in filings]  # fmt: skip
        filings.append(Filing(intent, manifest, record, outcome, decision, ids, floors, tuple(victims.values())))
    return tuple(filings)


@traced("planner.dry_run")
def dry_run(
    topology: Topology,
    reader: Reader,
    intents: Sequence[ServiceIntent],
    *,
    optimize: bool,
    now: datetime,
    rules: Rules = Rules(),
) -> PlanResult:
    """What the planner says to these intents now, each planned as if it held nothing, remedies of refusals included.

    Raises InputError.
    """
    wanted = _requirements(topology, intents)
    refused = {item.name: found for item in wanted if (found := _forbidden(item, now, rules.access))}
    if refused:
        allowed = [intent for intent in intents if intent.name not in refused]
        rest = dry_run(topology, reader, allowed, optimize=optimize, now=now, rules=replace(rules, access=None))
        planned = {decision.name: decision for decision in rest.decisions} | refused
        return replace(rest, decisions=tuple(planned[item.name] for item in wanted))
    requirements = wanted
    without = drained_links(topology, reader.drains())
    holdings, there = Holdings.of(reader.slices()), usable(topology, without)
    start = ledger = holdings.ledger(topology, now, without | rules.broken())
    held = {item.name: item.decision.requirement for item in holdings.slices}
    in_force = {item.name: held[item.name] for item in holdings.slices if not item.retiring}
    news = ledger.names.isdisjoint(requirement.name for requirement in requirements)
    apart = news and not collide(topology, in_force.values(), requirements)
    if optimize or (rules.lenient and apart and not rules.broken()):
        for requirement in requirements:
            ledger = ledger.without_slice(requirement.name)
        start = ledger
        promised = [item.decision for item in holdings.slices]

        def pack(part: Sequence[Requirement]) -> PlanResult:
            return plan(there, part, start, optimize=optimize, policy=rules.consented, held=in_force,
                        promised=promised)  # fmt: skip

        result = decide_apart(topology, in_force.values(), requirements, pack) if not apart else pack(requirements)
    else:
        result = _one_by_one(Desk(topology, holdings, without, now, rules), requirements, consent=rules.consent)
    if any(displacement(decision) for decision in result.decisions):
        return result
    return remedied(there, result, start, held, together=optimize)


def _one_by_one(desk: Desk, requirements: Sequence[Requirement], *, consent: bool) -> PlanResult:
    decided: dict[str, Decision] = {}
    for requirement in requirements:
        decided[requirement.name] = desk.decide(requirement, consent=consent)[0]
        decided |= {name: gone for name, gone in desk.victims.items() if name in decided}
    admitted_bps = sum(demand_bps(item.requirement) for item in decided.values() if item.admitted)
    return PlanResult(tuple(decided.values()), desk.ledger, replace(desk.totals, admitted_bps=admitted_bps))


class Desk:
    """Decides one requirement after the other and remembers what that leaves for the next.

    What is out of order now is planned around where that can be. A promise is by what is declared, so that elsewhere it
    is made all the same, unless a change would cut off what still runs.
    """

    def __init__(
        self,
        topology: Topology,
        holdings: Holdings,
        without: Collection[str],
        now: datetime,
        rules: Rules = Rules(),
    ) -> None:
        self._topology = topology
        self._now = now
        self._usable = usable(topology, without)
        self._dead = rules.broken()
        self._broken = self._dead.difference(without)
        self._around = usable(self._usable, self._broken)
        self._rules = rules
        self.in_force: dict[str, Held] = {held.name: held for held in holdings.slices if not held.retiring}
        self._numbers = {held.name: held.ids.number for held in holdings.slices}
        self._used = list(holdings.used_ids())
        self._running = {name: (held.decision, held.ids) for name, held in self.in_force.items()}
        self._carriers = Carriers(topology)
        for held in self.in_force.values():
            self._carriers.put(held.decision.requirement)
        self.ledger = holdings.ledger(topology, now, self._broken.union(without))
        self.decided = self.ledger
        self.totals = Totals(0, 0, 0)
        self._decided_names: set[str] = set()
        self._timed = any(_is_timed(held.decision.requirement) for held in holdings.slices)
        self._displaced = False
        self.victims: dict[str, Decision] = {}
        """Of the last decision: what becomes of those who have to go."""
        in_force = [held.decision.requirement for held in self.in_force.values()]
        self._usage = Usage(rules.policy, in_force if not rules.lenient else ())
        self._gate = Gate(topology, rules.policy, (held.decision for held in holdings.slices))

    @classmethod
    def of(cls, topology: Topology, reader: Reader, now: datetime, rules: Rules) -> Desk:
        """One that knows all that is held, and what is drained."""
        return cls(topology, Holdings.of(reader.slices()), drained_links(topology, reader.drains()), now, rules)

    def serves(self, requirements: Sequence[Requirement]) -> bool:
        """Whether it can decide these later than it was made: windows close, what it decided itself of a name is not
        yet what is stored of it, and what it displaced goes on its own time.
        """
        timed = self._timed or any(map(_is_timed, requirements))
        fresh = self._decided_names.isdisjoint(item.name for item in requirements)
        return fresh and not timed and not self._displaced

    def stands(self, held: Held, record: StoredIntent) -> bool:
        """Whether a slice in force is what was filed last, and needs no other place: one that failed is not moved by
        drains, and may be tried again only off what was drained since."""
        links = {hop.link for path in held.decision.paths for hop in path.hops}
        has_place = record.phase is not Phase.FAILED or links <= self._usable.links.keys()
        return held.generation == record.generation and has_place

    def decide(self, requirement: Requirement, *, consent: bool = False) -> tuple[Decision, SliceIds | None]:
        """Plan as if the name held nothing. Admitted: it holds the new, and the old until switches let go of it.

        With `consent`, less important slices go for it where policy lets that be.
        """
        requirement = permitted(self._rules.policy, requirement)
        name, self.victims = requirement.name, {}
        self._decided_names.add(name)
        self._timed = self._timed or _is_timed(requirement)
        forbidden = _forbidden(requirement, self._now, self._rules.access) or self._usage.refusal(requirement)
        if forbidden is not None:
            return forbidden, None
        decision, totals, planned = self._planned(requirement, consent=consent)
        if decision.offers and (rivals := self._carriers.rivals(requirement)):
            decision = indistinct(decision, rivals, self._tenants)
        ids = self._numbers_for(decision) if decision.admitted else None
        if ids is not None:
            try:
                rivals = self._carriers.rivals(requirement).difference(displacement(decision))
                others = [self._running[other] for other in sorted(rivals)]
                check_slice(self._topology, decision, ids, others)
            except ConflictError as conflict:
                ids, decision = None, refused_for(decision, conflict, self._tenants)
                totals = replace(totals, admitted_bps=0)
        self._add(totals)
        if ids is None:
            return decision, None
        self.decided = after = planned
        self._take_over(decision)
        for leaving in (name, *(self.ledger.names - after.names)):
            after = after.with_held_by(self.ledger, leaving)
        self.ledger = after
        self._running[name] = (decision, ids)
        self._carriers.put(requirement)
        self._used.append(ids)
        self._numbers[name] = ids.number
        return decision, ids

    def _planned(self, requirement: Requirement, *, consent: bool) -> _Planned:
        """Around what is out of order, displacing nobody; else on all that is declared."""
        if not self._broken:
            return self._planned_on(self._usable, requirement, displacing=True, consent=consent)
        around = self._planned_on(self._around, requirement)
        if around[0].admitted:
            return around
        declared = self._planned_on(self._usable, requirement, displacing=True, consent=consent)
        return around if declared[0].admitted and self._cuts(declared[0]) else declared

    def _planned_on(
        self, network: Topology, requirement: Requirement, *, displacing: bool = False, consent: bool = False
    ) -> _Planned:
        beside = self.ledger.without_slice(requirement.name)
        result = plan(network, [requirement], beside)
        if displacing and not result.decisions[0].admitted:
            result = self._displacing(requirement, result, consent=consent)
        (decision,), totals, planned = result.decisions, result.totals, result.ledger
        if decision.admitted:
            decision, planned = self._gate.let_in(LaneGraph.for_run(network, 1), beside, decision, planned)
            totals = totals if decision.admitted else replace(totals, admitted_bps=0)
        return decision, totals, planned

    def _cuts(self, decision: Decision) -> bool:
        """Whether a slice that is carried now would not be any longer, because of what is out of order."""
        running = self._running.get(decision.name)
        return running is not None and carried(running[0], self._dead) and not carried(decision, self._dead)

    def _displacing(self, requirement: Requirement, refused: PlanResult, *, consent: bool) -> PlanResult:
        """What comes of it where policy lets others have to go: nobody goes where those are enough that go already."""
        policy = self._rules.policy
        if policy is None or policy.preemption is None or not policy.preemption.permits(requirement.service):
            return refused
        ledger = self.ledger.without_slice(requirement.name)
        for name in ledger.names - self._usage.held.keys():
            ledger = ledger.without_slice(name)
        found = plan(self._usable, [requirement], ledger, policy=policy, held=self._usage.held)
        if not found.decisions[0].preempts:
            return refused
        found = plan(self._usable, [requirement], self.ledger.without_slice(requirement.name), policy=policy,
                     held=self._usage.held)  # fmt: skip
        (possible,) = found.decisions
        if possible.preempts and not consent:
            return replace(refused, decisions=(consent_wanted(refused.decisions[0], possible),))
        return found if possible.admitted else refused

    def _take_over(self, decision: Decision) -> None:
        """Those who have to go hold nothing that others might be counted against."""
        for name in displacement(decision):
            self._displaced = True
            self.victims[name] = displaced(self._usage.held[name], decision.requirement)
            self._usage.remove(name)
            self._gate.remove(name)
            self.in_force.pop(name, None)
        if not self._rules.lenient:
            self._usage.add(decision.requirement)
            self._gate.add(decision)

    def _numbers_for(self, decision: Decision) -> SliceIds:
        """Numbers stay as long as the paths do. New paths get new labels, so that old and new never mix on the way."""
        held = self._running.get(decision.name)
        if held is not None and _same_paths(held[0], decision) and held[1].labels == labels_needed(decision):
            return held[1]
        fresh = allocate(decision, self._used)
        return replace(fresh, number=self._numbers.get(decision.name, fresh.number))

    @property
    def _tenants(self) -> Mapping[str, str]:
        return {name: item.requirement.tenant for name, (item, _) in self._running.items()}

    def _add(self, totals: Totals) -> None:
        self.totals = Totals(
            self.totals.offered_bps + totals.offered_bps,
            self.totals.admitted_bps + totals.admitted_bps,
            self.totals.upper_bound_bps + totals.upper_bound_bps,
        )


def _requirements(topology: Topology, intents: Sequence[ServiceIntent]) -> list[Requirement]:
    names: set[str] = set()
    for intent in intents:
        if intent.name in names:
            raise InputError(
                f"the name {intent.name} is used twice", field="metadata.name", remedy="give each intent its own name"
            )
        names.add(intent.name)
    return [resolve(intent, topology) for intent in intents]


def _is_past(requirement: Requirement, now: datetime) -> bool:
    return requirement.window is not None and requirement.window.is_over(us_of(now))


def _is_timed(requirement: Requirement) -> bool:
    return requirement.window is not None or requirement.schedule is not None


def _forbidden(requirement: Requirement, now: datetime, access: AccessControl | None) -> Decision | None:
    """The refusal of what must not be, or cannot be any more, whatever the network has room for."""
    if access is not None and (refusal := access.refusal(requirement)) is not None:
        return refusal
    schedule = requirement.schedule
    if schedule is None or not _is_past(requirement, now):
        return None
    detail = f"schedule: its window closed at {schedule.end or schedule.deadline}, which is past"
    reason = Reason("policy", None, None, None, None, detail)
    return Decision(requirement, admitted=False, reasons=(reason,), assumptions=requirement.assumptions)


def _check_owner(intent: ServiceIntent, record: StoredIntent | None) -> None:
    if record is None or record.tenant == intent.tenant or record.phase is Phase.WITHDRAWN:
        return
    # Whose it is stays untold: the caller may be no more than another tenant.
    raise ConflictError(f"the name {intent.name} is taken by another tenant; choose another name")


def _same_paths(old: Decision, new: Decision) -> bool:
    def shape(decision: Decision) -> tuple[object, ...]:
        paths = tuple((path.role, path.source, path.to, path.nodes, path.hops) for path in decision.paths)
        return (decision.requirement.connectivity, decision.requirement.pairs, paths)

    return shape(old) == shape(new)
