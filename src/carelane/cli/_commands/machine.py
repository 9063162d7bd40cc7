"""This machine and this installation."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from carelane.cli._commands._app import app, show_version
from carelane.cli._commands._options import Output, Url

__all__: list[str] = []


@app.command()
def version() -> None:
    """Print the version."""
    show_version(wanted=True)


@app.command()
def doctor(
    purpose: Annotated[
        Literal["server", "switches", "lab", "tests", "all"],
        typer.Option("--for", help="What the machine is to do; decides the exit code."),
    ] = "server",
    url: Url = None,
    output: Output = "table",
) -> None:
    """Check this machine: what works, what is missing, and how to get it.

    Exit 0 when everything for the purpose is there, 1 when something is missing.
    """
    from carelane.cli._doctor import run_doctor

    raise typer.Exit(run_doctor(url, purpose, output=output))


@app.command()
def completion(shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(help="Your shell.")]) -> None:
    """Print a completion script: `source <(carelane completion bash)`."""
    from carelane.cli._completion import run_completion

    raise typer.Exit(run_completion(shell))
