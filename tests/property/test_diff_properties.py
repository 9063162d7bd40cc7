"""Random pairs of switch programs: the way from one to the other is minimal, safe at every step, and arrives."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from carelane.controller.pipeline.changes import SwitchChanges
from carelane.controller.pipeline.diff import diff, references
from carelane.controller.pipeline.identifiers import CookieKind, cookie_of, group_id
from carelane.controller.pipeline.program import (
    Action,
    Bucket,
    FlowRule,
    Group,
    Match,
    Meter,
    Output,
    PortQos,
    Queue,
    SetQueue,
    SwitchProgram,
    ToGroup,
    ToMeter,
)
from carelane.controller.southbound.simulator import Simulator
from carelane.errors import SwitchUnreachable
from carelane.topology.model import Node, Topology

LABELS = (16, 17, 18)
TOPOLOGY = Topology("one", {"s": Node("s", 1)}, {}, {}, {})


@st.composite
def programs(draw):
    """Few numbers, so that two programs share many of them; everything referred to exists."""
    ports = []
    for port in draw(st.sets(st.sampled_from([1, 2, 3]))):
        numbers = {0, *draw(st.sets(st.sampled_from([1, 2, 3])))}
        floor = draw(st.sampled_from([10, 20]))
        ports.append(PortQos(port, 100, tuple(Queue(n, floor, 100, 8, 1, f"s{n}") for n in numbers)))
    exits: list[tuple[Action, ...]] = [
        (SetQueue(queue.id), Output(port.port)) for port in ports for queue in port.queues
    ]
    exits.append((Output(9),))
    meters = [Meter(n, draw(st.sampled_from([1, 2])), 5) for n in draw(st.sets(st.sampled_from(LABELS)))]
    groups = []
    for label in draw(st.sets(st.sampled_from(LABELS))):
        chosen = draw(st.lists(st.sampled_from(exits), min_size=1, max_size=2))
        groups.append(Group(group_id(label), "all", tuple(Bucket(actions) for actions in chosen)))
    endings = [*exits, *((ToGroup(group.id),) for group in groups)]
    starts = [(), *((ToMeter(meter.id),) for meter in meters)]
    flows = [
        FlowRule(
            0,
            1,
            Match(in_port=in_port),
            (*draw(st.sampled_from(starts)), *draw(st.sampled_from(endings))),
            cookie_of(CookieKind.SLICE, draw(st.sampled_from([1, 2]))),
        )
        for in_port in draw(st.sets(st.integers(20, 25)))
    ]
    return SwitchProgram("s", 1, tuple(flows), tuple(groups), tuple(meters), tuple(ports))


def dangling(program: SwitchProgram) -> list[str]:
    """What flows, and the groups they use, refer to in vain."""
    wanted = references(rule.actions for rule in program.flows)
    groups = {group.id: group for group in program.groups}
    used = [groups[number] for number in wanted.groups if number in groups]
    queues = wanted.queues | references(bucket.actions for group in used for bucket in group.buckets).queues
    present = {(port.port, queue.id) for port in program.ports for queue in port.queues}
    return [
        *(f"group {number:#x}" for number in wanted.groups - groups.keys()),
        *(f"meter {number}" for number in wanted.meters - {meter.id for meter in program.meters}),
        *(f"queue {queue} at {port}" for port, queue in queues if queue and (port, queue) not in present),
    ]


def holding(program: SwitchProgram) -> Simulator:
    simulator = Simulator(TOPOLOGY)
    simulator.apply(diff(SwitchProgram("s", 1), program))
    return simulator


@given(programs(), programs())
@settings(max_examples=150, deadline=None)
def test_every_step_is_safe_and_the_last_one_arrives(start, goal):
    simulator = holding(start)
    staying = {rule.key for rule in start.flows} & {rule.key for rule in goal.flows}
    for operation in diff(start, goal).operations:
        simulator.apply(SwitchChanges("s", 1, (operation,)))
        now = simulator.read("s").own
        assert dangling(now) == []
        assert staying <= {rule.key for rule in now.flows}
    assert simulator.read("s").own == goal
    assert not diff(simulator.read("s").own, goal)


@given(programs(), programs())
@settings(max_examples=100, deadline=None)
def test_what_is_right_already_is_not_touched(start, goal):
    changes = diff(start, goal)
    for parts in ("flows", "groups", "meters"):
        same = set(getattr(start, parts)) & set(getattr(goal, parts))
        assert same.isdisjoint(operation.target for operation in changes.operations)
    touched = [operation.target for operation in changes.operations if not isinstance(operation.target, PortQos)]
    assert len(touched) == len(set(touched))
    assert not diff(goal, goal)


@given(programs(), programs(), st.integers(0, 12))
@settings(max_examples=80, deadline=None)
def test_an_apply_that_broke_off_is_finished_by_the_next(start, goal, done):
    simulator = holding(start)
    simulator.fail_after(done)
    changes = diff(start, goal)
    try:
        simulator.apply(changes)
        assert len(changes.operations) <= done
    except SwitchUnreachable:
        assert dangling(simulator.read("s").own) == []
    simulator.fail_after(10_000)
    simulator.apply(diff(simulator.read("s").own, goal))
    assert simulator.read("s").own == goal


def test_a_queue_that_a_used_group_still_sends_into_goes_last():
    port, group = PortQos(1, 100, (Queue(0, 10, 100, 8, 7, ""), Queue(2, 10, 100, 8, 1, "s2"))), group_id(16)
    flow = FlowRule(0, 1, Match(in_port=20), (ToGroup(group),), cookie_of(CookieKind.SLICE, 2))
    start = SwitchProgram("s", 1, (flow,), (Group(group, "all", (Bucket((SetQueue(2), Output(1))),)),), (), (port,))
    goal = SwitchProgram(
        "s",
        1,
        (flow,),
        (Group(group, "all", (Bucket((Output(1),)),)),),
        (),
        (PortQos(1, 100, (port.queues[0], Queue(3, 10, 100, 8, 1, "s3"))),),
    )
    simulator = holding(start)
    for operation in diff(start, goal).operations:
        simulator.apply(SwitchChanges("s", 1, (operation,)))
        assert dangling(simulator.read("s").own) == []
    assert simulator.read("s").own == goal
