"""The life of an intent: no dead ends, phases from facts, conditions that remember since when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import networkx as nx
import pytest

from carelane.errors import ConflictError
from carelane.intents.lifecycle import (
    ADMITTED,
    INSTALLED,
    KEPT,
    SETTLED,
    TRANSITIONS,
    WAYS_OUT,
    Facts,
    InvalidTransition,
    Phase,
    advance,
    allowed,
    derive_phase,
    requested,
    route,
    settle,
    with_condition,
)

START = datetime(2026, 3, 1, 8, tzinfo=UTC)


def minutes(count: int) -> datetime:
    return START + timedelta(minutes=count)


def graph() -> nx.DiGraph[Phase]:
    return nx.DiGraph((step.start, step.end) for step in TRANSITIONS)


def test_from_every_phase_every_other_can_be_reached() -> None:
    assert set(graph()) == set(Phase)
    assert nx.is_strongly_connected(graph())


def test_every_phase_has_a_way_out_that_a_person_can_take() -> None:
    assert set(WAYS_OUT) == set(Phase)
    for phase in Phase:
        assert allowed(phase), phase
        if phase in SETTLED:
            assert any(step.start is phase and step.actor in ("caller", "either") for step in TRANSITIONS), phase


def test_a_failed_or_withdrawn_intent_is_left_alone_by_the_controller() -> None:
    for phase in (Phase.FAILED, Phase.WITHDRAWN):
        assert {step.actor for step in TRANSITIONS if step.start is phase} == {"caller"}
    assert allowed(Phase.FAILED) == {Phase.REQUESTED, Phase.WITHDRAWING}


def test_no_step_is_listed_twice_or_goes_nowhere() -> None:
    pairs = [(step.start, step.end) for step in TRANSITIONS]
    assert len(pairs) == len(set(pairs))
    assert all(start is not end for start, end in pairs)


def test_a_whole_life() -> None:
    status = requested(START)
    life = [
        (Phase.ADMITTED, "Planned"),
        (Phase.INSTALLING, "Sending"),
        (Phase.ACTIVE, "ReadBack"),
        (Phase.DEGRADED, "LinkDown"),
        (Phase.ACTIVE, "Repaired"),
        (Phase.WITHDRAWING, "Deleted"),
        (Phase.WITHDRAWN, "NothingLeft"),
        (Phase.REQUESTED, "Filed"),
    ]
    for minute, (phase, reason) in enumerate(life, 1):
        status = advance(status, phase, reason=reason, message="because", at=minutes(minute))
        assert (status.phase, status.reason, status.since) == (phase, reason, minutes(minute))


def values(status: object, *types: str) -> list[str | None]:
    found = [status.condition(type_) for type_ in types]  # type: ignore[attr-defined]
    return [condition.status if condition else None for condition in found]


def test_conditions_follow_the_phase_and_remember_since_when() -> None:
    status = requested(START)
    assert values(status, ADMITTED, INSTALLED, KEPT) == ["Unknown", None, None]
    for minute, phase in enumerate((Phase.ADMITTED, Phase.INSTALLING, Phase.ACTIVE), 1):
        status = advance(status, phase, reason="Step", message="", at=minutes(minute))
    assert values(status, ADMITTED, INSTALLED, KEPT) == ["True", "True", "True"]
    admitted = status.condition(ADMITTED)
    assert admitted is not None
    assert admitted.since == minutes(1)
    status = advance(status, Phase.DEGRADED, reason="BackupDown", message="unprotected", at=minutes(9))
    kept = status.condition(KEPT)
    assert kept is not None
    assert (kept.status, kept.reason, kept.since) == ("False", "BackupDown", minutes(9))
    assert values(status, INSTALLED) == ["True"]


def test_staying_in_a_phase_renews_the_reason_and_keeps_since() -> None:
    status = requested(START)
    again = advance(status, Phase.REQUESTED, reason="Queued", message="behind 3 others", at=minutes(5))
    assert (again.since, again.reason, again.message) == (START, "Queued", "behind 3 others")


@pytest.mark.parametrize(
    ("start", "end"),
    [(start, end) for start in Phase for end in Phase if start is not end and end not in allowed(start)],
)
def test_a_forbidden_step_is_a_conflict_that_says_what_is_possible(start: Phase, end: Phase) -> None:
    status = requested(START)
    for phase in route(Phase.REQUESTED, start):
        status = advance(status, phase, reason="Step", message="", at=START)
    with pytest.raises(InvalidTransition, match=f"that is {start} cannot become {end}") as caught:
        advance(status, end, reason="Wish", message="why not", at=START)
    assert isinstance(caught.value, ConflictError)
    assert WAYS_OUT[start] in str(caught.value)


@pytest.mark.parametrize(
    ("facts", "phase"),
    [
        (Facts(), Phase.REQUESTED),
        (Facts(admitted=True), Phase.ADMITTED),
        (Facts(admitted=False), Phase.REFUSED),
        (Facts(admitted=True, started=True, present=True), Phase.INSTALLING),
        (Facts(admitted=True, started=True, present=True, installed=True, kept=True), Phase.ACTIVE),
        (Facts(admitted=True, started=True, present=True, installed=True, kept=False), Phase.DEGRADED),
        (Facts(admitted=True, started=True, present=True, installed=True, kept=None), Phase.DEGRADED),
        (Facts(admitted=True, started=True, present=True, installed=None, kept=True), Phase.DEGRADED),
        (Facts(suspended=True, admitted=True), Phase.SUSPENDED),
        (Facts(wanted=False, present=True, admitted=True, installed=True, kept=True), Phase.WITHDRAWING),
        (Facts(wanted=False), Phase.WITHDRAWN),
        (Facts(wanted=False, present=True, failed=True), Phase.FAILED),
    ],
)
def test_the_phase_follows_from_the_facts_from_wherever_it_stood(facts: Facts, phase: Phase) -> None:
    assert derive_phase(facts) is phase
    for start in Phase:
        status = requested(START)
        for step in route(Phase.REQUESTED, start):
            status = advance(status, step, reason="Step", message="", at=START)
        settled = settle(status, facts, reason="Observed", message="as found", at=minutes(1))
        assert (settled.phase, settled.reason) == (phase, "Observed")


def test_a_degraded_intent_says_what_is_not_known() -> None:
    facts = Facts(admitted=True, started=True, present=True, installed=None, kept=None)
    status = settle(requested(START), facts, reason="SwitchUnreachable", message="s3 does not answer", at=minutes(1))
    assert values(status, ADMITTED, INSTALLED, KEPT) == ["True", "Unknown", "Unknown"]


def test_a_route_is_permitted_shortest_and_always_the_same() -> None:
    for start in Phase:
        for end in Phase:
            way = route(start, end)
            assert len(way) == nx.shortest_path_length(graph(), start, end)
            assert all(after in allowed(before) for before, after in zip((start, *way), way, strict=False))
            assert way == route(start, end)


def test_other_conditions_may_be_kept_beside_the_phase() -> None:
    status = with_condition(requested(START), "Drift", "True", reason="RuleMissing", message="one rule", at=minutes(1))
    again = with_condition(status, "Drift", "True", reason="RulesMissing", message="two rules", at=minutes(2))
    drift = again.condition("Drift")
    assert drift is not None
    assert (drift.since, drift.message) == (minutes(1), "two rules")
    assert len(again.conditions) == len(status.conditions)


@pytest.mark.parametrize("reason", ["", "two words", "lower", "Ümlaut", "A" * 65])
def test_a_reason_is_one_camel_case_word(reason: str) -> None:
    with pytest.raises(ValueError, match="CamelCase"):
        advance(requested(START), Phase.ADMITTED, reason=reason, message="", at=START)


def test_times_need_a_zone() -> None:
    with pytest.raises(ValueError, match="zone"):
        requested(START.replace(tzinfo=None))
