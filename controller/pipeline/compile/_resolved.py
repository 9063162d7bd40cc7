"""A decision with its numbers, ports and addresses looked up: what the rule makers work on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network

from carelane.controller.pipeline.compile._policing import Bucket, forward_bucket, reverse_bucket
from carelane.controller.pipeline.identifiers import CookieKind, cookie_of, forward_label, labels_needed, reverse_label
from carelane.controller.pipeline.program import SliceIds
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.slice_plan import Decision, PlannedPath, role_number
from carelane.controller.pipeline.trees import Forest, branches_of, crowds, grow
from carelane.errors import ConflictError, InputError, ProgramError
from carelane.policies.classes import CLASSES, TrafficClass
from carelane.topology.backup_pool import Failure
from carelane.topology.model import Endpoint, Hop, Topology
from carelane.topology.paths import Route
from carelane.topology.standby import failures_of

__all__ = ["Lane", "Site", "Slice", "Step", "Way", "resolve_slice"]


@dataclass(frozen=True, slots=True)
class Site:
    """An endpoint whose address is known."""

    endpoint: str
    node: str
    port: int
    address: IPv4Network | IPv6Network
    mac: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """Out of `node` at `out_port`, into `next_node` at `in_port`."""

    node: str
    out_port: int
    next_node: str
    in_port: int

    def back(self) -> Step:
        return Step(self.next_node, self.in_port, self.node, self.out_port)


@dataclass(frozen=True, slots=True)
class Lane:
    """One direction of one planned path. `growth_s` is the queueing it may meet, by which bursts grow.

    `tree` is the one it belongs to; at its `crowded` ports each receiver's copies count for themselves
    (`carelane.controller.pipeline.trees`).
    """

    label: int
    steps: tuple[Step, ...]
    floor_bps: int
    growth_s: float
    tree: int = 0
    crowded: frozenset[tuple[str, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Way:
    """One direction of one pair, with its lanes in order of activation. `meter` is None for elastic classes.

    `label` is that of the primary path, whichever lane comes first now: it numbers the meter and the edge's group.
    `planned` are the lanes as the decision orders them: trees keep to it, whatever is to be avoided for now.
    """

    pair: int
    forward: bool
    origin: Site
    target: Site
    label: int
    lanes: tuple[Lane, ...]
    bucket: Bucket
    meter: int | None
    planned: tuple[Lane, ...] = ()

    @property
    def protected(self) -> bool:
        """Whether there is somewhere else to go when a link of the first lane dies."""
        return len(self.lanes) > 1 and bool(self.lanes[0].steps)


@dataclass(frozen=True, slots=True)
class Slice:
    """`ways` holds the directions that carry traffic; for point to multipoint, pairs share source and meter.

    `wakes`: the failures after which its shared backup is needed (None: its backups have their floors for themselves).
    """

    requirement: Requirement
    ids: SliceIds
    traffic_class: TrafficClass
    cookie: int
    ways: tuple[Way, ...]
    paths: int
    forest: Forest | None = None
    wakes: frozenset[Failure] | None = None

    @property
    def name(self) -> str:
        return self.requirement.name

    @property
    def multipoint(self) -> bool:
        return self.requirement.connectivity == "point-to-multipoint"


def resolve_slice(topology: Topology, decision: Decision, ids: SliceIds, avoid: Collection[str] = frozenset()) -> Slice:
    """Look everything up; lanes that touch none of the links to `avoid` come first.

    Raises InputError, ProgramError or ConflictError, each naming what is missing.
    """
    requirement = decision.requirement
    if not decision.admitted:
        raise ConflictError(f"slice {decision.name} is refused and cannot be programmed")
    if ids.labels < labels_needed(decision):
        raise ConflictError(
            f"slice {decision.name} needs {labels_needed(decision)} labels and holds {ids.labels}; allocate anew"
        )
    traffic_class = CLASSES.get(requirement.traffic_class)
    if traffic_class is None:
        raise ProgramError(
            f"slice {decision.name}: unknown traffic class {requirement.traffic_class!r}, known: {', '.join(CLASSES)}"
        )
    branches = branches_of(decision.paths) if requirement.connectivity == "point-to-multipoint" else ()
    forest = grow(branches) if branches else None
    ways = tuple(way for pair in range(len(requirement.pairs)) for way in _ways(topology, decision, ids, pair, avoid))
    if forest is not None:
        ways = tuple(_in_trees(topology, decision, way, ids, forest) for way in ways)
    if not traffic_class.elastic:
        ways = tuple(_metered(way, ways, requirement) for way in ways)
    cookie = cookie_of(CookieKind.SLICE, ids.number)
    wakes = _wakes(topology, decision)
    return Slice(requirement, ids, traffic_class, cookie, ways, len(decision.paths), forest, wakes)


def _wakes(topology: Topology, decision: Decision) -> frozenset[Failure] | None:
    """What its primary suffers from, if its backup shares."""
    if decision.backups != "shared":
        return None
    primary = min(decision.paths, key=lambda path: role_number(path.role))
    return failures_of(topology, Route(primary.nodes, tuple(hop.link for hop in primary.hops)))


def _ways(topology: Topology, decision: Decision, ids: SliceIds, pair: int, avoid: Collection[str]) -> list[Way]:
    requirement = decision.requirement
    source, destination = requirement.pairs[pair].source, requirement.pairs[pair].destination
    near, far = _site(topology, source, decision), _site(topology, destination, decision)
    if (near.node, near.port) == (far.node, far.port):
        raise ProgramError(
            f"slice {decision.name}: {near.endpoint} and {far.endpoint} share port {near.port} of {near.node}; "
            "hosts behind one port reach each other without the network"
        )
    if near.address.version != far.address.version:
        raise InputError(
            f"slice {decision.name}: {near.endpoint} has IPv{near.address.version} address {near.address}, "
            f"{far.endpoint} has IPv{far.address.version} address {far.address}",
            field="spec.endpoints",
            remedy="give both endpoints addresses of one family",
        )
    own = [(k, path) for k, path in enumerate(decision.paths) if (path.source, path.to) == (source.id, destination.id)]
    if not own:
        raise ProgramError(f"slice {decision.name}: the decision has no path from {source.id} to {destination.id}")
    own.sort(key=lambda item: role_number(item[1].role))
    primary = own[0][0]
    own.sort(key=lambda item: any(hop.link in avoid for hop in item[1].hops))
    forward, reverse = [], []
    for k, path in own:
        steps = _steps(topology, decision, path, near.node, far.node)
        growth_s = _queueing_s(path)
        forward.append(Lane(forward_label(ids, k), steps, path.reserved_bps, growth_s))
        back = tuple(step.back() for step in reversed(steps))
        reverse.append(Lane(reverse_label(ids, k), back, path.reverse_bps, growth_s))
    ways = []
    if requirement.forward_bps > 0:
        label, bucket = forward_label(ids, primary), forward_bucket(requirement)
        ways.append(Way(pair, True, near, far, label, tuple(forward), bucket, None))
    if requirement.reverse_bps > 0:
        label, bucket = reverse_label(ids, primary), reverse_bucket(requirement)
        ways.append(Way(pair, False, far, near, label, tuple(reverse), bucket, None))
    return ways


def _in_trees(topology: Topology, decision: Decision, way: Way, ids: SliceIds, forest: Forest) -> Way:
    """The way with its lanes in their trees, if it leads from the source."""
    if not way.forward:
        return way
    crowded = {
        (tree, (node, topology.links[link].port_at(node)))
        for tree, (node, link) in crowds(topology, branches_of(decision.paths), forest)
    }
    lanes = []
    for lane in way.lanes:
        tree = forest.trees[(lane.label - ids.first_label) // 2]
        places = ((step.node, step.out_port) for step in lane.steps)
        lanes.append(replace(lane, tree=tree, crowded=frozenset(p for p in places if (tree, p) in crowded)))
    by_label = {lane.label: lane for lane in lanes}
    planned = [k for k, path in enumerate(decision.paths) if path.to == way.target.endpoint]
    planned.sort(key=lambda k: role_number(decision.paths[k].role))
    return replace(way, lanes=tuple(lanes), planned=tuple(by_label[forward_label(ids, k)] for k in planned))


def _metered(way: Way, ways: tuple[Way, ...], requirement: Requirement) -> Way:
    """`way` with the number of the meter that polices it: its primary label, or the first pair's where it is shared."""
    first = way
    if requirement.connectivity == "point-to-multipoint" and way.forward:
        first = next(other for other in ways if other.forward)
    return replace(way, meter=first.label)


