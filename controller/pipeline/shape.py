"""The shape of a slice: one root, its leaves, and how the flows of each direction share queues.

Point to point and point to multipoint are rooted at the source, a consultation at its hub, so that all paths run
from the root to a leaf and shared trunks form a tree. `down` is root to leaf.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from carelane.controller.pipeline.requirement import Requirement
from carelane.topology.ledger import PortKey
from carelane.topology.model import Endpoint

__all__ = ["Sharing", "Slice", "Stream", "access_port", "delivery_port", "shape_of"]

Sharing = Literal["one", "pool", "each"]
"""How floors add up where the paths of several leaves use a port: `one` flow copied to all leaves (the floor once for
each tree, see `carelane.controller.pipeline.trees`),
a `pool` that all leaves share (the floor once), or `each` leaf its own (the floors add, of so many leaves as are
active together)."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One direction. `floor_bps` is asked per floor; `flow_bps` and `burst_bytes` are what one sender is policed to.

    At most `together` leaves are active at once: all of them together send no more than so many of their buckets let
    through. None: whatever there is may come together.
    """

    floor_bps: int
    flow_bps: int
    burst_bytes: int
    sharing: Sharing
    down: bool
    together: int | None = 1

    def floor_key(self, leaf: int) -> object:
        """Floors under one key at a port are not added. Not for `one`, where trees tell copies apart."""
        return (self.down, leaf if self.sharing == "each" else -1)

    def added_bps(self, floors_bps: Iterable[int]) -> int:
        """What floors under different keys come to at one port."""
        return sum(sorted(floors_bps, reverse=True)[: self.together])

    def flow_key(self, leaf: int) -> object:
        """Traffic under one key at a port is policed by one bucket. Not for `one`, either."""
        return (self.down, leaf)


@dataclass(frozen=True, slots=True)
class Slice:
    root: Endpoint
    leaves: tuple[Endpoint, ...]
    down: Stream
    up: Stream
    rooted_at_source: bool

    def access_loads(self) -> list[tuple[Endpoint, int]]:
        """What each endpoint may send into the network, as policed there (bit/s)."""
        sends = self.down.floor_bps * ((self.down.together or 1) if self.down.sharing == "each" else 1)
        return [(self.root, sends), *((leaf, self.up.flow_bps) for leaf in self.leaves)]


def delivery_port(endpoint: Endpoint) -> PortKey:
    """Ledger key of the switch's port towards the endpoint."""
    return (endpoint.node, endpoint.id)


def access_port(endpoint: Endpoint) -> PortKey:
    """Ledger key of the endpoint's own sending side of its access line: no node, hence the empty name."""
    return ("", endpoint.id)


def shape_of(requirement: Requirement) -> Slice:
    """The slice's shape. What is said of bursts is what `compile` polices."""
    pairs, burst = requirement.pairs, requirement.burst_bytes
    forward_bps, reverse_bps = requirement.forward_bps, requirement.reverse_bps
    if requirement.connectivity == "hub":
        return Slice(
            root=pairs[0].destination,
            leaves=tuple(pair.source for pair in pairs),
            down=Stream(reverse_bps, reverse_bps, burst, "each", True, requirement.together),
            up=Stream(forward_bps, forward_bps, burst, "each", False, requirement.together),
            rooted_at_source=False,
        )
    receivers = len(pairs)
    part_bps, part_burst = -(-reverse_bps // receivers), max(-(-burst // receivers), requirement.max_packet_bytes)
    return Slice(
        root=pairs[0].source,
        leaves=tuple(pair.destination for pair in pairs),
        down=Stream(forward_bps, forward_bps, burst, "one", True, None),
        up=Stream(reverse_bps, part_bps, part_burst, "pool", False, receivers),
        rooted_at_source=True,
    )
