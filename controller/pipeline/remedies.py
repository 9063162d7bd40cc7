"""What the operator could do about a refusal: which single link to widen, or which single slice to let go. Pure.

Input: topology, ledger, the refused requirement, and the requirements of the slices that the ledger holds. Output:
remedies, each proven by planning with everything else exactly as it is. Decisions taken here:

- Widened is one link, or the line of one of the slice's own endpoints: the least capacity in whole kbit/s that admits
  it, found by bisection (more capacity never hurts). At most `SHOWN` of them, those that take the least first.
- Let go is one slice: the least important whose going admits it, and of equally important ones the smallest.
- Nothing is tried one by one that a group rules out: when widening, or letting go, a whole group does not admit it,
  no member alone does. So a refusal that no single remedy cures mostly costs a few plans.
- The work is bounded by plans and by what the network is large, never by a clock: equal input gives equal bytes. A
  search that stopped early says so.

Asked for when a decision is explained, not while many are made: `plan` does not call it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from math import ceil
from types import MappingProxyType
from typing import TypeVar

from carelane.controller.pipeline.admit import Embedding, embed
from carelane.controller.pipeline.limits import AMPLE_BPS, Room
from carelane.controller.pipeline.progress import Progress, silent
from carelane.controller.pipeline.requirement import Pair, Requirement
from carelane.controller.pipeline.shape import access_port, delivery_port, shape_of
from carelane.controller.pipeline.shared_backup import may_share
from carelane.controller.pipeline.slice_plan import Decision, PlanResult, Remedy
from carelane.controller.pipeline.value import demand_bps
from carelane.topology.ledger import CapacityLedger
from carelane.topology.model import Endpoint, Topology
from carelane.topology.paths import Effort, PathGraph

__all__ = ["SHOWN", "STEP_BPS", "Budget", "remedied", "remedies_for"]

SHOWN = 3
STEP_BPS = 1000
_PLANS = 128
"""Plans for one refusal; a quarter of what it may spend is for what could be let go, however long widening takes."""
_ELEMENTS = 1_000_000
"""For all refusals of one file: nodes and links of the network, added up over the plans; a few seconds."""
_WORTH = 8
"""Plans without which a search is not worth beginning; for one refusal they are there, however large the network is."""
_EFFORT = 20_000
_CURABLE = {"bandwidth", "delay", "jitter", "availability", "disjointness"}
_BOUNDLESS_BPS = 10**15

Thing = tuple[str, str]
"""(kind, id): what can be widened, a link or an endpoint's line."""
Item = TypeVar("Item")


@dataclass
class Budget:
    """What is left to spend on one refusal; `short` once something was left out for want of it."""

    elements: int = _ELEMENTS
    plans: int = _PLANS
    short: bool = False
    _kept: tuple[int, int] = (0, 0)

    @classmethod
    def for_one(cls, topology: Topology) -> Budget:
        return cls(max(_ELEMENTS, _WORTH * _size(topology)))

    def keep_a_quarter(self) -> None:
        self._kept = self.elements // 4, self.plans // 4

    def release(self) -> None:
        self._kept = 0, 0

    @property
    def spent(self) -> bool:
        return self.plans <= self._kept[1]

    def spend(self, elements: int) -> bool:
        if self.spent or self.elements - self._kept[0] < elements:
            self.short = True
            return False
        self.plans -= 1
        self.elements -= elements
        return True


