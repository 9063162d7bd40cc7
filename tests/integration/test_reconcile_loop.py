"""From filing to packets and back, over simulated switches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from carelane.controller.pipeline.changes import SwitchChanges
from carelane.controller.pipeline.program import FlowRule, Match, Output, SwitchProgram
from carelane.controller.southbound.protocol import Receipt
from carelane.controller.southbound.simulator import Simulator
from carelane.errors import ConflictError, InputError, NotFoundError, ProgramError
from carelane.topology.model import Topology

Manifest = Callable[..., str]


def reaches(rig: Any, packet_of: Any, source: str, to: str) -> bool:
    return rig.southbound.send(source, packet_of(rig.topology, source, to)).reached == [to]


def own_slice_state(simulator: Simulator, topology: Topology) -> list[object]:
    """Everything on all switches that belongs to some slice."""
    states = [simulator.read(node).own for node in topology.nodes]
    flows = [rule for state in states for rule in state.flows if rule.cookie & 0xFFFFFFFF]
    queues = [queue for state in states for port in state.ports for queue in port.queues if queue.slice]
    return [*flows, *queues, *(group for s in states for group in s.groups), *(m for s in states for m in s.meters)]
