"""The Southbound Protocol over real switches: OpenFlow by os-ken, queues by OVSDB."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby

from carelane.controller.pipeline.changes import Operation, SwitchChanges
from carelane.controller.pipeline.program import FlowRule, Group, Match, Meter, PortBfd, PortQos
from carelane.controller.southbound.counters import LinkDelay, SwitchCounters
from carelane.controller.southbound.openflow._app import Runner
from carelane.controller.southbound.openflow._compat import ofp
from carelane.controller.southbound.openflow._counters import read_counters
from carelane.controller.southbound.openflow._discovery import Discovery
from carelane.controller.southbound.openflow._encode import encode
from carelane.controller.southbound.openflow._read import read_switch
from carelane.controller.southbound.openflow._session import IS_SLAVE, Rank, Session, SwitchError
from carelane.controller.southbound.openflow._switches import Switches
from carelane.controller.southbound.openflow._tls import Door
from carelane.controller.southbound.ovsdb import Ovsdb
from carelane.controller.southbound.protocol import DiscoveredLink, Receipt, SwitchState, SwitchStatus, flow_key_text
from carelane.controller.southbound.tc import TcReader
from carelane.errors import NotFoundError, NotLeader, ProgramError, SwitchUnreachable
from carelane.tls import TlsFiles
from carelane.topology.model import Topology

__all__ = ["OpenFlowSouthbound"]

_EXPIRY_ROUNDS = 3.5
_EXISTS = (
    SwitchError(ofp.OFPET_GROUP_MOD_FAILED, ofp.OFPGMFC_GROUP_EXISTS),
    SwitchError(ofp.OFPET_METER_MOD_FAILED, ofp.OFPMMFC_METER_EXISTS),
)
_UNKNOWN = (
    SwitchError(ofp.OFPET_GROUP_MOD_FAILED, ofp.OFPGMFC_UNKNOWN_GROUP),
    SwitchError(ofp.OFPET_METER_MOD_FAILED, ofp.OFPMMFC_UNKNOWN_METER),
)


class OpenFlowSouthbound:
    """Implements `Southbound`. `start` listens for switches, `stop` closes everything; it may be started again.

    Nothing is changed on a switch before the first `apply`. One instance at a time may be started in a process.

    `ovsdb` is a remote, or a mapping from datapath id to remote; without it a program with queues is refused.
    A switch that stops answering is noticed after about ``(max_unreplied + 1) * echo_interval_s`` seconds.
    `confirm_timeout_s` bounds each wait for a barrier, a reply or an OVSDB transaction.
    `on_change` is called with the node (or ``dpid:<hex>``) whose connection or port states changed, from the thread
    that noticed: it must return at once, for instance after setting an event.

    With `tls`, switches must speak TLS and show a certificate of its authorities; one that names a declared switch is
    good for that switch only. OVSDB remotes of kind ssl: use the same files. Without it, OpenFlow trusts whoever
    reaches the port: bind it to the management network only.
    """

    def __init__(
        self,
        topology: Topology,
        *,
        host: str = "127.0.0.1",
        port: int = 6653,
        ovsdb: str | Mapping[int, str] | None = None,
        tc_reader: TcReader | None = None,
        echo_interval_s: float = 1.0,
        max_unreplied: int = 2,
        confirm_timeout_s: float = 10.0,
        lldp_interval_s: float = 2.0,
        on_change: Callable[[str], None] | None = None,
        tls: TlsFiles | None = None,
    ) -> None:
        self._topology = topology
        self._confirm_timeout_s = confirm_timeout_s
        self._ovsdb = None if ovsdb is None else Ovsdb(ovsdb, tc_reader=tc_reader, timeout_s=confirm_timeout_s, tls=tls)
        self._discovery = Discovery(
            self._send_lldp, self._send_timed, interval_s=lldp_interval_s, expiry_s=_EXPIRY_ROUNDS * lldp_interval_s
        )
        self._switches = Switches(topology, self._discovery, timeout_s=confirm_timeout_s, on_change=on_change)
        self._runner = Runner(
            self._switches,
            host=host,
            port=port,
            echo_interval_s=echo_interval_s,
            max_unreplied=max_unreplied,
            door=None if tls is None else Door(tls),
        )
        self._foreign_keys: dict[int, frozenset[tuple[int, int, Match]]] = {}
        self._may_act: Callable[[], bool] = lambda: True

    @property
    def port(self) -> int:
        """The TCP port listened on, also when 0 was asked for."""
        return self._runner.port

    def start(self) -> None:
        """Raises ConflictError when another instance is started in this process, OSError when the port is taken."""
        self._runner.start()
        self._discovery.start()

    def stop(self) -> None:
        """Disconnect from all switches, which keep forwarding, and end all threads."""
        self._discovery.stop()
        self._runner.stop()
        if self._ovsdb is not None:
            self._ovsdb.close()

    def statuses(self) -> Mapping[str, SwitchStatus]:
        return self._switches.statuses()

    def refusals(self) -> Mapping[str, int]:
        return self._switches.refusals()

    def lead(self, epoch: int, still: Callable[[], bool]) -> None:
        """Be master of every switch, of this generation, for as long as `still` says so."""
        self._may_act = still
        self._switches.set_rank(Rank(True, epoch))
        if self._ovsdb is not None:
            self._ovsdb.carry(epoch)
            # Not waited for: one that does not answer learns the epoch with the first change that it is told.
            threading.Thread(target=self._ovsdb.tell_epoch, name="carelane-claim", daemon=True).start()
        self._discovery.hurry()

    def follow(self, epoch: int | None) -> None:
        """Read only. `epoch` is that of the leader, as far as it is known."""
        self._may_act = lambda: False
        self._switches.set_rank(Rank(False, epoch or 0))

    def alone(self) -> None:
        """Act unasked, as before any rank."""
        self._may_act = lambda: True
        if self._switches.rank is not None:
            self._switches.set_rank(Rank(None, 0))

    def on_doubt(self, doubt: Callable[[], None]) -> None:
        """`doubt` is called when a switch says that it obeys a newer leader; it must return at once."""
        self._switches.on_doubt = doubt

    def links(self) -> frozenset[DiscoveredLink]:
        name = self._switches.name
        return frozenset(
            DiscoveredLink(name(sender[0]), sender[1], name(receiver[0]), receiver[1])
            for sender, receiver in self._discovery.links()
        )

    def link_delays(self) -> Mapping[DiscoveredLink, LinkDelay]:
        """One-way delay of each link direction: an announcement's time less half an echo through either switch."""
        name = self._switches.name
        return {
            DiscoveredLink(name(sender[0]), sender[1], name(receiver[0]), receiver[1]): delay
            for (sender, receiver), delay in self._discovery.delays().items()
        }

    def read(self, node: str) -> SwitchState:
        dpid = self._dpid(node)
        session = self._switches.session(dpid)
        with session.lock, _naming(node):
            entries = read_switch(session)
            ports = None if self._ovsdb is None else self._ovsdb.read(dpid)
        self._foreign_keys[dpid] = entries.foreign_keys
        return entries.state(node, dpid, ports)

    def counters(self, node: str) -> SwitchCounters:
        session = self._switches.session(self._dpid(node))
        with _naming(node):
            return read_counters(session, node)

    def apply(self, changes: SwitchChanges) -> Receipt:
        started = time.monotonic()
        self._require_leading()
        dpid = self._dpid(changes.node)
        if dpid != changes.dpid:
            raise ProgramError(f"{changes.node}: changes are for {changes.dpid:#x}, the topology says {dpid:#x}")
        self._refuse_what_cannot_be(changes)
        session = self._switches.session(dpid)
        with _naming(changes.node):
            for _, group in groupby(changes.operations, key=_step):
                self._require_leading()  # the step before may have taken long
                self._apply_step(dpid, session, list(group))
        return Receipt(changes.node, len(changes.operations), time.monotonic() - started)

    def _require_leading(self) -> None:
        if not self._may_act():
            raise NotLeader

    def _refuse_what_cannot_be(self, changes: SwitchChanges) -> None:
        """Refuse before the first message is sent what is known to fail or to harm a stranger's entry."""
        foreign = self._foreign_keys.get(changes.dpid, frozenset())
        for operation in changes.operations:
            target = operation.target
            if isinstance(target, (PortQos, PortBfd)) and self._ovsdb is None:
                raise ProgramError(
                    f"{changes.node}: the program has queues or BFD and no OVSDB is configured; "
                    "give the switches' OVSDB remote (`ovsdb`, CARELANE_OVSDB)"
                )
            if isinstance(target, FlowRule) and operation.verb != "delete" and target.key in foreign:
                raise ProgramError(
                    f"{changes.node}: an entry that carelane did not make stands where {flow_key_text(target)} "
                    "belongs; remove it (`ovs-ofctl del-flows --strict`) to let carelane use its place"
                )

    def _apply_step(self, dpid: int, session: Session, operations: list[Operation]) -> None:
        """Counters are read meanwhile where a step is slow: OVSDB does not keep the OpenFlow session to itself."""
        if isinstance(operations[0].target, (PortQos, PortBfd)):
            assert self._ovsdb is not None
            self._ovsdb.apply(dpid, operations)
            return
        with session.lock:
            self._openflow_step(session, operations)

    def _openflow_step(self, session: Session, operations: list[Operation]) -> None:
        if isinstance(operations[0].target, Meter):
            self._step_by_step(session, operations)
            return
        errors = session.commit(operations, encode)
        if errors is not None and IS_SLAVE not in errors.values():
            final = [i for i, error in errors.items() if _remedy(operations[i], error) is error]
            _refuse(operations, {i: errors[i] for i in final})
        if errors is None or errors:
            for _, group in groupby(operations, key=_kind):
                self._step_by_step(session, list(group))

    def _step_by_step(self, session: Session, operations: list[Operation]) -> None:
        """Message by message, each mended where the switch was not in the state that was supposed."""
        errors = session.transact(operations, encode)
        if IS_SLAVE in errors.values():
            self._switches.on_doubt()
            raise SwitchUnreachable("it obeys a newer leader")
        remedies = {i: _remedy(operations[i], error) for i, error in errors.items()}
        _refuse(operations, {i: remedy for i, remedy in remedies.items() if isinstance(remedy, SwitchError)})
        again = [remedy for _, remedy in sorted(remedies.items()) if isinstance(remedy, Operation)]
        if again:
            _refuse(again, session.transact(again, encode))

    def _dpid(self, node: str) -> int:
        if node not in self._topology.nodes:
            raise NotFoundError(f"the topology has no switch {node!r}")
        return self._topology.nodes[node].dpid

    def _send_lldp(self) -> None:
        if not self._may_act():
            return
        for dpid, session, ports in self._switches.live_ports():
            session.connection.send(b"".join(self._discovery.announcement(dpid, port) for port in ports))

    def _send_timed(self, dpid: int, message: bytes) -> None:
        if not self._may_act():
            return
        with suppress(SwitchUnreachable, KeyError):
            session = self._switches.session(dpid)
            if not session.demoted:
                session.connection.send(message)


