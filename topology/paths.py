"""The constrained shortest path: a topology as flat arrays, and an exact search on it.

Input: a `PathGraph` (built once per topology) and a `Query` (ends, arcs that may be used, room on them, and what a
path must keep). Output: the acceptable path of least propagation delay, ties broken by hops and then by link ids, so
that equal input gives equal bytes. None means that there is none, unless the `Effort` ran out, which it records.

The search runs on arrays, as plain Python or compiled by numba once a process has asked for enough, with equal answers
(`carelane.topology.search`). Kernels of others may share the heap: `push` and `drop_first`, of which `NODE_BITS` and
`NODE_MASK` tell hops and node of an entry.
"""

from __future__ import annotations

from carelane.topology.search._engine import Engine, engine
from carelane.topology.search._graph import UNKNOWN_PS, PathGraph, Route, hops_of
from carelane.topology.search._kernels import NODE_BITS, NODE_MASK, Heap, PathLimits, drop_first, push
from carelane.topology.search._query import TOLERANCE, Cost, Effort, Metrics, Query
from carelane.topology.search._route import best_route

__all__ = [
    "NODE_BITS",
    "NODE_MASK",
    "TOLERANCE",
    "UNKNOWN_PS",
    "Cost",
    "Effort",
    "Engine",
    "Heap",
    "Metrics",
    "PathGraph",
    "PathLimits",
    "Query",
    "Route",
    "best_route",
    "drop_first",
    "engine",
    "hops_of",
    "push",
]
