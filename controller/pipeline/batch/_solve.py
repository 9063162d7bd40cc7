"""Column generation: prices suggest columns, the master weighs them, and every price vector certifies a bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from carelane.controller.pipeline.batch._instance import Batch, Column
from carelane.controller.pipeline.batch._master import solve_master
from carelane.controller.pipeline.batch._pricing import anneal, price_columns, seed
from carelane.controller.pipeline.batch._rounding import rounded, worth_of
from carelane.controller.pipeline.certificate import Certificate, certify
from carelane.controller.pipeline.lane import LaneGraph
from carelane.controller.pipeline.progress import Progress, silent
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.shared_backup import may_share
from carelane.topology.ledger import CapacityLedger

__all__ = ["Packing", "pack"]

_ROUNDS = 12
_GAP = 5e-4
"""Where column generation stops: the packing is within this share of the bound."""

_NAUGHT = 1e-9
"""Prices below are none: they would fill the certificate and prove nothing."""


@dataclass(frozen=True, slots=True)
class Packing:
    """Columns that fit together, and the bound that the best prices certify (of what is counted as worth)."""

    columns: tuple[Column, ...]
    certificate: Certificate


def pack(
    graph: LaneGraph,
    ledger: CapacityLedger,
    requirements: Sequence[Requirement],
    worth: Sequence[float],
    progress: Progress = silent,
) -> Packing:
    """A packing of `requirements` beside `ledger` that is worth nearly the most there could be."""
    progress("packing", 0, _ROUNDS + 1)
    graph.follow(ledger)
    batch = Batch(graph, ledger, requirements, worth)
    hopeless = seed(batch)
    # what may share a backup can be admitted where it would have no place with floors of its own
    hopeless = frozenset(job for job in hopeless if not may_share(requirements[job]))
    counted = [0.0 if job in hopeless else value for job, value in enumerate(worth)]
    anneal(batch)
    best = list(batch.chosen().values())
    prices = graph.array([float(price) if price > _NAUGHT else 0.0 for price in batch.state.price])
    certificate = certify(graph, requirements, prices, counted, scale=True)
    center = graph.array([certificate.prices.get(port, 0.0) for port in graph.port_of])
    for turn in range(1, _ROUNDS + 1):
        progress("packing", turn, _ROUNDS + 1)
        solution = solve_master(batch)
        packing = rounded(batch, solution)
        if worth_of(batch, packing) > worth_of(batch, best):
            best = packing
        added = 0
        for share in (0.5, 0.0):
            prices = share * np.asarray(center) + (1.0 - share) * solution.prices
            prices = graph.array([float(price) if price > _NAUGHT else 0.0 for price in prices])
            found = certify(graph, requirements, prices, counted, scale=True)
            if found.bound < certificate.bound:
                certificate = found
                center = graph.array([certificate.prices.get(port, 0.0) for port in graph.port_of])
            thresholds = [float(value - rent) for value, rent in zip(worth, solution.rents, strict=True)]
            added += price_columns(batch, prices, thresholds)
        if not added or worth_of(batch, best) >= certificate.bound * (1.0 - _GAP):
            break
    return Packing(tuple(best), certificate)
