"""What a switch says of its ports, and what is concluded from it: OFPPS_LIVE is Open vSwitch's word for BFD."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from carelane.controller.southbound.openflow._compat import ofp
from carelane.controller.southbound.openflow._switches import Switches
from carelane.topology.model import Node, Topology

LIVE, SILENT, DOWN = ofp.OFPPS_LIVE, 0, ofp.OFPPS_LINK_DOWN


class Wire:
    """A connection, as far as anybody looks at it."""

    id, address, socket = 1, "here", None

    def __init__(self, ports: dict[int, Any]) -> None:
        self.ports = ports

    def close(self, _: str) -> None: ...


def connected(*states: int) -> tuple[Switches, Any]:
    """A switch that has just connected, with ports 1, 2, ... in these states."""
    switches = Switches(
        Topology("test", {"s1": Node("s1", 1)}, {}, {}, {}),
        SimpleNamespace(hurry=lambda: None, forget=lambda *_: None),  # type: ignore[arg-type]
        timeout_s=1.0,
    )
    ports = {number: SimpleNamespace(config=0, state=state) for number, state in enumerate(states, 1)}
    connection: Any = Wire(ports)
    switches.on_ready(connection)
    return switches, connection


def test_a_port_that_was_silent_before_the_controller_came_is_dead() -> None:
    switches, connection = connected(SILENT, LIVE, DOWN)
    assert switches.statuses()["s1"].dead_ports == {1}
    connection.ports[1].state, connection.ports[2].state = LIVE, SILENT
    for port in (1, 2):
        switches.on_port(connection, port)
    assert switches.statuses()["s1"].dead_ports == {2}


def test_a_switch_that_never_says_live_says_nothing_by_leaving_it_out() -> None:
    switches, _ = connected(SILENT, SILENT, DOWN)
    assert switches.statuses()["s1"].dead_ports == frozenset()
