"""Entry point: runs the typer application and turns every error into a message and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from carelane.cli._completion import answer_shells
from carelane.cli._exit import Exit, report

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `carelane`; never returns. `arguments` default to the process's own."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    if "--debug" in args:  # accepted anywhere, because it is added to a command that just failed
        args.remove("--debug")
        os.environ["CARELANE_DEBUG"] = "1"
    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot show a character gets its escape, not a crash
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    try:
        from carelane.cli._commands import app

        answer_shells()
        app(args, prog_name="carelane")
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the last resort of the process: a message, never a traceback
        sys.exit(report(error))
