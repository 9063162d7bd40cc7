"""The running network: what an engineer does to links and switches."""

from __future__ import annotations

import typer

from carelane.cli._commands._app import app
from carelane.cli._commands._options import Output, Url

__all__: list[str] = []


@app.command()
def verify(url: Url = None, output: Output = "table") -> None:
    """Prove, on what the switches hold now, that every slice gets what it was promised, link failures included.

    Exit 0 when all is proven, 1 with a counter-example for everything that is not.
    """
    from carelane.cli._network import run_verify

    raise typer.Exit(run_verify(url, output=output))
