"""What all slices hold, decoded: the one input from which ledger, numbers and desired programs are computed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from carelane.controller.pipeline.program import SliceIds
from carelane.controller.pipeline.schedules import us_of
from carelane.controller.pipeline.shared_backup import standby_held
from carelane.controller.pipeline.slice_plan import Decision
from carelane.controller.reconcile.codec import decode_decision
from carelane.store import Floors, StoredSlice
from carelane.topology.backup_pool import Standby
from carelane.topology.ledger import CapacityLedger
from carelane.topology.model import Topology
from carelane.topology.windows import Window

__all__ = ["Held", "Holdings", "nodes_of"]

_decode = lru_cache(maxsize=16_384)(decode_decision)


@dataclass(frozen=True, slots=True)
class Held:
    """One slice, in force or retiring, with its decision as it was promised."""

    id: int
    name: str
    generation: int
    retiring: bool
    ids: SliceIds
    decision: Decision
    floors: Floors

    def wakes(self, without: Collection[str]) -> bool:
        """Whether traffic has to leave its primary path where these links are out of service."""
        primary = (path for path in self.decision.paths if path.role == "primary")
        return bool(without) and any(hop.link in without for path in primary for hop in path.hops)


@dataclass(frozen=True, slots=True)
class Holdings:
    """Everything held, in the order in which it was admitted."""

    slices: tuple[Held, ...]

    @classmethod
    def of(cls, stored: Iterable[StoredSlice]) -> Holdings:
        """Raises PermanentError when a stored decision cannot be read."""
        return cls(tuple(_held(item) for item in stored))

    def in_force(self, name: str) -> Held | None:
        return next((held for held in self.slices if held.name == name and not held.retiring), None)

    @property
    def standing(self) -> Holdings:
        """What is in force, without what retires."""
        return Holdings(tuple(held for held in self.slices if not held.retiring))

    def of_name(self, name: str) -> tuple[Held, ...]:
        return tuple(held for held in self.slices if held.name == name)

    def ledger(
        self, topology: Topology, now: datetime | None = None, without: Collection[str] = frozenset()
    ) -> CapacityLedger:
        """Floors by port. A name that moves holds its old and its new ports, and of a shared port the larger floor.

        With `now`, windows that have closed for good hold nothing. A shared backup whose primary needs a link that the
        network is `without` counts as running.
        """
        since_us = None if now is None else us_of(now)
        floors: dict[tuple[str, str], dict[str, int]] = {}
        timed: list[tuple[Held, Window]] = []
        asleep: list[tuple[str, Standby]] = []
        for held in self.slices:
            window = held.decision.requirement.window
            if window is not None:
                timed += [(held, window)] if since_us is None or not window.is_over(since_us) else []
                continue
            standby = None if held.wakes(without) else standby_held(topology, held.decision, held.floors)
            shared = frozenset[tuple[str, str]]()
            if standby is not None:
                shared = frozenset(standby.ports)
                asleep.append((held.name, standby))
            for port, rate_bps in held.floors.items():
                if port in shared:
                    continue
                at_port = floors.setdefault(port, {})
                at_port[held.name] = max(rate_bps, at_port.get(held.name, 0))
        ledger = CapacityLedger(floors, since_us)
        for held, window in timed:
            ledger = ledger.with_also(held.name, held.floors.items(), window)
        for name, standby in asleep:
            ledger = ledger.with_also(name, (), standby=standby)
        return ledger

    def used_ids(self) -> tuple[SliceIds, ...]:
        return tuple(held.ids for held in self.slices)

    def owners_by_number(self) -> Mapping[int, str]:
        return {held.ids.number: held.name for held in self.slices}

    def owners_by_label(self) -> Mapping[int, str]:
        return {label: held.name for held in self.slices for label in _labels(held.ids)}

    def nodes(self, name: str) -> frozenset[str]:
        """Switches that `name` lives on, or lived on and was not yet seen to have left."""
        return frozenset(node for held in self.of_name(name) for node in nodes_of(held.decision))


def nodes_of(decision: Decision) -> frozenset[str]:
    """Switches that carry rules of a decision."""
    ends = {end.node for pair in decision.requirement.pairs for end in (pair.source, pair.destination)}
    return frozenset(ends.union(*(path.nodes for path in decision.paths)))


def _labels(ids: SliceIds) -> range:
    return range(ids.first_label, ids.first_label + ids.labels)


def _held(item: StoredSlice) -> Held:
    return Held(
        id=item.id,
        name=item.name,
        generation=item.generation,
        retiring=item.retiring,
        ids=SliceIds(item.number, item.first_label, item.labels),
        decision=_decode(item.decision),
        floors=item.floors,
    )
