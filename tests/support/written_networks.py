"""Networks of a few lines, and requirements that ask for nothing but what is named."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from carelane.controller.pipeline import resolve
from carelane.controller.pipeline.requirement import Requirement
from carelane.intents import ServiceIntent, StatedObjectives
from carelane.topology import Topology, parse_topology

__all__ = ["MBPS", "ask", "network"]

MBPS = 10**6


def network(links: str, *, ends: str = "s t", capacity: int | None = 10**9) -> Topology:
    """Links as "id: a b 1Gbps 5ms 0.9999 group", figures in any order; the endpoint of node s is s/1."""
    rows, nodes = [], set()
    for line in links.strip().splitlines():
        name, rest = line.strip().split(":")
        a, b, *figures = rest.split()
        nodes |= {a, b}
        row: dict[str, Any] = {"id": name, "a": a, "b": b}
        for figure in figures:
            if figure.endswith("bps"):
                row["capacity"] = figure
            elif figure.endswith("ms"):
                row["delay"] = figure
            elif figure.endswith("km"):
                row["length"] = figure
            elif figure[0].isdigit():
                row["availability"] = float(figure)
            else:
                row["riskGroups"] = [figure]
        rows.append(row)
    spec = {
        "nodes": [{"id": node, "kind": "switch", "availability": 1.0} for node in sorted(nodes | set(ends.split()))],
        "links": rows,
        "endpoints": [
            {"id": f"{n}/1", "node": n} | ({"capacity": f"{capacity}bps"} if capacity else {}) for n in ends.split()
        ],
    }
    document = {"apiVersion": "carelane/v1", "kind": "Topology", "metadata": {"name": "test"}, "spec": spec}
    return parse_topology(json.dumps(document))


def ask(
    topology: Topology, name: str = "x", source: str = "s/1", to: str = "t/1", rate: float = 40, **changes: Any
) -> Requirement:
    """A requirement with nothing asked but `rate` Mbit/s both ways and what `changes` names, objectives included."""
    intent = ServiceIntent(name, "t", "video-conference", tuple(source.split()), tuple(to.split()))
    objectives = {"delay_s": "none", "jitter_s": "none", "loss": "none", "availability": "none"}
    bps = round(rate * MBPS)
    figures: dict[str, Any] = {"forward_bps": bps, "reverse_bps": bps} | objectives
    plain = {
        key: changes.pop(key)
        for key in list(changes)
        if key in ("protection", "round_trip", "burst_bytes", "direction", "schedule")
    }
    figures |= changes
    return resolve(replace(intent, objectives=StatedObjectives(**figures), **{"burst_bytes": 1500} | plain), topology)
