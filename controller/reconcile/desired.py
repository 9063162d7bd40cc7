"""The program that all stored slices together ask for, proven before anything of it is sent."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from carelane.controller.pipeline.ceilings import NO_CEILINGS, Ceilings, with_ceilings
from carelane.controller.pipeline.compile import Compilation
from carelane.controller.pipeline.diff import diff
from carelane.controller.pipeline.program import Program, SliceIds
from carelane.controller.pipeline.slice_plan import Decision
from carelane.controller.pipeline.verify import Fault, Verifier
from carelane.controller.reconcile.holdings import Held, Holdings
from carelane.errors import PermanentError, ProgramError
from carelane.topology.model import Topology

__all__ = ["Compiler", "Desired", "Prover", "desired_program"]

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Desired:
    """`unfit` names slices that cannot be part of it, with the reason: the topology changed under them, or what they
    would become on the switches fails verification. `compiled` is the program before ceilings.
    """

    program: Program
    unfit: dict[str, PermanentError] = field(default_factory=dict)
    compiled: Program = field(default_factory=dict)


class Compiler:
    """Keeps the last desired program: passes, epochs and shapings often ask for the same one again. Not thread-safe."""

    def __init__(self, topology: Topology) -> None:
        self._compilation = Compilation(topology)
        self._prover = Prover(topology)
        self._asked: object = None
        self._last = Desired({})

    def desired(
        self, holdings: Holdings, failed: Collection[str], ceilings: Ceilings, avoid: frozenset[str]
    ) -> Desired:
        """`desired_program`, proven. Raises ProgramError where a fault is nobody's in particular."""
        asked = (holdings.slices, frozenset(failed), avoid)
        if asked != self._asked:
            self._asked = None
            self._last = _desired(self._compilation, holdings, failed, avoid, self._prover)
            self._asked = asked
        return replace(self._last, program=with_ceilings(self._last.compiled, ceilings))


class Prover:
    """Verifies each desired program, as a change of the one before. Not thread-safe.

    Ceilings are left out: by construction they neither lower a floor nor a declared rate.
    """

    def __init__(self, topology: Topology) -> None:
        self._verifier = Verifier(topology)
        self._program: Program | None = None
        self._slices: dict[int, tuple[Decision, SliceIds]] = {}
        self._avoid: frozenset[str] = frozenset()

    def faults(self, program: Program, slices: Sequence[Held], avoid: frozenset[str]) -> tuple[Fault, ...]:
        """What is wrong with `program`; nothing of it is remembered then."""
        wanted = {held.ids.number: (held.decision, held.ids) for held in slices}
        before, self._program = self._program, None
        if before is None:
            found = self._verifier.check(program, wanted.values(), avoid)
        else:
            changes = [diff(before[node], there) for node, there in program.items() if before[node] is not there]
            arrived = [item for number, item in wanted.items() if self._expects_anew(number, item, avoid)]
            found = self._verifier.check_change(changes, arrived, self._slices.keys() - wanted.keys(), avoid)
        if not found:
            self._program, self._slices, self._avoid = program, wanted, avoid
        return found

    def _expects_anew(self, number: int, item: tuple[Decision, SliceIds], avoid: frozenset[str]) -> bool:
        if self._slices.get(number) != item:
            return True
        moved = avoid ^ self._avoid
        return any(hop.link in moved for path in item[0].paths for hop in path.hops)


def desired_program(
    topology: Topology,
    holdings: Holdings,
    failed: Collection[str],
    ceilings: Ceilings = NO_CEILINGS,
    *,
    avoid: frozenset[str] = frozenset(),
) -> Desired:
    """Compile every slice in force except those of failed intents, and apply the ceilings that sharing found.

    One that does not fit never stops the others. Paths that touch a link to `avoid` come last.
    """
    desired = _desired(Compilation(topology), holdings, failed, avoid, None)
    return replace(desired, program=with_ceilings(desired.compiled, ceilings))


def _desired(
    compilation: Compilation,
    holdings: Holdings,
    failed: Collection[str],
    avoid: frozenset[str],
    prover: Prover | None,
) -> Desired:
    """Without ceilings, and without the slices for which `prover` finds a fault."""
    slices = [held for held in holdings.slices if not held.retiring and held.name not in failed]
    unfit: dict[str, PermanentError] = {}
    try:
        program = compilation.program(_numbered(slices), avoid)
    except PermanentError:
        program, unfit = compilation.fitting(_numbered(slices), avoid)
    if prover is not None:
        program = _proven(compilation, slices, program, unfit, avoid, prover)
    return Desired(program, unfit, program)


def _proven(
    compilation: Compilation,
    slices: list[Held],
    program: Program,
    unfit: dict[str, PermanentError],
    avoid: frozenset[str],
    prover: Prover,
) -> Program:
    """`program` without the slices that verification finds at fault; they are added to `unfit`.

    Raises ProgramError when the fault is nobody's in particular: then nothing at all is sent.
    """
    fit = [held for held in slices if held.name not in unfit]
    while faults := prover.faults(program, fit, avoid):
        guilty = {fault.slice for fault in faults} & {held.name for held in fit}
        if not guilty:
            raise ProgramError(f"the program fails verification and nothing of it is sent: {told(faults)}")
        for name in guilty:
            own = [fault for fault in faults if fault.slice == name]
            unfit[name] = ProgramError(f"its program fails verification and was not sent: {told(own)}")
        fit = [held for held in fit if held.name not in guilty]
        program = compilation.program(_numbered(fit), avoid)
    return program


def told(faults: Sequence[Fault]) -> str:
    """The first few counter-examples in words."""
    more = f" (and {len(faults) - _SHOWN} more)" if len(faults) > _SHOWN else ""
    return "; ".join(map(str, faults[:_SHOWN])) + more


def _numbered(slices: Sequence[Held]) -> list[tuple[Decision, SliceIds]]:
    return [(held.decision, held.ids) for held in slices]
