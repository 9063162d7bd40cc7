"""The whole controller over real switches: filed, installed, restarted, repaired, withdrawn."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from carelane.controller.runner import Controller
from carelane.controller.service import IntentService
from carelane.controller.southbound.openflow import OpenFlowSouthbound
from carelane.controller.southbound.protocol import Southbound
from carelane.intents import load_intents
from carelane.store import Store
from carelane.topology import parse_topology
from carelane.topology.model import Topology

pytestmark = [pytest.mark.root, pytest.mark.ovs]

NETWORK = """
apiVersion: carelane/v1
kind: Topology
metadata: {name: triangle}
spec:
  nodes:
    - {id: s1, kind: switch, dpid: 1, availability: 99.99%}
    - {id: s2, kind: switch, dpid: 2, availability: 99.99%}
    - {id: s3, kind: switch, dpid: 3, availability: 99.99%}
  links:
    - {id: direct, a: s1, b: s3, capacity: 50Mbps, length: 20km, availability: 99.99%}
    - {id: near, a: s1, b: s2, capacity: 50Mbps, length: 20km, availability: 99.99%}
    - {id: far, a: s2, b: s3, capacity: 50Mbps, length: 20km, availability: 99.99%}
  endpoints:
    - {id: s1/or, node: s1, port: 9, address: 10.0.0.1/32, mac: "02:00:00:00:00:01", capacity: 50Mbps}
    - {id: s1/scan, node: s1, port: 8, address: 10.0.0.2/32, mac: "02:00:00:00:00:02", capacity: 50Mbps}
    - {id: s3/console, node: s3, port: 9, address: 10.0.0.3/32, mac: "02:00:00:00:00:03", capacity: 50Mbps}
"""
FRAME = "020000000003020000000001" + "0800" + "4500001c00010000401166cd0a0000010a000003" + "0001000200080000"


def manifest(name: str, source: str) -> bytes:
    return (
        "apiVersion: carelane/v1\nkind: ServiceIntent\n"
        f"metadata: {{name: {name}, tenant: county}}\n"
        f"spec:\n  service: remote-consultation\n  from: [{source}]\n  to: [s3/console]\n  protection: required\n"
        "  burst: 6KB\n"
        "  objectives: {bandwidth: 5Mbps, delay: 100ms, availability: none, jitter: none, loss: none}\n"
    ).encode()


def until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the awaited state did not come"
        time.sleep(0.05)


def test_a_controller_comes_goes_and_comes_back_over_real_switches(ovs: Any, tmp_path: Path) -> None:
    topology = parse_topology(NETWORK)
    made: list[OpenFlowSouthbound] = []

    def switches(port: int, declared: Topology) -> Southbound:
        made.append(OpenFlowSouthbound(declared, port=port, ovsdb=ovs.ovsdb, lldp_interval_s=0.2))
        return made[-1]

    url = f"sqlite:///{tmp_path}/ovs.db"
    with Controller(topology, url, partial(switches, 0), drift_interval_s=1.0) as controller:
        port = made[-1].port
        ovs.add_network(topology, controller_port=port)
        service = controller.service
        service.apply(load_intents(manifest("surgery", "s1/or")))
        assert [item.phase for item in service.wait(["surgery"], 60)] == ["Active"], service.describe("surgery")
        ovs.ofctl("packet-out", "s1", f"in_port=9,packet={FRAME},actions=table")
        until(lambda: any(made[-1].read("s1").flow_packets.values()))
        counted = {key: count for key, count in made[-1].read("s1").flow_packets.items() if "10.0.0.1" in key}
        assert any(counted.values())
        until(lambda: service.link_mismatches() == ())

    history = len(controller_history(topology, url))
    with Controller(topology, url, partial(switches, port), drift_interval_s=1.0) as controller:
        service = controller.service
        until(lambda: all(view.checked_at is not None for view in service.switches()))
        service.apply(load_intents(manifest("imaging", "s1/scan")))
        assert [item.phase for item in service.wait(["imaging"], 60)] == ["Active"], service.describe("imaging")
        assert [item.phase for item in service.wait(["surgery"], 60)] == ["Active"]
        after = made[-1].read("s1").flow_packets
        assert {key: after[key] for key in counted} == counted, "a restart and another intent disturbed nothing"
        assert len(service.describe("surgery").history) == history
        good = made[-1].read("s2").own
        ovs.ofctl("del-flows", "s2")
        until(lambda: made[-1].read("s2").own == good)
        lose_a_port_and_have_it_again(ovs, service)
        for name in ("surgery", "imaging"):
            service.delete(name)
        assert {item.phase for item in service.wait(["surgery", "imaging"], 60)} == {"Withdrawn"}
        for node in topology.nodes:
            own = made[-1].read(node).own
            assert not [rule for rule in own.flows if rule.cookie & 0xFFFFFFFF]
            assert (own.groups, own.meters) == ((), ())
        assert not [line for line in ovs.vsctl("list", "queue").splitlines() if "surgery" in line or "imaging" in line]


def lose_a_port_and_have_it_again(ovs: Any, service: IntentService) -> None:
    """As when a line card is pulled: what needs the port says so, the other path carries, and all comes back."""

    def kept() -> set[tuple[str, str]]:
        found = [service.describe(name) for name in ("surgery", "imaging")]
        return {(one.summary.phase, item.reason) for one in found for item in one.conditions if item.type == "Kept"}

    ovs.vsctl("del-port", "s1", "s1-1")
    until(lambda: kept() == {("Degraded", "Unprotected")})
    assert "needs port 1 of s1, which is not there" in service.describe("surgery").summary.message
    ovs.vsctl("add-port", "s1", "s1-1", "--", "set", "interface", "s1-1", "ofport_request=1")
    until(lambda: kept() == {("Active", "PathsUp")})
    until(lambda: service.verify().proven)


def controller_history(topology: Topology, url: str) -> list[str]:
    store = Store(url)
    try:
        with store.read() as read:
            return [event.phase_to for event in read.history("surgery")]
    finally:
        store.close()
