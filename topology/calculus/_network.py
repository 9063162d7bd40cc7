"""Servers and the flows that cross them: what an analysis works on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType

from carelane.errors import InputError
from carelane.topology.calculus._curves import ServiceCurve, rate_latency

__all__ = ["Flow", "Network", "Server", "check_flow", "check_server"]


@dataclass(frozen=True, slots=True)
class Server:
    """A rate-latency server; `peak` is the line rate behind it, which shapes what leaves. None: not stated.

    It may have a queue for each class: served by strict priority in the order of `priorities`, or by deficit round
    robin with `quanta` of data. `curve` stands for rate and latency where a service is no single line.
    """

    id: str
    rate: Fraction
    latency: Fraction
    peak: Fraction | None = None
    priorities: tuple[str, ...] = ()
    quanta: Mapping[str, Fraction] = field(default_factory=lambda: MappingProxyType({}))
    curve: ServiceCurve | None = None

    @property
    def scheduled(self) -> tuple[str, ...]:
        """The classes that have a queue of their own."""
        return self.priorities or tuple(self.quanta)

    @property
    def service(self) -> ServiceCurve:
        return self.curve or rate_latency(self.rate, self.latency)


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow with a token bucket at its entry, and the servers it crosses in order.

    Flows of one `stream` are the same traffic on several ways: to one `leaf` they are alternatives of which one is
    used at a time, to several they are copies. Where they come together from one server, and where alternatives meet,
    they count once. Only the analysis by delay knows streams. `packet` is the longest that a scheduler has in hand.
    """

    id: str
    path: tuple[str, ...]
    rate: Fraction
    burst: Fraction
    stream: str | None = None
    leaf: str | None = None
    traffic_class: str | None = None
    packet: Fraction = Fraction(0)


@dataclass(frozen=True)
class Network:
    """Servers and flows by id, in the order given. Build it with `Network.of`, which checks it."""

    servers: Mapping[str, Server]
    flows: Mapping[str, Flow]

    @staticmethod
    def of(servers: Iterable[Server], flows: Iterable[Flow]) -> Network:
        """Raises InputError for duplicates, paths that name no server or repeat one, and impossible figures."""
        known: dict[str, Server] = {}
        for server in servers:
            check_server(server, known)
            known[server.id] = server
        crossing: dict[str, Flow] = {}
        for flow in flows:
            check_flow(flow, known, crossing)
            crossing[flow.id] = flow
        return Network(MappingProxyType(known), MappingProxyType(crossing))

    @cached_property
    def crossing(self) -> Mapping[str, tuple[str, ...]]:
        """Ids of the flows at each server."""
        found: dict[str, list[str]] = {server: [] for server in self.servers}
        for flow in self.flows.values():
            for server in flow.path:
                found[server].append(flow.id)
        return {server: tuple(flows) for server, flows in found.items()}

    @cached_property
    def before(self) -> Mapping[str, Mapping[str, str | None]]:
        """At each server, where each of its flows comes from; None where it enters the network."""
        found: dict[str, dict[str, str | None]] = {server: {} for server in self.servers}
        for flow in self.flows.values():
            for previous, server in zip((None, *flow.path), flow.path, strict=False):
                found[server][flow.id] = previous
        return found

    def load(self, server: str) -> Fraction:
        """The sum of the rates of the flows that cross `server`."""
        return sum((self.flows[flow].rate for flow in self.crossing[server]), Fraction(0))

    @cached_property
    def circle(self) -> tuple[str, ...] | None:
        """Servers that feed each other in a circle, if there are any: the network is not feed-forward."""
        try:
            self._order()
        except CycleError as error:
            names: list[str] = error.args[1]
            return tuple(names[:-1])
        return None

    @cached_property
    def components(self) -> Sequence[tuple[str, ...]]:
        """Servers in the order in which flows cross them; those that feed each other in circles stand together."""
        if self.circle is None:
            return [(server,) for server in self._order()]
        import networkx as nx  # here, because a feed-forward network does without it

        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(self.servers)
        for server, previous in self._feeding().items():
            graph.add_edges_from((other, server) for other in previous)
        place = {server: number for number, server in enumerate(self.servers)}
        condensed = nx.condensation(graph)
        members = condensed.nodes(data="members")
        return [tuple(sorted(members[part], key=place.__getitem__)) for part in nx.topological_sort(condensed)]

    def _feeding(self) -> dict[str, list[str]]:
        """The servers right before each server, without repetition."""
        return {
            server: list(dict.fromkeys(previous for previous in came.values() if previous is not None))
            for server, came in self.before.items()
        }

    def _order(self) -> list[str]:
        """Raises CycleError."""
        return list(TopologicalSorter(self._feeding()).static_order())


def check_server(server: Server, known: Mapping[str, Server]) -> None:
    """Raises InputError whose field is one of `server`'s."""
    if server.id in known:
        raise InputError(f"a second server {server.id}", field="id", remedy="rename one of them")
    if server.rate <= 0:
        raise InputError(f"server {server.id} has rate {server.rate}", field="rate", expected="more than 0")
    if server.latency < 0:
        raise InputError(f"server {server.id} has a negative latency", field="latency", expected="0 or more")
    if server.peak is not None and server.peak < server.rate:
        raise InputError(
            f"server {server.id} has a peak below its rate",
            field="peak",
            expected=f"at least {server.rate}: the line carries what the server serves",
        )
    if server.priorities and server.quanta:
        raise InputError(f"server {server.id} has priorities and quanta", field="quanta", expected="one of both")
    if len(set(server.priorities)) < len(server.priorities):
        raise InputError(f"server {server.id} lists a class twice", field="priorities", expected="each class once")


def check_flow(flow: Flow, servers: Mapping[str, Server], known: Mapping[str, Flow]) -> None:
    """Raises InputError whose field is one of `flow`'s."""
    if flow.id in known:
        raise InputError(f"a second flow {flow.id}", field="id", remedy="rename one of them")
    if flow.rate <= 0:
        raise InputError(f"flow {flow.id} has rate {flow.rate}", field="rate", expected="more than 0")
    if flow.burst < 0:
        raise InputError(f"flow {flow.id} has a negative burst", field="burst", expected="0 or more")
    if not flow.path:
        raise InputError(f"flow {flow.id} crosses no server", field="path", expected="at least one server")
    seen = set()
    for server in flow.path:
        if server not in servers:
            raise InputError(
                f"flow {flow.id} crosses unknown server {server}", field="path", expected="a listed server"
            )
        if server in seen:
            raise InputError(
                f"flow {flow.id} crosses {server} twice", field="path", expected="a path that repeats no server"
            )
        seen.add(server)
        _check_class(flow, servers[server])


def _check_class(flow: Flow, server: Server) -> None:
    if server.scheduled and flow.traffic_class not in server.scheduled:
        raise InputError(
            f"flow {flow.id} is of {f'class {flow.traffic_class}' if flow.traffic_class else 'no class'}, for which "
            f"server {server.id} has no queue",
            field="class",
            expected=f"one of {', '.join(server.scheduled)}",
        )
    if server.quanta and flow.traffic_class is not None and server.quanta[flow.traffic_class] <= flow.packet:
        raise InputError(
            f"the quantum of class {flow.traffic_class} at server {server.id} is not above the packets of {flow.id}",
            field="packet",
            expected=f"less than {server.quanta[flow.traffic_class]}: the longest packet less one byte is enough",
        )
