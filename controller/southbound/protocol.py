"""What carelane needs from a set of switches. Real switches and the simulator implement the same Protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from carelane.controller.pipeline.changes import SwitchChanges
from carelane.controller.pipeline.program import FlowRule, SwitchProgram

__all__ = [
    "DiscoveredLink",
    "Doorkeeper",
    "Ranked",
    "Receipt",
    "Southbound",
    "SwitchState",
    "SwitchStatus",
    "flow_key_text",
]


def flow_key_text(rule: FlowRule) -> str:
    """The identity of a flow entry as text, such as ``table=0,priority=10,in_port=1,eth_type=2048``."""
    match = rule.match
    fields = ((name, getattr(match, name)) for name in match.__dataclass_fields__)
    named = (f"{name}={value}" for name, value in fields if value is not None)
    return ",".join((f"table={rule.table}", f"priority={rule.priority}", *named))


@dataclass(frozen=True, slots=True)
class SwitchStatus:
    """Liveness of one declared switch, with the reason when it is not usable.

    `dead_ports` have a carrier, and the switch counts them as dead all the same (BFD). `connection` numbers its
    connections: a switch that restarts between two looks was connected at both, and has forgotten its rules.
    """

    node: str
    dpid: int
    connected: bool
    reason: str = ""
    ports_up: Mapping[int, bool] = field(default_factory=dict)
    dead_ports: frozenset[int] = frozenset()
    connection: int = 0

    def has(self, port: int) -> bool:
        """Whether the port is there, as far as anybody can tell: not on a connected switch that names others only."""
        return not self.connected or not self.ports_up or port in self.ports_up

    def carries(self, port: int) -> bool:
        """Whether the port is there and has its carrier, as far as anybody can tell."""
        return not self.connected or (self.has(port) and self.ports_up.get(port, True))


@dataclass(frozen=True, slots=True)
class SwitchState:
    """What a switch holds now: `own` is ours (by cookie, group tag, meter range, external-id), in program terms.

    `strangers` are one-line descriptions of entries that carelane did not make: reported, never removed.
    `mismatches` say where OVSDB and the kernel disagree (a queue with no tc class, another rate in tc).
    `flow_packets` counts packets by `flow_key_text`, for proof that an untouched flow kept its counters.
    """

    own: SwitchProgram
    strangers: tuple[str, ...] = ()
    mismatches: tuple[str, ...] = ()
    flow_packets: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of an apply: how much was sent and confirmed by barrier, and how long it took."""

    node: str
    operations: int
    duration_s: float


@dataclass(frozen=True, slots=True, order=True)
class DiscoveredLink:
    """A direction of a link seen by discovery, by node id (or dpid text for an undeclared switch) and port."""

    node: str
    port: int
    next_node: str
    next_port: int


class Southbound(Protocol):
    """Synchronous and thread-safe. Raises SwitchUnreachable (transient) or ProgramError (permanent)."""

    def statuses(self) -> Mapping[str, SwitchStatus]:
        """Every declared switch, connected or not; undeclared ones that connected, under ``dpid:<hex>``."""
        ...

    def read(self, node: str) -> SwitchState:
        """Read the switch back: flows, groups, meters, queues and, where reachable, kernel classes."""
        ...

    def apply(self, changes: SwitchChanges) -> Receipt:
        """Carry out all operations in order, confirmed by barrier; nothing is assumed done before that."""
        ...

    def links(self) -> frozenset[DiscoveredLink]:
        """Links seen by discovery within its expiry."""
        ...


@runtime_checkable
class Doorkeeper(Protocol):
    """A southbound that does not let every switch in."""

    def refusals(self) -> Mapping[str, int]:
        """Connections that were refused so far, by reason."""
        ...


@runtime_checkable
class Ranked(Protocol):
    """A southbound whose switches several controllers may be connected to. Before either call it acts unasked."""

    def lead(self, epoch: int, still: Callable[[], bool]) -> None:
        """Be the one that changes switches; those that have seen a larger epoch refuse."""
        ...

    def follow(self, epoch: int | None) -> None:
        """Read only from now on."""
        ...

    def alone(self) -> None:
        """Act unasked again, as before either call."""
        ...

    def on_doubt(self, doubt: Callable[[], None]) -> None:
        """Where to say that a switch obeys a newer leader."""
        ...
