"""The command line. Only `main` is public; importing it costs nothing but typer."""

from __future__ import annotations

from carelane.cli._main import main

__all__ = ["main"]
