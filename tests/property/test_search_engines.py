"""The compiled kernels and plain Python: equal answers, equal effort."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from math import inf, log
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carelane.topology.disjoint import disjoint_routes
from carelane.topology.model import Link, Node, RiskGroup, Topology
from carelane.topology.paths import Effort, Metrics, PathGraph, PathLimits, Query, Route, best_route
from carelane.topology.search import _engine, _route, _ways

Answer = tuple[Route | None, tuple[Route, ...] | None, int, bool]


def network(dice: random.Random, nodes: int, links: int, groups: int) -> Topology:
    """Random, with ties, parallel links and many risk groups that state an availability."""
    names = [f"d{place}" for place in range(groups)]
    made = []
    for place in range(links):
        a, b = dice.sample(range(nodes), 2)
        link = Link(
            f"l{place}",
            f"n{a}",
            f"n{b}",
            1,
            1,
            dice.choice([10, 50, 100]) * 10**6,
            dice.choice([None, 0.0, 0.001, 0.001, 0.002, 0.004]),
            dice.choice([0.9, 0.99, 0.999]),
            dice.choice([None, 0.001, 0.01]),
            risk_groups=frozenset(dice.sample(names, min(groups, dice.choice([0, 0, 1, 2])))),
        )
        made.append(link)
    return Topology(
        "random",
        MappingProxyType({f"n{place}": Node(f"n{place}", place + 1, 0.9999) for place in range(nodes)}),
        MappingProxyType({link.id: link for link in made}),
        MappingProxyType({}),
        MappingProxyType({name: RiskGroup(name, dice.choice([None, 0.99, 0.999])) for name in names}),
    )


def answer(topology: Topology, dice: random.Random, effort: int) -> Answer:
    """One path and one pair under bounds drawn by lot."""
    graph = PathGraph(topology)
    delay_ps, max_loss = dice.choice([3, 6, 12]) * 10**9, -log(dice.choice([0.99, 0.97]))
    rate, bits = 5 * 10**6, dice.choice([8_000, 40_000])
    limits = PathLimits(
        rate, rate, bits, bits, 12_000, 0, 0, 10**8, 10**8, delay_ps, inf, dice.random() < 0.3, max_loss
    )

    def acceptable(metrics: Metrics) -> bool:
        need = (bits + (metrics.hops + 1) * 12_000) * 10**12
        trips = 2 if limits.round_trip else 1
        if metrics.room < rate or metrics.return_room < rate or metrics.loss > max_loss + 1e-12:
            return False
        each = [-(-need // min(room, 10**8)) + metrics.latency_ps for room in (metrics.room, metrics.return_room)]
        taken = metrics.propagation_ps * trips + (sum(each) if limits.round_trip else max(each))
        return taken <= delay_ps

    room = [capacity or 0 for capacity in graph.capacity]
    usable = [free >= rate and dice.random() < 0.95 for free in room]
    source, target = 0, len(graph.node_ids) - 1
    query = Query(graph, source, target, usable, room, acceptable, -log(dice.choice([0.8, 0.95, 0.98])), limits=limits)
    left = Effort(effort)
    route = best_route(query, left)
    pair = disjoint_routes([query, query], left, dice.choice([None, 1e-3, 1e-2]))
    return route, pair, left.left, left.exhausted


@pytest.fixture(scope="module")
def compiled() -> _engine.Engine:
    made = _engine.compiled()
    if made is None:
        pytest.skip("numba is absent or switched off")
    return made


@given(
    st.integers(0, 2**32),
    st.integers(2, 14),
    st.integers(1, 40),
    st.sampled_from([0, 0, 3, 130]),
    st.sampled_from([40, 10**6]),
)
@settings(max_examples=150, deadline=None)
def test_equal_answers_and_equal_effort(
    compiled: _engine.Engine, seed: int, nodes: int, links: int, groups: int, effort: int
) -> None:
    topology = network(random.Random(seed), nodes, links, groups)
    answers = []
    with pytest.MonkeyPatch.context() as patch:
        for chosen in (_engine.plain(), compiled):
            for module in (_route, _ways):
                patch.setattr(module, "engine", lambda _, chosen=chosen: chosen)
            answers.append(answer(topology, random.Random(seed + 1), effort))
    assert answers[0] == answers[1]


def test_numba_is_not_imported_for_a_small_network_nor_when_switched_off() -> None:
    program = """
import sys
from carelane.topology.search import _engine
small = _engine.engine(100)
assert small is _engine.plain() and "numba" not in sys.modules
for _ in range(10):
    chosen = _engine.engine(_engine.PATIENCE)
print(type(chosen).__name__, "numba" in sys.modules)
"""
    said = []
    for switch in ("0", "1"):
        environment = os.environ | {"NUMBA_DISABLE_JIT": switch}
        run = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        said.append(run.stdout.split())
    assert said == [["Compiled", "True"], ["Plain", "False"]]
