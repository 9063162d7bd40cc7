"""Resolve: defaults with their source, names looked up, faults located."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from carelane.controller.pipeline import resolve
from carelane.errors import InputError
from carelane.intents import OFF, Schedule, ServiceIntent, StatedObjectives, parse_line
from carelane.topology import load_topology, parse_topology
from carelane.topology.windows import Window

TOPOLOGY = load_topology("telesurgery-3700km")
ENDS = list(TOPOLOGY.endpoints)


def intent(service: str = "remote-surgery", **changes: Any) -> ServiceIntent:
    return replace(ServiceIntent("x", "t", service, (ENDS[0],), (ENDS[1],)), **changes)


def test_defaults_are_filled_and_said() -> None:
    requirement = resolve(intent(), TOPOLOGY)
    assert requirement.forward_bps == requirement.reverse_bps == 5_200_000
    assert requirement.objectives.delay_s == 0.020
    assert requirement.objectives.availability == 0.99999
    assert requirement.traffic_class == "telephony"
    assert requirement.burst_bytes == requirement.max_packet_bytes == 1500
    said = "\n".join(requirement.assumptions)
    for word in ("bandwidth 5.2 Mbit/s", "ATIS", "delay 20 ms", "burst: one 1500-byte packet"):
        assert word in said


def test_what_is_stated_is_kept_and_not_called_an_assumption() -> None:
    stated = StatedObjectives(0.02, 0.005, 0.0001, 0.99999, 40_000_000, 2_000_000)
    requirement = resolve(intent(objectives=stated, burst_bytes=64_000), TOPOLOGY)
    assert (requirement.forward_bps, requirement.reverse_bps, requirement.burst_bytes) == (
        40_000_000,
        2_000_000,
        64_000,
    )
    assert requirement.assumptions == ()


def test_none_switches_a_default_off() -> None:
    requirement = resolve(intent(objectives=StatedObjectives(OFF, OFF, OFF, OFF)), TOPOLOGY)
    goals = requirement.objectives
    assert (goals.delay_s, goals.jitter_s, goals.loss, goals.availability) == (None, None, None, None)


def test_the_return_direction_reserves_as_much_unless_stated() -> None:
    assert resolve(intent(objectives=StatedObjectives(forward_bps=7_000_000)), TOPOLOGY).reverse_bps == 7_000_000


@pytest.mark.parametrize(("direction", "rates"), [("forward", (5_200_000, 0)), ("reverse", (0, 5_200_000))])
def test_one_direction_only(direction: Any, rates: tuple[int, int]) -> None:
    requirement = resolve(intent(direction=direction), TOPOLOGY)
    assert (requirement.forward_bps, requirement.reverse_bps) == rates


def test_a_stated_delay_is_one_way_unless_round_trip_is_said() -> None:
    line = f"remote surgery {ENDS[0]} -> {ENDS[1]}: 20 ms, 99.999%"
    assert not resolve(parse_line(line, name="x"), TOPOLOGY).objectives.round_trip
    assert resolve(intent(round_trip=True), TOPOLOGY).objectives.round_trip


def test_a_burst_shorter_than_a_packet_bounds_the_packets() -> None:
    requirement = resolve(intent(burst_bytes=300), TOPOLOGY)
    assert requirement.max_packet_bytes == 300
    assert any("at most 300 bytes" in text for text in requirement.assumptions)


@pytest.mark.parametrize(
    ("schedule", "window", "said"),
    [
        (
            Schedule(start="1970-01-01T00:00:01Z"),
            Window(1_000_000, None),
            "from 1970-01-01T00:00:01Z on, without an end",
        ),
        (
            Schedule(end="1970-01-01T09:00:00+08:00"),
            Window(None, 3_600_000_000),
            "from now until 1970-01-01T09:00:00+08",
        ),
        (Schedule(deadline="1970-01-01t00:00:00.000001z", volume_bytes=9), Window(None, 1), "until 1970-01-01t00:00"),
        (
            Schedule("1970-01-01T00:00:00Z", "1970-01-01T00:00:02Z", "1970-01-01T00:00:01Z", 2 * 10**6),
            Window(0, 2_000_000),
            "5.2 Mbit/s is reserved, and its volume takes 16 Mbit/s by its deadline",
        ),
        (None, None, ""),
    ],
)
def test_a_schedule_says_when_capacity_is_held(schedule: Schedule | None, window: Window | None, said: str) -> None:
    requirement = resolve(intent(schedule=schedule), TOPOLOGY)
    assert requirement.window == window
    assert any(said in text for text in requirement.assumptions if text.startswith("schedule")) == bool(said)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"service": "remote-surgary"}, None, "unknown service"),
        ({"source": ("surgeon/console-9",)}, "spec.from", "surgeon/console-1"),
        ({"to": ("nowhere-at-all",)}, "spec.to", "patient/or-1"),
        ({"to": ()}, "spec.to", "patient/or-1"),
        ({"to": (ENDS[0],)}, "spec.to", "named twice"),
        ({"round_trip": True, "direction": "forward"}, "spec.roundTrip", "both directions"),
        ({"objectives": StatedObjectives(forward_bps=0, reverse_bps=0)}, "spec.objectives.bandwidth", "positive rate"),
        ({"burst_bytes": 0}, "spec.burst", "at least one packet"),
        ({"connectivity": "hub", "to": (ENDS[1], ENDS[0])}, "connectivity", "hub"),
    ],
)
def test_faults_name_the_field_and_what_would_fit(changes: dict[str, Any], field: str | None, words: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve(intent(**changes), TOPOLOGY)
    assert words in str(caught.value)
    assert field is None or caught.value.field == field


def test_the_list_of_endpoints_that_fit_is_bounded() -> None:
    with pytest.raises(InputError) as caught:
        resolve(ServiceIntent("x", "t", "remote-surgery", (), ()), load_topology("zhoushan"))
    assert " more" in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_node_with_one_endpoint_stands_for_it() -> None:
    node = TOPOLOGY.endpoints[ENDS[0]].node
    assert resolve(intent(source=(node,)), TOPOLOGY).pairs[0].source.id == ENDS[0]


def test_a_topology_without_endpoints_says_so() -> None:
    empty = parse_topology(
        "{apiVersion: carelane/v1, kind: Topology, metadata: {name: e}, spec: {nodes: [{id: a, kind: switch}]}}"
    )
    with pytest.raises(InputError, match="the topology has none"):
        resolve(intent(), empty)


def test_several_sources_make_a_hub_and_several_targets_a_multipoint() -> None:
    town = load_topology("gaotai")
    ends = list(town.endpoints)[:3]
    hub = resolve(ServiceIntent("x", "t", "remote-consultation", tuple(ends[:2]), (ends[2],)), town)
    many = resolve(ServiceIntent("x", "t", "remote-consultation", (ends[0],), tuple(ends[1:])), town)
    assert (hub.speakers, hub.together) == (None, 2)
    turns = ServiceIntent("x", "t", "remote-consultation", tuple(ends[:2]), (ends[2],), speakers=1)
    assert resolve(turns, town).together == 1
    assert any("at most 1 of the 2 sites speak at once" in text for text in resolve(turns, town).assumptions)
    everybody = resolve(replace(turns, speakers=9), town)
    assert (everybody.speakers, everybody.together) == (None, 2)
    assert "speakers: all 2 sites may speak at once" in everybody.assumptions
    with pytest.raises(InputError, match="only the sites of a hub"):
        resolve(ServiceIntent("x", "t", "remote-consultation", (ends[2],), tuple(ends[:2]), speakers=1), town)
    assert (hub.connectivity, many.connectivity) == ("hub", "point-to-multipoint")
    assert {pair.destination.id for pair in hub.pairs} == {ends[2]}
    assert {pair.source.id for pair in many.pairs} == {ends[0]}
    with pytest.raises(InputError, match="several endpoints on both sides"):
        resolve(ServiceIntent("x", "t", "remote-consultation", tuple(ends[:2]), tuple(ends[:2])), town)
