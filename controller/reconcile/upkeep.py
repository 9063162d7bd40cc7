"""Moving slices away from what is broken or is to be taken out of service, without losing a packet.

A drain is stored, and so is every decision it leads to: a controller that dies half-way goes on where it stopped.
Slices that the network can carry without the drained parts are planned anew there (new labels before old ones go, by
the ordinary passes); those that cannot keep their protection meanwhile stay on the path of theirs that is left. If one
would be left with nothing, or two on a shared backup that has room for one, the drain is refused and nothing moves,
unless it is forced.

Repair is the same move away from links that stayed dead, most important slice first. A slice for which the network has
no place with its full promise stays where the switches put it, and its history says so. Where they have no path left
for it, it is carried anyhow if it can be, without availability and protection, as what-if foretells, and is `owed` the
rest. Repair is tried again while something is wanting: moves, withdrawals and links that come back make room.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from carelane.controller.pipeline.admit import MAX_TREES
from carelane.controller.pipeline.slice_plan import Decision, role_number
from carelane.controller.reconcile.admission import Filing
from carelane.controller.reconcile.drains import carried, drained_links, links_of
from carelane.controller.reconcile.filing import record
from carelane.controller.reconcile.holdings import Held, Holdings
from carelane.controller.reconcile.replanner import Replanner
from carelane.controller.reconcile.schedules import outside, waiting
from carelane.errors import ConflictError, NotFoundError, PermanentError
from carelane.intents.lifecycle import Phase
from carelane.policies.admission import AdmissionPolicy
from carelane.store import Writer
from carelane.topology.model import Topology

__all__ = ["Relocation", "Renewal", "drain", "movable", "relocate", "renew", "undrain"]

_MOVABLE = (Phase.ADMITTED, Phase.INSTALLING, Phase.ACTIVE, Phase.DEGRADED, Phase.SUSPENDED)


@dataclass(frozen=True, slots=True)
class Relocation:
    """`moved` are planned anew; `weakened` are carried with less than promised; `staying` keep a path that avoids the
    links but have no other meanwhile; `stuck` have none left (with the reason). `leaving` were to move, or to go,
    before, and switches that are away may still send their packets there.
    """

    moved: tuple[str, ...] = ()
    weakened: tuple[str, ...] = ()
    staying: tuple[str, ...] = ()
    stuck: tuple[tuple[str, str], ...] = ()
    leaving: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Renewal:
    """Names planned anew with their whole promise, and those carried with less."""

    renewed: tuple[str, ...]
    weakened: tuple[str, ...]


def drain(
    write: Writer,
    topology: Topology,
    target: str,
    broken: frozenset[str],
    dead: frozenset[str],
    now: datetime,
    *,
    force: bool,
    policy: AdmissionPolicy | None = None,
) -> Relocation:
    """Take a link or switch out of service and move what uses it. Of what is `broken`, links that are not `dead` are
    for those that have no other place. Raises NotFoundError, ConflictError."""
    kind = _kind(topology, target)
    links = links_of(topology, [(kind, target)])
    if kind == "node" and not force:
        _refuse_ends(Holdings.of(write.slices()), target)
    write.put_drain(kind, target, now)
    without = drained_links(topology, write.drains()) | dead
    result = relocate(write, topology, without, links, now, weaken=force, policy=policy, broken=broken)
    if not force:
        _refuse_collisions(Holdings.of(write.slices()), topology, target, without | broken, now)
    if result.stuck and not force:
        reasons = "; ".join(f"{name}: {why}" for name, why in result.stuck[:5])
        raise ConflictError(
            f"{target} cannot be drained: {len(result.stuck)} slices would be left without a path ({reasons}); "
            "withdraw them, add capacity elsewhere, or force the drain and break their promise"
        )
    retiring = (held for held in Holdings.of(write.slices()).slices if held.retiring)
    leaving = {held.name for held in retiring if _touches(held.decision, links)}
    return replace(result, leaving=tuple(sorted(leaving.difference(result.moved))))


def undrain(write: Writer, topology: Topology, target: str) -> frozenset[str]:
    """Put a link or switch back into service; names of slices that may use it again. Raises NotFoundError."""
    kind = _kind(topology, target)
    if not write.remove_drain(kind, target):
        raise NotFoundError(f"{kind} {target} is not drained")
    links = links_of(topology, [(kind, target)])
    return frozenset(held.name for held in Holdings.of(write.slices()).slices if _touches(held.decision, links))


def relocate(
    write: Writer,
    topology: Topology,
    without: frozenset[str],
    links: frozenset[str],
    now: datetime,
    *,
    dead: bool = False,
    weaken: bool = False,
    told: Collection[str] = (),
    policy: AdmissionPolicy | None = None,
    broken: frozenset[str] = frozenset(),
) -> Relocation:
    """Move the slices that use any of `links` to where they need nothing of `without`, most important first, and give
    those that are owed something their whole promise again.

    `weaken`: what would be stuck is carried with less, if it can be. Of names in `told` it was noted that they stay.
    Links that are `broken`, and not among those, work again and are for those that have no other place.

    Of the `policy`, what promises have to hold by counts. Whether the links are `dead` matters to trees: those have
    left a dead link by themselves, and no other. One whose window is not open is moved like the others, but never
    stuck: nothing of it is lost yet.
    """
    holdings = Holdings.of(write.slices())
    if not any(_struck(held, links) for held in holdings.slices):
        return Relocation()
    idle = waiting(topology, holdings.slices, now)
    struck = [held for held in movable(write, idle, now) if _struck(held, links)]
    replanner, away = Replanner(topology, without, write, now, policy, broken), ", ".join(sorted(links)[:5])
    moved, weakened, staying, stuck = [], [], [], []
    for held in struck:
        filing = replanner.decide(held)
        left = held.name in idle or _left(held.decision, without, dead=dead)
        if filing.ids is None and weaken and not left:
            filing = replanner.decide(held, anyhow=True)
        if filing.ids is not None and not _stays(held, filing):
            _move(write, filing, without, now)
            moved.append(held.name)
            if filing.decision is not None and filing.decision.owed is not None:
                weakened.append(held.name)
        elif not _touches(held.decision, links):
            weakened.append(held.name)  # as before
        elif left:
            if held.name not in told:
                write.note(held.name, "NotMoved", f"no place with its full promise without {away}")
            staying.append(held.name)
        else:
            why = _why(filing)
            if held.name not in told:
                write.note(held.name, "NotMoved", f"no place without {away}: {why}")
            stuck.append((held.name, why))
    return Relocation(tuple(moved), tuple(weakened), tuple(staying), tuple(stuck))


def _move(write: Writer, filing: Filing, without: Collection[str], now: datetime) -> None:
    record(write, filing, now)
    where = f"without {', '.join(sorted(without)[:5])}" if without else "on the whole network"
    less = filing.decision is not None and filing.decision.owed is not None
    short = "; there is no place with its full promise, so that it is carried with less meanwhile" if less else ""
    write.note(filing.intent.name, "Moved", f"planned anew {where}{short}")


def renew(
    write: Writer,
    topology: Topology,
    unfit: Mapping[str, PermanentError],
    without: frozenset[str],
    now: datetime,
    policy: AdmissionPolicy | None = None,
) -> Renewal:
    """Plan anew what an older version, or an older topology, has stored and this one cannot program (`unfit`), and
    trees that count a third path, which switches do not use. Most important first.

    What has no place with its whole promise any more is carried with less, and owed the rest, rather than taken off the
    switches. What cannot be carried at all, or begins or ends nowhere now, is left to its failure.
    """
    replanner = Replanner(topology, without, write, now, policy)
    renewed: list[str] = []
    weakened: list[str] = []
    for held in movable(write, waiting(topology, Holdings.of(write.slices()).slices, now), now):
        if (held.name not in unfit and not _third(held.decision)) or not _ends(held.decision) <= topology.nodes.keys():
            continue
        filing = replanner.decide(held)
        if filing.ids is None and held.name in unfit:
            filing = replanner.decide(held, anyhow=True)
        if filing.decision is None or filing.ids is None:
            continue
        less = filing.decision.owed is not None
        short = "; without a place for its whole promise, it is carried with less meanwhile" if less else ""
        record(write, filing, now)
        write.note(held.name, "Renewed", f"planned anew: what was stored is programmed otherwise now{short}")
        (weakened if less else renewed).append(held.name)
    return Renewal(tuple(renewed), tuple(weakened))


def _third(decision: Decision) -> bool:
    """Whether a receiver of a tree counts on more paths than switches move its copies to by themselves."""
    multipoint = decision.requirement.connectivity == "point-to-multipoint"
    return multipoint and any(role_number(path.role) >= MAX_TREES for path in decision.paths)


def movable(write: Writer, idle: Collection[str], now: datetime) -> list[Held]:
    """Slices in force that may be planned anew, most important first; of those that are `idle`, not what is over."""
    held = [
        item
        for item in Holdings.of(write.slices()).standing.slices
        if item.name not in idle or not outside(item, now).over
    ]
    held = [item for item in held if write.intent(item.name).phase in _MOVABLE]
    return sorted(held, key=lambda item: (-item.decision.requirement.priority, item.id))


def _kind(topology: Topology, target: str) -> str:
    if target in topology.links:
        return "link"
    if target in topology.nodes:
        return "node"
    raise NotFoundError(f"topology {topology.name} has no link and no node {target!r}")


def _refuse_ends(holdings: Holdings, node: str) -> None:
    ending = sorted({held.name for held in holdings.slices if not held.retiring and node in _ends(held.decision)})
    if ending:
        raise ConflictError(
            f"{node} cannot be drained: {', '.join(ending[:5])} begin or end there; withdraw them first, "
            "or force the drain and break their promise"
        )


def _refuse_collisions(
    holdings: Holdings, topology: Topology, target: str, without: frozenset[str], now: datetime
) -> None:
    """Backups that share have no room for each other while several links are out of service that wake them."""
    staying = holdings.standing
    ledger = staying.ledger(topology, now, without)
    for port, load in ((port, ledger.working_bps(port)) for port, _ in sorted(ledger.reserved())):
        link = topology.links.get(port[1])
        if link is not None and link.capacity_bps is not None and load > link.capacity_bps:
            names = sorted(held.name for held in staying.slices if port in held.floors and held.wakes(without))
            raise ConflictError(
                f"{target} cannot be drained: with what is out of service already, the shared backups of "
                f"{', '.join(names[:5])} would run at {port[0]} towards {port[1]}, which has no room for all of them; "
                "wait until the others are back, or force the drain and break their promise"
            )


def _ends(decision: Decision) -> set[str]:
    return {end.node for pair in decision.requirement.pairs for end in (pair.source, pair.destination)}


def _stays(held: Held, filing: Filing) -> bool:
    """Whether the only place is the one that it has, by links that come and go."""
    return filing.ids == held.ids and filing.decision is not None and filing.decision.owed == held.decision.owed


def _struck(held: Held, links: Collection[str]) -> bool:
    return held.decision.owed is not None or _touches(held.decision, links)


def _touches(decision: Decision, links: Collection[str]) -> bool:
    return any(hop.link in links for path in decision.paths for hop in path.hops)


def _left(decision: Decision, without: Collection[str], *, dead: bool) -> bool:
    """Whether every pair has a path that needs none of the links, and does without them meanwhile. Trees keep to the
    order of their paths: they leave a link when it dies, or when they are planned anew."""
    if decision.requirement.connectivity == "point-to-multipoint" and not dead:
        return False
    return carried(decision, without)


def _why(filing: Filing) -> str:
    reasons = filing.decision.reasons if filing.decision is not None else ()
    return "; ".join(reason.detail or reason.constraint for reason in reasons[:2]) or "no path"
