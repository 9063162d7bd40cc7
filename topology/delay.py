"""Delay bounds: what a token-bucket flow with a reserved rate waits at most, end to end.

Model. At every port the slice has a queue of its own with a floor of R bit/s. Such a port is a guaranteed-rate
server of latency L/R + Lmax/C (L: the slice's longest packet, Lmax: anybody's longest frame, which may just have
begun, C: the port's capacity), so a flow of burst b sees, over n ports (RFC 2212 section 3; Parekh and Gallager, 1994):

    D(R) = b/R + n L/R + sum of Lmax/C + propagation

That a linux-htb class behaves as such a server is a calibrated model (quantum of at least one frame, burst allowance
of at least b), not a published bound; the planner states it among a decision's assumptions, and the lab scenario
`htb-calibration` measures it. Switching time inside a
node is taken as part of the link's stated delay.

Flows of one slice that share its queue (consultations with many sites) are bounded by total flow analysis: the delay
of a run of ports is that of the sum of the bursts entering it, and what leaves is burstier by rate x delay. Ports
that the same flows cross together count as one server, so that bursts are paid once there.

All arithmetic is in whole picoseconds, bits and bits per second, rounded against the promise, so that equal input
gives equal bytes and "the smallest rate that meets the bound" is exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from math import isqrt

from carelane.topology.ledger import PortKey

__all__ = [
    "FRAME_BYTES",
    "PS",
    "CyclicDependency",
    "Flow",
    "Port",
    "SharedQueues",
    "budget_ps",
    "cost_ps",
    "port_latency_ps",
    "rate_for_bps",
    "round_trip_rates_bps",
    "seconds",
    "transmission_ps",
]

PS = 10**12
"""Picoseconds in a second."""

FRAME_BYTES = 1522
"""Lmax: the longest Ethernet frame of anybody (1518 bytes, IEEE 802.3) and one path label (4 bytes)."""


class CyclicDependency(Exception):
    """The flows of a slice feed each other's queues in a circle; this analysis has no bound for that."""


def cost_ps(seconds_: float) -> int:
    """A stated delay in picoseconds, rounded up; float noise below a femtosecond is left out."""
    exact = Decimal(repr(float(seconds_))).quantize(Decimal("1e-15"))
    return int((exact * PS).to_integral_value(ROUND_CEILING))


def budget_ps(seconds_: float) -> int:
    """A delay objective in picoseconds, rounded down."""
    return int((Decimal(repr(float(seconds_))) * PS).to_integral_value(ROUND_FLOOR))


def seconds(picoseconds: int) -> float:
    """Seconds whose shortest decimal form is the exact value."""
    return float(Decimal(picoseconds) / PS)


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def transmission_ps(size_bytes: int, rate_bps: int) -> int:
    """Time to send `size_bytes` at `rate_bps`, rounded up; `rate_bps` is positive."""
    return _ceil_div(8 * size_bytes * PS, rate_bps)


def port_latency_ps(capacity_bps: int) -> int:
    """Lmax/C: a frame of somebody else has just begun (no pre-emption)."""
    return transmission_ps(FRAME_BYTES, capacity_bps)


def rate_for_bps(size_bytes: int, budget: int) -> int | None:
    """The smallest whole rate that sends `size_bytes` (b + n L) within `budget` picoseconds; None when none does."""
    return _ceil_div(8 * size_bytes * PS, budget) if budget > 0 else None


def round_trip_rates_bps(
    sizes: tuple[int, int], budget: int, low: tuple[int, int], high: tuple[int, int]
) -> tuple[int, int] | None:
    """Rates (x, y) of least sum with sizes[0]/x + sizes[1]/y <= `budget` and low <= rate <= high; None: impossible.

    Without the limits the optimum is x proportional to the square root of its size (Lagrange); a rate that meets a
    limit stays there and the other follows.
    """
    work_x, work_y = (8 * size * PS for size in sizes)
    if budget <= 0 or high[0] < low[0] or high[1] < low[1]:
        return None
    if _ceil_div(work_x, high[0]) + _ceil_div(work_y, high[1]) > budget:
        return None
    if _ceil_div(work_x, low[0]) + _ceil_div(work_y, low[1]) <= budget:
        return low
    x = min(max(_ceil_div(work_x + isqrt(work_x * work_y), budget), low[0]), high[0])
    left = budget - _ceil_div(work_x, x)
    y = _ceil_div(work_y, left) if left > 0 else high[1] + 1
    if low[1] <= y <= high[1]:
        return x, y
    y = min(max(y, low[1]), high[1])
    return max(_ceil_div(work_x, budget - _ceil_div(work_y, y)), low[0]), y


@dataclass(frozen=True, slots=True)
class Port:
    """One queue of the slice: its floor and the latency that others cause there (Lmax/C)."""

    floor_bps: int
    latency_ps: int


@dataclass(frozen=True, slots=True)
class Flow:
    """One way a flow may take through the slice's queues.

    `keys[i]` says whose token bucket loads `ports[i]`: flows with equal keys there are parts of one policed flow.
    Those that also have equal `pair` are alternatives (primary and backup) and never active together; others may
    have come by different ways and merge again. `rate_bps` is the policed rate, `burst_bytes` the bucket's depth.

    The flows of one `group` together send no more than `together` of their buckets let through, whichever they are and
    however they take turns; None: each as much as its own bucket lets through.
    """

    pair: object
    ports: tuple[PortKey, ...]
    keys: tuple[object, ...]
    burst_bytes: int
    rate_bps: int
    group: object = None
    together: int | None = None


