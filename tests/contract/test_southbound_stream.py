"""The southbound stream: what is said on one side arrives on the other, and every way to break it has an end."""

from __future__ import annotations

import stat
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

import grpc
import pytest
from worlds import world  # pyright: ignore[reportMissingImports]  (tests/support is no package)

from carelane.api.grpc.gen import southbound_pb2 as pb
from carelane.api.grpc.southbound import RemoteSouthbound, SouthboundServer
from carelane.api.grpc.southbound._messages import counters_message, counters_value, message, value
from carelane.controller.pipeline.changes import Operation, SwitchChanges
from carelane.controller.pipeline.program import (
    Action,
    Bucket,
    FlowRule,
    GotoTable,
    Group,
    Match,
    Meter,
    Output,
    PopMpls,
    PortBfd,
    PushMpls,
    SetDscp,
    SetEthDst,
    SetMplsLabel,
    SetMplsTc,
    SetQueue,
    SwitchProgram,
    ToGroup,
    ToMeter,
)
from carelane.controller.southbound.protocol import DiscoveredLink, Receipt, SwitchState, SwitchStatus
from carelane.controller.southbound.simulator import Simulator
from carelane.errors import InputError, NotFoundError, NotLeader, ProgramError, SwitchUnreachable

WORLD = world(3)
ACTIONS = (
    *(ToMeter(7), SetMplsTc(3), PushMpls(), SetMplsLabel(16), PopMpls(0x0800), SetDscp(46), SetQueue(0)),
    *(SetEthDst("02:00:00:00:00:01"), ToGroup(0xCA000010), Output(0xFFFFFFFD, 65535), GotoTable(1)),
)
FULL = Match(1, "02:00:00:00:00:01", "02:00:00:00:00:02", 0x0800, "10.0.0.0/8", "10.0.0.1/32", 17, 0, 65535, 16, 0)
Connect = Callable[..., RemoteSouthbound]


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"unix:{tmp_path / 'switches' / 'southbound.sock'}"


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(WORLD.topology)


@pytest.fixture
def serve(simulator: Simulator, address: str) -> Iterator[Callable[[], SouthboundServer]]:
    running: list[SouthboundServer] = []

    def start(southbound: Any = simulator) -> SouthboundServer:
        running.append(SouthboundServer(southbound, WORLD.topology, address, "somewhere"))
        running[-1].start()
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def connect(address: str) -> Iterator[Connect]:
    open_ones: list[RemoteSouthbound] = []

    def make(**options: Any) -> RemoteSouthbound:
        remote = RemoteSouthbound(WORLD.topology, address, **options)
        remote.start()
        open_ones.append(remote)
        return remote

    yield make
    for remote in open_ones:
        remote.stop()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def additions(program: SwitchProgram) -> SwitchChanges:
    targets = (*program.meters, *program.groups, *program.ports, *program.watches, *program.flows)
    return SwitchChanges(program.node, program.dpid, tuple(Operation("add", target) for target in targets))


def test_whatever_a_program_can_say_arrives_as_it_was_sent() -> None:
    assert {type(action) for action in ACTIONS} == set(get_args(Action)), "a new action must be carried too"
    assert all(getattr(FULL, item.name) is not None for item in fields(Match))
    for seed in range(8):
        for program in world(seed).program().values():
            assert value(message(program)) == program
            assert value(message(additions(program))) == additions(program)
    flows = (FlowRule(0, 65535, FULL, ACTIONS, 0xCA9E << 48), FlowRule(1, 0, Match(), (), 0))
    groups = (
        Group(1, "fast-failover", (Bucket(ACTIONS, 0), Bucket(()))),
        Group(2, "all", ()),
        Group(3, "indirect", ()),
    )
    state = SwitchState(SwitchProgram("s", 2**64 - 1, flows, groups), ("stranger",), ("mismatch",), {"flow": 2**40})
    assert value(message(state)) == state
    for status in (
        SwitchStatus("s", 1, True, "", {1: True, 2: False}, frozenset({3, 2}), 7),
        SwitchStatus("s", 1, False, "why"),
    ):
        assert value(message(status)) == status
    for item in fields(Match):
        one = Match(**{item.name: getattr(FULL, item.name)})
        assert value(message(one)) == one


