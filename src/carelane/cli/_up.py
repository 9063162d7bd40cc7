"""`carelane up`: REST, planner, controller and store in one process, from start to a clean end."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from types import FrameType

import structlog
import uvicorn

from carelane.api.rest import create_app, is_loopback
from carelane.cli._exit import Exit, tell
from carelane.cli._output import emit_text
from carelane.cli._sources import load_network
from carelane.controller.southbound.protocol import Southbound
from carelane.errors import InputError
from carelane.logs import configure_logs
from carelane.settings import Settings, load_settings
from carelane.topology import Topology

__all__ = ["Overrides", "run_up"]

GRACE_S = 5
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Overrides:
    """Settings given as options; None leaves them to the environment."""

    topology: str | None = None
    default_capacity: str | None = None
    default_availability: str | None = None
    database: str | None = None
    rest_host: str | None = None
    rest_port: int | None = None
    openflow_host: str | None = None
    openflow_port: int | None = None
    ovsdb: str | None = None
    log_level: str | None = None
    allowed_hosts: str | None = None


class _Stopped(BaseException):
    """SIGTERM or SIGINT before REST was up. Not an Exception: nothing on the way may take it for a fault."""


def run_up(overrides: Overrides, *, simulate: bool, insecure_no_auth: bool) -> Exit:
    """Serve until SIGTERM or SIGINT, then stop in order: REST, controller, switches' connections, store."""
    settings = load_settings(asdict(overrides))
    if settings.topology is None:
        raise InputError("no topology", field="--topology", expected="a file or the name of a bundled topology")
    _refuse_open_door(settings, insecure_no_auth)
    configure_logs(settings.log_level, settings.log_format)
    topology = load_network(settings.topology, settings.default_capacity, settings.default_availability)
    with _signals() as stop, ExitStack() as resources:
        try:
            door = resources.enter_context(_listen(settings.rest_host, settings.rest_port))
            _serve(settings, topology, door, stop, resources, simulate=simulate)
        except _Stopped:
            _log.info("stopped before it was ready")
    tell("carelane: stopped")
    return Exit.DONE
