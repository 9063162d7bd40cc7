"""One run of traffic: a receiver, a real-time sender, a bulk sender and TCP helpers, whatever the number of flows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from carelane.lab.agent.builder import BuiltNetwork
from carelane.lab.agent.noise import NOISE_TARGET, NoisePath
from carelane.lab.cell import WORK
from carelane.lab.failures import LabError
from carelane.lab.traffic.models import HAPTIC, TcpTransfer, model_to_json
from carelane.lab.traffic.packet import SINK_PORT, UDP_PORT
from carelane.lab.traffic.plan import NOISE_FLOW, Flow, TrafficPlan

__all__ = ["TrafficRun"]

# Measured senders go before the packet work (30) and the switches' daemons, as devices of their own do: one kept
# from running between reading the clock and the system call would make its own lateness look like the network's.
_PRIORITY = {"realtime": 50, "media": 40, "bulk": 0, "tcp": 0}
_RECEIVER_PRIORITY = 2
_BULK_NICE = 5
_LEAD_S = 1.0  # sources open their sockets in this time
# All but strict sources wake at most once a millisecond and send what fell due: four packets at 40 Mbit/s.
_TICK_NS = {"realtime": 0, "media": 1_000_000, "bulk": 1_000_000, "tcp": 0}
# A packet may still wait in a full queue: 1000 packets of 1500 bytes take 1.2 s at 10 Mbit/s.
_DRAIN_S = 1.5
_NOISE_ID = 0


class TrafficRun:
    """Started traffic. `start_ns` is the common start, CLOCK_REALTIME."""

    def __init__(self, senders: list[subprocess.Popen[str]], receivers: list[subprocess.Popen[str]]) -> None:
        self._senders = senders
        self._receivers = receivers
        self.start_ns = 0
        self._noise_delay_s = 0.0

    @classmethod
    def start(cls, built: BuiltNetwork, run_id: str, plan_data: dict[str, Any], noise: NoisePath) -> TrafficRun:
        """Start every process and, when all are ready, the clock."""
        if not run_id.isidentifier():
            raise LabError(f"{run_id!r} is not a name for a run")
        plan = TrafficPlan.from_json(plan_data)
        lanes = _lanes(built, plan, noise)
        targets = sorted({flow.target for flow in plan.flows})
        hosts = [_netns(built, target) for target in targets]
        measured = [entry["id"] for lane in ("realtime", "media", "bulk") for entry in lanes[lane] if entry["measured"]]
        folder = f"{WORK}/runs/{run_id}"
        sink = {"hosts": [*hosts, noise.target], "flows": measured, "folder": folder}
        receivers = [_launch("receiver", [], sink, _RECEIVER_PRIORITY)]
        if lanes["tcp"]:
            receivers.append(_launch("transfer", ["sink"], {"hosts": hosts}, 0))
        senders: list[subprocess.Popen[str]] = []
        for lane, module, arguments in (
            ("realtime", "sender", []),
            ("media", "sender", []),
            ("bulk", "sender", []),
            ("tcp", "transfer", ["source"]),
        ):
            if lanes[lane]:
                senders.append(
                    _launch(
                        module,
                        arguments,
                        {"seed": plan.seed, "flows": lanes[lane], "tick_ns": _TICK_NS[lane]},
                        _PRIORITY[lane],
                    )
                )
        for process in (*receivers, *senders):
            _await_ready(process)
        started = cls(senders, receivers)
        started._noise_delay_s = noise.delay_s
        started.start_ns = time.clock_gettime_ns(time.CLOCK_REALTIME) + round(_LEAD_S * 1e9)
        for process in senders:
            assert process.stdin is not None
            process.stdin.write(f"{started.start_ns}\n")
            process.stdin.flush()
        return started

    def finished(self) -> bool:
        """Whether every sender has ended by itself."""
        return all(process.poll() is not None for process in self._senders)

    def stop(self) -> dict[str, Any]:
        """End the senders, wait for what is still on the way, end the receivers; gives all summaries."""
        for process in self._senders:
            if process.poll() is None:
                process.terminate()
        sent: dict[str, Any] = {}
        for process in self._senders:
            sent |= _summary(process)
        time.sleep(_DRAIN_S)
        udp, *tcp = [_summary(process) for process in self._receivers]
        return {
            "sent": sent,
            "overflow": udp["overflow"],
            "tcp": tcp[0] if tcp else {},
            "start_ns": self.start_ns,
            "noise_delay_s": self._noise_delay_s,
        }


def _lanes(built: BuiltNetwork, plan: TrafficPlan, noise: NoisePath) -> dict[str, list[dict[str, Any]]]:
    """The flows by sending process, numbered from 1 in the plan's order; the noise probe is number 0."""
    lanes: dict[str, list[dict[str, Any]]] = {lane: [] for lane in _PRIORITY}
    for number, (flow, entry) in enumerate(zip(plan.flows, plan.to_json()["flows"], strict=True), start=1):
        entry["id"] = number
        entry["netns"] = _netns(built, flow.source)
        entry["address"] = built.network.host(flow.target).ip
        entry["source_address"] = built.network.host(flow.claims).ip if flow.claims else None
        entry["port"] = UDP_PORT if flow.measured else SINK_PORT
        lanes[_lane(flow)].append(entry)
    lanes["realtime"].append(
        {
            "id": _NOISE_ID,
            "name": NOISE_FLOW,
            "netns": noise.source,
            "address": NOISE_TARGET,
            "source_address": None,
            "port": UDP_PORT,
            "model": model_to_json(replace(HAPTIC, period_s=plan.noise_period_s)),
            "dscp": 46,
            "start_s": 0.0,
            "duration_s": plan.duration_s,
            "measured": True,
            "bucket": None,
        }
    )
    return lanes


def _lane(flow: Flow) -> str:
    if isinstance(flow.model, TcpTransfer):
        return "tcp"
    return "realtime" if flow.realtime else "media" if flow.measured else "bulk"


def _netns(built: BuiltNetwork, host: str) -> str:
    return f"/proc/{built.host_pid(host)}/ns/net"


def _launch(module: str, arguments: Sequence[str], config: dict[str, Any], priority: int) -> subprocess.Popen[str]:
    """Start one of the traffic programs; a `priority` above 0 is real-time, 0 yields to everything."""
    process = subprocess.Popen(
        [sys.executable, "-B", "-m", f"carelane.lab.traffic.{module}", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if priority:
        os.sched_setscheduler(process.pid, os.SCHED_FIFO, os.sched_param(priority))
    else:
        os.setpriority(os.PRIO_PROCESS, process.pid, _BULK_NICE)
    assert process.stdin is not None
    process.stdin.write(json.dumps(config) + "\n")
    process.stdin.flush()
    return process


def _await_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise LabError(f"a traffic process ended with status {process.wait()}; see the console log")


def _summary(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=60)
    lines = out.splitlines()
    if not lines:
        raise LabError(f"a traffic process ended with status {process.returncode} and no summary; see the console log")
    summary: dict[str, Any] = json.loads(lines[-1])
    return summary
