"""What the verifier finds: each fault with the packet that shows it and the way it went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Fault", "FaultKind", "Visit"]

FaultKind = Literal[
    "not-delivered",
    "misdelivered",
    "duplicated",
    "loop",
    "off-path",
    "captured",
    "ambiguous",
    "foreign-rule",
    "too-broad",
    "wrong-header",
    "wrong-queue",
    "wrong-meter",
    "wrong-watch",
    "missing-reference",
    "overbooked",
    "wrong-floor",
    "ground-rule",
    "leftover",
]


@dataclass(frozen=True, slots=True)
class Visit:
    """A switch that sent the packet on: in at `in_port`, out at `out_port` through `queue` (None: none was set)."""

    node: str
    in_port: int
    out_port: int
    queue: int | None

    def __str__(self) -> str:
        queue = "" if self.queue is None else f" queue {self.queue}"
        return f"{self.node} {self.in_port}>{self.out_port}{queue}"


@dataclass(frozen=True, slots=True)
class Fault:
    """A counter-example. `slice` is whose promise breaks (empty: nobody's in particular), `failed` what is assumed to
    be broken in the network meanwhile (empty: nothing), `packet` what was sent, `walk` the way it took.
    """

    kind: FaultKind
    slice: str
    node: str
    detail: str
    failed: str = ""
    packet: str = ""
    walk: tuple[Visit, ...] = ()

    def __str__(self) -> str:
        whose = f"slice {self.slice}: " if self.slice else ""
        while_ = f" while {self.failed} is down" if self.failed else ""
        packet = f"; packet {self.packet}" if self.packet else ""
        way = f"; way {', '.join(map(str, self.walk))}" if self.walk else ""
        return f"{self.kind} at {self.node}: {whose}{self.detail}{while_}{packet}{way}"
