"""`carelane up` and `southbound` before anything heavy is imported: settings, topology, may it be done at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from carelane.api.hosts import is_loopback
from carelane.cli._exit import Exit
from carelane.cli._sources import load_network
from carelane.errors import InputError
from carelane.settings import load_settings

if TYPE_CHECKING:
    from carelane.settings import Settings
    from carelane.topology import Topology

__all__ = ["run_southbound", "run_up"]


Options = Mapping[str, Any]
"""Options by the names of the settings that they override, and beside them those that are no settings (`_NO_SETTINGS`);
None leaves a setting to the environment."""

_NO_SETTINGS = frozenset({"simulate", "insecure_http"})


def run_up(options: Options) -> Exit:
    """Serve until SIGTERM or SIGINT. Raises InputError."""
    settings = _settings({**options, "allowed_hosts": ",".join(options["allowed_hosts"] or ()) or None})
    _refuse_open_door(settings, options["insecure_http"])
    _refuse_two_southbounds(settings, options["simulate"])
    topology = _topology(settings)
    from carelane.cli._serve import serve

    return serve(settings, topology, simulate=options["simulate"])


def run_southbound(options: Options) -> Exit:
    """Hold the switches for a control plane in another process, until SIGTERM or SIGINT. Raises InputError."""
    settings = _settings(options)
    if settings.southbound is None:
        raise InputError("no socket", field="--listen", expected="such as unix:/run/carelane/southbound.sock")
    topology = _topology(settings)
    from carelane.cli._southbound import hold

    own = settings.model_copy(update={"southbound": None})
    return hold(own, topology, settings.southbound, simulate=options["simulate"])


def _settings(options: Options) -> Settings:
    return load_settings({name: value for name, value in options.items() if name not in _NO_SETTINGS})


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
