"""Weighted max-min filling as a textbook writes it: all levels rise together until the next thing stops. The oracle."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["plain_fill"]


def plain_fill(
    paths: Sequence[Sequence[int]], room: Sequence[float], weights: Sequence[float], wanted: Sequence[float]
) -> list[float]:
    """Extras by flow. One event a round: the flow or the link that stops first."""
    got = [0.0] * len(paths)
    rising = {i for i, want in enumerate(wanted) if want > 0}
    on = [[i for i, path in enumerate(paths) if link in path] for link in range(len(room))]
    left = [max(0.0, amount) for amount in room]
    while rising:
        step, stops = math.inf, set[int]()
        for i in rising:
            need = (wanted[i] - got[i]) / weights[i]
            if need < step - 1e-12:
                step, stops = need, {i}
            elif need <= step + 1e-12:
                stops.add(i)
        for link, flows in enumerate(on):
            active = [i for i in flows if i in rising]
            if active:
                need = left[link] / sum(weights[i] for i in active)
                if need < step - 1e-12:
                    step, stops = need, set(active)
                elif need <= step + 1e-12:
                    stops.update(active)
        for i in rising:
            got[i] += step * weights[i]
            for link in paths[i]:
                left[link] = max(0.0, left[link] - step * weights[i])
        rising -= stops
    return got
