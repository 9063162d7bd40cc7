"""Counters of real switches, ceilings in real meters and queues, and a controller that comes back to them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from carelane.controller.pipeline.changes import Operation, SwitchChanges
from carelane.controller.pipeline.identifiers import slice_number
from carelane.controller.pipeline.program import PortQos
from carelane.controller.runner import Controller
from carelane.controller.southbound.openflow import OpenFlowSouthbound
from carelane.controller.southbound.protocol import Southbound
from carelane.intents import load_intents
from carelane.topology import parse_topology
from carelane.topology.model import Topology

pytestmark = [pytest.mark.root, pytest.mark.ovs]

NETWORK = """
apiVersion: carelane/v1
kind: Topology
metadata: {name: pair}
spec:
  nodes:
    - {id: s1, kind: switch, dpid: 1, availability: 99.99%}
    - {id: s2, kind: switch, dpid: 2, availability: 99.99%}
  links:
    - {id: cable, a: s1, b: s2, capacity: 20Mbps, length: 20km, availability: 99.99%}
  endpoints:
    - {id: s1/clinic, node: s1, port: 9, address: 10.0.0.1/32, mac: "02:00:00:00:00:01", capacity: 50Mbps}
    - {id: s2/hub, node: s2, port: 9, address: 10.0.0.3/32, mac: "02:00:00:00:00:03", capacity: 50Mbps}
"""
ROUNDS = b"""
apiVersion: carelane/v1
kind: ServiceIntent
metadata: {name: rounds, tenant: county}
spec:
  service: video-conference
  from: [s1/clinic]
  to: [s2/hub]
  burst: 6KB
  direction: forward
  objectives: {bandwidth: 2Mbps, delay: 150ms, jitter: none, availability: none}
"""
FRAME = "020000000003020000000001" + "0800" + "4500001c00010000401166cd0a0000010a000003" + "0001000200080000"
FORGED = "020000000003020000000001" + "0800" + "4500001c00010000401166ce0a0000020a000003" + "0001000200080000"


def until(condition: Callable[[], Any], *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the awaited state did not come"
        time.sleep(0.05)


def counted_while_queues_change(switches: OpenFlowSouthbound, queues: PortQos, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is slow to take queues (a reconfiguration may last seconds) holds up no counter."""
    told, free = threading.Event(), threading.Event()

    def slow(_dpid: int, _operations: object) -> None:
        told.set()
        free.wait(30)

    with monkeypatch.context() as patched:
        patched.setattr(switches._ovsdb, "apply", slow)
        change = SwitchChanges("s1", 1, (Operation("modify", queues),))
        worker = threading.Thread(target=switches.apply, args=(change,))
        worker.start()
        told.wait(30)
        switches.counters("s1")
        assert worker.is_alive(), "read before the database had answered"
        free.set()
        worker.join()


def test_counters_are_read_and_ceilings_set_and_kept_over_a_restart(
    ovs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topology = parse_topology(NETWORK)
    made: list[OpenFlowSouthbound] = []

    def switches(port: int, declared: Topology) -> Southbound:
        made.append(OpenFlowSouthbound(declared, port=port, ovsdb=ovs.ovsdb, lldp_interval_s=0.2))
        return made[-1]

    url = f"sqlite:///{tmp_path}/ovs.db"
    with Controller(topology, url, partial(switches, 0), telemetry_interval_s=0.25) as controller:
        port = made[-1].port
        ovs.add_network(topology, controller_port=port)
        service = controller.service
        service.apply(load_intents(ROUNDS))
        assert [item.phase for item in service.wait(["rounds"], 60)] == ["Active"], service.describe("rounds")
        until(lambda: made[-1].read("s1").own.meters[0].rate_kbps == 8000)  # what nobody was promised, as headroom
        (cable,) = [item for item in made[-1].read("s1").own.ports if item.port == 1]
        number = service.describe("rounds").placement.queue  # type: ignore[union-attr]
        ceiling = next(queue.max_rate_bps for queue in cable.queues if queue.id == number)
        assert 8_000_000 <= ceiling <= 8_200_000
        counted_while_queues_change(made[-1], cable, monkeypatch)
        before = made[-1].counters("s1")
        for _ in range(5):
            ovs.ofctl("packet-out", "s1", f"in_port=9,packet={FRAME},actions=table")
            ovs.ofctl("packet-out", "s1", f"in_port=9,packet={FORGED},actions=table")
        (meter,) = before.meters
        until(lambda: made[-1].counters("s1").meters[meter].packets >= before.meters[meter].packets + 5)
        own = {key: n.packets for key, n in made[-1].counters("s1").flows.items() if slice_number(key[0]) == number}
        assert sum(own.values()) >= 5
        assert (1, number) in before.queues
        until(lambda: any(seen.fresh for seen in service.sources()))
        until(lambda: made[-1].counters("s2").ports[1][0].packets > 0)
        until(lambda: len(made[-1].link_delays()) == 2)
        for delay in made[-1].link_delays().values():  # both directions of a cable of no length
            assert 0 <= delay.seconds <= delay.error_s
            assert delay.error_s < 1
        found = service.compliance("rounds")
        assert found is not None
        assert {row.objective: row.state for row in found.objectives}["delay"] == "unknown"

    with Controller(topology, url, partial(switches, port), telemetry_interval_s=0.25) as controller:
        rates = set()

        def watched() -> bool:
            rates.add(int(ovs.ofctl("dump-meters", "s1").split("rate=")[1].split()[0]))
            views = controller.service.switches()
            return all(view.connected for view in views) and bool(controller.service.sources())

        until(watched)
        time.sleep(1.0)
        watched()
        assert rates == {8000}, "a restart is no step"
