"""What a refusal tells of other tenants' slices: enough to act on, and no name, except to those who may see all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

Door = Any
SECRET = "bravo-secret-slice"


@pytest.fixture
def crowded(door: Door) -> Iterator[Door]:
    """Bravo holds most of both links."""
    for name in (SECRET, f"{SECRET}-2"):
        assert door.file("it@bravo", name, "bravo", 700).json()["intents"][0]["admitted"] is True
    yield door
    for name in (SECRET, f"{SECRET}-2"):
        door.call("it@bravo", "DELETE", f"/v1/intents/{name}")
    assert {row.phase for row in door.controller.service.wait([SECRET, f"{SECRET}-2"], 20)} == {"Withdrawn"}


def remedies(decision: dict[str, Any]) -> dict[str, dict[str, Any]]:
    assert decision["decision"] == "refused"
    assert decision["remedies_searched"] == "whole"
    return {row["kind"]: row for row in decision["remedies"]}


def test_who_would_have_to_go_is_named_to_engineers_only(crowded: Door, make_intent: Any) -> None:
    asked = make_intent("alphas", "alpha", 500)
    answers = {who: crowded.call(who, "POST", "/v1/plans", json=asked) for who in ("it@alpha", "engineer")}
    mine, theirs = (remedies(answers[who].json()["decisions"][0]) for who in ("it@alpha", "engineer"))
    assert theirs["remove-intent"]["tenant"] == "bravo"
    assert theirs["remove-intent"]["name"].startswith(SECRET)
    assert mine["remove-intent"] == {
        "kind": "remove-intent", "name": None, "tenant": None, "detail": "another tenant's slice"
    }  # fmt: skip
    assert mine["upgrade-link"] == theirs["upgrade-link"]
    assert mine["upgrade-link"]["to_mbps"] == 1200.0
    assert "bravo" not in answers["it@alpha"].text


def test_a_filed_refusal_is_explained_with_the_remedies_of_now(crowded: Door, make_intent: Any) -> None:
    asked = make_intent("alphas-filed", "alpha", 500)
    [answer] = crowded.call("it@alpha", "POST", "/v1/intents", json=asked).json()["intents"]
    assert answer["decision"]["remedies_searched"] == "not", "many may be filed at once: looked for when asked about"
    found = crowded.call("it@alpha", "GET", "/v1/plans/alphas-filed")
    assert remedies(found.json())["remove-intent"]["name"] is None
    assert "bravo" not in found.text
    assert remedies(crowded.call("engineer", "GET", "/v1/plans/alphas-filed").json())["remove-intent"]["name"]
    crowded.call("it@bravo", "DELETE", f"/v1/intents/{SECRET}")
    crowded.controller.service.wait([SECRET], 20)
    freed = crowded.call("it@alpha", "GET", "/v1/plans/alphas-filed").json()
    assert (freed["fits_now"], freed["remedies"]) == (True, [])
    crowded.call("it@alpha", "DELETE", "/v1/intents/alphas-filed")


def test_a_collision_with_another_tenants_slice_does_not_name_it(door: Door, make_intent: Any) -> None:
    """Only an engineer can file for bravo what uses alpha's endpoints."""
    hidden = make_intent("collider", "alpha")
    hidden["metadata"] = {"name": SECRET, "tenant": "bravo"}
    assert door.call("engineer", "POST", "/v1/intents", json=hidden).json()["intents"][0]["admitted"] is True
    tried = door.call("it@alpha", "POST", "/v1/plans", json=make_intent("collider", "alpha"))
    filed = door.call("it@alpha", "POST", "/v1/intents", json=make_intent("collider", "alpha"))
    assert tried.json()["decisions"][0]["reasons"] == filed.json()["intents"][0]["decision"]["reasons"]
    [reason] = filed.json()["intents"][0]["decision"]["reasons"]
    assert reason["constraint"] == "policy"
    assert reason["detail"].startswith("collider and another tenant's slice cannot be told apart at west")
    paths = ("/v1/intents/collider", "/v1/plans/collider", "/v1/intents/collider/history", "/v1/audit")
    answers = [tried.text, filed.text, *(door.call("it@alpha", "GET", path).text for path in paths)]
    assert not [text for text in answers if "secret" in text or "bravo" in text]
    [told] = door.call("engineer", "GET", "/v1/intents/collider").json()["decision"]["reasons"]
    assert told["others"] == [SECRET]
    for name in ("collider", SECRET):
        door.call("engineer", "DELETE", f"/v1/intents/{name}")
    door.controller.service.wait([SECRET], 20)


