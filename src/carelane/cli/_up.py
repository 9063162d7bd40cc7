"""`carelane up` and `southbound` before anything heavy is imported: settings, topology, may it be done at all."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from carelane.api.hosts import is_loopback
from carelane.cli._exit import Exit
from carelane.cli._sources import load_network
from carelane.errors import InputError
from carelane.settings import load_settings

if TYPE_CHECKING:
    from carelane.settings import Settings
    from carelane.topology import Topology

__all__ = ["Overrides", "run_southbound", "run_up"]


@dataclass(frozen=True, slots=True)
class Overrides:
    """Settings given as options; None leaves them to the environment."""

    topology: str | None = None
    default_capacity: str | None = None
    default_availability: str | None = None
    database: str | None = None
    rest_host: str | None = None
    rest_port: int | None = None
    grpc_port: int | None = None
    openflow_host: str | None = None
    openflow_port: int | None = None
    ovsdb: str | None = None
    southbound: str | None = None
    tls_key: str | None = None
    tls_cert: str | None = None
    tls_ca: str | None = None
    rest_tls: bool | None = None
    log_level: str | None = None
    allowed_hosts: str | None = None


def run_up(overrides: Overrides, *, simulate: bool, insecure_http: bool) -> Exit:
    """Serve until SIGTERM or SIGINT. Raises InputError."""
    settings = load_settings(asdict(overrides))
    _refuse_open_door(settings, insecure_http)
    _refuse_two_southbounds(settings, simulate)
    topology = _topology(settings)
    from carelane.cli._serve import serve

    return serve(settings, topology, simulate=simulate)


def run_southbound(overrides: Overrides, *, simulate: bool) -> Exit:
    """Hold the switches for a control plane in another process, until SIGTERM or SIGINT. Raises InputError."""
    settings = load_settings(asdict(overrides))
    if settings.southbound is None:
        raise InputError("no socket", field="--listen", expected="such as unix:/run/carelane/southbound.sock")
    topology = _topology(settings)
    from carelane.cli._southbound import hold

    own = settings.model_copy(update={"southbound": None})
    return hold(own, topology, settings.southbound, simulate=simulate)


def _topology(settings: Settings) -> Topology:
    if settings.topology is None:
        raise InputError("no topology", field="--topology", expected="a file or the name of a bundled topology")
    return load_network(settings.topology, settings.default_capacity, settings.default_availability)


def _refuse_two_southbounds(settings: Settings, simulate: bool) -> None:
    if settings.southbound is not None and simulate:
        raise InputError(
            "the switches are held by another process",
            field="--southbound",
            remedy="give --simulate to `carelane southbound` instead, or leave one of them out",
        )


def _refuse_open_door(settings: Settings, insecure_http: bool) -> None:
    """Keys and tokens travel in every request; in the clear, whoever listens has them."""
    if settings.rest_tls or is_loopback(settings.rest_host) or insecure_http:
        return
    raise InputError(
        f"REST would listen on {settings.rest_host} without encryption, where anybody on the way could read API keys",
        field="--rest-host",
        expected="127.0.0.1, ::1 or localhost, behind a proxy that speaks TLS",
        remedy="encrypt it with --rest-tls, keep it on this machine, or accept the risk with --insecure-http",
    )
