"""Certificates of a lab or a first deployment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from carelane.cli._commands._app import group
from carelane.cli._commands._options import Output

__all__: list[str] = []

pki_app = group("pki", "Certificates for TLS between controller and switches: a small authority of your own.")
_Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Where keys and certificates are; yours only.")]
_Hosts = Annotated[
    list[str] | None, typer.Option("--host", help="Name or address the controller is called by. Repeatable.")
]
_Days = Annotated[int, typer.Option(min=1, max=3650, help="How long certificates are good for.")]
_Force = Annotated[bool, typer.Option("--force", help="Replace what exists.")]


@pki_app.command("init")
def pki_init(
    folder: _Folder,
    host: _Hosts = None,
    switch: Annotated[
        list[str] | None,
        typer.Option("--switch", help="A switch, by its node id; its certificate is good for it alone. Repeatable."),
    ] = None,
    days: _Days = 825,
    force: _Force = False,
) -> None:
    """Make an authority, the controller's certificate, and one for each switch (one for all if none is named)."""
    from carelane.cli._pki import run_pki_init

    raise typer.Exit(run_pki_init(folder, host or [], switch or [], days=days, force=force))


@pki_app.command("issue")
def pki_issue(
    folder: _Folder,
    name: Annotated[str, typer.Argument(help="A switch's node id, or `controller`.")],
    host: _Hosts = None,
    days: _Days = 825,
    force: _Force = False,
) -> None:
    """One more certificate of the same authority; with --force, a renewed one."""
    from carelane.cli._pki import run_pki_issue

    raise typer.Exit(run_pki_issue(folder, name, host or [], days=days, force=force))


@pki_app.command("show")
def pki_show(folder: _Folder, output: Output = "table") -> None:
    """The certificates of a folder and when they end. Exit 1 when one of them has."""
    from carelane.cli._pki import run_pki_show

    raise typer.Exit(run_pki_show(folder, output=output))
