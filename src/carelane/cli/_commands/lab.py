"""`carelane lab`: emulated networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from carelane.cli._commands._app import group
from carelane.cli._commands._options import Substrate

__all__: list[str] = []

lab_app = group("lab", "Emulated networks with real switches and packets.")


@lab_app.command("run")
def lab_run(
    scenario: Annotated[str, typer.Argument(help="A name from `carelane lab list`.")],
    report: Annotated[Path, typer.Option("--report", metavar="DIR", help="Where the report goes.")],
    substrate: Substrate = "auto",
    seed: Annotated[int, typer.Option(help="Seed of the traffic models.")] = 1,
) -> None:
    """Boot the lab, run a scenario, measure, tear down. Exit 1 when a promise was broken."""
    from carelane.cli._lab import run_scenario

    raise typer.Exit(run_scenario(scenario, report, substrate, seed))


@lab_app.command("list")
def lab_list() -> None:
    """List scenarios."""
    from carelane.cli._lab import list_scenarios

    raise typer.Exit(list_scenarios())


@lab_app.command("shell")
def lab_shell(substrate: Substrate = "auto") -> None:
    """Boot a small network and open a prompt in it."""
    from carelane.cli._lab import open_shell

    raise typer.Exit(open_shell(substrate))