class SharedQueues:
    """Total flow analysis of the flows of one slice, over runs of ports that the same flows cross together.

    Which flows meet where is worked out once; `delays_ps` may then be asked for many sets of floors.
    """

    def __init__(self, flows: Sequence[Flow]) -> None:
        self._flows = flows
        crossing: dict[PortKey, list[tuple[int, int]]] = {}
        for number, flow in enumerate(flows):
            for place, port in enumerate(flow.ports):
                crossing.setdefault(port, []).append((number, place))
        self._crossing = crossing
        self._shared = {port: self._meet(here) for port, here in crossing.items()}
        self._crowds = {
            port: frozenset((number, place, flows[number].keys[place]) for number, place in here)
            for port, here in crossing.items()
        }
        self._runs = [self._runs_of(flow) for flow in flows]

    def _meet(self, here: Sequence[tuple[int, int]]) -> bool:
        """Whether several flows, or parts of one that went different ways, come together."""
        if len({self._flows[number].keys[place] for number, place in here}) > 1:
            return True
        came_by = {(self._flows[number].ports[place - 1] if place else None) for number, place in here}
        return len(came_by) > 1 and len({self._flows[number].pair for number, _ in here}) > 1

    @property
    def any_shared(self) -> bool:
        """Whether any two flows meet at all."""
        return any(self._shared.values())

    def delays_ps(self, ports: Mapping[PortKey, Port], packet_bytes: int) -> list[int]:
        """Queueing and transmission delay of each flow over all its ports, without propagation.

        Raises CyclicDependency.
        """
        evaluation = _Evaluation(self, ports, packet_bytes)
        return [evaluation.delay_before(number, len(flow.ports)) for number, flow in enumerate(self._flows)]

    def _runs_of(self, flow: Flow) -> list[tuple[PortKey, ...]]:
        """The flow's ports, cut into runs that act as one server each."""
        runs: list[tuple[PortKey, ...]] = []
        start = 0
        for end in range(1, len(flow.ports) + 1):
            if end == len(flow.ports) or not self._one_server(flow.ports[end - 1], flow.ports[end]):
                runs.append(flow.ports[start:end])
                start = end
        return runs

    def _one_server(self, port: PortKey, following: PortKey) -> bool:
        """Alone at both, or exactly the same flows under the same keys go straight from one to the other."""
        if self._shared[port] != self._shared[following]:
            return False
        if not self._shared[port]:
            return True
        return {(number, place + 1, key) for number, place, key in self._crowds[port]} == self._crowds[following]


class _Evaluation:
    """One pass of the analysis for given floors: delays are worked out on demand and remembered."""

    def __init__(self, structure: SharedQueues, ports: Mapping[PortKey, Port], packet_bytes: int) -> None:
        self.structure = structure
        self.ports = ports
        self.packet_bytes = packet_bytes
        self.before: dict[tuple[int, int], int] = {}
        self.shared_runs: dict[PortKey, int] = {}
        self.open: set[PortKey] = set()

    def delay_before(self, number: int, place: int) -> int:
        """Delay of flow `number` over its ports before `place`, the beginning of a run (or the end of the path)."""
        done = delay = 0
        for run in self.structure._runs[number]:
            if done == place:
                break
            done += len(run)
            if (number, done) not in self.before:
                self.before[number, done] = delay + self._run_delay(number, run, delay)
            delay = self.before[number, done]
        return delay

    def _run_delay(self, number: int, run: tuple[PortKey, ...], before: int) -> int:
        first = run[0]
        if not self.structure._shared[first]:
            return self._service(run, self._burst_bits(number, before))
        if first not in self.shared_runs:
            if first in self.open:
                raise CyclicDependency
            self.open.add(first)
            bursts = self._bursts_bits(first)
            self.open.discard(first)
            self.shared_runs[first] = self._service(run, bursts)
        return self.shared_runs[first]

    def _bursts_bits(self, port: PortKey) -> int:
        """What may arrive at a shared port at once.

        Of a group of which k are active together, at most k times the largest burst: what arrives there in an interval
        entered the network in an interval longer by no more than the longest delay before, and in that the whole group
        sends what k buckets let through. The k largest bursts would be too few: a member with a short way behind it may
        follow at once upon one with a long way.
        """
        bursts: dict[object, dict[object, int]] = {}
        together: dict[object, int | None] = {}
        for other, place in self.structure._crossing[port]:
            flow = self.structure._flows[other]
            here, key = bursts.setdefault(flow.group, {}), flow.keys[place]
            here[key] = max(here.get(key, 0), self._burst_bits(other, self.delay_before(other, place)))
            together[flow.group] = flow.together
        return sum(
            min(sum(here.values()), (together[group] or len(here)) * max(here.values()))
            for group, here in bursts.items()
        )

    def _burst_bits(self, number: int, before: int) -> int:
        flow = self.structure._flows[number]
        return 8 * flow.burst_bytes + _ceil_div(flow.rate_bps * before, PS)

    def _service(self, run: Sequence[PortKey], burst_bits: int) -> int:
        slowest = min(self.ports[port].floor_bps for port in run)
        own = sum(transmission_ps(self.packet_bytes, self.ports[port].floor_bps) for port in run)
        return _ceil_div(burst_bits * PS, slowest) + own + sum(self.ports[port].latency_ps for port in run)
