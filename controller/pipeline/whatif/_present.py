"""Answers as JSON, figures as in the plan's; the same input gives the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from carelane.controller.pipeline.present import decision_json, reason_json
from carelane.controller.pipeline.replan import Fate
from carelane.controller.pipeline.rounding import mbps, ms_up
from carelane.controller.pipeline.slice_plan import Decision
from carelane.controller.pipeline.whatif._ask import Answer, Question
from carelane.controller.pipeline.whatif._sweep import Struck
from carelane.topology.failure import Failure

__all__ = ["answer_json", "sweep_json"]


def answer_json(answer: Answer) -> dict[str, Any]:
    """`intents` in the order they were filed, each with its promise before and after."""
    return {
        "topology": answer.topology.name,
        "question": _question(answer.question),
        "intents": [_fate(fate) for fate in answer.fates],
        "retried": [decision_json(item, answer.ledger.sharing_with(item.name)) for item in answer.retried],
        "added": [decision_json(item, answer.ledger.sharing_with(item.name)) for item in answer.added],
        "summary": {
            outcome: sum(fate.outcome == outcome for fate in answer.fates)
            for outcome in ("kept", "restored", "weakened", "broken")
        },
        "harmless": answer.harmless,
    }


def sweep_json(topology: str, found: Sequence[Struck]) -> dict[str, Any]:
    """One row a failure, in the order of the topology; `worst` names those that break or weaken most."""
    rows = [_struck(struck) for struck in found]
    harmful = [row for row in rows if row["broken"] or row["weakened"]]
    harmful.sort(key=lambda row: (-len(row["broken"]), -len(row["weakened"])))
    return {
        "topology": topology,
        "failures": rows,
        "harmless": not harmful,
        "worst": [row["failure"] for row in harmful[:10]],
    }


def failure_json(failure: Failure) -> dict[str, list[str]]:
    return {
        "links": sorted(failure.links),
        "nodes": sorted(failure.nodes),
        "risk_groups": sorted(failure.risk_groups),
    }


def _question(question: Question) -> dict[str, Any]:
    return {
        "failed": failure_json(question.failed),
        "drained": failure_json(question.drained),
        "upgrades_mbps": {link: mbps(rate) for link, rate in question.upgrades.items()},
        "added": [requirement.name for requirement in question.added],
    }


def _fate(fate: Fate) -> dict[str, Any]:
    now = decision_json(fate.now)
    return {
        "name": fate.name,
        "outcome": fate.outcome,
        "carried": fate.carried,
        "before": _promise(fate.before),
        "after": _promise(fate.now) if fate.outcome != "broken" else None,
        "paths": now["paths"] if fate.outcome != "broken" else [],
        "reasons": [reason_json(reason) for reason in fate.reasons],
        "proven": fate.now.proven,
    }


def _promise(decision: Decision) -> dict[str, Any]:
    """The worst path's bounds, and the availability of the whole."""
    delays = [path.delay_bound_s for path in decision.paths]
    jitters = [path.jitter_bound_s for path in decision.paths]
    return {
        "availability": decision_json(decision)["availability"],
        "delay_bound_ms": _worst(delays),
        "jitter_bound_ms": _worst(jitters),
        "paths": len(decision.paths),
    }


def _worst(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return ms_up(max(known)) if known and len(known) == len(values) else None


def _struck(struck: Struck) -> dict[str, Any]:
    return {
        "failure": failure_json(struck.failure),
        "label": struck.failure.label,
        "kept": struck.kept,
        "restored": list(struck.restored),
        "weakened": list(struck.weakened),
        "broken": list(struck.broken),
        "interrupted": list(struck.interrupted),
    }
