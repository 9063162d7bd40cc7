"""Every fault put into a program is found, with a packet to show it, and no sound program is refused."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from worlds import MUTATIONS, mutate, world

from carelane.controller.pipeline.compile import compile_program
from carelane.controller.pipeline.diff import diff
from carelane.controller.pipeline.verify import Verifier, verify_program

SOUND = 250
SEEDS_A_KIND = 10


def test_no_sound_program_is_refused():
    for seed in range(SOUND):
        made = world(seed)
        assert verify_program(made.topology, made.program(), made.slices) == (), seed


def test_programs_that_avoid_a_link_are_sound_too():
    for seed in range(60):
        made = world(seed)
        avoid = {random.Random(seed).choice(sorted(made.topology.links))}
        program = compile_program(made.topology, made.slices, avoid)
        assert verify_program(made.topology, program, made.slices, avoid) == (), seed


@pytest.mark.parametrize("kind", MUTATIONS)
def test_every_seeded_fault_is_found(kind):
    tried = 0
    for seed in range(100):
        made = world(1000 + seed)
        broken = mutate(made.program(), kind, seed)
        if broken is None:
            continue
        assert verify_program(made.topology, broken, made.slices), f"{kind} in world {1000 + seed} went unnoticed"
        tried += 1
        if tried == SEEDS_A_KIND:
            return
    pytest.fail(f"only {tried} programs could be broken by {kind!r}")


def test_the_corpus_is_as_large_as_promised():
    assert len(MUTATIONS) * SEEDS_A_KIND >= 200
    assert SOUND >= 200


def test_a_change_is_judged_like_the_whole():
    """Slices and faults come and go; the incremental verdict equals that of a full check each time."""
    verdicts: Counter[bool] = Counter()
    for seed in range(40):
        dice = random.Random(seed)
        made = world(2000 + seed)
        if len(made.slices) < 2:
            continue
        verifier = Verifier(made.topology)
        held = made.slices[:1]
        program = compile_program(made.topology, held)
        assert verifier.check(program, held) == ()
        for item in made.slices[1:]:
            held = [*held, item]
            wanted = compile_program(made.topology, held)
            broken = mutate(wanted, dice.choice(sorted(MUTATIONS)), seed) if dice.random() < 0.5 else None
            after = broken or wanted
            found = verifier.check_change([diff(program[n], after[n]) for n in program], [item])
            assert bool(found) == bool(verify_program(made.topology, after, held)) == (broken is not None)
            verdicts[bool(found)] += 1
            assert verifier.check_change([diff(after[n], wanted[n]) for n in after]) == ()
            program = wanted
        number = held[0][1].number
        wanted = compile_program(made.topology, held[1:])
        left = [diff(program[n], wanted[n]) for n in program]
        assert verifier.check_change(left, gone=[number]) == ()
        assert verifier.check_change([diff(wanted[n], program[n]) for n in wanted]), "rules of nobody are back"
    assert min(verdicts[True], verdicts[False]) > 10


def test_a_counter_example_names_the_packet_and_its_way():
    made = next(w for w in map(world, range(100)) if len(w.slices) > 2)
    broken = mutate(made.program(), "missing pop", 1)
    assert broken is not None
    fault = next(f for f in verify_program(made.topology, broken, made.slices) if f.kind == "wrong-header")
    text = str(fault)
    assert fault.walk
    assert "label" in text
    assert fault.packet in text
    assert f"way {fault.walk[0].node} " in text
