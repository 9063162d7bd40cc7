"""What may be broken while a promise must hold: each single link, switch and risk group, and what comes after it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from carelane.controller.pipeline.compile import Lane
from carelane.topology.model import Topology

__all__ = ["NOTHING", "State", "States", "places_of"]

Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class State:
    """`failed` names what is broken; `dead` are the ports that notice.

    `returns`: packets that cannot arrive must come back to the edge all the same, where the next lane would take them.
    `further`: more than what a single risk breaks is broken.
    """

    failed: str
    dead: frozenset[Place]
    returns: bool = False
    further: bool = False


NOTHING = State("", frozenset())


class States:
    """Failure states of a topology, computed once."""

    def __init__(self, topology: Topology) -> None:
        self._links = {x.id: frozenset({(x.a, x.a_port), (x.b, x.b_port)}) for x in topology.links.values()}
        self._link_at = {place: link for link, places in self._links.items() for place in places}
        at_node: defaultdict[str, set[Place]] = defaultdict(set)
        groups: defaultdict[str, set[Place]] = defaultdict(set)
        for link in topology.links.values():
            at_node[link.a] |= self._links[link.id]
            at_node[link.b] |= self._links[link.id]
        for link in topology.links.values():
            for group in link.risk_groups:
                groups[group] |= self._links[link.id]
        for node in topology.nodes.values():
            for group in node.risk_groups:
                groups[group] |= at_node[node.id]
        self._nodes = {node: State(f"node {node}", frozenset(places)) for node, places in at_node.items()}
        self._groups = {group: State(f"risk group {group}", frozenset(places)) for group, places in groups.items()}
        self._groups_of = {x.id: x.risk_groups for x in topology.links.values() if x.risk_groups}
        self._groups_of_nodes = {x.id: x.risk_groups for x in topology.nodes.values() if x.risk_groups}
        # The journeys of one way follow each other and have its very lanes.
        self._last_lanes: Sequence[Lane] = ()
        self._last: tuple[State, ...] = ()

    def risks(self, lane: Lane) -> frozenset[str]:
        """Every single risk that touches a lane, its end switches included, by name."""
        links = self._links_of(lane)
        nodes = [node for step in lane.steps for node in (step.node, step.next_node)]
        groups = [group for link in links for group in self._groups_of.get(link, ())]
        groups += [group for node in nodes for group in self._groups_of_nodes.get(node, ())]
        named = (("link", links), ("node", nodes), ("risk group", groups))
        return frozenset(f"{kind} {name}" for kind, names in named for name in names)

    def of(self, ways: Iterable[Sequence[Lane]]) -> tuple[State, ...]:
        """All states to be tried on packets that these lanes may carry, to one receiver each."""
        ways = [lanes for lanes in ways if lanes[0].steps]
        if len(ways) != 1:
            every = [lane for lanes in ways for lane in lanes]
            found = [*self.single(every), *(state for lanes in ways for state in self.beyond(lanes))]
            return tuple({state.dead: state for state in reversed(found)}.values())[::-1]
        (lanes,) = ways
        if self._last_lanes is not lanes:
            self._last_lanes, self._last = lanes, (*self.single(lanes), *self.beyond(lanes))
        return self._last

    def single(self, lanes: Sequence[Lane]) -> Iterator[State]:
        """Every single risk that touches a lane; end switches, which no path can do without, are left out."""
        links = dict.fromkeys(link for lane in lanes for link in self._links_of(lane))
        inner = dict.fromkeys(step.next_node for lane in lanes for step in lane.steps[:-1])
        for link in links:
            yield State(f"link {link}", self._links[link])
        for node in inner:
            yield self._nodes[node]
        groups = [*(self._groups_of.get(link, ()) for link in links)]
        groups += [self._groups_of_nodes.get(node, ()) for node in inner]
        for group in dict.fromkeys(group for several in groups for group in sorted(several)):
            yield self._groups[group]

    def beyond(self, lanes: Sequence[Lane]) -> Iterator[State]:
        """Further failures, in which still nothing may go astray: while the first link of every lane before it is dead,
        each link of a lane that packets were moved to; and what packets that come back from further down a lane meet
        at the edge, while the first links of lanes after it are dead, too.
        """
        links = [self._links_of(lane) for lane in lanes]
        firsts = [first for first, *_ in links]
        for place, lane in enumerate(lanes):
            for link in links[place] if place else ():
                yield self._further(lane, firsts[:place], link)
            if len(links[place]) > 1 and place + 2 < len(lanes):
                for after in range(place + 2, len(lanes) + 1):
                    gone = [*firsts[:place], *firsts[place + 1 : after]]
                    yield self._further(lane, gone, links[place][1])

    def _further(self, lane: Lane, gone: Sequence[str], link: str) -> State:
        """A `link` of `lane` is dead, and others that are `gone`. What comes upon it alone is to come back."""
        dead = self._links[link].union(*(self._links[other] for other in gone))
        alone = places_of(lane) & dead == self._links[link]
        return State(" and ".join(f"link {name}" for name in (*gone, link)), dead, returns=alone, further=True)

    def _links_of(self, lane: Lane) -> list[str]:
        return [self._link_at[(step.node, step.out_port)] for step in lane.steps]


def places_of(lane: Lane) -> frozenset[Place]:
    """Every port a lane's links have."""
    return frozenset(
        place for step in lane.steps for place in ((step.node, step.out_port), (step.next_node, step.in_port))
    )
