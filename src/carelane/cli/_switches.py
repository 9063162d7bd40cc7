"""Which switches a process works with: real ones, simulated ones, or those that another process holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from carelane.cli._exit import warn
from carelane.controller.southbound.protocol import Southbound
from carelane.controller.southbound.simulator import Simulator
from carelane.errors import InputError
from carelane.settings import Settings
from carelane.tls import TlsFiles
from carelane.topology import Topology

if TYPE_CHECKING:
    from carelane.api.grpc.southbound import RemoteSouthbound
    from carelane.controller.southbound.openflow import OpenFlowSouthbound

__all__ = ["MakeSwitches", "openflow_port_taken", "switches_of"]


class MakeSwitches(Protocol):
    """Makes the southbound, and knows for people, once it is started, where the switches are."""

    def __call__(self, topology: Topology) -> Southbound: ...

    @property
    def address(self) -> str: ...


def switches_of(settings: Settings, tls: TlsFiles | None, *, simulate: bool) -> MakeSwitches:
    """What the settings ask for. Says aloud that simulated switches carry nothing."""
    if simulate:
        warn("SIMULATED SWITCHES: intents are planned, compiled and walked through flow tables in memory only;")
        warn("no packet of any patient is carried or protected. Leave out --simulate to use real switches.")
        return _Simulated()
    return _Real(settings, tls) if settings.southbound is None else _Remote(settings.southbound)


def openflow_port_taken(settings: Settings, error: OSError) -> InputError:
    return InputError(
        f"cannot listen for switches on {settings.openflow_host} port {settings.openflow_port}: "
        f"{error.strerror or error}",
        field="--openflow-port",
        remedy="stop what listens there, or choose another port",
    )


class _Simulated:
    address = "SIMULATED switches"

    def __call__(self, topology: Topology) -> Southbound:
        return Simulator(topology)


class _Remote:
    def __init__(self, address: str) -> None:
        self._where = address
        self._made: RemoteSouthbound | None = None

    def __call__(self, topology: Topology) -> Southbound:
        from carelane.api.grpc.southbound import RemoteSouthbound

        self._made = RemoteSouthbound(topology, self._where)
        return self._made

    @property
    def address(self) -> str:
        told = self._made.address if self._made is not None else ""
        return f"switches held at {self._where}" + (f" ({told})" if told else ", which does not answer yet")


class _Real:
    def __init__(self, settings: Settings, tls: TlsFiles | None) -> None:
        self._settings, self._tls = settings, tls
        self._made: OpenFlowSouthbound | None = None

    def __call__(self, topology: Topology) -> Southbound:
        from carelane.controller.southbound.openflow import OpenFlowSouthbound
        from carelane.controller.southbound.ovsdb_remotes import ovsdb_remotes

        dpids = {node.id: node.dpid for node in topology.nodes.values()}
        ovsdb = None if self._settings.ovsdb is None else ovsdb_remotes(self._settings.ovsdb, dpids)
        self._made = OpenFlowSouthbound(
            topology,
            host=self._settings.openflow_host,
            port=self._settings.openflow_port,
            ovsdb=ovsdb,
            tls=self._tls,
        )
        return self._made

    @property
    def address(self) -> str:
        assert self._made is not None, "the southbound is not started"
        kind = "tcp" if self._tls is None else "ssl"
        return f"OpenFlow {kind}:{self._settings.openflow_host}:{self._made.port}"