@pytest.mark.parametrize(
    "sent",
    [
        pb.Operation(verb="add"),
        pb.Operation(verb="drop", meter=pb.Meter(id=1)),
        pb.Group(id=1, type="select"),
        pb.FlowRule(actions=[pb.Action()]),
    ],
)
def test_what_no_program_can_say_is_refused(sent: Any) -> None:
    with pytest.raises(ProgramError):
        value(sent)
    with pytest.raises(ProgramError):
        message(Meter(1, -1, 0))


def test_counters_and_programs_are_those_of_the_switches(
    serve: Callable[[], SouthboundServer], connect: Connect, simulator: Simulator
) -> None:
    serve()
    remote = connect()
    assert remote.address == "somewhere"
    for program in WORLD.program().values():
        receipt = remote.apply(additions(program))
        assert receipt.operations == len(additions(program).operations)
        assert remote.read(program.node) == simulator.read(program.node)
        assert remote.read(program.node).own == program
        counted = simulator.counters(program.node)
        assert counters_value(counters_message(counted)) == counted
        assert remote.counters(program.node).flows == counted.flows
    assert remote.statuses() == simulator.statuses()
    until(lambda: remote.links() == simulator.links())
    assert remote.link_delays() == {}
    with pytest.raises(NotFoundError, match="nowhere"):
        remote.read("nowhere")
    with pytest.raises(ProgramError):
        remote.apply(SwitchChanges("n0", 1, (Operation("add", FlowRule(0, 1, Match(), (ToMeter(99),), 0)),)))


def test_a_failure_over_there_is_seen_here(
    serve: Callable[[], SouthboundServer], connect: Connect, simulator: Simulator
) -> None:
    serve()
    remote = connect()
    link = next(iter(WORLD.topology.links.values()))
    simulator.set_link(link.id, up=False)
    until(lambda: remote.statuses()[link.a].ports_up[link.a_port] is False)
    simulator.set_connected("n1", False)
    until(lambda: not remote.statuses()["n1"].connected)
    with pytest.raises(SwitchUnreachable):
        remote.read("n1")


