"""What is checked without a packet: the pipeline's own rules, liveness watches, queues, and what nobody uses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from carelane.controller.pipeline.compile import LEAST_FLOOR_BPS, Slice, ground_rules, ground_watches
from carelane.controller.pipeline.identifiers import slice_number
from carelane.controller.pipeline.program import FlowRule, PortBfd
from carelane.controller.pipeline.verify._expect import Place, Wiring, queue_needs
from carelane.controller.pipeline.verify._tables import Item, Tables
from carelane.controller.pipeline.verify.faults import Fault
from carelane.policies.classes import STANDARD
from carelane.topology.model import Topology

__all__ = ["Audit", "leftover"]


class Audit:
    """Checks against one topology."""

    def __init__(self, topology: Topology, wiring: Wiring) -> None:
        self._wiring = wiring
        ground: defaultdict[str, dict[object, FlowRule]] = defaultdict(dict)
        for node, rule in ground_rules(topology):
            ground[node][rule.key] = rule
        self._ground = {node: ground[node] for node in topology.nodes}
        self._watches: dict[Place, PortBfd] = {(node, watch.port): watch for node, watch in ground_watches(topology)}

    def ground(self, tables: Tables, nodes: Iterable[str]) -> Iterator[Fault]:
        """The rules that every switch has whatever the slices, and the watch of every link port: exactly these."""
        for node in nodes:
            wanted = self._ground.get(node, {})
            held = {key: rule for key, rule in tables.flows[node].items() if slice_number(rule.cookie) == 0}
            for key in wanted.keys() | held.keys():
                if wanted.get(key) != held.get(key):
                    yield Fault("ground-rule", "", node, _ground_detail(wanted.get(key), held.get(key)))
        wanted_nodes = set(nodes)
        for place in self._watches.keys() | tables.watches.keys():
            if place[0] in wanted_nodes and self._watches.get(place) != tables.watches.get(place):
                detail = f"port {place[1]}: the watch is {tables.watches.get(place)}, not {self._watches.get(place)}"
                yield Fault("wrong-watch", "", place[0], detail)

    def port(self, tables: Tables, place: Place, asleep: Mapping[int, frozenset[str]]) -> Iterator[Fault]:
        """Floors in use within capacity, now and after each risk, and a best-effort queue that cannot be starved by
        borrowers. `asleep` has the queues that are needed only after one of these risks, by slice number.
        """
        qos = tables.ports.get(place)
        if qos is None:
            return
        node, port = place
        rate_bps = self._wiring.rates.get(place)
        if rate_bps is None or qos.max_rate_bps != rate_bps:
            yield Fault("overbooked", "", node, f"port {port} is limited to {qos.max_rate_bps} bit/s, not {rate_bps}")
            return
        for risk, promised_bps, sleeping in _in_use(tables, place, asleep):
            if promised_bps > rate_bps:
                names = ", ".join(queue.slice for queue in qos.queues if queue.slice and queue.id not in sleeping)
                detail = f"port {port} carries {rate_bps} bit/s and {promised_bps} are promised on it to {names}"
                yield Fault("overbooked", "", node, detail, risk)
                break
        spare = tables.queues(place).get(0)
        if spare is None or spare.min_rate_bps != min(LEAST_FLOOR_BPS, rate_bps):
            yield Fault("wrong-floor", "", node, f"port {port} has no best-effort queue with its least floor")
        elif spare.priority != STANDARD.htb_priority or spare.max_rate_bps != rate_bps:
            yield Fault("wrong-queue", "", node, f"the best-effort queue of port {port} is not what it should be")

    def queues(self, tables: Tables, owner: Slice) -> Iterator[Fault]:
        """The slice's queue at every port it needs one."""
        for place, need in queue_needs(owner, self._wiring.rates).items():
            queue = tables.queues(place).get(owner.ids.number)
            if queue is None:
                yield Fault("wrong-queue", owner.name, place[0], f"port {place[1]} has no queue {owner.ids.number}")
                continue
            where = f"queue {queue.id} of port {place[1]}"
            if queue.min_rate_bps != need.floor_bps:
                detail = f"{where} has floor {queue.min_rate_bps} bit/s; reserved are {need.floor_bps}"
                yield Fault("wrong-floor", owner.name, place[0], detail)
            if queue.burst_bits < need.burst_bits:
                detail = f"{where} allows bursts of {queue.burst_bits} bits; its packets may bring {need.burst_bits}"
                yield Fault("wrong-queue", owner.name, place[0], detail)
            if (queue.priority, queue.slice) != (need.priority, owner.name):
                detail = f"{where} has priority {queue.priority} for {queue.slice or 'nobody'}, not {need.priority}"
                yield Fault("wrong-queue", owner.name, place[0], detail)
            if queue.max_rate_bps != self._wiring.rates[place]:
                detail = f"{where} is held to {queue.max_rate_bps} bit/s below the port's rate"
                yield Fault("wrong-queue", owner.name, place[0], detail)


def _in_use(
    tables: Tables, place: Place, asleep: Mapping[int, frozenset[str]]
) -> Iterator[tuple[str, int, frozenset[int]]]:
    """Each risk ("": none) with the floors that are in use once it has struck, and the queues that still sleep then."""
    idle = frozenset(asleep)
    floors_bps = {number: tables.floor_bps(place, number) for number in idle}
    always_bps = tables.floors_bps(place) - sum(floors_bps.values())
    yield "", always_bps, idle
    for risk in sorted(frozenset[str]().union(*asleep.values())):
        awake = [number for number, risks in asleep.items() if risk in risks]
        yield risk, always_bps + sum(floors_bps[number] for number in awake), idle.difference(awake)


def leftover(item: Item, name: str) -> Fault:
    """An entry that no packet of any slice comes upon, in any state: a leaked label, meter, group or queue."""
    text = f"{item.key:#x}" if item.kind == "group" and isinstance(item.key, int) else str(item.key)
    return Fault("leftover", name, item.node, f"{item.kind} {text} serves no packet of any slice")


def _ground_detail(wanted: FlowRule | None, held: FlowRule | None) -> str:
    rule = wanted or held
    assert rule is not None
    said = "missing" if held is None else "not one of the pipeline's" if wanted is None else "changed"
    return f"rule of priority {rule.priority} in table {rule.table} for {rule.match} is {said}"
