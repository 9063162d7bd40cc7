"""Capacity that backups share: reserved once for all whose primaries no single failure takes down together.

One failure at a time: a link, a node, or a risk group with everything in it. A backup carries traffic only after a
failure that its primary suffers from, so at a port the reservation is what always runs there, plus the most that any
one failure sends there (Kar, Kodialam and Lakshman, "Routing restorable bandwidth guaranteed connections using maximum
2-route flows", 2003; shared backup path protection in RFC 4427). Failures of end nodes count too: the other end may
switch over before it is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from carelane.topology.ledger import PortKey
from carelane.topology.model import Topology
from carelane.topology.paths import Route

__all__ = ["BackupPool", "Failure", "Shared", "failures_of"]

Failure = tuple[str, str]
"""(kind, id), kind being link, node or risk group."""


def failures_of(topology: Topology, routes: Iterable[Route]) -> frozenset[Failure]:
    """The single failures that any of `routes` suffers from."""
    failures: set[Failure] = set()
    for route in routes:
        failures |= {("link", link) for link in route.links} | {("node", node) for node in route.nodes}
        parts = [topology.links[link] for link in route.links] + [topology.nodes[node] for node in route.nodes]
        failures |= {("risk group", group) for part in parts for group in part.risk_groups}
    return frozenset(failures)


@dataclass(frozen=True, slots=True)
class Shared:
    """What one slice holds, in bit/s by port: `working` always, `standby` only after one of `failures`."""

    working: Mapping[PortKey, int]
    standby: Mapping[PortKey, int]
    failures: frozenset[Failure]


@dataclass(frozen=True, slots=True)
class _Load:
    """One port: what always runs there, and what each failure adds."""

    working_bps: int
    after: Mapping[Failure, int]

    @property
    def most_bps(self) -> int:
        return max(self.after.values(), default=0)

    def changed(self, working_bps: int, standby_bps: int, failures: Iterable[Failure]) -> _Load:
        if not standby_bps:
            return _Load(self.working_bps + working_bps, self.after)
        after = dict(self.after)
        for failure in failures:
            after[failure] = after.get(failure, 0) + standby_bps
        kept = {failure: rate_bps for failure, rate_bps in after.items() if rate_bps}
        return _Load(self.working_bps + working_bps, MappingProxyType(kept))


_IDLE = _Load(0, MappingProxyType({}))


class BackupPool:
    """Reservations by slice; every change is a new pool that shares what it did not touch with the old one."""

    __slots__ = ("_loads", "_slices")

    def __init__(self) -> None:
        self._slices: Mapping[str, Shared] = MappingProxyType({})
        self._loads: Mapping[PortKey, _Load] = MappingProxyType({})

    @property
    def slices(self) -> Mapping[str, Shared]:
        """What each slice holds."""
        return self._slices

    def ports(self) -> Iterable[PortKey]:
        """Every port at which anything is held."""
        return self._loads.keys()

    def reserved_bps(self, port: PortKey) -> int:
        """What must be kept free for the slices of the pool: what runs, and the most that any one failure adds."""
        load = self._loads.get(port, _IDLE)
        return load.working_bps + load.most_bps

    def held_against_bps(self, port: PortKey, failures: frozenset[Failure]) -> int:
        """What a further backup finds taken: what runs, and the most that any of its own primary's failures adds.

        A floor of capacity less this fits beside everything, as long as what is reserved fits already.
        """
        load = self._loads.get(port, _IDLE)
        return load.working_bps + max((load.after.get(failure, 0) for failure in failures), default=0)

    def with_slice(self, name: str, held: Shared) -> BackupPool:
        """A pool in which slice `name` holds exactly `held`."""
        base = self.without_slice(name)
        return _pool({**base._slices, name: held}, _moved(base._loads, held, 1))

    def without_slice(self, name: str) -> BackupPool:
        """A pool without slice `name`; itself when there is none."""
        held = self._slices.get(name)
        if held is None:
            return self
        kept = {other: shared for other, shared in self._slices.items() if other != name}
        return _pool(kept, _moved(self._loads, held, -1))


def _pool(slices: dict[str, Shared], loads: dict[PortKey, _Load]) -> BackupPool:
    made = BackupPool()
    made._slices, made._loads = MappingProxyType(slices), MappingProxyType(loads)
    return made


def _moved(loads: Mapping[PortKey, _Load], held: Shared, sign: int) -> dict[PortKey, _Load]:
    result = dict(loads)
    for port in held.working.keys() | held.standby.keys():
        working, standby = sign * held.working.get(port, 0), sign * held.standby.get(port, 0)
        load = result.get(port, _IDLE).changed(working, standby, held.failures)
        if load == _IDLE:
            result.pop(port, None)
        else:
            result[port] = load
    return result
