"""Which switches are connected, by datapath id, and the state of their ports."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from carelane.controller.southbound.openflow._compat import ofp
from carelane.controller.southbound.openflow._connection import STOPPING, Connection
from carelane.controller.southbound.openflow._discovery import Discovery
from carelane.controller.southbound.openflow._session import IS_SLAVE, STALE, Rank, Session, SwitchError
from carelane.controller.southbound.openflow._tls import SecureSocket
from carelane.controller.southbound.protocol import SwitchStatus
from carelane.errors import SwitchUnreachable
from carelane.topology.model import Topology

__all__ = ["Switches"]

_LOG = logging.getLogger(__name__)
_REFUSED_KEPT = 1000
_ROLE_S = 2.0


@dataclass(slots=True)
class _Switch:
    session: Session | None = None
    reason: str = "has not connected"
    ports_up: dict[int, bool] = field(default_factory=dict)
    tells_live: bool = False
    not_live: set[int] = field(default_factory=set)
    connections: int = 0

    def note_live(self, number: int, port: Any) -> None:
        """OFPPS_LIVE follows BFD in Open vSwitch. Where a switch never sets it, its absence says nothing.

        One port that has it is enough: a controller that starts while a link is silent must not take it for alive.
        """
        if port.state & ofp.OFPPS_LIVE:
            self.tells_live = True
            self.not_live.discard(number)
        else:
            self.not_live.add(number)

    @property
    def dead_ports(self) -> frozenset[int]:
        """Ports with a carrier that do not live."""
        return frozenset(port for port in self.not_live if self.tells_live and self.ports_up.get(port, False))


class Switches:
    """Receives the events of the os-ken application (`_app.Events`); thread-safe."""

    def __init__(
        self,
        topology: Topology,
        discovery: Discovery,
        *,
        timeout_s: float,
        on_change: Callable[[str], None] | None = None,
    ) -> None:
        self._on_change = on_change or (lambda _: None)
        self._names = {node.dpid: node.id for node in topology.nodes.values()}
        self._discovery = discovery
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._switches = {dpid: _Switch() for dpid in self._names}
        self._sessions: dict[Connection, Session] = {}
        self._rank: Rank | None = None
        self.on_doubt: Callable[[], None] = lambda: None
        self._refusals: Counter[str] = Counter()
        self._refused: set[tuple[str, str]] = set()

    def name(self, dpid: int) -> str:
        """The node id of a declared switch, ``dpid:<hex>`` of another."""
        return self._names.get(dpid, f"dpid:{dpid:x}")

    def session(self, dpid: int) -> Session:
        """Raises SwitchUnreachable when the switch is not connected."""
        with self._lock:
            switch = self._switches[dpid]
            if switch.session is None:
                raise SwitchUnreachable(f"{self.name(dpid)}: {switch.reason}")
            return switch.session

    def statuses(self) -> dict[str, SwitchStatus]:
        with self._lock:
            return {
                self.name(dpid): SwitchStatus(
                    node=self.name(dpid),
                    dpid=dpid,
                    connected=switch.session is not None,
                    reason="" if switch.session is not None else switch.reason,
                    ports_up=dict(switch.ports_up) if switch.session is not None else {},
                    dead_ports=switch.dead_ports,
                    connection=switch.connections,
                )
                for dpid, switch in self._switches.items()
                if dpid in self._names or switch.session is not None
            }

    def live_ports(self) -> list[tuple[int, Session, list[int]]]:
        """Ports that are up, of every connected switch that has not called us a slave."""
        with self._lock:
            return [
                (dpid, switch.session, [port for port, up in switch.ports_up.items() if up])
                for dpid, switch in self._switches.items()
                if switch.session is not None and not switch.session.demoted
            ]

    def refusals(self) -> Mapping[str, int]:
        """Connections that were refused, by reason."""
        with self._lock:
            return dict(self._refusals)

    def on_refused(self, host: str, word: str, why: str) -> None:
        """Counted each time; said once for an address and reason, as a switch asks again every few seconds."""
        with self._lock:
            self._refusals[word] += 1
            known = (host, word) in self._refused
            if len(self._refused) < _REFUSED_KEPT:
                self._refused.add((host, word))
        if not known:
            _LOG.warning("switch at %s refused: %s", host, why)

    def _is_another(self, connection: Connection) -> bool:
        """Whether a certificate that names declared switches comes from none of them."""
        if not isinstance(connection.socket, SecureSocket):
            return False
        named = connection.socket.peer_names() & set(self._names.values())
        if not named or self.name(connection.id) in named:
            return False
        why = f"its certificate is that of {', '.join(sorted(named))}, and it says it is {self.name(connection.id)}"
        self.on_refused(connection.address[0], "another-switch", why)
        return True

    def on_ready(self, connection: Connection) -> None:
        if self._is_another(connection):
            connection.close("it shows the certificate of another switch")
            return
        session = Session(connection, timeout_s=self._timeout_s)
        with self._lock:
            self._sessions[connection] = session
        self._introduce(session)

    def set_rank(self, rank: Rank) -> None:
        """Be this to every switch, those that connect later too; returns when those that are connected agreed.

        One that does not answer in time, or has seen a newer master, is disconnected: it counts as away.
        """
        with self._lock:
            self._rank = rank
            sessions = [switch.session for switch in self._switches.values() if switch.session is not None]
        answered = [self._take(session, rank) for session in sessions]
        end = time.monotonic() + _ROLE_S
        for session, done in zip(sessions, answered, strict=True):
            if not done.wait(max(0.0, end - time.monotonic())):
                session.connection.close("it does not answer a role request")

    @property
    def rank(self) -> Rank | None:
        """What we are to the switches; None where there is only one controller."""
        return self._rank

    def _take(self, session: Session, rank: Rank) -> threading.Event:
        return session.take(rank, lambda error: self._judge(session, error))

    def _judge(self, session: Session, error: SwitchError | None) -> bool:
        """Whether the switch agreed to a rank."""
        if error == STALE:
            self.on_doubt()
            session.connection.close("it obeys a newer leader")
        elif error is not None:
            session.connection.close(f"it refuses roles: {error}")
        return error is None

    def _introduce(self, session: Session) -> None:
        """A connection is used only once the switch knows what we are to it, by our rank as it is then."""
        rank = self._rank
        if rank is None:
            self._admit_as(session, None)
            return

        def answered(error: SwitchError | None) -> None:
            if self._judge(session, error):
                self._admit_as(session, rank)

        session.take(rank, answered)

    def _admit_as(self, session: Session, told: Rank | None) -> None:
        """Whoever set another rank meanwhile may not have seen this session."""
        self._admit(session)
        rank = self._rank
        if rank is not None and rank != told:
            self._take(session, rank)

    def _admit(self, session: Session) -> None:
        connection = session.connection
        with self._lock:
            switch = self._switches.setdefault(connection.id, _Switch())
            former, switch.session = switch.session, session
            switch.connections += 1
            switch.ports_up = {number: _is_up(port) for number, port in connection.ports.items() if _is_real(number)}
            for number, port in connection.ports.items():
                if _is_real(number):
                    switch.note_live(number, port)
        if former is not None:
            self._displace(former.connection, connection)
        _LOG.info("switch %s connected from %s", self.name(connection.id), connection.address)
        self._discovery.hurry()
        self._on_change(self.name(connection.id))

    def _displace(self, former: Connection, connection: Connection) -> None:
        """The newer connection counts: a switch that restarted need not have ended the one before."""
        if former.address[0] != connection.address[0]:
            _LOG.warning(
                "switch %s connected from %s, and was connected from %s: if it did not move, two switches have one "
                "datapath id, and take turns",
                *(self.name(connection.id), connection.address[0], former.address[0]),
            )
        former.close("the switch connected again")

    def on_closed(self, connection: Connection, reason: str) -> None:
        with self._lock:
            session = self._sessions.pop(connection, None)
            if session is None:
                return
            switch = self._switches.setdefault(connection.id, _Switch())
            current = switch.session is session
            if current:
                switch.session = None
                switch.reason = f"disconnected: {reason}"
        session.on_closed(reason)
        if current:
            self._discovery.forget(connection.id)
            level = logging.INFO if reason == STOPPING else logging.WARNING
            _LOG.log(level, "switch %s disconnected: %s", self.name(connection.id), reason)
            self._on_change(self.name(connection.id))

    def on_raw(self, connection: Connection, kind: int, xid: int, frame: bytes) -> bool:
        session = self._sessions.get(connection)
        if session is None:
            return False
        if session.on_raw(kind, xid, frame):
            return True
        if kind == ofp.OFPT_ERROR:
            self._on_error(session, SwitchError.of(frame))
            return True
        return False

    def _on_error(self, session: Session, error: SwitchError) -> None:
        """An answer to what nobody waits for, such as announcements: a slave's are refused one by one, so they rest."""
        name = self.name(session.connection.id)
        if error != IS_SLAVE:
            _LOG.warning("switch %s: error nobody waits for: %s", name, error)
        elif not session.demoted:
            session.demoted = True
            _LOG.warning("switch %s obeys a newer leader", name)
            self.on_doubt()

    def on_port(self, connection: Connection, port: int) -> None:
        if not _is_real(port):
            return
        description = connection.ports.get(port)
        up = description is not None and _is_up(description)
        with self._lock:
            switch = self._switches.get(connection.id)
            if switch is None or switch.session is None or switch.session.connection is not connection:
                return
            if description is None:
                switch.ports_up.pop(port, None)
            else:
                switch.ports_up[port] = up
                switch.note_live(port, description)
        if up:
            self._discovery.hurry()
        else:
            self._discovery.forget(connection.id, port)
        self._on_change(self.name(connection.id))

    def on_packet_in(self, connection: Connection, in_port: int, data: bytes) -> None:
        self._discovery.receive(connection.id, in_port, data)


def _is_real(port: int) -> bool:
    return bool(port <= ofp.OFPP_MAX)


def _is_up(port: Any) -> bool:
    return not (port.config & ofp.OFPPC_PORT_DOWN or port.state & ofp.OFPPS_LINK_DOWN)
