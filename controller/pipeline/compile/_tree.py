"""The trees of a point-to-multipoint slice: one packet from the source, one copy to every receiver, whatever breaks.

The first paths of all receivers make the tree that carries packets while nothing has failed
(`carelane.controller.pipeline.trees`); each switch is entered by one link only. With backup paths, a switch sends each
branch through a fast-failover group:

- the branch while its link lives;
- else the copy for that branch turns around under a label that names the dead link, and follows the tree back to the
  source's switch (at the source's switch there is no way back to go);
- there it is given to exactly the receivers behind that link, along their next paths, which are trees as well, under
  further labels that name the link, so that nobody else gets a second copy.

One failure is mended so for every receiver that has a path left; a further one before the controller has planned again
ends in a drop. Trees keep to the planned order of paths: `avoid` does not move them, the next plan does.
Like the packets of pairs, those that turn around use the slice's queue of the other direction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from itertools import pairwise

from carelane.controller.pipeline.compile._draft import Draft
from carelane.controller.pipeline.compile._layout import (
    CLASSIFY,
    CORE,
    CORE_PRIORITY,
    MPLS,
    classify_priority,
    ether_type,
)
from carelane.controller.pipeline.compile._protection import emit
from carelane.controller.pipeline.compile._resolved import Lane, Site, Slice, Step, Way
from carelane.controller.pipeline.compile._unicast import police_actions
from carelane.controller.pipeline.identifiers import (
    branch_label,
    group_id,
    multicast_address,
    return_group_id,
    tree_label,
)
from carelane.controller.pipeline.program import (
    IN_PORT,
    Action,
    Bucket,
    FlowRule,
    Group,
    Match,
    Output,
    PopMpls,
    PushMpls,
    SetDscp,
    SetMplsLabel,
    ToGroup,
)
from carelane.errors import InputError

__all__ = ["program_tree", "receivers"]


@dataclass
class _Tree:
    """`entry` is how each switch is entered, `behind` which ways lead over that link."""

    number: int
    entry: dict[str, Step] = field(default_factory=dict)
    branches: defaultdict[str, list[Step]] = field(default_factory=lambda: defaultdict(list))
    leaves: defaultdict[str, list[Site]] = field(default_factory=lambda: defaultdict(list))
    behind: defaultdict[str, list[Way]] = field(default_factory=lambda: defaultdict(list))

    def add(self, way: Way, lane: Lane) -> None:
        for step in lane.steps:
            if step.next_node not in self.entry:
                self.entry[step.next_node] = step
                self.branches[step.node].append(step)
            self.behind[step.next_node].append(way)
        self.leaves[way.target.node].append(way.target)

    def back(self, node: str) -> Iterator[Step]:
        """The links from `node` to the root."""
        while node in self.entry:
            yield self.entry[node]
            node = self.entry[node].node


def receivers(owner: Slice) -> list[Way]:
    """One way to every port that receives what the source sends to all."""
    by_place: dict[tuple[str, int], Way] = {}
    for way in owner.ways:
        if way.forward:
            by_place.setdefault((way.target.node, way.target.port), way)
    return list(by_place.values())


def program_tree(draft: Draft, owner: Slice) -> None:
    """Rules for packets that the source sends to the slice's group address."""
    ways = receivers(owner)
    if not ways:
        return
    _one_family(owner, ways)
    root = ways[0].origin
    group = ip_network(multicast_address(owner.ids, version=root.address.version))
    match = Match(in_port=root.port, eth_type=ether_type(root.address), ip_src=str(root.address), ip_dst=str(group))
    copies: list[tuple[Action, ...]] = []
    trees = _trees((way, way.planned[0]) for way in ways)
    for tree in trees:
        label, guard = tree_label(owner.ids, owner.paths, tree.number), _Guard(draft, owner, root, tree)
        _follow(draft, owner, tree, label, guard.send)
        for step in tree.branches[root.node]:
            onward = (PushMpls(), SetMplsLabel(label), *emit(draft, owner, step.node, step.out_port))
            copies.append(guard.send(step, onward))
        copies += [emit(draft, owner, site.node, site.port) for site in tree.leaves[root.node]]
    actions = (
        *police_actions(ways[0]),
        SetDscp(owner.traffic_class.dscp),
        *_replicate(draft, root.node, group_id(tree_label(owner.ids, owner.paths, trees[0].number)), copies),
    )
    draft.flow(root.node, FlowRule(CLASSIFY, classify_priority(root.address, group), match, actions, owner.cookie))


