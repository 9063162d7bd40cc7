"""What the loop tells Prometheus, at scrape time: base units, no label that grows with flows or packets.

Labels are slice, site (an endpoint), node and port: as many series as there are sources and egress ports, bounded by
what was declared.
"""

from __future__ import annotations

import math
import time
from collections import Counter as Counts
from collections.abc import Iterator, Mapping
from typing import Protocol

from prometheus_client import Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from carelane.controller.southbound.counters import LinkDelay
from carelane.controller.southbound.protocol import DiscoveredLink
from carelane.controller.telemetry.compliance import ComplianceBook
from carelane.controller.telemetry.containment import Offence
from carelane.controller.telemetry.poller import Poller
from carelane.controller.telemetry.sharing import Outcome
from carelane.policies.shaping import Layout

__all__ = ["TelemetryMetrics"]

_SITE = ("slice", "site", "direction")


class Measured(Protocol):
    """What is told about: the loop."""

    @property
    def outcome(self) -> Outcome | None: ...
    @property
    def poller(self) -> Poller: ...
    @property
    def compliance(self) -> ComplianceBook: ...
    @property
    def layout(self) -> Layout: ...
    def offences(self) -> tuple[Offence, ...]: ...
    def link_delays(self) -> Mapping[DiscoveredLink, LinkDelay]: ...


class TelemetryMetrics(Collector):
    """Register it with the registry that `/metrics` serves."""

    def __init__(self, loop: Measured) -> None:
        self._loop = loop
        self.incredible: Counts[str] = Counts()
        """Readings of more than the line carries, by node."""
        self.epochs = Counter("carelane_loop_epochs", "Epochs computed.", registry=None)
        self.failures = Counter("carelane_loop_failures", "Epochs that failed.", registry=None)
        self.changes = Counter("carelane_loop_changes", "Meters and ports changed on switches.", registry=None)
        self.duration = Histogram("carelane_loop_epoch_duration_seconds", "Computing and applying.", registry=None)
        self.processor = Counter("carelane_loop_processor_seconds", "Processor time of the loop.", registry=None)

    def collect(self) -> Iterator[Metric]:
        for metric in (self.epochs, self.failures, self.changes, self.duration, self.processor):
            yield from metric.collect()
        yield from self._sources()
        yield from self._switches()
        yield from self._ports()
        yield from self._compliance()
        offences = GaugeMetricFamily(
            "carelane_contained_sources", "1 for each source held for what it sends.", labels=["kind", "site"]
        )
        for offence in self._loop.offences():
            offences.add_metric([offence.kind, offence.where], 1)
        yield offences

    def _sources(self) -> Iterator[Metric]:
        outcome = self._loop.outcome
        families = {
            name: GaugeMetricFamily(f"carelane_source_{name}", text, labels=_SITE)
            for name, text in (
                ("offered_bits_per_second", "What a site sends into a slice."),
                ("carried_bits_per_second", "What its meter lets through."),
                ("demand_bits_per_second", "What it is held to want; infinite for all there is."),
                ("ceiling_bits_per_second", "What it may send."),
                ("declared_bits_per_second", "What it declared, its floor."),
                ("fresh", "1 while its counters are fresh."),
            )
        }
        changes = CounterMetricFamily(
            "carelane_source_ceiling_changes", "How often what it may send was changed.", labels=_SITE
        )
        for seen in outcome.observations if outcome else ():
            labels = [seen.tap.slice, seen.tap.site, "forward" if seen.tap.forward else "reverse"]
            values = {
                "demand_bits_per_second": seen.demand.bps,
                "ceiling_bits_per_second": seen.ceiling_bps,
                "declared_bits_per_second": float(seen.tap.source.declared_bps),
                "fresh": float(seen.fresh),
            }
            if seen.gain is not None:
                values["offered_bits_per_second"] = seen.gain.rate_bps
                values["carried_bits_per_second"] = seen.gain.carried_bps
            for name, value in values.items():
                if not math.isnan(value):
                    families[name].add_metric(labels, value)
            changes.add_metric(labels, seen.changes)
        yield from (*families.values(), changes)

    def _switches(self) -> Iterator[Metric]:
        age = GaugeMetricFamily("carelane_telemetry_age_seconds", "Age of the last counters read.", labels=["node"])
        took = GaugeMetricFamily("carelane_telemetry_read_seconds", "How long reading them took.", labels=["node"])
        errors = CounterMetricFamily("carelane_telemetry_errors", "Readings that failed.", labels=["node"])
        incredible = CounterMetricFamily(
            "carelane_telemetry_incredible", "Readings of more than the line carries.", labels=["node"]
        )
        now = time.monotonic()
        for node, reading in self._loop.poller.readings().items():
            age.add_metric([node], now - reading.at_s)
            took.add_metric([node], reading.took_s)
            incredible.add_metric([node], self.incredible[node])
        for node, (count, _) in self._loop.poller.errors().items():
            errors.add_metric([node], count)
        delay = GaugeMetricFamily(
            "carelane_link_delay_seconds", "One-way delay of a link direction, as measured.", labels=["link"]
        )
        unsure = GaugeMetricFamily(
            "carelane_link_delay_error_seconds", "How far the measured delay may be off, either way.", labels=["link"]
        )
        for link, measured in self._loop.link_delays().items():
            delay.add_metric([f"{link.node}:{link.port}"], measured.seconds)
            unsure.add_metric([f"{link.node}:{link.port}"], measured.error_s)
        yield from (age, took, errors, incredible, delay, unsure)

    def _ports(self) -> Iterator[Metric]:
        capacity = GaugeMetricFamily("carelane_port_capacity_bits_per_second", "Rate of the port.", labels=["link"])
        reserved = GaugeMetricFamily("carelane_port_reserved_bits_per_second", "Sum of floors.", labels=["link"])
        layout = self._loop.layout
        for link, rate in layout.capacity_bps.items():
            capacity.add_metric([link], rate)
            reserved.add_metric([link], layout.reserved_bps.get(link, 0))
        sent = CounterMetricFamily("carelane_port_sent_bytes", "Bytes sent since the port began.", labels=["link"])
        for node, reading in self._loop.poller.readings().items():
            for port, (_, out) in reading.ports.items():
                if f"{node}:{port}" in layout.capacity_bps:
                    sent.add_metric([f"{node}:{port}"], out.bytes)
        yield from (capacity, reserved, sent)

    def _compliance(self) -> Iterator[Metric]:
        state = GaugeMetricFamily(
            "carelane_objective_state", "1 met, 0 broken; absent while unknown.", labels=["slice", "objective"]
        )
        unknown = GaugeMetricFamily(
            "carelane_objective_unknown", "1 while nothing fresh was measured.", labels=["slice", "objective"]
        )
        burn = GaugeMetricFamily(
            "carelane_budget_burn_rate", "Speed at which the error budget is spent.", labels=["slice", "window"]
        )
        doubted = GaugeMetricFamily(
            "carelane_probe_doubted",
            "1 for a probe whose figures cannot be true.",
            labels=["slice", "source", "target"],
        )
        for name in self._loop.compliance.names():
            for ends in self._loop.compliance.doubts(name):
                doubted.add_metric([name, *ends], 1)
            found = self._loop.compliance.of(name)
            if found is None:
                continue
            for row in found.objectives:
                unknown.add_metric([name, row.objective], float(row.state == "unknown"))
                if row.state != "unknown":
                    state.add_metric([name, row.objective], float(row.state == "met"))
            for window, rate in found.burn_rates.items():
                burn.add_metric([name, window], rate)
        yield from (state, unknown, burn, doubted)
