"""`carelane up`: REST, planner, controller and store in one process, from start to a clean end."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from carelane.api.auth import Authenticator
from carelane.api.auth.keys import KeyRing
from carelane.api.auth.setup import first_key, make_authenticator
from carelane.api.camara.keeper import SessionKeeper
from carelane.api.camara.sinks import SinkRules
from carelane.api.camara.vault import Vault
from carelane.api.hosts import is_loopback
from carelane.api.rest import create_app
from carelane.cli._exit import Exit, tell
from carelane.cli._output import emit_text
from carelane.cli._switches import openflow_port_taken, switches_of
from carelane.controller.runner import Controller
from carelane.controller.service import IntentService
from carelane.controller.southbound.protocol import Southbound
from carelane.errors import InputError, NotLeader
from carelane.key_files import seal_file
from carelane.logs import configure_logs
from carelane.policies.access import read_policy
from carelane.policies.admission import read_policy as read_admission_policy
from carelane.settings import Settings
from carelane.tls import TlsFiles
from carelane.topology import Topology
from carelane.tracing import configure_traces

__all__ = ["serve"]

GRACE_S = 5
_SWITCH_S = 0.0005
"""How long one thread may keep the interpreter from another. A filing lets go of it at each statement to the database,
and would wait Python's 5 ms each time while the loop compiles or proves."""


class _Stopped(BaseException):
    """SIGTERM or SIGINT before REST was up. Not an Exception: nothing on the way may take it for a fault."""


def serve(settings: Settings, topology: Topology, *, simulate: bool) -> Exit:
    """Serve until SIGTERM or SIGINT, then stop in order: REST, controller, switches' connections, store."""
    configure_logs(settings.log_level, settings.log_format)
    sys.setswitchinterval(_SWITCH_S)
    end_traces = configure_traces(settings.traces)
    with _signals() as stop, ExitStack() as resources:
        resources.callback(end_traces)
        try:
            tls = TlsFiles.of(settings.tls_key, settings.tls_cert, settings.tls_ca)
            rest_tls = _rest_tls(settings, tls)
            door = resources.enter_context(_listen(settings.rest_host, settings.rest_port))
            make = switches_of(settings, tls, simulate=simulate)
            address = settings.advertise or _url(door, rest_tls)
            controller = resources.enter_context(_controller(settings, topology, make, address))
            authenticator = make_authenticator(settings, controller.service.store)
            made = _first_key(settings, authenticator.keys)
            if made is not None:
                tell(f"carelane: wrote a first admin key to {made}; the command line finds it there by itself")
            vault = Vault(seal_file(settings.seal_file, settings.database))
            app = create_app(
                controller.service,
                authenticator,
                vault=vault,
                allowed_hosts=_names(settings.allowed_hosts),
                any_address=not is_loopback(settings.rest_host),
                sinks=SinkRules(frozenset(_names(settings.sink_hosts))),
                tls=tls,
            )
            resources.enter_context(_sessions(controller.service, vault))
            grpc = resources.enter_context(_grpc(settings, controller.service, authenticator, rest_tls))
            where = make.address
            if controller.leadership.elected:
                where = f"{where}, {controller.leadership.standing.role}"
            ready = f"carelane ready: REST {_url(door, rest_tls)}, {grpc}{where}, topology {topology.name}"
            # What is here now stays. Else the search for cyclic garbage walks through all of it, topology and grammar
            # included, while callers wait: 140 ms at a time.
            gc.freeze()
            _serve(app, door, stop, lambda: emit_text(ready), rest_tls)
        except _Stopped:
            tell("carelane: stopped before it was ready")
    tell("carelane: stopped")
    return Exit.DONE


def _first_key(settings: Settings, keys: KeyRing) -> Path | None:
    """The leader's to make."""
    try:
        return first_key(settings, keys)
    except NotLeader:
        return None


def _names(text: str) -> list[str]:
    return [name.strip().lower() for name in text.split(",") if name.strip()]


@contextmanager
def _sessions(service: IntentService, vault: Vault) -> Iterator[None]:
    """CAMARA sessions move along while the server runs."""
    keeper = SessionKeeper(service, vault)
    keeper.start()
    try:
        yield
    finally:
        keeper.stop()


@contextmanager
def _grpc(
    settings: Settings, service: IntentService, authenticator: Authenticator, tls: TlsFiles | None
) -> Iterator[str]:
    """gRPC when it is asked for; what the ready line says of it. Raises InputError."""
    if settings.grpc_port is None:
        yield ""
        return
    from carelane.api.grpc.server import GrpcServer

    server = GrpcServer(service, authenticator, settings.rest_host, settings.grpc_port, tls=tls)
    server.start()
    try:
        yield f"gRPC {settings.rest_host} port {server.port}, "
    finally:
        server.stop()


@contextmanager
def _signals() -> Iterator[list[uvicorn.Server]]:
    """SIGTERM and SIGINT end the start-up, or the server once the yielded list holds it.

    uvicorn takes the signals over while it serves, then raises them again, which must not kill the clean-up.
    """
    serving: list[uvicorn.Server] = []

    def stop(_signal: int, _frame: FrameType | None) -> None:
        if not serving:
            raise _Stopped
        serving[0].should_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield serving
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    """The listening socket, taken before anything else is started. Raises InputError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        door = socket.create_server((host, port), family=family, backlog=128)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"cannot listen on {host} port {port}: {reason}",
            field="--rest-port",
            remedy="stop what listens there, or choose another port (0 takes a free one)",
        ) from error
    with door:
        yield door


@contextmanager
def _controller(
    settings: Settings, topology: Topology, make_southbound: Callable[[Topology], Southbound], address: str
) -> Iterator[Controller]:
    """The started controller. Raises CarelaneError."""
    controller = Controller(
        topology,
        settings.database,
        make_southbound,
        drift_interval_s=settings.drift_interval_s,
        telemetry_interval_s=settings.telemetry_interval_s,
        sharing=settings.sharing,
        hold_off_s=settings.hold_off_s,
        repair_after_s=settings.repair_after_s,
        access=read_policy(settings.access) if settings.access else None,
        address=address,
        lease_s=settings.lease_s,
        policy=read_admission_policy(settings.policy, topology) if settings.policy else None,
    )
    try:
        controller.start()
    except OSError as error:
        raise openflow_port_taken(settings, error) from error
    try:
        yield controller
    finally:
        controller.stop()


def _serve(
    app: FastAPI, door: socket.socket, stop: list[uvicorn.Server], ready: Callable[[], None], tls: TlsFiles | None
) -> None:
    """Run REST until a signal; `ready` is called once it answers."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
            lifespan="off",
            ssl_keyfile=None if tls is None else tls.key,
            ssl_certfile=None if tls is None else tls.cert,
        )
    )

    async def serve() -> None:
        serving = asyncio.create_task(server.serve(sockets=[door]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        if server.started:
            ready()
        await serving

    stop.append(server)
    asyncio.run(serve())


def _rest_tls(settings: Settings, tls: TlsFiles | None) -> TlsFiles | None:
    if settings.rest_tls and tls is None:
        remedy = "give --tls-key, --tls-cert and --tls-ca; `carelane pki init DIR` makes them"
        raise InputError("REST over TLS needs certificates", field="--rest-tls", remedy=remedy)
    return tls if settings.rest_tls else None


def _url(door: socket.socket, tls: TlsFiles | None) -> str:
    host, port = door.getsockname()[:2]
    return f"{'http' if tls is None else 'https'}://{f'[{host}]' if ':' in host else host}:{port}"
