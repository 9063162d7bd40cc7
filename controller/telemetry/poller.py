"""Reading the counters of many switches without bursts: each at its own moment of the interval.

A switch that answers late holds up nobody: its answer counts when it comes, and while it is due it is not asked
again. One that answers nonsense has no reading this time; both are counted and told by name.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog

from carelane.controller.southbound.counters import CounterSource, SwitchCounters
from carelane.errors import CarelaneError

__all__ = ["Poller"]

log = structlog.get_logger("carelane.telemetry")


@dataclass(slots=True)
class _Node:
    reading: SwitchCounters | None = None
    due: bool = False
    errors: int = 0
    error: str = ""


@dataclass(slots=True)
class Poller:
    """Thread-safe. `pause` waits for that many seconds, or less when it is told to stop (then it gives True)."""

    southbound: CounterSource
    pause: Callable[[float], bool]
    parallel: int = 8
    _nodes: dict[str, _Node] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _pool: ThreadPoolExecutor = field(init=False)
    _closed: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(self.parallel, thread_name_prefix="carelane-poll")

    def close(self) -> None:
        """Ask nobody any more; answers that are due are not waited for."""
        with self._lock:
            self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def spread(self, nodes: Sequence[str], seconds: float) -> None:
        """Ask each switch once, evenly over `seconds`; returns when that time is over."""
        begun = time.monotonic()
        for place, node in enumerate(nodes):
            if self.pause(max(0.0, begun + place * seconds / len(nodes) - time.monotonic())):
                return
            self.ask(node)
        self.pause(max(0.0, begun + seconds - time.monotonic()))

    def ask(self, node: str) -> None:
        """Ask one switch, unless its last answer is still due, or the poller is closed."""
        with self._lock:
            entry = self._nodes.setdefault(node, _Node())
            if entry.due or self._closed:
                return
            entry.due = True
            self._pool.submit(self._read, node, entry)

    def refresh(self, nodes: Sequence[str], timeout_s: float) -> None:
        """Ask these now and wait for the answers, for instance after changing the switches."""
        for node in nodes:
            self.ask(node)
        end = time.monotonic() + timeout_s
        while any(self._is_due(node) for node in nodes) and time.monotonic() < end and not self.pause(0.005):
            pass

    def readings(self) -> Mapping[str, SwitchCounters]:
        """The last reading of each switch that ever answered."""
        with self._lock:
            return {node: entry.reading for node, entry in self._nodes.items() if entry.reading is not None}

    def errors(self) -> Mapping[str, tuple[int, str]]:
        """How often each switch failed to answer sensibly, and the last reason (empty once it answers again)."""
        with self._lock:
            return {node: (entry.errors, entry.error) for node, entry in self._nodes.items()}

    def _is_due(self, node: str) -> bool:
        with self._lock:
            return self._nodes[node].due

    def _read(self, node: str, entry: _Node) -> None:
        try:
            reading: SwitchCounters | None = self.southbound.counters(node)
            error = ""
        except CarelaneError as problem:
            reading, error = None, str(problem)
        except Exception as problem:  # whatever a switch's answer may break
            log.exception("reading counters broke", node=node)
            reading, error = None, f"{type(problem).__name__}: {problem}"
        with self._lock:
            if error and not entry.error:
                log.warning("no counters from switch", node=node, error=error)
            entry.due, entry.error = False, error
            entry.errors += bool(error)
            entry.reading = reading or entry.reading
