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
from typing import TYPE_CHECKING

from carelane.topology.calculus._curves import (
    ArrivalCurve,
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

__all__ = ["Equation", "Group", "fixed_point"]

_FAR = (1e3, 1e6, 1e9, 1e12)
"""How far above F(0) Newton starts; the next one when a tangent there still rises faster than the diagonal."""
_MARGINS = (1e-12, 1e-9, 1e-6)
"""Relative head room of the proposal, so that floating point errors cannot make F(D) < D fail."""
_STEPS = 200


@dataclass(frozen=True, slots=True)
class Group:
    """Flows that come to a server together: `rate`, and `burst` + the sum of `growth` x delay of other servers.

    `burst` None: some of them have no bound. `line`: all of them never exceed this rate. One of both is given.
    """

    rate: Fraction
    burst: Fraction | None
    growth: Mapping[str, Fraction]
    line: Fraction | None

    @property
    def final_rate(self) -> Fraction | None:
        """The long-run rate; None when nothing bounds it."""
        return self.line if self.burst is None else self.rate

    def curve(self, delays: Mapping[str, Fraction]) -> ArrivalCurve:
        buckets = []
        if self.burst is not None:
            grown = sum((rate * delays[server] for server, rate in self.growth.items()), self.burst)
            buckets.append(TokenBucket(self.rate, rounded_up(grown)))
        if self.line is not None:
            buckets.append(TokenBucket(self.line, Fraction(0)))
        return ArrivalCurve.of(buckets)


@dataclass(frozen=True, slots=True)
class Equation:
    """The delay of one server as a function of the others'."""

    service: ServiceCurve
    groups: Sequence[Group]
    fifo: bool

    def delay(self, delays: Mapping[str, Fraction]) -> Fraction | None:
        """F of this server at `delays`; None when it is overloaded."""
        arriving = sum_of([group.curve(delays) for group in self.groups])
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
            bursts = [None if g.burst is None else float(g.burst) + float(row @ point) for g, row in rows]
            rate, latency = float(equation.service.rate), float(equation.service.latency)
            kind = _fifo_weights if equation.fifo else _arbitrary_weights
            weights, divisor, offset[number] = kind([group for group, _ in rows], bursts, rate, latency)
            for weight, (group, row) in zip(weights, rows, strict=True):
                if weight and group.burst is not None:
                    offset[number] += weight * float(group.burst) / divisor
                    slopes[number] += weight * row / divisor
        return offset, slopes


def _switches(groups: Sequence[Group], bursts: Sequence[float | None]) -> list[tuple[float, int]]:
    """(time, group) at which a group's token bucket becomes smaller than its line, in order of time."""
    times = []
    for number, (group, burst) in enumerate(zip(groups, bursts, strict=True)):
        if burst is not None:
            line = None if group.line is None else float(group.line)
            rate = float(group.rate)
            times.append((0.0 if line is None else burst / (line - rate) if line > rate else float("inf"), number))
    return sorted(times)


def _fifo_weights(
    groups: Sequence[Group], bursts: Sequence[float | None], rate: float, latency: float
) -> tuple[list[float], float, float]:
    """How much of each group's burst counts, the divisor, and the offset: T + sum of weight x burst / R.

    The worst moment is when the arrivals fall below the server's rate: groups that have left their line by then count
    in full, the one that leaves it then in part.
    """
    weights = [0.0] * len(groups)
    slope = sum(float(group.rate if group.line is None else group.line) for group in groups)
    for time, number in _switches(groups, bursts):
        line = groups[number].line
        if line is None or time == 0.0:
            weights[number] = 1.0
            slope -= 0.0 if line is None else float(line - groups[number].rate)
            continue
        if slope <= rate:
            break
        fall = float(line - groups[number].rate)
        weights[number] = min(1.0, (slope - rate) / fall) if fall > 0 else 0.0
        slope -= fall
    return weights, rate, latency


def _arbitrary_weights(
    groups: Sequence[Group], bursts: Sequence[float | None], rate: float, latency: float
) -> tuple[list[float], float, float]:
    """As `_fifo_weights`: (sum of bursts + R T) / (R - sum of rates), over the groups whose bucket is taken."""
    weights = [0.0] * len(groups)
    slope = sum(float(group.rate if group.line is None else group.line) for group in groups)
    taken = 0.0
    best: tuple[float, list[float], float] | None = None
    for _, number in [(0.0, -1), *_switches(groups, bursts)]:
        if number >= 0:
            line, burst = groups[number].line, bursts[number]
            weights[number] = 1.0
            taken += burst or 0.0
            slope -= 0.0 if line is None else float(line - groups[number].rate)
        complete = all(weights[n] or g.line is not None for n, g in enumerate(groups))
        if complete and slope < rate:
            end = (taken + rate * latency) / (rate - slope)
            if best is None or end < best[0]:
                best = (end, list(weights), rate - slope)
    if best is None:  # numerically full; the exact check has the last word
        return [1.0] * len(groups), 1e-300, 0.0
    _, chosen, divisor = best
    return chosen, divisor, rate * latency / divisor
