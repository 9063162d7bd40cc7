"""The program that all stored slices together ask for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from carelane.controller.pipeline.ceilings import NO_CEILINGS, Ceilings, with_ceilings
from carelane.controller.pipeline.compile import compile_program
from carelane.controller.pipeline.program import Program
from carelane.controller.reconcile.holdings import Held, Holdings
from carelane.errors import PermanentError
from carelane.topology.model import Topology

__all__ = ["Desired", "desired_program"]


@dataclass(frozen=True, slots=True)
class Desired:
    """`unfit` names slices that cannot be part of it, with the reason: the topology changed under them.

    `compiled` is the program before ceilings.
    """

    program: Program
    unfit: dict[str, PermanentError] = field(default_factory=dict)
    compiled: Program = field(default_factory=dict)


def desired_program(
    topology: Topology, holdings: Holdings, failed: Collection[str], ceilings: Ceilings = NO_CEILINGS
) -> Desired:
    """Compile every slice in force except those of failed intents, and apply the ceilings that sharing found.

    One that does not fit never stops the others.
    """
    slices = [held for held in holdings.slices if not held.retiring and held.name not in failed]
    try:
        desired = Desired(_compile(topology, slices))
    except PermanentError:
        desired = _without_unfit(topology, slices)
    return Desired(with_ceilings(desired.program, ceilings), desired.unfit, desired.program)


def _without_unfit(topology: Topology, slices: list[Held]) -> Desired:
    fit: list[Held] = []
    unfit: dict[str, PermanentError] = {}
    for held in slices:
        try:
            _compile(topology, [*fit, held])
        except PermanentError as error:
            unfit[held.name] = error
        else:
            fit.append(held)
    return Desired(_compile(topology, fit), unfit)


def _compile(topology: Topology, slices: list[Held]) -> Program:
    return compile_program(topology, [(held.decision, held.ids) for held in slices])
