"""Sources that send what they may not: named while they do it, and for a short while after. Pure.

Nothing has to be switched on to hold them: the meter at their own port and the address check behind it drop what is
too much or forged from the first packet on. What this adds is that somebody is told who it is, and since when: the
conditions of the slices concerned, the log, the metrics.

More speakers than a consultation declared are not held, as no port sees them all: they wait for each other in the
queues that they share, which hurts nobody else, and here they are named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import structlog

from carelane.controller.telemetry.sharing import Observation
from carelane.controller.telemetry.sources import EdgePort

__all__ = ["Containment", "Offence"]

log = structlog.get_logger("carelane.telemetry")

_BEYOND = 1.02
_FORGED_PER_S = 20
_QUIET_EPOCHS = 4
_HALF_A_SPEAKER = 0.5
"""Beyond the ceiling: less may be the bursts of an epoch in which one hands over to another."""


@dataclass(frozen=True, slots=True)
class Offence:
    """`kind`: beyond-contract, too-many-speakers or forged-source; `where` names who does it.

    `slices` are those it concerns: the one whose contract it is, or all that have a source at the port.

    `rate` is bit/s offered, or forged frames a second.
    """

    kind: Literal["beyond-contract", "too-many-speakers", "forged-source"]
    where: str
    slices: tuple[str, ...]
    rate: float
    allowed: float
    since_s: float
    quiet: int = 0

    @property
    def message(self) -> str:
        if self.kind == "beyond-contract":
            return (
                f"{self.where} sends {self.rate / 1e6:.3g} Mbit/s, its contract is {self.allowed / 1e6:.3g} Mbit/s; "
                "what exceeds it is dropped at its own port"
            )
        if self.kind == "too-many-speakers":
            return (
                f"{self.where} speak at once: {self.rate / 1e6:.3g} Mbit/s within their rates, where the consultation "
                f"has {self.allowed / 1e6:.3g} Mbit/s on what they share; they delay each other until fewer speak"
            )
        return f"{self.where} sends {self.rate:.0f} frames/s whose source is not its own; all are dropped at its port"


@dataclass
class Containment:
    """Who is held now, by a key of source or port."""

    offences: dict[str, Offence] = field(default_factory=dict)

    def step(
        self,
        at_s: float,
        observations: tuple[Observation, ...],
        spoofed: Mapping[tuple[str, int], float],
        edges: tuple[EdgePort, ...],
    ) -> frozenset[str]:
        """One epoch, `spoofed` in frames a second; gives the slices about which something changed."""
        forged = _forged(at_s, spoofed, edges, _at_ports(observations))
        seen = _beyond(at_s, observations) | _crowded(at_s, observations) | forged
        before = self.offences
        after: dict[str, Offence] = {}
        for key, offence in seen.items():
            known = self.offences.get(key)
            after[key] = replace(offence, since_s=known.since_s) if known else offence
        for key, offence in self.offences.items():
            if key not in seen and offence.quiet + 1 < _QUIET_EPOCHS:
                after[key] = replace(offence, quiet=offence.quiet + 1)
        self.offences = after
        changed: set[str] = set()
        for key in sorted(before.keys() ^ after.keys()):
            offence = after.get(key) or before[key]
            changed.update(offence.slices)
            if key in after:
                log.warning("source held", kind=offence.kind, where=offence.where, reason=offence.message)
            else:
                log.info("source released", kind=offence.kind, where=offence.where)
        return frozenset(changed)

    def of(self, name: str) -> tuple[Offence, ...]:
        return tuple(offence for offence in self.offences.values() if name in offence.slices)


def _at_ports(observations: tuple[Observation, ...]) -> dict[tuple[str, int], tuple[str, ...]]:
    """Slices with a source at each edge port."""
    found: dict[tuple[str, int], tuple[str, ...]] = {}
    for seen in observations:
        place = (seen.tap.node, seen.tap.port)
        found[place] = tuple(dict.fromkeys((*found.get(place, ()), seen.tap.slice)))
    return found


def _beyond(at_s: float, observations: tuple[Observation, ...]) -> dict[str, Offence]:
    return {
        seen.tap.key: Offence(
            "beyond-contract", seen.tap.site, (seen.tap.slice,), seen.gain.rate_bps, seen.tap.source.declared_bps, at_s
        )
        for seen in observations
        if seen.gain is not None
        and seen.tap.source.kind == "contract"
        and seen.gain.dropped > 0
        and seen.gain.rate_bps > _BEYOND * seen.tap.source.declared_bps
    }


def _crowded(at_s: float, observations: tuple[Observation, ...]) -> dict[str, Offence]:
    """Consultations in which more is said at once than so many speakers may, each counted up to its own rate."""
    sides: dict[tuple[str, bool], list[Observation]] = {}
    for seen in observations:
        if seen.tap.speakers is not None and seen.gain is not None:
            sides.setdefault((seen.tap.slice, seen.tap.forward), []).append(seen)
    found = {}
    for (name, forward), side in sides.items():
        rate_bps = max(seen.tap.source.declared_bps for seen in side)
        said = [(min(seen.gain.carried_bps, rate_bps) if seen.gain else 0.0, seen.tap) for seen in side]
        total, most = sum(bps for bps, _ in said), (side[0].tap.speakers or 0) * rate_bps
        if total > most + _HALF_A_SPEAKER * rate_bps:
            who = ", ".join(tap.site if forward else tap.to[0] for bps, tap in said if bps > _HALF_A_SPEAKER * rate_bps)
            found[f"{name} {'speakers' if forward else 'listeners'}"] = Offence(
                "too-many-speakers", who or "its sites", (name,), total, most, at_s
            )
    return found


def _forged(
    at_s: float,
    spoofed: Mapping[tuple[str, int], float],
    edges: tuple[EdgePort, ...],
    slices: Mapping[tuple[str, int], tuple[str, ...]],
) -> dict[str, Offence]:
    """A host also says things of its own accord that have no place here (IPv6 discovery), hence a threshold."""
    found = {}
    for edge in edges:
        rate = spoofed.get((edge.node, edge.port), 0.0)
        if rate >= _FORGED_PER_S:
            where = f"{', '.join(edge.endpoints) or 'port'} ({edge.node} port {edge.port})"
            found[f"{edge.node}:{edge.port}"] = Offence(
                "forged-source", where, slices.get((edge.node, edge.port), ()), rate, 0.0, at_s
            )
    return found
