"""What the controller says of itself while a scenario runs: `/metrics` once a second, as Prometheus would ask."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.error import URLError

from prometheus_client.parser import text_string_to_metric_families

from carelane.lab.carelane_server import CarelaneServer

__all__ = ["LoopWatch"]

Sources = Mapping[tuple[str, str], Mapping[str, float]]


@dataclass
class LoopWatch:
    """Use as a context manager around a measurement."""

    server: CarelaneServer
    period_s: float
    scrapes: list[tuple[float, Mapping[str, float], Sources]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="loop-watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self.period_s):
            with contextlib.suppress(URLError, OSError):
                self.scrapes.append(_parsed(time.time(), self.server.text("/metrics")))

    def figures(self, start_ns: int, steady_s: tuple[float, float]) -> dict[str, Any]:
        """Of the steady part: reserved to used, changes of a ceiling in 20 epochs; of all: the loop's processor.

        A part shorter than twenty epochs counts as twenty: what changed once in it changed once.
        """
        if len(self.scrapes) < 2:
            return {}
        begun = start_ns / 1e9
        steady = [scrape for scrape in self.scrapes if steady_s[0] <= scrape[0] - begun <= steady_s[1]]
        found: dict[str, Any] = {}
        first, last = self.scrapes[0], self.scrapes[-1]
        elapsed = last[0] - first[0]
        spent = last[1].get("carelane_loop_processor_seconds_total", 0.0) - first[1].get(
            "carelane_loop_processor_seconds_total", 0.0
        )
        found["loop_processor_share"] = round(spent / elapsed, 4)
        for word in ("delay", "error"):
            rows = {name[6:]: round(value * 1e3, 3) for name, value in last[1].items() if name.startswith(word)}
            found[f"link_{word}_ms"] = rows
        if len(steady) >= 2:
            found["reserved_of_used"] = _reserved_of_used(steady)
            epochs = steady[-1][1]["carelane_loop_epochs_total"] - steady[0][1]["carelane_loop_epochs_total"]
            changes = _most_changes(steady)
            found["steady_epochs"] = epochs
            found["steady_changes_per_20_epochs"] = round(20 * changes / max(epochs, 20), 3) if epochs else None
        return found


def _parsed(at: float, text: str) -> tuple[float, Mapping[str, float], Sources]:
    plain: dict[str, float] = {}
    sources: dict[tuple[str, str], dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("carelane_source_"):
                place = (sample.labels["slice"], sample.labels["direction"])
                sources.setdefault(place, {})[sample.name.removeprefix("carelane_source_")] = sample.value
            elif sample.name.startswith("carelane_link_delay_"):
                word = "delay" if sample.name == "carelane_link_delay_seconds" else "error"
                plain[f"{word} {sample.labels['link']}"] = sample.value
            elif sample.name.startswith("carelane_loop_") and not sample.labels:
                plain[sample.name] = sample.value
    return at, plain, sources


def _reserved_of_used(steady: list[tuple[float, Mapping[str, float], Sources]]) -> float:
    """Of the consultation: floors, and what was granted beyond them, against what was carried."""
    reserved = used = 0.0
    for _, _, sources in steady:
        for (name, _), row in sources.items():
            if name.startswith("consult-") and "carried_bits_per_second" in row:
                demand = row.get("demand_bits_per_second", math.nan)
                wanted = 0.0 if math.isnan(demand) else min(demand, row["ceiling_bits_per_second"])
                reserved += max(row["declared_bits_per_second"], wanted)
                used += row["carried_bits_per_second"]
    return round(reserved / used, 4) if used else math.inf


def _most_changes(steady: list[tuple[float, Mapping[str, float], Sources]]) -> float:
    """How often the most restless ceiling changed, by the loop's own count."""
    first, last = steady[0][2], steady[-1][2]
    name = "ceiling_changes_total"
    return max((row[name] - first[place][name] for place, row in last.items() if place in first), default=0.0)
