"""Evening out: which slices could leave the links that are fullest, and keep their whole promise. Stores nothing.

Input: topology, what is held, links not to plan on. Output: moves, one after the other. Decisions taken here:

- How full a port is: what slices in force reserve there, over what may be reserved (the link's `reservable_bps`).
- The fullest port is relieved first. Of its slices the least important goes first, and of those the largest.
- A move *gains* the difference between how full the port is that it relieves, and the fullest port that it adds to once
  it is there. It is made only for the gain asked for, so that moves come to an end and no slice goes to and fro.
- The promise is planned anew word for word, protection included; its way may be longer. Slices of the highest priority
  there is make no room for others: they move only to what is better for themselves.
- What a moved slice leaves behind is not given to another in the same round, so that moves may be carried out in any
  order, new before old.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from carelane.controller.pipeline import plan
from carelane.controller.pipeline.slice_plan import Decision
from carelane.controller.reconcile.drains import usable
from carelane.controller.reconcile.holdings import Held, Holdings
from carelane.intents import MAX_PRIORITY
from carelane.store import Floors
from carelane.topology.ledger import CapacityLedger, PortKey
from carelane.topology.model import Topology

__all__ = ["MOST_TRIES", "Evened", "evening_out", "fullest"]

MOST_TRIES = 400
"""Plans that one round may cost: it holds the store's writing turn meanwhile. What is left over, the next one does."""

Better = Callable[[Held, Decision, Floors], bool]
"""Whether a slice itself is better off with a decision and its floors than with what it has."""


@dataclass(frozen=True, slots=True)
class Evened:
    """A move: `held` is to be planned anew `without` these links, `why`."""

    held: Held
    without: frozenset[str]
    why: str


def evening_out(
    topology: Topology,
    holdings: Holdings,
    movable: Sequence[Held],
    without: frozenset[str],
    gain: float,
    better: Better,
    now: datetime,
) -> Iterator[Evened]:
    """The moves, each beside those before it, which are taken to have been made. `gain` is more than 0 and at most 1:
    a share of what may be reserved on a link."""
    standing = holdings.standing.ledger(topology, now)
    busy = holdings.ledger(topology, now, without)
    left, relieved, tries = {held.name: held for held in movable}, set[PortKey](), 0
    while (port := _fullest(topology, standing, relieved)) is not None and _share(topology, standing, port) >= gain:
        limit = _share(topology, standing, port) - gain
        own = (held for held in left.values() if port in held.floors)
        for held in islice(sorted(own, key=_last(port)), MOST_TRIES - tries):
            tries += 1
            bare = standing.without_slice(held.name)
            shut = without | _above(topology, bare, limit) | {port[1]}
            result = plan(usable(topology, shut), [held.decision.requirement], busy.without_slice(held.name))
            (decision,) = result.decisions
            floors = result.ledger.slice_floors(held.name)
            after = bare.with_held_by(result.ledger, held.name)
            worst = max((_share(topology, after, at) for at in floors if at[1] in topology.links), default=0.0)
            unasked = decision.requirement.priority >= MAX_PRIORITY and not better(held, decision, floors)
            if not decision.admitted or worst > limit or unasked:
                continue
            yield Evened(held, shut, f"{port[1]} from {port[0]} was {_share(topology, standing, port):.0%} full, "
                                     f"{worst:.0%} is the most on its way now")  # fmt: skip
            standing = after
            busy = result.ledger.with_held_by(busy, held.name)
            left.pop(held.name)
            break
        else:
            relieved.add(port)
        if tries >= MOST_TRIES:
            return


def fullest(topology: Topology, holdings: Holdings, now: datetime) -> float:
    """The share that slices in force reserve of the fullest port of a link."""
    ledger = holdings.standing.ledger(topology, now)
    port = _fullest(topology, ledger, set())
    return 0.0 if port is None else _share(topology, ledger, port)


def _last(port: PortKey) -> Callable[[Held], tuple[int, int, int]]:
    """Sorts those first that matter least, and of those the largest at `port`."""
    return lambda held: (held.decision.requirement.priority, -held.floors[port], held.id)


def _fullest(topology: Topology, ledger: CapacityLedger, but: set[PortKey]) -> PortKey | None:
    ports = (port for port, _ in ledger.reserved() if port[1] in topology.links and port not in but)
    return max(ports, key=lambda port: (_share(topology, ledger, port), port), default=None)


def _share(topology: Topology, ledger: CapacityLedger, port: PortKey) -> float:
    reservable_bps = topology.links[port[1]].reservable_bps
    return ledger.reserved_bps(port) / reservable_bps if reservable_bps else 0.0


def _above(topology: Topology, ledger: CapacityLedger, limit: float) -> frozenset[str]:
    ports = (port for port, _ in ledger.reserved() if port[1] in topology.links)
    return frozenset(port[1] for port in ports if _share(topology, ledger, port) > limit)
