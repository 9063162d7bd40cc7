"""Delays of servers that feed each other in a circle: the fixed point of D = F(D), proposed in floats, checked exactly.

F is monotone and concave: bursts grow linearly with the delays, lines cap them, and a delay is a maximum over time of
something jointly concave. Its tangents at any D therefore lie above it, so solving D = tangent(D) from far above steps
down towards the fixed point (Newton). What comes out is taken only when F(D) < D holds in exact fractions, which makes
it a bound: if real delays up to some moment exceeded D, by a factor k > 1 at most, they would still be at most
F(k D) <= k F(D) < k D.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from carelane.topology.calculus._curves import (
    ArrivalCurve,
    RateLatency,
    ServiceCurve,
    TokenBucket,
    delay_arbitrary,
    delay_fifo,
    rounded_up,
    sum_of,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Equation", "Group", "arrival_of", "fixed_point"]

_FAR = (1e3, 1e6, 1e9, 1e12)
"""How far above F(0) Newton starts; the next one when a tangent there still rises faster than the diagonal."""
_MARGINS = (1e-12, 1e-9, 1e-6)
"""Relative head room of the proposal, so that floating point errors cannot make F(D) < D fail."""
_STEPS = 200


@dataclass(frozen=True, slots=True)
class Group:
    """Flows that come to a server together: `rate`, and `burst` + the sum of `growth` x delay of other servers.

    `burst` None: some of them have no bound. `line`: all of them never exceed this token bucket. One of both is given.
    """

    rate: Fraction
    burst: Fraction | None
    growth: Mapping[str, Fraction]
    line: TokenBucket | None

    @property
    def final_rate(self) -> Fraction | None:
        """The long-run rate; None when nothing bounds it."""
        if self.burst is not None:
            return self.rate
        return None if self.line is None else self.line.rate

    def curve(self, delays: Mapping[str, Fraction]) -> ArrivalCurve:
        buckets = []
        if self.burst is not None:
            grown = sum((rate * delays[server] for server, rate in self.growth.items()), self.burst)
            buckets.append(TokenBucket(self.rate, rounded_up(grown)))
        if self.line is not None:
            buckets.append(self.line)
        return ArrivalCurve.of(buckets)


def arrival_of(groups: Sequence[Group], delays: Mapping[str, Fraction]) -> ArrivalCurve:
    """What all groups bring together."""
    return sum_of([group.curve(delays) for group in groups])


@dataclass(frozen=True, slots=True)
class Equation:
    """The delay of one server as a function of the others'."""

    service: ServiceCurve
    groups: Sequence[Group]
    fifo: bool

    def delay(self, delays: Mapping[str, Fraction]) -> Fraction | None:
        """F of this server at `delays`; None when it is overloaded."""
        arriving = arrival_of(self.groups, delays)
        return delay_fifo(arriving, self.service) if self.fifo else delay_arbitrary(arriving, self.service)


def fixed_point(equations: Mapping[str, Equation]) -> dict[str, Fraction] | None:
    """Delays D with D >= F(D), within 1e-6 of the least ones (usually 1e-12); None when none were found.

    Every equation has a bounded arrival and a server that is not overloaded.
    """
    system = _System(equations)
    point = system.far_above()
    if point is None:
        return None
    for _ in range(_STEPS):
        lower = system.step(point, 0.0)
        if lower is None or abs(lower - point).max() <= 1e-13 * lower.max(initial=1e-300):
            break
        point = lower
    for margin in _MARGINS:
        proposed = system.step(point, margin)
        if proposed is None:
            continue
        delays = {server: Fraction(float(value)) for server, value in zip(equations, proposed, strict=True)}
        reached = {server: equation.delay(delays) for server, equation in equations.items()}
        checked = {server: value for server, value in reached.items() if value is not None and value < delays[server]}
        if len(checked) == len(equations):
            return checked
    return None


