"""The typer application that the modules of commands add to, and the options before any command."""

from __future__ import annotations

from typing import Annotated

import typer

from carelane import __version__

__all__ = ["app", "group", "show_version"]

app = typer.Typer(
    help="The control plane of a dedicated health network: declare what a service needs, get a proven and "
    "measured slice, or a reasoned refusal.",
    epilog="Exit codes: 0 done, 1 a promise or check failed, 2 bad input, 3 refused, 69 no server, 70 defect, "
    "75 timed out.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def group(name: str, help_text: str) -> typer.Typer:
    """A command with commands of its own, such as `carelane lab run`."""
    made = typer.Typer(help=help_text, rich_markup_mode=None, no_args_is_help=True)
    app.add_typer(made, name=name)
    return made


def show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"carelane {__version__}")
        raise typer.Exit


@app.callback()
def _carelane(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error. Accepted anywhere.")] = False,
) -> None:
    """Options before any command."""
