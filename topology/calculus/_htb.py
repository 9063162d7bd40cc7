"""What a queue of linux-htb waits at a port for the other queues there, all of them doing their worst.

As the kernel's scheduler has it (net/sched/sch_htb.c): a queue with tokens is *green* and served before all that
borrow; green queues by priority, in any order within one; a packet that has begun is sent to its end. A green queue
spends tokens for what it sends and may overdraw them by one packet; tokens come at its floor and are kept up to its
burst allowance.

So in any interval t a queue j sends at most B_j + L + R_j t as a green one, whatever arrives. A queue i that stays
green and backlogged is therefore left, beside those of its own and of higher priority,

    (C - sum of R_j) t - L - sum of (B_j + L),

which is rate R_i at least after a time T_i = (L + sum of (B_j + L)) / (C - sum of R_j), provided floors fit the port.
While it waits that long it earns R_i T_i tokens; where its allowance keeps them (B_i >= R_i T_i + L), it is never
turned to borrowing for what it was owed, and is a guaranteed-rate server of rate R_i and latency T_i in the sense of
Goyal, Lam and Vin, "Determining end-to-end delay bounds in heterogeneous networks" (1997). Alone at its priority and
above, T_i is L / C: the model of `carelane.topology.delay`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from carelane.topology.delay import PS

__all__ = ["FloorQueue", "htb_waits_ps"]


@dataclass(frozen=True, slots=True)
class FloorQueue:
    """A queue of a port: its priority (0 is served first), its floor in bit/s, its burst allowance in bits."""

    priority: int
    floor_bps: int
    burst_bits: int


def htb_waits_ps(capacity_bps: int, queues: Sequence[FloorQueue], packet_bits: int) -> list[int | None]:
    """The latency T of each queue in picoseconds, rounded up; `packet_bits` is the longest frame of anybody.

    None: no bound, because the floors ahead leave it less than its own, or its allowance loses tokens while it waits.
    """
    rates: dict[int, int] = {}
    bursts: dict[int, int] = {}
    for queue in queues:
        rates[queue.priority] = rates.get(queue.priority, 0) + queue.floor_bps
        bursts[queue.priority] = bursts.get(queue.priority, 0) + queue.burst_bits + packet_bits
    waits: dict[FloorQueue, int | None] = {}
    for queue in queues:
        if queue not in waits:
            before = [priority for priority in rates if priority <= queue.priority]
            left_bps = capacity_bps - sum(rates[priority] for priority in before) + queue.floor_bps
            ahead_bits = sum(bursts[priority] for priority in before) - queue.burst_bits
            waits[queue] = _wait_ps(queue, left_bps, ahead_bits, packet_bits)
    return [waits[queue] for queue in queues]


def _wait_ps(queue: FloorQueue, left_bps: int, ahead_bits: int, packet_bits: int) -> int | None:
    """`ahead_bits`: bursts and overdrafts of the others, and the packet that has begun."""
    if left_bps < max(queue.floor_bps, 1):
        return None
    wait = -(-ahead_bits * PS // left_bps)
    earned_bits = -(-queue.floor_bps * wait // PS)
    return wait if earned_bits + packet_bits <= queue.burst_bits else None
