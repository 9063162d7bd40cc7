"""The controller as a process: it owns the store, the southbound and the threads that keep the network as declared."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Self

import structlog

from carelane.controller._upkeep import Upkeep
from carelane.controller.leadership import DEFAULT_TTL_S, Leadership, Standing
from carelane.controller.reconcile.access import AccessControl
from carelane.controller.reconcile.drift import DriftCheck
from carelane.controller.reconcile.queue import Backoff, WorkQueue
from carelane.controller.reconcile.reconciler import Reconciler
from carelane.controller.service import IntentService
from carelane.controller.southbound.counters import CounterSource
from carelane.controller.southbound.protocol import Ranked, Southbound, SwitchStatus
from carelane.controller.southbound.startable import Startable
from carelane.controller.telemetry.loop import TelemetryLoop
from carelane.controller.telemetry.sharing import Mode
from carelane.errors import CarelaneError
from carelane.policies.access import AccessPolicy
from carelane.policies.admission import AdmissionPolicy, bounded
from carelane.policies.shaping import SharePolicy
from carelane.store import Store
from carelane.topology.model import Topology

__all__ = ["Controller"]

log = structlog.get_logger("carelane.controller")

_WATCH_INTERVAL_S = 0.5
_STOP_TIMEOUT_S = 30.0
_PILE_UP_S = 5.0
_PILE_UP_FACTOR = 4.0
"""While filings come in, a pass is put off: so long, or so many times what the last one took of a processor.

