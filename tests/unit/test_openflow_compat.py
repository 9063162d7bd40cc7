"""Each fault of os-ken under native threads that carelane mends stays mended."""

from __future__ import annotations

import logging
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from fake_switch import HELLO, FakeSwitch  # pyright: ignore[reportMissingImports]  (tests/support is no package)

from carelane.controller.southbound.openflow import OpenFlowSouthbound
from carelane.controller.southbound.openflow._compat import hub, ofp
from carelane.topology.model import Node, Topology


def until(condition: Callable[[], bool], *, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the awaited state did not come"
        time.sleep(0.01)


@pytest.fixture
def south() -> Iterator[OpenFlowSouthbound]:
    topology = Topology("test", {"s1": Node("s1", 1)}, {}, {}, {})
    southbound = OpenFlowSouthbound(topology, port=0, echo_interval_s=0.1)
    southbound.start()
    yield southbound
    southbound.stop()


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, "--ofp-listen-host", "nonsense"],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def test_the_hub_is_native_and_eventlet_is_never_imported() -> None:
    """Whatever the environment says, and without warnings, options from the command line or side effects on others."""
    done = run(
        "import sys\n"
        "import carelane.controller.southbound.openflow\n"
        "from os_ken.lib import hub\n"
        "assert hub.HUB_TYPE == 'native', hub.HUB_TYPE\n"
        "assert not any(name.split('.')[0] == 'eventlet' for name in sys.modules)\n"
        "from carelane.controller.southbound.openflow._compat import cfg\n"
        "assert cfg.CONF.ofp_listen_host == '0.0.0.0', cfg.CONF.ofp_listen_host\n",
        OSKEN_HUB_TYPE="eventlet",
    )
    assert done.returncode == 0, done.stderr


def test_eventlet_stays_available_to_who_imported_it_before() -> None:
    done = run(
        "import sys, types\n"
        "mine = sys.modules['eventlet'] = types.ModuleType('eventlet')\n"
        "import carelane.controller.southbound.ovsdb\n"
        "assert sys.modules['eventlet'] is mine\n"
    )
    assert done.returncode == 0, done.stderr


def test_a_hub_imported_otherwise_is_refused() -> None:
    done = run(
        "import os_ken.lib.hub as hub\nhub.HUB_TYPE = 'eventlet'\nimport carelane.controller.southbound.openflow\n",
        OSKEN_HUB_TYPE="native",
    )
    assert "carelane needs native threads" in done.stderr


def test_a_timed_wait_ends() -> None:
    """os-ken's own Event.wait(timeout) waits for ever."""
    waiter = threading.Thread(target=hub.Event().wait, args=(0.05,), daemon=True)
    waiter.start()
    waiter.join(5)
    assert not waiter.is_alive()


def test_a_silent_switch_is_given_up_and_its_threads_end(south: OpenFlowSouthbound) -> None:
    """os-ken by default never sends an echo request, and its sender outlives the connection."""
    before = threading.active_count()
    switch = FakeSwitch(south.port)
    until(lambda: south.statuses()["s1"].connected)
    until(lambda: not south.statuses()["s1"].connected)
    assert "echo" in south.statuses()["s1"].reason
    until(lambda: threading.active_count() == before)
    switch.socket.close()


def test_a_connection_closed_by_the_switch_is_known_at_once(south: OpenFlowSouthbound) -> None:
    switch = FakeSwitch(south.port)
    until(lambda: south.statuses()["s1"].connected)
    switch.socket.close()
    until(lambda: not south.statuses()["s1"].connected, seconds=2)


def test_any_message_counts_as_a_sign_of_life(south: OpenFlowSouthbound) -> None:
    """A switch that works through a long batch answers late; what it does send proves that it lives."""
    switch = FakeSwitch(south.port)
    until(lambda: south.statuses()["s1"].connected)
    for _ in range(12):
        time.sleep(0.1)
        switch.socket.sendall(struct.pack("!BBHI", 4, ofp.OFPT_ECHO_REQUEST, 8, 7))
    assert south.statuses()["s1"].connected
    switch.socket.close()


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack("!BBHI", 4, 0, 3, 1),
        struct.pack("!BBHI", 77, 0, 8, 1),
        struct.pack("!BBHI", 4, 10, 8, 1),
        HELLO + struct.pack("!BBHI", 4, 6, 8, 1),
        HELLO + struct.pack("!BBHI", 4, 19, 10, 1) + b"\0\0",
    ],
)
def test_garbage_costs_its_own_connection_only(
    south: OpenFlowSouthbound, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    good = FakeSwitch(south.port)
    until(lambda: south.statuses()["s1"].connected)
    bad = socket.create_connection(("127.0.0.1", south.port))
    bad.sendall(garbage)
    good.socket.sendall(struct.pack("!BBHI", 4, ofp.OFPT_ECHO_REQUEST, 8, 7))
    while good.receive() != (ofp.OFPT_ECHO_REPLY, 7):
        pass
    assert south.statuses()["s1"].connected
    bad.close()
    good.socket.close()


def test_the_newer_connection_of_a_switch_counts(south: OpenFlowSouthbound) -> None:
    old = FakeSwitch(south.port)
    until(lambda: south.statuses()["s1"].connected)
    before = south.statuses()["s1"]
    new = FakeSwitch(south.port)
    with pytest.raises((EOFError, ConnectionError)):
        old.drain()
    assert south.statuses()["s1"] == replace(before, connection=before.connection + 1)
    new.socket.close()
    old.socket.close()
