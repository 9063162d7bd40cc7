"""The running network: what an engineer does to links and switches."""

from __future__ import annotations

from typing import Annotated

import typer

from carelane.cli._commands._app import app
from carelane.cli._commands._options import Every, For, Limit, Output, Timeout, Url, Wait
from carelane.cli._completion import intent_names

__all__: list[str] = []


@app.command()
def verify(url: Url = None, output: Output = "table") -> None:
    """Prove, on what the switches hold now, that every slice gets what it was promised, link failures included.

    Exit 0 when all is proven, 1 with a counter-example for everything that is not.
    """
    from carelane.cli._network import run_verify

    raise typer.Exit(run_verify(url, output=output))


@app.command()
def drain(
    target: Annotated[str, typer.Argument(metavar="LINK|NODE", help="A link or a switch of the topology.")],
    force: Annotated[bool, typer.Option("--force", help="Even where slices are left without a path.")] = False,
    wait: Wait = True,
    timeout: Timeout = "60s",
    url: Url = None,
    output: Output = "table",
) -> None:
    """Take a link or a switch out of service, for maintenance; what uses it moves first, and loses no packet.

    Exit 0 when nothing uses it any longer, 1 when a slice went back because a switch rejected its new paths, 2 when
    slices would be left without a path (nothing moves then).
    """
    from carelane.cli._network import run_drain

    raise typer.Exit(run_drain(url, target, force=force, wait=wait, timeout=timeout, output=output))


@app.command()
def undrain(
    target: Annotated[str, typer.Argument(metavar="LINK|NODE", help="What was drained.")],
    wait: Wait = True,
    timeout: Timeout = "60s",
    url: Url = None,
    output: Output = "table",
) -> None:
    """Put a link or a switch back into service."""
    from carelane.cli._network import run_undrain

    raise typer.Exit(run_undrain(url, target, wait=wait, timeout=timeout, output=output))


@app.command()
def reoptimise(
    balance: Annotated[bool, typer.Option("--balance", help="Even out: move slices off the fullest links.")] = False,
    gain: Annotated[
        str, typer.Option("--gain", metavar="SHARE", help="What a move of --balance gains at least, of a link.")
    ] = "10%",
    undo: Annotated[bool, typer.Option("--undo", help="Move what the last time moved back to where it was.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say who would move, and why; change nothing.")] = False,
    wait: Wait = True,
    timeout: Timeout = "60s",
    url: Url = None,
    output: Output = "table",
) -> None:
    """Move slices, without loss, to where the network now carries them better: shorter, or with less reserved.

    With --balance, slices leave the fullest links instead, the least important first, where their whole promise holds
    on another way. Those of the highest priority move only for what is better for themselves.
    """
    from carelane.cli._network import run_reoptimise
    from carelane.errors import InputError

    if balance and undo:
        raise InputError("--balance and --undo", remedy="give one of them")
    aim = "balance" if balance else "undo" if undo else "shorter"
    raise typer.Exit(run_reoptimise(url, aim, gain=gain, dry_run=dry_run, wait=wait, timeout=timeout, output=output))


@app.command()
def drains(url: Url = None, output: Output = "table") -> None:
    """List the links and switches that are out of service on purpose."""
    from carelane.cli._listings import run_drains

    raise typer.Exit(run_drains(url, output=output))


@app.command()
def capacity(url: Url = None, output: Output = "table") -> None:
    """What is reserved and what is free on each link, each way."""
    from carelane.cli._listings import run_capacity

    raise typer.Exit(run_capacity(url, output=output))


@app.command()
def compliance(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="One intent; all if not given.", autocompletion=intent_names),
    ] = None,
    url: Url = None,
    output: Output = "table",
) -> None:
    """Promised and measured, objective by objective. Exit 1 when a promise is broken."""
    from carelane.cli._listings import run_compliance

    raise typer.Exit(run_compliance(url, name, output=output))


@app.command()
def audit(
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only what was done to this tenant's.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="Only what they did.")] = None,
    action: Annotated[str | None, typer.Option("--action", help="Only these, such as intent.apply.")] = None,
    target: Annotated[str | None, typer.Option("--target", help="Only what was done to it.")] = None,
    limit: Limit = 100,
    url: Url = None,
    output: Output = "table",
) -> None:
    """Who changed what, newest first; `-o json` has every change before and after."""
    from carelane.cli._listings import run_audit

    asked = {"tenant": tenant, "subject": subject, "action": action, "target": target}
    raise typer.Exit(run_audit(url, asked, limit=limit, output=output))


@app.command()
def consultations(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Consultations; all without any.", autocompletion=intent_names),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Go on, in place on a terminal; -o json prints a line a look.")
    ] = False,
    every: Every = "1s",
    duration: For = None,
    url: Url = None,
    output: Output = "table",
) -> None:
    """What each site of each slice offers, may send and sends: how bursts are shaped now."""
    from carelane.cli._consultations import run_consultations

    raise typer.Exit(run_consultations(url, names or [], live=live, every=every, duration=duration, output=output))


@app.command()
def access(url: Url = None, output: Output = "table") -> None:
    """The access policy in force, rule by rule, and how often each forbade something."""
    from carelane.cli._listings import run_access

    raise typer.Exit(run_access(url, output=output))


@app.command()
def whoami(url: Url = None, output: Output = "table") -> None:
    """Whom the server takes you for: subject, role and tenant of your key."""
    from carelane.cli._listings import run_whoami

    raise typer.Exit(run_whoami(url, output=output))
