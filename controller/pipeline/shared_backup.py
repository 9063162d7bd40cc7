"""Shared backups: where policy lets a slice's backup share capacity with those that no single failure needs at once.

Input: graph, requirement, ledger. Output: an `Embedding`, whose `standby` is what the backup shares. Decisions taken
here:

- Only a single pair with a primary and one backup shares. Trees, consultations, three paths and slices with a schedule
  keep floors of their own for each backup, and so does everything at the ports of endpoints.
- A slice is planned as usual; if it has a backup, that backup then shares. What finds no place so is searched for with
  the room that the failures of the primary leave to its backup. That second search is no proof: it may miss a pair.
- What is promised is kept whoever shares: the availability asked for, or that of the primary alone. The backup counts
  as up only while no primary of those who share with it is down (`carelane.topology.backup_pool`). A backup that would
  break the promise of another, or could not keep its own, does not share.
- A failure makes what it wakes run: whoever reckons after one counts the floors of woken backups as held.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from carelane.controller.pipeline.admit import Embedder, Embedding, Routes
from carelane.controller.pipeline.lane import embed
from carelane.controller.pipeline.limits import Room
from carelane.controller.pipeline.queues import OwnFloors
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.slice_plan import Decision
from carelane.topology.availability import exact_availability, exact_ratio, unstated_availability
from carelane.topology.backup_pool import Load, Standby
from carelane.topology.disjoint import disjoint_routes
from carelane.topology.ledger import CapacityLedger, PortKey
from carelane.topology.model import Topology
from carelane.topology.paths import Effort, PathGraph, Route
from carelane.topology.standby import failures_of, standby_of

if TYPE_CHECKING:
    from carelane.policies.admission import AdmissionPolicy

__all__ = ["may_share", "permitted", "place", "sharing", "standby_held"]


def permitted(policy: AdmissionPolicy | None, requirement: Requirement) -> Requirement:
    """`requirement` with what the policy says of its backup; without a policy, with what was said before."""
    if policy is None or policy.shares(requirement.service) == (requirement.backups == "shared"):
        return requirement
    return replace(requirement, backups="shared" if policy.shares(requirement.service) else "dedicated")


def may_share(requirement: Requirement) -> bool:
    """Whether a backup of `requirement` could share."""
    return (
        requirement.backups == "shared"
        and requirement.connectivity == "point-to-point"
        and len(requirement.pairs) == 1
        and requirement.protection != "none"
        and requirement.schedule is None
    )


def place(graph: PathGraph, requirement: Requirement, ledger: CapacityLedger, effort: Effort) -> Embedding | None:
    """An embedding of `requirement` beside what `ledger` holds, its backup shared where it may be."""
    found = embed(graph, requirement, ledger, effort, priced=True)
    if not may_share(requirement):
        return found
    seen = ledger.seen_by(requirement.name, requirement.window)
    if found is not None:
        return sharing(graph, requirement, found, seen)
    return None if effort.exhausted else _Sharing(graph, requirement, seen, effort).run()


def sharing(graph: PathGraph, requirement: Requirement, embedding: Embedding, seen: CapacityLedger) -> Embedding:
    """`embedding` with its backup shared, if it has one that may be; `seen` is the ledger without the slice itself."""
    if not may_share(requirement) or len(embedding.rows) != 2 or embedding.standby is not None:
        return embedding
    routes = [row.route for row in sorted(embedding.rows, key=lambda row: row.role)]
    return _shared(graph.topology, requirement, embedding, routes, seen) or embedding


def _shared(
    topology: Topology, requirement: Requirement, embedding: Embedding, routes: Sequence[Route], seen: CapacityLedger
) -> Embedding | None:
    target = requirement.objectives.availability
    ports = set(_ports(routes[1]))
    floors = [(port, rate_bps) for port, rate_bps in embedding.floors.items() if port in ports]
    standby = standby_of(topology, requirement.tenant, (routes[0], routes[1]), floors, target)
    if not _all_keep(seen, standby):
        return None
    kept: Fraction | None = None if target is None else exact_ratio(target)
    if kept is None and not unstated_availability(topology, routes[:1]):
        kept = exact_availability(topology, routes[:1])
    return replace(embedding, standby=standby, availability=kept)


def _all_keep(seen: CapacityLedger, standby: Standby) -> bool:
    """Whether it keeps its own promise beside those with whom it would share, and all of them theirs."""
    names = seen.sharers(standby.ports)
    around = {name: seen.standby(name) for name in names}
    if not standby.keeps(other for held in around.values() for other in held):
        return False
    for name, held in around.items():
        for other in held:
            if other.kept is None:
                continue
            beside = [one for near in seen.sharers(other.ports) - {name} for one in seen.standby(near)]
            if not other.keeps([*beside, standby]):
                return False
    return True


def standby_held(topology: Topology, decision: Decision, floors: Mapping[PortKey, int]) -> Standby | None:
    """What the slice of a decision shares, of the floors it holds; None: nothing, or not on this topology any more."""
    if decision.backups != "shared" or len(decision.paths) != 2:
        return None
    routes = [Route(path.nodes, tuple(hop.link for hop in path.hops)) for path in decision.paths]
    known = all(link in topology.links for route in routes for link in route.links)
    if not known or not all(node in topology.nodes for route in routes for node in route.nodes):
        return None
    ports = set(_ports(routes[1]))
    own = [(port, rate_bps) for port, rate_bps in floors.items() if port in ports]
    wanted = decision.requirement
    return standby_of(topology, wanted.tenant, (routes[0], routes[1]), own, wanted.objectives.availability)


def _ports(route: Route) -> list[PortKey]:
    """Both directions' egress ports."""
    return [*zip(route.nodes, route.links, strict=False), *zip(route.nodes[1:], route.links, strict=True)]


