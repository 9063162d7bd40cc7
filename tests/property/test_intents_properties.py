"""For any intent: both languages say the same, manifests lose nothing; for any garbage: InputError and nothing else."""

from __future__ import annotations

import json
import string
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from carelane.errors import InputError
from carelane.intents import (
    CATALOGUE,
    OFF,
    Schedule,
    ServiceIntent,
    StatedObjectives,
    from_manifest,
    json_schema,
    load_intents,
    parse_line,
    to_manifest,
    to_yaml,
)
from carelane.intents.model import Off
from carelane.topology.names import check_name
from carelane.units import rate_text, size_text

UNTIMED = settings(deadline=None)
"""The first example of each parser pays for importing it."""
PLENTY = settings(deadline=None, max_examples=400)


def is_topology_name(name: str) -> bool:
    with suppress(InputError):
        return check_name(name) == name and not set(name) & set("“”＞")
    return False


KEYWORD_NAMES = {"to", "from", "至", "到", "从", "自"}
labels = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
plain_names = (
    st.text(string.ascii_letters + string.digits + "/._-=%()'县院手术室甲乙é（）１％", min_size=1, max_size=12)
    | st.text(min_size=1, max_size=12)
).filter(lambda name: is_topology_name(name) and name.casefold() not in KEYWORD_NAMES)
any_names = st.text(min_size=1, max_size=20).filter(lambda name: name.isprintable() and name == name.strip())
times = st.integers(1, 10**12).map(lambda ps: ps / 1e12).filter(lambda s: s >= 1e-9)
ratios = st.integers(1, 10**9 - 1).map(lambda parts: parts / 1e9)
availabilities = st.floats(0.01, 0.999999999)
rates = st.integers(1, 10**14)
off: st.SearchStrategy[Off | None] = st.sampled_from((None, OFF))
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=draw(st.integers(0, 10**8)))
    after = start + timedelta(seconds=draw(st.integers(1, 10**6)))
    if draw(st.booleans()):
        return Schedule(start.isoformat(), after.isoformat(), None, None)
    return Schedule(start.isoformat(), None, after.isoformat(), draw(st.integers(1, 10**18)))


@st.composite
def intents(draw: st.DrawFn, names: st.SearchStrategy[str] = any_names) -> ServiceIntent:
    ends = draw(st.lists(names, min_size=2, max_size=6, unique=True))
    cut = draw(st.sampled_from([1, len(ends) - 1]))
    both_ways = draw(st.booleans())
    forward = draw(st.none() | rates)
    direction: Any = draw(st.sampled_from(["both", "forward", "reverse"]))
    return ServiceIntent(
        name=draw(labels),
        tenant=draw(labels),
        service=draw(st.sampled_from(list(CATALOGUE))),
        source=tuple(ends[:cut]),
        to=tuple(ends[cut:]),
        objectives=StatedObjectives(
            delay_s=draw(times | off),
            jitter_s=draw(times | off),
            loss=draw(ratios | off),
            availability=draw(availabilities | off),
            forward_bps=forward,
            reverse_bps=draw(rates) if forward and both_ways and direction == "both" else forward,
        ),
        connectivity=None,
        direction=direction,
        burst_bytes=draw(st.none() | st.integers(64, 10**9)),
        round_trip=draw(st.booleans()),
        protection=draw(st.sampled_from(["auto", "required", "none"])),
        priority=draw(st.none() | st.integers(0, 9)),
        schedule=draw(st.none() | schedules()),
        speakers=draw(st.none() | st.integers(1, 1000)) if cut > 1 else None,
    )


@UNTIMED
@given(intents())
def test_a_manifest_loses_nothing_in_yaml_json_or_against_the_schema(intent: ServiceIntent) -> None:
    manifest = to_manifest(intent)
    assert from_manifest(json.loads(json.dumps(manifest))) == intent
    assert load_intents(to_yaml([intent])) == [intent]
    VALIDATOR.validate(manifest)


