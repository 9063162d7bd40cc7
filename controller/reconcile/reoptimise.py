"""Re-optimising: slices move, without losing a packet, to where the network now carries them better.

*Shorter* plans every slice anew where it is, and moves those that the network now carries over a shorter way, or with
less reserved: what a drain, a repair or a busy hour left behind is undone. A slice moves only for a gain, so that
asking twice moves nothing twice. *Balance* moves slices off the fullest links instead (`balance`). *Undo* plans what
the last of either moved on the links it had before, which are stored until the next time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from carelane.controller.pipeline.slice_plan import Decision
from carelane.controller.reconcile.balance import evening_out, fullest
from carelane.controller.reconcile.filing import record
from carelane.controller.reconcile.holdings import Held, Holdings
from carelane.controller.reconcile.replanner import Replanner
from carelane.controller.reconcile.schedules import waiting
from carelane.controller.reconcile.upkeep import movable
from carelane.policies.admission import AdmissionPolicy
from carelane.store import Floors, StoredMove, Writer
from carelane.topology.model import Topology

__all__ = ["Aim", "Reoptimised", "reoptimise"]

Aim = Literal["shorter", "balance", "undo"]
_VERBS: Mapping[Aim, str] = {"shorter": "re-optimised", "balance": "evened out", "undo": "re-optimisation undone"}


@dataclass(frozen=True, slots=True)
class Reoptimised:
    """Why each slice moves, by name; how full the fullest port of a link is before, and after all have moved."""

    moved: Mapping[str, str]
    fullest_before: float
    fullest_after: float


def reoptimise(
    write: Writer,
    topology: Topology,
    without: frozenset[str],
    now: datetime,
    aim: Aim,
    gain: float,
    policy: AdmissionPolicy | None = None,
) -> Reoptimised:
    """Move every slice that the network can now carry better, most important first; or those of the fullest links, the
    least important first (`gain` is for these); or those that the last time moved, back to where they were.
    Of the `policy`, what promises have to hold by counts.

    Better is what the planner prefers: first paths that are shorter in all; equally short, with a lower delay bound;
    equal in that too, with less reserved on ports.
    """
    holdings = Holdings.of(write.slices())
    candidates = movable(write, waiting(topology, holdings.slices, now), now)
    wanted: Iterable[tuple[Held, frozenset[str], str | None]] = ((held, without, None) for held in candidates)
    if aim == "undo":
        wanted = _back(write.moves(), topology, candidates, without)
    elif aim == "balance":
        moves = evening_out(topology, holdings, candidates, without, gain, _better, now)
        wanted = ((move.held, move.without, move.why) for move in moves)
    moved: list[tuple[Held, str]] = []
    replanner, closed = Replanner(topology, without, write, now, policy), without
    for held, shut, reason in wanted:
        if shut != closed:
            replanner, closed = Replanner(topology, shut, write, now, policy), shut
        filing = replanner.decide(held)
        if filing.decision is None or filing.ids is None:
            if aim == "undo":
                write.note(held.name, "NotMoved", f"its full promise has no room {reason} any more")
        elif filing.ids != held.ids and (reason is not None or _gains(held, filing.decision, filing.floors)):
            was, will = _cost(held.decision, held.floors), _cost(filing.decision, filing.floors)
            record(write, filing, now)
            why = reason or f"{_told(was)} before, {_told(will)} now"
            write.note(held.name, "Moved", f"{_VERBS[aim]}: {why}")
            moved.append((held, why))
        else:
            replanner.forget()
    if aim == "undo":
        write.put_moves(())
    elif moved:
        write.put_moves([StoredMove(held.name, held.generation, _links(held.decision)) for held, _ in moved])
    before, after = (fullest(topology, held, now) for held in (holdings, Holdings.of(write.slices())))
    return Reoptimised({held.name: why for held, why in moved}, before, after)


def _back(
    moves: Iterable[StoredMove], topology: Topology, candidates: Sequence[Held], without: frozenset[str]
) -> Iterator[tuple[Held, frozenset[str], str | None]]:
    """What the last re-optimisation moved and nobody has changed since, to be planned on the links of before."""
    before = {move.name: move for move in moves}
    for held in candidates:
        move = before.get(held.name)
        if move is not None and move.generation == held.generation:
            others = topology.links.keys() - move.links
            yield held, without | others, f"back to {', '.join(sorted(move.links)[:5])}"


def _cost(decision: Decision, floors: Floors) -> tuple[int, int, int]:
    """Microseconds of propagation on first paths, of their delay bounds, and bit/s reserved on all ports."""
    firsts = [path for path in decision.paths if path.role == "primary"]
    propagation_s = sum(path.propagation_s or 0.0 for path in firsts)
    bound_s = sum(path.delay_bound_s or 0.0 for path in firsts)
    return round(propagation_s * 1e6), round(bound_s * 1e6), sum(floors.values())


def _gains(held: Held, decision: Decision, floors: Floors) -> bool:
    """Better, or what the slice is owed since it had to be carried with less."""
    return held.decision.owed is not None or _better(held, decision, floors)


def _better(held: Held, decision: Decision, floors: Floors) -> bool:
    return _cost(decision, floors) < _cost(held.decision, held.floors)


def _links(decision: Decision) -> frozenset[str]:
    return frozenset(hop.link for path in decision.paths for hop in path.hops)


def _told(cost: tuple[int, int, int]) -> str:
    propagation_us, bound_us, floors_bps = cost
    return f"{propagation_us / 1e3:g} ms long, bound {bound_us / 1e3:g} ms, {floors_bps / 1e6:g} Mbit/s over all ports"