class _Sharing(Embedder):
    """The search for a primary and a backup that has only the room that the primary's failures leave."""

    def __init__(self, graph: PathGraph, requirement: Requirement, ledger: CapacityLedger, effort: Effort) -> None:
        super().__init__(graph, requirement, Room(graph, ledger), effort)
        self._ledger = ledger
        self._left: dict[Route, npt.NDArray[np.int64]] = {}
        self._primary: Route | None = None
        self._hopeful = self._with_room(lambda load: load.most_bps)

    def run(self) -> Embedding | None:
        found = super().run()
        return None if found is None else self._shared(found)

    def _routes_with(self, leaf: int, floors: OwnFloors, entered: object, backups: object) -> tuple[Route, ...] | None:
        del entered, backups  # a single pair makes no trees
        root, end = self.shape.root, self.shape.leaves[leaf]
        budget = None if self.target is None else self._budget(root.node, end.node, self.target)
        if root.node == end.node or (budget is not None and budget < 0):
            return None
        queries = [self._query(leaf, floors, {}, role) for role in (0, 1)]
        return disjoint_routes(queries, self.effort, None if budget is None else float(budget), self._enough)

    def _enough(self, routes: tuple[Route, ...]) -> bool:
        """Available enough, with room for the backup after each failure of the primary, and in nobody's way."""
        if not super()._enough(routes):
            return False
        found = self._with_rates([routes])
        return found is not None and self._shared(found) is not None

    def _with_rates(self, routes: Routes) -> Embedding | None:
        ((self._primary, backup),) = routes
        left, down, up = self.room_of(1), self.shape.down.floor_bps, self.shape.up.floor_bps
        if any(left[arc] < down or left[arc ^ 1] < up for arc in self.graph.arcs(backup)):
            return None
        return super()._with_rates(routes)

    def _shared(self, found: Embedding) -> Embedding | None:
        routes = [row.route for row in found.rows]
        return _shared(self.graph.topology, self.requirement, found, routes, self._ledger)

    def usable_room(self, floors: OwnFloors, role: int) -> npt.NDArray[np.int64]:
        return self._hopeful if role else super().usable_room(floors, role)

    def room_of(self, role: int) -> npt.NDArray[np.int64]:
        """What a backup finds free after any failure of the primary that is being tried."""
        if not role or self._primary is None:
            return super().room_of(role)
        if self._primary not in self._left:
            failures = failures_of(self.graph.topology, self._primary)
            self._left[self._primary] = self._with_room(lambda load: load.most_bps - load.after_any_bps(failures))
        return self._left[self._primary]

    def _with_room(self, more: Callable[[Load], int]) -> npt.NDArray[np.int64]:
        """What is free, and at ports with shared backups `more`."""
        room = self.room.arcs.copy()
        for port, load in self._ledger.shared():
            arc = self.graph.arc_of.get(port)
            if arc is not None and room[arc] >= 0:
                room[arc] += more(load)
        return room
