"""This machine and this installation."""

from __future__ import annotations

from carelane.cli._commands._app import app, show_version

__all__: list[str] = []


@app.command()
def version() -> None:
    """Print the version."""
    show_version(wanted=True)
