"""Lists of a running server: what is left of each link, what is out of service, what is kept, who did what."""

from __future__ import annotations

from collections.abc import Mapping

from carelane.cli._client import Client
from carelane.cli._exit import Exit
from carelane.cli._output import Format, emit, emit_rows
from carelane.units import format_rate

__all__ = [
    "run_access",
    "run_audit",
    "run_capacity",
    "run_compliance",
    "run_drains",
    "run_history",
    "run_whoami",
]


def run_capacity(url: str | None, *, output: Format) -> Exit:
    """A row for each direction of each link."""
    answer = Client.at(url).get("v1", "capacity")
    rows = (
        (r["link"], r["from"], r["to"], *(_mbps(r[f"{what}_mbps"]) for what in ("capacity", "reserved", "free")),
         str(r["slices"]))
        for r in answer["links"]
    )  # fmt: skip
    headers = ("LINK", "FROM", "TO", "CAPACITY", "RESERVED", "FREE", "SLICES")
    emit(answer, output, lambda: emit_rows(headers, rows, empty="no links"))
    return Exit.DONE


def _mbps(value: float | None) -> str:
    return "-" if value is None else format_rate(value * 1e6)


def run_drains(url: str | None, *, output: Format) -> Exit:
    """A row for each link or switch that is out of service on purpose."""
    answer = Client.at(url).get("v1", "drains")
    rows = ((r["kind"], r["name"], r["since"]) for r in answer["drains"])
    emit(answer, output, lambda: emit_rows(("KIND", "NAME", "SINCE"), rows, empty="nothing is drained"))
    return Exit.DONE


def run_compliance(url: str | None, name: str | None, *, output: Format) -> Exit:
    """A row for each objective. Exit 1 when one is broken."""
    client = Client.at(url)
    answer = client.get("v1", "compliance") if name is None else client.get("v1", "intents", name, "compliance")
    intents = answer["intents"] if name is None else [answer]
    rows = [
        (i["name"], o["objective"], o["state"], _figure(o["promised"], o["unit"]), _figure(o["measured"], o["unit"]),
         o["where"] or "-", o["cause"] or "-")
        for i in intents for o in i["objectives"]
    ]  # fmt: skip
    headers = ("NAME", "OBJECTIVE", "STATE", "PROMISED", "MEASURED", "WHERE", "CAUSE")
    emit(answer, output, lambda: emit_rows(headers, rows, empty="nothing is measured"))
    return Exit.BROKEN if any(i["state"] == "broken" for i in intents) else Exit.DONE


def _figure(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.6g} {unit}".rstrip()


def run_audit(url: str | None, asked: Mapping[str, str | None], *, limit: int, output: Format) -> Exit:
    """Entries, newest first; before and after are in JSON and YAML."""
    given = {key: value for key, value in asked.items() if value is not None}
    entries = Client.at(url).rows("entries", "v1", "audit", query=given, most=limit)
    answer = {"entries": entries}
    rows = (
        (r["at"], r["subject"], r["role"], r["tenant"] or "-", r["action"], r["target"], r["request_id"])
        for r in entries
    )
    headers = ("AT", "WHO", "ROLE", "TENANT", "ACTION", "TARGET", "REQUEST")
    emit(answer, output, lambda: emit_rows(headers, rows, empty="no entries"))
    return Exit.DONE


def run_history(url: str | None, name: str, *, limit: int, output: Format) -> Exit:
    """Steps of an intent, newest first."""
    answer = {"history": Client.at(url).rows("history", "v1", "intents", name, "history", most=limit)}
    rows = ((r["at"], r["phase_from"] or "-", r["phase_to"], r["reason"], r["message"]) for r in answer["history"])
    emit(answer, output, lambda: emit_rows(("AT", "FROM", "TO", "REASON", "MESSAGE"), rows, empty="no steps"))
    return Exit.DONE


def run_access(url: str | None, *, output: Format) -> Exit:
    """A row for each rule in the order in which they are asked, with what it leaves open left out."""
    answer = Client.at(url).get("v1", "access")
    policy, counts = answer["policy"], answer["violations"]
    rows = [(r["name"], _rule(r), str(counts.get(r["name"], 0))) for r in (policy or {"rules": []})["rules"]]
    named = {name for name, _, _ in rows}
    rows += [(name, "-", str(count)) for name, count in counts.items() if name not in named]
    emit(answer, output, lambda: emit_rows(("RULE", "SAYS", "FORBADE"), rows, empty="no access policy"))
    return Exit.DONE


def _rule(rule: Mapping[str, object]) -> str:
    parts = []
    for name, value in rule.items():
        if name == "name":
            continue
        if isinstance(value, Mapping):
            value = " ".join(_words(item) for item in value.values())
        parts.append(f"{name} {_words(value)}")
    return ", ".join(parts)


def _words(value: object) -> str:
    return "/".join(str(item) for item in value) if isinstance(value, list) else str(value)


def run_whoami(url: str | None, *, output: Format) -> Exit:
    answer = Client.at(url).get("v1", "whoami")
    row = (answer["subject"], answer["kind"], answer["role"], answer["tenant"] or "all")
    emit(answer, output, lambda: emit_rows(("SUBJECT", "KIND", "ROLE", "TENANT"), [row]))
    return Exit.DONE
