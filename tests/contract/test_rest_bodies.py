"""Request bodies: every form gives the same intents, and garbage gives located errors, never anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from carelane.api.rest.bodies import Body, parse_intents
from carelane.errors import InputError
from carelane.intents import ServiceIntent
from carelane.topology import parse_topology

MANIFEST: dict[str, Any] = {
    "apiVersion": "carelane/v1",
    "kind": "ServiceIntent",
    "metadata": {"name": "or1", "tenant": "county-hospital"},
    "spec": {
        "service": "remote-surgery",
        "from": ["county/or-1"],
        "to": ["province/console-3"],
        "objectives": {"delay": "20ms", "bandwidth": "40Mbps"},
    },
}
NETWORK = parse_topology(
    """
apiVersion: carelane/v1
kind: Topology
metadata: {name: pair}
spec:
  nodes: [{id: county}, {id: province}]
  links: [{id: l1, a: county, b: province, capacity: 1Gbps, length: 200km}]
  endpoints: [{id: county/or-1, node: county}, {id: province/console-3, node: province}]
"""
)
JSON, YAML = "application/json", "application/yaml"


def parse(data: str | bytes, media_type: str = JSON) -> list[ServiceIntent]:
    content = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    return parse_intents(Body(media_type, content), NETWORK)


def fault(data: str | bytes, media_type: str = JSON) -> InputError:
    with pytest.raises(InputError) as caught:
        parse(data, media_type)
    return caught.value


def test_every_form_of_a_manifest_gives_the_same_intent() -> None:
    written = parse(yaml.safe_dump(MANIFEST), YAML)
    forms = (
        json.dumps(MANIFEST),
        json.dumps(MANIFEST, indent="\t"),
        json.dumps([MANIFEST]),
        "\ufeff" + json.dumps(MANIFEST, indent=2),
    )
    assert all(parse(form) == written for form in forms)


def test_a_line_gives_an_intent_with_the_stated_endpoints() -> None:
    body = {"line": "远程手术：20 毫秒，99.999%", "from": "county/or-1", "to": ["province/console-3"], "name": "or1"}
    for text in (json.dumps(body), json.dumps(body, ensure_ascii=False)):
        (intent,) = parse(text)
        assert (intent.name, intent.service) == ("or1", "remote-surgery")
        assert (intent.source, intent.to) == (("county/or-1",), ("province/console-3",))
        assert intent.objectives.delay_s == 0.02


def test_a_line_without_endpoints_names_those_that_exist() -> None:
    assert "county/or-1" in str(fault('{"line": "remote surgery: 20 ms"}'))


def test_an_unknown_endpoint_is_found_on_its_line() -> None:
    text = yaml.safe_dump(MANIFEST, sort_keys=False).replace("county/or-1", "county/or-9")
    error = fault(text + "---\n" + text.replace("or-9", "or-1").replace("name: or1", "name: or2"), YAML)
    assert error.line == text.splitlines().index("  from:") + 1
    assert error.field == "spec.from"
    assert "county/or-1" in (error.expected or "")


def test_errors_in_json_keep_their_line() -> None:
    text = json.dumps(MANIFEST, indent=2).replace("20ms", "20 parsecs")
    error = fault(text)
    assert error.line == text[: text.index("parsecs")].count("\n") + 1
    assert error.field == "spec.objectives.delay"


def test_errors_in_a_list_name_the_item() -> None:
    bad = json.loads(json.dumps(MANIFEST))
    bad["metadata"]["name"] = "or2"
    bad["spec"]["objectives"]["delay"] = 20
    error = fault(json.dumps([MANIFEST, bad]))
    assert error.field == "[1].spec.objectives.delay"
    assert error.line is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("nonsense", "not JSON"),
        ("3", "not a manifest"),
        ("null", "not a manifest"),
        ("[]", "no intents"),
        ("[3]", "not a manifest"),
        ('{"a": NaN}', "NaN"),
        ('{"a": 1, "a": 2}', "twice"),
        ("[" * 100_000, "nested"),
        (json.dumps([MANIFEST, MANIFEST]), "two intents"),
        ('{"line": 3}', "not text"),
        ('{"line": "x", "from": 3}', "not a list"),
        ('{"line": "x", "form": []}', "unknown field"),
        ('{"apiVersion": "carelane/v1", "kind": "Topology"}', "Topology"),
        ('{"kind": "\\ud800"}', ""),
        ('{"a": ' + "9" * 5000 + "}", ""),
    ],
)
def test_what_is_wrong_with_json_is_said(text: str, message: str) -> None:
    assert message in str(fault(text))


def test_bytes_that_are_no_text_are_refused() -> None:
    assert "UTF-8" in str(fault(b"\xff\xfe{}"))
    assert "UTF-8" in str(fault(b"\xff\xfe{}", YAML))


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=400), media_type=st.sampled_from([JSON, YAML]))
def test_garbage_bytes_end_in_an_input_error(data: bytes, media_type: str) -> None:
    with pytest.raises(InputError):
        parse(data, media_type)


_JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(
    place=st.sampled_from(
        [(), ("spec",), ("metadata",), ("spec", "objectives"), ("spec", "from"), ("metadata", "name")]
    ),
    value=_JSON_VALUES,
    ascii_only=st.booleans(),
)
def test_garbage_inside_a_manifest_is_an_intent_or_an_input_error(
    place: tuple[str, ...], value: object, ascii_only: bool
) -> None:
    manifest = json.loads(json.dumps(MANIFEST))
    holder = manifest
    for key in place[:-1]:
        holder = holder[key]
    if place:
        holder[place[-1]] = value
    else:
        manifest = value
    try:
        found = parse(json.dumps(manifest, ensure_ascii=ascii_only))
    except InputError:
        return
    assert all(isinstance(intent, ServiceIntent) for intent in found)
