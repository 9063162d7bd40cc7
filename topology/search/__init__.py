"""Path search on flat arrays: kernels that run as plain Python or compiled by numba, with equal answers.

The public face is `carelane.topology.paths` (one path) and `carelane.topology.disjoint` (sets of paths).
"""
