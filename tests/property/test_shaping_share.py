"""Sharing against a plain oracle: feasible, max-min optimal, floors kept, promises untouched."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from waterfill import plain_fill

from carelane.policies.shaping import Kind, Layout, Source, aimd, settled, share
from carelane.policies.shaping._fill import Incidence, fill

LINKS = st.integers(1, 6)
RATE = st.sampled_from([0.0, 1.0, 2.0, 3.5, 7.0, 10.0, 25.0, math.inf])


@st.composite
def fillings(draw: st.DrawFn) -> tuple[tuple[tuple[int, ...], ...], list[float], list[float], list[float]]:
    links = draw(LINKS)
    room = draw(st.lists(st.sampled_from([0.0, 1.0, 4.0, 10.0, 33.0]), min_size=links, max_size=links))
    path = st.lists(st.integers(0, links - 1), min_size=1, max_size=links, unique=True).map(tuple)
    paths = draw(st.lists(path, min_size=1, max_size=10))
    weights = draw(st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.0]), min_size=len(paths), max_size=len(paths)))
    wanted = draw(st.lists(RATE, min_size=len(paths), max_size=len(paths)))
    return tuple(paths), room, weights, wanted


@given(fillings())
def test_filling_equals_the_plain_progressive_one(
    case: tuple[tuple[tuple[int, ...], ...], list[float], list[float], list[float]],
) -> None:
    paths, room, weights, wanted = case
    got = fill(Incidence.of(paths, len(room)), np.array(room), np.array(weights), np.array(wanted))
    np.testing.assert_allclose(got, plain_fill(paths, room, weights, wanted), rtol=1e-9, atol=1e-9)


@given(fillings())
def test_nobody_could_get_more_without_taking_from_somebody_poorer(
    case: tuple[tuple[tuple[int, ...], ...], list[float], list[float], list[float]],
) -> None:
    """The definition itself, without an oracle: each flow has its want or a full link where none has a higher level."""
    paths, room, weights, wanted = case
    got = fill(Incidence.of(paths, len(room)), np.array(room), np.array(weights), np.array(wanted))
    load = [sum(got[i] for i, path in enumerate(paths) if link in path) for link in range(len(room))]
    assert all(used <= limit + 1e-9 for used, limit in zip(load, room, strict=True))
    for i, path in enumerate(paths):
        level = got[i] / weights[i]
        full = [
            link
            for link in path
            if load[link] >= room[link] - 1e-9
            and all(got[j] / weights[j] <= level + 1e-9 for j, other in enumerate(paths) if link in other)
        ]
        assert got[i] >= wanted[i] - 1e-9 or full


@st.composite
def networks(draw: st.DrawFn) -> tuple[Layout, list[float]]:
    links = [f"l{n}" for n in range(draw(LINKS))]
    kinds: list[Kind] = ["contract", "adaptive", "elastic"]
    sources = []
    reserved = dict.fromkeys(links, 0)
    for number in range(draw(st.integers(1, 8))):
        path = tuple(draw(st.lists(st.sampled_from(links), min_size=1, max_size=len(links), unique=True)))
        declared = draw(st.integers(0, 20))
        sources.append(
            Source(f"s{number}", draw(st.sampled_from(kinds)), declared, path, draw(st.sampled_from([1, 2])))
        )
        for link in path:
            reserved[link] += declared + draw(st.integers(0, 3))  # a floor may exceed the declaration
    capacity = {link: reserved[link] + draw(st.integers(0, 60)) for link in links}
    demands = draw(st.lists(st.one_of(RATE, st.just(math.nan)), min_size=len(sources), max_size=len(sources)))
    return Layout(tuple(sources), capacity, reserved), demands


@given(networks())
def test_no_share_is_below_a_floor_or_breaks_a_promise(case: tuple[Layout, list[float]]) -> None:
    layout, demands = case
    shares = share(layout, demands)
    assert (shares.ceiling >= layout.declared - 1e-9).all(), "never below a floor"
    contract = layout.of_kind("contract")
    assert (shares.ceiling[contract] == layout.declared[contract]).all(), "a contract is what it is"
    elastic = layout.of_kind("elastic")
    for link in layout.capacity_bps:
        beyond = sum(
            shares.ceiling[i] - source.declared_bps
            for i, source in enumerate(layout.sources)
            if not elastic[i] and link in source.links
        )
        assert beyond <= layout.capacity_bps[link] - layout.reserved_bps[link] + 1e-6, "all floors stay free"
        used = sum(shares.granted[i] for i, source in enumerate(layout.sources) if link in source.links)
        assert used <= layout.capacity_bps[link] + 1e-6
    asked = np.nan_to_num(np.array(demands), nan=0.0, posinf=np.inf)
    assert (shares.granted <= asked + 1e-9).all()


@given(networks())
def test_the_same_demands_give_the_same_shares_to_the_bit(case: tuple[Layout, list[float]]) -> None:
    layout, demands = case
    again = Layout(layout.sources, dict(layout.capacity_bps), dict(layout.reserved_bps))
    assert (share(layout, demands).ceiling == share(again, demands).ceiling).all()


@given(networks(), st.data())
def test_ceilings_that_stay_still_keep_every_floor_free_and_every_grant(
    case: tuple[Layout, list[float]], data: st.DataObject
) -> None:
    layout, demands = case
    others = data.draw(st.lists(RATE, min_size=len(demands), max_size=len(demands)))
    before, shares = share(layout, others).ceiling, share(layout, demands)
    after = settled(layout, shares, before)
    adaptive, elastic, contract = (layout.of_kind(kind) for kind in ("adaptive", "elastic", "contract"))
    assert (after[contract] == shares.ceiling[contract]).all()
    assert (after[elastic] >= 0.95 * shares.ceiling[elastic] - 1e-9).all()
    assert (after[elastic] <= 1.12 * shares.ceiling[elastic] + 1e-9).all(), "HTB does the rest"
    enough = np.minimum(shares.ceiling, np.maximum(layout.declared, 0.99 * shares.granted))
    assert (after >= np.where(elastic, layout.declared, enough) - 1e-9).all()
    for link in layout.capacity_bps:
        beyond = sum(
            after[i] - source.declared_bps
            for i, source in enumerate(layout.sources)
            if adaptive[i] and link in source.links
        )
        assert beyond <= layout.capacity_bps[link] - layout.reserved_bps[link] + 1.0 + 1e-6
    assert (settled(layout, shares, after) == after).all(), "the same demands move nothing"
    unknown = np.full(len(demands), math.nan)
    assert (settled(layout, shares, unknown) == shares.ceiling).all()
    assert (after >= shares.ceiling / 1.3 - 1e-9).all(), "nobody is left far below a fair share of what is idle"


@given(networks())
def test_equal_neighbours_get_equal_shares(case: tuple[Layout, list[float]]) -> None:
    layout, demands = case
    first, wanted = layout.sources[0], demands[0]
    twin = Source("twin", first.kind, first.declared_bps, first.links, first.weight)
    reserved = {
        link: rate + (first.declared_bps if link in first.links else 0) for link, rate in layout.reserved_bps.items()
    }
    capacity = {
        link: rate + (first.declared_bps if link in first.links else 0) for link, rate in layout.capacity_bps.items()
    }
    shares = share(Layout((*layout.sources, twin), capacity, reserved), [*demands, wanted])
    assert math.isclose(shares.granted[0], shares.granted[-1], rel_tol=1e-9, abs_tol=1e-9)
    assert math.isclose(shares.ceiling[0], shares.ceiling[-1], rel_tol=1e-9, abs_tol=1e-9)


@given(networks())
def test_the_yardstick_keeps_floors_too(case: tuple[Layout, list[float]]) -> None:
    layout, demands = case
    rates = np.minimum(np.nan_to_num(np.array(demands), nan=0.0), 1000.0)
    after = aimd(layout, layout.declared, rates, step_bps=1.0)
    assert (after >= layout.declared).all()
