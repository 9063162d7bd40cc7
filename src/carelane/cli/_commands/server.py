"""The server itself: starting it and looking after its data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from carelane.cli._commands._app import app, group
from carelane.cli._commands._options import Availability, Capacity, Output, Url

__all__: list[str] = []

key_app = group("key", "API keys: who may talk to the server, as what.")

RunTopology = Annotated[
    str | None,
    typer.Option("-t", "--topology", envvar="CARELANE_TOPOLOGY", metavar="TOPOLOGY", help="File or bundled name."),
]
OpenFlowHost = Annotated[str | None, typer.Option(help="Address switches connect to.")]
OpenFlowPort = Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes a free port.")]
OvsdbRemote = Annotated[str | None, typer.Option(metavar="REMOTE", help="Such as tcp:127.0.0.1:6640.")]
TlsKey = Annotated[str | None, typer.Option(metavar="FILE", help="Our key; OpenFlow is over TLS then.")]
TlsCert = Annotated[str | None, typer.Option(metavar="FILE", help="Our certificate.")]
TlsCa = Annotated[str | None, typer.Option(metavar="FILE", help="Authorities of switches.")]
Simulate = Annotated[bool, typer.Option("--simulate", help="No switches: a flow-table simulator.")]
LogLevel = Annotated[str | None, typer.Option(help="debug, info, warning or error.")]


@app.command()
def up(
    topology: RunTopology = None,
    default_capacity: Capacity = None,
    default_availability: Availability = None,
    database: Annotated[str | None, typer.Option(metavar="URL", help="SQLAlchemy URL of the store.")] = None,
    rest_host: Annotated[str | None, typer.Option(help="Address REST listens on.")] = None,
    rest_port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes a free port.")] = None,
    grpc_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Serve gRPC too, at the same address; 0 takes a free port.")
    ] = None,
    openflow_host: OpenFlowHost = None,
    openflow_port: OpenFlowPort = None,
    ovsdb: OvsdbRemote = None,
    tls_key: TlsKey = None,
    tls_cert: TlsCert = None,
    tls_ca: TlsCa = None,
    rest_tls: Annotated[
        bool | None, typer.Option("--rest-tls", help="REST and gRPC over TLS, with the same certificate.")
    ] = None,
    southbound: Annotated[
        str | None, typer.Option(metavar="unix:PATH", help="Switches that `carelane southbound` holds.")
    ] = None,
    simulate: Simulate = False,
    allowed_hosts: Annotated[
        list[str] | None, typer.Option("--allowed-host", help="Further Host names to answer to. Repeatable.")
    ] = None,
    insecure_http: Annotated[
        bool, typer.Option("--insecure-http", help="Let REST listen beyond this machine, without encryption.")
    ] = False,
    log_level: LogLevel = None,
) -> None:
    """Run carelane: REST, planner, controller and store in one process. Options may be CARELANE_* variables."""
    options = locals()
    from carelane.cli._up import run_up

    raise typer.Exit(run_up(options))


@app.command()
def southbound(
    southbound: Annotated[
        str | None,
        typer.Option("--listen", metavar="unix:PATH", help="Socket for `up --southbound`; CARELANE_SOUTHBOUND too."),
    ] = None,
    topology: RunTopology = None,
    default_capacity: Capacity = None,
    default_availability: Availability = None,
    openflow_host: OpenFlowHost = None,
    openflow_port: OpenFlowPort = None,
    ovsdb: OvsdbRemote = None,
    tls_key: TlsKey = None,
    tls_cert: TlsCert = None,
    tls_ca: TlsCa = None,
    simulate: Simulate = False,
    log_level: LogLevel = None,
) -> None:
    """Hold the switches in a process of their own: they stay connected while `carelane up` restarts."""
    options = locals()
    from carelane.cli._up import run_southbound

    raise typer.Exit(run_southbound(options))


@app.command()
def status(
    url: Url = None,
    wait: Annotated[
        str | None, typer.Option("--wait", metavar="DURATION", help="Until it is ready, but no longer.")
    ] = None,
    output: Output = "table",
) -> None:
    """Whether the server can work, which controllers there are, and which of them acts. Exit 1 when none can."""
    from carelane.cli._status import run_status

    raise typer.Exit(run_status(url, wait=wait, output=output))


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="New file; only you will be able to read it.")],
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="The store; CARELANE_DATABASE if not given.")
    ] = None,
) -> None:
    """Save the whole store to one file, one state of it, while the server runs. Works for SQLite and PostgreSQL."""
    from carelane.cli._admin import run_backup

    raise typer.Exit(run_backup(database, target))


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A file of `carelane backup`, of either database.")],
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="The store; CARELANE_DATABASE if not given.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what the database holds.")] = False,
) -> None:
    """Fill an empty database from a backup, all or nothing. Stop the server first."""
    from carelane.cli._admin import run_restore

    raise typer.Exit(run_restore(database, source, force=force))


@key_app.command("create")
def key_create(
    label: Annotated[str, typer.Argument(help="What it is for; shown in lists.")],
    role: Annotated[str, typer.Option(help="viewer, hospital-it, engineer or admin.")] = "viewer",
    tenant: Annotated[str | None, typer.Option(help="Bind it to a tenant; hospital-it must be.")] = None,
    expires: Annotated[str | None, typer.Option(metavar="TIME", help="RFC 3339; never without it.")] = None,
    url: Url = None,
    output: Output = "table",
) -> None:
    """Make an API key. Its text is printed this once and cannot be had again."""
    from carelane.cli._keys import run_key_create

    raise typer.Exit(run_key_create(url, label, role=role, tenant=tenant, expires=expires, output=output))


@key_app.command("list")
def key_list(url: Url = None, output: Output = "table") -> None:
    """All API keys, without their secrets."""
    from carelane.cli._keys import run_key_list

    raise typer.Exit(run_key_list(url, output=output))


@key_app.command("revoke")
def key_revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="From `carelane key list`.")],
    url: Url = None,
    output: Output = "table",
) -> None:
    """Make an API key worthless, at once."""
    from carelane.cli._keys import run_key_revoke

    raise typer.Exit(run_key_revoke(url, key_id, output=output))


@key_app.command("recover")
def key_recover(
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="The store; CARELANE_DATABASE if not given.")
    ] = None,
    revoke_admins: Annotated[
        bool, typer.Option("--revoke-admins", help="Make every other admin key worthless: the lost one may be stolen.")
    ] = False,
) -> None:
    """Make an admin key without one, as the account that owns the store. Works while the server runs. Audited."""
    from carelane.cli._keys import run_key_recover

    raise typer.Exit(run_key_recover(database, revoke_admins=revoke_admins))


@key_app.command("rotate-seal")
def key_rotate_seal(
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="The store; CARELANE_DATABASE if not given.")
    ] = None,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Make none; all but the newest go, once nothing needs them.")
    ] = False,
) -> None:
    """Make a new key that seals sinks' tokens in the store. A running server seals with it at once."""
    from carelane.cli._keys import run_rotate_seal

    raise typer.Exit(run_rotate_seal(database, drop_old=drop_old))
