"""What the loop tells Prometheus. One instance for each controller, registered by whoever serves `/metrics`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

__all__ = ["ReconcileMetrics"]


class ReconcileMetrics(Collector):
    """Counts and durations of passes, repairs and strangers; register it with a CollectorRegistry."""

    def __init__(self, depth: Callable[[], int]) -> None:
        self.total = Counter("carelane_reconcile", "Names reconciled, by result.", ["result"], registry=None)
        self.errors = Counter("carelane_reconcile_errors", "Names whose reconciliation failed.", registry=None)
        self.time = Histogram("carelane_reconcile_time_seconds", "Duration of one pass.", registry=None)
        self.repairs = Counter("carelane_drift_repairs", "Entries repaired that drifted.", registry=None)
        self.strangers = Gauge("carelane_strangers", "Entries carelane did not make.", ["node"], registry=None)
        self.depth = Gauge("carelane_reconcile_queue_depth", "Names waiting, worked on or due.", registry=None)
        self.depth.set_function(depth)

    def collect(self) -> Iterator[Metric]:
        for metric in (self.total, self.errors, self.time, self.repairs, self.strangers, self.depth):
            yield from metric.collect()