class _System:
    """The equations in floats. Tangents: F(D) <= offset + slopes D, with equality at the point."""

    def __init__(self, equations: Mapping[str, Equation]) -> None:
        import numpy as np  # here, because only circles need it

        self._np = np
        self._equations = list(equations.values())
        place = {server: number for number, server in enumerate(equations)}
        self._growth: list[list[tuple[Group, Floats]]] = []
        for equation in self._equations:
            rows = []
            for group in equation.groups:
                row = np.zeros(len(place))
                for server, rate in group.growth.items():
                    row[place[server]] = float(rate)
                rows.append((group, row))
            self._growth.append(rows)

    def far_above(self) -> Floats | None:
        """A point above the fixed point."""
        start = self._np.zeros(len(self._equations))
        at_zero, _ = self._tangents(start)
        scale = max(float(at_zero.max()), 1e-300)
        for far in _FAR:
            found = self.step(start + far * scale, 0.0)
            if found is not None:
                return found
        return None

    def step(self, point: Floats, margin: float) -> Floats | None:
        """Where the tangents at `point` meet the diagonal; a margin lifts them. None when they rise too fast."""
        np = self._np
        offset, slopes = self._tangents(point)
        lifted = offset * (1 + margin) + margin * float(offset.max())
        try:
            found: Floats = np.linalg.solve(np.eye(len(offset)) - slopes, lifted).astype(np.float64)
        except np.linalg.LinAlgError:
            return None
        return found if bool(np.all(np.isfinite(found)) and np.all(found >= 0)) else None

    def _tangents(self, point: Floats) -> tuple[Floats, Floats]:
        np = self._np
        offset, slopes = np.zeros(len(point)), np.zeros((len(point), len(point)))
        for number, (equation, rows) in enumerate(zip(self._equations, self._growth, strict=True)):
            groups = [
                _At(group, None if group.burst is None else float(group.burst) + float(row @ point))
                for group, row in rows
            ]
            best = min((_tangent(groups, line, fifo=equation.fifo) for line in equation.service.lines), key=_delay_of)
            offset[number] = best.offset
            for weight, (group, row) in zip(best.weights, rows, strict=True):
                if weight and group.burst is not None:
                    offset[number] += weight * float(group.burst) / best.divisor
                    slopes[number] += weight * row / best.divisor
        return offset, slopes


class _At:
    """A group at one point, in floats: the smaller of burst + rate t and line_burst + line t."""

    def __init__(self, group: Group, burst: float | None) -> None:
        self.burst = burst
        self.rate = float(group.rate)
        self.lined = group.line is not None
        self.line = float(group.line.rate) if group.line is not None else self.rate
        self.line_burst = float(group.line.burst) if group.line is not None else 0.0

    @property
    def leaves_line(self) -> float:
        """When its token bucket becomes the smaller one."""
        if self.burst is None:
            return inf
        if not self.lined or self.burst <= self.line_burst:
            return 0.0
        return (self.burst - self.line_burst) / (self.line - self.rate) if self.line > self.rate else inf


class _Tangent(NamedTuple):
    """offset + the sum of weight x burst / divisor; `delay` is its value at the point."""

    delay: float
    weights: list[float]
    divisor: float
    offset: float


def _delay_of(tangent: _Tangent) -> float:
    return tangent.delay


def _tangent(groups: Sequence[_At], service: RateLatency, *, fifo: bool) -> _Tangent:
    """The delay behind one line of the service curve. With the least over all lines it stays a tangent from above.

    FIFO: T + (all bursts) / R at the moment when the arrivals fall below R; groups that have left their line by then
    count in full, the one that leaves it then in part, the others by their line's burst. Arbitrary order: the least of
    (bursts + R T) / (R - rates) over the moments at which groups leave their lines.
    """
    rate, latency = float(service.rate), float(service.latency)
    leaving = sorted((group.leaves_line, number) for number, group in enumerate(groups))
    weights = [1.0 if group.leaves_line == 0 else 0.0 for group in groups]
    slope = sum(group.rate if weight else group.line for group, weight in zip(groups, weights, strict=True))
    best = _weighed(groups, weights, slope, rate, latency, fifo=fifo)
    for time, number in leaving:
        if time == inf or (fifo and slope <= rate):
            break
        if time > 0:
            fall = groups[number].line - groups[number].rate
            weights[number] = 1.0 if not fifo or slope - fall >= rate else (slope - rate) / fall
            slope -= fall
            found = _weighed(groups, weights, slope, rate, latency, fifo=fifo)
            best = found if fifo or found.delay < best.delay else best
    return best


def _weighed(
    groups: Sequence[_At], weights: Sequence[float], slope: float, rate: float, latency: float, *, fifo: bool
) -> _Tangent:
    if not fifo and slope >= rate:
        return _Tangent(inf, list(weights), 1.0, inf)
    pairs = list(zip(groups, weights, strict=True))
    lines = sum((1 - weight) * group.line_burst for group, weight in pairs)
    taken = lines + sum(weight * (group.burst or 0.0) for group, weight in pairs)
    if fifo:
        return _Tangent(latency + taken / rate, list(weights), rate, latency + lines / rate)
    divisor = rate - slope
    return _Tangent((taken + rate * latency) / divisor, list(weights), divisor, (lines + rate * latency) / divisor)
