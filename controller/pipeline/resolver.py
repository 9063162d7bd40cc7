"""Resolve: an intent becomes a requirement, with every default filled and every name looked up. Pure.

Input: a `ServiceIntent` and a `Topology`. Output: a `Requirement`, whose `assumptions` list each figure that the
intent did not state and where it came from. Bad input raises InputError; nothing is refused here. Decisions:

- Objectives: what the intent states; else the catalogue's default; "none" switches one off. The catalogue's delay is
  taken as it is described there (one way or round trip); a stated delay is one way unless the intent says round trip.
- Rates: the two directions are separate; the return direction carries as much as the forward one unless stated.
  `direction: forward` or `reverse` leaves the other without a reservation.
- Burst: stated, else the catalogue's, else one packet. Packets are at most 1500 bytes unless the catalogue knows
  better, and never longer than the burst.
- Names: endpoints by id, or by the node or site that has only one.
- Tenants: an intent may name endpoints of other tenants; who may use what is decided by policy, not here.
- A schedule says when capacity is held: from its start until its end (else its deadline); an open side is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from carelane.controller.pipeline.requirement import Connectivity, Objectives, Pair, Requirement
from carelane.controller.pipeline.schedules import window_of
from carelane.errors import InputError
from carelane.intents import find_service
from carelane.intents.model import CatalogueService, Off, Schedule, ServiceIntent
from carelane.topology.model import Endpoint, Topology
from carelane.units import format_duration, format_rate

__all__ = ["DEFAULT_PACKET_BYTES", "resolve"]

DEFAULT_PACKET_BYTES = 1500
_SHOWN = 8


def resolve(intent: ServiceIntent, topology: Topology) -> Requirement:
    """The requirement that `intent` states on `topology`. Raises InputError naming the field and what would fit."""
    defaults = _Defaults(find_service(intent.service))
    connectivity = _connectivity(intent)
    pairs = _pairs(intent, topology, connectivity)
    forward_bps, reverse_bps = _rates(intent, defaults)
    burst_bytes, packet_bytes = _bucket(intent, defaults)
    objectives = _objectives(intent, defaults)
    if objectives.round_trip and not (forward_bps and reverse_bps):
        raise InputError(
            "a round trip needs both directions, and only one carries traffic",
            field="spec.roundTrip",
            remedy="give both directions a bandwidth, or state a one-way delay",
        )
    if intent.schedule is not None:
        defaults.assumptions += _held_during(intent.schedule, forward_bps or reverse_bps)
    if len(pairs) > 1:
        defaults.assumptions.append("several sites: every objective holds for each of them; shown is the worst")
    speakers = _speakers(intent, connectivity, len(pairs), defaults)
    return Requirement(
        name=intent.name,
        tenant=intent.tenant,
        service=defaults.service.name,
        traffic_class=defaults.service.traffic_class,
        priority=defaults.service.priority if intent.priority is None else intent.priority,
        connectivity=connectivity,
        pairs=pairs,
        forward_bps=forward_bps,
        reverse_bps=reverse_bps,
        burst_bytes=burst_bytes,
        max_packet_bytes=packet_bytes,
        objectives=objectives,
        protection=intent.protection,
        assumptions=tuple(defaults.assumptions),
        speakers=speakers,
        schedule=intent.schedule,
    )


def _speakers(intent: ServiceIntent, connectivity: Connectivity, sites: int, defaults: _Defaults) -> int | None:
    if intent.speakers is None:
        return None
    if connectivity != "hub":
        raise InputError("only the sites of a hub consultation take turns to speak", field="spec.speakers")
    if intent.speakers >= sites:
        defaults.assumptions.append(f"speakers: all {sites} sites may speak at once")
        return None
    defaults.assumptions.append(
        f"speakers: at most {intent.speakers} of the {sites} sites speak at once, in turns as they like, and the hub "
        "sends to no more at once; where more of them share a queue, it holds that many floors. Should more speak, "
        "they delay each other there, and nobody else"
    )
    return intent.speakers


def _held_during(schedule: Schedule, rate_bps: int) -> Iterator[str]:
    """When capacity is held, and whether a transfer's volume is more than the bandwidth can move in that time."""
    opens = f"from {schedule.start}" if schedule.start else "from now"
    closes = schedule.end or schedule.deadline
    yield f"schedule: capacity is held {opens} {f'until {closes}' if closes else 'on, without an end'}"
    held, due = window_of(schedule), window_of(replace(schedule, end=None))
    ends = [window.closes_us for window in (held, due) if window is not None and window.closes_us is not None]
    if schedule.volume_bytes is None or held is None or held.opens_us is None:
        return
    needed_bps = schedule.volume_bytes * 8 * 10**6 / (min(ends) - held.opens_us)
    if needed_bps > rate_bps:
        moved = f"{format_rate(rate_bps)} is reserved, and its volume takes {format_rate(needed_bps)} by its deadline"
        yield f"schedule: {moved}: the rest is not promised"


