"""A term begins and ends at every switch, in whatever order things come."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from fake_switch import FakeSwitch  # pyright: ignore[reportMissingImports]  (tests/support is no package)

from carelane.controller.pipeline.changes import Operation, SwitchChanges
from carelane.controller.pipeline.program import COOKIE_OWNER, FlowRule, Match, Output, PortBfd
from carelane.controller.southbound.openflow import OpenFlowSouthbound
from carelane.controller.southbound.openflow._session import Session
from carelane.controller.southbound.ovsdb import Ovsdb
from carelane.errors import NotLeader, SwitchUnreachable
from carelane.topology.model import Node, Topology

NETWORK = Topology("test", {"s1": Node("s1", 1)}, {}, {}, {})
PACKET_OUT, ROLE_REQUEST = 13, 24
IS_SLAVE = (1, 10)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "the awaited state did not come"
        time.sleep(0.01)


@pytest.fixture
def south() -> Iterator[OpenFlowSouthbound]:
    southbound = OpenFlowSouthbound(NETWORK, port=0, echo_interval_s=60)
    southbound.start()
    yield southbound
    southbound.stop()


def _leads(south: OpenFlowSouthbound, epoch: int, still: Callable[[], bool] = lambda: True) -> threading.Thread:
    thread = threading.Thread(target=south.lead, args=(epoch, still), daemon=True)
    thread.start()
    return thread


def test_a_switch_that_goes_without_an_answer_does_not_hold_up_a_term(
    south: OpenFlowSouthbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that reboots while the leader changes."""
    monkeypatch.setattr("carelane.controller.southbound.openflow._switches._ROLE_S", 600.0)
    switch = FakeSwitch(south.port)
    until(lambda: south.statuses()["s1"].connected)
    beginning = _leads(south, 5)
    switch.until(ROLE_REQUEST)
    switch.socket.close()
    beginning.join(20)
    assert not beginning.is_alive()


def test_a_switch_that_connects_while_a_rank_is_set_learns_it(
    south: OpenFlowSouthbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would stay an equal, which no newer master takes the right to write from."""
    switches = south._switches
    admit = switches._admit

    def late(session: Session) -> None:
        monkeypatch.setattr(switches, "_admit", admit)
        south.lead(5, lambda: True)  # by another thread, just before
        admit(session)

    monkeypatch.setattr(switches, "_admit", late)
    switch = FakeSwitch(south.port)
    switch.socket.settimeout(20)
    switch.agree_to_role()
    switch.socket.close()


def test_a_slave_lets_its_announcements_rest_and_says_so_once(
    south: OpenFlowSouthbound, caplog: pytest.LogCaptureFixture
) -> None:
    """As a process that holds switches does whose control plane is gone, when another machine leads."""
    doubts: list[int] = []
    south.on_doubt(lambda: doubts.append(1))
    switch = FakeSwitch(south.port, ports=2)
    until(lambda: south.statuses()["s1"].connected)
    beginning = _leads(south, 5)
    switch.agree_to_role()
    beginning.join(20)
    assert len(south._switches.live_ports()) == 1
    with caplog.at_level(logging.WARNING):
        xid = switch.until(PACKET_OUT)
        for _ in range(3):
            switch.refuse(xid, *IS_SLAVE)
        switch.settle()
    assert doubts == [1]
    assert [record.getMessage() for record in caplog.records] == ["switch s1 obeys a newer leader"]
    assert south._switches.live_ports() == []
    beginning = _leads(south, 7)
    switch.agree_to_role()
    beginning.join(20)
    assert len(south._switches.live_ports()) == 1
    switch.socket.close()


def test_an_apply_ends_with_the_term(south: OpenFlowSouthbound) -> None:
    """Between two steps of it, as after a database of a switch that took long."""
    leading = [True]

    class SlowOvsdb:
        def apply(self, _dpid: int, _operations: Sequence[Operation]) -> None:
            leading.clear()

        def close(self) -> None: ...

    changing: Any = SlowOvsdb()
    switch = FakeSwitch(south.port)
    until(lambda: south.statuses()["s1"].connected)
    beginning = _leads(south, 5, lambda: bool(leading))
    switch.agree_to_role()
    beginning.join(20)
    south._ovsdb = changing
    rule = FlowRule(0, 7, Match(in_port=1), (Output(1),), COOKIE_OWNER << 48 | 7)
    with pytest.raises(NotLeader):
        south.apply(SwitchChanges("s1", 1, (Operation("add", PortBfd(1, 100)), Operation("add", rule))))
    switch.socket.close()


def test_two_switches_with_one_datapath_id_are_told(
    south: OpenFlowSouthbound, caplog: pytest.LogCaptureFixture
) -> None:
    """They displace each other for ever, and each is programmed as if it were the other."""
    first = FakeSwitch(south.port)
    until(lambda: south.statuses()["s1"].connected)
    before = south.statuses()["s1"]
    again = FakeSwitch(south.port)
    until(lambda: south.statuses()["s1"].connection > before.connection)
    assert "datapath id" not in caplog.text, "the same switch, which restarted"
    other = FakeSwitch(south.port, source="127.0.0.2")
    until(lambda: "switch s1 connected from 127.0.0.2, and was connected from 127.0.0.1" in caplog.text)
    for switch in (first, again, other):
        switch.socket.close()


def test_changes_carry_the_epoch_before_a_term_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ovsdb, "tell_epoch", lambda _: None)  # its thread has not run yet
    south = OpenFlowSouthbound(NETWORK, ovsdb={1: "tcp:127.0.0.1:1"})
    south.lead(5, lambda: True)
    assert south._ovsdb is not None
    assert [server.epoch for server in south._ovsdb._servers.values()] == [5]


def test_a_database_where_nobody_listens_is_known_at_once() -> None:
    """It says why, too; waiting for it would keep a new leader from all other switches."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(SwitchUnreachable, match="Connection refused"):
        Ovsdb(f"tcp:127.0.0.1:{port}").read(1)
