"""Printing: JSON and YAML for programs, tables for people."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.table import Table

__all__ = [
    "Format",
    "Rows",
    "emit",
    "emit_json",
    "emit_rows",
    "emit_text",
    "emit_yaml",
    "live_table",
    "printable",
    "rest",
    "table_of",
]

Format = Literal["json", "yaml", "table"]
Rows = Iterable[Sequence[str]]


def emit_text(text: str) -> None:
    """Print at once: what waits in a pipe for "ready" must not wait for a buffer to fill."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def emit_json(value: object) -> None:
    emit_text(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


def emit_yaml(value: object) -> None:
    import yaml

    emit_text(yaml.dump(value, Dumper=yaml.SafeDumper, allow_unicode=True, sort_keys=False, width=120))


def emit(value: Mapping[str, Any] | Sequence[Any], output: Format, table: Callable[[], None]) -> None:
    """Print `value` as asked; `table` is called for people."""
    if output == "json":
        emit_json(value)
    elif output == "yaml":
        emit_yaml(value)
    else:
        table()


def emit_rows(headers: Sequence[str], rows: Rows, *, empty: str = "nothing") -> None:
    """A plain table that can be piped: no borders, columns padded, long cells folded on a terminal only.

    rich measures East Asian characters as two columns wide, which padding by `len` does not.
    """
    from rich.console import Console

    body = [tuple(row) for row in rows]
    if not body:
        emit_text(empty)
        return
    console = Console(width=None if sys.stdout.isatty() else 1000, highlight=False, soft_wrap=False)
    console.print(table_of(headers, body))


def table_of(headers: Sequence[str], rows: Rows) -> Table:
    """The table that `emit_rows` prints, for a display that goes on too."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        table.add_column(header, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table


def live_table(headers: Sequence[str], rows: Callable[[], Rows], every_s: float, ends: float | None) -> None:
    """A table kept up to date in place, until interrupted or until `ends` of the monotonic clock."""
    from rich.live import Live

    with Live(screen=False, auto_refresh=False) as live:
        while True:
            live.update(table_of(headers, rows()), refresh=True)
            if rest(every_s, ends):
                return


def rest(every_s: float, ends: float | None) -> bool:
    """Sleep until the next look; true when time is up."""
    left = every_s if ends is None else min(every_s, ends - time.monotonic())
    if left > 0:
        time.sleep(left)
    return ends is not None and time.monotonic() >= ends


def printable(text: str) -> str:
    """Names come from files and from the network: control characters must not reach a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)
