"""Prices and columns: best responses under exponential prices, sharper and sharper.

Each requirement in turn gives up its place and takes the cheapest under the prices of the moment, if its cost is below
its worth. The prices are the gradient of a potential, sum of free * exp(-sharpness * room / free) / sharpness, so
every move lowers potential less worth, a smooth stand-in for the packing problem that is the closer the sharper it
is. What comes out is a good packing, prices near the optimal ones, and the columns worth having in the master.
"""

from __future__ import annotations

from collections.abc import Sequence

from carelane.controller.pipeline import admit
from carelane.controller.pipeline.batch._instance import Batch
from carelane.controller.pipeline.lane import Numbers, along, embed
from carelane.topology.paths import Effort

__all__ = ["anneal", "price_columns", "seed"]

SHARPNESS = ((5.0, 2), (20.0, 3), (80.0, 4), (320.0, 4))
"""(sharpness, passes at most)."""
_COLUMNS_FROM = 80.0
_EFFORT = 50_000
_DEAR = 0.3
"""Price per bit/s from which an embedding tries to do without an arc."""


def seed(batch: Batch) -> frozenset[int]:
    """The first embedding, beside what others hold, of every requirement that may not take any path.

    Returns the requirements that are impossible even alone.
    """
    hopeless = set()
    for job, requirement in enumerate(batch.requirements):
        if batch.free[job]:
            continue
        effort = Effort(_EFFORT)
        found = embed(batch.graph, requirement, batch.ledger, effort)
        if found is not None:
            batch.add_embedding(job, found)
        elif not effort.exhausted and len(requirement.pairs) == 1:  # the search for several sites is not exhaustive
            hopeless.add(job)
    return frozenset(hopeless)


def anneal(batch: Batch) -> None:
    """Leaves `batch.state` with a packing and prices, and the batch with the columns seen on the way."""
    for sharpness, passes in SHARPNESS:
        if sharpness >= _COLUMNS_FROM:
            _extend(batch, sharpness)
        settle(batch, sharpness, passes)


def settle(batch: Batch, sharpness: float, passes: int) -> None:
    """Passes of best responses until nothing changes, `passes` at most."""
    graph, jobs = batch.graph, batch.jobs()
    few = len(batch.requirements) // 1000
    for _ in range(passes):
        changes = graph.improve(
            graph.lane_flat, graph.scratch, jobs, batch.state, graph.nothing, graph.room, sharpness, batch.width
        )
        if sharpness >= _COLUMNS_FROM:
            for job, moved in enumerate(batch.state.moved):
                if batch.free[job] and batch.state.chosen[job] >= 0 and (moved or not batch.columns[job]):
                    batch.path_of(job, int(batch.state.chosen[job]))
        if changes <= few:
            break


def _extend(batch: Batch, sharpness: float) -> None:
    """New embeddings, cheap at present prices, for requirements that have objectives."""
    if all(batch.free):
        return
    taken = list(batch.chosen().values())
    for job in range(len(batch.requirements)):
        if not batch.free[job]:
            _embeddings(batch, job, batch.state.price, thorough=sharpness == _COLUMNS_FROM)
    batch.choose(taken)


def _embeddings(batch: Batch, job: int, prices: Numbers, *, thorough: bool) -> bool:
    """The cheapest single path, where that keeps the objectives; else the fastest embedding that avoids dear arcs."""
    graph, requirement = batch.graph, batch.requirements[job]
    if len(requirement.pairs) == 1 and requirement.protection != "required":
        arcs = graph.cheapest(requirement, prices)
        found = None if arcs is None else along(graph, requirement, batch.ledger, arcs[1:-1])
        if found is not None:
            return batch.add_embedding(job, found)
    if not thorough:
        return False
    dear = [
        (graph.port_of[arc], int(graph.room[arc]))
        for arc, price in enumerate(prices[: graph.links_end])
        if price > _DEAR and graph.room[arc] > 0
    ]
    avoiding = batch.ledger.with_slice("\0dear", dear)
    found = admit.embed(graph, requirement, avoiding, Effort(_EFFORT))
    return found is not None and batch.add_embedding(job, found)


def price_columns(batch: Batch, prices: Numbers, thresholds: Sequence[float]) -> int:
    """Add, for every requirement, a column that costs less than its threshold under `prices`; how many were new."""
    graph = batch.graph
    added = 0
    for job, requirement in enumerate(batch.requirements):
        if not batch.free[job]:
            added += _embeddings(batch, job, prices, thorough=False)
            continue
        arcs = graph.cheapest(requirement, prices)
        if arcs is not None and graph.last_cost < thresholds[job]:
            added += batch.add_path(job, arcs)
    return added