@UNTIMED
@given(st.lists(intents(), min_size=2, max_size=5, unique_by=lambda intent: intent.name), st.data())
def test_one_fault_anywhere_and_nothing_is_taken(batch: list[ServiceIntent], data: st.DataObject) -> None:
    assert load_intents(to_yaml(batch)) == batch
    manifests = [to_manifest(intent) for intent in batch]
    faulty = data.draw(st.sampled_from(manifests))
    faulty["spec"]["surprise"] = 1
    with suppress(InputError):
        raise AssertionError(load_intents(yaml.safe_dump_all(manifests, allow_unicode=True)))


ZH_UNITS = {"%": "％", "ms": "毫秒", "us": "微秒", "s": "秒", "ns": "ns"}


def spoken(intent: ServiceIntent, *, chinese: bool) -> str:
    """The line a person would write for `intent`."""
    service = CATALOGUE[intent.service]

    def en_zh(english: str, mandarin: str) -> str:
        return mandarin if chinese else english

    goals = intent.objectives
    clauses: list[str] = []
    for value, en, zh in (
        (goals.delay_s, "delay", "时延"),
        (goals.jitter_s, "jitter", "抖动"),
        (goals.loss, "loss", "丢包率"),
        (goals.availability, "availability", "可用性"),
    ):
        if value == OFF:
            clauses.append(en_zh(f"{en} none", f"{zh}不限"))
        elif isinstance(value, float):
            figure = str(to_manifest(intent)["spec"]["objectives"][en])
            digits = figure.rstrip("nums%")
            unit = figure[len(digits) :]
            clauses.append(en_zh(f"{en} {digits} {unit}", f"{zh}{digits}{ZH_UNITS[unit]}"))
    if goals.forward_bps and goals.reverse_bps:
        forward, reverse = rate_text(goals.forward_bps), rate_text(goals.reverse_bps)
        if forward == reverse:
            clauses.append(forward)
        else:
            clauses.append(en_zh(f"{forward} up / {reverse} down", f"上行{forward}／下行 {reverse}"))
    if intent.direction != "both":
        forwards = intent.direction == "forward"
        clauses.append(en_zh(f"{intent.direction} only", "仅上行" if forwards else "仅下行"))
    if intent.burst_bytes:
        clauses.append(en_zh("burst ", "突发") + size_text(intent.burst_bytes))
    if intent.round_trip:
        clauses.append(en_zh("round trip", "往返"))
    if intent.protection != "auto":
        unprotected = intent.protection == "none"
        clauses.append(en_zh("unprotected", "无保护") if unprotected else en_zh("protected", "有保护"))
    if intent.priority is not None:
        clauses.append(en_zh("priority ", "优先级") + str(intent.priority))
    if intent.speakers is not None:
        clauses.append(en_zh(f"{intent.speakers} speakers", f"{intent.speakers}方发言"))
    comma, arrow, colon = en_zh(", ", "、"), en_zh(" -> ", " → "), en_zh(": ", "：")
    head = f"{en_zh(service.name.replace('-', ' '), service.title_zh)} "
    ends = comma.join(intent.source) + arrow + comma.join(intent.to)
    return head + ends + (colon + en_zh(", ", "，").join(clauses) if clauses else "")


@UNTIMED
@given(intents(plain_names).map(lambda intent: replace(intent, schedule=None)))
def test_both_languages_say_the_same(intent: ServiceIntent) -> None:
    for chinese in (False, True):
        line = spoken(intent, chinese=chinese)
        assert parse_line(line, name=intent.name, tenant=intent.tenant) == intent, line


@UNTIMED
@given(intents(plain_names))
def test_a_derived_name_depends_on_service_and_endpoints_alone(intent: ServiceIntent) -> None:
    bare = StatedObjectives()
    one = parse_line(spoken(replace(intent, objectives=bare), chinese=False))
    other = parse_line(spoken(intent, chinese=True))
    assert one.name == other.name
    assert 0 < len(one.name) <= 63
    assert from_manifest(to_manifest(other)) == other


@UNTIMED
@given(intents().filter(lambda intent: not any(c in name for name in (*intent.source, *intent.to) for c in '"“”')))
def test_any_endpoint_can_be_named_in_quotes(intent: ServiceIntent) -> None:
    line = f"{intent.service} {', '.join(map(quoted, intent.source))} -> {', '.join(map(quoted, intent.to))}"
    if len(line) <= 2000:
        parsed = parse_line(line)
        assert (parsed.source, parsed.to) == (intent.source, intent.to)


