"""The verifier itself: a full check, and one whose work grows with a change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from carelane.controller.pipeline.changes import Operation, SwitchChanges
from carelane.controller.pipeline.compile import Slice, resolve_slice
from carelane.controller.pipeline.garbage import no_collection
from carelane.controller.pipeline.identifiers import group_label, slice_number
from carelane.controller.pipeline.program import FlowRule, Group, Meter, PortQos, Program, SliceIds
from carelane.controller.pipeline.slice_plan import Decision
from carelane.controller.pipeline.verify._audit import Audit, leftover
from carelane.controller.pipeline.verify._cube import NONE, Cube, meets
from carelane.controller.pipeline.verify._expect import Journey, Place, Wiring, journeys, queue_needs
from carelane.controller.pipeline.verify._judge import judge, judge_copies, judge_meter, promised
from carelane.controller.pipeline.verify._states import NOTHING, State, States
from carelane.controller.pipeline.verify._tables import Item, Tables
from carelane.controller.pipeline.verify._walk import Walk, Walker
from carelane.controller.pipeline.verify.faults import Fault
from carelane.topology.model import Topology

__all__ = ["Verifier", "verify_program"]

_Look = tuple[str, int, int, Cube]
_Table = tuple[str, int]
_Corner = tuple[int, int | None]


@dataclass
class _Held:
    """A slice under watch: what it came upon, and what is wrong with it."""

    owner: Slice
    journeys: tuple[Journey, ...]
    used: set[Item] = field(default_factory=set)
    looked: set[_Look] = field(default_factory=set)
    faults: tuple[Fault, ...] = ()
    sleeps: frozenset[Place] = frozenset()


class Verifier:
    """Holds a program and its slices, indexed. Not thread-safe.

    `check` starts anew; `check_change` applies changes to what is held and checks what they can have touched.
    """

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._wiring = Wiring.of(topology)
        self._states = States(topology)
        self._audit = Audit(topology, self._wiring)
        self._clear()

    @no_collection()
    def check(
        self, program: Program, slices: Iterable[tuple[Decision, SliceIds]], avoid: Collection[str] = frozenset()
    ) -> tuple[Fault, ...]:
        """Everything about a program that is to carry exactly `slices`, compiled with the same links to `avoid`.

        Raises what `compile_program` raises for a slice that does not fit the topology.
        """
        self._clear()
        self._tables.load(program)
        for decision, ids in slices:
            self._expect(resolve_slice(self._topology, decision, ids, avoid))
        for held in self._held.values():
            self._examine(held)
        found = [fault for held in self._held.values() for fault in held.faults]
        found += self._audit.ground(self._tables, {*self._topology.nodes, *program})
        for place in self._tables.ports:
            found += self._audit.port(self._tables, place, self._asleep.get(place, {}))
        found += self._leftovers(self._tables.items())
        return tuple(found)

    @no_collection()
    def check_change(
        self,
        changes: Iterable[SwitchChanges],
        arrived: Iterable[tuple[Decision, SliceIds]] = (),
        gone: Collection[int] = (),
        avoid: Collection[str] = frozenset(),
    ) -> tuple[Fault, ...]:
        """Carry out changes and check what they touch.

        `arrived` are slices that are new or expect something else than before, `gone` the numbers of those withdrawn.
        """
        touched: set[int] = set()
        suspects: set[Item] = set()
        places: set[Place] = set()
        grounds: set[str] = set()
        owners = [resolve_slice(self._topology, decision, ids, avoid) for decision, ids in arrived]
        for number in (*gone, *(owner.ids.number for owner in owners)):
            places |= self._sleeping(number)  # what stays may be needed after other risks than before
            suspects |= self._forget(number)
        for owner in owners:
            self._expect(owner)
            places |= self._sleeping(owner.ids.number)
            touched.add(owner.ids.number)
        for change in changes:
            for operation in change.operations:
                touched |= self._touched(change.node, operation, suspects, places, grounds)
                former = self._tables.carry_out(change.node, operation)
                if former is not None and slice_number(former.cookie) == 0:
                    grounds.add(change.node)
        touched |= self._faulty
        for number in sorted(touched & self._held.keys()):
            suspects |= self._lift(self._held[number])
            self._examine(self._held[number])
        found = [fault for number in sorted(touched & self._held.keys()) for fault in self._held[number].faults]
        found += self._audit.ground(self._tables, grounds)
        for place in sorted(places):
            found += self._audit.port(self._tables, place, self._asleep.get(place, {}))
        found += self._leftovers(item for item in suspects if self._tables.holds(item))
        return tuple(found)

    def _clear(self) -> None:
        self._tables = Tables()
        self._held: dict[int, _Held] = {}
        self._faulty: set[int] = set()
        self._using: defaultdict[Item, set[int]] = defaultdict(set)
        self._looks: defaultdict[_Table, defaultdict[_Corner, dict[_Look, set[int]]]]
        self._looks = defaultdict(lambda: defaultdict(dict))
        self._owners: dict[tuple[str, object], int] = {}
        self._asleep: defaultdict[Place, dict[int, frozenset[str]]] = defaultdict(dict)

    def _expect(self, owner: Slice) -> None:
        """Take a slice under watch."""
        held = self._held[owner.ids.number] = _Held(owner, tuple(journeys(owner)))
        for journey in held.journeys:
            self._owners[journey.origin[0], journey.match] = owner.ids.number
        if owner.wakes is not None:
            (first, *_) = owner.ways
            risks = self._states.risks(next(lane for lane in first.lanes if lane.label == first.label))
            needs = queue_needs(owner, self._wiring.rates)
            held.sleeps = frozenset(place for place, need in needs.items() if need.asleep)
            for place in held.sleeps:
                self._asleep[place][owner.ids.number] = risks

    def _sleeping(self, number: int) -> frozenset[Place]:
        """Where a slice has a queue that is needed only after a failure."""
        held = self._held.get(number)
        return frozenset() if held is None else held.sleeps

    def _forget(self, number: int) -> set[Item]:
        held = self._held.pop(number, None)
        if held is None:
            return set()
        for place in held.sleeps:
            del self._asleep[place][number]
        for journey in held.journeys:
            self._owners.pop((journey.origin[0], journey.match), None)
        return self._lift(held)

    def _lift(self, held: _Held) -> set[Item]:
        """Take back what a slice was found to use; what nobody else uses may be left over."""
        number, used = held.owner.ids.number, held.used
        for item in used:
            self._using[item].discard(number)
        for look in held.looked:
            corner = self._looks[look[:2]][(look[2], look[3].label)]
            users = corner.get(look, set())
            users.discard(number)
            if not users:
                corner.pop(look, None)
        held.used, held.looked, held.faults = set(), set(), ()
        self._faulty.discard(number)
        return used

    def _examine(self, held: _Held) -> None:
        """Walk every journey in every state."""
        owner = held.owner
        found: dict[Fault, None] = dict.fromkeys(self._audit.queues(self._tables, owner))
        for journey in held.journeys:
            found |= dict.fromkeys(self._follow(held, journey, sound=not found))
        number = owner.ids.number
        for item in held.used:
            self._using[item].add(number)
        for look in held.looked:
            self._looks[look[:2]][(look[2], look[3].label)].setdefault(look, set()).add(number)
        held.faults = tuple(found)
        if found:
            self._faulty.add(number)

    def _follow(self, held: _Held, journey: Journey, *, sound: bool) -> Iterator[Fault]:
        """Walk one journey in every state. Unless all was `sound` so far, no state is passed over as known."""
        walker = Walker(self._tables, self._wiring, self._owners, journey)
        plain = walker.walk(NOTHING.dead)
        faults = list(self._judge(journey, NOTHING, plain))
        yield from faults
        known = [plain] if sound and not faults else []
        for state in self._states.of(journey.lanes.values()):
            if any(walk.holds_for(state.dead) for walk in known):
                continue  # the walk would be the same, and is known to be as promised in every state
            walk = walker.walk(state.dead)
            faults = list(self._judge(journey, state, walk))
            yield from faults
            if not faults and len(promised(journey, state)) == len(journey.targets):
                known.append(walk)
        held.used |= walker.used
        held.looked |= walker.looked

    def _judge(self, journey: Journey, state: State, walk: Walk) -> Iterator[Fault]:
        yield from judge(journey, state, walk)
        if not state.failed or walk.meters != journey.policed:
            yield from judge_meter(journey, state, walk, self._tables)
        if journey.copy_bps and not state.further:
            yield from judge_copies(journey, state, walk, self._tables)

    def _touched(
        self, node: str, operation: Operation, suspects: set[Item], places: set[Place], grounds: set[str]
    ) -> set[int]:
        """Slices whose walks an operation can change; what it leaves to be audited goes into the sets given."""
        match operation.target:
            case FlowRule() as rule:
                if slice_number(rule.cookie) == 0:
                    grounds.add(node)
                else:
                    suspects.add(Item("flow", node, rule.key))
                return self._lookers(node, rule)
            case Group() as group:
                item = Item("group", node, group.id)
                suspects.add(item)
                return set(self._using[item])
            case Meter() as meter:
                item = Item("meter", node, meter.id)
                suspects.add(item)
                return set(self._using[item])
            case PortQos() as port:
                places.add((node, port.port))
                return self._queue_users(node, port, operation.verb == "delete", suspects)
            case _:
                grounds.add(node)
                return set()

    def _lookers(self, node: str, rule: FlowRule) -> set[int]:
        """Slices some of whose packets the rule could match."""
        match, corners = rule.match, self._looks[(node, rule.table)]
        if match.in_port is not None and match.mpls_label is not None:
            near = [corners.get((match.in_port, match.mpls_label), {})]
        else:
            near = [looks for (port, _), looks in corners.items() if match.in_port in (None, port)]
        return {
            number
            for looks in near
            for look, numbers in looks.items()
            if meets(match, look[3], look[2]) != NONE
            for number in numbers
        }

    def _queue_users(self, node: str, port: PortQos, gone: bool, suspects: set[Item]) -> set[int]:
        """Those whose queue at the port is another than before."""
        went, come = self._tables.queue_changes((node, port.port), None if gone else port)
        changed = {queue.id for queue in (*went, *come)} - {0}
        items = [Item("queue", node, (port.port, number)) for number in changed]
        suspects.update(items)
        return set().union(*(self._using[item] for item in items))

    def _leftovers(self, items: Iterable[Item]) -> list[Fault]:
        found = []
        for item in items:
            if self._using.get(item):
                continue
            if item.kind == "flow" and slice_number(self._tables.flows[item.node][item.key].cookie) == 0:
                continue
            found.append(leftover(item, self._owner_of(item)))
        return found

    def _owner_of(self, item: Item) -> str:
        """The slice whose number an entry carries, if there is one."""
        if item.kind == "flow":
            number = slice_number(self._tables.flows[item.node][item.key].cookie)
            return self._held[number].owner.name if number in self._held else ""
        if item.kind == "queue":
            _, number = item.queue
            return self._held[number].owner.name if number in self._held else ""
        assert isinstance(item.key, int)
        label = group_label(item.key) if item.kind == "group" else item.key
        return next((held.owner.name for held in self._held.values() if _has_label(held.owner.ids, label)), "")


def verify_program(
    topology: Topology,
    program: Program,
    slices: Sequence[tuple[Decision, SliceIds]],
    avoid: Collection[str] = frozenset(),
) -> tuple[Fault, ...]:
    """Check a whole program once."""
    return Verifier(topology).check(program, slices, avoid)


def _has_label(ids: SliceIds, label: int) -> bool:
    return ids.first_label <= label < ids.first_label + ids.labels
