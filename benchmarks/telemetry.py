"""What watching costs: 40 real switches with 400 queues, read once a second by the whole controller.

    python benchmarks/telemetry.py [--switches 40] [--seconds 20] [--report reports/bench]

Open vSwitch's userspace datapath in namespaces of its own (needs root). The controller runs in this process, so its
processor time is this process's: once with an epoch a second, once with one a minute; the difference is the price of
telemetry and the loop. Connections, link discovery and echoes are part of both.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
from ovs_sandbox import OvsSandbox, why_not

from carelane.controller.runner import Controller
from carelane.controller.southbound.openflow import OpenFlowSouthbound
from carelane.controller.southbound.protocol import Southbound
from carelane.intents import parse_line
from carelane.logs import configure_logs
from carelane.topology import parse_topology
from carelane.topology.model import Topology

HOPS = 4
QUEUES = 400


def ring(switches: int) -> Topology:
    """A ring of 1 Gbit/s links, one endpoint a switch."""
    lines = ["apiVersion: carelane/v1\nkind: Topology\nmetadata: {name: ring}\nspec:\n  nodes:"]
    lines += [f"    - {{id: n{n}, kind: switch, dpid: {n + 1}}}" for n in range(switches)]
    lines.append("  links:")
    lines += [
        f"    - {{id: l{n}, a: n{n}, aPort: 1, b: n{(n + 1) % switches}, bPort: 2, capacity: 1Gbps, length: 1km}}"
        for n in range(switches)
    ]
    lines.append("  endpoints:")
    lines += [
        f"    - {{id: n{n}/site, node: n{n}, port: 9, address: 10.9.{n}.1/32, capacity: 1Gbps, "
        f'mac: "02:00:00:00:{n:02x}:01"}}'
        for n in range(switches)
    ]
    return parse_topology("\n".join(lines) + "\n")


def measure(topology: Topology, ovs: OvsSandbox, url: str, interval_s: float, seconds: float) -> dict[str, float]:
    """Processor seconds a second of the whole controller at rest."""
    made: list[OpenFlowSouthbound] = []

    def switches(declared: Topology) -> Southbound:
        made.append(OpenFlowSouthbound(declared, port=PORT, ovsdb=ovs.ovsdb))
        return made[-1]

    with Controller(topology, url, switches, drift_interval_s=3600.0, telemetry_interval_s=interval_s) as controller:
        service = controller.service
        slices = QUEUES // (2 * (HOPS + 1))  # both directions, each with its delivery port
        names = [f"slice-{k}" for k in range(slices)]
        count = len(topology.nodes)
        intents = [
            parse_line(
                "remote monitoring: 100 ms, 1 Mbps, availability none",
                source=(f"n{(k + k // count) % count}/site",),
                to=(f"n{(k + k // count + HOPS + k // count) % count}/site",),
                name=name,
            )
            for k, name in enumerate(names)
        ]
        results = service.apply(intents)
        refused = [result.name for result in results if not result.admitted]
        if refused:
            raise SystemExit(f"refused: {refused}")
        states = {item.phase for item in service.wait(names, 120)}
        if states != {"Active"}:
            raise SystemExit(f"not all active: {states}")
        time.sleep(5.0)  # ceilings found, everything at rest
        queues = sum(len(port.queues) - 1 for node in topology.nodes for port in made[-1].read(node).own.ports)
        begun, used = time.monotonic(), time.process_time()
        time.sleep(seconds)
        share = (time.process_time() - used) / (time.monotonic() - begun)
        fresh = sum(seen.fresh for seen in service.sources())
    return {"share": share, "queues": queues, "sources": len(service.sources()), "fresh": fresh}


PORT = 16653


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--switches", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    reason = why_not()
    if reason is not None:
        print(f"telemetry: skipped, {reason}")
        return 0
    configure_logs("error", "console")
    topology = ring(options.switches)
    with OvsSandbox() as ovs, ovs.entered(), tempfile.TemporaryDirectory() as home:
        for node in topology.nodes.values():
            ovs.add_bridge(node.id, node.dpid, controller_port=PORT)
        for link in topology.links.values():
            ovs.add_wire(link.a, link.a_port, link.b, link.b_port)
        for end in topology.endpoints.values():
            ovs.add_veth(end.node, end.port, f"{end.node}-9")
        run = partial(measure, topology, ovs, f"sqlite:///{home}/bench.db")
        often, seldom = run(1.0, options.seconds), run(60.0, options.seconds)
    figures = {
        "switches": options.switches,
        "queues": often["queues"],
        "sources": often["sources"],
        "controller_share_1s": often["share"],
        "controller_share_60s": seldom["share"],
        "telemetry_share": often["share"] - seldom["share"],
        "python": platform.python_version(),
    }
    print(f"{options.switches} switches, {often['queues']:.0f} queues, {often['sources']} sources, one epoch a second")
    print(f"  controller in all: {often['share']:.2%} of a core; without telemetry: {seldom['share']:.2%}")
    print(f"  telemetry and loop: {figures['telemetry_share']:.2%}")
    if options.report:
        options.report.mkdir(parents=True, exist_ok=True)
        (options.report / "telemetry.json").write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
