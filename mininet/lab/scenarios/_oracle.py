"""The clairvoyant: what weighted max-min sharing of the true offered traffic would have carried, epoch by epoch.

It knows every packet that will be sent (the schedules are the senders' own, from the same seed), uses the same floors
and the same guard (no promised floor is lent to a consultation), and changes shares without delay at each epoch.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from carelane.controller.pipeline import plan, resolve
from carelane.controller.pipeline.compile import compile_program
from carelane.controller.pipeline.identifiers import allocate
from carelane.controller.pipeline.program import SliceIds
from carelane.controller.telemetry.sources import wire
from carelane.intents import load_intents
from carelane.lab.failures import LabError
from carelane.lab.samples import RunSamples
from carelane.lab.traffic.packet import ETHERNET_BYTES
from carelane.lab.traffic.plan import Flow, TrafficPlan
from carelane.policies.shaping import Layout, SharePolicy, share
from carelane.topology import Topology

__all__ = ["clairvoyant", "layout_of", "offered", "sent"]

Floats = npt.NDArray[np.float64]


def layout_of(topology: Topology, manifest: str) -> Layout:
    """Sources and links as the controller has them for these intents. Raises LabError when one is refused."""
    decisions = plan(topology, [resolve(intent, topology) for intent in load_intents(manifest)]).decisions
    refused = [decision.name for decision in decisions if not decision.admitted]
    if refused:
        raise LabError(f"refused, and so no measure of anything: {', '.join(refused)}")
    used: list[SliceIds] = []
    for decision in decisions:
        used.append(allocate(decision, used))
    pairs = list(zip(decisions, used, strict=True))
    return wire(topology, pairs, compile_program(topology, pairs), SharePolicy()).layout


def offered(plan_: TrafficPlan, epoch_s: float) -> Mapping[tuple[str, str], Floats]:
    """Layer-2 bit/s offered between each pair of hosts, by epoch, of all flows with a schedule."""
    epochs = int(np.ceil(plan_.duration_s / epoch_s))
    found: dict[tuple[str, str], Floats] = {}
    for flow in plan_.flows:
        if flow.model.kind == "tcp":
            continue
        bits = found.setdefault((flow.source, flow.target), np.zeros(epochs))
        for at_s, size in _schedule(flow, plan_.seed):
            bits[int(at_s / epoch_s)] += (size + ETHERNET_BYTES) * 8 / epoch_s
    return found


def sent(run: RunSamples, epoch_s: float) -> Mapping[tuple[str, str], Floats]:
    """As `offered`, by when packets were really sent: a sender that the lab held up catches up later, and in between
    there was nothing to share. Those of flows whose packets nobody kept are taken as they were due.

    A packet that was lost was sent between its neighbours, whose times are known.
    """
    epochs = int(np.ceil(run.plan.duration_s / epoch_s))
    found: dict[tuple[str, str], Floats] = {}
    for flow in run.plan.flows:
        if flow.model.kind == "tcp":
            continue
        bits = found.setdefault((flow.source, flow.target), np.zeros(epochs))
        at_s, sizes = (np.array(column) for column in zip(*_schedule(flow, run.plan.seed), strict=True))
        samples = run.flows.get(flow.name)
        if samples is not None and len(samples.sequence):
            order = np.argsort(samples.sequence)
            sequence, sent_s = samples.sequence[order], (samples.sent_ns[order] - run.start_ns) / 1e9
            number = np.arange(len(at_s))
            at_s = at_s + np.interp(number, sequence, sent_s - at_s[sequence])
        inside = (at_s >= 0) & (at_s < epochs * epoch_s)
        np.add.at(bits, (at_s[inside] / epoch_s).astype(int), (sizes[inside] + ETHERNET_BYTES) * 8 / epoch_s)
    return found


def _schedule(flow: Flow, seed: int) -> list[tuple[float, int]]:
    packets = flow.model.packets(random.Random(f"{seed}/{flow.name}"))  # noqa: S311 - as the sender seeds it
    sent: list[tuple[float, int]] = []
    for at_ns, size in packets:
        if at_ns >= round(flow.duration_s * 1e9):
            return sent
        sent.append((flow.start_s + at_ns / 1e9, size))
    return sent


def clairvoyant(
    layout: Layout, demands: Mapping[tuple[str, str], Floats], greedy: frozenset[str]
) -> Mapping[str, Floats]:
    """Bit/s granted to each source by epoch; `greedy` names sources (by site) that want whatever there is."""
    epochs = max(len(series) for series in demands.values())
    by_key = {f"{source}>{to}": series for (source, to), series in demands.items()}
    keys = [source.key.partition("/")[2] for source in layout.sources]
    granted = np.zeros((len(keys), epochs))
    for epoch in range(epochs):
        wanted = [
            np.inf if key.partition(">")[0] in greedy else by_key[key][epoch] if key in by_key else 0.0 for key in keys
        ]
        granted[:, epoch] = share(layout, wanted).granted
    named = enumerate(key.partition(">")[0] for key in keys)
    return {site: granted[i] for i, site in named if keys[i] in by_key or site in greedy}
