"""What one class is left with at a port that several classes share: service curves by scheduler.

Sources: strict priority, Bouillard, Boyer and Le Corronc, "Deterministic Network Calculus" (2018), section 8.2; deficit
round robin, Boyer, Stea and Sofack, "Deficit round robin with network calculus" (2012), theorem 1. Data and time in
units that fit each other; packets are taken as served whole, without pre-emption.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from carelane.errors import InputError
from carelane.topology.calculus._curves import (
    ArrivalCurve,
    RateLatency,
    ServiceCurve,
    left_over_arbitrary,
    rate_latency,
)

__all__ = ["deficit_round_robin", "strict_priority"]


def strict_priority(
    capacity: Fraction,
    higher: ArrivalCurve | None,
    longest_lower: Fraction,
    *,
    longest_own: Fraction | None = None,
) -> ServiceCurve | None:
    """[C t - arrivals of higher classes - longest packet of lower ones]+; None when nothing is left.

    With `longest_own` the curve is strict, as arbitrary multiplexing inside the class needs it: the packet in the way
    may then be one of the class itself. A whole packet's service still counts from its first bit.
    """
    if capacity <= 0:
        raise InputError("a port without capacity", field="capacity", expected="more than 0")
    in_the_way = longest_lower if longest_own is None else max(longest_lower, longest_own)
    port = rate_latency(capacity, in_the_way / capacity)
    return port if higher is None else _after_blocking(capacity, higher, in_the_way)


def _after_blocking(capacity: Fraction, higher: ArrivalCurve, in_the_way: Fraction) -> ServiceCurve | None:
    blocked = ArrivalCurve.of(bucket._replace(burst=bucket.burst + in_the_way) for bucket in higher.buckets)
    return left_over_arbitrary(rate_latency(capacity, Fraction(0)), blocked)


def deficit_round_robin(
    capacity: Fraction, quanta: Sequence[Fraction], longest: Sequence[Fraction], own: int
) -> ServiceCurve:
    """Rate C Q/F and latency ((F - Q)(1 + L/Q) + sum of the others' L) / C for class number `own`.

    F is the sum of the quanta; `longest` are the classes' longest packets less one unit (a byte). Raises InputError
    for a quantum that is not above its class's longest packet less one unit: DRR would then skip rounds.
    """
    if capacity <= 0:
        raise InputError("a port without capacity", field="capacity", expected="more than 0")
    if len(quanta) != len(longest) or not 0 <= own < len(quanta):
        raise InputError("a quantum and a longest packet for each class are needed", field="quanta")
    for quantum, packet in zip(quanta, longest, strict=True):
        if quantum <= packet:
            raise InputError(
                f"quantum {quantum} does not let a packet pass", field="quanta", expected=f"above {packet}"
            )
    everybody, mine = sum(quanta, Fraction(0)), quanta[own]
    others = sum(longest, Fraction(0)) - longest[own]
    latency = ((everybody - mine) * (1 + longest[own] / mine) + others) / capacity
    return ServiceCurve((RateLatency(capacity * mine / everybody, latency),))
