"""Plots of delay: every packet over time, and how many packets were later than x. matplotlib is loaded on first use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from carelane.lab.failures import LabError
from carelane.lab.samples import FlowSamples

__all__ = ["Curve", "plot_delays"]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One flow in a plot; `start_ns` is the moment that the time axis calls 0."""

    label: str
    flow: FlowSamples
    start_ns: int


def plot_delays(path: Path, title: str, curves: Sequence[Curve], promised_s: float | None) -> None:
    """Write a PNG. Raises `LabError` when matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise LabError("plots need matplotlib; pip install 'carelane[lab]'") from error
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    over_time, distribution = figure.subplots(1, 2)
    for curve in curves:
        delays = (curve.flow.received_ns - curve.flow.sent_ns) / 1e6
        if not len(delays):
            continue
        moments = (curve.flow.sent_ns - curve.start_ns) / 1e9
        over_time.plot(moments, delays, ".", markersize=1.5, label=curve.label, rasterized=True)
        later = 1.0 - np.arange(len(delays)) / len(delays)
        distribution.step(np.sort(delays), later, where="post", label=curve.label)
    if promised_s is not None:
        over_time.axhline(promised_s * 1e3, color="black", linewidth=1, linestyle="--", label="promise")
        distribution.axvline(promised_s * 1e3, color="black", linewidth=1, linestyle="--", label="promise")
    over_time.set(xlabel="time (s)", ylabel="one-way delay (ms)", yscale="log")
    distribution.set(
        xlabel="one-way delay (ms)", ylabel="share of packets at least as late", xscale="log", yscale="log"
    )
    distribution.legend(fontsize=8)
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
