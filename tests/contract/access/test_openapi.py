"""The OpenAPI document is complete: every operation says what it takes and answers, with examples that fit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

Door = Any
OPENED = {"/healthz", "/readyz", "/leaderz", "/metrics"}


@pytest.fixture(scope="module")
def document(door: Door) -> dict[str, Any]:
    found: dict[str, Any] = door.call(None, "GET", "/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def check(document: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    whole = {**schema, "components": document["components"]}
    return [error.message for error in Draft202012Validator(whole).iter_errors(value)]


def test_every_answer_has_an_example_that_fits_its_schema(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert operation["summary"], name
        for status, response in operation["responses"].items():
            for kind, content in response["content"].items():
                assert content["example"], (name, status, kind)
                assert check(document, content["schema"], content["example"]) == [], (name, status)


def test_every_body_and_every_part_of_a_path_has_an_example_that_fits(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            examples = parameter["schema"].get("examples", [])
            if parameter["in"] == "path":
                assert examples, (name, parameter["name"])
            assert all(check(document, parameter["schema"], example) == [] for example in examples)
        for kind, content in operation.get("requestBody", {"content": {}})["content"].items():
            examples = [content["example"]] if "example" in content else []
            examples += [item["value"] for item in content.get("examples", {}).values()]
            assert examples, (name, kind)
            for example in examples:
                assert check(document, content["schema"], example) == [], (name, kind)


def test_what_needs_a_key_says_so_and_headers_stand_only_where_they_are_heeded(document: dict[str, Any]) -> None:
    heeded = {"Idempotency-Key": set[str](), "If-Match": set[str]()}
    for name, operation in operations(document):
        assert bool(operation.get("security")) is (name.split()[1] not in OPENED), name
        for parameter in operation.get("parameters", ()):
            if parameter["name"] in heeded:
                heeded[parameter["name"]].add(name)
    intent, drain = "/v1/intents/{name}", "/v1/drains/{target}"
    versioned = {"POST /v1/intents", f"PATCH {intent}", f"DELETE {intent}", f"POST {intent}/offers/{{index}}"}
    assert heeded["If-Match"] == versioned
    assert heeded["Idempotency-Key"] == versioned | {
        f"POST {drain}", f"DELETE {drain}", "POST /v1/reoptimise"
    }  # fmt: skip


def test_no_example_gives_a_secret_away(document: dict[str, Any]) -> None:
    assert re.findall(r"carelane_[a-z0-9]{12}_(?!\.\.\.)\w+", str(document)) == []