def test_the_process_may_come_late_go_and_come_again(
    serve: Callable[[], SouthboundServer], connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carelane.api.grpc.southbound.client._START_S", 0.2)
    remote = connect()
    absent = remote.statuses()
    assert absent.keys() == WORLD.topology.nodes.keys()
    assert all(not status.connected and "does not answer" in status.reason for status in absent.values())
    with pytest.raises(SwitchUnreachable, match="does not answer"):
        remote.read("n0")
    first = serve()
    until(lambda: remote.statuses()["n0"].connected)
    first.stop()
    until(lambda: not remote.statuses()["n0"].connected)
    serve()
    until(lambda: remote.statuses()["n0"].connected)
    assert remote.read("n0").own.node == "n0"


def test_whoever_waits_is_told_when_the_process_goes(
    serve: Callable[..., SouthboundServer], connect: Connect, simulator: Simulator
) -> None:
    entered, goes_on = threading.Event(), threading.Event()

    class Slow(Simulator):
        def read(self, node: str) -> SwitchState:
            entered.set()
            goes_on.wait(30)
            return super().read(node)

    server = serve(Slow(WORLD.topology))
    remote = connect()
    threading.Thread(target=lambda: (entered.wait(30), server.stop()), daemon=True).start()
    with pytest.raises(SwitchUnreachable):
        remote.read("n0")
    goes_on.set()
    with pytest.raises(SwitchUnreachable):
        connect(timeout_s=0.1).read("n0")


def test_one_control_plane_at_a_time_and_one_topology(
    serve: Callable[[], SouthboundServer], connect: Connect, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve()
    first = connect()
    monkeypatch.setattr("carelane.api.grpc.southbound.client._START_S", 1.0)
    second = connect()
    assert "another control plane" in second.statuses()["n0"].reason
    first.stop()
    until(lambda: second.statuses()["n0"].connected)
    second.stop()
    other = replace(WORLD.topology, nodes=WORLD.topology.nodes, links=dict(list(WORLD.topology.links.items())[:-1]))
    with pytest.raises(InputError, match="another topology"):
        RemoteSouthbound(other, address).start()


def test_its_rank_goes_with_it_and_a_doubt_comes_back(
    serve: Callable[..., SouthboundServer], connect: Connect, simulator: Simulator
) -> None:
    ranks: list[tuple[bool, int | None]] = []
    doubts: list[Callable[[], None]] = []

    class Several(Simulator):
        """Switches that several controllers are connected to."""

        def lead(self, epoch: int, still: Callable[[], bool]) -> None:
            ranks.append((still(), epoch))

        def follow(self, epoch: int | None) -> None:
            ranks.append((False, epoch))

        def alone(self) -> None:
            ranks.append((True, None))

        def on_doubt(self, doubt: Callable[[], None]) -> None:
            doubts.append(doubt)

        def apply(self, changes: SwitchChanges) -> Receipt:
            if not ranks[-1][0]:
                raise NotLeader
            return super().apply(changes)

    first = serve(Several(WORLD.topology))
    remote = connect()
    asked, leads = threading.Event(), True
    remote.on_doubt(asked.set)
    changes = additions(WORLD.program()["n0"])
    remote.follow(None)
    with pytest.raises(NotLeader):
        remote.apply(changes)
    remote.lead(7, lambda: leads)
    assert remote.apply(changes).operations == len(changes.operations)
    assert ranks == [(False, 0), (True, 7)]
    doubts[-1]()
    assert asked.wait(30)
    first.stop()
    until(lambda: not remote.statuses()["n0"].connected)
    second = Several(WORLD.topology)
    serve(second)
    until(lambda: len(ranks) == 3)
    assert ranks[2] == (True, 7), "whoever holds the switches now is told who leads"
    leads = False
    with pytest.raises(NotLeader):
        remote.apply(changes)
    assert len(second.read("n0").own.flows) == 0
    remote.follow(8)
    until(lambda: ranks[-1] == (False, 8))
    remote.stop()
    unranked = connect()  # of a control plane that is the only one, as on SQLite
    assert ranks[-1] == (False, 8)
    assert unranked.apply(changes).operations == len(changes.operations)
    assert ranks[-1] == (True, None)
    assert len(second.read("n0").own.flows) > 0


def test_only_its_user_may_open_the_socket_and_nobody_takes_it_over(
    serve: Callable[[], SouthboundServer], address: str, simulator: Simulator
) -> None:
    serve()
    path = Path(address.removeprefix("unix:"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with pytest.raises(InputError, match="listens on"):
        SouthboundServer(simulator, WORLD.topology, address)
    for wrong in ("tcp:127.0.0.1:1", "unix:relative", "unix:/" + 108 * "x", "/path"):
        with pytest.raises(InputError):
            RemoteSouthbound(WORLD.topology, wrong)


def test_a_stream_without_a_greeting_is_refused(serve: Callable[[], SouthboundServer], address: str) -> None:
    serve()
    with grpc.insecure_channel(address) as channel:
        call = channel.stream_stream(
            "/carelane.v1.SouthboundService/Connect",
            request_serializer=pb.ConnectRequest.SerializeToString,
            response_deserializer=pb.ConnectResponse.FromString,
        )
        with pytest.raises(grpc.RpcError) as ended:
            list(call(iter([pb.ConnectRequest(read=pb.ReadSwitch(node="n0"))])))
    assert ended.value.code() is grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]


def test_bfd_and_links_have_a_message() -> None:
    assert value(message(PortBfd(1, 100))) == PortBfd(1, 100)
    link = DiscoveredLink("a", 1, "dpid:7", 2)
    assert value(message(link)) == link
