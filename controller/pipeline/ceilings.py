"""Ceilings: the part of the desired program that follows measurements. A pure stage between compile and diff.

Input: the compiled program and what sharing granted. Output: the program with those meters and HTB ceilings.
Decisions: whatever the ceilings say, no meter goes below its declaration, no queue below its floor or above its port;
a number that no program knows is ignored. A wrong ceiling can therefore waste capacity, and never break a promise.

A meter that may pass k times its declared rate gets k times the burst: a source that sends k screens has frames k
times as large. The delay bound of its queue stands, because burst and rate grow by the same factor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from carelane.controller.pipeline.program import Meter, PortQos, Program, Queue, SwitchProgram

__all__ = ["NO_CEILINGS", "Ceilings", "QueuePlace", "adopted", "with_ceilings"]

QueuePlace = tuple[str, int, int]
"""Node, port and queue."""

_MAX_BURST_KB = (1 << 31) // 1000


@dataclass(frozen=True, slots=True)
class Ceilings:
    """Rates in bit/s: `meters` by meter id (a label, and so unique in the network), `queues` by place."""

    meters: Mapping[int, int] = field(default_factory=dict)
    queues: Mapping[QueuePlace, int] = field(default_factory=dict)


NO_CEILINGS = Ceilings()


def with_ceilings(program: Program, ceilings: Ceilings) -> Program:
    """The program under these ceilings; switches that none of them concerns are the same objects."""
    if not ceilings.meters and not ceilings.queues:
        return program
    return {node: _shaped(switch, ceilings) for node, switch in program.items()}


def adopted(compiled: Program, found: Iterable[SwitchProgram]) -> Ceilings:
    """The ceilings under which switches run now, as a controller finds them that has just started.

    Keeping them, it changes nothing in the middle of a burst; the first epochs then move them as usual.
    """
    meters: dict[int, int] = {}
    queues: dict[QueuePlace, int] = {}
    for switch in found:
        wanted = compiled.get(switch.node)
        if wanted is None:
            continue
        declared = {meter.id: meter.rate_kbps for meter in wanted.meters}
        meters |= {
            meter.id: meter.rate_kbps * 1000
            for meter in switch.meters
            if meter.rate_kbps > declared.get(meter.id, meter.rate_kbps)
        }
        queues |= {
            (switch.node, port.port, queue.id): queue.max_rate_bps
            for port in switch.ports
            for queue in port.queues
            if 0 < queue.max_rate_bps < port.max_rate_bps
        }
    return Ceilings(meters, queues)


def _shaped(switch: SwitchProgram, ceilings: Ceilings) -> SwitchProgram:
    meters = tuple(_meter(meter, ceilings.meters.get(meter.id)) for meter in switch.meters)
    ports = tuple(_port(switch.node, port, ceilings.queues) for port in switch.ports)
    if meters == switch.meters and ports == switch.ports:
        return switch
    return replace(switch, meters=meters, ports=ports)


def _meter(meter: Meter, rate_bps: int | None) -> Meter:
    rate_kbps = 0 if rate_bps is None else -(-rate_bps // 1000)
    if rate_kbps <= meter.rate_kbps:
        return meter
    burst_kb = -(-meter.burst_kb * rate_kbps // meter.rate_kbps)
    return replace(meter, rate_kbps=rate_kbps, burst_kb=min(burst_kb, _MAX_BURST_KB))


def _port(node: str, port: PortQos, ceilings: Mapping[QueuePlace, int]) -> PortQos:
    queues = tuple(_queue(queue, port, ceilings.get((node, port.port, queue.id))) for queue in port.queues)
    return port if queues == port.queues else replace(port, queues=queues)


def _queue(queue: Queue, port: PortQos, rate_bps: int | None) -> Queue:
    if rate_bps is None:
        return queue
    return replace(queue, max_rate_bps=min(max(rate_bps, queue.min_rate_bps), port.max_rate_bps))
