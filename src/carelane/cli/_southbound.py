"""`carelane southbound`: the switches stay connected here while the control plane restarts elsewhere."""

from __future__ import annotations

import signal
import threading
from types import FrameType

from carelane.api.grpc.southbound import SouthboundServer
from carelane.cli._exit import Exit, tell
from carelane.cli._output import emit_text
from carelane.cli._switches import openflow_port_taken, switches_of
from carelane.controller.southbound.startable import Startable
from carelane.logs import configure_logs
from carelane.settings import Settings
from carelane.tls import TlsFiles
from carelane.topology import Topology

__all__ = ["hold"]


def hold(settings: Settings, topology: Topology, listen: str, *, simulate: bool) -> Exit:
    """Serve the switches at `listen` until SIGTERM or SIGINT. They keep forwarding afterwards. Raises InputError."""
    configure_logs(settings.log_level, settings.log_format)
    asked = threading.Event()

    def ask(_signal: int, _frame: FrameType | None) -> None:
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    tls = TlsFiles.of(settings.tls_key, settings.tls_cert, settings.tls_ca)
    make = switches_of(settings, tls, simulate=simulate)
    southbound = make(topology)
    try:
        if isinstance(southbound, Startable):
            southbound.start()
    except OSError as error:
        raise openflow_port_taken(settings, error) from error
    try:
        server = SouthboundServer(southbound, topology, listen, make.address)
        server.start()
        emit_text(f"carelane southbound ready: {listen}, {make.address}, topology {topology.name}")
        asked.wait()
        server.stop()
    finally:
        if isinstance(southbound, Startable):
            southbound.stop()
    tell("carelane southbound: stopped")
    return Exit.DONE
