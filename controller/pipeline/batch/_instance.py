"""A batch as numbers: requirements, the columns known for each, and what is chosen.

A requirement that asks for nothing but bandwidth may take any path, so its columns are searched for. Any other has
columns that are embeddings, found by the planner's own search, each keeping every objective.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from carelane.controller.pipeline.admit import Embedding
from carelane.controller.pipeline.lane import Jobs, LaneGraph, State
from carelane.controller.pipeline.requirement import Requirement
from carelane.topology.ledger import CapacityLedger

__all__ = ["Batch", "Column", "Use", "is_free"]

WIDTH = 256
"""Arcs of the longest path that a batch considers; longer ones are left to the refill."""

Use = tuple[tuple[int, int], ...]
"""(arc, bit/s) for every port that a column reserves at."""


@dataclass(frozen=True, slots=True)
class Column:
    """One way to serve requirement `job`: `arcs` of a free path, or an embedding."""

    job: int
    use: Use
    arcs: tuple[int, ...] | None = None
    embedding: Embedding | None = None


def is_free(requirement: Requirement) -> bool:
    """Whether any single path with room will do."""
    objectives = requirement.objectives
    asked = (objectives.delay_s, objectives.jitter_s, objectives.loss, objectives.availability)
    return (
        requirement.connectivity == "point-to-point"
        and requirement.protection != "required"
        and all(objective is None for objective in asked)
    )


@dataclass
class Batch:
    """Requirements on `graph`, which has followed the `ledger` that others hold. Columns per requirement, in order."""

    graph: LaneGraph
    ledger: CapacityLedger
    requirements: Sequence[Requirement]
    worth: Sequence[float]
    columns: list[list[Column]] = field(init=False)
    free: list[bool] = field(init=False)

    def __post_init__(self) -> None:
        self.columns = [[] for _ in self.requirements]
        self.free = [is_free(requirement) for requirement in self.requirements]
        self._seen: list[set[Use]] = [set() for _ in self.requirements]
        width = min(WIDTH, len(self.graph.node_ids) + 2)
        self.width = width
        run, count = self.graph.run, len(self.requirements)
        self.state = State(
            run.filled(count, -1),
            run.filled(count, 0),
            run.filled(count * width, 0),
            self.graph.room.copy(),
            run.reals([0.0] * len(self.graph.room)),
        )

    def add_path(self, job: int, arcs: Sequence[int]) -> bool:
        """Know a free path; whether it was new."""
        requirement = self.requirements[job]
        path = tuple(int(arc) for arc in arcs)
        down = ((arc, requirement.forward_bps) for arc in path if requirement.forward_bps)
        up = ((arc ^ 1, requirement.reverse_bps) for arc in path if requirement.reverse_bps)
        return self._add(Column(job, (*down, *up), arcs=path))

    def add_embedding(self, job: int, embedding: Embedding) -> bool:
        """Know an embedding; whether it was new."""
        use = tuple(sorted((self.graph.lane_arc[port], rate) for port, rate in embedding.floors.items()))
        return self._add(Column(job, use, embedding=embedding))

    def _add(self, column: Column) -> bool:
        known = self._seen[column.job]
        if column.use in known:
            return False
        known.add(column.use)
        self.columns[column.job].append(column)
        return True

    def jobs(self) -> Jobs:
        """As the kernel takes them. Candidates keep their numbers as long as no column is added before them."""
        run, ends = self.graph.run, self.graph.endpoint_node
        candidates, entries, arcs, rates = [0], [0], [0], [0]
        for free, columns in zip(self.free, self.columns, strict=True):
            for column in () if free else columns:
                arcs += [arc for arc, _ in column.use]
                rates += [rate for _, rate in column.use]
                entries.append(len(arcs) - 1)
            candidates.append(len(entries) - 1)
        return Jobs(
            run.integers([ends[requirement.pairs[0].source.id] for requirement in self.requirements]),
            run.integers([ends[requirement.pairs[0].destination.id] for requirement in self.requirements]),
            run.integers([requirement.forward_bps for requirement in self.requirements]),
            run.integers([requirement.reverse_bps for requirement in self.requirements]),
            # without a column there is nothing to be taken, and nothing is worth that
            run.reals(
                [float(w) if f or c else 0.0 for w, f, c in zip(self.worth, self.free, self.columns, strict=True)]
            ),
            run.integers(candidates),
            run.integers(entries),
            run.integers(arcs[1:] or [0]),
            run.integers(rates[1:] or [0]),
        )

    def chosen(self) -> dict[int, Column]:
        """The column of every requirement that has one at present."""
        offsets = self._offsets()
        found: dict[int, Column] = {}
        for job, choice in enumerate(self.state.chosen):
            if choice >= 0:
                found[job] = (
                    self.path_of(job, int(choice)) if self.free[job] else self.columns[job][choice - offsets[job]]
                )
        return found

    def path_of(self, job: int, length: int) -> Column:
        """The free path that the kernel chose, as a column that is known."""
        start = job * self.width
        arcs = tuple(int(arc) for arc in self.state.paths[start : start + length])
        self.add_path(job, arcs)
        return next(column for column in self.columns[job] if column.arcs == arcs)

    def choose(self, columns: Sequence[Column]) -> None:
        """Set exactly `columns` in place; they must fit together."""
        offsets = self._offsets()
        state = self.state
        for job in range(len(self.requirements)):
            state.chosen[job] = -1
        for arc, room in enumerate(self.graph.room):
            state.room[arc] = room
        for column in columns:
            job = column.job
            if column.arcs is not None:
                state.chosen[job] = len(column.arcs)
                for place, arc in enumerate(column.arcs):
                    state.paths[job * self.width + place] = arc
            else:
                state.chosen[job] = offsets[job] + self.columns[job].index(column)
            for arc, rate in column.use:
                state.room[arc] -= rate

    def _offsets(self) -> list[int]:
        """The number of the first candidate of each requirement."""
        offsets, count = [], 0
        for free, columns in zip(self.free, self.columns, strict=True):
            offsets.append(count)
            count += 0 if free else len(columns)
        return offsets