def _site(topology: Topology, stated: Endpoint, decision: Decision) -> Site:
    endpoint = topology.endpoints.get(stated.id)
    if endpoint is None:
        raise InputError(
            f"slice {decision.name}: endpoint {stated.id} is not in topology {topology.name}",
            field="spec.endpoints",
            remedy="add the endpoint to the topology, or withdraw the slice",
        )
    if endpoint.address is None:
        raise InputError(
            f"slice {decision.name}: endpoint {endpoint.id} has no address, so its traffic cannot be told apart",
            field="spec.endpoints",
            expected="an address such as 10.1.0.11/32",
            remedy=f"state the address of {endpoint.id} in the topology; a plan needs none, switches do",
        )
    return Site(endpoint.id, endpoint.node, endpoint.port, endpoint.address, endpoint.mac)


def _steps(topology: Topology, decision: Decision, path: PlannedPath, start: str, end: str) -> tuple[Step, ...]:
    steps = tuple(_step(topology, decision, hop) for hop in path.hops)
    nodes = [start, *(step.next_node for step in steps)]
    connected = all(step.node == node for step, node in zip(steps, nodes, strict=False))
    if not connected or nodes[-1] != end or len(set(nodes)) < len(nodes):
        raise ProgramError(
            f"slice {decision.name}: the {path.role} path to {path.to} is no simple path from {start} to {end}"
        )
    return steps


def _step(topology: Topology, decision: Decision, hop: Hop) -> Step:
    link = topology.links.get(hop.link)
    if link is None or {link.a, link.b} != {hop.node, hop.next_node}:
        raise ProgramError(
            f"slice {decision.name}: link {hop.link} between {hop.node} and {hop.next_node} is not in topology "
            f"{topology.name}; plan the slice again"
        )
    return Step(hop.node, link.port_at(hop.node), hop.next_node, link.port_at(hop.next_node))


def _queueing_s(path: PlannedPath) -> float:
    if path.jitter_bound_s is not None:
        return path.jitter_bound_s
    if path.delay_bound_s is not None and path.propagation_s is not None:
        return max(0.0, path.delay_bound_s - path.propagation_s)
    return 0.0
