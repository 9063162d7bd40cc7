"""A topology as flat arrays, and routes on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import inf, log
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from carelane.topology.delay import cost_ps, port_latency_ps
from carelane.topology.model import Hop, Topology
from carelane.topology.search._engine import Engine
from carelane.topology.search._kernels import WORD_BITS, Arcs, Flat

__all__ = ["UNKNOWN_PS", "PathGraph", "Route", "hops_of"]

UNKNOWN_PS = 10**24
"""Stands for a delay that is not stated: more than any sum of real ones, so such links come last."""


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """A simple path: its nodes and the links between them, one fewer."""

    nodes: tuple[str, ...]
    links: tuple[str, ...]

    def reversed(self) -> Route:
        return Route(self.nodes[::-1], self.links[::-1])


def hops_of(route: Route) -> tuple[Hop, ...]:
    """The route as hops."""
    ends = zip(route.nodes, route.nodes[1:], strict=False)
    return tuple(Hop(link, node, following) for link, (node, following) in zip(route.links, ends, strict=True))


class PathGraph:
    """Flat arrays of a topology. Arc 2l leads from a to b of link l, arc 2l + 1 back; arc ^ 1 is the return.

    Numbers are integers (picoseconds, bit/s, indices in order of ids) except the logarithms of availability and loss.
    """

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.node_ids = sorted(topology.nodes)
        self.link_ids = sorted(topology.links)
        self.node_index = {name: index for index, name in enumerate(self.node_ids)}
        self.link_index = {name: index for index, name in enumerate(self.link_ids)}
        links = [topology.links[name] for name in self.link_ids]
        nodes = [topology.nodes[name] for name in self.node_ids]
        self.tail: list[int] = []
        self.leaving: list[list[tuple[int, int]]] = [[] for _ in nodes]
        for index, link in enumerate(links):
            a, b = self.node_index[link.a], self.node_index[link.b]
            self.tail += [a, b]
            if a != b:
                self.leaving[a].append((b, 2 * index))
                self.leaving[b].append((a, 2 * index + 1))
        self.capacity = [link.reservable_bps for link in links for _ in range(2)]
        self.arc_of = {(self.node_ids[tail], self.link_ids[arc >> 1]): arc for arc, tail in enumerate(self.tail)}
        """The arc that leaves by an egress port, (node, link id) as in the ledger."""
        self.propagation = [UNKNOWN_PS if link.delay_s is None else cost_ps(link.delay_s) for link in links]
        self.latency = [port_latency_ps(link.capacity_bps) if link.capacity_bps else 0 for link in links]
        self.least_latency = min(self.latency, default=0)
        self.loss = [_wear(1.0 - link.loss) if link.loss else 0.0 for link in links]
        self.lossy = any(self.loss)
        self.link_wear = [_wear(link.availability) for link in links]
        self.node_wear = [_wear(node.availability) for node in nodes]
        own = {name: group.availability for name, group in topology.risk_groups.items()}
        self.group_wear = {name: _wear(value) for name, value in own.items() if value is not None}
        self.link_groups = [link.risk_groups for link in links]
        self.node_groups = [node.risk_groups for node in nodes]
        self.group_links = _members(self.link_groups)
        self.group_nodes = _members(self.node_groups)
        self._link_paying = [link.risk_groups & self.group_wear.keys() for link in links]
        self._node_paying = [node.risk_groups & self.group_wear.keys() for node in nodes]
        self.group_bits = {name: divmod(place, WORD_BITS) for place, name in enumerate(sorted(self.group_wear))}
        """Word and bit of each risk group with an availability of its own."""
        self.kept_room: tuple[object, npt.NDArray[np.int64]] | None = None
        """Room per arc beside a ledger, the last one asked for; for `carelane.controller.pipeline.limits`."""
        self.kept_ideal: dict[frozenset[str], PathGraph] = {}
        """The same network with all that is not stated at its best, by links made slow; for
        `carelane.controller.pipeline.missing`."""
        self.kept_availability: dict[Route, Fraction | None] = {}
        """Of single paths, as far as asked; for `carelane.controller.pipeline.lane`."""
        self.kept_ways: dict[tuple[int, int], int] = {}
        """How many ways there are between two nodes at most; for `carelane.topology.search._ways`."""
        self._flat: dict[Engine, tuple[Flat, Arcs]] = {}

    @classmethod
    def of(cls, topology: Topology) -> PathGraph:
        """The graph of a snapshot, built once and kept with it."""
        kept: PathGraph | None = vars(topology).get("_path_graph")
        if kept is None:
            kept = vars(topology)["_path_graph"] = PathGraph(topology)
        return kept

    def widened(self, capacities_bps: Mapping[str, int]) -> PathGraph:
        """The graph of the same network with other capacities (bit/s by link); whatever else there is is shared."""
        links = dict(self.topology.links)
        links |= {name: replace(links[name], capacity_bps=rate_bps) for name, rate_bps in capacities_bps.items()}
        made = PathGraph.__new__(PathGraph)
        vars(made).update(vars(self))
        for kept in ("capacities", "unstated"):
            vars(made).pop(kept, None)
        made.topology = replace(self.topology, links=MappingProxyType(links))
        made.capacity, made.latency = list(self.capacity), list(self.latency)
        for name, rate_bps in capacities_bps.items():
            link = self.link_index[name]
            made.capacity[2 * link : 2 * link + 2] = [links[name].reservable_bps] * 2
            made.latency[link] = port_latency_ps(rate_bps)
        made.least_latency = min(made.latency, default=0)
        made.kept_room, made.kept_ideal = None, {}
        made._flat = {}
        for engine, (flat, arcs) in self._flat.items():
            latency = engine.integers([made.latency[int(arc) >> 1] for arc in flat.out])
            made._flat[engine] = flat, arcs._replace(near_latency=latency)
        return made

    @property
    def words(self) -> int:
        """Words that a set of paying risk groups takes."""
        return -(-len(self.group_wear) // WORD_BITS)

    def flat(self, engine: Engine) -> tuple[Flat, Arcs]:
        """The arrays that `engine` works on, made at first use."""
        if engine not in self._flat:
            self._flat[engine] = self._flattened(engine)
        return self._flat[engine]

    def _flattened(self, engine: Engine) -> tuple[Flat, Arcs]:
        first = [0]
        for leaving in self.leaving:
            first.append(first[-1] + len(leaving))
        head = [self.tail[arc ^ 1] for arc in range(len(self.tail))]
        out = [arc for leaving in self.leaving for _, arc in leaving]
        flat = Flat(
            engine.indices(first),
            engine.indices(out),
            engine.indices([head[arc] for arc in out]),
            engine.indices(head),
            max((len(leaving) for leaving in self.leaving), default=0),
        )
        # no path of these sums to more than 2**61; longer delays are minutes, and the exact test still sees them whole
        longest = min(2**50, 2**61 // (4 * len(self.node_ids)))
        propagation = [min(value, longest) for value in self.propagation]
        groups = [
            word for arc in range(len(self.tail)) for word in self.group_words(self.paying_groups(arc >> 1, head[arc]))
        ]
        arcs = Arcs(
            engine.integers([propagation[arc >> 1] for arc in range(len(head))]),
            engine.integers([propagation[arc >> 1] for arc in out]),
            engine.integers([self.latency[arc >> 1] for arc in out]),
            engine.reals([self.loss[arc >> 1] for arc in out]),
            engine.reals([self.link_wear[arc >> 1] for arc in out]),
            engine.reals(self.node_wear),
            engine.integers(groups),
            engine.reals([self.group_wear[name] for name in sorted(self.group_wear)]),
            self.words,
        )
        return flat, arcs

    @cached_property
    def capacities(self) -> npt.NDArray[np.int64]:
        """Capacity per arc in bit/s; -1 where it is not stated."""
        return np.array([-1 if capacity is None else capacity for capacity in self.capacity], dtype=np.int64)

    @cached_property
    def delay_stated(self) -> npt.NDArray[np.bool_]:
        """Per arc, whether its link states a delay."""
        return np.repeat(np.array([delay != UNKNOWN_PS for delay in self.propagation], dtype=np.bool_), 2)

    @cached_property
    def availability_stated(self) -> npt.NDArray[np.bool_]:
        """Per arc, whether its link and the node it leads to state an availability."""
        topology = self.topology
        nodes = [topology.nodes[name].availability is not None for name in self.node_ids]
        links = [topology.links[name].availability is not None for name in self.link_ids]
        return np.array(
            [links[arc >> 1] and nodes[self.tail[arc ^ 1]] for arc in range(len(self.tail))], dtype=np.bool_
        )

    @cached_property
    def unstated(self) -> frozenset[str]:
        """The figures that some link, or for availability some node, does not state: capacity, delay, availability."""
        missing = {
            "capacity": any(capacity is None for capacity in self.capacity),
            "delay": not self.delay_stated.all(),
            "availability": any(node.availability is None for node in self.topology.nodes.values())
            or any(link.availability is None for link in self.topology.links.values()),
        }
        return frozenset(figure for figure, found in missing.items() if found)

    @cached_property
    def part_of(self) -> list[int]:
        """A number per node, equal for nodes that links join, directly or not."""
        parts = [-1] * len(self.node_ids)
        for start in range(len(parts)):
            stack = [start] if parts[start] < 0 else []
            while stack:
                node = stack.pop()
                if parts[node] < 0:
                    parts[node] = start
                    stack.extend(following for following, _ in self.leaving[node])
        return parts

    def group_words(self, groups: Iterable[str]) -> list[int]:
        """A set of paying risk groups as words of bits."""
        words = [0] * self.words
        for group in groups:
            word, bit = self.group_bits[group]
            words[word] |= 1 << bit
        return words

    def paying_groups(self, link: int, node: int) -> frozenset[str]:
        """Risk groups with an availability of their own that stepping over `link` to `node` touches."""
        first, second = self._link_paying[link], self._node_paying[node]
        return first | second if first and second else first or second

    def route(self, source: int, arcs: Sequence[int]) -> Route:
        nodes = [source, *(self.tail[arc ^ 1] for arc in arcs)]
        return Route(tuple(self.node_ids[n] for n in nodes), tuple(self.link_ids[arc >> 1] for arc in arcs))

    def arcs(self, route: Route) -> list[int]:
        """The arcs of a route, in order."""
        result = []
        for link, node in zip(route.links, route.nodes, strict=False):
            arc = 2 * self.link_index[link]
            result.append(arc if self.tail[arc] == self.node_index[node] else arc + 1)
        return result


def _members(groups_of: Sequence[frozenset[str]]) -> dict[str, frozenset[int]]:
    members: dict[str, set[int]] = {}
    for index, groups in enumerate(groups_of):
        for group in groups:
            members.setdefault(group, set()).add(index)
    return {group: frozenset(indices) for group, indices in members.items()}


def _wear(availability: float | None) -> float:
    if availability is None:
        return 0.0
    return -log(availability) if availability > 0 else inf
