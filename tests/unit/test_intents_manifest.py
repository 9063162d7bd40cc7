"""Manifests: what the fields mean, all or nothing, and every fault with its line, field and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from carelane.errors import InputError
from carelane.intents import (
    OFF,
    Schedule,
    ServiceIntent,
    StatedObjectives,
    from_manifest,
    json_schema,
    load_intents,
    read_intents,
    to_manifest,
)

SURGERY = """apiVersion: carelane/v1
kind: ServiceIntent
metadata: {name: or1-surgery, tenant: county-hospital}
spec:
  service: remote-surgery            # catalogue name; its defaults fill what objectives leave out
  from: [county/or-1]
  to: [province/console-3]           # several: point to multipoint
  objectives: {delay: 20ms, availability: 99.999%, bandwidth: 40Mbps, jitter: 5ms, loss: 0.01%}
"""
EVERYTHING = """---
apiVersion: carelane/v1
kind: ServiceIntent
metadata:
  name: genome-7
spec:
  service: 基因数据传输
  from: county/lab
  to: province/cloud
  objectives:
    delay: none
    availability: 0.999
    bandwidth: {forward: 100Mbps, reverse: 2Mbps}
  connectivity: point-to-point
  direction: both
  burst: 64KB
  roundTrip: true
  protection: required
  priority: 2
  schedule: {start: 2026-03-01T20:00:00+08:00, deadline: 2026-03-02T06:00:00+08:00, volume: 100GB}
"""
HUB = """---
apiVersion: carelane/v1
kind: ServiceIntent
metadata: {name: rounds}
spec:
  service: remote consultation
  from: [a, b, c]
  to: hub
  direction: forward
  objectives: {bandwidth: {forward: 5Mbps}}
  speakers: 2
