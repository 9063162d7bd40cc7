"""What was decided survives a restart exactly."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carelane.controller.pipeline.requirement import Objectives, Pair, Requirement
from carelane.controller.pipeline.slice_plan import Decision
from carelane.controller.reconcile.codec import decode_decision, encode_decision
from carelane.errors import PermanentError
from carelane.topology.model import Endpoint

finite = st.floats(allow_nan=False, allow_infinity=False)
word = st.text(st.characters(codec="utf-8"), max_size=8)
addresses = st.none() | st.ip_addresses().map(lambda address: ip_network(address))


def of_type(hint: Any) -> st.SearchStrategy[Any]:
    """Values of an annotated type, every field of a dataclass included, its defaults not taken for granted."""
    known = {float: finite, str: word, int: st.integers(0, 2**62), bool: st.booleans(), type(None): st.none()}
    if hint in known:
        return known[hint]
    if hint == IPv4Network | IPv6Network | None:
        return addresses
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple and arguments[-1] is not ...:
        return st.tuples(*map(of_type, arguments))
    if origin is tuple:
        return st.lists(of_type(arguments[0]), max_size=2).map(tuple)
    if origin in (Union, UnionType):
        return st.one_of([of_type(argument) for argument in arguments])
    return st.builds(hint, **{name: of_type(inner) for name, inner in get_type_hints(hint).items()})


decisions = of_type(Decision)


@given(decisions)
def test_a_decision_comes_back_equal_and_of_the_same_types(decision: Decision) -> None:
    text = encode_decision(decision)
    again = decode_decision(text)
    assert again == decision
    assert encode_decision(again) == text
    for pair, before in zip(again.requirement.pairs, decision.requirement.pairs, strict=True):
        assert type(pair.source.address) is type(before.source.address)
    for reason, was in zip(again.reasons, decision.reasons, strict=True):
        assert isinstance(reason.required, str) is isinstance(was.required, str)


@given(decisions, st.sampled_from([float("inf"), float("-inf"), float("nan")]))
def test_what_would_not_come_back_is_never_stored(decision: Decision, figure: float) -> None:
    with pytest.raises(PermanentError, match="cannot be stored without loss"):
        encode_decision(replace(decision, availability=figure))


@given(st.one_of(st.text(), st.recursive(st.none() | st.booleans() | finite | word, st.lists).map(json.dumps)))
def test_garbage_is_an_error_that_says_what_to_do(text: str) -> None:
    with pytest.raises(PermanentError, match="withdraw and file the intent again"):
        decode_decision(text)


def test_fields_of_another_version_are_not_guessed_around() -> None:
    west = Endpoint("w", "west", 1, IPv4Network("10.0.0.1/32"))
    east = Endpoint("e", "east", 1, IPv6Network("fd00::/64"))
    requirement = Requirement(
        "one", "t", "s", "standard", 1, "point-to-point", (Pair(west, east),), 1, 1, 1, 1500, Objectives()
    )
    fields = json.loads(encode_decision(Decision(requirement, admitted=False)))
    for changed in ({**fields, "colour": "blue"}, {key: fields[key] for key in fields if key != "admitted"}):
        with pytest.raises(PermanentError, match="withdraw and file"):
            decode_decision(json.dumps(changed))
