"""One question, asked of a copy of the network."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from carelane.controller.pipeline.gate import Gate
from carelane.controller.pipeline.lane import LaneGraph
from carelane.controller.pipeline.planner import plan
from carelane.controller.pipeline.preempt import decide_displacing, displaced, displacement
from carelane.controller.pipeline.progress import Progress, silent
from carelane.controller.pipeline.quotas import Usage
from carelane.controller.pipeline.replan import Fate, Replanned, replan
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.resolver import resolve
from carelane.controller.pipeline.shared_backup import permitted
from carelane.controller.pipeline.slice_plan import Decision
from carelane.errors import InputError
from carelane.intents import parse_line
from carelane.policies.admission import AdmissionPolicy
from carelane.topology.failure import NOTHING, Failure
from carelane.topology.ledger import CapacityLedger
from carelane.topology.model import Topology

__all__ = ["Answer", "Baseline", "Question", "added", "ask", "baseline"]


@dataclass(frozen=True, slots=True)
class Baseline:
    """The network as it is: every decision, refused ones too, and the floors of the admitted; `topology` is bounded by
    the `policy`, if there is one."""

    topology: Topology
    decisions: tuple[Decision, ...]
    ledger: CapacityLedger
    policy: AdmissionPolicy | None = None

    @property
    def held(self) -> tuple[Decision, ...]:
        return tuple(decision for decision in self.decisions if decision.admitted)


def baseline(
    topology: Topology,
    requirements: Sequence[Requirement],
    policy: AdmissionPolicy | None = None,
    progress: Progress = silent,
) -> Baseline:
    """The baseline of a file: its intents decided in order on an empty network, bounded by `policy` already."""
    planned = plan(topology, requirements, policy=policy, progress=progress)
    return Baseline(topology, planned.decisions, planned.ledger, policy)


def added(lines: Sequence[str], taken: Collection[str], topology: Topology) -> tuple[Requirement, ...]:
    """Further intents, a line each, under names that are not `taken`. Raises InputError."""
    made = []
    for number, line in enumerate(lines, 1):
        name = f"added-{number}"
        again = 2
        while name in taken:
            name, again = f"added-{number}-{again}", again + 1
        made.append(resolve(parse_line(line, name=name, known_endpoints=topology.endpoints), topology))
    return tuple(made)


@dataclass(frozen=True, slots=True)
class Question:
    """What would be different. `drained` is taken out as `failed` is, but known beforehand, so that traffic is moved
    first; `upgrades` gives links a new capacity (bit/s, in both directions); `added` is asked for in addition, last.
    """

    failed: Failure = NOTHING
    drained: Failure = NOTHING
    upgrades: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    added: tuple[Requirement, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """`fates` of the promises held, `retried`: what was refused before, decided again where an upgrade may help,
    `added`: decisions on what was asked for in addition."""

    question: Question
    fates: tuple[Fate, ...]
    retried: tuple[Decision, ...]
    added: tuple[Decision, ...]
    topology: Topology
    ledger: CapacityLedger

    @property
    def harmless(self) -> bool:
        """Whether every promise holds whole and all that is added fits."""
        whole = all(fate.outcome in ("kept", "restored") for fate in self.fates)
        return whole and all(decision.admitted for decision in self.added)


def ask(base: Baseline, question: Question) -> Answer:
    """The answer, on a copy. Raises InputError for an upgrade of no link or below what is reserved there."""
    upgraded = _upgraded(base, question.upgrades)
    replanned = replan(upgraded, base.held, base.ledger, question.failed | question.drained, policy=base.policy)
    decided = _Further(base.policy, LaneGraph(replanned.topology, len(question.added) + 1), replanned)
    refused = [decision.requirement for decision in base.decisions if not decision.admitted]
    retried = decided.names(refused if question.upgrades else ())
    more = decided.names(question.added)
    found = decided.decisions
    return Answer(
        question,
        tuple(decided.fates.values()),
        tuple(found[name] for name in retried),
        tuple(found[name] for name in more),
        replanned.topology,
        decided.ledger,
    )


class _Further:
    """Decides what comes after the promises that are held, under the policy; who has to go for it is broken."""

    def __init__(self, policy: AdmissionPolicy | None, graph: LaneGraph, replanned: Replanned) -> None:
        self.fates = {fate.name: fate for fate in replanned.fates}
        self.decisions: dict[str, Decision] = {}
        self.ledger = replanned.ledger
        self._graph, self._policy = graph, policy
        self._rule = None if policy is None else policy.preemption
        held = [fate.now.requirement for fate in replanned.fates if fate.now.admitted]
        self._usage = Usage(policy, held)
        self._gate = Gate(replanned.topology, policy, (fate.now for fate in replanned.fates if fate.now.admitted))

    def names(self, requirements: Sequence[Requirement]) -> list[str]:
        """Decide these, in order; their names."""
        for requirement in requirements:
            self.decisions[requirement.name] = self._decided(requirement)
        return [requirement.name for requirement in requirements]

    def _decided(self, requirement: Requirement) -> Decision:
        requirement = permitted(self._policy, requirement)
        decision = self._usage.refusal(requirement)
        if decision is None:
            decision, after = decide_displacing(self._graph, requirement, self.ledger, self._usage.held, self._rule)
            if decision.admitted:
                decision, self.ledger = self._gate.let_in(self._graph, self.ledger, decision, after)
        for name in displacement(decision):
            gone = displaced(self._usage.held[name], requirement)
            if name in self.fates:
                fate = self.fates[name]
                self.fates[name] = Fate(fate.before, "broken", carried=False, now=gone, reasons=gone.reasons)
            else:
                self.decisions[name] = gone
            self._usage.remove(name)
            self._gate.remove(name)
        if decision.admitted:
            self._usage.add(requirement)
            self._gate.add(decision)
        return decision


def _upgraded(base: Baseline, upgrades: Mapping[str, int]) -> Topology:
    if not upgrades:
        return base.topology
    links = dict(base.topology.links)
    for name, capacity_bps in upgrades.items():
        link = links.get(name)
        if link is None:
            raise InputError(f"{name!r} is no link of {base.topology.name}", field="upgrade", expected="LINK=RATE")
        reserved = max(base.ledger.reserved_bps((node, name)) for node in (link.a, link.b))
        links[name] = replace(link, capacity_bps=capacity_bps)
        room_bps = links[name].reservable_bps or 0
        if room_bps < reserved:
            raise InputError(
                f"link {name} holds {reserved} bit/s of floors, more than {room_bps} bit/s",
                field="upgrade",
                remedy="ask what draining it would do, or withdraw some of its slices first",
            )
    return replace(base.topology, links=MappingProxyType(links))