class _Shares:
    """One file's budget, shared out evenly among its refusals; what one leaves is the others'. Where there are too many
    for shares that are worth anything, the most important have them and the others none."""

    def __init__(self, topology: Topology, refusals: Sequence[Decision]) -> None:
        self._least = _WORTH * _size(topology)
        self._left = max(_ELEMENTS, self._least)
        ranked = sorted(refusals, key=lambda item: -item.requirement.priority)
        self._waiting = {item.name for item in ranked[: self._left // max(self._least, 1)]}

    @property
    def over(self) -> bool:
        return not self._waiting

    def of(self, decision: Decision) -> Budget | None:
        if decision.name not in self._waiting:
            return None
        return Budget(max(self._left // len(self._waiting), self._least))

    def settle(self, decision: Decision, share: int, left: int) -> None:
        self._waiting.remove(decision.name)
        self._left -= share - left


def remedied(
    topology: Topology,
    result: PlanResult,
    start: CapacityLedger | None = None,
    held: Mapping[str, Requirement] = MappingProxyType({}),
    *,
    together: bool = False,
    progress: Progress = silent,
) -> PlanResult:
    """`result` with remedies for its refusals, as they stood at their place in the file (`together`: beside it all).

    `start` is the ledger that it was planned on, `held` what the slices in it asked for. Refusals that are not looked
    at, of too many on too large a network, are the least important, and stay `remedies_searched` "not".
    """
    known = dict(held)
    ledger = result.ledger if together else start or CapacityLedger()
    if together:
        known |= {item.name: item.requirement for item in result.decisions if item.admitted}
    shares = _Shares(topology, [item for item in result.decisions if _curable(item)])
    decisions = []
    for place, decision in enumerate(result.decisions):
        progress("looking for remedies", place, len(result.decisions))
        if not decision.admitted and not _curable(decision):
            # no capacity cures what is unknown or forbidden; it may cure what the gate stopped, which is not proven
            decision = replace(decision, remedies_searched="whole" if decision.proven else "not")
        elif shares.over:
            pass  # nor need the ledger be followed any further
        elif decision.admitted:
            known[decision.name] = decision.requirement
            if not together:
                ledger = ledger.without_slice(decision.name).with_held_by(result.ledger, decision.name)
        elif (budget := shares.of(decision)) is not None:
            share = budget.elements
            remedies = remedies_for(topology, decision.requirement, ledger, known, budget)
            shares.settle(decision, share, budget.elements)
            part = budget.short or may_share(decision.requirement)  # what might be shared then was not looked at
            decision = replace(decision, remedies=remedies, remedies_searched="part" if part else "whole")
        decisions.append(decision)
    return replace(result, decisions=tuple(decisions))


def _curable(decision: Decision) -> bool:
    """Whether it is a refusal that more room may cure."""
    return not decision.admitted and not _CURABLE.isdisjoint(reason.constraint for reason in decision.reasons)


def remedies_for(
    topology: Topology,
    requirement: Requirement,
    ledger: CapacityLedger,
    held: Mapping[str, Requirement],
    budget: Budget | None = None,
) -> tuple[Remedy, ...]:
    """What would admit `requirement`, for which there is no embedding beside `ledger`; `budget.short` says whether
    there may be more. Without any remedy and not short, no single one exists."""
    search = _Search(topology, requirement, ledger.without_slice(requirement.name), budget or Budget.for_one(topology))
    return search.remedies(held)


class _Search:
    def __init__(self, topology: Topology, requirement: Requirement, ledger: CapacityLedger, budget: Budget) -> None:
        self._topology = topology
        self._requirement = requirement
        self._ledger = ledger
        self._budget = budget
        self._ends = {end.id: end for pair in requirement.pairs for end in (pair.source, pair.destination)}
        self._seen = ledger.seen_by(requirement.name, requirement.window)
        self._room = Room(PathGraph.of(topology), self._seen)

    def remedies(self, held: Mapping[str, Requirement]) -> tuple[Remedy, ...]:
        self._budget.keep_a_quarter()
        widened = self.widened()
        self._budget.release()
        return (*widened, *self.let_go(held))

    def widened(self) -> list[Remedy]:
        """The single links and lines that could be widened, the least addition first."""
        things = [("link", link.id) for link in self._topology.links.values() if link.capacity_bps is not None]
        things += [("endpoint", end.id) for end in self._ends.values() if end.capacity_bps is not None]
        ideal = self._plan(dict.fromkeys(things, _BOUNDLESS_BPS))
        if ideal is None:
            return []
        found: dict[Thing, Embedding] = {}

        def enough(group: Sequence[Thing]) -> bool:
            plan = self._plan(dict.fromkeys(group, _BOUNDLESS_BPS))
            if plan is not None and len(group) == 1:
                found[group[0]] = plan
            return plan is not None

        likely, further = self._by_likelihood(things, ideal)
        groups = (*([thing] for thing in likely), further)
        for _ in chain.from_iterable(_singles(group, enough) for group in groups):
            if len(found) == SHOWN:
                self._budget.short = True
                break
        remedies = [remedy for thing, plan in found.items() if (remedy := self._least(thing, plan)) is not None]
        return sorted(remedies, key=lambda remedy: (remedy.to_bps - remedy.from_bps, remedy.kind, remedy.name))

    def _by_likelihood(self, things: Sequence[Thing], ideal: Embedding) -> tuple[list[Thing], list[Thing]]:
        """Those on the way that would be taken if capacity were no object, where it lacks most first; and the rest."""
        lack: dict[Thing, int] = {}
        for port, floor in ideal.floors.items():
            thing = ("endpoint" if port[1] in self._ends else "link", port[1])
            lack[thing] = max(lack.get(thing, -_BOUNDLESS_BPS), floor - self._room.at(port, self._ends))
        likely = sorted((thing for thing in things if thing in lack), key=lambda thing: (-lack[thing], thing))
        return likely, [thing for thing in things if thing not in lack and self._short(thing)]

    def _short(self, thing: Thing) -> bool:
        """Whether more room there could matter."""
        kind, name = thing
        if kind == "link":
            link = self._topology.links[name]
            ports = [(link.a, name), (link.b, name)]
        else:
            ports = [access_port(self._ends[name]), delivery_port(self._ends[name])]
        return any(self._room.at(port, self._ends) < self._rates[1] for port in ports)

    @cached_property
    def _rates(self) -> tuple[int, int]:
        """The least that any port must have room for, and the most that one may need.

        Where the rates asked for do not fit even without bounds on time, it is these that have to find room.
        """
        shape = shape_of(self._requirement)
        rates = [stream.floor_bps for stream in (shape.down, shape.up) if stream.floor_bps]
        patient = replace(self._requirement.objectives, delay_s=None, jitter_s=None)
        if self._plan({}, (), replace(self._requirement, objectives=patient)) is not None or self._budget.short:
            return 1, AMPLE_BPS
        return min(rates), len(shape.leaves) * sum(rates)

    def _least(self, thing: Thing, plan: Embedding) -> Remedy | None:
        """The least capacity that admits it, `plan` being what was found without a limit there."""
        kind, name = thing
        now = self._topology.links[name].capacity_bps if kind == "link" else self._ends[name].capacity_bps
        share = self._topology.links[name].max_reservable if kind == "link" else 1
        filled = [
            ceil((floor + self._seen.reserved_bps(port)) / share)
            for port, floor in plan.floors.items()
            if port[1] == name
        ]
        low = (now or 0) // STEP_BPS
        high = max(-(-max(filled, default=0) // STEP_BPS), low + 1)
        while not self._fits(thing, high):  # a wider line is a faster one too, and without a limit it was faster still
            low, high = high, 2 * high
            if self._budget.spent or high * STEP_BPS > _BOUNDLESS_BPS:
                return None
        middle = high - 1  # mostly the first guess is right
        while low < middle < high:
            low, high = (low, middle) if self._fits(thing, middle) else (middle, high)
            middle = (low + high) // 2
        return Remedy("upgrade-link" if kind == "link" else "upgrade-endpoint", name, None, now or 0, high * STEP_BPS)

    def _fits(self, thing: Thing, steps: int) -> bool:
        return self._plan({thing: steps * STEP_BPS}) is not None

    def let_go(self, held: Mapping[str, Requirement]) -> list[Remedy]:
        """The least important slice whose going admits it, the smallest of several; at most one."""
        matters = self._matters()
        names = [name for name in self._ledger.names if name in held and matters(name)]
        names.sort(key=lambda name: (held[name].priority, demand_bps(held[name]), name))
        for name in _singles(names, lambda group: self._plan({}, group) is not None):
            return [Remedy("remove-intent", name, held[name].tenant)]
        return []

    def _matters(self) -> Callable[[str], bool]:
        """Tells the slices whose going might help from those for which that is out of the question."""
        least, most = self._rates
        arcs = PathGraph.of(self._topology).arc_of
        own = {port for end in self._ends.values() for port in (access_port(end), delivery_port(end))}

        def matters(name: str) -> bool:
            for port, floor in self._ledger.slice_floors(name).items():
                if port in own or port in arcs:
                    room = self._room.at(port, self._ends)
                    if room < most and room + floor >= least:
                        return True
            return False

        return matters

    def _plan(
        self, widened: Mapping[Thing, int], gone: Sequence[str] = (), requirement: Requirement | None = None
    ) -> Embedding | None:
        """The embedding with some lines wider and some slices gone; None also when there is no budget left for it."""
        topology, asked, ledger = self._topology, requirement or self._requirement, self._ledger
        if not self._budget.spend(_size(topology) + len(gone)):
            return None
        for name in gone:
            ledger = ledger.without_slice(name)
        graph = PathGraph.of(topology)
        if widened:
            graph = graph.widened({name: rate for (kind, name), rate in widened.items() if kind == "link"})
            asked = replace(asked, pairs=tuple(_widened_pair(pair, widened) for pair in asked.pairs))
        effort = Effort(_EFFORT)
        found = embed(graph, asked, ledger, effort)
        self._budget.short |= found is None and effort.exhausted
        return found


def _size(topology: Topology) -> int:
    return len(topology.nodes) + len(topology.links)


def _singles(group: Sequence[Item], enough: Callable[[Sequence[Item]], bool]) -> Iterator[Item]:
    """The members that are enough by themselves, in their order. No part of a group can be that is not enough whole."""
    if not group or not enough(group):
        return
    if len(group) == 1:
        yield group[0]
        return
    half = len(group) // 2
    yield from _singles(group[:half], enough)
    yield from _singles(group[half:], enough)


def _widened_pair(pair: Pair, widened: Mapping[Thing, int]) -> Pair:
    def line(end: Endpoint) -> Endpoint:
        return replace(end, capacity_bps=widened.get(("endpoint", end.id), end.capacity_bps))

    return Pair(line(pair.source), line(pair.destination))
