"""`carelane watch`: the states of intents as they change."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from carelane.cli._client import Client
from carelane.cli._exit import Exit
from carelane.cli._output import Format, emit_text, live_table, rest
from carelane.cli._remote import HEADERS, list_rows, named_rows, phase_text, seconds, table_rows
from carelane.errors import InputError

__all__ = ["run_watch"]

Row = Mapping[str, Any]


def run_watch(url: str | None, names: Sequence[str], *, every: str, duration: str | None, output: Format) -> Exit:
    """Until interrupted, or for `duration`. On a terminal a table that is kept up to date; else a line a change.

    Raises InputError, NotFoundError for a name that is not filed, ServerUnavailable.
    """
    if output == "yaml":
        raise InputError("a stream has no YAML form", field="-o", expected="json or table")
    client = Client.at(url)
    every_s = seconds(every, "--every")
    ends = None if duration is None else time.monotonic() + seconds(duration, "--for")
    if output == "table" and sys.stdout.isatty():
        live_table(HEADERS, lambda: table_rows(_rows(client, names)), every_s, ends)
    else:
        _changes(client, names, every_s, ends, _json_line if output == "json" else _text_line)
    return Exit.DONE


def _rows(client: Client, names: Sequence[str]) -> list[Row]:
    return named_rows(client, names) if names else list_rows(client)


def _changes(
    client: Client, names: Sequence[str], every_s: float, ends: float | None, line: Callable[[Row], str]
) -> None:
    seen: dict[str, Row] = {}
    while True:
        rows = _rows(client, names)
        for row in rows:
            if seen.get(row["name"]) != row:
                emit_text(line(row))
        for name in seen.keys() - {row["name"] for row in rows}:
            emit_text(line({**seen[name], "phase": "Withdrawn", "reason": "Withdrawn", "message": ""}))
        seen = {row["name"]: row for row in rows}
        if rest(every_s, ends):
            return


def _json_line(row: Row) -> str:
    import json

    return json.dumps(row, ensure_ascii=False)


def _text_line(row: Row) -> str:
    return f"{row['updated_at']} {row['name']}: {phase_text(row)}"
