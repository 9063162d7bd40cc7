"""Flow-mods a second: our apply, confirmed by barrier, against `ovs-ofctl add-flows`, on the same switch in one run.

    python benchmarks/flow_mods.py [--flows 10000] [--repeat 5] [--report DIR]

All add as many flows to an empty table of the same private Open vSwitch, in turn; a flow is an edge rule with
addresses and five actions or a core rule with a label, half and half. `ovs-ofctl add-flows` waits for a barrier after
each flow, `ovs-ofctl --bundle add-flows` commits all at once; their time includes starting and reading the file. Ours
commits a bundle (ADR 38); beside it the way it speaks to a switch that knows none: the messages as they are, then one
barrier. Needs root. Encodings are not warm: every turn uses flows the process has not seen.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from ovs_sandbox import OvsSandbox, why_not  # pyright: ignore[reportMissingImports]

from carelane.controller.pipeline.changes import Operation, SwitchChanges
from carelane.controller.pipeline.program import (
    COOKIE_OWNER,
    FlowRule,
    Match,
    Output,
    PushMpls,
    SetDscp,
    SetMplsLabel,
    SetQueue,
)
from carelane.controller.southbound.openflow import OpenFlowSouthbound
from carelane.controller.southbound.openflow._session import Session
from carelane.topology.model import Node, Topology

TARGET = 0.3
REFERENCE, OURS = "ovs-ofctl", "carelane"


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--flows", type=int, default=10_000)
    arguments.add_argument("--repeat", type=int, default=5)
    arguments.add_argument("--report", type=Path, default=None, help="write flow_mods.json into this folder")
    options = arguments.parse_args()
    reason = why_not()
    if reason is not None:
        print(f"flow_mods: {reason}", file=sys.stderr)
        return 2
    result = measure(options.flows, options.repeat)
    print(f"{'':24}{'flows/s (median)':>18}{'min':>10}{'max':>10}")
    for name, row in result.rates.items():
        print(f"{name:24}{row['median']:18.0f}{row['min']:10.0f}{row['max']:10.0f}")
    for name, ratio in result.ratios.items():
        target = f" (target at least {TARGET})" if name == REFERENCE else ""
        print(f"ratio of medians, carelane to {name}: {ratio:.2f}{target}")
    if options.report is not None:
        options.report.mkdir(parents=True, exist_ok=True)
        (options.report / "flow_mods.json").write_text(json.dumps(asdict(result), indent=2) + "\n")
    return 0 if result.ratios[REFERENCE] >= TARGET else 1


@dataclass(frozen=True)
class Result:
    """Flows a second, and our median over each reference's."""

    flows: int
    repeat: int
    rates: dict[str, dict[str, float]]
    ratios: dict[str, float]


def measure(count: int, repeat: int) -> Result:
    topology = Topology("benchmark", {"s1": Node("s1", 1)}, {}, {}, {})
    rates: dict[str, list[float]] = {}
    with OvsSandbox() as ovs, ovs.entered():
        southbound = OpenFlowSouthbound(topology, port=0, confirm_timeout_s=60)
        southbound.start()
        try:
            ovs.add_bridge("s1", 1, controller_port=southbound.port)
            while not southbound.statuses()["s1"].connected:
                time.sleep(0.05)
            ways = {
                REFERENCE: lambda rules: by_ofctl(ovs, rules),
                "ovs-ofctl --bundle": lambda rules: by_ofctl(ovs, rules, "--bundle"),
                "carelane, no bundles": lambda rules: without_bundles(southbound, rules),
                OURS: lambda rules: by_carelane(southbound, rules),
            }
            for round_ in range(repeat):
                for place, (name, way) in enumerate(ways.items()):
                    rates.setdefault(name, []).append(rate(ovs, way, flows(count, len(ways) * round_ + place)))
        finally:
            southbound.stop()
    summary = {
        name: {"median": statistics.median(values), "min": min(values), "max": max(values)}
        for name, values in rates.items()
    }
    ratios = {name: summary[OURS]["median"] / row["median"] for name, row in summary.items() if name != OURS}
    return Result(count, repeat, summary, ratios)


def rate(ovs: OvsSandbox, way: Callable[[list[FlowRule]], float], rules: list[FlowRule]) -> float:
    """Flows a second into an empty table."""
    found = len(rules) / way(rules)
    clear(ovs)
    return found


def flows(count: int, round_: int) -> list[FlowRule]:
    rules = []
    for n in range(count):
        cookie = COOKIE_OWNER << 48 | n
        label = 16 + (round_ * count + n) % 1_000_000
        if n % 2:
            rules.append(
                FlowRule(1, 100, Match(eth_type=0x8847, mpls_label=label), (SetQueue(n % 500), Output(2)), cookie)
            )
        else:
            source = f"10.{round_ & 255}.{n >> 8 & 255}.{n & 255}/32"
            match = Match(in_port=1 + n % 48, eth_type=0x0800, ip_src=source, ip_dst="10.200.0.1/32")
            actions = (SetDscp(46), PushMpls(), SetMplsLabel(label), SetQueue(n % 500), Output(2))
            rules.append(FlowRule(0, 200, match, actions, cookie))
    return rules


def by_carelane(southbound: OpenFlowSouthbound, rules: list[FlowRule]) -> float:
    changes = SwitchChanges("s1", 1, tuple(Operation("add", rule) for rule in rules))
    return southbound.apply(changes).duration_s


def without_bundles(southbound: OpenFlowSouthbound, rules: list[FlowRule]) -> float:
    with patch.object(Session, "commit", return_value=None):  # what it answers where the switch knows no bundles
        return by_carelane(southbound, rules)


def by_ofctl(ovs: OvsSandbox, rules: list[FlowRule], *options: str) -> float:
    with tempfile.NamedTemporaryFile("w", suffix=".flows") as file:
        file.writelines(text(rule) + "\n" for rule in rules)
        file.flush()
        started = time.monotonic()
        ovs.ofctl("add-flows", "s1", file.name, *options)
        return time.monotonic() - started


def clear(ovs: OvsSandbox) -> None:
    ovs.ofctl("del-flows", "s1")
    if "cookie" in ovs.ofctl("dump-flows", "s1"):
        raise RuntimeError("flows are left")


def text(rule: FlowRule) -> str:
    match, label = rule.match, rule.match.mpls_label
    head = f"cookie={rule.cookie:#x},table={rule.table},priority={rule.priority}"
    if label is not None:
        queue, port = rule.actions
        assert isinstance(queue, SetQueue)
        assert isinstance(port, Output)
        return f"{head},mpls,mpls_label={label},actions=set_queue:{queue.queue},output:{port.port}"
    dscp, _, push, queue, port = rule.actions
    assert isinstance(dscp, SetDscp)
    assert isinstance(push, SetMplsLabel)
    assert isinstance(queue, SetQueue)
    assert isinstance(port, Output)
    return (
        f"{head},ip,in_port={match.in_port},nw_src={match.ip_src},nw_dst={match.ip_dst},"
        f"actions=set_field:{dscp.dscp}->ip_dscp,push_mpls:0x8847,set_field:{push.label}->mpls_label,"
        f"set_queue:{queue.queue},output:{port.port}"
    )


if __name__ == "__main__":
    sys.exit(main())
