"""Replan: after a failure, what each promise becomes. Pure.

Input: topology, the decisions that are held and the ledger of their floors, and what failed. Output: a `Replanned`:
a fate for every decision, in the order given, and the ledger after it. Decisions taken here:

- Only slices that lose a path are planned again; the others keep the very decision they have.
- Most important first: priority, then the availability promised, then the order given.
- Floors on dead paths are free at once. Those of paths that still carry traffic are held until everything is planned,
  beside the new ones, so that slices may move in any order (new before old) and no port is ever over-booked.
- A slice that cannot have its whole promise back keeps what works: its surviving paths, or, where there is none, any
  path that keeps delay, jitter, loss and bandwidth, or the sites that can still be served. What it lost is said by the
  reasons of a refusal.
- A shared backup that the failure woke counts as running; what sleeps still counts for a further failure.
- Nothing is taken from slices that the failure did not touch.
- Where policy counts port waits or class queues, nothing is put where it would break a promise by them (`gate`).

Availabilities are those of the network that is left, the failure taken as lasting.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from carelane.controller.pipeline.decide import decide
from carelane.controller.pipeline.garbage import no_collection
from carelane.controller.pipeline.gate import Gate
from carelane.controller.pipeline.lane import LaneGraph
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.rounding import PROMISED_DIGITS, floor_availability
from carelane.controller.pipeline.slice_plan import Decision, PlannedPath, Reason, role_name
from carelane.controller.pipeline.trees import floors_on_links
from carelane.policies.admission import AdmissionPolicy
from carelane.topology.availability import service_availability, unstated_availability
from carelane.topology.failure import Failure
from carelane.topology.ledger import CapacityLedger, PortKey
from carelane.topology.model import Endpoint, Topology
from carelane.topology.paths import Route

__all__ = ["Fate", "Outcome", "Replanned", "carried_anyhow", "replan"]

Outcome = Literal["kept", "restored", "weakened", "broken"]
"""kept: untouched. restored: the whole promise holds again, on other paths. weakened: it is carried within its delay,
jitter, loss and bandwidth, with less availability or protection than promised. broken: it is not carried."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one promise. `now` is `before` itself when kept, and not admitted when broken.

    `carried`: some path survived for every site, so traffic went on (by fast failover) while the rest was planned.
    `reasons` tell what stands in the way of the whole promise (weakened or broken).
    """

    before: Decision
    outcome: Outcome
    carried: bool
    now: Decision
    reasons: tuple[Reason, ...] = ()

    @property
    def name(self) -> str:
        return self.before.name


@dataclass(frozen=True, slots=True)
class Replanned:
    """Fates in the order given, the ledger after them, and the network they hold on."""

    fates: tuple[Fate, ...]
    ledger: CapacityLedger
    topology: Topology

    def of(self, outcome: Outcome) -> tuple[Fate, ...]:
        return tuple(fate for fate in self.fates if fate.outcome == outcome)


@no_collection()
def replan(
    topology: Topology,
    held: Sequence[Decision],
    ledger: CapacityLedger,
    failed: Failure,
    *,
    graph: LaneGraph | None = None,
    policy: AdmissionPolicy | None = None,
) -> Replanned:
    """What `failed` does to the admitted decisions `held`, whose floors `ledger` holds (beside others', perhaps).

    `graph`: that of what is left, where the caller has it already. `policy`: what promises have to hold by; it has no
    other say. Leave refused decisions out.
    """
    left = failed.leaves(topology)
    links, nodes = failed.extent(topology)
    struck = [index for index, decision in enumerate(held) if _touched(decision, links, nodes)]
    survivors = {index: _surviving(held[index], links, nodes) for index in struck}
    for index in struck:
        if held[index].requirement.connectivity == "point-to-multipoint":
            alive = tuple(path for path in held[index].paths if _alive(path, links, nodes))
            survivors[index] = _surviving_trees(topology, alive, ledger.slice_floors(held[index].name))
        ledger = _without_dead_floors(ledger, held[index], survivors[index])
    found: dict[int, Fate] = {}
    if struck:
        network = _Network(graph or LaneGraph(left, len(struck)), Gate(left, policy, _standing(held, survivors)))
        struck.sort(key=lambda index: _importance(held[index], index))
        room = ledger
        for index in struck:
            found[index], ledger, room = _decided_again(network, held[index], survivors[index], (ledger, room), nodes)
        for index in struck:
            if found[index].outcome == "broken":
                found[index], ledger, room = _carried_anyhow(network, found[index], survivors[index], (ledger, room))
    fates = tuple(found.get(index) or Fate(decision, "kept", True, decision) for index, decision in enumerate(held))
    return Replanned(fates, ledger, left)


def _importance(decision: Decision, index: int) -> tuple[float, ...]:
    requirement = decision.requirement
    return (-requirement.priority, -(requirement.objectives.availability or 0.0), index)


def _touched(decision: Decision, links: Collection[str], nodes: Collection[str]) -> bool:
    return any(not _alive(path, links, nodes) for path in decision.paths)


def _alive(path: PlannedPath, links: Collection[str], nodes: Collection[str]) -> bool:
    return not any(hop.link in links for hop in path.hops) and not any(node in nodes for node in path.nodes)


def _surviving(decision: Decision, links: Collection[str], nodes: Collection[str]) -> tuple[PlannedPath, ...]:
    """Paths that work, promoted to the roles that are free: the first left of each pair is its primary. Not for trees,
    which paths belong to by their roles."""
    counts: dict[tuple[str, str], int] = {}
    alive = []
    for path in decision.paths:
        if _alive(path, links, nodes):
            pair = (path.source, path.to)
            number = counts[pair] = counts.get(pair, -1) + 1
            role = role_name(number)
            alive.append(path if path.role == role else replace(path, role=role))
    return tuple(alive)


def _surviving_trees(
    topology: Topology, paths: tuple[PlannedPath, ...], floors: Mapping[PortKey, int]
) -> tuple[PlannedPath, ...]:
    """Paths of a slice with trees for which what it holds is enough. A backup that has become a receiver's first path
    shares no floor with the others any longer; where that takes more than is held, other backups have to go."""
    while True:
        over = {port for port, rate in floors_on_links(topology, paths).items() if rate > floors.get(port, 0)}
        firsts = {path.to: path for path in reversed(paths)}
        left = tuple(path for path in paths if path is firsts[path.to] or over.isdisjoint(_out(path)))
        if left == paths:
            return paths
        paths = left


def _out(path: PlannedPath) -> set[PortKey]:
    return {(hop.node, hop.link) for hop in path.hops}


def _covers(paths: Sequence[PlannedPath], requirement: Requirement) -> bool:
    """Whether every pair of the requirement has a path."""
    return {(pair.source.id, pair.destination.id) for pair in requirement.pairs} <= {(p.source, p.to) for p in paths}


def _without_dead_floors(
    ledger: CapacityLedger, decision: Decision, surviving: Sequence[PlannedPath]
) -> CapacityLedger:
    """The ledger in which the slice holds floors on its surviving paths only, ends included."""
    ports = _ports(decision.requirement, surviving) if surviving else set()
    floors = ledger.slice_floors(decision.name)
    kept = [(port, rate) for port, rate in floors.items() if port in ports]
    return ledger.with_slice(decision.name, kept, decision.requirement.window)


def _ports(requirement: Requirement, paths: Sequence[PlannedPath]) -> set[PortKey]:
    ports: set[PortKey] = {(node, end.id) for end in _ends(requirement) for node in (end.node, "")}
    for path in paths:
        ports |= {(node, hop.link) for hop in path.hops for node in (hop.node, hop.next_node)}
    return ports


def _ends(requirement: Requirement) -> Iterator[Endpoint]:
    return (end for pair in requirement.pairs for end in (pair.source, pair.destination))


def _what_is_left(requirement: Requirement, nodes: Collection[str]) -> tuple[Requirement | None, tuple[Reason, ...]]:
    """The requirement without the sites whose switch is gone (None: nobody is left to talk to), and a reason each."""
    gone = {
        end.id: Reason("unreachable", end.id, None, None, None, f"{end.id} is attached to {end.node}, which is gone")
        for pair in requirement.pairs
        for end in (pair.source, pair.destination)
        if end.node in nodes
    }
    pairs = tuple(p for p in requirement.pairs if p.source.id not in gone and p.destination.id not in gone)
    if len(pairs) == len(requirement.pairs):
        return requirement, ()
    return (replace(requirement, pairs=pairs) if pairs else None), tuple(gone.values())


Ledgers = tuple[CapacityLedger, CapacityLedger]
"""What is held in the end, and what is held while slices move: beside the new floors, those of running traffic."""


@dataclass(frozen=True, slots=True)
class _Network:
    """What is left of the network, and what is let in there."""

    graph: LaneGraph
    gate: Gate

    @property
    def topology(self) -> Topology:
        return self.graph.topology

    def place(self, requirement: Requirement, ledger: CapacityLedger) -> tuple[Decision, CapacityLedger]:
        """The decision, and the ledger after it."""
        now, after = decide(self.graph, requirement, ledger)
        if now.admitted:
            now, after = self.gate.let_in(self.graph, ledger, now, after)
        if now.admitted:
            self.gate.add(now)
        return now, after


def _standing(held: Sequence[Decision], survivors: Mapping[int, tuple[PlannedPath, ...]]) -> Iterator[Decision]:
    """What still carries traffic."""
    for index, decision in enumerate(held):
        paths = survivors.get(index, decision.paths)
        if paths:
            yield decision if paths is decision.paths else replace(decision, paths=paths)


def _decided_again(
    network: _Network,
    before: Decision,
    surviving: tuple[PlannedPath, ...],
    ledgers: Ledgers,
    nodes: Collection[str],
) -> tuple[Fate, *Ledgers]:
    """The whole promise anew if possible, else what is left of it."""
    requirement, lost = _what_is_left(before.requirement, nodes)
    carried = _covers(surviving, before.requirement)
    if requirement is None:
        refused = Decision(before.requirement, admitted=False, reasons=lost)
        return Fate(before, "broken", False, refused, lost), *ledgers
    now, moved = network.place(requirement, ledgers[1])
    if now.admitted:
        return Fate(before, "weakened" if lost else "restored", carried, now, lost), *_held(ledgers, moved, now)
    reasons = (*lost, *now.reasons)
    if _covers(surviving, requirement):
        availability = _availability(network.topology, before, surviving)
        kept = replace(before, requirement=requirement, paths=surviving, availability=availability, backups="dedicated")
        return Fate(before, "weakened", carried, kept, reasons), *ledgers
    return Fate(before, "broken", carried, now, reasons), *ledgers


def _held(ledgers: Ledgers, moved: CapacityLedger, now: Decision) -> Ledgers:
    """The ledgers once a slice holds its new floors, those of `now`."""
    name = now.name
    if ledgers[0] is ledgers[1] and name not in ledgers[1].names:  # as long as nothing moves beside running traffic
        return moved, moved
    return ledgers[0].without_slice(name).with_held_by(moved, name), moved.with_held_by(ledgers[1], name)


def carried_anyhow(requirement: Requirement) -> Requirement:
    """The least worth carrying: delay, jitter, loss and bandwidth as promised, without availability and protection."""
    return replace(requirement, protection="none", objectives=replace(requirement.objectives, availability=None))


def _carried_anyhow(
    network: _Network, fate: Fate, surviving: tuple[PlannedPath, ...], ledgers: Ledgers
) -> tuple[Fate, *Ledgers]:
    """For a promise that cannot be kept whole: one path a site within its delay, jitter, loss and bandwidth, if there
    is; else the sites whose paths survive."""
    requirement = fate.now.requirement
    relaxed = carried_anyhow(requirement)
    if relaxed != requirement and all(end.node in network.graph.node_index for end in _ends(relaxed)):
        now, moved = network.place(relaxed, ledgers[1])
        if now.admitted:
            now = replace(now, availability=_availability(network.topology, fate.before, now.paths))
            return replace(fate, outcome="weakened", now=now), *_held(ledgers, moved, now)
    served = {(path.source, path.to) for path in surviving}
    pairs = tuple(pair for pair in requirement.pairs if (pair.source.id, pair.destination.id) in served)
    if pairs:
        availability = _availability(network.topology, fate.before, surviving)
        left = replace(requirement, pairs=pairs)
        now = replace(fate.before, requirement=left, paths=surviving, availability=availability, backups="dedicated")
        return replace(fate, outcome="weakened", now=now), *ledgers
    return fate, ledgers[0].without_slice(fate.name), ledgers[1]


def _availability(topology: Topology, before: Decision, paths: Sequence[PlannedPath]) -> float | None:
    """The worst site's, cut to the digits that are promised; None where figures are missing or none was asked."""
    if before.availability is None:
        return None
    by_pair: dict[tuple[str, str], list[Route]] = {}
    for path in paths:
        by_pair.setdefault((path.source, path.to), []).append(Route(path.nodes, tuple(hop.link for hop in path.hops)))
    if any(unstated_availability(topology, routes) for routes in by_pair.values()):
        return None
    worst = min(service_availability(topology, routes) for routes in by_pair.values())
    return floor_availability(worst, PROMISED_DIGITS)
