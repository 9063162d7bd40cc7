"""Commands that talk to a running server."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from carelane.cli._client import Client
from carelane.cli._decisions import decision_notes, print_plan
from carelane.cli._exit import Exit, tell
from carelane.cli._output import Format, emit, emit_rows, emit_text
from carelane.cli._sources import Patch, Submission
from carelane.errors import InputError, NotFoundError, TransientError
from carelane.intents.lifecycle import SETTLED

__all__ = [
    "HEADERS",
    "POLL_S",
    "list_rows",
    "named_rows",
    "phase_text",
    "run_accept",
    "run_apply",
    "run_delete",
    "run_describe",
    "run_diff",
    "run_get",
    "run_patch",
    "seconds",
    "table_rows",
]

POLL_S = 0.25
NAMES = 200
"""That one request for rows may name."""
HEADERS = ("NAME", "TENANT", "SERVICE", "PHASE", "REASON", "UPDATED")
Row = Mapping[str, Any]


def run_apply(
    url: str | None,
    submission: Submission,
    *,
    dry_run: bool,
    optimize: bool = False,
    preempt: bool = False,
    wait: bool,
    timeout: str,
    output: Format,
) -> Exit:
    """File intents. Exit 3 when some are refused, 1 when some failed or are degraded, 75 when time ran out."""
    client = Client.at(url)
    seconds(timeout)
    if optimize and not dry_run:
        raise InputError("only a dry run decides a batch as one", field="--optimize", remedy="add --dry-run")
    try:
        query = {name: "true" for name, asked in (("optimize", optimize), ("preempt", preempt)) if asked}
        route = "plans" if dry_run else "intents"
        answer = client.post("v1", route, body=submission.body, media_type=submission.media_type, **query)
    except InputError as error:
        raise submission.placed(error) from error
    if dry_run:
        emit(answer, output, lambda: print_plan(answer))
        return _verdict(answer["decisions"])
    return _follow(client, answer["intents"], wait=wait, timeout=timeout, output=output)


def run_accept(
    url: str | None, name: str, *, offer: int, generation: int | None, wait: bool, timeout: str, output: Format
) -> Exit:
    """File the intent again as offer number `offer`, from 1, has it. Exits as `run_apply` does."""
    client = Client.at(url)
    seconds(timeout)
    path = ("v1", "intents", name, "offers", str(offer - 1))
    answer = client.post(*path, body=b"", media_type="application/json", if_match=_etag(generation))
    return _follow(client, [answer], wait=wait, timeout=timeout, output=output)


def run_patch(
    url: str | None, name: str, patch: Patch, *, generation: int | None, wait: bool, timeout: str, output: Format
) -> Exit:
    """Change an intent that is filed. Exits as `run_apply` does, and with 2 where it is no longer `generation`."""
    client = Client.at(url)
    seconds(timeout)
    try:
        answer = client.patch("v1", "intents", name, body=patch.body, if_match=_etag(generation))
    except InputError as error:
        raise patch.placed(error) from error
    return _follow(client, [answer], wait=wait, timeout=timeout, output=output)


def _etag(generation: int | None) -> str | None:
    return None if generation is None else f'"g{generation}"'


def _follow(client: Client, results: Sequence[Row], *, wait: bool, timeout: str, output: Format) -> Exit:
    """Wait for what was filed, and print it."""
    timeout_s = seconds(timeout)
    generations = {row["name"]: row["generation"] for row in results}
    rows = _watch(client, generations, timeout_s) if wait else named_rows(client, list(generations))
    merged = [
        {**row, **{key: result[key] for key in ("outcome", "decision")}}
        for row, result in zip(rows, results, strict=True)
    ]
    emit({"intents": merged}, output, lambda: _print_applied(merged))
    decided = _verdict([result["decision"] for result in results])
    if any(row["phase"] in ("Failed", "Degraded") for row in rows):
        return Exit.BROKEN
    if decided is Exit.DONE and wait and not all(_settled(row, generations[row["name"]]) for row in rows):
        tell(f"carelane: not settled within {timeout}; `carelane get` shows how it goes on")
        return Exit.TIMED_OUT
    return decided


def _verdict(decisions: Sequence[Row]) -> Exit:
    return Exit.DONE if all(row["decision"] == "admitted" for row in decisions) else Exit.REFUSED


def list_rows(client: Client, *, withdrawn: bool = False, **filters: str | Sequence[str]) -> list[Row]:
    """All intents that the server lets us see and that pass `filters`."""
    return client.rows("intents", "v1", "intents", query={"withdrawn": str(withdrawn).lower(), **filters})


def named_rows(client: Client, names: Sequence[str]) -> list[Row]:
    """The list's rows for `names`, in that order, and no others. Raises NotFoundError."""
    rows: dict[str, Row] = {}
    for start in range(0, len(names), NAMES):
        part = names[start : start + NAMES]
        rows |= {row["name"]: row for row in list_rows(client, withdrawn=True, name=part)}
    absent = [name for name in names if name not in rows]
    if absent:
        raise NotFoundError(f"no intent named {', '.join(absent)}")
    return [rows[name] for name in names]


def _settled(row: Row, generation: int) -> bool:
    """The phase speaks of this generation or a later one, and will not change by itself soon."""
    return row["phase"] in SETTLED and row["observed_generation"] >= generation


