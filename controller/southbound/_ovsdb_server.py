"""A connection to one OVSDB server: live replica, transactions, bounded waits.

ovsdbapp 3 and the Python IDL do the protocol. What is ours: only the tables and columns carelane needs are replicated
(interface statistics change every few seconds), nothing waits without a limit, and a transaction counts only when
ovs-vswitchd says it has configured it (`cur_cfg`), which ovsdbapp's own wait merely logs.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from carelane.errors import CarelaneError, InputError, ProgramError, SwitchUnreachable
from carelane.tls import TlsFiles

# ovs.poller imports eventlet when it is installed, which warns and has no use under native threads. An entry of None
# makes that one import fail as if it were not installed.
_EVENTLET = sys.modules.get("eventlet")
sys.modules["eventlet"] = None  # type: ignore[assignment]
try:
    import ovs.poller  # noqa: F401  (imported for its effect: later imports find it loaded)
finally:
    del sys.modules["eventlet"]
    if _EVENTLET is not None:
        sys.modules["eventlet"] = _EVENTLET

from ovs.db.idl import Idl, SchemaHelper  # noqa: E402  (after the guard above)
from ovs.stream import Stream  # noqa: E402
from ovsdbapp.backend.ovs_idl.command import BaseCommand  # noqa: E402
from ovsdbapp.backend.ovs_idl.connection import Connection, OvsdbIdl  # noqa: E402
from ovsdbapp.backend.ovs_idl.transaction import Transaction  # noqa: E402
from ovsdbapp.exceptions import TimeoutException  # noqa: E402

__all__ = ["SCHEMA", "Server", "use_certificates"]

_RESYNC_S = 1.0
_KNOCK_S = 2.0
_EPOCH = "carelane:epoch"
_OPTIONAL_STRING = {"type": {"key": "string", "min": 0, "max": 1}}
_OPTIONAL_INTEGER = {"type": {"key": "integer", "min": 0, "max": 1}}
_STRINGS = {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}


def _references(table: str, minimum: int, maximum: int | str) -> dict[str, Any]:
    return {"type": {"key": {"type": "uuid", "refTable": table}, "min": minimum, "max": maximum}}


SCHEMA: dict[str, Any] = {
    "name": "Open_vSwitch",
    "version": "8.0.0",
    "tables": {
        "Open_vSwitch": {
            "columns": {
                "next_cfg": {"type": "integer"},
                "cur_cfg": {"type": "integer"},
                "external_ids": _STRINGS,
            }
        },
        "Bridge": {
            "columns": {
                "name": {"type": "string"},
                "datapath_id": _OPTIONAL_STRING,
                "ports": _references("Port", 0, "unlimited"),
            }
        },
        "Port": {
            "columns": {
                "name": {"type": "string"},
                "interfaces": _references("Interface", 1, "unlimited"),
                "qos": _references("QoS", 0, 1),
            }
        },
        "Interface": {
            "columns": {
                "name": {"type": "string"},
                "ofport": _OPTIONAL_INTEGER,
                "mtu": _OPTIONAL_INTEGER,
                "bfd": _STRINGS,
                "external_ids": _STRINGS,
            },
        },
        "QoS": {
            "columns": {
                "type": {"type": "string"},
                "queues": {
                    "type": {
                        "key": {"type": "integer", "minInteger": 0, "maxInteger": 4294967295},
                        "value": {"type": "uuid", "refTable": "Queue"},
                        "min": 0,
                        "max": "unlimited",
                    }
                },
                "other_config": _STRINGS,
                "external_ids": _STRINGS,
            }
        },
        "Queue": {"columns": {"other_config": _STRINGS, "external_ids": _STRINGS}},
    },
}
"""The part of the Open_vSwitch schema (ovs-vswitchd.conf.db(5)) that carelane reads and writes."""


def use_certificates(files: TlsFiles | None) -> None:
    """For every ``ssl:`` connection of this process from now on (the IDL knows only one set). Raises InputError."""
    if files is None:
        raise InputError(
            "OVSDB over ssl: needs certificates", field="--ovsdb", remedy="give --tls-key, --tls-cert and --tls-ca too"
        )
    Stream.ssl_set_private_key_file(str(files.key))
    Stream.ssl_set_certificate_file(str(files.cert))
    Stream.ssl_set_ca_cert_file(str(files.ca))


class Server:
    """Thread-safe. Connects when first used and reconnects by itself."""

    def __init__(self, remote: str, *, timeout_s: float) -> None:
        self.remote = remote
        self._timeout_s = timeout_s
        self.epoch: int | None = None
        self._starting = threading.Lock()
        self._connection: Any = None

    @property
    def idl(self) -> Any:
        """The replica, as ovsdbapp's transactions want to find it."""
        return self._connection.idl

    @contextlib.contextmanager
    def tables(self) -> Iterator[Any]:
        """The replicated tables, held still for reading. Raises SwitchUnreachable when they are not current."""
        connection = self._connected()
        if not connection.lock.acquire(timeout=self._timeout_s):
            raise SwitchUnreachable(f"OVSDB {self.remote}: busy for more than {self._timeout_s:g} s")
        try:
            self._require_current(connection)
            yield connection.idl.tables
        finally:
            connection.lock.release()

    def change(self, edit: Callable[[Any, Any], None]) -> None:
        """Run ``edit(tables, txn)`` as one transaction and wait until ovs-vswitchd has configured the result.

        `edit` may run again when the database changed meanwhile. Raises ProgramError from `edit` or from the
        database's constraints, SwitchUnreachable when the outcome is unknown.
        """
        deadline = time.monotonic() + self._timeout_s
        command = _Edit(self, edit)
        self._commit(command)
        self._await_vswitchd(command.result, deadline)

    def refresh(self) -> None:
        """Ask the server something and wait for the answer: what it knew before is then in the replica.

        A server sends the changes it has made before it answers, so that a read after this misses nothing that
        happened before the call, and a server that hangs is found out.
        """
        self._commit(_Probe(self))

    def _commit(self, command: Any) -> None:
        connection = self._connected()
        with self.tables():
            pass
        transaction = Transaction(self, connection, timeout=self._timeout_s, check_error=True, log_errors=False)
        transaction.add(command)
        try:
            committed = transaction.commit()
        except CarelaneError:
            raise
        except TimeoutException as error:
            raise SwitchUnreachable(f"OVSDB {self.remote}: no answer within {self._timeout_s:g} s") from error
        except RuntimeError as error:  # ovsdbapp's word for a refused transaction, and for one retried too often
            if "timed out" in str(error):
                raise SwitchUnreachable(f"OVSDB {self.remote}: {error}") from error
            raise ProgramError(f"OVSDB {self.remote} refused the change: {error}") from error
        if committed is None:
            raise SwitchUnreachable(f"OVSDB {self.remote}: the change was not committed")

    def close(self) -> None:
        with self._starting:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.stop(self._timeout_s)

    def _connected(self) -> Any:
        with self._starting:
            if self._connection is None:
                self._connection = self._connect()
            return self._connection

    def _connect(self) -> Any:
        self._knock()
        helper = SchemaHelper(schema_json=SCHEMA)
        helper.register_all()
        idl = OvsdbIdl(self.remote, helper, leader_only=False)
        connection = Connection(idl, self._timeout_s)
        try:
            connection.start()
        except (TimeoutException, OSError) as error:
            idl.close()
            raise SwitchUnreachable(f"OVSDB {self.remote} does not answer ({type(error).__name__})") from error
        return connection

    def _knock(self) -> None:
        """Where nobody listens, the IDL would try again for 15 s and not say why: time in which no other switch is
        looked after."""
        kind, _, rest = self.remote.partition(":")
        wait_s = min(self._timeout_s, _KNOCK_S)
        try:
            if kind == "unix":
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.settimeout(wait_s)
                    probe.connect(rest)
            else:
                host, _, port = rest.rpartition(":")
                socket.create_connection((host.strip("[]"), int(port)), wait_s).close()
        except OSError as error:
            raise SwitchUnreachable(f"OVSDB {self.remote} does not answer: {error.strerror or error}") from error

    def _require_current(self, connection: Any) -> None:
        """Wait a moment for a replica that is being fetched again after a reconnection."""
        deadline = time.monotonic() + min(self._timeout_s, _RESYNC_S)
        while not _current(connection.idl):
            if time.monotonic() > deadline:
                raise SwitchUnreachable(f"OVSDB {self.remote}: not connected")
            connection.lock.release()
            try:
                time.sleep(0.02)
            finally:
                connection.lock.acquire()

    def _await_vswitchd(self, number: int | None, deadline: float) -> None:
        """Wait for a configuration number; without one, when nothing had to change, for all that was asked before."""
        while True:
            with self.tables() as tables:
                (row,) = tables["Open_vSwitch"].rows.values()
                if row.cur_cfg >= (row.next_cfg if number is None else number):
                    return
            if time.monotonic() > deadline:
                raise SwitchUnreachable(f"OVSDB {self.remote}: ovs-vswitchd did not confirm the change")
            time.sleep(0.002)


