"""End-to-end delay bounds of every flow of a network, by total flow analysis (TFA) or separate flow analysis (SFA).

TFA adds up, along a flow's path, the delay of each server's whole traffic. SFA convolves the service that all others
leave over at each server, so that the flow's own burst is paid once. What arrives at a server is bounded in one of two
ways ("propagation"):

* ``service``: by the left-over service before it, aggregates kept together (`_left_over`). Feed-forward only.
* ``delay``: by the delays before it (`_by_delay`). Also for circles.

Both are sound, neither is always the smaller. Published tools differ: NetCal's TFA and SFA are the first, TFA++ as in
Panco, made for links with a known line rate, the second. ``auto`` takes the second for TFA of FIFO networks whose
servers state a peak, for TFA of circles, and where flows are too entangled for the first, and the first otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from carelane.errors import InputError
from carelane.topology.calculus._by_delay import ByDelay
from carelane.topology.calculus._curves import (
    ArrivalCurve,
    ServiceCurve,
    convolve,
    delay_arbitrary,
    delay_fifo,
    token_bucket,
)
from carelane.topology.calculus._left_over import LeftOver, TooEntangled
from carelane.topology.calculus._network import Network
from carelane.topology.calculus._scheduled import class_by_class

__all__ = ["Analysis", "Bound", "Bounds", "Multiplexing", "Propagation", "delay_bounds"]

Analysis = Literal["tfa", "sfa"]
Multiplexing = Literal["fifo", "arbitrary"]
Propagation = Literal["auto", "delay", "service"]


@dataclass(frozen=True, slots=True)
class Bound:
    """The delay bound of a flow, exact; None with the reason why there is no bound."""

    delay: Fraction | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds by flow, in the network's order, and for TFA the delay of each server that flows cross."""

    flows: Mapping[str, Bound]
    servers: Mapping[str, Fraction | None]
    propagation: Propagation
    """Which way was taken: ``delay`` or ``service``."""


def delay_bounds(
    network: Network,
    analysis: Analysis,
    multiplexing: Multiplexing,
    *,
    line_shaping: bool = False,
    propagation: Propagation = "auto",
) -> Bounds:
    """The bounds of all flows. `line_shaping` uses the peaks that servers state.

    Where servers have a queue for each class, `multiplexing` is the order within a class, and a queue's delay stands in
    `servers` under its server's name and the class's.

    Raises InputError when flows feed each other in a circle and the analysis needs feed-forward, when they are too
    entangled for it, or when classes cannot be told apart.
    """

    def analyse(part: Network) -> tuple[Bounds, LeftOver | ByDelay]:
        return _analysed(part, analysis, multiplexing, line_shaping=line_shaping, propagation=propagation)

    if not any(server.scheduled for server in network.servers.values()):
        return analyse(network)[0]
    return _of_classes(network, multiplexing, analyse)


def _of_classes(
    network: Network, multiplexing: Multiplexing, analyse: Callable[[Network], tuple[Bounds, LeftOver | ByDelay]]
) -> Bounds:
    flows: dict[str, Bound] = {}
    servers: dict[str, Fraction | None] = {}
    ways: set[Propagation] = set()
    for part in class_by_class(network, multiplexing, lambda queues: _with_arrivals(*analyse(queues))):
        if part.found is not None:
            flows |= part.found.flows
            servers |= part.found.servers
            ways.add(part.found.propagation)
        flows |= {lost.flow: Bound(None, lost.reason) for lost in part.lost}
    return Bounds({flow: flows[flow] for flow in network.flows}, servers, "delay" if "delay" in ways else "service")


def _with_arrivals(bounds: Bounds, traffic: LeftOver | ByDelay) -> tuple[Bounds, Callable[[str], ArrivalCurve | None]]:
    if not isinstance(traffic, LeftOver):
        return bounds, traffic.arrival

    def arrival(server: str) -> ArrivalCurve | None:
        try:
            return traffic.arrival(server, traffic.at(server))
        except TooEntangled:
            raise _too_entangled() from None

    return bounds, arrival


