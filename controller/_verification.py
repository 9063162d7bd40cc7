"""Verification of what switches hold now: the same proof as before sending, on state read back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from carelane.controller.pipeline.ceilings import Ceilings
from carelane.controller.pipeline.program import Program, SwitchProgram
from carelane.controller.pipeline.verify import Fault, verify_program
from carelane.controller.reconcile.desired import desired_program
from carelane.controller.reconcile.holdings import Holdings
from carelane.controller.southbound.protocol import Southbound
from carelane.errors import CarelaneError
from carelane.topology.model import Topology

__all__ = ["Verification", "verify_network"]


@dataclass(frozen=True, slots=True)
class Verification:
    """`faults` are counter-examples; `unread` are switches that could not be read (with the reason): what they hold is
    taken to be what they should hold. `moving` names slices that are being changed, whose old rules may show. `beside`
    is what switches hold that no proof counts: entries that carelane did not make, which may take any packet first, and
    queues that the kernel serves otherwise than OVSDB says.
    """

    slices: int
    switches: int
    faults: tuple[Fault, ...]
    unread: Mapping[str, str]
    moving: tuple[str, ...]
    beside: Mapping[str, tuple[str, ...]]

    @property
    def proven(self) -> bool:
        return not self.faults and not self.unread and not self.beside


def verify_network(
    topology: Topology,
    southbound: Southbound,
    holdings: Holdings,
    out: Collection[str],
    ceilings: Ceilings,
    avoid: frozenset[str],
) -> Verification:
    """Read every declared switch and prove every slice in force but those `out` of it on what is found there."""
    desired = desired_program(topology, holdings, out, ceilings, avoid=avoid)
    found: dict[str, SwitchProgram] = {}
    unread: dict[str, str] = {}
    beside: dict[str, tuple[str, ...]] = {}
    for node, wanted in desired.compiled.items():
        try:
            state = southbound.read(node)
        except CarelaneError as error:
            unread[node] = str(error)
            found[node] = wanted
            continue
        found[node] = _as_compiled(state.own, desired.program[node], wanted)
        if state.strangers or state.mismatches:
            beside[node] = (*(f"not made by carelane: {text}" for text in state.strangers), *state.mismatches)
    slices = [
        (held.decision, held.ids)
        for held in holdings.slices
        if not held.retiring and held.name not in out and held.name not in desired.unfit
    ]
    program: Program = found
    faults = verify_program(topology, program, slices, avoid)
    moving = tuple(sorted({held.name for held in holdings.slices if held.retiring}))
    return Verification(len(slices), len(found) - len(unread), faults, unread, moving, beside)


def _as_compiled(found: SwitchProgram, shaped: SwitchProgram, compiled: SwitchProgram) -> SwitchProgram:
    """`found` with the ceilings that we set ourselves taken off: they break no promise (`pipeline.ceilings`)."""
    meters = dict(zip(shaped.meters, compiled.meters, strict=True))
    ports = dict(zip(shaped.ports, compiled.ports, strict=True))
    return replace(
        found,
        meters=tuple(meters.get(meter, meter) for meter in found.meters),
        ports=tuple(ports.get(port, port) for port in found.ports),
    )
