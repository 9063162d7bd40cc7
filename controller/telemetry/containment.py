"""Sources that send what they may not: named while they do it, and for a short while after. Pure.

Nothing has to be switched on to hold them: the meter at their own port and the address check behind it drop what is
too much or forged from the first packet on. What this adds is that somebody is told who it is, and since when: the
conditions of the slices concerned, the log, the metrics.
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


@dataclass(frozen=True, slots=True)
class Offence:
    """`kind`: beyond-contract or forged-source. `rate` is bit/s offered, or forged frames a second.

    `slices` are those it concerns: the one whose contract it is, or all that have a source at the port.
    """

    kind: Literal["beyond-contract", "forged-source"]
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
        seen = _beyond(at_s, observations) | _forged(at_s, spoofed, edges, _at_ports(observations))
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