def _analysed(
    network: Network,
    analysis: Analysis,
    multiplexing: Multiplexing,
    *,
    line_shaping: bool,
    propagation: Propagation,
) -> tuple[Bounds, LeftOver | ByDelay]:
    fifo = multiplexing == "fifo"
    peaks = any(server.peak is not None for server in network.servers.values())
    if propagation == "auto" and analysis == "tfa" and (network.circle is not None or (fifo and peaks)):
        propagation = "delay"
    if propagation != "delay":
        _need_feed_forward(network)
        left_over = LeftOver(network, fifo=fifo, shaping=line_shaping)
        try:
            if analysis == "tfa":
                return _total_flow(network, left_over, fifo=fifo), left_over
            return _separate_flows(network, left_over, "service"), left_over
        except TooEntangled:
            if propagation == "service":
                raise _too_entangled() from None
    by_delay = ByDelay(network, fifo=fifo, shaping=line_shaping)
    found = _by_delay(network, by_delay) if analysis == "tfa" else _separate_flows(network, by_delay, "delay")
    return found, by_delay


def _too_entangled() -> InputError:
    return InputError(
        "the flows meet and part in too many ways to keep aggregates apart",
        field="propagation",
        expected="delay, or auto where classes share no server",
    )


def _need_feed_forward(network: Network) -> None:
    if network.circle is not None:
        raise InputError(
            f"flows feed each other in a circle: {', '.join(network.circle)}",
            field="spec.flows",
            expected="a feed-forward network",
            remedy="use TFA, or propagation by delay: both bound circles by a fixed point",
        )


def _total_flow(network: Network, left_over: LeftOver, *, fifo: bool) -> Bounds:
    """TFA on aggregates; raises TooEntangled."""
    servers: dict[str, Fraction | None] = {}
    for server, crossing in network.crossing.items():
        if crossing:
            arriving = left_over.arrival(server, left_over.at(server))
            in_order = fifo or len(crossing) == 1
            servers[server] = _delay(arriving, network.servers[server].service, fifo=in_order)
    flows = {}
    for flow in network.flows.values():
        delays = [servers[server] for server in flow.path]
        known = [delay for delay in delays if delay is not None]
        total = sum(known, Fraction(0)) if len(known) == len(delays) else None
        flows[flow.id] = Bound(total, None if total is not None else _why(network, flow.path, servers))
    return Bounds(flows, servers, "service")


def _delay(arrival: ArrivalCurve | None, service: ServiceCurve, *, fifo: bool) -> Fraction | None:
    if arrival is None:
        return None
    return delay_fifo(arrival, service) if fifo else delay_arbitrary(arrival, service)


def _separate_flows(network: Network, traffic: LeftOver | ByDelay, propagation: Propagation) -> Bounds:
    """SFA behind cross-traffic as `traffic` bounds it; raises TooEntangled."""
    flows = {}
    for flow in network.flows.values():
        whole: ServiceCurve | None = None
        for server in flow.path:
            service = traffic.service(server, flow.id)
            if service is None:
                whole = None
                break
            whole = service if whole is None else convolve(whole, service)
        delay = None if whole is None else delay_fifo(token_bucket(flow.rate, flow.burst), whole)
        flows[flow.id] = Bound(delay, None if delay is not None else _reason(network, flow.path, traffic))
    return Bounds(flows, {}, propagation)


def _by_delay(network: Network, result: ByDelay) -> Bounds:
    flows = {}
    for flow in network.flows.values():
        delay = result.delay(flow.id)
        flows[flow.id] = Bound(delay, None if delay is not None else _reason(network, flow.path, result))
    return Bounds(flows, result.delays, "delay")


def _reason(network: Network, path: tuple[str, ...], traffic: LeftOver | ByDelay) -> str:
    if isinstance(traffic, LeftOver):
        return _why(network, path, {})
    circling = [server for server in path if server in traffic.diverging]
    if circling:
        return f"bursts grow without end in the circle through {', '.join(circling)}"
    return _why(network, path, traffic.delays)


def _why(network: Network, path: tuple[str, ...], servers: Mapping[str, Fraction | None]) -> str:
    """Names the first server that is overloaded, on the path or before it on the paths of those met there."""
    seen = dict.fromkeys(path)
    queue = [server for server in path if servers.get(server) is None]
    for strict in (True, False):  # an overloaded server explains more than one that is just full
        reached, todo = set(queue), list(queue)
        for server in todo:
            load, rate = network.load(server), network.servers[server].rate
            if load > rate or (not strict and load == rate):
                what = "is overloaded" if load > rate else "is full"
                return f"server {server} {what}: its flows bring {_plain(load)}, it serves {_plain(rate)}"
            before = {previous for previous in network.before[server].values() if previous is not None}
            todo += sorted(before - reached)
            reached |= before
    return f"what arrives at {next(iter(seen))} has no bound"


def _plain(exact: Fraction) -> str:
    return f"{float(exact):.10g}"
