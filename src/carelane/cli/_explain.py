"""`carelane explain`: why an intent was decided as it was, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from carelane.cli._decisions import offer_text, percent, remedy_lines, shared_lines, sharing_lines, show
from carelane.cli._exit import Exit
from carelane.cli._output import Format, emit, emit_text

if TYPE_CHECKING:
    from carelane.cli._sources import Filed
    from carelane.topology import Topology

__all__ = ["explained", "run_explain_filed", "run_explain_offline"]

Row = Mapping[str, Any]
_BINDING = {
    "delay": "the network is too slow for it",
    "jitter": "delay varies more than that",
    "loss": "too many packets may be lost",
    "bandwidth": "there is not enough capacity left",
    "availability": "it cannot be proven to work that often",
    "disjointness": "there is no second way that does not share the first one's fate",
    "unknown-data": "the topology does not state what is needed to prove it",
    "unreachable": "there is no way between its ends",
    "policy": "policy does not allow it",
}


def run_explain_filed(url: str | None, name: str, *, output: Format) -> Exit:
    """What a server decided on an intent that is filed. Exit 3 when it is refused. Raises NotFoundError."""
    from carelane.cli._client import Client

    detail = Client.at(url).get("v1", "intents", name)
    decision = detail["decision"]
    if decision is not None and decision["decision"] == "refused":
        detail["decision"] = decision = Client.at(url).get("v1", "plans", name)
    document = {"phase": detail["summary"]["phase"], "decision": decision}
    if decision is None:
        emit(document, output, lambda: emit_text(f"{name} is {document['phase']} and not decided yet"))
        return Exit.DONE
    emit(document, output, lambda: emit_text("\n".join(_filed(detail))))
    return _exit([decision])


def run_explain_offline(
    topology: Topology, intents: Sequence[Filed], *, policy_file: str | None = None, output: Format
) -> Exit:
    """What would be decided on an empty network. Exit 3 when something is refused. Raises InputError."""
    from carelane.cli._plan import decide, under_policy

    topology, policy = under_policy(topology, policy_file)
    document = decide(topology, intents, optimize=False, policy=policy)
    decisions: Sequence[Row] = document["decisions"]
    text = "\n\n".join("\n".join(explained(decision)) for decision in decisions)
    emit({"decisions": decisions}, output, lambda: emit_text(text))
    return _exit(decisions)


def _exit(decisions: Sequence[Row]) -> Exit:
    return Exit.DONE if all(d["decision"] == "admitted" for d in decisions) else Exit.REFUSED


def _filed(detail: Row) -> Iterator[str]:
    summary, running = detail["summary"], detail["running_decision"]
    decision = detail["decision"]
    if running is not None and running.get("backups") == decision.get("backups"):
        decision = decision | {key: running[key] for key in ("shares_with",) if key in running}
    yield from explained(decision)
    yield ""
    why = ": ".join(part for part in (summary["reason"], summary["message"]) if part)
    yield f"It is now {summary['phase']}" + (f" ({why})." if why else ".")
    running = detail["running_generation"]
    if running is not None and running != summary["generation"]:
        yield f"The slice of generation {running} stays in place, untouched, until a later one is admitted."


def explained(decision: Row) -> Iterator[str]:
    """Lines about one decision: the verdict, what holds or what stands against it, what rests on what."""
    name = decision["name"]
    if decision["decision"] == "admitted":
        yield f"{name} is admitted: every objective is proven."
        yield from _kept(decision)
    else:
        yield f"{name} is refused. What binds, most first:"
        yield from _refused(decision)
    if not decision.get("proven", True):
        yield "The search was cut short at its limit, so a better answer may exist."
    assumptions = decision.get("assumptions", ())
    if assumptions:
        yield "It rests on:"
    for assumption in assumptions:
        yield f"  - {assumption}"


def _kept(decision: Row) -> Iterator[str]:
    if decision.get("availability") is not None:
        yield f"It works {percent(decision['availability'])} of the time, all paths taken together."
    for path in decision["paths"]:
        ways = " > ".join(path["nodes"])
        yield f"  - {path['role']} path to {path['to']}: {ways}"
        yield f"    holds {show(path['reserved_mbps'], 'Mbit/s')}"
        light = show(path["propagation_ms"], "ms")
        yield f"    at worst {show(path['delay_bound_ms'], 'ms')} one way, {light} of it light in fibre"
        yield f"    varies by at most {show(path['jitter_bound_ms'], 'ms')}"
    for line in shared_lines(decision):
        yield f"  - {line}"
    for line in sharing_lines(decision):
        yield f"  - {line}"
    if any(path["role"] != "primary" for path in decision["paths"]) and decision.get("backups") != "shared":
        yield "Backup paths hold their capacity from the start: a switch moves to them without asking anybody."


def _refused(decision: Row) -> Iterator[str]:
    for number, reason in enumerate(decision.get("reasons", ()), 1):
        unit = "" if reason.get("unit") in (None, "ratio") else str(reason["unit"])
        place = f" at {reason['at']}" if reason.get("at") else ""
        meaning = _BINDING.get(reason["constraint"], "")
        yield f"  {number}. {reason['constraint']}{place}" + (f": {meaning}." if meaning else ".")
        yield f"     Asked: {show(reason.get('required'), unit)}. Possible: {show(reason.get('available'), unit)}."
        if reason.get("detail"):
            yield f"     {reason['detail']}."
    offers = decision.get("offers", ())
    if offers:
        yield "Any of these would be accepted now (all figures of a line together):"
    for offer in offers:
        yield f"  - {offer_text(offer)}"
    if not offers:
        yield "Nothing near it would be accepted: the network itself has to change first."
    yield from _remedied(decision)


_SEARCHED = {
    "whole": "No single wider link and no single slice let go would admit it.",
    "part": "No single wider link or slice let go was found that would admit it; the search stopped early.",
    "not": "Wider links and slices to let go were not looked for.",
}


def _remedied(decision: Row) -> Iterator[str]:
    if decision.get("fits_now"):
        yield "It would be admitted now, as the network has changed: file it again."
        return
    lines = list(remedy_lines(decision))
    if lines:
        yield "It would be admitted as it is (any one of these, all else staying as it is):"
    elif decision.get("remedies_searched") in _SEARCHED:
        yield _SEARCHED[decision["remedies_searched"]]
    for line in lines:
        yield f"  - {line}"
