"""Sources that send what they may not: named while they do it, and for a short while after. Pure.

Nothing has to be switched on to hold them: the meter at their own port and the address check behind it drop what is
too much or forged from the first packet on. What this adds is that somebody is told who it is, and since when.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from carelane.controller.telemetry.sharing import Observation
from carelane.controller.telemetry.sources import EdgePort

__all__ = ["Containment", "Offence"]

_BEYOND = 1.02
_FORGED_PER_S = 20
_QUIET_EPOCHS = 4


@dataclass(frozen=True, slots=True)
class Offence:
    """`kind`: beyond-contract (of `slice`) or forged-source. `rate` is bit/s offered, or forged frames a second."""

    kind: Literal["beyond-contract", "forged-source"]
    where: str
    slice: str | None
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
        seconds: float,
        observations: tuple[Observation, ...],
        spoofed: Mapping[tuple[str, int], int],
        edges: tuple[EdgePort, ...],
    ) -> frozenset[str]:
        """One epoch; gives the slices about which something changed."""
        seen = _beyond(at_s, observations) | _forged(at_s, seconds, spoofed, edges)
        before = {key: offence.slice for key, offence in self.offences.items()}
        after: dict[str, Offence] = {}
        for key, offence in seen.items():
            known = self.offences.get(key)
            after[key] = replace(offence, since_s=known.since_s) if known else offence
        for key, offence in self.offences.items():
            if key not in seen and offence.quiet + 1 < _QUIET_EPOCHS:
                after[key] = replace(offence, quiet=offence.quiet + 1)
        self.offences = after
        changed = before.keys() ^ after.keys()
        return frozenset(name for key in changed if (name := before.get(key) or _slice(after, key)) is not None)

    def of(self, name: str) -> tuple[Offence, ...]:
        return tuple(offence for offence in self.offences.values() if offence.slice == name)


def _slice(offences: Mapping[str, Offence], key: str) -> str | None:
    return offences[key].slice if key in offences else None


def _beyond(at_s: float, observations: tuple[Observation, ...]) -> dict[str, Offence]:
    return {
        seen.tap.key: Offence(
            "beyond-contract", seen.tap.site, seen.tap.slice, seen.gain.rate_bps, seen.tap.source.declared_bps, at_s
        )
        for seen in observations
        if seen.gain is not None
        and seen.tap.source.kind == "contract"
        and seen.gain.dropped > 0
        and seen.gain.rate_bps > _BEYOND * seen.tap.source.declared_bps
    }


def _forged(
    at_s: float, seconds: float, spoofed: Mapping[tuple[str, int], int], edges: tuple[EdgePort, ...]
) -> dict[str, Offence]:
    """A host also says things of its own accord that have no place here (IPv6 discovery), hence a threshold."""
    found = {}
    for edge in edges:
        rate = spoofed.get((edge.node, edge.port), 0) / seconds
        if rate >= _FORGED_PER_S:
            where = f"{', '.join(edge.endpoints) or 'port'} ({edge.node} port {edge.port})"
            found[f"{edge.node}:{edge.port}"] = Offence("forged-source", where, None, rate, 0.0, at_s)
    return found
