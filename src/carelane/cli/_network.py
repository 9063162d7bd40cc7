"""Commands about the running network as a whole."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from carelane.cli._client import Client
from carelane.cli._exit import Exit, tell
from carelane.cli._output import Format, emit, emit_text
from carelane.cli._progress import shown_progress
from carelane.cli._remote import list_rows, seconds
from carelane.intents.lifecycle import SETTLED
from carelane.units import parse_ratio

__all__ = ["run_drain", "run_reoptimise", "run_undrain", "run_verify"]


def run_verify(url: str | None, *, output: Format) -> Exit:
    """Faults, one a line. Exit 1 when there are some, or a switch was not read or holds what no proof counts."""
    answer = Client.at(url).get("v1", "verification")
    emit(answer, output, lambda: _print_verification(answer))
    return Exit.DONE if answer["proven"] else Exit.BROKEN


def _print_verification(answer: Mapping[str, Any]) -> None:
    lines = [fault["text"] for fault in answer["faults"]]
    lines += [f"{node}: not read: {reason}" for node, reason in answer["unread"].items()]
    beside = answer.get("beside", {}).items()
    lines += [f"{node}: no part of the proof: {text}" for node, entries in beside for text in entries]
    if answer["moving"]:
        lines.append(f"being changed meanwhile: {', '.join(answer['moving'])}")
    verdict = "proven" if answer["proven"] else f"not proven, {len(answer['faults'])} faults"
    emit_text("\n".join([*lines, f"{answer['slices']} slices on {answer['switches']} switches: {verdict}"]))


def run_drain(url: str | None, target: str, *, force: bool, wait: bool, timeout: str, output: Format) -> Exit:
    """Drain, and wait until every slice that had to move has. Exit 75 when time ran out, 1 when one went back."""
    client = Client.at(url)
    query = {"force": "true"} if force else {}
    answer = client.post("v1", "drains", target, body=b"{}", media_type="application/json", **query)
    concerned = [*answer["moved"], *answer["staying"], *answer.get("leaving", ())]
    left = _await(client, concerned, seconds(timeout)) if wait else []
    emit(answer, output, lambda: _print_drain(answer))
    back = _back(client, answer["moved"], target) if wait and not left else []
    if back:
        tell(f"carelane: {target} is still used by {', '.join(back)}: their new paths were rejected")
    return Exit.BROKEN if back else _outcome(left, timeout)


def _back(client: Client, names: Sequence[str], target: str) -> list[str]:
    """Those of them that have a path over what they were to leave."""
    running = {name: client.get("v1", "intents", name)["running_decision"] for name in names}
    return [
        name
        for name, decision in running.items()
        if decision and any(target in (*path["links"], *path["nodes"]) for path in decision["paths"])
    ]


def run_undrain(url: str | None, target: str, *, wait: bool, timeout: str, output: Format) -> Exit:
    """Undrain, and wait until the slices concerned have settled."""
    client = Client.at(url)
    answer = client.delete("v1", "drains", target)
    left = _await(client, answer["staying"], seconds(timeout)) if wait else []
    emit(answer, output, lambda: emit_text(f"{target} is in service"))
    return _outcome(left, timeout)


def run_reoptimise(
    url: str | None, aim: str, *, gain: str, dry_run: bool, wait: bool, timeout: str, output: Format
) -> Exit:
    """Re-optimise, and wait until every slice that moves has. Exit 75 when time ran out. Raises InputError."""
    client = Client.at(url)
    parse_ratio(gain)
    query = {"aim": aim, "gain": gain} | ({"dry_run": "true"} if dry_run else {})
    answer = client.post("v1", "reoptimise", body=b"{}", media_type="application/json", **query)
    left = _await(client, answer["moved"], seconds(timeout)) if wait and not dry_run else []
    emit(answer, output, lambda: _print_moves(answer))
    return _outcome(left, timeout)


def _print_moves(answer: Mapping[str, Any]) -> None:
    verb, full = "would move" if answer["dry_run"] else "moved", answer["fullest"]
    lines = [f"{len(answer['moved'])} slices {verb}", *(f"  {name}: {why}" for name, why in answer["why"].items())]
    if answer["moved"]:
        lines.append(f"the fullest link: {full['before']:.0%} reserved before, {full['after']:.0%} after")
    emit_text("\n".join(lines))


def _await(client: Client, names: Sequence[str], timeout_s: float) -> list[str]:
    """Names that still have rules on the way out, or have not settled, when time is up."""
    deadline = time.monotonic() + timeout_s
    with shown_progress(None) as told:
        while True:
            rows = {row["name"]: row for row in list_rows(client)}
            moving = set(client.get("v1", "verification")["moving"])
            left = [name for name in names if name in moving or rows.get(name, {}).get("phase") not in SETTLED]
            if not left or time.monotonic() >= deadline:
                return left
            told("moving", len(names) - len(left), len(names))
            time.sleep(0.25)


def _outcome(left: Sequence[str], timeout: str) -> Exit:
    if not left:
        return Exit.DONE
    tell(f"carelane: still moving after {timeout}: {', '.join(left)}")
    return Exit.TIMED_OUT


def _print_drain(answer: Mapping[str, Any]) -> None:
    lines = [f"{answer['target']} is drained: {len(answer['moved'])} slices moved"]
    lines += [f"{name}: on its other path, without protection until this is undone" for name in answer["staying"]]
    lines += [f"{name}: left before, and switches may still use its former rules" for name in answer.get("leaving", ())]
    lines += [f"{name}: left without a path: {why}" for name, why in answer["stuck"]]
    emit_text("\n".join(lines))
