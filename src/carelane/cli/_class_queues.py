"""`carelane class-queues` and `carelane port-waits`: what promises are worth in queues that are not alone at a port."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any

from carelane.cli._decisions import show
from carelane.cli._exit import Exit, tell
from carelane.cli._output import Format, emit, emit_rows, emit_text
from carelane.cli._plan import resolved
from carelane.cli._sources import Filed
from carelane.controller.pipeline import plan
from carelane.controller.pipeline.class_queues import SharedBound, broken_by, shared_bounds
from carelane.controller.pipeline.port_waits import waited_bounds, waited_out_by
from carelane.controller.pipeline.slice_plan import Decision
from carelane.topology import Topology

__all__ = ["CLASS_QUEUES", "PORT_WAITS", "Analysis", "run_queues"]


@dataclass(frozen=True, slots=True)
class Analysis:
    """How promises are bounded, whom further ones would break, and what is to be said of it."""

    bounds: Callable[[Topology, Sequence[Decision]], tuple[SharedBound, ...]]
    broken_by: Callable[[Topology, Sequence[Decision], Sequence[Decision]], tuple[SharedBound, ...]]
    remark: str


CLASS_QUEUES = Analysis(
    shared_bounds,
    broken_by,
    "A model: ports with strict priority between eight class queues, not the switches' own queues.",
)
PORT_WAITS = Analysis(
    waited_bounds,
    waited_out_by,
    "The switches' own queues, all of the same and of higher priority sending their bursts at once at every port.",
)


def run_queues(
    analysis: Analysis, topology: Topology, intents: Sequence[Filed], later: Collection[str], *, output: Format
) -> Exit:
    """Plan all intents, print the bounds of the admitted ones, and whom those from the files `later` would break.

    Raises InputError.
    """
    decisions = plan(topology, [resolved(filed, topology) for filed in intents]).decisions
    for decision in decisions:
        if not decision.admitted:
            tell(f"{decision.name} is refused and left out; `carelane plan` says why")
    pairs = list(zip(intents, decisions, strict=True))
    first = [decision for filed, decision in pairs if filed.file not in later]
    further = [decision for filed, decision in pairs if filed.file in later]
    bounds = analysis.bounds(topology, decisions)
    broken = analysis.broken_by(topology, first, further)
    document = {
        "topology": topology.name,
        "slices": [_row(row) for row in bounds],
        "broken": [_row(row) for row in broken],
    }
    emit(document, output, lambda: _print(document, analysis.remark))
    return Exit.DONE if all(row.keeps for row in bounds) else Exit.BROKEN


def _row(row: SharedBound) -> dict[str, Any]:
    return {
        "name": row.name,
        "class": row.traffic_class,
        "role": row.role,
        "from": row.source,
        "to": row.to,
        "delay_bound_ms": _ms(row.delay_s),
        "jitter_bound_ms": _ms(row.jitter_s),
        "keeps": row.keeps,
    }


def _ms(exact_s: Fraction | None) -> float | None:
    """Milliseconds, to the nanosecond, rounded up."""
    return None if exact_s is None else ceil(exact_s * 10**9) / 10**6


def _print(document: Mapping[str, Any], remark: str) -> None:
    emit_rows(
        ("NAME", "CLASS", "ROLE", "FROM", "TO", "DELAY", "JITTER", "OBJECTIVES"),
        (
            (
                *(row[field] for field in ("name", "class", "role", "from", "to")),
                *(
                    "no bound" if row[figure] is None else show(row[figure], "ms")
                    for figure in ("delay_bound_ms", "jitter_bound_ms")
                ),
                "kept" if row["keeps"] else "broken",
            )
            for row in document["slices"]
        ),
        empty="no admitted intents",
    )
    broken = dict.fromkeys(row["name"] for row in document["broken"])
    if broken:
        emit_text(f"\nbroken by what was added: {', '.join(broken)}")
    emit_text(f"\n{remark}")
