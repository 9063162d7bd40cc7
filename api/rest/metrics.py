"""`/metrics`: the state of promises and switches at scrape time, and what REST itself did. No per-flow labels.

What names a tenant's slices and sites, or tells of their traffic, is for callers that see every tenant (`Exposition`).
"""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from carelane import __version__
from carelane.controller.service import IntentService
from carelane.errors import CarelaneError
from carelane.intents.lifecycle import Phase
from carelane.tls import TlsFiles, read_certificates

__all__ = ["Exposition", "RequestMetrics", "create_exposition"]

_PHASES = tuple(phase.value for phase in Phase)


class _ServiceCollector(Collector):
    """Asks the facade when scraped. What cannot be known then is left out, never reported as zero."""

    def __init__(self, service: IntentService) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        health = self._service.health()
        yield GaugeMetricFamily("carelane_ready", "1 when the server can take intents.", value=float(health.ready))
        yield GaugeMetricFamily("carelane_live", "1 when the controller does its work.", value=float(health.live))
        standing = self._service.standing
        yield GaugeMetricFamily(
            "carelane_leader", "1 when this controller acts; several may run on PostgreSQL.", value=float(standing.acts)
        )
        yield GaugeMetricFamily("carelane_leadership_epoch", "The newest epoch seen.", value=float(standing.epoch or 0))
        for collect in (self._intents, self._switches, self._links):
            try:
                yield from collect()
            except CarelaneError:
                continue

    def _intents(self) -> Iterable[Metric]:
        tally = Tally(summary.phase for summary in self._service.list())
        intents = GaugeMetricFamily("carelane_intents", "Intents by phase.", labels=["phase"])
        for phase in _PHASES:
            intents.add_metric([phase], tally.get(phase, 0))
        yield intents

    def _switches(self) -> Iterable[Metric]:
        connected = GaugeMetricFamily("carelane_switch_connected", "1 when the switch is connected.", labels=["node"])
        mismatches = GaugeMetricFamily(
            "carelane_switch_mismatches", "Disagreements between OVSDB and the switch's kernel.", labels=["node"]
        )
        for switch in self._service.switches():
            connected.add_metric([switch.node], float(switch.connected))
            mismatches.add_metric([switch.node], len(switch.mismatches))
        refusals = CounterMetricFamily(
            "carelane_switch_refusals", "Connections of switches that were refused, by reason.", labels=["reason"]
        )
        for reason, count in self._service.refusals().items():
            refusals.add_metric([reason], count)
        yield from (connected, mismatches, refusals)

    def _links(self) -> Iterable[Metric]:
        tally = Tally(mismatch.kind for mismatch in self._service.link_mismatches())
        links = GaugeMetricFamily("carelane_link_mismatches", "Links unlike the declared ones.", labels=["kind"])
        for kind in ("missing", "undeclared"):
            links.add_metric([kind], tally.get(kind, 0))
        avoided = GaugeMetricFamily(
            "carelane_link_avoided", "1 for a link that is avoided; `works`: it does again.", labels=["link", "works"]
        )
        for out in self._service.links_avoided():
            avoided.add_metric([out.link, "yes" if out.works else "no"], 1)
        yield from (links, avoided)


class _AccessCollector(Collector):
    """Rules have names that engineers gave them, often those of hospitals."""

    def __init__(self, service: IntentService) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        violations = CounterMetricFamily(
            "carelane_access_violations", "Slices that the access policy forbade, by the rule.", labels=["rule"]
        )
        for rule, count in self._service.access.counts().items():
            violations.add_metric([rule], count)
        yield violations


class RequestMetrics:
    """ASGI middleware: requests by method, route template and status, and how long they took."""

    def __init__(self, app: ASGIApp, exposition: Exposition) -> None:
        self._app = app
        self._requests = Counter(
            "carelane_http_requests", "REST requests.", ["method", "route", "status"], registry=None
        )
        self._duration = Histogram(
            "carelane_http_request_duration_seconds", "Time to answer.", ["method", "route"], registry=None
        )
        exposition.add(self._requests)
        exposition.add(self._duration)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            method, route = _method(scope), _route(scope)
            self._requests.labels(method, route, str(status)).inc()
            self._duration.labels(method, route).observe(time.perf_counter() - started)


def _route(scope: Scope) -> str:
    """The template, so that names in paths do not become labels."""
    route: Any = scope.get("route")
    return str(getattr(route, "path", "unmatched"))


def _method(scope: Scope) -> str:
    """Methods are any token in HTTP; only the known ones become labels."""
    method = str(scope["method"])
    return method if method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} else "other"


class _WhileActing(Collector):
    """What the loop measures, while it does: a controller that follows measures nothing, which is no fault."""

    def __init__(self, service: IntentService, inner: Collector) -> None:
        self._service, self._inner = service, inner

    def collect(self) -> Iterable[Metric]:
        return self._inner.collect() if self._service.standing.acts else ()


class _CertificateCollector(Collector):
    """When the certificates in use end, read from the files at scrape time."""

    def __init__(self, files: TlsFiles) -> None:
        self._files = {"own": files.cert, "authorities": files.ca}

    def collect(self) -> Iterator[Metric]:
        name = "carelane_certificate_expiry_timestamp_seconds"
        ends = GaugeMetricFamily(name, "When the first certificate of a file ends.", labels=["use"])
        for use, file in self._files.items():
            try:
                ends.add_metric([use], min(found.not_after.timestamp() for found in read_certificates(file)))
            except CarelaneError:
                continue
        yield ends


class Exposition:
    """Two registries: `whole`, and `open` without what only callers who see every tenant may read."""

    def __init__(self) -> None:
        """Registries of its own for each application, so that two in one process do not collide."""
        self.open, self.whole = CollectorRegistry(), CollectorRegistry()

    def add(self, collector: Collector, *, of_tenants: bool = False) -> None:
        self.whole.register(collector)
        if not of_tenants:
            self.open.register(collector)


def create_exposition(service: IntentService, tls: TlsFiles | None = None) -> Exposition:
    """What `service` and this process tell; with `tls`, also when its certificates end."""
    build = GaugeMetricFamily("carelane_build_info", "Version of carelane.", labels=["version"])
    build.add_metric([__version__], 1)

    class _Build(Collector):
        def collect(self) -> Iterator[Metric]:
            yield build

    made = Exposition()
    for process in (
        ProcessCollector(registry=None),
        PlatformCollector(registry=None),
        GCCollector(CollectorRegistry()),
    ):
        made.add(process)
    for collector in (_Build(), _ServiceCollector(service), service.metrics):
        made.add(collector)
    made.add(_AccessCollector(service), of_tenants=True)
    if service.telemetry_metrics is not None:
        made.add(_WhileActing(service, service.telemetry_metrics), of_tenants=True)
    if tls is not None:
        made.add(_CertificateCollector(tls))
    return made
