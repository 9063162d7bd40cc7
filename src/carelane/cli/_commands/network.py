"""The running network: what an engineer does to links and switches."""

from __future__ import annotations

from typing import Annotated

import typer

from carelane.cli._commands._app import app
from carelane.cli._commands._options import Output, Timeout, Url, Wait

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

    Exit 0 when nothing uses it any longer, 2 when slices would be left without a path (nothing moves then).
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say who would move; change nothing.")] = False,
    wait: Wait = True,
    timeout: Timeout = "60s",
    url: Url = None,
    output: Output = "table",
) -> None:
    """Move slices to where the network now carries them better: shorter, or with less reserved."""
    from carelane.cli._network import run_reoptimise

    raise typer.Exit(run_reoptimise(url, dry_run=dry_run, wait=wait, timeout=timeout, output=output))
