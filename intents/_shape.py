"""Faults that only show when the parts of an intent are seen together; shared by manifests and the one-line form."""

from __future__ import annotations

from collections.abc import Iterator

from carelane.errors import InputError
from carelane.intents.model import ServiceIntent

__all__ = ["MAX_ENDPOINTS", "faults"]

MAX_ENDPOINTS = 1000
Path_ = tuple[str | int, ...]


def faults(intent: ServiceIntent) -> Iterator[tuple[Path_, InputError]]:
    """Each fault with the place below `spec` that it belongs to, such as ``("to", 3)``."""
    yield from _endpoint_faults(intent)
    yield from _connectivity_faults(intent)
    yield from _bandwidth_faults(intent)
    if intent.speakers is not None and len(intent.source) < 2 and intent.connectivity != "hub":
        remedy = "name the sites in 'from' and the hub alone in 'to'"
        yield ("speakers",), InputError("only the sites of a hub consultation take turns to speak", remedy=remedy)


def _endpoint_faults(intent: ServiceIntent) -> Iterator[tuple[Path_, InputError]]:
    for side, names in (("from", intent.source), ("to", intent.to)):
        if not 0 < len(names) <= MAX_ENDPOINTS:
            yield (side,), InputError(f"{len(names)} endpoints", expected=f"1 to {MAX_ENDPOINTS} endpoints")
    seen: dict[str, str] = {}
    for side, names in (("from", intent.source), ("to", intent.to)):
        for index, name in enumerate(names):
            if name in seen:
                where = "stands on both sides" if seen[name] != side else f"appears twice in {side}"
                yield (side, index), InputError(f"{name!r} {where}", remedy="a service joins different endpoints")
            seen.setdefault(name, side)


def _connectivity_faults(intent: ServiceIntent) -> Iterator[tuple[Path_, InputError]]:
    sources, targets = len(intent.source), len(intent.to)
    if sources > 1 and targets > 1:
        remedy = "send from one, or join several through one hub in 'to', or write several intents"
        yield ("to",), InputError("several endpoints on both sides", remedy=remedy)
    elif intent.connectivity == "point-to-point" and (sources, targets) != (1, 1):
        yield ("connectivity",), InputError("point-to-point joins two endpoints", expected="one in from, one in to")
    elif intent.connectivity == "point-to-multipoint" and sources != 1:
        yield ("connectivity",), InputError("point-to-multipoint has one sender", expected="one endpoint in from")
    elif intent.connectivity == "hub" and targets != 1:
        yield ("connectivity",), InputError("a consultation has one hub", expected="the hub alone in to")


def _bandwidth_faults(intent: ServiceIntent) -> Iterator[tuple[Path_, InputError]]:
    """A rate for one direction says nothing about the other, so the other must be stated or closed."""
    stated = {"forward": intent.objectives.forward_bps, "reverse": intent.objectives.reverse_bps}
    given = [side for side, rate in stated.items() if rate is not None]
    if len(given) == 1 and intent.direction != given[0]:
        other = "reverse" if given == ["forward"] else "forward"
        yield (
            ("objectives", "bandwidth"),
            InputError(
                f"bandwidth is stated for {given[0]} only, but traffic flows in direction {intent.direction}",
                expected=f"a rate for {other} too",
                remedy=f"state it, or 'direction: {given[0]}' for a service that sends one way only",
            ),
        )
    elif len(given) == 2 and intent.direction != "both" and stated["forward"] != stated["reverse"]:
        yield (
            ("objectives", "bandwidth"),
            InputError(
                f"two bandwidths, but traffic flows in direction {intent.direction} only",
                expected=f"the rate for {intent.direction}",
            ),
        )
