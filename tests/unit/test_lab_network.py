"""The lab network: what can be built survives JSON, what cannot is refused with its field."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carelane.errors import InputError
from carelane.lab.network import LabHost, LabNetwork, LabSwitch, LabWire
from carelane.lab.plain import plain_flows
from carelane.lab.protocol import MAX_LINE, LabProtocolError, LineReader, encode

NAMES = st.text(min_size=1, max_size=40)


def _host(name: str, switch: str, port: int, number: int) -> LabHost:
    return LabHost(name, switch, port, f"10.1.{number // 250}.{number % 250 + 1}/32", f"02:00:00:00:00:{number:02x}")


@st.composite
def networks(draw: st.DrawFn) -> LabNetwork:
    names = draw(st.lists(NAMES, min_size=2, max_size=8, unique=True))
    switches = tuple(LabSwitch(name, dpid) for dpid, name in enumerate(names, start=1))
    pairs = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=12))
    wires = tuple(
        LabWire(
            f"l{n}", a, 2 * n + 1, b, 2 * n + 2, delay_s=draw(st.floats(0, 1)), rate_bps=draw(st.integers(0, 10**9))
        )
        for n, (a, b) in enumerate(pairs)
    )
    hosts = tuple(_host(f"host {n}", name, 1000 + n, n) for n, name in enumerate(names))
    return LabNetwork(switches, wires, hosts)


@given(networks())
@settings(max_examples=50, deadline=None)
def test_json_round_trip_gives_the_same_network(network: LabNetwork) -> None:
    assert LabNetwork.from_json(json.loads(json.dumps(network.to_json()))) == network


@given(networks())
@settings(max_examples=50, deadline=None)
def test_every_interface_name_fits_linux_and_is_unique(network: LabNetwork) -> None:
    names = [network.interface(w.a, w.a_port) for w in network.wires]
    names += [network.interface(w.b, w.b_port) for w in network.wires]
    names += [network.interface(h.switch, h.port) for h in network.hosts]
    assert all(len(name) <= 15 for name in names)
    assert len(set(names)) == len(names)


SWITCHES = (LabSwitch("a", 1), LabSwitch("b", 2))
MAC = "02:00:00:00:00:01"
JSON = st.recursive(
    st.none() | st.integers() | st.text(), lambda leaf: st.lists(leaf) | st.dictionaries(st.text(), leaf)
)


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: LabNetwork(()), "switches"),
        (lambda: LabNetwork((LabSwitch("a", 1), LabSwitch("a", 2))), "switches[1].name"),
        (lambda: LabNetwork((LabSwitch("a", 0),)), "switches[0].dpid"),
        (lambda: LabNetwork(SWITCHES, (LabWire("l", "a", 1, "c", 1),)), "wires[0]"),
        (lambda: LabNetwork(SWITCHES, (LabWire("l", "a", 1, "b", 1), LabWire("m", "a", 1, "b", 2))), "wires[1]"),
        (lambda: LabNetwork(SWITCHES, (LabWire("l", "a", 1, "b", 1, delay_s=-1.0),)), "wires[0].delay_s"),
        (lambda: LabNetwork(SWITCHES, (LabWire("l", "a", 70000, "b", 1),)), "wires[0]"),
        (
            lambda: LabNetwork(SWITCHES, (), (LabHost("h", "a", 1, "10.254.0.9/32", "02:00:00:00:00:01"),)),
            "hosts[0].address",
        ),
        (lambda: LabNetwork(SWITCHES, (), (LabHost("h", "a", 1, "x", MAC),)), "hosts[0].address"),
        (lambda: LabNetwork(SWITCHES, (), (LabHost("h", "a", 1, "10.0.0.1/8", "nonsense"),)), "hosts[0].mac"),
    ],
)
def test_what_cannot_be_built_is_refused_with_its_field(build: object, field: str) -> None:
    with pytest.raises(InputError) as refused:
        build()  # type: ignore[operator]
    assert refused.value.field == field


@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda leaf: st.lists(leaf) | st.dictionaries(st.text(), leaf))
)
def test_garbage_is_an_input_error(data: object) -> None:
    with pytest.raises(InputError):
        LabNetwork.from_json(data)  # type: ignore[arg-type]


def test_plain_forwarding_takes_the_path_of_least_delay() -> None:
    network = LabNetwork(
        (LabSwitch("a", 1), LabSwitch("b", 2), LabSwitch("c", 3)),
        (
            LabWire("slow", "a", 1, "c", 1, delay_s=0.03),
            LabWire("ab", "a", 2, "b", 1, delay_s=0.01),
            LabWire("bc", "b", 2, "c", 2, delay_s=0.01),
        ),
        (_host("h", "c", 9, 1),),
    )
    flows = plain_flows(network)
    assert flows == {
        "a": ("ip,nw_dst=10.1.0.2,actions=output:2",),
        "b": ("ip,nw_dst=10.1.0.2,actions=output:2",),
        "c": ("ip,nw_dst=10.1.0.2,actions=output:9",),
    }


@given(st.lists(st.dictionaries(st.text(), st.integers()), max_size=5), st.integers(1, 7))
def test_lines_arrive_whole_however_they_are_cut(messages: list[dict[str, int]], step: int) -> None:
    data = b"".join(encode(message) for message in messages)
    reader = LineReader()
    got = [message for start in range(0, len(data), step) for message in reader.feed(data[start : start + step])]
    assert got == messages


@pytest.mark.parametrize("line", [b"[1]\n", b"{\n", b"\xff\n", b"[" * 100_000 + b"\n"])
def test_a_line_that_is_no_object_is_refused(line: bytes) -> None:
    with pytest.raises(LabProtocolError):
        LineReader().feed(line)


def test_an_endless_line_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(LabProtocolError):
        LineReader().feed(b"x" * (MAX_LINE + 1))
