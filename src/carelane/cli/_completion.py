"""Completion for shells: the script that `carelane completion SHELL` prints, and the answer to what the script asks."""

from __future__ import annotations

import os

from carelane.cli._exit import Exit
from carelane.cli._output import emit_text

__all__ = ["ASKED", "answer_shells", "intent_names", "run_completion"]

ASKED = "_CARELANE_COMPLETE"
"""The variable by which a shell's script asks for completions instead of running a command."""


def run_completion(shell: str) -> Exit:
    """The script to source."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    emit_text(get_completion_script(prog_name="carelane", complete_var=ASKED, shell=shell))
    return Exit.DONE


def answer_shells() -> None:
    """Make typer answer when a script asks. Costs nothing otherwise."""
    if ASKED in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()


def intent_names(incomplete: str) -> list[str]:
    """Names of intents at the server that the environment names. None without a server: a shell shows no errors."""
    from carelane.cli._client import Client
    from carelane.errors import CarelaneError

    try:
        client = Client.at(os.environ.get("CARELANE_URL"), timeout_s=2)
        return [row["name"] for row in client.rows("intents", "v1", "intents", query={"prefix": incomplete}, most=100)]
    except CarelaneError:
        return []
