"""What all slices together want on all switches, kept from one compilation to the next so that its work grows with
what changed."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise

from carelane.controller.pipeline.compile._draft import Draft, Rules, collision
from carelane.controller.pipeline.compile._layout import ground_rules, ground_watches
from carelane.controller.pipeline.compile._queues import Claimed, egress_rates, port_qos
from carelane.controller.pipeline.compile._resolved import Slice, resolve_slice
from carelane.controller.pipeline.compile._tree import program_tree
from carelane.controller.pipeline.compile._unicast import program_way
from carelane.controller.pipeline.program import PortQos, Program, SliceIds, SwitchProgram
from carelane.controller.pipeline.slice_plan import Decision
from carelane.errors import CollisionError, PermanentError
from carelane.topology.model import Topology

__all__ = ["Compilation", "draft_of"]

_Port = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Member:
    """A compiled slice: what it was compiled from, what it asks of switches, and its queues with their floors."""

    decision: Decision
    ids: SliceIds
    avoid: frozenset[str]
    draft: Draft
    queues: dict[_Port, Claimed]

    @property
    def name(self) -> str:
        return self.decision.name


class Compilation:
    """Programs for one topology, each compiled as a change of the one before. Mutable; not thread-safe.

    What a switch has is one object as long as nothing changes there.
    """

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._rates = egress_rates(topology)
        self._members: dict[int, _Member] = {}
        self._labels: list[tuple[int, int]] = []  # (first label, slice number), ascending
        self._switches: dict[str, Rules] = {node: Rules() for node in topology.nodes}
        self._queues: defaultdict[_Port, dict[int, Claimed]] = defaultdict(dict)
        self._ports: defaultdict[str, dict[int, PortQos]] = defaultdict(dict)
        self._program: dict[str, SwitchProgram] = {}
        self._stale_ports: set[_Port] = set()
        self._stale: set[str] = set(topology.nodes)
        for node, rule in ground_rules(topology):
            self._switches[node].flows.setdefault(rule.key, rule)
        for node, watch in ground_watches(topology):
            self._switches[node].watches.append(watch)

    def program(self, slices: Iterable[tuple[Decision, SliceIds]], avoid: Collection[str] = frozenset()) -> Program:
        """What `compile_program` returns, and raises; then the slices are held that were held before."""
        wanted = sorted(slices, key=lambda item: item[1].number)
        for (first, ids), (second, others) in pairwise(wanted):
            if ids.number == others.number:
                raise CollisionError((first.name, second.name), f"share slice number {ids.number}")
        members = [self._member(decision, ids, avoid) for decision, ids in wanted]
        staying = {member.ids.number for member in members if self._members.get(member.ids.number) is member}
        leaving = [member for number, member in self._members.items() if number not in staying]
        added: list[_Member] = []
        for member in leaving:
            self._remove(member)
        try:
            for member in members:
                if member.ids.number not in staying:
                    self._add(member)
                    added.append(member)
            return self._finished()
        except CollisionError:
            for member in added:
                self._remove(member)
            for member in leaving:
                self._add(member)
            raise

    def fitting(
        self, slices: Iterable[tuple[Decision, SliceIds]], avoid: Collection[str] = frozenset()
    ) -> tuple[Program, dict[str, PermanentError]]:
        """The program of those that fit beside all that come before them, and why each of the others does not."""
        made: list[_Member] = []
        unfit: dict[str, PermanentError] = {}
        for decision, ids in slices:
            try:
                made.append(self._member(decision, ids, avoid))
            except PermanentError as error:
                unfit[decision.name] = error
        for member in list(self._members.values()):
            self._remove(member)
        for member in made:
            try:
                self._add(member)
            except PermanentError as error:
                unfit[member.name] = error
                continue
            try:
                for place in member.queues:
                    self._qos(place)
            except PermanentError as error:
                unfit[member.name] = error
                self._remove(member)
        return self._finished(), unfit

    def _member(self, decision: Decision, ids: SliceIds, avoid: Collection[str]) -> _Member:
        """The one that is held, if it is the same."""
        touched = _concerning(decision, avoid)
        held = self._members.get(ids.number)
        if held is not None and (held.decision, held.ids, held.avoid) == (decision, ids, touched):
            return held
        draft = draft_of(resolve_slice(self._topology, decision, ids, avoid), self._rates)
        return _Member(decision, ids, touched, draft, draft.ports.queues())

    def _add(self, member: _Member) -> None:
        """Nothing is changed when it raises."""
        other = self._members.get(member.ids.number)
        if other is not None:
            raise CollisionError((other.name, member.name), f"share slice number {member.ids.number}")
        self._check_labels(member)
        for node, rules in member.draft.switches.items():
            flows = self._switches[node].flows
            for key in rules.flows.keys() & flows.keys():
                names = {number: held.name for number, held in self._members.items()}
                names[member.ids.number] = member.name
                raise collision(names, node, flows[key], rules.flows[key])
        for node, rules in member.draft.switches.items():
            held = self._switches[node]
            held.flows |= rules.flows
            held.groups |= rules.groups
            held.meters |= rules.meters
        for place, queue in member.queues.items():
            self._queues[place][member.ids.number] = queue
        self._members[member.ids.number] = member
        insort(self._labels, (member.ids.first_label, member.ids.number))
        self._touch(member)

    def _remove(self, member: _Member) -> None:
        for node, rules in member.draft.switches.items():
            held = self._switches[node]
            for key in rules.flows:
                del held.flows[key]
            for number in rules.groups:
                del held.groups[number]
            for number in rules.meters:
                del held.meters[number]
        for place in member.queues:
            del self._queues[place][member.ids.number]
        del self._members[member.ids.number]
        self._labels.remove((member.ids.first_label, member.ids.number))
        self._touch(member)

    def _touch(self, member: _Member) -> None:
        self._stale.update(member.draft.switches)
        self._stale.update(node for node, _ in member.queues)
        self._stale_ports.update(member.queues)

    def _check_labels(self, member: _Member) -> None:
        ids = member.ids
        place = bisect_left(self._labels, (ids.first_label, ids.number))
        for _, number in self._labels[max(0, place - 1) : place + 1]:
            other = self._members[number]
            first, second = sorted((other, member), key=lambda item: item.ids.first_label)
            if first.ids.first_label + first.ids.labels > second.ids.first_label:
                raise CollisionError((first.name, second.name), "share path labels")

    def _qos(self, place: _Port) -> PortQos | None:
        queues = self._queues.get(place)
        return port_qos(place, self._rates[place], queues.values()) if queues else None

    def _finished(self) -> Program:
        """Raises ConflictError where a port is promised twice; then it is as stale as before."""
        for (node, port), qos in [(place, self._qos(place)) for place in sorted(self._stale_ports)]:
            if qos is None:
                self._ports[node].pop(port, None)
            else:
                self._ports[node][port] = qos
        self._stale_ports = set()
        for node in self._stale:
            rules = self._switches[node]
            self._program[node] = SwitchProgram(
                node,
                self._topology.nodes[node].dpid,
                tuple(rules.flows.values()),
                tuple(rules.groups.values()),
                tuple(rules.meters.values()),
                tuple(self._ports[node].values()),
                tuple(rules.watches),
            )
        self._stale = set()
        return {node: self._program[node] for node in self._topology.nodes}


def draft_of(owner: Slice, rates: dict[_Port, int]) -> Draft:
    """What one slice asks of the switches. Raises InputError or ConflictError where it contradicts itself."""
    draft = Draft(owner, rates)
    for way in owner.ways:
        program_way(draft, owner, way)
    if owner.multipoint:
        program_tree(draft, owner)
    return draft


def _concerning(decision: Decision, avoid: Collection[str]) -> frozenset[str]:
    """Those of the links to avoid that the slice uses."""
    if not avoid:
        return frozenset()
    return frozenset(hop.link for path in decision.paths for hop in path.hops if hop.link in avoid)