class _Edit(BaseCommand):  # type: ignore[misc]  # ovsdbapp is untyped
    """Carries `edit` into ovsdbapp's transaction; its result is the configuration number to wait for."""

    def __init__(self, server: Server, edit: Callable[[Any, Any], None]) -> None:
        super().__init__(server)
        self._edit = edit

    def run_idl(self, txn: Any) -> None:
        tables = self.api.idl.tables
        (row,) = tables["Open_vSwitch"].rows.values()
        if self.api.epoch is not None:
            _fence(row, self.api.epoch)
        row.increment("next_cfg")
        self._edit(tables, txn)

    def post_commit(self, txn: Any) -> None:
        self.result = txn.get_increment_new_value()


def _fence(row: Any, epoch: int) -> None:
    """Let the transaction happen only if no newer leader was here: the server compares what we saw of it."""
    row.verify("external_ids")
    seen = row.external_ids.get(_EPOCH, "0")
    if seen.isdecimal() and int(seen) > epoch:
        raise SwitchUnreachable(f"OVSDB obeys a newer leader, of epoch {seen}")
    if seen != str(epoch):
        row.setkey("external_ids", _EPOCH, str(epoch))


class _Probe(BaseCommand):  # type: ignore[misc]  # ovsdbapp is untyped
    """A transaction that only reads, at the server."""

    def run_idl(self, txn: Any) -> None:  # noqa: ARG002  ovsdbapp's signature
        (row,) = self.api.idl.tables["Open_vSwitch"].rows.values()
        row.fetch("cur_cfg")


def _current(idl: Any) -> bool:
    return bool(idl._session.is_connected()) and idl.state == Idl.IDL_S_MONITORING
