"""Total flow analysis by delays: a flow that has waited at most D so far keeps its rate and bursts r D more.

At each server the aggregate of all flows gives one delay, the same for each (FIFO), or the longest busy period
(arbitrary order); the next server sees every flow after the sum of the delays behind it. With line shaping, flows that
come together from a server with a peak never exceed that line (TFA++: Mifdaoui and Leydier, "Beyond the
accuracy-complexity tradeoffs of compositional analyses using network calculus for complex networks", 2017).

This takes time in proportion to the flows' paths, and works where servers feed each other in a circle (`_fixed_point`).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from carelane.topology.calculus._fixed_point import Equation, Group, fixed_point
from carelane.topology.calculus._network import Network

__all__ = ["ByDelay"]


class ByDelay:
    """Delay bounds of the servers of a network; `delays` holds None where there is none."""

    def __init__(self, network: Network, *, fifo: bool, shaping: bool) -> None:
        self._network = network
        self._fifo = fifo
        self._shaping = shaping
        self._place = {flow.id: {server: n for n, server in enumerate(flow.path)} for flow in network.flows.values()}
        self._sums: dict[str, list[Fraction | None]] = {flow: [Fraction(0)] for flow in network.flows}
        """For each flow: the sum of the delays before the first server of its path, the second, and so on."""
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
        self.delays[server] = None if _overloaded(equation) else equation.delay({})

    def _circle(self, component: Sequence[str]) -> None:
        """Servers that feed each other: first those that cannot have a bound, then the fixed point of the others."""
        circle = frozenset(component)
        lost: frozenset[str] = frozenset()
        while True:
            equations = {s: self._equation(s, circle, lost) for s in component if s not in lost}
            more = frozenset(server for server, equation in equations.items() if _overloaded(equation))
            if not more:
                break
            lost |= more
        found = fixed_point(equations) if equations else {}
        if found is None:
            self.diverging |= equations.keys()
            found = {}
        for server in component:
            self.delays[server] = found.get(server)

    def _equation(self, server: str, circle: frozenset[str], lost: frozenset[str]) -> Equation:
        turns: dict[str | None, list[str]] = {}
        for flow, previous in self._network.before[server].items():
            turns.setdefault(previous, []).append(flow)
        groups = [self._group(server, previous, flows, circle, lost) for previous, flows in turns.items()]
        fifo = self._fifo or len(self._network.crossing[server]) == 1
        return Equation(self._network.servers[server].service, groups, fifo)

    def _group(
        self, server: str, previous: str | None, flows: Sequence[str], circle: frozenset[str], lost: frozenset[str]
    ) -> Group:
        peak = None if previous is None or not self._shaping else self._network.servers[previous].peak
        rate = Fraction(0)
        burst: Fraction | None = Fraction(0)
        growth: dict[str, Fraction] = {}
        for name in flows:
            flow, place = self._network.flows[name], self._place[name][server]
            rate += flow.rate
            while place and flow.path[place - 1] in circle:
                place -= 1
                if flow.path[place] in lost:
                    burst = None
                growth[flow.path[place]] = growth.get(flow.path[place], Fraction(0)) + flow.rate
            waited = self._waited(name, place)
            burst = None if burst is None or waited is None else burst + flow.burst + flow.rate * waited
        return Group(rate, burst, {} if burst is None else growth, peak)


def _overloaded(equation: Equation) -> bool:
    """Whether the server has no bound whatever the delays of the others: too much, or unboundedly bursty, traffic."""
    rates = [group.final_rate for group in equation.groups]
    if any(rate is None for rate in rates):
        return True
    total = sum((rate for rate in rates if rate is not None), Fraction(0))
    return total > equation.service.rate or (total == equation.service.rate and not equation.fifo)
