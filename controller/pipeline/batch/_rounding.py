"""From shares to a packing: whole columns, those with the largest share first, then best responses in what is left."""

from __future__ import annotations

from collections.abc import Iterable

from carelane.controller.pipeline.batch._instance import Batch, Column
from carelane.controller.pipeline.batch._master import Solution
from carelane.controller.pipeline.batch._pricing import settle

__all__ = ["rounded", "worth_of"]

_SHARPNESS = 640.0
_PASSES = 3


def worth_of(batch: Batch, columns: Iterable[Column]) -> float:
    """What a packing is worth."""
    return sum(batch.worth[column.job] for column in columns)


def rounded(batch: Batch, solution: Solution) -> list[Column]:
    """A packing near `solution`."""
    room = [int(free) for free in batch.graph.room]
    taken: dict[int, Column] = {}
    for column, share in sorted(solution.shares, key=lambda item: (-round(item[1], 6), item[0].job, item[0].use)):
        if share < 1e-6 or column.job in taken or any(room[arc] < rate for arc, rate in column.use):
            continue
        taken[column.job] = column
        for arc, rate in column.use:
            room[arc] -= rate
    batch.choose(list(taken.values()))
    settle(batch, _SHARPNESS, _PASSES)
    return list(batch.chosen().values())
