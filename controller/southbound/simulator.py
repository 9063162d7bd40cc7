"""A network of switches in memory: implements `Southbound`, and tells where a packet goes.

It follows OpenFlow 1.3 for the part carelane uses: tables and priorities, ternary matches, meters, fast-failover and
all groups, MPLS push and pop, queues. A switch deletes the flows of a group or meter it is told to delete, refuses
flows that refer to unknown ones, keeps counters on modify and starts them anew on add. Two rules of equal priority
that match one packet and differ are an error here, where OpenFlow leaves the outcome open.

Faults are made on purpose: links and ports go down, switches lose the controller or their memory, an apply breaks off
half-way, strangers leave entries behind.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import RLock
from typing import Literal

from carelane.controller.pipeline.changes import Operation, SwitchChanges, Target
from carelane.controller.pipeline.program import CONTROLLER_PORT, IN_PORT, FlowRule
from carelane.controller.southbound._packet import Label, Packet, packet_of
from carelane.controller.southbound._simulated_switch import Emission, SimulatedSwitch
from carelane.controller.southbound.counters import SwitchCounters
from carelane.controller.southbound.protocol import DiscoveredLink, Receipt, SwitchState, SwitchStatus
from carelane.errors import NotFoundError, SwitchUnreachable
from carelane.topology.model import Endpoint, Topology

__all__ = ["Copy", "Label", "Packet", "Simulator", "Visit", "Walk", "packet_of"]

_Place = tuple[str, int]
Outcome = Literal["delivered", "dropped", "looped", "controller"]


@dataclass(frozen=True, slots=True)
class Visit:
    """One switch a copy passed: in at `in_port`, out at `out_port` through `queue`."""

    node: str
    in_port: int
    out_port: int
    queue: int


@dataclass(frozen=True, slots=True)
class Copy:
    """What became of one copy of a packet.

    `visits` are the switches it left; `node` and `port` are where it ended (the delivery port, or the port at which
    it arrived to be dropped). `rule` is the last rule that matched there; `packet` is the copy as it ended.
    """

    outcome: Outcome
    node: str
    port: int
    visits: tuple[Visit, ...]
    packet: Packet
    endpoints: tuple[str, ...] = ()
    reason: str = ""
    rule: FlowRule | None = None


@dataclass(frozen=True, slots=True)
class Walk:
    """All copies of one packet."""

    copies: tuple[Copy, ...]

    @property
    def delivered(self) -> tuple[Copy, ...]:
        return tuple(copy for copy in self.copies if copy.outcome == "delivered")

    @property
    def reached(self) -> list[str]:
        """Endpoints a copy was delivered to, sorted; one that got two copies appears twice."""
        return sorted(endpoint for copy in self.delivered for endpoint in copy.endpoints)

    @property
    def queues(self) -> set[int]:
        """Every queue any copy went through."""
        return {visit.queue for copy in self.copies for visit in copy.visits}


class Simulator:
    """Southbound over simulated switches, one for each node of the topology. Thread-safe."""

    def __init__(self, topology: Topology, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._topology = topology
        self.clock = clock
        self._lock = RLock()
        self._switches = {node.id: SimulatedSwitch(node.id, node.dpid) for node in topology.nodes.values()}
        self._peers: dict[_Place, _Place] = {}
        self._hosts: defaultdict[_Place, list[Endpoint]] = defaultdict(list)
        for link in topology.links.values():
            self._peers[(link.a, link.a_port)] = (link.b, link.b_port)
            self._peers[(link.b, link.b_port)] = (link.a, link.a_port)
        for endpoint in topology.endpoints.values():
            self._hosts[(endpoint.node, endpoint.port)].append(endpoint)
        self._ports: defaultdict[str, list[int]] = defaultdict(list)
        for name, port in sorted({*self._peers, *self._hosts}):
            self._ports[name].append(port)
        self._left_to_do: int | None = None

    # Southbound

    def statuses(self) -> Mapping[str, SwitchStatus]:
        with self._lock:
            return {name: self._status(switch) for name, switch in self._switches.items()}

    def read(self, node: str) -> SwitchState:
        with self._lock:
            switch = self._reachable(node)
            return SwitchState(switch.own(), switch.strangers(), (), switch.flow_packets())

    def counters(self, node: str) -> SwitchCounters:
        with self._lock:
            return self._reachable(node).counters(self.clock(), self._ports[node])

    def apply(self, changes: SwitchChanges) -> Receipt:
        started = time.monotonic()
        with self._lock:
            switch = self._reachable(changes.node)
            for operation in changes.operations:
                if self._left_to_do == 0:
                    self._left_to_do = None
                    raise SwitchUnreachable(f"{changes.node}: the connection broke off during apply (injected)")
                switch.carry_out(operation)
                if self._left_to_do is not None:
                    self._left_to_do -= 1
        return Receipt(changes.node, len(changes.operations), time.monotonic() - started)

    def links(self) -> frozenset[DiscoveredLink]:
        with self._lock:
            return frozenset(
                DiscoveredLink(node, port, peer, peer_port)
                for (node, port), (peer, peer_port) in self._peers.items()
                if self._works((node, port)) and self._switches[node].connected and self._switches[peer].connected
            )

    # Faults

    def set_link(self, link: str, *, up: bool, silent: bool = False) -> None:
        """Take a link down, or up again, at both ends; `silent`, packets vanish there and both keep their carrier."""
        found = self._topology.links.get(link)
        if found is None:
            raise NotFoundError(f"no link {link} in topology {self._topology.name}")
        for node, port in ((found.a, found.a_port), (found.b, found.b_port)):
            with self._lock:
                for ports, dead in (
                    (self._switch(node).down_ports, not silent),
                    (self._switch(node).silent_ports, silent),
                ):
                    ports.add(port) if dead and not up else ports.discard(port)

    def set_node(self, node: str, *, up: bool) -> None:
        """Switch a node off, or on again: all its links go with it."""
        for link in self._topology.links.values():
            if node in (link.a, link.b):
                self.set_link(link.id, up=up)

    def set_port(self, node: str, port: int, *, up: bool) -> None:
        """Take one port down, or up again; its switch sees it, the far end of its link does not."""
        with self._lock:
            ports = self._switch(node).down_ports
            ports.discard(port) if up else ports.add(port)

    def set_there(self, node: str, port: int, there: bool) -> None:
        """Take a port out of its switch, with its queues and its watch, or put it in again, bare."""
        with self._lock:
            switch = self._switch(node)
            switch.gone_ports.discard(port) if there else switch.lose_port(port)

    def set_connected(self, node: str, connected: bool) -> None:
        """Cut a switch off from the controller, or bring it back; it forwards all the same."""
        with self._lock:
            self._switch(node).connected = connected

    def wipe(self, node: str) -> None:
        """A switch loses everything it was told, as after a power cut."""
        with self._lock:
            self._switch(node).wipe()

    def fail_after(self, operations: int) -> None:
        """Break off once, when that many more operations have been carried out on any switches; they stay done."""
        with self._lock:
            self._left_to_do = operations

    def add_stranger(self, node: str, item: Target) -> None:
        """Put an entry on a switch that carelane did not make (by cookie, group tag or meter range)."""
        with self._lock:
            self._switch(node).carry_out(Operation("add", item))

    # Packets

    def send(self, where: str | _Place, packet: Packet, *, at_s: float | None = None) -> Walk:
        """Send a packet into the port of an endpoint, or into (node, port), and follow every copy of it.

        `at_s` is a clock for the meters, in seconds, never going back; without it they let everything pass.
        Raises NotFoundError for an unknown place and ProgramError where rules contradict each other.
        """
        with self._lock:
            node, port = self._place(where)
            copies: list[Copy] = []
            waiting: deque[tuple[str, int, Packet, tuple[Visit, ...]]] = deque([(node, port, packet, ())])
            seen: set[tuple[str, int, Packet]] = set()
            while waiting:
                node, port, packet, visits = waiting.popleft()
                if (node, port, packet) in seen:
                    copies.append(Copy("looped", node, port, visits, packet, reason="it has been here before"))
                    continue
                seen.add((node, port, packet))
                fate = self._switches[node].process(port, packet, at_s)
                if not fate.emissions:
                    copies.append(Copy("dropped", node, port, visits, packet, (), fate.reason, fate.rule))
                for emission in fate.emissions:
                    self._forward(node, port, emission, visits, fate.rule, waiting, copies)
            return Walk(tuple(copies))

    def meter_drops(self, node: str) -> Mapping[int, int]:
        """Packets each meter has dropped."""
        with self._lock:
            return self._switch(node).meter_drops()

    def _forward(
        self,
        node: str,
        in_port: int,
        emission: Emission,
        visits: tuple[Visit, ...],
        rule: FlowRule | None,
        waiting: deque[tuple[str, int, Packet, tuple[Visit, ...]]],
        copies: list[Copy],
    ) -> None:
        port = in_port if emission.port == IN_PORT else emission.port
        place, packet = (node, port), emission.packet
        travelled = (*visits, Visit(node, in_port, port, emission.queue))
        if port == CONTROLLER_PORT:
            copies.append(Copy("controller", node, port, travelled, packet, rule=rule))
        elif emission.port == in_port:
            reason = "OpenFlow does not send out of the port of arrival unless told IN_PORT"
            copies.append(Copy("dropped", node, port, visits, packet, (), reason, rule))
        elif not self._works(place):
            copies.append(Copy("dropped", node, port, visits, packet, (), f"port {port} is dead", rule))
        elif place in self._peers:
            waiting.append((*self._peers[place], packet, travelled))
        elif place in self._hosts:
            names = tuple(endpoint.id for endpoint in self._hosts[place])
            copies.append(Copy("delivered", node, port, travelled, packet, names, rule=rule))
        else:
            copies.append(Copy("dropped", node, port, visits, packet, (), f"there is no port {port}", rule))

    def _works(self, place: _Place) -> bool:
        """Whether what leaves here arrives: neither this port nor the far end of its link is dead."""
        return all(
            not any(port in ports for ports in (switch.down_ports, switch.silent_ports, switch.gone_ports))
            for node, port in (place, self._peers.get(place, place))
            for switch in (self._switches[node],)
        )

    def _place(self, where: str | _Place) -> _Place:
        if isinstance(where, tuple):
            self._switch(where[0])
            return where
        endpoint = self._topology.endpoints.get(where)
        if endpoint is None:
            raise NotFoundError(f"no endpoint {where} in topology {self._topology.name}")
        return (endpoint.node, endpoint.port)

    def _status(self, switch: SimulatedSwitch) -> SwitchStatus:
        there = (port for port in self._ports[switch.node] if port not in switch.gone_ports)
        up = {port: port not in switch.down_ports for port in there}
        dead = frozenset(port for port in up if up[port] and not switch.lives(port))
        reason = "" if switch.connected else "not connected to the controller"
        return SwitchStatus(switch.node, switch.dpid, switch.connected, reason, up, dead)

    def _reachable(self, node: str) -> SimulatedSwitch:
        switch = self._switch(node)
        if not switch.connected:
            raise SwitchUnreachable(f"{node} is not connected to the controller")
        return switch

    def _switch(self, node: str) -> SimulatedSwitch:
        switch = self._switches.get(node)
        if switch is None:
            raise NotFoundError(f"no node {node} in topology {self._topology.name}")
        return switch
