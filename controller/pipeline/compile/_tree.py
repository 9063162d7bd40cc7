"""The tree of a point-to-multipoint slice: one packet from the source, one copy to every receiver.

Built from the primary paths: each is grafted where it leaves what is already there, so every switch is entered by
one link only and no receiver can get a packet twice, whatever the paths look like. The tree is not protected: a
broken branch is mended when the controller plans again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network

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
from carelane.controller.pipeline.compile._resolved import Site, Slice, Step, Way
from carelane.controller.pipeline.compile._unicast import police_actions
from carelane.controller.pipeline.identifiers import group_id, multicast_address, tree_label
from carelane.controller.pipeline.program import (
    Action,
    Bucket,
    FlowRule,
    Group,
    Match,
    PopMpls,
    PushMpls,
    SetDscp,
    SetMplsLabel,
    ToGroup,
)
from carelane.errors import InputError

__all__ = ["program_tree"]


@dataclass
class _Tree:
    entry: dict[str, Step] = field(default_factory=dict)
    branches: defaultdict[str, list[Step]] = field(default_factory=lambda: defaultdict(list))
    leaves: defaultdict[str, list[Site]] = field(default_factory=lambda: defaultdict(list))


def program_tree(draft: Draft, owner: Slice) -> None:
    """Rules for packets that the source sends to the slice's group address."""
    ways = [way for way in owner.ways if way.forward]
    if not ways:
        return
    _one_family(owner, ways)
    root, tree, label = ways[0].origin, _grow(ways), tree_label(owner.ids, owner.paths)
    group = ip_network(multicast_address(owner.ids, version=root.address.version))
    match = Match(in_port=root.port, eth_type=ether_type(root.address), ip_src=str(root.address), ip_dst=str(group))
    labelled = (PushMpls(), SetMplsLabel(label))
    copies = [(*labelled, *emit(draft, owner, step.node, step.out_port)) for step in tree.branches[root.node]]
    copies += [emit(draft, owner, site.node, site.port) for site in tree.leaves[root.node]]
    actions = (
        *police_actions(ways[0]),
        SetDscp(owner.traffic_class.dscp),
        *_replicate(draft, root.node, label, copies),
    )
    priority = classify_priority(root.address, group)
    draft.flow(root.node, FlowRule(CLASSIFY, priority, match, actions, owner.cookie))
    pop = PopMpls(ether_type(root.address))
    for node, step in tree.entry.items():
        copies = [emit(draft, owner, branch.node, branch.out_port) for branch in tree.branches[node]]
        copies += [(pop, *emit(draft, owner, site.node, site.port)) for site in tree.leaves[node]]
        match = Match(in_port=step.in_port, eth_type=MPLS, mpls_label=label)
        actions = _replicate(draft, node, label, copies)
        draft.flow(node, FlowRule(CORE, CORE_PRIORITY, match, actions, owner.cookie))


def _grow(ways: Sequence[Way]) -> _Tree:
    tree = _Tree()
    for way in ways:
        steps = way.lanes[0].steps
        grafted = max((i + 1 for i, step in enumerate(steps) if step.next_node in tree.entry), default=0)
        for step in steps[grafted:]:
            tree.entry[step.next_node] = step
            tree.branches[step.node].append(step)
        if all(site.port != way.target.port for site in tree.leaves[way.target.node]):
            tree.leaves[way.target.node].append(way.target)
    return tree


def _replicate(draft: Draft, node: str, label: int, copies: list[tuple[Action, ...]]) -> tuple[Action, ...]:
    if len(copies) == 1:
        return copies[0]
    draft.group(node, Group(group_id(label), "all", tuple(Bucket(actions) for actions in copies)))
    return (ToGroup(group_id(label)),)


def _one_family(owner: Slice, ways: Sequence[Way]) -> None:
    other = next((way.target for way in ways if way.target.address.version != ways[0].origin.address.version), None)
    if other is not None:
        raise InputError(
            f"slice {owner.name}: receiver {other.endpoint} has another address family than the source",
            field="spec.endpoints",
            remedy="give all endpoints of the slice addresses of one family",
        )