def _watch(client: Client, generations: Mapping[str, int], timeout_s: float) -> list[Row]:
    """Ask for those that are not settled until all are or time is up; tell each change of phase as it comes."""
    deadline = time.monotonic() + timeout_s
    rows: dict[str, Row] = {}
    waiting: list[str] = []
    while True:
        asked = waiting or list(generations)  # all in the end too: one that was settled may have fallen meanwhile
        for row in named_rows(client, asked):
            if row["name"] not in rows or rows[row["name"]]["phase"] != row["phase"]:
                tell(f"{row['name']}: {phase_text(row)}")
            rows[row["name"]] = row
        waiting = [name for name in asked if not _settled(rows[name], generations[name])]
        if (not waiting and len(asked) == len(generations)) or time.monotonic() >= deadline:
            return [rows[name] for name in generations]
        if waiting:
            time.sleep(POLL_S)


def phase_text(row: Row) -> str:
    """``Active``, or ``Degraded (PathsDown: ...)``."""
    why = ": ".join(part for part in (row["reason"], row["message"]) if part and part != row["phase"])
    return f"{row['phase']} ({why})" if why else str(row["phase"])


def _print_applied(rows: Sequence[Row]) -> None:
    emit_rows(
        ("NAME", "FILED", "DECISION", "PHASE", "REASON"),
        ((r["name"], r["outcome"], r["decision"]["decision"], r["phase"], r["reason"]) for r in rows),
    )
    notes = [note for row in rows for note in decision_notes({"name": row["name"], **row["decision"]})]
    if notes:
        emit_text("\n" + "\n".join(notes))


def run_get(
    url: str | None,
    name: str | None,
    *,
    withdrawn: bool = False,
    filters: Mapping[str, str | Sequence[str] | None],
    output: Format,
) -> Exit:
    """One row for each intent that passes `filters`, or the one of that name."""
    client = Client.at(url)
    given = {key: value for key, value in filters.items() if value}
    if name is None:
        rows = list_rows(client, withdrawn=withdrawn, **given)
        answer: Any = {"intents": rows}
    elif given or withdrawn:
        raise InputError("a name and a filter are both given", remedy="give one of them")
    else:
        answer = client.get("v1", "intents", name)["summary"]
        rows = [answer]
    emit(answer, output, lambda: _print_rows(client, rows))
    return Exit.DONE


def _print_rows(client: Client, rows: Sequence[Row]) -> None:
    from carelane.cli._status import leader_note

    emit_rows(HEADERS, table_rows(rows), empty="no intents")
    if (note := leader_note(client)) is not None:
        tell(f"carelane: {note}")


def table_rows(rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    """The cells under `HEADERS`."""
    for row in rows:
        yield tuple(row[key] for key in ("name", "tenant", "service", "phase", "reason", "updated_at"))


def run_describe(url: str | None, name: str, *, output: Format) -> Exit:
    """Everything about one intent."""
    from carelane.cli._describe import print_detail
    from carelane.cli._status import leader_note

    client = Client.at(url)
    detail = client.get("v1", "intents", name)
    emit(detail, output, lambda: print_detail(detail, leader_note(client)))
    return Exit.DONE


def run_delete(url: str | None, name: str, *, generation: int | None, wait: bool, timeout: str, output: Format) -> Exit:
    """Withdraw; exit 75 when something of it is still there in the end, 1 when withdrawing failed."""
    client = Client.at(url)
    timeout_s = seconds(timeout)
    row = client.delete("v1", "intents", name, if_match=_etag(generation))
    if wait:
        row = _until_gone(client, name, timeout_s)
    emit(row, output, lambda: tell(f"{name}: {phase_text(row)}"))
    if row["phase"] == "Failed":
        return Exit.BROKEN
    if wait and row["phase"] != "Withdrawn":
        raise TransientError(f"{name}: not withdrawn within {timeout}; `carelane describe {name}` shows why")
    return Exit.DONE


def _until_gone(client: Client, name: str, timeout_s: float) -> Row:
    deadline = time.monotonic() + timeout_s
    while True:
        row: Row = client.get("v1", "intents", name)["summary"]
        if row["phase"] in ("Withdrawn", "Failed") or time.monotonic() >= deadline:
            return row
        time.sleep(POLL_S)


def run_diff(url: str | None, submission: Submission | None, *, output: Format) -> Exit:
    """Pending operations. Exit 1 when there are some, as diff does."""
    body, media_type = (submission.body, submission.media_type) if submission else (b"", "application/yaml")
    try:
        answer = Client.at(url).post("v1", "diff", body=body, media_type=media_type)
    except InputError as error:
        raise submission.placed(error) if submission else error from error
    emit(answer, output, lambda: _print_changes(answer))
    return Exit.BROKEN if answer["operations"] else Exit.DONE


def _print_changes(answer: Row) -> None:
    for switch in answer["switches"]:
        emit_text("\n".join(switch["text"]))
    emit_text(f"{answer['operations']} operations" if answer["operations"] else "nothing would change")


def seconds(text: str, option: str = "--timeout") -> float:
    """A duration given as an option. Raises InputError naming it."""
    from dataclasses import replace

    from carelane.units import parse_duration_s

    try:
        return parse_duration_s(text)
    except InputError as error:
        raise replace(error, field=option) from error
