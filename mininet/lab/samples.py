"""Every packet of a run: what was sent, what arrived and when. Kept whole, so any figure can be checked again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from carelane.lab.traffic.plan import NOISE_FLOW, Flow, TrafficPlan

__all__ = ["FlowSamples", "RunSamples", "load_run"]

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class FlowSamples:
    """One flow's packets in order of arrival; times are CLOCK_REALTIME ns, `received_ns` from the kernel.

    `attempted` counts sequence numbers used, `sent` those the sender's kernel accepted.
    """

    name: str
    sequence: Int64s
    sent_ns: Int64s
    received_ns: Int64s
    ip_bytes: Int64s
    attempted: int
    sent: int
    sent_bytes: int
    late_ms: float


@dataclass(frozen=True, slots=True, eq=False)
class RunSamples:
    """A whole run. `tcp` has bytes and duration of each transfer; `overflow` counts packets the receiver lost itself.

    `noise_delay_s` is the
    delay of the noise probe's wire. A run with `overflow` above 0 measured its own receiver: its losses prove nothing.
    """

    plan: TrafficPlan
    start_ns: int
    flows: Mapping[str, FlowSamples]
    noise: FlowSamples
    noise_delay_s: float
    sent_only: Mapping[str, int]
    tcp: Mapping[str, tuple[int, float]]
    overflow: int

    def save(self, path: Path) -> None:
        """Write every sample to one compressed .npz: ``<flow>/sequence``, ``/sent_ns``, ``/received_ns``..."""
        arrays: dict[str, Int64s] = {}
        for flow in (*self.flows.values(), self.noise):
            arrays |= {
                f"{flow.name}/sequence": flow.sequence,
                f"{flow.name}/sent_ns": flow.sent_ns,
                f"{flow.name}/received_ns": flow.received_ns,
                f"{flow.name}/ip_bytes": flow.ip_bytes,
            }
        np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def load_run(folder: Path, plan: TrafficPlan, summary: Mapping[str, Any]) -> RunSamples:
    """Read the files of one run, written by the receiver, together with the senders' counts."""
    flows: dict[str, FlowSamples] = {}
    sent_only: dict[str, int] = {}
    for number, flow in enumerate(plan.flows, start=1):
        sent = summary["sent"].get(str(number), {"sent": 0, "bytes": 0, "errors": 0, "late_ms": 0.0})
        path = folder / f"{number}.samples"
        if path.exists():
            flows[flow.name] = _load_flow(path, flow.name, sent)
        else:
            sent_only[flow.name] = int(sent["sent"])
    noise = _load_flow(folder / "0.samples", NOISE_FLOW, summary["sent"]["0"])
    tcp = {
        plan.flows[int(number) - 1].name: (
            record["bytes"],
            _tcp_duration_s(plan.flows[int(number) - 1], record, summary),
        )
        for number, record in summary["tcp"].items()
    }
    start_ns, overflow = int(summary["start_ns"]), int(summary["overflow"])
    return RunSamples(plan, start_ns, flows, noise, float(summary["noise_delay_s"]), sent_only, tcp, overflow)


def _tcp_duration_s(flow: Flow, record: Mapping[str, int], summary: Mapping[str, Any]) -> float:
    return (record["last_ns"] - int(summary["start_ns"])) / 1e9 - flow.start_s


def _load_flow(path: Path, name: str, sent: Mapping[str, Any]) -> FlowSamples:
    rows = np.fromfile(path, dtype=np.int64).reshape(-1, 4)
    return FlowSamples(
        name=name,
        sequence=rows[:, 0].copy(),
        sent_ns=rows[:, 1].copy(),
        received_ns=rows[:, 2].copy(),
        ip_bytes=rows[:, 3].copy(),
        attempted=int(sent["sent"]) + int(sent["errors"]),
        sent=int(sent["sent"]),
        sent_bytes=int(sent["bytes"]),
        late_ms=float(sent["late_ms"]),
    )