@dataclass
class _Defaults:
    """The catalogue's figures; taking one writes down where it came from."""

    service: CatalogueService
    assumptions: list[str] = field(default_factory=list)

    def number(self, key: str) -> float | None:
        sourced = self.service.defaults.get(key)
        if sourced is None or not isinstance(sourced.value, (int, float)):
            return None
        return float(sourced.value)

    def take(self, key: str, shown: str) -> None:
        source = self.service.defaults[key].source
        self.assumptions.append(f"{shown}: the catalogue's default for {self.service.name} ({source})")

    def objective(self, key: str, stated: float | Off | None, label: str) -> float | None:
        """The stated objective, the catalogue's, or None when there is none or it is switched off."""
        if isinstance(stated, str):
            return None
        if stated is not None:
            return stated
        value = self.number(key)
        if value is not None:
            shown = format_duration(value) if key in ("delay_s", "jitter_s") else f"{value:.12g}"
            self.take(key, f"{label} {shown}")
        return value


def _connectivity(intent: ServiceIntent) -> Connectivity:
    sources, targets = len(intent.source), len(intent.to)
    if sources > 1 and targets > 1:
        raise InputError(
            "several endpoints on both sides",
            field="spec.to",
            remedy="join several through one hub in 'to', or write one intent for each source",
        )
    shape: Connectivity = "hub" if sources > 1 else "point-to-multipoint" if targets > 1 else "point-to-point"
    stated = intent.connectivity or shape
    if (stated == "hub" and targets > 1) or (stated == "point-to-multipoint" and sources > 1):
        raise InputError(f"{stated} does not fit {sources} sources and {targets} destinations", field="connectivity")
    if stated == "point-to-point" and shape != "point-to-point":
        raise InputError(f"point-to-point joins two endpoints, not {sources + targets}", field="connectivity")
    return stated


def _pairs(intent: ServiceIntent, topology: Topology, connectivity: Connectivity) -> tuple[Pair, ...]:
    sources = _endpoints(intent, topology, intent.source, "spec.from")
    targets = _endpoints(intent, topology, intent.to, "spec.to")
    ids = [endpoint.id for endpoint in (*sources, *targets)]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise InputError(f"{twice[0]} is named twice", field="spec.to", remedy="a service joins different endpoints")
    if connectivity == "hub":
        return tuple(Pair(source, targets[0]) for source in sources)
    return tuple(Pair(sources[0], target) for target in targets)


def _endpoints(intent: ServiceIntent, topology: Topology, names: Iterable[str], label: str) -> tuple[Endpoint, ...]:
    found = tuple(_endpoint(topology, name, label) for name in names)
    if not found:
        raise InputError("no endpoint is named", field=label, expected=_fitting(intent, topology))
    return found


