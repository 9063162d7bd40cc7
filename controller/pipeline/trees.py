"""The trees of a point-to-multipoint slice: which of its paths share copies, and where copies may add up. Pure.

What the source sends to all receivers at once is copied along trees. Their primary paths make one tree, their backups
another, and so on. A path that would enter a switch by another link than its tree does opens one more tree (the planner
avoids that if it can), so that no switch is ever entered twice and no receiver gets a packet twice.

A port carries one copy for each tree that uses it, and reserves so many floors. Two exceptions: a risk group can cut
several branches of a tree at once, and then each sends copies of its own along the next; ports where such copies would
meet are `crowds`, where every receiver counts for itself. And where a receiver has lost its primary for good, its
backup's tree carries copies while nothing fails, beside those for others that a further failure sends there.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from carelane.controller.pipeline.slice_plan import PlannedPath, role_number
from carelane.topology.ledger import PortKey
from carelane.topology.model import Topology

__all__ = ["Branch", "Edge", "Forest", "branches_of", "copies", "crowds", "floors_on_links", "grow"]

Edge = tuple[int, str]
"""(tree, the switch it enters): a tree enters a switch by one link only."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A path from the source's switch to a receiver. A receiver's branches follow each other as they are activated;
    `role` is 0 for a primary."""

    leaf: object
    role: int
    nodes: tuple[str, ...]
    links: tuple[str, ...]

    @property
    def ports(self) -> Iterable[PortKey]:
        return zip(self.nodes, self.links, strict=False)


@dataclass(frozen=True, slots=True)
class Forest:
    """`trees` says in which tree each branch is; `edges` numbers the links of all trees; `count` is that of trees."""

    trees: tuple[int, ...]
    edges: Mapping[Edge, int]
    count: int


@dataclass
class _Tree:
    role: int
    root: str
    entry: dict[str, str] = field(default_factory=dict)
    leaves: set[object] = field(default_factory=set)

    def takes(self, branch: Branch) -> bool:
        steps = zip(branch.nodes[1:], branch.links, strict=True)
        return (self.role, False) == (branch.role, branch.leaf in self.leaves) and all(
            node != self.root and self.entry.get(node, link) == link for node, link in steps
        )


def branches_of(paths: Iterable[PlannedPath]) -> tuple[Branch, ...]:
    """The branches that paths of a decision are, in their order."""
    return tuple(
        Branch(path.to, role_number(path.role), path.nodes, tuple(hop.link for hop in path.hops)) for path in paths
    )


@lru_cache(maxsize=4096)
def grow(branches: tuple[Branch, ...]) -> Forest:
    """The trees of `branches`."""
    trees: list[_Tree] = []
    chosen: list[int] = []
    for branch in branches:
        number = next((n for n, tree in enumerate(trees) if tree.takes(branch)), len(trees))
        if number == len(trees):
            trees.append(_Tree(branch.role, branch.nodes[0]))
        trees[number].leaves.add(branch.leaf)
        trees[number].entry.update(zip(branch.nodes[1:], branch.links, strict=True))
        chosen.append(number)
    edges = [(number, node) for number, tree in enumerate(trees) for node in tree.entry]
    return Forest(tuple(chosen), MappingProxyType({edge: place for place, edge in enumerate(edges)}), len(trees))


def crowds(topology: Topology, branches: Sequence[Branch], forest: Forest) -> frozenset[tuple[int, PortKey]]:
    """(tree, port) where a single risk group can make several copies meet."""
    by_leaf: defaultdict[object, list[tuple[int, Branch]]] = defaultdict(list)
    for tree, branch in zip(forest.trees, branches, strict=True):
        by_leaf[branch.leaf].append((tree, branch))
    moved = [(held[0], held[1]) for held in by_leaf.values() if len(held) > 1]
    links = {link for (_, first), _ in moved for link in first.links}
    nodes = {node for (_, first), _ in moved for node in first.nodes[1:]}
    groups = {group for link in links for group in topology.links[link].risk_groups}
    groups |= {group for node in nodes for group in topology.nodes[node].risk_groups}
    found: set[tuple[int, PortKey]] = set()
    for group in groups:
        cuts: defaultdict[tuple[int, PortKey], set[Edge]] = defaultdict(set)
        for (tree, first), (other, second) in moved:
            cut = _cut(topology, first, group)
            for port in second.ports if cut is not None else ():
                cuts[other, port].add((tree, cut or ""))
        found |= {place for place, edges in cuts.items() if len(edges) > 1}
    return frozenset(found)


def copies(topology: Topology, branches: tuple[Branch, ...]) -> list[list[object]]:
    """For every branch, which copies it takes at each of its ports: those under one key are one and the same."""
    forest = grow(branches)
    crowded = crowds(topology, branches, forest)
    firsts = {branch.leaf: branch for branch in reversed(branches)}
    return [
        [
            (tree, branch.leaf if (tree, port) in crowded else None, branch is firsts[branch.leaf])
            for port in branch.ports
        ]
        for tree, branch in zip(forest.trees, branches, strict=True)
    ]


def floors_on_links(topology: Topology, paths: Sequence[PlannedPath]) -> Mapping[PortKey, int]:
    """What the paths of a point-to-multipoint slice need reserved at the ports of links, bit/s."""
    branches = branches_of(paths)
    out: defaultdict[PortKey, dict[object, int]] = defaultdict(dict)
    back: Counter[PortKey] = Counter()
    for path, branch, keys in zip(paths, branches, copies(topology, branches), strict=True):
        for port, key in zip(branch.ports, keys, strict=True):
            out[port][key] = max(path.reserved_bps, out[port].get(key, 0))
        for port in zip(branch.nodes[1:], branch.links, strict=True):
            back[port] = max(path.reverse_bps, back[port])
    return Counter({port: sum(rates.values()) for port, rates in out.items()}) + back


def _cut(topology: Topology, branch: Branch, group: str) -> str | None:
    """The switch behind the first link of a branch that dies with a risk group."""
    for node, link, following in zip(branch.nodes, branch.links, branch.nodes[1:], strict=False):
        ends = (topology.nodes[node], topology.nodes[following])
        if group in topology.links[link].risk_groups or any(group in end.risk_groups for end in ends):
            return following
    return None
