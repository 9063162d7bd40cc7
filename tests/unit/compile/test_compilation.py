"""A compilation that is kept gives what compiling everything anew gives, whatever came before."""

from __future__ import annotations

import random

import pytest

from carelane.controller.pipeline.compile import Compilation, check_slice, compile_program
from carelane.controller.pipeline.identifiers import allocate
from carelane.errors import CollisionError, ConflictError

MBIT = 1_000_000


@pytest.fixture
def slices(net):
    """Nine, of all kinds: protected, of several sites, within one switch."""
    return net.number(
        [
            net.decide("one", {("h1", "h3"): ["ab", "cd"]}),
            net.decide("two", {("h1b", "h3"): ["cd", "ab"]}, traffic_class="high-throughput-data"),
            net.decide("three", {("h5", "h2"): ["e"]}, reverse_bps=0),
            net.decide("four", {("h2", "h3"): ["b"], ("h2", "h5b"): ["e"]}, connectivity="point-to-multipoint"),
            net.decide("five", {("h5b", "h5"): [""]}),
            net.decide("six", {("h1", "h2"): ["a", "cdb"]}),
            net.decide("seven", {("h3", "h5"): ["be", "dcae"]}),
            net.decide("eight", {("h1b", "h5"): ["ae"]}),
            net.decide("nine", {("h1", "h5b"): ["ae"]}, forward_bps=1000),
        ]
    )


def test_changes_compile_to_what_all_anew_would(net, slices):
    dice = random.Random(7)
    kept = Compilation(net.topology)
    before = {}
    for _ in range(40):
        chosen = dice.sample(slices, dice.randint(0, len(slices)))
        avoid = frozenset(dice.sample("abcde", dice.randint(0, 2)))
        program = kept.program(chosen, avoid)
        assert program == compile_program(net.topology, chosen, avoid)
        assert all(before[node] is program[node] for node in before if before[node] == program[node] and not avoid)
        before = {} if avoid else program


def test_what_stays_as_it_was_is_the_same_object(net, slices):
    kept = Compilation(net.topology)
    before = kept.program(slices[1:])
    after = kept.program(slices)
    assert [node for node in before if before[node] is not after[node]] == ["s1", "s2", "s3", "s4"]


def test_a_slice_that_collides_leaves_the_last_program_standing(net, slices):
    kept = Compilation(net.topology)
    before = kept.program(slices)
    clash = net.decide("clash", {("h3", "h1"): ["dc"]})
    numbers = allocate(clash, [ids for _, ids in slices])
    with pytest.raises(ConflictError, match="one and clash cannot be told apart"):
        kept.program([*slices[2:], (clash, numbers), slices[0]])
    greedy = net.decide("greedy", {("h1b", "h3"): ["ab"]}, forward_bps=95 * MBIT)
    with pytest.raises(ConflictError, match="are promised"):
        kept.program([*(item for item in slices if item[0].name != "two"), (greedy, numbers)])
    assert kept.program(slices) == before


def test_those_that_fit_are_compiled_beside_those_that_do_not(net, slices):
    clash = net.decide("clash", {("h3", "h1"): ["ba"]})
    greedy = net.decide("greedy", {("h2", "h5"): ["e"]}, forward_bps=95 * MBIT)
    crowd = [*slices, (clash, allocate(clash, [ids for _, ids in slices]))]
    crowd.append((greedy, allocate(greedy, [ids for _, ids in crowd])))
    program, unfit = Compilation(net.topology).fitting(crowd)
    assert sorted(unfit) == ["clash", "greedy"]
    assert program == compile_program(net.topology, slices)
    first, others = Compilation(net.topology).fitting(crowd[::-1])
    assert others.keys().isdisjoint({"greedy", "clash"})
    assert {"one"} < set(others)
    assert first == compile_program(net.topology, [item for item in crowd if item[0].name not in others])


def test_slices_collide_where_one_sends_what_the_other_sends(net, slices):
    """Neither the way back alone nor a shared end does it."""
    back = net.decide("back", {("h2", "h5"): ["e"]}, reverse_bps=0)
    check_slice(net.topology, back, allocate(back, [ids for _, ids in slices]), slices)
    same = net.decide("same", {("h2", "h5"): ["e"]})
    with pytest.raises(CollisionError, match="three and same cannot be told apart at s5"):
        check_slice(net.topology, same, allocate(same, [ids for _, ids in slices]), slices)
