"""Looking at the switches from beside them, with the tools an engineer would use."""

from __future__ import annotations

import json
import re

from carelane.controller.pipeline.program import COOKIE_OWNER
from carelane.controller.southbound.tc import parse_classes
from carelane.lab.carelane_server import CarelaneServer
from carelane.lab.lab import Lab
from carelane.lab.network import LabNetwork
from carelane.lab.report import Check

__all__ = ["leftovers", "queues_in_kernel"]

_GROUND = re.compile(rf"cookie=0x{COOKIE_OWNER:x}[0-9a-f]{{4}}0{{8}},")
"""Flows of the pipeline itself (slice number 0): they stay as long as carelane has the switch."""


def leftovers(lab: Lab, network: LabNetwork) -> frozenset[str]:
    """One line for every flow, group, meter, queue row and HTB class that exists now, the ground rules left out."""
    found: set[str] = set()
    for switch in network.switches:
        bridge = network.bridge(switch.name)
        for dump in ("dump-flows", "dump-groups", "dump-meters"):
            lines = lab.run(["ovs-ofctl", "-O", "OpenFlow13", dump, bridge]).splitlines()
            entries = [line.strip() for line in lines if "reply" not in line.lower() and line.strip()]
            found |= {f"{switch.name} {dump[5:]}: {entry}" for entry in entries if not _GROUND.search(entry)}
    for table in ("qos", "queue"):
        rows = json.loads(lab.run(["ovs-vsctl", "-f", "json", "list", table]) or "{}").get("data", [])
        found |= {f"{table}: {json.dumps(row)}" for row in rows}
    for interface in _interfaces(network):
        classes = parse_classes(lab.run(["tc", "class", "show", "dev", interface]))
        found |= {f"{interface} class 1:{entry.minor:x}" for entry in classes}
    return frozenset(found)


def _interfaces(network: LabNetwork) -> list[str]:
    ports = [(wire.a, wire.a_port) for wire in network.wires] + [(wire.b, wire.b_port) for wire in network.wires]
    ports += [(host.switch, host.port) for host in network.hosts]
    return [network.interface(switch, port) for switch, port in ports]


def queues_in_kernel(lab: Lab, network: LabNetwork, server: CarelaneServer, intents: tuple[str, ...]) -> Check:
    """Whether every floor that the controller says it reserved is a class in the kernel with at least that rate."""
    missing: list[str] = []
    seen = 0
    for intent in intents:
        placement = server.get(f"/v1/intents/{intent}")["placement"]
        for port in placement["ports"]:
            interface = network.interface(port["node"], port["port"])
            classes = {
                entry.minor: entry for entry in parse_classes(lab.run(["tc", "class", "show", "dev", interface]))
            }
            entry = classes.get(placement["queue"] + 1)
            seen += 1
            # tc prints rates of ten and more units without decimals; half a per cent covers what it rounds away.
            if entry is None or entry.rate_bps < port["floor_bps"] * 0.995:
                missing.append(f"{intent} at {port['node']} port {port['port']}: {entry or 'no class'}")
    name = "every reserved floor is a class in the kernel"
    return Check(name, seen > 0 and not missing, "; ".join(missing) or f"{seen} floors on {len(intents)} slices")
