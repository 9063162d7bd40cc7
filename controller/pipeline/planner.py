"""Plan: requirements become decisions, one after the other, on what the ledger still has. Pure.

Input: topology, requirements and the ledger. Output: a `PlanResult`: decisions in the order of the requirements, the
ledger after them, totals. Decisions taken here:

- The requirements are decided in their order, each beside those before it; offers hold at that place. With
  `optimize` they are decided together (`batch`); offers then hold beside everything admitted.
- A requirement whose name the ledger knows replaces that slice: its own floors count as free. Refused, it changes
  nothing.
- A single path is chosen by link prices that grow with load (`lane`), so that load spreads early; prices never refuse.
- Delay and jitter of a path are the worse of its two directions. Availability is the worst site's.
- Policy, where there is one: it says whose backups may share (`shared_backup`); quotas are asked before anything is
  planned; what does not fit takes the place of what it may (`preempt`). In a batch that is asked of what the packing
  refused, the most important first.
- The upper bound is certified by link prices, cut by what endpoints and their nodes can carry.

Floors are kept per egress port (node, link id), per delivery port (node, endpoint id) and, for what an endpoint may
send, per access line ("", endpoint id).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from carelane.controller.pipeline.decide import decide
from carelane.controller.pipeline.gate import Gate
from carelane.controller.pipeline.lane import LaneGraph
from carelane.controller.pipeline.preempt import decide_displacing, displaced, displacement
from carelane.controller.pipeline.progress import Progress, silent
from carelane.controller.pipeline.quotas import Usage
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.shared_backup import permitted
from carelane.controller.pipeline.slice_plan import Decision, PlanResult, Totals
from carelane.controller.pipeline.totals import totals
from carelane.errors import InputError
from carelane.policies.admission import AdmissionPolicy
from carelane.topology.ledger import CapacityLedger
from carelane.topology.model import Topology

__all__ = ["plan"]


def plan(
    topology: Topology,
    requirements: Sequence[Requirement],
    ledger: CapacityLedger | None = None,
    *,
    optimize: bool = False,
    policy: AdmissionPolicy | None = None,
    held: Mapping[str, Requirement] = MappingProxyType({}),
    promised: Sequence[Decision] = (),
    progress: Progress = silent,
) -> PlanResult:
    """Decide `requirements` on `topology` beside what `ledger` holds. Raises InputError for a repeated name.

    With a `policy`, `topology` is bounded by it already; `held` says what the slices in the ledger asked for, and
    `promised` what those got whose delays are to hold where policy counts port waits or class
    queues.
    """
    _check_names(requirements)
    requirements = [permitted(policy, requirement) for requirement in requirements]
    if policy is not None and not policy.lenient:
        gate = Gate(topology, policy, promised)
        return _plan_under(topology, requirements, ledger or CapacityLedger(), optimize, policy, held, gate, progress)
    return _plan(topology, requirements, ledger, optimize, progress)


def _plan_under(
    topology: Topology,
    requirements: Sequence[Requirement],
    start: CapacityLedger,
    optimize: bool,
    policy: AdmissionPolicy,
    held: Mapping[str, Requirement],
    gate: Gate,
    progress: Progress,
) -> PlanResult:
    """The same under quotas, pre-emption, port waits and class queues."""
    usage, graph = Usage(policy, held.values()), LaneGraph.for_run(topology, len(requirements))
    decided: dict[str, Decision] = {}
    packed: Totals | None = None
    if optimize and len(requirements) > 1:
        from carelane.controller.pipeline.quota_batch import within_quotas

        def together(part: Sequence[Requirement], at: CapacityLedger) -> PlanResult:
            return _plan(topology, part, at, True, progress if len(part) > 1 else silent)

        batch = within_quotas(graph, requirements, usage, start, together)
        packed, decided = batch.totals, {decision.name: decision for decision in batch.decisions}
        ledger = _let_in(graph, (start, batch.ledger), usage, gate, decided)
        again = [item for item in _ranked(requirements) if not decided[item.name].admitted]
        if policy.preemption is not None:
            ledger = _displacing(graph, again, ledger, (usage, gate), policy, decided, progress)
        if ledger is batch.ledger:
            return batch
    else:
        ledger = _displacing(graph, requirements, start, (usage, gate), policy, decided, progress)
    decisions = tuple(decided.values())
    may_go = _displaceable(held, requirements, policy)  # another planner might displace others of them
    for name in may_go:
        start = start.without_slice(name)
    cap_bps = Usage(policy, [item for name, item in held.items() if name not in may_go]).cap_bps(requirements)
    found = totals(graph, decisions, start, ledger)
    bounds_bps = [found.upper_bound_bps, cap_bps]
    if packed is not None and not may_go:
        found = replace(packed, admitted_bps=found.admitted_bps)
        bounds_bps.append(packed.upper_bound_bps)
    return PlanResult(decisions, ledger, replace(found, upper_bound_bps=max(found.admitted_bps, min(bounds_bps))))


def _displacing(
    graph: LaneGraph,
    requirements: Sequence[Requirement],
    ledger: CapacityLedger,
    rules: tuple[Usage, Gate],
    policy: AdmissionPolicy,
    decided: dict[str, Decision],
    progress: Progress,
) -> CapacityLedger:
    """Decide one after the other within quotas, in the place of others where policy lets that be; the ledger after it.

    `decided` and the `rules` are brought up to date.
    """
    usage, gate = rules
    for place, requirement in enumerate(requirements):
        progress("deciding", place, len(requirements))
        decision = usage.refusal(requirement)
        if decision is None:
            decision, after = decide_displacing(graph, requirement, ledger, usage.held, policy.preemption)
            decision, ledger = gate.let_in(graph, ledger, decision, after) if decision.admitted else (decision, ledger)
        decided[requirement.name] = decision
        for name in displacement(decision):
            if name in decided:
                decided[name] = displaced(usage.held[name], requirement)
            usage.remove(name)
            gate.remove(name)
        if decision.admitted:
            usage.add(requirement)
            gate.add(decision)
    return ledger


def _let_in(
    graph: LaneGraph,
    ledgers: tuple[CapacityLedger, CapacityLedger],
    usage: Usage,
    gate: Gate,
    decided: dict[str, Decision],
) -> CapacityLedger:
    """Of what was packed together, what the gate lets in, the most important first; the ledger after it. `ledgers`:
    that before the batch, and that after it."""
    start, ledger = ledgers
    admitted = [decision.requirement for decision in decided.values() if decision.admitted]
    for requirement in _ranked(admitted):
        beside = ledger.without_slice(requirement.name)
        decision, ledger = gate.let_in(graph, beside, decided[requirement.name], ledger)
        decided[requirement.name] = decision
        if decision.admitted:
            gate.add(decision)
            continue
        usage.remove(requirement.name)
        # refused, it leaves what ran before
        ledger = ledger.without_slice(requirement.name).with_held_by(start, requirement.name)
    return ledger


def _ranked(requirements: Sequence[Requirement]) -> list[Requirement]:
    return sorted(requirements, key=lambda item: -item.priority)


def _displaceable(
    held: Mapping[str, Requirement], requirements: Sequence[Requirement], policy: AdmissionPolicy
) -> frozenset[str]:
    """What is held that some of `requirements` might displace."""
    rule = policy.preemption
    if rule is None:
        return frozenset()
    top = max((item.priority for item in requirements if rule.permits(item.service)), default=-1)
    return frozenset(name for name, item in held.items() if rule.gives_way(item.service, item.priority, top))


def _plan(
    topology: Topology,
    requirements: Sequence[Requirement],
    ledger: CapacityLedger | None,
    optimize: bool,
    progress: Progress,
) -> PlanResult:
    graph = LaneGraph.for_run(topology, len(requirements))
    start = held = ledger or CapacityLedger()
    if optimize and len(requirements) > 1:
        # here, because the solver takes longer to import than a small file to plan
        from carelane.controller.pipeline.batch import plan_batch

        return plan_batch(graph, requirements, start, progress)
    decisions = []
    for place, requirement in enumerate(requirements):
        progress("deciding", place, len(requirements))
        decision, held = decide(graph, requirement, held)
        decisions.append(decision)
    return PlanResult(tuple(decisions), held, totals(graph, decisions, start, held))


def _check_names(requirements: Sequence[Requirement]) -> None:
    (name, count), *_ = Counter(requirement.name for requirement in requirements).most_common(1) or [("", 0)]
    if count > 1:
        raise InputError(f"two intents are named {name!r}", field="metadata.name", remedy="rename one of them")
