"""What the rule makers write into: what one slice asks of the switches, and how it meets what others ask."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from carelane.controller.pipeline.compile._queues import PortPlan
from carelane.controller.pipeline.compile._resolved import Slice
from carelane.controller.pipeline.identifiers import slice_number
from carelane.controller.pipeline.program import FlowRule, Group, Match, Meter, PortBfd
from carelane.errors import CollisionError

__all__ = ["Draft", "RuleKey", "Rules", "collision", "meet"]

RuleKey = tuple[int, int, Match]


class Rules:
    """What several makers put on one switch; mutable."""

    __slots__ = ("flows", "groups", "meters", "watches")

    def __init__(self) -> None:
        self.flows: dict[RuleKey, FlowRule] = {}
        self.groups: dict[int, Group] = {}
        self.meters: dict[int, Meter] = {}
        self.watches: list[PortBfd] = []


class Draft:
    """Collects what `owner` needs, by switch. `rates` are those of egress ports, as `PortPlan` takes them."""

    def __init__(self, owner: Slice, rates: Mapping[tuple[str, int], int]) -> None:
        self.owner = owner
        self.switches: defaultdict[str, Rules] = defaultdict(Rules)
        self.ports = PortPlan(rates)

    def flow(self, node: str, rule: FlowRule) -> None:
        """Add a rule; the same rule twice is one rule, two rules with one match are a contradiction."""
        held = self.switches[node].flows.setdefault(rule.key, rule)
        if held != rule:
            raise collision({self.owner.ids.number: self.owner.name}, node, held, rule)

    def group(self, node: str, group: Group) -> None:
        self.switches[node].groups[group.id] = group

    def meter(self, node: str, meter: Meter) -> None:
        self.switches[node].meters[meter.id] = meter


def meet(held: Draft, draft: Draft) -> None:
    """Raise ConflictError where two slices want the same packets at the same place."""
    for node, rules in draft.switches.items():
        flows = held.switches[node].flows if node in held.switches else {}
        for key in rules.flows.keys() & flows.keys():
            names = {item.owner.ids.number: item.owner.name for item in (held, draft)}
            raise collision(names, node, flows[key], rules.flows[key])


def collision(names: Mapping[int, str], node: str, held: FlowRule, rule: FlowRule) -> CollisionError:
    """Two rules for the same packets; `names` tells, by slice number, whose they are."""
    owners = [names.get(slice_number(item.cookie), "the pipeline") for item in (held, rule)]
    match = rule.match
    return CollisionError(
        owners,
        f"cannot be told apart at {node}: both carry traffic from {match.ip_src} to {match.ip_dst} at port "
        f"{match.in_port}; merge the intents, or give one of the services an address of its own",
    )
