"""Commands about the running network as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from carelane.cli._client import Client
from carelane.cli._exit import Exit
from carelane.cli._output import Format, emit, emit_text

__all__ = ["run_verify"]


def run_verify(url: str | None, *, output: Format) -> Exit:
    """Faults, one a line. Exit 1 when there are some, or when a switch could not be read."""
    answer = Client.at(url).get("v1", "verification")
    emit(answer, output, lambda: _print_verification(answer))
    return Exit.DONE if answer["proven"] else Exit.BROKEN


def _print_verification(answer: Mapping[str, Any]) -> None:
    lines = [fault["text"] for fault in answer["faults"]]
    lines += [f"{node}: not read: {reason}" for node, reason in answer["unread"].items()]
    if answer["moving"]:
        lines.append(f"being changed meanwhile: {', '.join(answer['moving'])}")
    verdict = "proven" if answer["proven"] else f"{len(answer['faults'])} faults"
    emit_text("\n".join([*lines, f"{answer['slices']} slices on {answer['switches']} switches: {verdict}"]))
