"""Promises that have to hold beside each other, as a condition of admission where policy says so: with what queues wait
for each other at ports (`port_waits`), or as if slices shared a queue for each class (`class_queues`).

What was planned is let in only if its own delay and jitter objectives hold under that model and it breaks nobody's that
held before. When it does not, paths that keep away from the port where most others send are tried, up to `ROUNDS` of
them, each round away from one port more. That is no exhaustive search, so a refusal is not proven.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from carelane.controller.pipeline.class_queues import SharedBound, shared_bounds, ways_of
from carelane.controller.pipeline.decide import attempt
from carelane.controller.pipeline.lane import LaneGraph
from carelane.controller.pipeline.port_waits import ports_of, waited_bounds
from carelane.controller.pipeline.slice_plan import Decision, Reason
from carelane.policies.admission import AdmissionPolicy
from carelane.topology.ledger import CapacityLedger, PortKey
from carelane.topology.model import Topology

__all__ = ["ROUNDS", "Gate"]

ROUNDS = 8
"""Further paths that are tried for one slice."""
_SHUT = "\0shut"
"""Holds, in a ledger that is thrown away, all the room of ports to keep away from; no slice has such a name."""


@dataclass(frozen=True, slots=True)
class _Model:
    """How delays are bounded. `far`: they depend on slices that share no port with it, too."""

    name: str
    bounds: Callable[[Topology, Sequence[Decision]], tuple[SharedBound, ...]]
    far: bool
    own: str
    others: str


_PORT_WAITS = _Model(
    "port waits", waited_bounds, False, "with what queues at its ports may send first", "what it may send first"
)
_CLASS_QUEUES = _Model(
    "class queues", shared_bounds, True, "in a queue shared with its class", "its traffic in shared queues"
)


@dataclass(frozen=True, slots=True)
class _Held:
    decision: Decision
    ports: frozenset[PortKey]


@dataclass(frozen=True, slots=True)
class _Objection:
    """Why a decision cannot be let in; `port`: what other paths should keep away from, if there is such a port."""

    refusal: Decision
    port: PortKey | None


class Gate:
    """The slices in force, by name, and what is let in beside them. For one run, in one thread."""

    def __init__(self, topology: Topology, policy: AdmissionPolicy | None, held: Iterable[Decision] = ()) -> None:
        self._topology = topology
        counted = policy or AdmissionPolicy("none")
        asked = ((counted.port_waits, _PORT_WAITS), (counted.class_queues, _CLASS_QUEUES))
        self._models = tuple(model for wanted, model in asked if wanted)
        self._held: dict[str, _Held] = {}
        for decision in held:
            self.add(decision)

    def add(self, decision: Decision) -> None:
        """It is in force now, instead of what its name was before. What this network has no place for is left out."""
        if self._models and self._has_place(decision):
            self._held[decision.name] = _Held(decision, ports_of(self._topology, decision))

    def _has_place(self, decision: Decision) -> bool:
        links, endpoints = self._topology.links, self._topology.endpoints
        return all(
            path.source in endpoints and path.to in endpoints and all(hop.link in links for hop in path.hops)
            for path in decision.paths
        )

    def remove(self, name: str) -> None:
        self._held.pop(name, None)

    def let_in(
        self, graph: LaneGraph, ledger: CapacityLedger, decision: Decision, after: CapacityLedger
    ) -> tuple[Decision, CapacityLedger]:
        """An admitted `decision`, planned on `ledger`, with the ledger `after` it; or on other paths; or, where it
        cannot be let in, its refusal and `ledger`. What it preempts is taken to be gone."""
        if not self._models:
            return decision, after
        gone = frozenset(name for name, _ in decision.preempts)
        first = objection = self._objection(decision, gone)
        free, shut = _without(ledger, gone), list[PortKey]()
        while objection is not None:
            if objection.port is None or objection.port in shut or len(shut) == ROUNDS:
                assert first is not None
                return first.refusal, ledger
            shut.append(objection.port)
            found = attempt(graph, decision.requirement, self._shut(free, decision, shut))
            if found is None:
                objection = replace(objection, port=None)
                continue
            decision = replace(found[0], preempts=decision.preempts)
            after = found[1].without_slice(_SHUT)
            objection = self._objection(decision, gone)
        return decision, after

    def _shut(self, ledger: CapacityLedger, decision: Decision, ports: Iterable[PortKey]) -> CapacityLedger:
        """The ledger without any room at these ports."""
        seen = ledger.seen_by(decision.name, decision.requirement.window)
        room = [(port, (self._topology.links[port[1]].reservable_bps or 0) - seen.reserved_bps(port)) for port in ports]
        return ledger.with_slice(_SHUT, [(port, rate_bps) for port, rate_bps in room if rate_bps > 0])

    def _objection(self, decision: Decision, gone: frozenset[str]) -> _Objection | None:
        others = {name: item for name, item in self._held.items() if name != decision.name and name not in gone}
        own = ports_of(self._topology, decision)
        for model in self._models:
            near = _connected(own, others) if model.far else _next_to(own, others)
            beside = near if model.far else _next_to(own.union(*(others[name].ports for name in near)), others)
            decisions = [others[name].decision for name in others if name in beside]
            judged = {decision.name, *near}
            broken = _broken(model.bounds(self._topology, [*decisions, decision]), judged)
            already = {row.name for row in _broken(model.bounds(self._topology, decisions), judged)} if broken else ()
            broken = [row for row in broken if row.name not in already]
            if broken:
                refusal = _refused(model, decision, broken, others)
                return _Objection(refusal, self._crowded(decision, broken, others))
        return None

    def _crowded(
        self, decision: Decision, broken: Sequence[SharedBound], others: Mapping[str, _Held]
    ) -> PortKey | None:
        """Of the ports that a decision and what it breaks have in common, that where others send most at once."""
        links = self._topology.links
        own = {port for way in ways_of(self._topology, decision) for port in way.ports if port[1] in links}
        row = next((row for row in broken if row.name == decision.name), broken[0])
        struck = decision if row.name == decision.name else others[row.name].decision
        ways = (way for way in ways_of(self._topology, struck) if (way.source, way.to) == (row.source, row.to))
        there = own.intersection(*[{port for way in ways if way.path.role == row.role for port in way.ports}]) or own
        bursts = dict.fromkeys(there, 0)
        for item in others.values():
            for port in there & item.ports:
                bursts[port] += item.decision.requirement.burst_bytes
        return max((port for port in sorted(there) if bursts[port]), key=bursts.__getitem__, default=None)


def _broken(rows: Iterable[SharedBound], judged: set[str]) -> list[SharedBound]:
    return [row for row in rows if not row.keeps and row.name in judged]


def _next_to(ports: frozenset[PortKey], others: Mapping[str, _Held]) -> set[str]:
    return {name for name, item in others.items() if not item.ports.isdisjoint(ports)}


def _connected(ports: frozenset[PortKey], others: Mapping[str, _Held]) -> set[str]:
    """All that share a port with these, or with one another that does, and so on."""
    at: dict[PortKey, list[str]] = {}
    for name, item in others.items():
        for port in item.ports:
            at.setdefault(port, []).append(name)
    found, waiting = set[str](), list(ports)
    while waiting:
        for name in at.pop(waiting.pop(), ()):
            if name not in found:
                found.add(name)
                waiting.extend(others[name].ports)
    return found


def _without(ledger: CapacityLedger, names: Iterable[str]) -> CapacityLedger:
    for name in names:
        ledger = ledger.without_slice(name)
    return ledger


def _refused(model: _Model, decision: Decision, broken: Sequence[SharedBound], others: Mapping[str, _Held]) -> Decision:
    tenant = decision.requirement.tenant
    own = next((row for row in broken if row.name == decision.name), None)
    names = tuple(dict.fromkeys(row.name for row in broken if row.name != decision.name))
    strangers = tuple(name for name in names if others[name].decision.requirement.tenant != tenant)
    if own is not None:
        found = "there is no bound" if own.delay_s is None else f"its delay is bounded by {_ms(own.delay_s)}"
        detail = f"{model.name}: {model.own}, {found} from {own.source} to {own.to}"
    else:
        detail = f"{model.name}: {model.others} would break the delay of {', '.join(_named(names, strangers))}"
    detail += "; ask for less bandwidth or burst, for a longer delay, or at other ends"
    reason = Reason("policy", None, None, None, None, detail, strangers if own is None else ())
    assumed = decision.assumptions
    return Decision(decision.requirement, admitted=False, reasons=(reason,), assumptions=assumed, proven=False)


def _named(names: Iterable[str], strangers: Sequence[str]) -> Iterator[str]:
    """Slices of other tenants have no name."""
    yield from (name for name in names if name not in strangers)
    if strangers:
        yield "a slice of another tenant" if len(strangers) == 1 else "slices of other tenants"


def _ms(exact_s: Fraction) -> str:
    return f"{float(exact_s) * 1e3:.6g} ms"
