"""`carelane describe`: what somebody needs who was woken by this intent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from carelane.cli._decisions import decision_notes, path_rows, sharing_lines, show
from carelane.cli._output import emit_rows, emit_text, emit_yaml

__all__ = ["print_detail"]

Row = Mapping[str, Any]


def print_detail(detail: Row, leader: str | None = None) -> None:
    """State first, then why, then where on the switches, then how it came to be. `leader`: which controller acts."""
    _print_state(detail)
    if leader is not None:
        emit_text(f"controller: {leader}")
    _print_decision("DECISION on what was filed last", detail["decision"])
    running = detail["running_decision"]
    if running is not None and detail["running_generation"] != detail["summary"]["generation"]:
        _print_decision(f"STILL RUNNING: generation {detail['running_generation']}", running)
    elif running is not None and running.get("backups") == "shared":
        emit_text("\n".join(sharing_lines(running)))
    _print_placement(detail["placement"])
    _print_compliance(detail.get("compliance"))
    _section("CONDITIONS")
    emit_rows(
        ("TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"),
        ((c["type"], c["status"], c["reason"], c["since"], c["message"]) for c in detail["conditions"]),
        empty="none yet",
    )
    _section("HISTORY, newest first")
    _print_history(detail["history"])
    _section("MANIFEST")
    emit_yaml(detail["manifest"])


def _section(title: str) -> None:
    emit_text(f"\n{title}")


def _print_state(detail: Row) -> None:
    summary = detail["summary"]
    why = ": ".join(part for part in (summary["reason"], summary["message"]) if part)
    emit_text(f"{summary['name']}: {summary['phase']}" + (f" ({why})" if why else ""))
    emit_text(f"tenant {summary['tenant']}, service {summary['service']}")
    running = detail["running_generation"]
    emit_text(
        f"generation {summary['generation']}, acted on {summary['observed_generation']}, "
        + (f"holding capacity for {running}" if running is not None else "holding no capacity")
    )
    emit_text(f"filed {summary['created_at']}, last change {summary['updated_at']}")
    if detail["attempts"]:
        when = detail["next_retry_at"]
        emit_text(f"failed attempts {detail['attempts']}" + (f", next at {when}" if when else ", none planned"))


def _print_decision(title: str, decision: Row | None) -> None:
    _section(title)
    if decision is None:
        emit_text("not decided yet")
        return
    emit_text(f"{decision['decision']}, availability {show(decision.get('availability'))}")
    if decision["paths"]:
        emit_rows(("ROLE", "TO", "PATH", "RESERVED", "DELAY", "JITTER"), path_rows(decision["paths"]))
    for note in decision_notes(decision):
        emit_text(note)
    for assumption in decision.get("assumptions", ()):
        emit_text(f"assumed: {assumption}")


def _print_compliance(compliance: Row | None) -> None:
    _section("PROMISED AND MEASURED")
    if compliance is None:
        emit_text("nothing is measured")
        return
    emit_rows(
        ("OBJECTIVE", "STATE", "PROMISED", "MEASURED", "MARGIN", "SAMPLES", "CONFIDENCE", "WHERE", "CAUSE"),
        (
            (
                row["objective"],
                row["state"],
                _figure(row["promised"], row["unit"]),
                _figure(row["measured"], row["unit"]),
                _figure(row["margin"], row["unit"]),
                str(row["samples"]),
                "-" if row["confidence"] is None else f"{row['confidence']:.4f}",
                row["where"] or "-",
                row["cause"] or "-",
            )
            for row in compliance["objectives"]
        ),
        empty="no objective was asked for",
    )
    if compliance["burn_rates"]:
        rates = ", ".join(f"{window} {rate:.3g}" for window, rate in compliance["burn_rates"].items())
        emit_text(f"error budget: {compliance['budget_left']:.0%} left of six hours' worth; burn rate {rates}")


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "bit/s":
        return f"{value / 1e6:.4g} Mbit/s"
    return f"{value * 1e3:.4g} ms" if unit == "s" else f"{value:.6g}"


def _print_placement(placement: Row | None) -> None:
    _section("ON THE SWITCHES")
    if placement is None:
        emit_text("nothing is placed")
        return
    emit_text(f"slice {placement['number']}, queue {placement['queue']}, cookie 0x{placement['cookie']:016x}")
    emit_text(f"labels {_numbers(placement['labels'])}, meters {_numbers(placement['meters'])}")
    emit_rows(
        ("SWITCH", "PORT", "TOWARDS", "FLOOR"),
        ((p["node"], str(p["port"]), p["towards"], f"{p['floor_bps'] / 1e6:g} Mbit/s") for p in placement["ports"]),
    )
    emit_text(f"look with: ovs-ofctl -O OpenFlow13 dump-flows SWITCH cookie=0x{placement['cookie']:x}/-1")


def _numbers(values: Sequence[int]) -> str:
    return ", ".join(str(value) for value in values) or "none"


def _print_history(history: Sequence[Row]) -> None:
    newest = sorted(history, key=lambda entry: entry["at"], reverse=True)
    emit_rows(
        ("AT", "FROM", "TO", "REASON", "MESSAGE"),
        ((e["at"], e["phase_from"] or "-", e["phase_to"], e["reason"], e["message"]) for e in newest),
        empty="none",
    )
