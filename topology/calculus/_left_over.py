"""Bounding what arrives at a server by the service left over before it, aggregates kept together.

For a set of flows at a server: those that enter there bring their token buckets; those that come from one previous
server are bounded together, as what that server's left-over service makes of them after everybody else there has been
served ("aggregate PBOO" of the literature: Bondorf and Schmitt, "Boosting sensor network calculus by thoroughly
bounding cross-traffic", INFOCOM 2015). Flows that keep together therefore pay each other's bursts once.

A flow that is being analysed is left out of the cross-traffic of its own cross-traffic as long as both go the same way:
it is served last there (arbitrary order), or what it adds is already paid for where they met (FIFO).

The recursion runs on a stack of its own, because paths may be longer than Python's, and remembers every set it has
bounded; entangled networks have exponentially many, so it gives up with `TooEntangled` after `MAX_SETS`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from fractions import Fraction

from carelane.topology.calculus._curves import (
    ArrivalCurve,
    ServiceCurve,
    TokenBucket,
    left_over_arbitrary,
    left_over_fifo,
    output,
    sum_of,
    token_bucket,
)
from carelane.topology.calculus._network import Network

__all__ = ["MAX_SETS", "LeftOver", "TooEntangled"]

MAX_SETS = 100_000
Flows = int
"""A set of flows: bit i stands for the i-th flow of the network."""
_Question = tuple[str, Flows, Flows, bool]
"""Server, the flows to bound, the flow left out (or 0), and whether to bound them leaving rather than arriving."""
_Steps = Generator[_Question, ArrivalCurve | None, ArrivalCurve | None]


class TooEntangled(Exception):
    """The flows meet and part in more ways than this analysis can go through."""


class LeftOver:
    """Arrival curves and left-over service of a feed-forward network; every answer is remembered."""

    def __init__(self, network: Network, *, fifo: bool, shaping: bool) -> None:
        self._network = network
        self._subtract: Callable[[ServiceCurve, ArrivalCurve], ServiceCurve | None] = (
            left_over_fifo if fifo else left_over_arbitrary
        )
        self._shaping = shaping
        self._flows = list(network.flows.values())
        self.bit = {flow.id: 1 << number for number, flow in enumerate(self._flows)}
        self._service = {server.id: server.service for server in network.servers.values()}
        self._coming: dict[str, dict[str | None, Flows]] = {server: {} for server in network.servers}
        for server, came in network.before.items():
            turns = self._coming[server]
            for flow, previous in came.items():
                turns[previous] = turns.get(previous, 0) | self.bit[flow]
        self._known: dict[_Question, ArrivalCurve | None] = {}

    def at(self, server: str) -> Flows:
        """All flows at `server`."""
        together = 0
        for flows in self._coming[server].values():
            together |= flows
        return together

    def arrival(self, server: str, flows: Flows, without: Flows = 0) -> ArrivalCurve | None:
        """What `flows` (not empty) bring to `server` at most, `without` left out. None: no bound."""
        return self._answer((server, flows, without, False))

    def service(self, server: str, flow: str) -> ServiceCurve | None:
        """What is left for `flow` when all others at `server` have taken their part. None: nothing."""
        others = self.at(server) & ~self.bit[flow]
        if not others:
            return self._service[server]
        cross = self.arrival(server, others, self.bit[flow])
        return None if cross is None else self._subtract(self._service[server], cross)

    def _answer(self, question: _Question) -> ArrivalCurve | None:
        if question in self._known:
            return self._known[question]
        stack = [(question, self._steps(question))]
        known: ArrivalCurve | None = None
        while True:
            asked, steps = stack[-1]
            try:
                needed = steps.send(known)
            except StopIteration as end:
                known = self._known[asked] = end.value
                stack.pop()
                if not stack:
                    return known
                continue
            if needed in self._known:
                known = self._known[needed]
                continue
            if len(self._known) + len(stack) > MAX_SETS:
                raise TooEntangled
            stack.append((needed, self._steps(needed)))
            known = None

    def _steps(self, question: _Question) -> _Steps:
        server, flows, without, leaving = question
        return self._leaving(server, flows, without) if leaving else self._arriving(server, flows, without)

    def _arriving(self, server: str, flows: Flows, without: Flows) -> _Steps:
        curves = []
        for previous, turning in self._coming[server].items():
            group = flows & turning
            if not group:
                continue
            if previous is None:
                curves.append(self._entering(group))
                continue
            curve = yield previous, group, without & turning, True
            if curve is None:
                return None
            curves.append(curve)
        return sum_of(curves)

    def _entering(self, flows: Flows) -> ArrivalCurve:
        rate = burst = Fraction(0)
        while flows:
            lowest = flows & -flows
            flow = self._flows[lowest.bit_length() - 1]
            rate, burst = rate + flow.rate, burst + flow.burst
            flows ^= lowest
        return token_bucket(rate, burst)

    def _leaving(self, server: str, flows: Flows, without: Flows) -> _Steps:
        peak = self._network.servers[server].peak if self._shaping else None
        arriving = yield server, flows, without, False
        service: ServiceCurve | None = self._service[server]
        others = self.at(server) & ~(flows | without)
        if others and service is not None:
            cross = yield server, others, without, False
            service = None if cross is None else self._subtract(service, cross)
        leaving = None if arriving is None or service is None else output(arriving, service)
        if peak is None:
            return leaving
        return ArrivalCurve((TokenBucket(peak, Fraction(0)),)) if leaving is None else leaving.limited(peak)
