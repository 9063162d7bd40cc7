"""The sweep: every single failure, one after the other, spread over workers. Failures do not depend on each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from carelane.controller.pipeline.progress import Progress, silent
from carelane.controller.pipeline.replan import replan
from carelane.controller.pipeline.whatif._ask import Baseline
from carelane.controller.pipeline.whatif._workers import Workers
from carelane.topology.failure import Failure, single_failures

__all__ = ["Struck", "sweep"]


@dataclass(frozen=True, slots=True)
class Struck:
    """What one failure does: names by outcome, kept ones only counted. `interrupted`: restored or weakened, but with
    no path left until the controller has planned another."""

    failure: Failure
    kept: int
    restored: tuple[str, ...]
    weakened: tuple[str, ...]
    broken: tuple[str, ...]
    interrupted: tuple[str, ...]


def sweep(
    base: Baseline,
    workers: Workers,
    failures: Sequence[Failure] | None = None,
    *,
    progress: Progress = silent,
) -> tuple[Struck, ...]:
    """Each of `failures` by itself (default: all links, nodes and risk groups), in order; `progress` is told how many
    are done."""
    asked = tuple(single_failures(base.topology)) if failures is None else tuple(failures)
    found = []
    held = replace(base, policy=base.policy and base.policy.lasting)  # nothing further is decided
    for struck in workers.map(strike, held, asked):
        found.append(struck)
        progress("single failures", len(found), len(asked))
    return tuple(found)


def strike(base: Baseline, failure: Failure) -> Struck:
    """One failure on the baseline; what a worker runs."""
    replanned = replan(base.topology, base.held, base.ledger, failure, policy=base.policy)
    names = {
        outcome: tuple(fate.name for fate in replanned.of(outcome)) for outcome in ("restored", "weakened", "broken")
    }
    cut = tuple(f.name for f in replanned.fates if f.outcome in ("restored", "weakened") and not f.carried)
    return Struck(failure, len(replanned.of("kept")), **names, interrupted=cut)
