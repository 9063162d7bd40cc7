"""`carelane whatif`: questions about a network that nobody has to break first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from carelane.cli._decisions import decision_notes, percent, reason_text, show
from carelane.cli._exit import Exit
from carelane.cli._output import Format, emit, emit_rows, emit_text
from carelane.cli._plan import requirements_of, under_policy
from carelane.cli._progress import shown_progress
from carelane.cli._sources import Filed
from carelane.controller.pipeline.whatif import (
    Processes,
    Question,
    RayCluster,
    Workers,
    added,
    answer_json,
    ask,
    baseline,
    sweep,
    sweep_json,
)
from carelane.errors import InputError
from carelane.topology import Topology
from carelane.topology.failure import Failure
from carelane.units import parse_rate_bps

__all__ = ["Changes", "run_sweep", "run_whatif", "run_whatif_there"]

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Changes:
    """The options as they were written."""

    fail: Sequence[str]
    drain: Sequence[str]
    upgrade: Sequence[str]
    add: Sequence[str]


def run_whatif(
    topology: Topology, intents: Sequence[Filed], changes: Changes, *, policy_file: str | None = None, output: Format
) -> Exit:
    """Ask, print, and say by exit code whether every promise would hold whole. Raises InputError."""
    topology, policy = under_policy(topology, policy_file)
    base = baseline(topology, requirements_of(intents, topology), policy)
    question = Question(
        Failure.of(topology, changes.fail, "--fail"),
        Failure.of(topology, changes.drain, "--drain"),
        dict(_upgrade(text) for text in changes.upgrade),
        added(changes.add, {filed.intent.name for filed in intents}, topology),
    )
    answer = ask(base, question)
    document = answer_json(answer)
    emit(document, output, lambda: _print_answer(document))
    return Exit.DONE if answer.harmless else Exit.REFUSED


def run_whatif_there(url: str | None, changes: Changes, *, output: Format) -> Exit:
    """The same of the slices that a running server holds."""
    import json

    from carelane.cli._client import Client

    rates = dict(_split(text) for text in changes.upgrade)
    question = {"failed": changes.fail, "drained": changes.drain, "upgrades": rates, "added": changes.add}
    body = json.dumps(question, ensure_ascii=False).encode()
    document = Client.at(url).post("v1", "what-if", body=body, media_type="application/json")
    emit(document, output, lambda: _print_answer(document))
    return Exit.DONE if document["harmless"] else Exit.REFUSED


def _split(text: str) -> tuple[str, str]:
    link, _, rate = text.rpartition("=")
    if not link:
        raise InputError(f"{text!r}", field="--upgrade", expected="LINK=RATE, such as l1=10Gbps")
    return link, rate


def _upgrade(text: str) -> tuple[str, int]:
    link, rate = _split(text)
    try:
        return link, parse_rate_bps(rate)
    except InputError as error:
        error.field = "--upgrade"
        raise


def run_sweep(
    topology: Topology,
    intents: Sequence[Filed],
    *,
    workers: int | None,
    ray: str | None,
    policy_file: str | None = None,
    progress: bool | None = None,
    output: Format,
) -> Exit:
    """Every single failure, with progress on stderr. Raises InputError."""
    if ray is not None and workers is not None and ray != "local":
        raise InputError("a cluster has the workers it has", field="--workers", remedy="leave --workers out")
    topology, policy = under_policy(topology, policy_file)
    with shown_progress(progress) as told:
        base = baseline(topology, requirements_of(intents, topology), policy, told)
        found = sweep(base, _workers(workers, ray), progress=told)
    document = sweep_json(topology.name, found)
    emit(document, output, lambda: _print_sweep(document))
    return Exit.DONE if document["harmless"] else Exit.REFUSED


def _workers(count: int | None, ray: str | None) -> Workers:
    if ray is None:
        return Processes(count)
    return RayCluster(None, local_workers=count) if ray == "local" else RayCluster(ray)


def _print_answer(document: Row) -> None:
    emit_rows(
        ("NAME", "OUTCOME", "TRAFFIC", "AVAILABILITY", "DELAY", "JITTER", "PATHS"),
        (_row(intent) for intent in document["intents"]),
        empty="no intent is admitted, so there is nothing to lose",
    )
    notes = [
        f"{intent['name']}: {intent['outcome']}: {reason_text(reason)}"
        for intent in document["intents"]
        for reason in intent["reasons"]
    ]
    for heading in ("retried", "added"):
        for decision in document[heading]:
            notes.append(f"{decision['name']} ({heading}): {decision['decision']}")
            notes += decision_notes(decision)
    if notes:
        emit_text("\n" + "\n".join(notes))
    counts = ", ".join(f"{count} {outcome}" for outcome, count in document["summary"].items())
    emit_text(f"\n{counts}")


def _row(intent: Row) -> tuple[str, ...]:
    before, after = intent["before"], intent["after"] or {}
    traffic = {"kept": "untouched", "broken": "stops"}.get(intent["outcome"])
    return (
        intent["name"],
        intent["outcome"],
        traffic or ("carries on" if intent["carried"] else "interrupted"),
        _change(percent(before["availability"]), percent(after.get("availability"))),
        _change(show(before["delay_bound_ms"], "ms"), show(after.get("delay_bound_ms"), "ms")),
        _change(show(before["jitter_bound_ms"], "ms"), show(after.get("jitter_bound_ms"), "ms")),
        _change(str(before["paths"]), str(after.get("paths", 0))),
    )


def _change(before: str, after: str) -> str:
    return before if before == after else f"{before} -> {after}"


def _print_sweep(document: Row) -> None:
    """What does harm or moves something; how many failures do neither."""
    rows = [row for row in document["failures"] if row["restored"] or row["weakened"] or row["broken"]]
    emit_rows(
        ("FAILURE", "KEPT", "RESTORED", "WEAKENED", "BROKEN", "INTERRUPTED"),
        (
            (
                row["label"],
                str(row["kept"]),
                *(_some(row[key]) for key in ("restored", "weakened", "broken", "interrupted")),
            )
            for row in rows
        ),
        empty="no single failure touches an admitted intent",
    )
    emit_text(f"\n{len(document['failures'])} single failures, {len(document['failures']) - len(rows)} touch nothing")


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:4])
    return f"{len(names)}: {shown}{', ...' if len(names) > 4 else ''}" if names else "-"