def quoted(name: str) -> str:
    return f'"{name}"'


SCRAPS = st.sampled_from(
    [*"：，、→％／\u3000 ,:;/->=>\"“”.%", "remote surgery", "远程手术", "a", "b/1", "->", "至", "to", "from", ": ",
     ", ", "20", "1e9", "-5", "ms", "毫秒", "Mbps", "兆", "%", "KB", "delay", "抖动", "loss", "丢包", "no ", "none",
     "无", "round trip", "往返", "up", "下行", "only", "仅", "priority", "7", "speakers", "发言", "burst", "protected",
     "无保护", "\x00", "😀", "９９", "\n", "\ud800"]
)  # fmt: skip


@PLENTY
@given(st.text(max_size=80) | st.lists(SCRAPS, max_size=25).map(" ".join) | st.lists(SCRAPS, max_size=25).map("".join))
def test_garbage_in_a_line_is_an_input_error(text: str) -> None:
    for line in (text, f"remote surgery a -> b: {text}", f"remote surgery {text}"):
        with suppress(InputError):
            intent = parse_line(line, source=["x"], to=["y"])
            assert from_manifest(to_manifest(intent)) == intent


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
    | st.sampled_from(["20ms", "40Mbps", "99%", "none", "remote-surgery", "carelane/v1", "ServiceIntent", "both"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
FIELDS = [
    ("spec", "from"), ("spec", "to"), ("spec", "service"), ("spec", "objectives"), ("spec", "objectives", "delay"),
    ("spec", "objectives", "loss"), ("spec", "objectives", "availability"), ("spec", "objectives", "bandwidth"),
    ("spec", "objectives", "bandwidth", "forward"), ("spec", "burst"), ("spec", "priority"), ("spec", "roundTrip"),
    ("spec", "direction"), ("spec", "speakers"), ("spec", "connectivity"), ("spec", "protection"), ("spec", "schedule"),
    ("spec", "schedule", "start"), ("spec", "schedule", "volume"), ("metadata",), ("metadata", "name"),
    ("metadata", "tenant"), ("spec",), ("kind",), ("apiVersion",), ("spec", "new"),
]  # fmt: skip


@PLENTY
@given(intents(), st.lists(st.tuples(st.sampled_from(FIELDS), values), min_size=1, max_size=3))
def test_garbage_in_a_field_is_an_input_error(intent: ServiceIntent, changes: list[tuple[Any, Any]]) -> None:
    manifest = to_manifest(intent)
    for path, value in changes:
        target: Any = manifest
        for key in path[:-1]:
            target = target.setdefault(key, {}) if isinstance(target, dict) else None
        if isinstance(target, dict):
            target[path[-1]] = value
    with suppress(InputError):
        taken = from_manifest(manifest)
        assert from_manifest(to_manifest(taken)) == taken
        VALIDATOR.validate(manifest)


@UNTIMED
@given(values | st.dictionaries(st.integers() | st.text(max_size=5), values))
def test_garbage_instead_of_a_manifest_is_an_input_error(value: Any) -> None:
    with suppress(InputError):
        raise AssertionError(from_manifest(value))


@UNTIMED
@given(st.binary(max_size=200) | st.text(max_size=200))
def test_garbage_instead_of_a_file_is_an_input_error(data: bytes | str) -> None:
    with suppress(InputError):
        raise AssertionError(load_intents(data))


@UNTIMED
@given(intents(), st.integers(0, 400), st.text(max_size=3) | st.sampled_from(["\t", ": ", "- ", "&a ", "*a", "{", "]"]))
def test_a_damaged_file_is_an_input_error_or_another_file(intent: ServiceIntent, at: int, damage: str) -> None:
    text = yaml.safe_dump(to_manifest(intent), allow_unicode=True)
    with suppress(InputError):
        for taken in load_intents(text[:at] + damage + text[at:]):
            assert from_manifest(to_manifest(taken)) == taken
