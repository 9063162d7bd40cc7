"""BFD against a real OVSDB and ovs-vswitchd: set, read back, noticed when a wire goes silent, and left to its owner."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from carelane.controller.pipeline.changes import Operation
from carelane.controller.pipeline.program import PortBfd
from carelane.controller.southbound.ovsdb import Ovsdb
from carelane.errors import ProgramError

pytestmark = [pytest.mark.root, pytest.mark.ovs]


def until(condition: Callable[[], bool], *, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the awaited state did not come"
        time.sleep(0.05)


@pytest.fixture
def ovsdb(ovs: Any) -> Iterator[Ovsdb]:
    """Two switches and a wire between them."""
    for number in (1, 2):
        ovs.add_bridge(f"s{number}", number)
    ovs.add_wire("s1", 1, "s2", 1)
    database = Ovsdb(ovs.ovsdb, timeout_s=5)
    yield database
    database.close()


def state(ovs: Any, interface: str) -> str:
    return str(ovs.vsctl("--if-exists", "get", "interface", interface, "bfd_status:forwarding")).strip().strip('"')


def test_a_session_comes_up_and_reads_back_as_it_was_asked_for(ovs: Any, ovsdb: Ovsdb) -> None:
    watch = PortBfd(1, 100)
    for dpid in (1, 2):
        ovsdb.apply(dpid, [Operation("add", watch)])
        assert ovsdb.read(dpid).watches == (watch,)
    until(lambda: state(ovs, "s1-1") == state(ovs, "s2-1") == "true")
    ovs.vsctl("set", "interface", "s1-1", "bfd:min_tx=1000")
    assert ovsdb.read(1).watches == (PortBfd(1, 0),)
    ovsdb.apply(1, [Operation("modify", watch)])
    assert ovsdb.read(1).watches == (watch,)
    # A wire that swallows everything and keeps its carrier.
    ovs.run("tc", "qdisc", "replace", "dev", "s1-1", "root", "tbf", "rate", "8bit", "burst", "10", "limit", "10")
    until(lambda: state(ovs, "s2-1") == "false")
    assert ovs.vsctl("get", "interface", "s2-1", "link_state").strip() == "up"
    for dpid in (1, 2):
        ovsdb.apply(dpid, [Operation("delete", watch)])
        assert ovsdb.read(dpid).watches == ()
        assert ovs.vsctl("get", "interface", f"s{dpid}-1", "bfd").strip() == "{}"


def test_bfd_of_others_is_reported_and_not_taken_over(ovs: Any, ovsdb: Ovsdb) -> None:
    ovs.vsctl("set", "interface", "s1-1", "bfd:enable=true")
    found = ovsdb.read(1)
    assert (found.watches, found.strangers) == ((), ("port 1 (s1-1): BFD",))
    with pytest.raises(ProgramError, match="has BFD that carelane did not set"):
        ovsdb.apply(1, [Operation("add", PortBfd(1, 100))])
