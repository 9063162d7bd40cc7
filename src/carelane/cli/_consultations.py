"""`carelane consultations`: what each site of a slice offers, may send and sends, once or as it changes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from carelane.cli._client import Client
from carelane.cli._exit import Exit
from carelane.cli._output import Format, emit, emit_rows, emit_text, live_table, rest
from carelane.cli._remote import seconds
from carelane.errors import InputError, NotFoundError
from carelane.units import format_rate

__all__ = ["run_consultations"]

Row = Mapping[str, Any]
HEADERS = ("NAME", "SITE", "TO", "FLOOR", "OFFERED", "ALLOWED", "USED", "CEILING")


def run_consultations(
    url: str | None, names: Sequence[str], *, live: bool, every: str, duration: str | None, output: Format
) -> Exit:
    """Once, or with `live` until interrupted or for `duration`. Raises InputError, NotFoundError."""
    client = Client.at(url)
    if not live:
        if duration is not None:
            raise InputError("a look has no length", field="--for", remedy="add --live")
        answer = _look(client, names)
        emit(answer, output, lambda: _print(answer))
        return Exit.DONE
    if output == "yaml":
        raise InputError("a stream has no YAML form", field="-o", expected="json or table")
    every_s = seconds(every, "--every")
    ends = None if duration is None else time.monotonic() + seconds(duration, "--for")
    if output == "table" and sys.stdout.isatty():
        live_table(HEADERS, lambda: _rows(_look(client, names)), every_s, ends)
    else:
        _again(client, names, every_s, ends, _print if output == "table" else _line)
    return Exit.DONE


def _again(
    client: Client, names: Sequence[str], every_s: float, ends: float | None, show: Callable[[Row], None]
) -> None:
    while True:
        show(_look(client, names))
        if rest(every_s, ends):
            return


def _look(client: Client, names: Sequence[str]) -> Row:
    found = client.get("v1", "consultations")["consultations"]
    if not names:
        return {"consultations": found}
    by_name = {item["name"]: item for item in found}
    absent = [name for name in names if name not in by_name]
    if absent:
        raise NotFoundError(f"nothing is measured of {', '.join(absent)}; `carelane get` shows what is active")
    return {"consultations": [by_name[name] for name in names]}


def _line(answer: Row) -> None:
    emit_text(json.dumps(answer, ensure_ascii=False))


def _print(answer: Row) -> None:
    emit_rows(HEADERS, _rows(answer), empty="nothing is measured")


def _rows(answer: Row) -> Iterator[tuple[str, ...]]:
    for item in answer["consultations"]:
        for site in item["sites"]:
            rates = (site.get(f"{what}_mbps") for what in ("floor", "offered", "allowed", "used", "ceiling"))
            shown = ("-" if rate is None else format_rate(round(rate * 1e6)) for rate in rates)
            yield (item["name"], site["site"], ", ".join(site.get("to", ())) or "-", *shown)
