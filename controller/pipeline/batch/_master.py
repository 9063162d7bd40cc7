"""The master problem: which share of each column to use so that most is admitted and no port holds too much (HiGHS)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import highspy
import numpy as np
from numpy.typing import NDArray

from carelane.controller.pipeline.batch._instance import Batch, Column, Use

__all__ = ["Solution", "solve_master"]

_NEARLY = 0.1
"""Of a port's room that is left, at most, where the first solution heeds the port."""


@dataclass(frozen=True, slots=True)
class Solution:
    """Optimal over the columns known. `prices` by arc, per bit/s; `rents` by requirement, what its place is worth."""

    value: float
    shares: Sequence[tuple[Column, float]]
    prices: NDArray[np.float64]
    rents: NDArray[np.float64]


def solve_master(batch: Batch) -> Solution:
    """max sum worth x, with sum use x <= room at each port, and sum x <= 1 for each requirement.

    Few ports bind. So only those that the packing at hand nearly fills get a row, until a solution overfills others;
    and of columns that use the same of these ports, or more of them, one is enough.
    """
    room = np.maximum(np.asarray(batch.graph.room, dtype=np.float64), 0.0)
    rows = {int(arc) for arc in np.flatnonzero(np.asarray(batch.state.room) <= _NEARLY * room)}
    while True:
        solution = _restricted(batch, room, sorted(rows))
        load = np.zeros(len(room))
        for column, share in solution.shares:
            for arc, rate in column.use:
                load[arc] += share * rate
        over = {int(arc) for arc in np.flatnonzero(load > room * (1.0 + 1e-6))} - rows
        if not over:
            return solution
        rows |= over


def _restricted(batch: Batch, room: NDArray[np.float64], rows: Sequence[int]) -> Solution:
    """Optimal where only the ports of `rows` are limited."""
    row_of = {arc: row for row, arc in enumerate(rows)}
    columns: list[tuple[Column, Use]] = []
    shared: dict[int, int] = {}
    for job, known in enumerate(batch.columns):
        kept = _undominated(known, row_of)
        columns += kept
        if len(kept) > 1:
            shared[job] = len(rows) + len(shared)
    scale = float(max(batch.worth, default=1.0)) or 1.0
    starts, index, value = [0], [], []
    for column, use in columns:
        index += [row for row, _ in use]
        value += [rate / scale for _, rate in use]
        if column.job in shared:
            index.append(shared[column.job])
            value.append(1.0)
        starts.append(len(index))
    limits = np.concatenate([room[list(rows)] / scale, np.ones(len(shared))])
    worth = np.array([batch.worth[column.job] for column, _ in columns]) / scale
    shares, duals, objective = _solve(worth, limits, starts, index, value)
    prices = np.zeros(len(room))
    prices[list(rows)] = np.maximum(duals[: len(rows)], 0.0)
    rents = np.zeros(len(batch.requirements))
    for column, use in columns:
        cost = sum(rate * prices[rows[row]] for row, rate in use)
        rents[column.job] = max(rents[column.job], batch.worth[column.job] - cost)
    pairs = [(column, float(share)) for (column, _), share in zip(columns, shares, strict=True)]
    return Solution(objective * scale, pairs, prices, rents)


def _undominated(columns: Sequence[Column], row_of: Mapping[int, int]) -> list[tuple[Column, Use]]:
    """Of one requirement: columns of which none uses everything that another one uses."""
    kept: list[tuple[Column, dict[int, int]]] = []
    uses = [(column, {row_of[arc]: rate for arc, rate in column.use if arc in row_of}) for column in columns]
    for column, use in sorted(uses, key=lambda item: len(item[1])):
        if not any(all(use.get(row, 0) >= rate for row, rate in other.items()) for _, other in kept):
            kept.append((column, use))
    return [(column, tuple(sorted(use.items()))) for column, use in kept]


class _Quiet(highspy.Highs):
    """HiGHS greets on standard output when callbacks are set, before any option can be: none are wanted here."""

    def enableCallbacks(self) -> None:
        self.silent()


def _solve(
    worth: NDArray[np.float64],
    limits: NDArray[np.float64],
    starts: list[int],
    index: list[int],
    value: list[float],
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Shares, duals of the rows and the value."""
    solver: highspy.Highs = _Quiet()  # type: ignore[no-untyped-call]
    solver.setOptionValue("threads", 1)
    problem = highspy.HighsLp()
    problem.num_col_, problem.num_row_ = len(worth), len(limits)
    problem.sense_ = highspy.ObjSense.kMaximize
    problem.col_cost_, problem.col_lower_, problem.col_upper_ = worth, np.zeros(len(worth)), np.ones(len(worth))
    problem.row_lower_, problem.row_upper_ = np.full(len(limits), -highspy.kHighsInf), limits
    problem.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    problem.a_matrix_.start_ = np.array(starts, dtype=np.int32)
    problem.a_matrix_.index_ = np.array(index, dtype=np.int32)
    problem.a_matrix_.value_ = np.array(value, dtype=np.float64)
    solver.passModel(problem)
    solver.run()
    solution = solver.getSolution()
    return (
        np.array(solution.col_value),
        np.array(solution.row_dual),
        float(solver.getInfo().objective_function_value),
    )
