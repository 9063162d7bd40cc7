"""Total flow analysis by delays: a flow that has waited at most D so far keeps its rate and bursts r D more.

At each server the aggregate of all flows gives one delay, the same for each (FIFO), or the longest busy period
(arbitrary order); the next server sees every flow after the sum of the delays behind it. With line shaping, flows that
come together from a server with a peak never exceed that line (TFA++: Mifdaoui and Leydier, "Beyond the
accuracy-complexity tradeoffs of compositional analyses using network calculus for complex networks", 2017).

This takes time in proportion to the flows' paths, and works where servers feed each other in a circle (`_fixed_point`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from carelane.topology.calculus._curves import (
    ArrivalCurve,
    ServiceCurve,
    TokenBucket,
    left_over_arbitrary,
    left_over_fifo,
)
from carelane.topology.calculus._fixed_point import Equation, Group, arrival_of, fixed_point
from carelane.topology.calculus._network import Flow, Network

__all__ = ["ByDelay"]


class ByDelay:
    """Delay bounds of the servers of a network; `delays` holds None where there is none."""

    def __init__(
        self,
        network: Network,
        *,
        fifo: bool,
        shaping: bool,
        packet: Fraction = Fraction(0),
        services: Mapping[str, ServiceCurve | None] | None = None,
    ) -> None:
        """`packet`: what a line may be ahead of its rate; 0 is fluid. `services` stand for the servers' own curves."""
        self._network = network
        self._packet = packet
        self._services = services or {server.id: server.service for server in network.servers.values()}
        self._fifo = fifo
        self._shaping = shaping
        self._place = {flow.id: {server: n for n, server in enumerate(flow.path)} for flow in network.flows.values()}
        self._sums: dict[str, list[Fraction | None]] = {flow: [Fraction(0)] for flow in network.flows}
        """For each flow: the sum of the delays before the first server of its path, the second, and so on."""
        self._settled: dict[str, dict[str | None, Group]] = {}
        """What comes to a server from each server before it, once all delays are known."""
        self.delays: dict[str, Fraction | None] = {}
        self.diverging: set[str] = set()
        """Servers of circles for which no fixed point was found."""
        for component in network.components:
            if len(component) > 1:
                self._circle(component)
                continue
            for server in component:
                if network.crossing[server]:
                    self._alone(server)

    def arrival(self, server: str, without: str | None = None) -> ArrivalCurve | None:
        """What all flows but `without` bring to a server, at least one of them; None: no bound."""
        if server not in self._settled:
            self._settled[server] = self._groups(server, frozenset(), frozenset())
        groups = self._settled[server]
        if without is not None:
            groups = self._less(server, groups, self._network.flows[without])
        if any(group.final_rate is None for group in groups.values()):
            return None
        return arrival_of(list(groups.values()), {})

    def _less(self, server: str, groups: Mapping[str | None, Group], flow: Flow) -> dict[str | None, Group]:
        """The settled groups without one flow, which has no stream to share."""
        previous = self._network.before[server][flow.id]
        group = groups[previous]
        burst, waited = group.burst, self._waited(flow.id, self._place[flow.id][server])
        if burst is None or waited is None:  # what is left may have a bound although the whole has none
            return self._groups(server, frozenset(), frozenset(), flow.id)
        rest = {key: other for key, other in groups.items() if key != previous}
        if group.rate > flow.rate:
            rest[previous] = replace(group, rate=group.rate - flow.rate, burst=burst - flow.burst - flow.rate * waited)
        return rest

    def service(self, server: str, flow: str) -> ServiceCurve | None:
        """What is left for `flow` when all others at `server` have taken their part. None: nothing."""
        service = self._services[server]
        if service is None or len(self._network.crossing[server]) == 1:
            return service
        cross = self.arrival(server, flow)
        if cross is None:
            return None
        return left_over_fifo(service, cross) if self._fifo else left_over_arbitrary(service, cross)

    def delay(self, flow: str) -> Fraction | None:
        """The sum of the delays over the whole path of `flow`."""
        return self._waited(flow, len(self._network.flows[flow].path))

    def _waited(self, flow: str, place: int) -> Fraction | None:
        """The sum of the delays over the first `place` servers of the flow's path, all of which are settled."""
        sums, path = self._sums[flow], self._network.flows[flow].path
        while len(sums) <= place:
            before, here = sums[-1], self.delays[path[len(sums) - 1]]
            sums.append(None if before is None or here is None else before + here)
        return sums[place]

    def _alone(self, server: str) -> None:
        equation = self._equation(server, frozenset(), frozenset())
        self.delays[server] = None if equation is None or _overloaded(equation) else equation.delay({})

    def _circle(self, component: Sequence[str]) -> None:
        """Servers that feed each other: first those that cannot have a bound, then the fixed point of the others."""
        circle = frozenset(component)
        lost: frozenset[str] = frozenset()
        while True:
            asked = {server: self._equation(server, circle, lost) for server in component if server not in lost}
            equations = {
                s: equation for s, equation in asked.items() if equation is not None and not _overloaded(equation)
            }
            if len(equations) == len(asked):
                break
            lost |= asked.keys() - equations.keys()
        found = fixed_point(equations) if equations else {}
        if found is None:
            self.diverging |= equations.keys()
            found = {}
        for server in component:
            self.delays[server] = found.get(server)

    def _equation(self, server: str, circle: frozenset[str], lost: frozenset[str]) -> Equation | None:
        """None when the server serves nothing."""
        service = self._services[server]
        if service is None:
            return None
        fifo = self._fifo or len(self._network.crossing[server]) == 1
        return Equation(service, list(self._groups(server, circle, lost).values()), fifo)

    def _groups(
        self, server: str, circle: frozenset[str], lost: frozenset[str], without: str | None = None
    ) -> dict[str | None, Group]:
        turns: dict[str | None, dict[str, list[str]]] = {}
        for previous, stream, flow in self._turns(server):
            if flow != without:
                turns.setdefault(previous, {}).setdefault(stream, []).append(flow)
        return {
            previous: self._group(server, previous, list(streams.values()), circle, lost)
            for previous, streams in turns.items()
        }

    def _turns(self, server: str) -> Iterator[tuple[str | None, str, str]]:
        """(previous server, stream, flow) of each flow; alternatives that come from several servers from nowhere."""
        came = self._network.before[server]
        flows = self._network.flows
        ways: dict[str, tuple[set[str | None], set[str | None]]] = {}
        for flow, previous in came.items():
            if flows[flow].stream is not None:
                servers, leaves = ways.setdefault(flows[flow].stream or "", (set(), set()))
                servers.add(previous)
                leaves.add(flows[flow].leaf)
        for flow, previous in came.items():
            stream = flows[flow].stream
            if stream is None:
                yield previous, f"flow {flow}", flow
                continue
            servers, leaves = ways[stream]
            yield (None if len(servers) > 1 and len(leaves) == 1 else previous), f"stream {stream}", flow

    def _group(
        self,
        server: str,
        previous: str | None,
        streams: Sequence[Sequence[str]],
        circle: frozenset[str],
        lost: frozenset[str],
    ) -> Group:
        """Each stream counts once, after the longest of the delays of its ways."""
        peak = None if previous is None or not self._shaping else self._network.servers[previous].peak
        rate = Fraction(0)
        burst: Fraction | None = Fraction(0)
        growth: dict[str, Fraction] = {}
        for stream in streams:
            rate += max(self._network.flows[flow].rate for flow in stream)
            most: Fraction | None = Fraction(0)
            grown: dict[str, Fraction] = {}
            for flow in stream:
                starting, growing = self._burst(flow, server, circle, lost)
                most = None if most is None or starting is None else max(most, starting)
                grown |= {s: max(by, grown.get(s, by)) for s, by in growing.items()}
            burst = None if burst is None or most is None else burst + most
            for other, by in grown.items():
                growth[other] = growth.get(other, Fraction(0)) + by
        line = None if peak is None else TokenBucket(peak, self._packet)
        return Group(rate, burst, {} if burst is None else growth, line)

    def _burst(
        self, name: str, server: str, circle: frozenset[str], lost: frozenset[str]
    ) -> tuple[Fraction | None, dict[str, Fraction]]:
        """A flow's burst at `server` as far as it is known, and how it grows with the delays inside the circle."""
        flow, place = self._network.flows[name], self._place[name][server]
        growth: dict[str, Fraction] = {}
        while place and flow.path[place - 1] in circle:
            place -= 1
            if flow.path[place] in lost:
                return None, {}
            growth[flow.path[place]] = flow.rate
        waited = self._waited(name, place)
        return (None if waited is None else flow.burst + flow.rate * waited), growth


def _overloaded(equation: Equation) -> bool:
    """Whether the server has no bound whatever the delays of the others: too much, or unboundedly bursty, traffic."""
    rates = [group.final_rate for group in equation.groups]
    if any(rate is None for rate in rates):
        return True
    total = sum((rate for rate in rates if rate is not None), Fraction(0))
    return total > equation.service.rate or (total == equation.service.rate and not equation.fifo)