class _Guard:
    """What becomes of the copies of one tree where a link is dead."""

    def __init__(self, draft: Draft, owner: Slice, root: Site, tree: _Tree) -> None:
        self._draft, self._owner, self._root, self._tree = draft, owner, root, tree

    def send(self, step: Step, onward: tuple[Action, ...]) -> tuple[Action, ...]:
        """`onward` over the link of `step`; where that is dead, the receivers behind it are served otherwise."""
        draft, owner, tree = self._draft, self._owner, self._tree
        others = _trees(_next(way, tree.number, step) for way in tree.behind[step.next_node])
        if not others:
            return onward
        label = self._label(step, tree.number)
        release = self._release(step, others)
        if step.node == self._root.node:
            instead = Bucket((PushMpls(), *release), watch_port=self._watch(release))
        else:
            arrival = tree.entry[step.node].in_port
            turn = (*emit(draft, owner, step.node, arrival)[:-1], Output(IN_PORT))
            instead = Bucket((SetMplsLabel(label), *turn), watch_port=arrival)
            self._lead_back(step, label, release)
        draft.group(
            step.node, Group(group_id(label), "fast-failover", (Bucket(onward, watch_port=step.out_port), instead))
        )
        return (ToGroup(group_id(label)),)

    def _lead_back(self, step: Step, label: int, release: tuple[Action, ...]) -> None:
        """The way of turned packets to the root, and what happens to them there."""
        back = list(self._tree.back(step.node))
        for arrival, onward in pairwise(back):
            actions = emit(self._draft, self._owner, arrival.node, onward.in_port)
            _rule(self._draft, self._owner, arrival.node, arrival.out_port, label, actions)
        _rule(self._draft, self._owner, self._root.node, back[-1].out_port, label, release)

    def _release(self, step: Step, others: Sequence[_Tree]) -> tuple[Action, ...]:
        """At the root, from under the label of the dead link: copies along other trees."""
        draft, owner = self._draft, self._owner
        copies: list[tuple[Action, ...]] = []
        for tree in others:
            label = self._label(step, tree.number)
            _follow(draft, owner, tree, label, lambda _, onward: onward)
            copies += [
                (SetMplsLabel(label), *emit(draft, owner, first.node, first.out_port))
                for first in tree.branches[self._root.node]
            ]
        return _replicate(draft, self._root.node, return_group_id(self._label(step, self._tree.number)), copies)

    def _watch(self, release: tuple[Action, ...]) -> int:
        """A bucket of such a group needs a port to watch: the one it sends to, else that of the source, which lives."""
        return next((action.port for action in release if isinstance(action, Output)), self._root.port)

    def _label(self, step: Step, tree: int) -> int:
        owner = self._owner
        assert owner.forest is not None
        return branch_label(owner.ids, owner.paths, owner.forest, (self._tree.number, step.next_node), tree)


def _next(way: Way, tree: int, dead: Step) -> tuple[Way, Lane | None]:
    """The next path of a receiver that does without the link of `dead`."""
    lanes = way.planned[1:]
    return way, next((lane for lane in lanes if lane.tree != tree and dead not in lane.steps), None)


def _trees(members: Iterator[tuple[Way, Lane | None]] | Iterator[tuple[Way, Lane]]) -> list[_Tree]:
    trees: dict[int, _Tree] = {}
    for way, lane in members:
        if lane is not None:
            trees.setdefault(lane.tree, _Tree(lane.tree)).add(way, lane)
    return [trees[number] for number in sorted(trees)]


def _follow(
    draft: Draft,
    owner: Slice,
    tree: _Tree,
    label: int,
    send: Callable[[Step, tuple[Action, ...]], tuple[Action, ...]],
) -> None:
    """The rules of all switches that a tree enters."""
    for node, step in tree.entry.items():
        copies = [send(branch, emit(draft, owner, node, branch.out_port)) for branch in tree.branches[node]]
        copies += [
            (PopMpls(ether_type(site.address)), *emit(draft, owner, node, site.port)) for site in tree.leaves[node]
        ]
        _rule(draft, owner, node, step.in_port, label, _replicate(draft, node, group_id(label), copies))


def _rule(draft: Draft, owner: Slice, node: str, in_port: int, label: int, actions: tuple[Action, ...]) -> None:
    match = Match(in_port=in_port, eth_type=MPLS, mpls_label=label)
    draft.flow(node, FlowRule(CORE, CORE_PRIORITY, match, actions, owner.cookie))


def _replicate(draft: Draft, node: str, number: int, copies: list[tuple[Action, ...]]) -> tuple[Action, ...]:
    if len(copies) == 1:
        return copies[0]
    draft.group(node, Group(number, "all", tuple(Bucket(actions) for actions in copies)))
    return (ToGroup(number),)


def _one_family(owner: Slice, ways: Sequence[Way]) -> None:
    other = next((way.target for way in ways if way.target.address.version != ways[0].origin.address.version), None)
    if other is not None:
        raise InputError(
            f"slice {owner.name}: receiver {other.endpoint} has another address family than the source",
            field="spec.endpoints",
            remedy="give all endpoints of the slice addresses of one family",
        )
