"""What `diff` produces: ordered, minimal operations that turn a switch's state into its program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from carelane.controller.pipeline.program import FlowRule, Group, Meter, PortBfd, PortQos

__all__ = ["Operation", "SwitchChanges", "Target"]

Target = FlowRule | Group | Meter | PortQos | PortBfd


@dataclass(frozen=True, slots=True)
class Operation:
    """`modify` keeps counters; a `PortQos` operation carries the whole port, the adapter applies what differs."""

    verb: Literal["add", "modify", "delete"]
    target: Target


@dataclass(frozen=True, slots=True)
class SwitchChanges:
    """Operations in the order in which they must reach the switch; the adapter puts barriers between kinds."""

    node: str
    dpid: int
    operations: tuple[Operation, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.operations)
