"""Ports that class queues share: strict priority between classes, order of arrival within a class.

From the highest class down, each class is left what the higher ones do not take, and is bounded by total flow analysis
with line shaping (circles by a fixed point). Packets are served whole: one of a lower class may have just begun, the
own class's longest must be sent to its end, and a line lets one packet more than its rate through at once.

Data and time in units that fit each other; all figures exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from carelane.errors import InputError
from carelane.topology.calculus._by_delay import ByDelay
from carelane.topology.calculus._curves import ArrivalCurve, ServiceCurve, sum_of
from carelane.topology.calculus._network import Flow, Network, Server
from carelane.topology.calculus._schedulers import strict_priority

__all__ = ["ClassFlow", "SharedPort", "class_delays"]


@dataclass(frozen=True, slots=True)
class SharedPort:
    """An egress port: its line rate, and the longest frame that anybody may send there."""

    id: str
    capacity: Fraction
    longest: Fraction


@dataclass(frozen=True, slots=True)
class ClassFlow:
    """A flow, the class it queues in (0 is served first), and the ports it crosses in order.

    `stream` and `leaf` as in `Flow`.
    """

    id: str
    priority: int
    path: tuple[str, ...]
    rate: Fraction
    burst: Fraction
    stream: str | None = None
    leaf: str | None = None


def class_delays(ports: Iterable[SharedPort], flows: Sequence[ClassFlow]) -> dict[str, Fraction | None]:
    """The worst queueing and transmission delay of each flow over all its ports; None: no bound.

    Raises InputError for unknown ports and impossible figures, as `Network.of`.
    """
    known = {port.id: port for port in ports}
    for shared in known.values():
        if shared.capacity <= 0:
            raise InputError(f"port {shared.id} has no capacity", field="capacity", expected="more than 0")
    above: dict[str, list[ArrivalCurve | None]] = {}
    delays: dict[str, Fraction | None] = {}
    for priority in sorted({flow.priority for flow in flows}):
        members = [flow for flow in flows if flow.priority == priority]
        analysis = _class(known, members, above)
        for flow in members:
            delays[flow.id] = analysis.delay(flow.id)
        for port in {port: None for flow in members for port in flow.path}:
            above.setdefault(port, []).append(analysis.arrival(port))
    return {flow.id: delays[flow.id] for flow in flows}


def _class(
    known: Mapping[str, SharedPort], members: Sequence[ClassFlow], above: Mapping[str, Sequence[ArrivalCurve | None]]
) -> ByDelay:
    """One class, behind what the classes `above` bring to each port."""
    crossed = {port: known[port] for flow in members for port in flow.path if port in known}
    network = Network.of(
        [Server(port.id, port.capacity, Fraction(0), port.capacity) for port in crossed.values()],
        [Flow(flow.id, flow.path, flow.rate, flow.burst, flow.stream, flow.leaf) for flow in members],
    )
    services = {port.id: _left(port, above.get(port.id, ())) for port in crossed.values()}
    packet = max((port.longest for port in known.values()), default=Fraction(0))
    return ByDelay(network, fifo=True, shaping=True, packet=packet, services=services)


def _left(port: SharedPort, above: Sequence[ArrivalCurve | None]) -> ServiceCurve | None:
    """A packet in the way, and one of the own class until its last bit has left."""
    higher = [curve for curve in above if curve is not None]
    if len(higher) < len(above):
        return None
    return strict_priority(port.capacity, sum_of(higher) if higher else None, 2 * port.longest)