def _endpoint(topology: Topology, name: str, label: str) -> Endpoint:
    if name in topology.endpoints:
        return topology.endpoints[name]
    near = [e for e in topology.endpoints.values() if name in (e.node, topology.nodes[e.node].site)]
    if len(near) == 1:
        return near[0]
    candidates = [endpoint.id for endpoint in near] or get_close_matches(name, topology.endpoints, _SHOWN, 0.4)
    shown = candidates[:_SHOWN] or list(topology.endpoints)[:_SHOWN]
    more = max(len(candidates), 0 if candidates else len(topology.endpoints)) - len(shown)
    what = f"{name[:80]!r} has several endpoints" if len(near) > 1 else f"unknown endpoint {name[:80]!r}"
    listed = ", ".join(shown) + (f" and {more} more" if more > 0 else "") or "an endpoint (the topology has none)"
    raise InputError(what, field=label, expected=listed, remedy=f"name an endpoint of topology {topology.name}")


def _fitting(intent: ServiceIntent, topology: Topology) -> str:
    """Endpoints that the intent does not name yet, its own tenant's first."""
    used = {*intent.source, *intent.to}
    free = [endpoint for endpoint in topology.endpoints.values() if endpoint.id not in used]
    free.sort(key=lambda endpoint: (endpoint.tenant != intent.tenant, endpoint.tenant is not None))
    shown = ", ".join(endpoint.id for endpoint in free[:_SHOWN])
    more = f" and {len(free) - _SHOWN} more" if len(free) > _SHOWN else ""
    return f"one of {shown}{more}" if shown else "an endpoint (the topology has none left)"


def _rates(intent: ServiceIntent, defaults: _Defaults) -> tuple[int, int]:
    stated = intent.objectives
    default = defaults.number("bandwidth_bps")
    forward = stated.forward_bps
    if forward is None and default is not None and stated.reverse_bps is None:
        forward = int(default)
        defaults.take("bandwidth_bps", f"bandwidth {format_rate(forward)}")
    if forward is None:
        forward = stated.reverse_bps
    if forward is None:
        why = defaults.service.not_found.get("bandwidth_bps")
        raise InputError(
            f"{defaults.service.name} has no default bandwidth" + (f" ({why})" if why else ""),
            field="spec.objectives.bandwidth",
            expected="a rate such as 40Mbps",
            remedy="state the bandwidth",
        )
    reverse = forward if stated.reverse_bps is None else stated.reverse_bps
    forward, reverse = (
        0 if intent.direction == "reverse" else forward,
        0 if intent.direction == "forward" else reverse,
    )
    if forward <= 0 and reverse <= 0:
        raise InputError("no direction carries anything", field="spec.objectives.bandwidth", expected="a positive rate")
    return forward, reverse


def _bucket(intent: ServiceIntent, defaults: _Defaults) -> tuple[int, int]:
    """(burst, longest packet) in bytes, layer 2."""
    packet = defaults.number("max_packet_bytes")
    packet_bytes = DEFAULT_PACKET_BYTES if packet is None else int(packet)
    burst = intent.burst_bytes
    if burst is None and (default := defaults.number("burst_bytes")) is not None:
        burst = int(default)
        defaults.take("burst_bytes", f"burst {burst} bytes")
    if burst is None:
        burst = packet_bytes
        defaults.assumptions.append(f"burst: one {packet_bytes}-byte packet, as neither intent nor catalogue states it")
    if burst <= 0:
        raise InputError("a burst of nothing lets nothing pass", field="spec.burst", expected="at least one packet")
    if burst < packet_bytes:
        defaults.assumptions.append(f"packets of at most {burst} bytes: a longer one would never fit the burst")
    return burst, min(packet_bytes, burst)


def _objectives(intent: ServiceIntent, defaults: _Defaults) -> Objectives:
    stated = intent.objectives
    delay = defaults.objective("delay_s", stated.delay_s, "delay")
    round_trip = intent.round_trip
    if delay is not None and stated.delay_s is None and not round_trip and "round_trip" in defaults.service.defaults:
        round_trip = bool(defaults.service.defaults["round_trip"].value)
    return Objectives(
        delay_s=delay,
        jitter_s=defaults.objective("jitter_s", stated.jitter_s, "jitter"),
        loss=defaults.objective("loss", stated.loss, "loss"),
        availability=defaults.objective("availability", stated.availability, "availability"),
        round_trip=round_trip,
    )
