"""What the rule makers write into: a program under construction that notices contradictions."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from carelane.controller.pipeline.compile._queues import PortPlan
from carelane.controller.pipeline.identifiers import slice_number
from carelane.controller.pipeline.program import (
    FlowRule,
    Group,
    Match,
    Meter,
    PortBfd,
    Program,
    SwitchProgram,
)
from carelane.errors import CollisionError
from carelane.topology.model import Topology

__all__ = ["Draft"]


@dataclass
class _Switch:
    flows: dict[tuple[int, int, Match], FlowRule] = field(default_factory=dict)
    groups: dict[int, Group] = field(default_factory=dict)
    meters: dict[int, Meter] = field(default_factory=dict)
    watches: list[PortBfd] = field(default_factory=list)


class Draft:
    """Collects rules; `finish` freezes them. `names` tells whose rule it is when two slices collide."""

    def __init__(self, topology: Topology, names: dict[int, str]) -> None:
        self._topology = topology
        self._names = names
        self._switches: defaultdict[str, _Switch] = defaultdict(_Switch)
        self.ports = PortPlan(topology)

    def flow(self, node: str, rule: FlowRule) -> None:
        """Add a rule; the same rule twice is one rule, two rules with one match are a contradiction."""
        held = self._switches[node].flows.setdefault(rule.key, rule)
        if held != rule:
            raise self._collision(node, held, rule)

    def group(self, node: str, group: Group) -> None:
        self._switches[node].groups[group.id] = group

    def meter(self, node: str, meter: Meter) -> None:
        self._switches[node].meters[meter.id] = meter

    def watch(self, node: str, watch: PortBfd) -> None:
        self._switches[node].watches.append(watch)

    def finish(self) -> Program:
        ports = self.ports.by_node()
        return {
            node.id: SwitchProgram(
                node.id,
                node.dpid,
                tuple(self._switches[node.id].flows.values()),
                tuple(self._switches[node.id].groups.values()),
                tuple(self._switches[node.id].meters.values()),
                tuple(ports.get(node.id, ())),
                tuple(self._switches[node.id].watches),
            )
            for node in self._topology.nodes.values()
        }

    def _collision(self, node: str, held: FlowRule, rule: FlowRule) -> CollisionError:
        owners = [self._names.get(slice_number(item.cookie), "the pipeline") for item in (held, rule)]
        match = rule.match
        return CollisionError(
            owners,
            f"cannot be told apart at {node}: both carry traffic from {match.ip_src} to {match.ip_dst} at port "
            f"{match.in_port}; merge the intents, or give one of the services an address of its own",
        )
