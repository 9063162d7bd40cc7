"""Planning with shared backups: what an operator gains who lets backups of independent slices share capacity. Pure.

Input: topology and requirements in order. Output: an embedding for each, or None, and the pool of reservations.
Decisions taken here:

- Working paths hold their floors; backups hold theirs against the failures of their primary only
  (`carelane.topology.backup_pool`), so that no single failure ever sends more to a port than it has.
- A slice is planned as usual beside what the pool reserves. Where that does not fit, its best single path is taken as
  primary, and the best backup disjoint from it in the room that is left after the failures of that primary. That
  second attempt is no proof: another primary might have shared more.

This is an option of planning and off by default: `plan` and the switches give every backup a queue of its own, with a
floor that is there before the failure. Sharing needs floors that are raised in the moment of failure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from carelane.controller.pipeline.admit import Embedding, embed, reached
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.shape import access_port, delivery_port
from carelane.topology.availability import exact_ratio
from carelane.topology.backup_pool import BackupPool, Failure, Shared, failures_of
from carelane.topology.disjoint import conflicts
from carelane.topology.ledger import CapacityLedger, PortKey
from carelane.topology.model import Topology
from carelane.topology.paths import Effort, PathGraph, Route

__all__ = ["SharedPlan", "plan_shared"]

_EFFORT = 2_000_000


@dataclass(frozen=True, slots=True)
class SharedPlan:
    """Embeddings in the order of the requirements (None: does not fit), and what they hold together."""

    embeddings: tuple[Embedding | None, ...]
    pool: BackupPool


def plan_shared(topology: Topology, requirements: Sequence[Requirement]) -> SharedPlan:
    """Decide `requirements` one after the other with shared backups, on an empty network."""
    graph, pool = PathGraph.of(topology), BackupPool()
    found: list[Embedding | None] = []
    for requirement in requirements:
        pool = pool.without_slice(requirement.name)
        embedding = _beside(graph, requirement, pool)
        if embedding is not None:
            pool = pool.with_slice(requirement.name, held_by(topology, embedding))
        found.append(embedding)
    return SharedPlan(tuple(found), pool)


def held_by(topology: Topology, embedding: Embedding) -> Shared:
    """What an embedding holds: working at every port that some primary uses, standby at the others."""
    ends = (embedding.shape.root, *embedding.shape.leaves)
    primaries = [row.route for row in embedding.rows if row.role == 0]
    used = {access_port(end) for end in ends} | {delivery_port(end) for end in ends}
    for route in primaries:
        used |= set(_ports(route))
    return Shared(
        {port: floor for port, floor in embedding.floors.items() if port in used},
        {port: floor for port, floor in embedding.floors.items() if port not in used},
        failures_of(topology, primaries),
    )


def _ports(route: Route) -> list[PortKey]:
    """Both directions' egress ports."""
    return [*zip(route.nodes, route.links, strict=False), *zip(route.nodes[1:], route.links, strict=True)]


def _beside(graph: PathGraph, requirement: Requirement, pool: BackupPool) -> Embedding | None:
    reserved = _ledger({port: pool.reserved_bps(port) for port in pool.ports()})
    found = embed(graph, requirement, reserved, Effort(_EFFORT))
    if found is not None or len(requirement.pairs) > 1 or requirement.protection == "none":
        return found
    objectives = replace(requirement.objectives, availability=None)
    single = replace(requirement, protection="none", objectives=objectives)
    primary = embed(graph, single, reserved, Effort(_EFFORT))
    if primary is None or not primary.rows[0].route.links:
        return None
    backup = embed(graph, single, _left_for_backup(graph, pool, primary.rows[0].route), Effort(_EFFORT))
    return None if backup is None else _joined(graph.topology, requirement, primary, backup)


def _left_for_backup(graph: PathGraph, pool: BackupPool, primary: Route) -> CapacityLedger:
    """A ledger that leaves a backup the room it may share, and nothing where it would not be disjoint."""
    failures: frozenset[Failure] = failures_of(graph.topology, [primary])
    held = {port: pool.held_against_bps(port, failures) for port in pool.ports() if port in graph.arc_of}
    held |= {port: pool.reserved_bps(port) for port in pool.ports() if port not in graph.arc_of}
    elements = [("link", graph.link_index[link]) for link in primary.links]
    elements += [("node", graph.node_index[node]) for node in primary.nodes[1:-1]]
    ends = frozenset((graph.node_index[primary.nodes[0]], graph.node_index[primary.nodes[-1]]))
    links, nodes = conflicts(graph, elements, ends)
    banned = {2 * link for link in links} | {arc for node in nodes for _, arc in graph.leaving[node]}
    for arc in {*banned, *(arc ^ 1 for arc in banned)}:
        held[graph.node_ids[graph.tail[arc]], graph.link_ids[arc >> 1]] = graph.capacity[arc] or 0
    return _ledger(held)


def _ledger(held: Mapping[PortKey, int]) -> CapacityLedger:
    return CapacityLedger({port: {"": rate_bps} for port, rate_bps in held.items()})


def _joined(topology: Topology, requirement: Requirement, primary: Embedding, backup: Embedding) -> Embedding | None:
    """Primary and backup as one embedding, if together they are available enough."""
    rows = (*primary.rows, *(replace(row, role=1) for row in backup.rows))
    routes = [row.route for row in rows]
    target = requirement.objectives.availability
    known = primary.availability is not None and backup.availability is not None
    availability = reached(topology, routes) if known else None
    if target is not None and (availability is None or availability < exact_ratio(target)):
        return None
    ports = sorted(primary.floors.keys() | backup.floors.keys())
    floors = {port: max(primary.floors.get(port, 0), backup.floors.get(port, 0)) for port in ports}
    return replace(primary, rows=rows, floors=floors, availability=availability)
