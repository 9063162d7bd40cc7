"""Every fault put into a program is found, with a packet to show it, and no sound program is refused."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from worlds import MUTATIONS, TREE_MUTATIONS, mutate, tree_world, world

from carelane.controller.pipeline.compile import _resolved, compile_program
from carelane.controller.pipeline.diff import diff
from carelane.controller.pipeline.planner import plan
from carelane.controller.pipeline.verify import Verifier, verify_program

SOUND = 250
SEEDS_A_KIND = 10
MEETING = (0, 81, 116, 136, 138, 159, 161, 163, 173, 205, 229)
"""Worlds in which copies of several trees, or of several branches of one risk group, meet at a port."""


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


@pytest.mark.parametrize("kind", TREE_MUTATIONS)
def test_every_seeded_fault_of_a_planned_tree_is_found(kind):
    tried = 0
    for seed in range(250):
        made = tree_world(seed)
        broken = mutate(made.program(), kind, seed)
        if broken is None:
            continue
        faults = verify_program(made.topology, broken, made.slices)
        assert faults, f"{kind} in tree world {seed} went unnoticed"
        shown = [fault for fault in faults if fault.kind in ("duplicated", "loop", "misdelivered", "off-path")]
        assert all(fault.packet and fault.walk for fault in shown), "the packet, and the way it takes"
        tried += 1
        if tried == SEEDS_A_KIND:
            return
    pytest.fail(f"only {tried} trees could be broken by {kind!r}")


def test_planned_trees_are_sound_and_reserve_what_switches_are_told():
    floors: Counter[int] = Counter()
    for seed in (*range(1, 40), *MEETING):
        made = tree_world(seed)
        program = made.program()
        assert verify_program(made.topology, program, made.slices) == (), seed
        for decision, ids in made.slices:
            ledger = plan(made.topology, [decision.requirement]).ledger
            for (node, name), floor_bps in ledger.slice_floors("lesson").items():
                if name not in made.topology.links:
                    continue
                port = made.topology.links[name].port_at(node)
                queues = next(qos.queues for qos in program[node].ports if qos.port == port)
                assert [queue.min_rate_bps for queue in queues if queue.id == ids.number] == [floor_bps], (seed, node)
                floors[floor_bps // 10_000_000] += 1
    assert min(floors[1], floors[2], floors[3]) > 0, "one tree, two, and copies that a risk group adds"


def test_copies_that_a_risk_group_makes_meet_are_counted_by_walking(monkeypatch):
    """Compile and expect less than those need, and the walks find the port that takes more than its floor."""
    monkeypatch.setattr(_resolved, "crowds", lambda *_: frozenset())
    found = [fault for seed in MEETING for fault in _faults_of(tree_world(seed))]
    assert found
    assert {(fault.kind, fault.failed) for fault in found} == {("wrong-floor", "risk group duct")}
    assert all("copies leave by port" in fault.detail and fault.walk for fault in found)


def _faults_of(made):
    return verify_program(made.topology, made.program(), made.slices)


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
