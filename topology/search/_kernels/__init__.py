"""The inner loops of the path search, in the part of Python that numba compiles. Nothing here knows of ids or objects.

Arcs are numbered so that `arc ^ 1` is the return of `arc`; those leaving node v are `out[first[v]:first[v + 1]]`, in
ascending order, and `head[arc]` is where an arc leads. Costs are pairs (weight, hops) in dictionary order: an ordered
group, so everything that holds of distances holds of them. `carelane.topology.search._engine` runs these functions on
lists as they stand, or on NumPy arrays when compiled; every array is given by the caller, so both are the same code.
`KERNELS` of a module names what is called from outside.
"""

from __future__ import annotations

from carelane.topology.search._kernels import _arrays, _disjoint, _labels, _shortest
from carelane.topology.search._kernels._arrays import ENDLESS, NODE_BITS, NODE_MASK, Arcs, Flat, Heap, drop_first, push
from carelane.topology.search._kernels._disjoint import Flow
from carelane.topology.search._kernels._labels import GROW, SPENT, WORD_BITS, Labels, PathLimits, Remainders, Target

__all__ = [
    "ENDLESS",
    "GROW",
    "MODULES",
    "NODE_BITS",
    "NODE_MASK",
    "SPENT",
    "WORD_BITS",
    "Arcs",
    "Flat",
    "Flow",
    "Heap",
    "Labels",
    "PathLimits",
    "Remainders",
    "Target",
    "drop_first",
    "push",
]

MODULES = (_arrays, _shortest, _labels, _disjoint)
"""In an order in which each only calls those before it."""