"""


def test_the_fields_mean_what_they_say() -> None:
    surgery, genome, rounds = load_intents(SURGERY + EVERYTHING + HUB)
    assert surgery == ServiceIntent(
        name="or1-surgery",
        tenant="county-hospital",
        service="remote-surgery",
        source=("county/or-1",),
        to=("province/console-3",),
        objectives=StatedObjectives(0.020, 0.005, 0.0001, 0.99999, 40_000_000, 40_000_000),
    )
    assert genome == ServiceIntent(
        name="genome-7",
        tenant="default",
        service="genome-transfer",
        source=("county/lab",),
        to=("province/cloud",),
        objectives=StatedObjectives(delay_s=OFF, availability=0.999, forward_bps=100_000_000, reverse_bps=2_000_000),
        connectivity="point-to-point",
        burst_bytes=64_000,
        round_trip=True,
        protection="required",
        priority=2,
        schedule=Schedule("2026-03-01T20:00:00+08:00", None, "2026-03-02T06:00:00+08:00", 100 * 10**9),
    )
    assert rounds.speakers == 2
    assert (rounds.source, rounds.to, rounds.direction) == (("a", "b", "c"), ("hub",), "forward")
    assert (rounds.objectives.forward_bps, rounds.objectives.reverse_bps) == (5_000_000, None)


def test_a_manifest_comes_back_as_it_was_through_yaml_and_json_values(tmp_path: Path) -> None:
    intents = load_intents(SURGERY + EVERYTHING + HUB)
    assert [from_manifest(to_manifest(intent)) for intent in intents] == intents
    file = tmp_path / "intents.yaml"
    file.write_text(yaml.safe_dump_all(map(to_manifest, intents), allow_unicode=True), encoding="utf-8")
    assert read_intents(file) == intents
    assert read_intents(str(file)) == intents


def test_what_was_not_stated_is_not_written() -> None:
    (surgery, *_) = load_intents(SURGERY)
    assert to_manifest(surgery) == {
        "apiVersion": "carelane/v1",
        "kind": "ServiceIntent",
        "metadata": {"name": "or1-surgery", "tenant": "county-hospital"},
        "spec": {
            "service": "remote-surgery",
            "from": ["county/or-1"],
            "to": ["province/console-3"],
            "objectives": {
                "delay": "20ms",
                "availability": "99.999%",
                "jitter": "5ms",
                "loss": "0.01%",
                "bandwidth": "40Mbps",
            },
        },
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("20ms", "20", r"i\.yaml:8: spec\.objectives\.delay: '?20'? has no unit.*write the unit"),
        ("20ms", "20mss", r"i\.yaml:8: spec\.objectives\.delay: unknown unit 'mss'"),
        ("20ms", "0ms", r"delay of zero is impossible.*'delay: none'"),
        ("20ms", "2d", "cannot be meant as a delay"),
        ("20ms", "", r"i\.yaml:8: spec\.objectives\.delay: has no value.*leave the field out"),
        ("20ms", "[20ms]", r"spec\.objectives\.delay: .*not a duration"),
        ("jitter: 5ms", "jitter: 0ms", "jitter of zero is impossible"),
        ("99.999%", "100%", r"spec\.objectives\.availability: .*nothing can be proven never to fail; .*99\.999%"),
        ("99.999%", "1", "nothing can be proven never to fail"),
        ("99.999%", "99.9999999999999999999999%", "nothing can be proven never to fail"),
        ("99.999%", "99.999", r"outside 0\.\.1.*%"),
        ("99.999%", "0%", "promises nothing.*'availability: none'"),
        ("0.01%", "0.01", r"spec\.objectives\.loss: '0\.01' as loss has no unit.*write the % sign"),
        ("0.01%", "0%", "no network can prove that no packet is ever lost.*'loss: none'"),
        ("0.01%", "100%", "no bound at all"),
        ("40Mbps", "0Mbps", r"spec\.objectives\.bandwidth: .*carries nothing.*direction"),
        ("40Mbps", "40", r"spec\.objectives\.bandwidth: .*has no unit"),
        ("40Mbps", "none", r"spec\.objectives\.bandwidth: 'none' is not a rate"),
        ("40Mbps", "{}", "has no value"),
        ("40Mbps", "{forward: 40Mbps}", "stated for forward only.*a rate for reverse too"),
        ("40Mbps", "{forward: 40Mbps, reverse: 0Mbps}", r"spec\.objectives\.bandwidth\.reverse: .*carries nothing"),
        ("40Mbps", "900Tbps", "more than any link carries"),
        ("delay: 20ms", "delya: 20ms", r"i\.yaml:8: spec\.objectives\.delya: unknown field; expected one of delay"),
        ("remote-surgery  ", "remote-sugery  ", r"i\.yaml:5: spec\.service: unknown service.*did you mean remote-surg"),
        ("or1-surgery", "OR_1", r"i\.yaml:3: metadata\.name: 'OR_1' is not a name; .*RFC 1123"),
        ("county-hospital", "County Hospital", r"metadata\.tenant: .*RFC 1123"),
        ("or1-surgery", "a" * 64, r"metadata\.name: .*1 to 63"),
        ("[county/or-1]", "[a, a]", r"i\.yaml:6: spec\.from\[1\]: 'a' appears twice in from"),
        ("[county/or-1]", "[province/console-3]", r"i\.yaml:7: spec\.to\[0\]: .*stands on both sides"),
        ("[county/or-1]", "[]", r"i\.yaml:6: spec\.from: no endpoints"),
        ("[county/or-1]", "{a: b}", r"i\.yaml:6: spec\.from: no endpoints"),
        ("[county/or-1]", "['']", r"spec\.from\[0\]: '' is not the name of an endpoint"),
        (
            "[county/or-1]",
            f"[{', '.join(map(str, range(1001)))}]",
            r"spec\.from: 1001 endpoints; expected at most 1000",
        ),
        ("[county/or-1]", "[a, b]\n  connectivity: point-to-point", r"i\.yaml:7: spec\.connectivity: .*joins two"),
        ("[province/console-3]", "[b, c]\n  connectivity: hub", r"spec\.connectivity: .*one hub"),
        ("[province/console-3]", "[b]\n  connectivity: mesh", r"spec\.connectivity: .*point-to-point"),
        ("  objectives", "  direction: up\n  objectives", r"i\.yaml:8: spec\.direction: .*forward"),
        ("  objectives", "  burst: 1B\n  objectives", r"spec\.burst: .*between 64B"),
        ("  objectives", "  priority: 10\n  objectives", r"spec\.priority: .*whole number from 0"),
        ("  objectives", "  speakers: 0\n  objectives", r"spec\.speakers: .*whole number from 1"),
        ("  objectives", "  speakers: 2\n  objectives", r"spec\.speakers: only the sites of a hub"),
        ("  objectives", "  priority: true\n  objectives", r"spec\.priority: .*whole number from 0"),
        ("  objectives", "  roundTrip: 1\n  objectives", r"spec\.roundTrip"),
        ("  objectives", "  schedule: {}\n  objectives", r"spec\.schedule: says nothing"),
        ("  objectives", "  schedule: {volume: 1GB}\n  objectives", r"spec\.schedule: a deadline and a volume"),
        ("  objectives", "  schedule: {start: 2026-03-01T20:00:00}\n  objectives", r"spec\.schedule\.start: .*zone"),
        ("  objectives", "  schedule: {start: 2026-02-30T20:00:00Z}\n  objectives", r"spec\.schedule\.start: .*zone"),
        (
            "  objectives",
            "  schedule: {start: 2026-03-01T20:00:00Z, end: 2026-03-01T20:00:00+01:00}\n  objectives",
            r"spec\.schedule\.end: .*not after the start",
        ),
        ("kind: ServiceIntent", "kind: Topology", r"i\.yaml:2: kind: kind 'Topology' among intents; .*ServiceIntent"),
        ("kind: ServiceIntent", "knd: ServiceIntent", "a document without kind"),
        ("carelane/v1", "carelane/v2", r"i\.yaml:1: apiVersion: .*carelane/v1"),
        ("  to: ", "  too: ", r"spec\.(to|too)"),
        ("[province/console-3]", "[b, c]\n  extra: 1", r"spec\.extra: unknown field"),
    ],
)
def test_a_fault_is_named_with_line_field_and_remedy(old: str, new: str, message: str) -> None:
    assert old in SURGERY
    with pytest.raises(InputError, match=message):
        load_intents(SURGERY.replace(old, new, 1), "i.yaml")


def test_several_on_both_sides_are_refused() -> None:
    text = SURGERY.replace("[county/or-1]", "[a, b]").replace("[province/console-3]", "[c, d]")
    with pytest.raises(InputError, match=r"spec\.to: several endpoints on both sides; .*hub"):
        load_intents(text)


def test_one_bad_document_among_many_and_nothing_is_taken() -> None:
    good = [SURGERY.replace("or1-surgery", f"s-{number}") for number in range(20)]
    assert len(load_intents("---\n".join(good))) == 20
    good[13] = good[13].replace("20ms", "20 parsecs")
    with pytest.raises(InputError, match=r"i\.yaml:125: spec\.objectives\.delay"):
        load_intents("---\n".join(good), "i.yaml")


def test_names_are_unique_in_a_file_whatever_the_tenant() -> None:
    twice = SURGERY + "---\n" + SURGERY.replace("county-hospital", "city-hospital")
    with pytest.raises(
        InputError, match=r"i\.yaml:12: metadata\.name: 'or1-surgery' is already .* at line 3; .*rename"
    ):
        load_intents(twice, "i.yaml")


def test_nodes_of_the_topology_zoo_are_numbers_and_need_no_quotes() -> None:
    text = SURGERY.replace("[county/or-1]", "[0, 12]").replace("[province/console-3]", "7").replace("or1-surgery", "42")
    (intent,) = load_intents(text)
    assert (intent.name, intent.source, intent.to) == ("42", ("0", "12"), ("7",))
    jsonschema.validate(yaml.safe_load(text), json_schema())
    with pytest.raises(InputError, match=r"spec\.to\[0\]: '1\.5' is not the name of an endpoint; .*quotes"):
        load_intents(SURGERY.replace("[province/console-3]", "[1.5]"))
    with pytest.raises(InputError, match=r"spec\.to\[0\]: 'True' is not the name of an endpoint"):
        load_intents(SURGERY.replace("[province/console-3]", "[true]"))


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n---\n"])
def test_a_file_without_intents_is_an_error(text: str) -> None:
    with pytest.raises(InputError, match="holds no intents"):
        load_intents(text, "i.yaml")


def test_a_missing_file_and_a_faulty_mapping_are_input_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the intents"):
        read_intents(tmp_path / "none.yaml")
    manifest = to_manifest(load_intents(SURGERY)[0])
    manifest["spec"]["objectives"]["delay"] = 20
    with pytest.raises(InputError) as caught:
        from_manifest(manifest, "request body")
    assert (caught.value.file, caught.value.line, caught.value.field) == ("request body", None, "spec.objectives.delay")


def test_the_json_schema_accepts_the_examples_and_catches_what_an_editor_can() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    plain: list[Any] = [yaml.load(SURGERY, yaml.BaseLoader), yaml.safe_load(HUB)]
    everything = yaml.safe_load(EVERYTHING)
    everything["spec"]["schedule"] = {"start": "2026-03-01T20:00:00Z"}
    for manifest in (*plain, everything, *map(to_manifest, load_intents(SURGERY + EVERYTHING + HUB))):
        validator.validate(manifest)
    faults: dict[tuple[str, str | None], Any] = {
        ("objectives", "delay"): "20",
        ("objectives", "delya"): "20ms",
        ("objectives", "loss"): 0.01,
        ("objectives", "availability"): 1,
        ("objectives", "jitter"): None,
        ("direction", None): "up",
        ("priority", None): 10,
        ("from", None): [],
    }
    for path, value in faults.items():
        manifest = to_manifest(load_intents(SURGERY)[0])
        target = manifest["spec"]
        if path[1] is not None:
            target = target[path[0]]
        target[path[1] or path[0]] = value
        assert not validator.is_valid(manifest), (path, value)
