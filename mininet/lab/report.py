"""What a lab run leaves behind: report.json, every sample, plots and one self-contained page."""

from __future__ import annotations

import base64
import html
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carelane.lab.measure import Spread, Verdict, noise_floor
from carelane.lab.plots import Curve, plot_delays
from carelane.lab.samples import RunSamples

__all__ = ["Check", "Report"]

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#1b1f24}
table{border-collapse:collapse;width:100%}td,th{padding:.3em .6em;border-bottom:1px solid #d0d7de;text-align:left}
.kept{color:#116329;font-weight:600}.broken{color:#a40e26;font-weight:600}img{max-width:100%}"""


@dataclass(frozen=True, slots=True)
class Check:
    """Something the scenario had to show beside its promises, for example that the flood really was one."""

    name: str
    passed: bool
    detail: str


@dataclass(slots=True)
class Report:
    """Filled by a scenario while it runs; `write` puts it into a folder.

    `objectives` are the promises: one broken fails the run. `comparisons` are the same objectives without carelane:
    they show what the promise is worth and fail nothing. `figures` is what else was measured, as the scenario has it.
    """

    scenario: str
    substrate: str
    reason: str
    seed: int
    started: float = field(default_factory=time.time)
    duration_s: float = 0.0
    objectives: list[Verdict] = field(default_factory=list)
    comparisons: list[Verdict] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    noise: dict[str, Spread] = field(default_factory=dict)
    runs: dict[str, RunSamples] = field(default_factory=dict)
    attachments: dict[str, bytes] = field(default_factory=dict)
    _plots: list[tuple[str, str, tuple[Curve, ...], float | None]] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every promise held and every check passed; a report without promises proves nothing and fails."""
        rows = [verdict.passed for verdict in self.objectives] + [check.passed for check in self.checks]
        return bool(rows) and all(rows)

    def add_run(self, name: str, run: RunSamples) -> None:
        """Keep a run's samples and its noise floor under a short name (used as a file name)."""
        self.runs[name] = run
        if (noise := noise_floor(run).spread) is not None:
            self.noise[name] = noise

    def add_plot(self, name: str, title: str, curves: Sequence[Curve], promised_s: float | None = None) -> None:
        """Plot delays of several flows, over time and as distributions, with the promise as a line."""
        self._plots.append((name, title, tuple(curves), promised_s))

    def side_by_side(self) -> list[str]:
        """A line for every objective of every intent: promised, and the worst figure in each of the two modes."""
        rows = [("INTENT", "OBJECTIVE", "PROMISED", "MEASURED, WORST", "VERDICT", "WITHOUT CARELANE", "VERDICT")]
        for intent, objective in dict.fromkeys((verdict.intent, verdict.objective) for verdict in self.objectives):
            kept, other = (
                [v for v in verdicts if (v.intent, v.objective) == (intent, objective)]
                for verdicts in (self.objectives, self.comparisons)
            )
            promised = f"{kept[0].promised:g} {kept[0].unit}"
            rows.append((intent, objective, promised, *_worst(kept), *_worst(other)))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]

    def to_json(self) -> dict[str, Any]:
        """The contents of report.json."""
        return {
            "scenario": self.scenario,
            "substrate": self.substrate,
            "substrate_reason": self.reason,
            "seed": self.seed,
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.started)),
            "duration_s": round(self.duration_s, 3),
            "pass": self.passed,
            "noise_floor": {name: noise.to_json() for name, noise in self.noise.items()},
            "objectives": [verdict.to_json() for verdict in self.objectives],
            "comparisons": [verdict.to_json() for verdict in self.comparisons],
            "checks": [{"name": check.name, "pass": check.passed, "detail": check.detail} for check in self.checks],
            "notes": self.notes,
            "figures": self.figures,
            "samples": {name: f"{name}.npz" for name in self.runs},
        }

    def write(self, folder: Path) -> Path:
        """Write everything into `folder` (made when missing); gives the path of report.json."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, run in self.runs.items():
            run.save(folder / f"{name}.npz")
        images: list[tuple[str, Path]] = []
        for name, title, curves, promised_s in self._plots:
            path = folder / f"{name}.png"
            plot_delays(path, title, curves, promised_s)
            images.append((title, path))
        for name, content in self.attachments.items():
            (folder / name).write_bytes(content)
        target = folder / "report.json"
        target.write_text(json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        (folder / "index.html").write_text(_page(self, images), encoding="utf-8")
        return target


def _worst(verdicts: Sequence[Verdict]) -> tuple[str, str]:
    if not verdicts:
        return "-", "-"
    worst = max(verdicts, key=lambda verdict: verdict.measured)  # a delay, a jitter, a loss: larger is worse
    if worst.objective == "bandwidth":
        worst = min(verdicts, key=lambda verdict: verdict.measured)
    samples = sum(verdict.samples for verdict in verdicts)
    broken = sum(not verdict.passed for verdict in verdicts)
    verdict = f"BROKEN in {broken} of {len(verdicts)}" if broken else "kept"
    return f"{worst.measured:.4g} {worst.unit} of {samples} samples", verdict


def _page(report: Report, images: list[tuple[str, Path]]) -> str:
    escape = html.escape
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        f"<title>carelane lab: {escape(report.scenario)}</title><style>{_STYLE}</style>",
        f"<h1>{escape(report.scenario)}: {_word(report.passed)}</h1>",
        f"<p>Substrate {escape(report.substrate)} ({escape(report.reason)}), seed {report.seed}, "
        f"{report.duration_s:.0f} s.</p>",
        "<h2>Promises</h2>",
        _table(report.objectives),
    ]
    if report.comparisons:
        parts += ["<h2>The same without carelane's queues</h2>", _table(report.comparisons)]
    if report.checks:
        rows = "".join(
            f"<tr><td>{escape(check.name)}<td>{escape(check.detail)}<td>{_word(check.passed)}"
            for check in report.checks
        )
        parts += ["<h2>Checks</h2>", f"<table>{rows}</table>"]
    rows = "".join(f"<tr><td>{escape(name)}{_cells(noise)}" for name, noise in report.noise.items())
    parts += [
        "<h2>Noise floor</h2><p>Lateness of the lab itself, measured in the same run where nothing can queue. "
        "A late packet is excused only by the noise measured while it travelled.</p>",
        f"<table><tr><th>run<th>p50 ms<th>p99 ms<th>p99.9 ms<th>max ms{rows}</table>",
    ]
    parts += [f"<p>{escape(note)}</p>" for note in report.notes]
    for title, path in images:
        data = base64.b64encode(path.read_bytes()).decode("ascii")
        parts.append(f'<h2>{escape(title)}</h2><img alt="{escape(title)}" src="data:image/png;base64,{data}">')
    return "\n".join(parts) + "\n</html>\n"


def _word(passed: bool) -> str:
    return "<span class=kept>kept</span>" if passed else "<span class=broken>broken</span>"


def _cells(noise: Spread) -> str:
    values = (noise.p50_s, noise.p99_s, noise.p999_s, noise.maximum_s)
    return "".join(f"<td>{value * 1e3:.3f}" for value in values)


def _table(verdicts: list[Verdict]) -> str:
    rows = [
        "<table><tr><th>intent<th>objective<th>promised<th>measured<th>p99.9<th>samples<th>beyond promise"
        "<th>beyond promise and noise<th>mode<th>verdict"
    ]
    for verdict in verdicts:
        p999 = "" if verdict.p999 is None else f"{verdict.p999:.3f}"
        rows.append(
            f"<tr><td>{html.escape(verdict.intent)}<td>{verdict.objective}<td>{verdict.promised:g} {verdict.unit}"
            f"<td>{verdict.measured:.6g} {verdict.unit}<td>{p999}<td>{verdict.samples}<td>{verdict.over}"
            f"<td>{verdict.over_noise}<td>{html.escape(verdict.mode)}<td>{_word(verdict.passed)}"
        )
    return "".join(rows) + "</table>"
