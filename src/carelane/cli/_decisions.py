"""Decisions for people, from their contract JSON: the same code shows a local plan and what a server answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from carelane.cli._output import emit_rows, emit_text

__all__ = [
    "decision_notes",
    "offer_text",
    "path_rows",
    "percent",
    "print_plan",
    "reason_text",
    "remedy_lines",
    "shared_lines",
    "sharing_lines",
    "show",
]

Row = Mapping[str, Any]


def show(value: object, unit: str = "") -> str:
    """A figure with its unit; a dash when there is none."""
    if value is None:
        return "-"
    text = f"{value:.12g}" if isinstance(value, float) else str(value)
    return f"{text} {unit}" if unit else text


def percent(value: object) -> str:
    """Cut, not rounded: a promise must not look better than it is."""
    if not isinstance(value, (int, float)):
        return "-"
    scaled = int(float(value) * 1e9) / 1e7
    return f"{scaled:.7f}".rstrip("0").rstrip(".") + "%"


def print_plan(document: Row) -> None:
    """The decisions, their reasons and offers, and the totals."""
    decisions: Sequence[Row] = document["decisions"]
    emit_rows(
        ("NAME", "DECISION", "AVAILABILITY", "ROLE", "TO", "PATH", "RESERVED", "DELAY", "JITTER"),
        (row for decision in decisions for row in _rows(decision)),
        empty="no intents",
    )
    notes = [note for decision in decisions for note in decision_notes(decision)]
    notes += _assumptions(decisions)
    if notes:
        emit_text("\n" + "\n".join(notes))
    emit_text("\n" + _totals(document["totals"]))


def _rows(decision: Row) -> Iterator[tuple[str, ...]]:
    head = (str(decision["name"]), str(decision["decision"]), percent(decision.get("availability")))
    if not decision["paths"]:
        yield (*head, "-", "-", "-", "-", "-", "-")
    for row in path_rows(decision["paths"]):
        yield (*head, *row)
        head = ("", "", "")


def path_rows(paths: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    """Role, destination, nodes, reserved rate, delay bound, jitter bound."""
    for path in paths:
        yield (
            str(path["role"]),
            str(path["to"]),
            " ".join(path["nodes"]),
            _reserved(path),
            show(path["delay_bound_ms"], "ms"),
            show(path["jitter_bound_ms"], "ms"),
        )


def _reserved(path: Row) -> str:
    """One figure where both directions hold as much, else ``forward / return``."""
    forward, reverse = path["reserved_mbps"], path.get("reverse_mbps")
    if reverse in (None, forward):
        return show(forward, "Mbit/s")
    return f"{show(forward)} / {show(reverse, 'Mbit/s')}"


def decision_notes(decision: Row) -> Iterator[str]:
    """Reservations that sites share; reasons, offers and remedies of a refusal; whether the search was cut short."""
    name = decision["name"]
    if decision.get("preempts"):
        victims = ", ".join(str(victim or "another tenant's slice") for victim in decision["preempts"])
        yield f"{name}: {'takes' if decision['decision'] == 'admitted' else 'could take'} the place of: {victims}"
    for line in (*shared_lines(decision), *sharing_lines(decision)):
        yield f"{name}: {line}"
    for reason in decision.get("reasons", ()):
        yield f"{name}: refused: {reason_text(reason)}"
    for offer in decision.get("offers", ()):
        yield f"{name}: would be accepted: {offer_text(offer)}"
    for line in remedy_lines(decision):
        yield f"{name}: would be admitted {line}"
    if decision["decision"] != "admitted" and decision.get("remedies_searched") in _LEFT_OUT:
        yield f"{name}: {_LEFT_OUT[decision['remedies_searched']]}"
    if not decision.get("proven", True):
        yield f"{name}: the search was cut short; a better answer may exist"


_LEFT_OUT = {
    "part": "the search for wider links and slices to let go stopped early; there may be others",
    "not": "wider links and slices to let go were not looked for",
}


def _assumptions(decisions: Sequence[Row]) -> Iterator[str]:
    """Each assumption once, with the names it holds for, or without when it holds for all."""
    holders: dict[str, list[str]] = {}
    for decision in decisions:
        for assumption in decision.get("assumptions", ()):
            holders.setdefault(assumption, []).append(str(decision["name"]))
    for assumption, names in holders.items():
        whose = "" if len(names) == len(decisions) else f" for {', '.join(names)}"
        yield f"assumed{whose}: {assumption}"


def reason_text(reason: Row) -> str:
    unit = "" if reason.get("unit") in (None, "ratio") else str(reason["unit"])
    place = f" at {reason['at']}" if reason.get("at") else ""
    text = f"{reason['constraint']}{place}: asked {show(reason.get('required'), unit)}"
    text += f", possible {show(reason.get('available'), unit)}"
    detail = reason.get("detail")
    return f"{text} ({detail})" if detail else text


def shared_lines(decision: Row) -> Iterator[str]:
    """Where sites of which only some speak at once share a reservation."""
    for port in decision.get("shared", ()):
        yield (
            f"{port['sites']} sites, of which {decision['speakers']} speak at once, share "
            f"{show(port['reserved_mbps'], 'Mbit/s')} on {port['link']} from {port['node']}"
        )


def sharing_lines(decision: Row) -> Iterator[str]:
    """With whom a backup shares its capacity."""
    if decision.get("backups") == "shared":
        named = ", ".join(str(name or "another tenant's slice") for name in decision.get("shares_with", ()))
        whom = f" with {named or 'nobody yet'}" if "shares_with" in decision else ""
        yield f"its backup shares capacity{whom}; no single failure needs more than there is"


def remedy_lines(decision: Row) -> Iterator[str]:
    """What the operator could do about a refusal, each by itself."""
    for remedy in decision.get("remedies", ()):
        if remedy["kind"] == "remove-intent":
            yield f"without {remedy['name'] or remedy.get('detail')}"
        else:
            what = "link" if remedy["kind"] == "upgrade-link" else "endpoint"
            grown = f"{show(remedy['to_mbps'], 'Mbit/s')} instead of {show(remedy['from_mbps'], 'Mbit/s')}"
            yield f"if {what} {remedy[what]} had {grown}"


def offer_text(offer: Row) -> str:
    """All fields of an offer hold together."""
    units = {"delay_ms": ("delay", "ms"), "jitter_ms": ("jitter", "ms"), "bandwidth_mbps": ("bandwidth", "Mbit/s")}
    parts = []
    for field, value in offer.items():
        if field == "availability" and value is not None:
            parts.append(f"availability {percent(value)}")
        elif field in units and value is not None:
            name, unit = units[field]
            parts.append(f"{name} {show(value, unit)}")
    if offer.get("round_trip"):
        parts.append("round trip")
    if offer.get("schedule"):
        parts.append(", ".join(f"{name} {value}" for name, value in offer["schedule"].items()))
    return ", ".join(parts)


def _totals(totals: Row) -> str:
    return (
        f"admitted {show(totals['admitted_mbps'])} of {show(totals['offered_mbps'], 'Mbit/s')} asked for; "
        f"no planner could admit more than {show(totals['upper_bound_mbps'], 'Mbit/s')} "
        f"(gap {float(totals['gap']):.2%})"
    )