def test_a_collision_of_ones_own_names_both(door: Door, make_intent: Any) -> None:
    first, second = make_intent("own", "alpha"), make_intent("own", "alpha")
    second["metadata"]["name"] = "own-again"
    tried = door.call("it@alpha", "POST", "/v1/plans", json=[first, second]).json()["decisions"]
    assert [row["decision"] for row in tried] == ["admitted", "refused"]
    door.call("it@alpha", "POST", "/v1/intents", json=first)
    [answer] = door.call("it@alpha", "POST", "/v1/intents", json=second).json()["intents"]
    assert "slices own and own-again cannot be told apart" in answer["decision"]["reasons"][0]["detail"]
    assert "others" not in answer["decision"]["reasons"][0]
    for name in ("own", "own-again"):
        door.call("it@alpha", "DELETE", f"/v1/intents/{name}")
    door.controller.service.wait(["own"], 20)


def test_a_batch_admits_no_two_that_carry_the_same_packets(door: Door, make_intent: Any) -> None:
    """Of two that cannot be told apart the larger one stays, beside what is in force nobody; the room of those that are
    out is for others."""

    def batch(*asked: dict[str, Any], who: str = "it@alpha") -> dict[str, dict[str, Any]]:
        answer = door.call(who, "POST", "/v1/plans?optimize=true", json=list(asked)).json()
        assert answer["totals"]["admitted_mbps"] <= answer["totals"]["upper_bound_mbps"]
        return {row["name"]: row for row in answer["decisions"]}

    small, large = make_intent("twin", "alpha", 100), make_intent("twin", "alpha", 800)
    large["metadata"]["name"] = "twin-large"
    other = make_intent("bystander", "alpha", 900)
    greedy = make_intent("twin", "alpha", 5000)
    greedy["metadata"]["name"] = "twin-greedy"
    found = batch(small, large, other, greedy)
    assert {name: row["decision"] for name, row in found.items()} == {
        "twin": "refused", "twin-large": "admitted", "bystander": "admitted", "twin-greedy": "refused"
    }  # fmt: skip
    assert "slices twin and twin-large cannot be told apart" in found["twin"]["reasons"][0]["detail"]
    assert found["twin-greedy"]["offers"] == []
    assert [row["constraint"] for row in found["twin-greedy"]["reasons"]][-1] == "policy"
    assert door.call("it@alpha", "POST", "/v1/intents", json=small).json()["intents"][0]["admitted"] is True
    assert {row["decision"] for row in batch(large, greedy).values()} == {"refused"}
    assert batch(small | {"spec": large["spec"]})["twin"]["decision"] == "admitted", "its own packets are no rival's"
    door.call("it@alpha", "DELETE", "/v1/intents/twin")
    door.controller.service.wait(["twin"], 20)


def test_no_figures_are_offered_where_another_slice_carries_the_same_packets(door: Door, make_intent: Any) -> None:
    """Whoever accepted such an offer would be refused again, whatever it says."""
    greedy, modest = make_intent("greedy", "alpha", 5000), make_intent("greedy", "alpha")
    modest["metadata"]["name"] = "modest"

    def filed(asked: dict[str, Any]) -> dict[str, Any]:
        [row] = door.call("it@alpha", "POST", "/v1/intents", json=asked).json()["intents"]
        return dict(row["decision"])

    alone = filed(greedy)
    assert alone["offers"], "nobody stands in the way"
    assert filed(modest)["decision"] == "admitted"
    beside = filed(greedy)
    assert beside["offers"] == []
    assert [row["constraint"] for row in beside["reasons"]] == [alone["reasons"][0]["constraint"], "policy"]
    assert beside["reasons"][-1]["detail"].startswith("slices greedy and modest cannot be told apart")
    door.call("it@alpha", "DELETE", "/v1/intents/modest")
    door.controller.service.wait(["modest"], 20)
    assert filed(greedy)["offers"] == alone["offers"]
    accepted = door.call("it@alpha", "POST", "/v1/intents/greedy/offers/0").json()
    assert accepted["admitted"] is True, "an offer that is made holds"
    door.call("it@alpha", "DELETE", "/v1/intents/greedy")
