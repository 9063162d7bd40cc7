"""Faults that show only on a third path, in what leads back to itself, or beside what a change leaves alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from worlds import three_lanes, world

from carelane.controller.pipeline.changes import Operation, SwitchChanges
from carelane.controller.pipeline.compile import CLASSIFY, PORTS
from carelane.controller.pipeline.identifiers import forward_label, return_group_id, slice_number
from carelane.controller.pipeline.program import Bucket, GotoTable, SetMplsLabel, SetQueue, ToGroup, ToMeter
from carelane.controller.pipeline.verify import Verifier, verify_program


def _bucket(change):
    """Change the bucket of the third path."""
    return lambda buckets, ids: (*buckets[:-1], replace(buckets[-1], actions=tuple(change(buckets[-1].actions, ids))))


def _relabelled(actions, ids):
    return [SetMplsLabel(ids.first_label) if isinstance(action, SetMplsLabel) else action for action in actions]


RETURNS = {
    "third before second": lambda buckets, _: buckets[::-1],
    "no second path": lambda buckets, _: buckets[1:],
    "no third path": lambda buckets, _: buckets[:-1],
    "label of the first path": _bucket(_relabelled),
    "no queue": _bucket(lambda actions, _: [action for action in actions if not isinstance(action, SetQueue)]),
    "policed again": _bucket(lambda actions, ids: [ToMeter(ids.first_label), *actions]),
    "nothing": _bucket(lambda *_: []),
}
"""What may be wrong at the edge with packets that come back from the first of three paths."""


@pytest.mark.parametrize("name", RETURNS)
def test_what_returns_is_followed_to_the_third_path(name):
    made = three_lanes()
    program = made.program()
    assert verify_program(made.topology, program, made.slices) == ()
    ((_, ids),) = made.slices
    number = return_group_id(forward_label(ids, 0))
    broken = _with_group(program, "s", number, lambda group: RETURNS[name](group.buckets, ids))
    (*_, fault) = verify_program(made.topology, broken, made.slices)
    assert fault.failed, "it shows only while links are dead"


def _with_group(program, node, number, change):
    groups = [replace(group, buckets=change(group)) if group.id == number else group for group in program[node].groups]
    return {**program, node: replace(program[node], groups=tuple(groups))}


def test_a_group_that_leads_back_to_itself_is_a_fault():
    made = three_lanes()
    program = made.program()
    group = program["a0"].groups[0]
    broken = _with_group(program, "a0", group.id, lambda group: (Bucket((ToGroup(group.id),), watch_port=1),))
    faults = verify_program(made.topology, broken, made.slices)
    assert any(fault.kind == "loop" and "leads back to itself" in fault.detail for fault in faults)


def test_a_table_that_leads_back_to_an_earlier_one_is_a_fault():
    made = three_lanes()
    program = made.program()
    flows = [replace(f, actions=(GotoTable(PORTS),)) if f.table == CLASSIFY else f for f in program["s"].flows]
    broken = {**program, "s": replace(program["s"], flows=tuple(flows))}
    faults = verify_program(made.topology, broken, made.slices)
    assert any(fault.kind == "loop" and "leads back to table 0" in fault.detail for fault in faults)


def test_a_slices_rule_in_place_of_the_pipelines_is_found_by_the_change_alone():
    made = next(w for w in map(world, range(10)) if w.slices)
    program = made.program()
    verifier = Verifier(made.topology)
    assert verifier.check(program, made.slices) == ()
    node, miss = next(
        (node, rule) for node in program for rule in program[node].flows if (rule.table, rule.priority) == (CLASSIFY, 0)
    )
    assert slice_number(miss.cookie) == 0
    taken = Operation("add", replace(miss, cookie=miss.cookie + made.slices[0][1].number))
    found = verifier.check_change([SwitchChanges(node, 1, (taken,))])
    assert "ground-rule" in {fault.kind for fault in found}
