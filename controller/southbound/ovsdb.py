"""Queues and BFD of ports through OVSDB: one transaction a switch and apply, confirmed by ovs-vswitchd, read back.

Every row of ours carries external-ids ``carelane:owner``, ``carelane:port`` and, on queues, ``carelane:slice``. Rows
of others are reported and never removed or altered; rows of ours that nothing refers to any more are swept. BFD is a
setting of the port's interface, marked there by ``carelane:bfd``.

OVS derives HTB's quantum from the MTU (lib/netdev-linux.c), so that a queue is served at least one frame at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from carelane.controller.pipeline.changes import Operation
from carelane.controller.pipeline.program import PortBfd, PortQos
from carelane.controller.southbound._ovsdb_rows import (
    BFD,
    PortRow,
    bfd_config,
    find_ports,
    is_own,
    port_bfd,
    port_qos,
    qos_config,
    queue_config,
    queue_ids,
    watches,
)
from carelane.controller.southbound._ovsdb_server import Server, use_certificates
from carelane.controller.southbound.tc import TcReader, compare_classes, read_classes
from carelane.errors import ProgramError, SwitchUnreachable
from carelane.tls import TlsFiles

__all__ = ["Ovsdb", "PortsState"]

_LOG = logging.getLogger(__name__)
_HTB = "linux-htb"
_AT_ONCE = 32  # servers that are told of a new leader


@dataclass(frozen=True, slots=True)
class PortsState:
    """What a switch has in OVSDB; `mismatches` says where the kernel differs from it."""

    own: tuple[PortQos, ...] = ()
    watches: tuple[PortBfd, ...] = ()
    strangers: tuple[str, ...] = ()
    mismatches: tuple[str, ...] = ()


class Ovsdb:
    """Thread-safe.

    `remote` is ``tcp:HOST:PORT``, ``ssl:...`` or ``unix:PATH``, or a mapping from datapath id to such a remote where
    switches have servers of their own. `tc_reader` reads kernel classes by interface name; without one they are read
    here when the server is reached by a Unix socket, which means on this machine, and not at all otherwise. `tls` is
    needed for ``ssl:``; its authorities must have signed the server's certificate. Raises InputError without it.
    """

    def __init__(
        self,
        remote: str | Mapping[int, str],
        *,
        tc_reader: TcReader | None = None,
        timeout_s: float = 10.0,
        tls: TlsFiles | None = None,
    ) -> None:
        self._shared = remote if isinstance(remote, str) else None
        self._by_dpid = {} if isinstance(remote, str) else dict(remote)
        remotes = {remote} if isinstance(remote, str) else set(self._by_dpid.values())
        if any(name.startswith("ssl:") for name in remotes):
            use_certificates(tls)
        self._servers = {name: Server(name, timeout_s=timeout_s) for name in remotes}
        self._tc_reader = tc_reader

    def apply(self, dpid: int, operations: Sequence[Operation]) -> None:
        """Carry out `PortQos` and `PortBfd` operations on one switch in one transaction.

        Raises ProgramError (nothing changed) or SwitchUnreachable (unknown outcome: read to learn it; also for a port
        that is not there, as it may have gone a moment ago).
        """

        def edit(tables: Any, txn: Any) -> None:
            ports = _ports(tables, dpid)
            _sweep(tables)
            for operation in operations:
                if isinstance(operation.target, PortBfd):
                    _watch(ports, operation.target, wanted=operation.verb != "delete")
                elif not isinstance(operation.target, PortQos):
                    raise TypeError(f"{type(operation.target).__name__} is not an OVSDB target")
                elif operation.verb == "delete":
                    _remove(ports, operation.target)
                else:
                    _put(tables, txn, ports, operation.target)

        self._server(dpid).change(edit)

    def read(self, dpid: int) -> PortsState:
        """Raises SwitchUnreachable when the database is not reachable or does not know the switch."""
        server = self._server(dpid)
        own: list[PortQos] = []
        watching: list[PortBfd] = []
        strangers: list[str] = []
        mismatches: list[str] = []
        to_check: list[tuple[PortQos, PortRow]] = []
        server.refresh()
        with server.tables() as tables:
            for number, port in sorted(_ports(tables, dpid).items()):
                watch = port_bfd(number, port)
                if watch is not None:
                    watching.append(watch)
                elif watches(port):
                    strangers.append(f"port {number} ({port.interface}): BFD")
                if port.qos is None:
                    continue
                if not is_own(port.qos):
                    strangers.append(f"port {number} ({port.interface}): a QoS of type {port.qos.type!r}")
                    continue
                strangers += [
                    f"port {number} ({port.interface}): queue {queue}"
                    for queue, row in sorted(port.qos.queues.items())
                    if not is_own(row)
                ]
                if port.qos.type != _HTB:
                    mismatches.append(f"port {number} ({port.interface}): our QoS is {port.qos.type!r}, not {_HTB!r}")
                    continue
                state = port_qos(number, port.qos)
                own.append(state)
                to_check.append((state, port))
        reader = self._tc_reader or (read_classes if server.remote.startswith("unix:") else None)
        if reader is not None:
            for state, port in to_check:
                mismatches += _kernel_mismatches(reader, state, port)
        return PortsState(tuple(own), tuple(watching), tuple(strangers), tuple(mismatches))

    def claim(self, epoch: int) -> None:
        """`carry` this epoch, and tell it at once."""
        self.carry(epoch)
        self.tell_epoch()

    def carry(self, epoch: int) -> None:
        """From now on changes carry this epoch, and a server that has seen a larger one refuses them."""
        for server in self._servers.values():
            server.epoch = epoch

    def tell_epoch(self) -> None:
        """Servers that answer learn the epoch now, the others with the first change."""

        def tell(server: Server) -> None:
            try:
                server.change(lambda _tables, _txn: None)
            except (SwitchUnreachable, ProgramError) as error:
                _LOG.warning("OVSDB does not know the new leader yet: %s", error)

        servers = tuple(self._servers.values())
        # Side by side: one that does not answer must not keep the others with the old leader meanwhile.
        with ThreadPoolExecutor(max(1, min(len(servers), _AT_ONCE)), thread_name_prefix="carelane-claim") as pool:
            list(pool.map(tell, servers))

    def close(self) -> None:
        """Disconnect; the next call connects again."""
        for server in self._servers.values():
            server.close()

    def _server(self, dpid: int) -> Server:
        remote = self._shared or self._by_dpid.get(dpid)
        if remote is None:
            raise ProgramError(f"no OVSDB remote is given for switch {dpid:#x}; add it to the `ovsdb` mapping")
        return self._servers[remote]


def _ports(tables: Any, dpid: int) -> dict[int, PortRow]:
    ports = find_ports(tables, dpid)
    if ports is None:
        # It may yet appear: ovs-vswitchd writes the id when it has created the bridge.
        raise SwitchUnreachable(f"OVSDB knows no bridge with datapath id {dpid:016x}; is this the switch's server?")
    return ports


def _kernel_mismatches(reader: TcReader, state: PortQos, port: PortRow) -> list[str]:
    name = f"{state.port} ({port.interface})"
    try:
        classes = reader(port.interface)
    except (OSError, ValueError) as error:
        return [f"port {name}: kernel classes cannot be read: {error}"]
    return compare_classes(name, state.max_rate_bps, state.queues, classes, mtu=port.mtu)


def _sweep(tables: Any) -> None:
    """Delete our rows that nothing refers to: what a removed port leaves behind."""
    used = {row.uuid for port in tables["Port"].rows.values() for row in port.qos}
    for qos in [row for row in tables["QoS"].rows.values() if is_own(row) and row.uuid not in used]:
        qos.delete()
    queued = {
        row.uuid
        for qos in tables["QoS"].rows.values()
        if not is_own(qos) or qos.uuid in used
        for row in qos.queues.values()
    }
    for queue in [row for row in tables["Queue"].rows.values() if is_own(row) and row.uuid not in queued]:
        queue.delete()


def _watch(ports: Mapping[int, PortRow], target: PortBfd, *, wanted: bool) -> None:
    port = ports.get(target.port)
    if port is None and not wanted:
        return
    if port is None:
        raise SwitchUnreachable(f"port {target.port} does not exist on the switch, so it cannot be watched yet")
    row = port.interface_row
    if port_bfd(target.port, port) is None and watches(port):
        raise ProgramError(
            f"port {target.port} ({port.interface}) has BFD that carelane did not set; "
            f"remove it with `ovs-vsctl clear interface {port.interface} bfd` to let carelane watch the port"
        )
    ids = {key: value for key, value in row.external_ids.items() if key != BFD}
    _set(row, "bfd", bfd_config(target) if wanted else {})
    _set(row, "external_ids", {**ids, BFD: "carelane"} if wanted else ids)


def _remove(ports: Mapping[int, PortRow], target: PortQos) -> None:
    port = ports.get(target.port)
    if port is None or port.qos is None or not is_own(port.qos):
        return
    port.row.qos = []
    if _is_shared(port, ports):
        return
    own = [row for row in port.qos.queues.values() if is_own(row)]
    port.qos.delete()
    for row in own:
        row.delete()


def _put(tables: Any, txn: Any, ports: Mapping[int, PortRow], target: PortQos) -> None:
    port = ports.get(target.port)
    if port is None:
        raise SwitchUnreachable(f"port {target.port} does not exist on the switch, so it cannot have queues yet")
    if port.qos is not None and not is_own(port.qos):
        raise ProgramError(
            f"port {target.port} ({port.interface}) has a QoS that carelane did not make; "
            f"remove it with `ovs-vsctl clear port {port.row.name} qos` to let carelane manage the port"
        )
    former = None if port.qos is None or _is_shared(port, ports) else port.qos
    qos = txn.insert(tables["QoS"]) if former is None else former
    existing = {} if former is None else dict(former.queues)
    config, ids = qos_config(target)
    _set(qos, "type", _HTB)
    _set(qos, "other_config", config)
    _set(qos, "external_ids", ids)
    queues = {number: row for number, row in existing.items() if not is_own(row)}
    for queue in target.queues:
        if queue.id in queues:
            raise ProgramError(f"port {target.port}: queue {queue.id} exists and carelane did not make it")
        row = existing.get(queue.id)
        if row is None:
            row = txn.insert(tables["Queue"])
        _set(row, "other_config", queue_config(queue))
        _set(row, "external_ids", queue_ids(queue, target.port))
        queues[queue.id] = row
    if queues != existing:
        qos.queues = queues
    for number, row in existing.items():
        if number not in queues:
            row.delete()
    if former is None:
        port.row.qos = [qos]


def _is_shared(port: PortRow, ports: Mapping[int, PortRow]) -> bool:
    """Somebody gave our QoS to another port too; each port gets its own again."""
    return any(other.row != port.row and port.qos in other.row.qos for other in ports.values())


def _set(row: Any, column: str, value: Any) -> None:
    """Write only what differs: an untouched row is not part of the transaction. A new row has no values yet."""
    if getattr(row, column, None) != value:
        setattr(row, column, value)
