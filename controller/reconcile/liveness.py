"""Which links are to be avoided because they are, or lately were, dead: hold-off and damping of flaps. Pure but for
the clock it is given.

The switches moved the packets long before; what follows from this is where the controller lets them flow meanwhile.

- A link is dead while a connected switch at one of its ends says so: at once for a port without carrier or one that is
  gone, and for a port that only BFD calls dead after three seconds; after ten where it has not lived for ten yet, as a
  session needs about one to come up, and longer where many do at once. While both ends are away, it is what it was.
- A link that lives again is avoided for `hold_off_s` more, so that a path that comes and goes is not gone back to at
  each turn. Every death within ten minutes of the last doubles that, up to an hour.
- A link that dies again while it is avoided flaps: until it is trusted again, it is no better than a dead one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from carelane.controller.southbound.protocol import SwitchStatus
from carelane.topology.model import Link, Topology

__all__ = ["LinkHealth"]

_SILENT_S = 3.0
_COMING_UP_S = 10.0
_FORGET_S = 600.0
_LONGEST_S = 3600.0


@dataclass
class _Record:
    """`well_s`: since when nothing is said against it; `suspect_s`: since when BFD calls it dead, which is believed
    after `patience_s`; `dead_s`: since when it is avoided; `up_s`: since when it lives again; `flaps_s`: since when it
    has been coming and going."""

    well_s: float | None = None
    suspect_s: float | None = None
    patience_s: float = _COMING_UP_S
    dead_s: float | None = None
    up_s: float | None = None
    flaps_s: float | None = None
    died_s: float | None = None
    deaths: int = 0


class LinkHealth:
    """Fed with statuses and a monotonic time; not thread-safe."""

    def __init__(self, topology: Topology, *, hold_off_s: float = 10.0) -> None:
        self._topology = topology
        self._hold_off_s = hold_off_s
        self._records: dict[str, _Record] = {}

    def observe(self, statuses: Mapping[str, SwitchStatus], now_s: float) -> frozenset[str]:
        """Links to avoid now."""
        for link in self._topology.links.values():
            reported = _reported(link, statuses)
            if reported is None:
                continue
            self._update(self._records.setdefault(link.id, _Record()), *reported, now_s)
        return frozenset(name for name, record in self._records.items() if record.dead_s is not None)

    def dead(self) -> frozenset[str]:
        """Links that carry nothing now."""
        return frozenset(name for name, it in self._records.items() if it.dead_s is not None and it.up_s is None)

    def dead_for_s(self, now_s: float) -> Mapping[str, float]:
        """How long each link has been dead that still is, or has been coming and going."""
        dead = self.dead()
        since = {
            name: record.dead_s if record.flaps_s is None else record.flaps_s
            for name, record in self._records.items()
            if name in dead or record.flaps_s is not None
        }
        return {name: now_s - since_s for name, since_s in since.items() if since_s is not None}

    def _update(self, record: _Record, down: bool, silent: bool, now_s: float) -> None:
        self._suspect(record, down, silent, now_s)
        dead = down or (record.suspect_s is not None and now_s - record.suspect_s >= record.patience_s)
        if dead and (record.dead_s is None or record.up_s is not None):
            recent = record.died_s is not None and now_s - record.died_s < _FORGET_S
            record.deaths = record.deaths + 1 if recent else 1
            record.flaps_s = record.dead_s if record.flaps_s is None else record.flaps_s
            record.died_s = record.dead_s = now_s
            record.up_s = None
        elif not dead and not silent and record.dead_s is not None:
            record.up_s = now_s if record.up_s is None else record.up_s
            if now_s - record.up_s >= min(self._hold_off_s * 2 ** (record.deaths - 1), _LONGEST_S):
                record.dead_s = record.up_s = record.flaps_s = None

    def _suspect(self, record: _Record, down: bool, silent: bool, now_s: float) -> None:
        if silent and record.suspect_s is None:
            established = record.well_s is not None and now_s - record.well_s >= _COMING_UP_S
            record.suspect_s, record.patience_s = now_s, _SILENT_S if established else _COMING_UP_S
        elif not silent:
            record.suspect_s = None
        if down or silent:
            record.well_s = None
        elif record.well_s is None:
            record.well_s = now_s


def _reported(link: Link, statuses: Mapping[str, SwitchStatus]) -> tuple[bool, bool] | None:
    """(some end has lost the link, some end's BFD has); None while nobody can tell."""
    ends = [
        (status, port)
        for node, port in ((link.a, link.a_port), (link.b, link.b_port))
        if (status := statuses.get(node)) is not None and status.connected
    ]
    if not ends:
        return None
    return any(not end.carries(port) for end, port in ends), any(port in end.dead_ports for end, port in ends)