@contextmanager
def _naming(node: str) -> Iterator[None]:
    """Put the node's name in front of errors raised within."""
    try:
        yield
    except (ProgramError, SwitchUnreachable) as error:
        raise type(error)(f"{node}: {error}") from error


def _step(operation: Operation) -> tuple[type, bool]:
    """What travels together; the next step waits for its confirmation. Flows and groups share a bundle."""
    if isinstance(operation.target, (FlowRule, Group)):
        return (FlowRule, False)
    return _kind(operation)


def _kind(operation: Operation) -> tuple[type, bool]:
    """Without a bundle, operations of one kind and direction travel together."""
    return (type(operation.target), operation.verb == "delete")


def _refuse(operations: Sequence[Operation], errors: Mapping[int, SwitchError]) -> None:
    """Raise the first error by what it is about."""
    if errors:
        first = min(errors)
        others = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise ProgramError(f"the switch rejected {_describe(operations[first])}: {errors[first]}{others}")


def _remedy(operation: Operation, error: SwitchError) -> Operation | SwitchError | None:
    """What to do when the switch was not in the state the operation supposed, as after a restart of either side.

    The wanted entry exists: modify it. It is gone: add it, or be done when it was to be deleted (None). Any other
    error stands.
    """
    if error in _EXISTS and operation.verb == "add":
        return Operation("modify", operation.target)
    if error in _UNKNOWN:
        return None if operation.verb == "delete" else Operation("add", operation.target)
    return error


def _describe(operation: Operation) -> str:
    target = operation.target
    match target:
        case FlowRule():
            return f"{operation.verb} flow {flow_key_text(target)}"
        case Group():
            return f"{operation.verb} group {target.id:#x}"
        case Meter():
            return f"{operation.verb} meter {target.id}"
        case PortQos():
            return f"{operation.verb} queues of port {target.port}"
        case PortBfd():
            return f"{operation.verb} BFD on port {target.port}"