That bounds the share of the loop in a rush; what is filed meanwhile is installed a little later, all of it in one pass.
"""

_CONNECT_GRACE_S = 5.0
"""How long a fresh controller waits for its switches to connect before it calls any of them unreachable."""


class Controller:
    """Keeps the network equal to the store between `start` and `stop`; stopping leaves traffic as it is.

    `make_southbound` gives the switches: the simulator, or the OpenFlow adapter, which is started and stopped here.
    `telemetry_interval_s` is an epoch of the closed loop, `sharing` what it does with what it measures.
    `hold_off_s` and `repair_after_s`: see `Upkeep`. On PostgreSQL several may run, of which one acts (`Leadership`);
    `address` is where clients find this one, `lease_s` how long it leads without a sign of life.
    """

    def __init__(
        self,
        topology: Topology,
        database_url: str,
        make_southbound: Callable[[Topology], Southbound],
        *,
        drift_interval_s: float = 10.0,
        backoff: Backoff | None = None,
        telemetry_interval_s: float = 1.0,
        sharing: Mode = "fair",
        hold_off_s: float = 10.0,
        repair_after_s: float = 5.0,
        access: AccessPolicy | None = None,
        address: str = "",
        lease_s: float = DEFAULT_TTL_S,
        policy: AdmissionPolicy | None = None,
    ) -> None:
        self.topology = bounded(topology, policy)
        self._policy = policy
        self._access = access
        self._url = database_url
        self._make_southbound = make_southbound
        self._drift_interval_s = drift_interval_s
        self._backoff = backoff or Backoff()
        self._telemetry_interval_s = telemetry_interval_s
        self._sharing: Mode = sharing
        self._hold_off_s, self._repair_after_s = hold_off_s, repair_after_s
        self._weights = policy.weights if policy else SharePolicy()
        self._loop: TelemetryLoop | None = None
        self.leadership = Leadership(database_url, address, ttl_s=lease_s)
        self._acting = threading.Event()
        self._seated: Standing | None = None
        self._ranked: Ranked | None = None
        self._adopted = threading.Event()
        self._listens_since_s = 0.0
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._check_now = threading.Event()
        self._to_check: set[str] = set()
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._southbound: Southbound | None = None
        self._startable: Startable | None = None
        self._reconciler: Reconciler | None = None
        self._drift: DriftCheck | None = None
        self._service: IntentService | None = None

    @property
    def service(self) -> IntentService:
        """The facade. Only after `start`."""
        assert self._service is not None, "the controller is not started"
        return self._service

    def start(self) -> None:
        """Open the store, connect the switches, reconcile everything stored. Raises CarelaneError."""
        store: Store | None = None
        try:
            self.leadership.start()
            store = Store(self._url, fence=self.leadership if self.leadership.elected else None)
            southbound = self._make_southbound(self.topology)
            if isinstance(southbound, Ranked) and self.leadership.elected:
                southbound.on_doubt(self.leadership.doubt)
                southbound.follow(None)
                self._ranked = southbound
            if isinstance(southbound, Startable):
                southbound.start()
                self._startable = southbound
        except BaseException:
            self.leadership.stop()
            if store is not None:
                store.close()
            raise
        self._store, self._southbound = store, southbound
        self._listens_since_s = time.monotonic()
        try:
            self._run(store, southbound)
        except BaseException:
            self.stop()
            raise

    def _run(self, store: Store, southbound: Southbound) -> None:
        self._reconciler = Reconciler(store, southbound, self.topology, queue=WorkQueue(self._backoff))
        self._drift = DriftCheck(self._reconciler)
        if isinstance(southbound, CounterSource):
            self._loop = TelemetryLoop(
                self._reconciler,
                southbound,
                self._telemetry_interval_s,
                self._sharing,
                self._weights,
                acts=self._adopted.is_set,
            )
        upkeep = Upkeep(
            self._reconciler,
            lambda: datetime.now(UTC),
            hold_off_s=self._hold_off_s,
            repair_after_s=self._repair_after_s,
            policy=self._policy,
        )
        self._service = IntentService(
            self.topology,
            self._reconciler,
            self._drift,
            faults=self._faults,
            telemetry=self._loop,
            access=AccessControl(self.topology, self._access),
            policy=self._policy,
            upkeep=upkeep,
            leadership=self.leadership,
        )
        if self._loop is not None:
            self._loop.busy = lambda: self.service.filings.busy
        self._seat(self.leadership.standing)
        loops = [("term", self._preside), ("reconcile", self._reconcile), ("watch", self._watch)]
        loops.append(("drift", self._check))
        if self._loop is not None:
            loops.append(("telemetry", self._loop.run))
        for name, loop in loops:
            thread = threading.Thread(target=loop, name=f"carelane-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)
        log.info("controller started", topology=self.topology.name, switches=len(self.topology.nodes))

    def stop(self) -> None:
        """Finish the pass that is under way, let go of switches and store. May be called twice."""
        self._stopping.set()
        self._acting.set()
        self._adopted.set()
        self._check_now.set()
        if self._loop is not None:
            self._loop.stop()
        if self._reconciler is not None:
            self._reconciler.queue.close()
        for thread in self._threads:
            thread.join(_STOP_TIMEOUT_S)
        self._threads.clear()
        if self._reconciler is not None:
            self._reconciler.close()
        self.leadership.stop()
        if self._startable is not None:
            self._startable.stop()
        if self._store is not None:
            self._store.close()
        log.info("controller stopped", topology=self.topology.name)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _faults(self) -> list[str]:
        if self._stopping.is_set():
            return ["the controller is stopping"]
        return [f"thread {thread.name} has ended" for thread in self._threads if not thread.is_alive()]

    def _preside(self) -> None:
        """Begin to act when elected, and stop when not leading any more."""
        while not self._stopping.is_set():
            if self._seated is None:
                self._stopping.wait(_WATCH_INTERVAL_S)
                self._seat(self.leadership.standing)
            elif (now := self.leadership.await_change(self._seated, _WATCH_INTERVAL_S)) != self._seated:
                self._seat(now)

    def _seat(self, standing: Standing) -> None:
        """Take our place; if that cannot be done now, nothing is acted on until it can."""
        self._seated = None
        self._stand_by()
        try:
            if standing.acts:
                self._begin(standing)
            elif self._ranked is not None:
                self._ranked.follow(standing.epoch)
            self._seated = standing
        except CarelaneError as error:
            log.warning("place not taken", role=standing.role, error=str(error), kind=type(error).__name__)
        except Exception:
            log.exception("taking a place broke")

    def _begin(self, standing: Standing) -> None:
        """The switches obey us before anything is compared or sent."""
        assert self._reconciler is not None
        if standing.epoch is not None and self._ranked is not None:
            self._ranked.lead(standing.epoch, lambda: self.leadership.standing == standing)
        self._reconciler.enqueue_all()
        self._acting.set()

    def _stand_by(self) -> None:
        assert self._reconciler is not None
        self._acting.clear()
        self._adopted.clear()
        self._reconciler.turn.end_term()
        self._reconciler.queue.clear()

    def _reconcile(self) -> None:
        assert self._reconciler is not None
        took_s = 0.0
        while not self._stopping.is_set():
            if not self._acting.wait(_WATCH_INTERVAL_S):
                continue
            if not self._adopted.is_set():
                self._await_switches()
                self._adopt()
                continue
            if not self._reconciler.queue.wait(timeout_s=1.0):
                continue
            self.service.filings.await_calm(max(_PILE_UP_S, _PILE_UP_FACTOR * took_s))
            begun = time.thread_time()
            self._reconciler.work(timeout_s=0.0)
            took_s = time.thread_time() - begun

    def _adopt(self) -> None:
        """Before anything is compared: the ceilings of a controller that died in a burst are nobody's drift, and what
        an older version programmed stays until what is programmed now has taken its place."""
        assert self._reconciler is not None
        term = self._reconciler.turn.term
        try:
            for adopt in (self.service.upkeep.renew, *((self._loop.adopt,) if self._loop is not None else ())):
                try:
                    adopt()
                except CarelaneError as error:
                    log.warning("not adopted", what=adopt.__qualname__, error=str(error), kind=type(error).__name__)
        finally:
            if self._acting.is_set() and term == self._reconciler.turn.term:
                self._adopted.set()

    def _await_switches(self) -> None:
        """After a restart every slice would be called degraded, only because switches need a moment to call back.

        Who takes over later has been connected to them all the while: a switch that is away then, is away.
        """
        assert self._southbound is not None
        end = self._listens_since_s + _CONNECT_GRACE_S
        while time.monotonic() < end and not self._stopping.wait(0.05):
            statuses = self._southbound.statuses()
            if all(_connected(statuses, node) for node in self.topology.nodes):
                return

    def _watch(self) -> None:
        """Turn what changed on switches into names to look at, and find what other processes filed."""
        assert self._reconciler is not None
        assert self._southbound is not None
        seen: Mapping[str, SwitchStatus] = {}
        while not self._stopping.wait(_WATCH_INTERVAL_S if seen else 0.0):
            if not self._acting.is_set():
                seen = {}
                self._stopping.wait(_WATCH_INTERVAL_S / 5)
                continue
            try:
                statuses = dict(self._southbound.statuses())
                changed = {node for node, status in statuses.items() if seen.get(node) != status}
                returned = {node for node in changed if _is_new(seen.get(node), statuses[node])}
                if seen and changed:
                    self._reconciler.enqueue_nodes(changed)
                    self.service.filings.hurry()
                self.service.upkeep.observe(statuses)
                self._reconciler.enqueue_unfinished()
                if self._reconciler.follow_schedules():
                    self.service.upkeep.look_again()
                self._ask_check(returned)
                seen = statuses
            except CarelaneError as error:
                log.warning("watching failed", error=str(error), kind=type(error).__name__)
            except Exception:
                log.exception("watching broke")

    def _ask_check(self, nodes: set[str]) -> None:
        if nodes:
            with self._lock:
                self._to_check |= nodes
            self._check_now.set()

    def _check(self) -> None:
        """Check switches that came back at once, and all of them at every interval."""
        assert self._drift is not None
        while not self._stopping.is_set():
            if not self._adopted.wait(_WATCH_INTERVAL_S):
                continue
            asked = self._check_now.wait(self._drift_interval_s)
            self._check_now.clear()
            with self._lock:
                nodes, self._to_check = self._to_check, set()
            if self._stopping.is_set():
                return
            if not self._adopted.is_set():
                continue
            try:
                self.service.enforce_access()
                self._drift.run(nodes if asked and nodes else None)
            except CarelaneError as error:
                log.warning("drift check failed", error=str(error), kind=type(error).__name__)
            except Exception:
                log.exception("drift check broke")


def _is_new(before: SwitchStatus | None, now: SwitchStatus) -> bool:
    """Whether it connected since: what it had before may be forgotten."""
    return now.connected and (before is None or not before.connected or before.connection != now.connection)


def _connected(statuses: Mapping[str, SwitchStatus], node: str) -> bool:
    status = statuses.get(node)
    return status is not None and status.connected
