"""Lists of a running server: what is left of each link, what is out of service, what is kept, who did what."""

from __future__ import annotations

from carelane.cli._client import Client
from carelane.cli._exit import Exit
from carelane.cli._output import Format, emit, emit_rows
from carelane.units import format_rate

__all__ = ["run_audit", "run_capacity", "run_compliance", "run_drains", "run_history"]


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
    """A row for each objective. Exit 1 when one is violated."""
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
    return Exit.BROKEN if any(i["state"] == "violated" for i in intents) else Exit.DONE


def _figure(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.6g} {unit}".rstrip()


def run_audit(
    url: str | None, *, subject: str | None, action: str | None, target: str | None, limit: int, output: Format
) -> Exit:
    """Entries, newest first; before and after are in JSON and YAML."""
    asked = {"subject": subject, "action": action, "target": target, "limit": str(limit)}
    answer = Client.at(url).get("v1", "audit", **{key: value for key, value in asked.items() if value is not None})
    rows = (
        (r["at"], r["subject"], r["role"], r["tenant"] or "-", r["action"], r["target"], r["request_id"])
        for r in answer["entries"]
    )
    headers = ("AT", "WHO", "ROLE", "TENANT", "ACTION", "TARGET", "REQUEST")
    emit(answer, output, lambda: emit_rows(headers, rows, empty="no entries"))
    return Exit.DONE


def run_history(url: str | None, name: str, *, limit: int, output: Format) -> Exit:
    """Steps of an intent, newest first."""
    answer = Client.at(url).get("v1", "intents", name, "history", limit=str(limit))
    rows = ((r["at"], r["phase_from"] or "-", r["phase_to"], r["reason"], r["message"]) for r in answer["history"])
    emit(answer, output, lambda: emit_rows(("AT", "FROM", "TO", "REASON", "MESSAGE"), rows, empty="no steps"))
    return Exit.DONE
