"""Implements `Southbound` over the stream to the process that holds the switches."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import replace
from itertools import count
from typing import Any

import grpc
import structlog

from carelane.api.grpc.gen import southbound_pb2 as pb
from carelane.api.grpc.southbound._messages import counters_value, message, value
from carelane.api.grpc.southbound.address import SERVICE, fingerprint, socket_path
from carelane.api.grpc.southbound.server import MAX_MESSAGE
from carelane.controller.pipeline.changes import SwitchChanges
from carelane.controller.southbound.counters import LinkDelay, SwitchCounters
from carelane.controller.southbound.protocol import DiscoveredLink, Receipt, SwitchState, SwitchStatus
from carelane.errors import (
    CarelaneError,
    InputError,
    NotFoundError,
    NotLeader,
    PermanentError,
    ProgramError,
    SwitchUnreachable,
)
from carelane.topology.model import Topology

__all__ = ["RemoteSouthbound"]

log = structlog.get_logger(__name__)

_START_S = 5.0
_AGAIN_S = 0.25
_SILENT_S = 5.0
"""The other side says something every second; after this long without a word its statuses are no longer believed."""

_FAULTS: dict[Any, type[CarelaneError]] = {
    pb.Fault.KIND_SWITCH_UNREACHABLE: SwitchUnreachable,
    pb.Fault.KIND_PROGRAM: ProgramError,
    pb.Fault.KIND_NOT_FOUND: NotFoundError,
}
_Requests = queue.SimpleQueue[pb.ConnectRequest | None]


class RemoteSouthbound:
    """Switches held by `carelane southbound` at `address`. It reconnects by itself; until then no switch is connected.

    `timeout_s` bounds the wait for one answer, which the other process bounds too, by the switch's own time-outs.
    """

    def __init__(self, topology: Topology, address: str, *, timeout_s: float = 60.0) -> None:
        self._topology, self._path, self._timeout_s = topology, socket_path(address), timeout_s
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[pb.ConnectResponse]] = {}
        self._requests: _Requests | None = None
        self._network = pb.Network()
        self._reason = f"the process that holds the switches does not answer at unix:{self._path}"
        self._greeted = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="carelane-remote-switches", daemon=True)
        self._call: Any = None
        self._rank: pb.SetRank | None = None
        self._may_act: Callable[[], bool] = lambda: True
        self._doubt: Callable[[], None] = lambda: None
        self._refused: str | None = None
        self.address = ""
        """Where switches connect, as the other process says."""

    def start(self) -> None:
        """Connect; a process that comes later is waited for in the background. Raises InputError where it differs."""
        self._thread.start()
        self._greeted.wait(_START_S)
        if self._refused is not None:
            self.stop()
            raise InputError(self._refused, field="--southbound", remedy="start both processes with one topology")

    def stop(self) -> None:
        """Let go of the stream. The switches stay connected over there."""
        self._stopping.set()
        call = self._call
        if call is not None:
            call.cancel()
        self._thread.join(_START_S)

    def statuses(self) -> Mapping[str, SwitchStatus]:
        network, live = self._network, self._requests is not None
        if live:
            return {row.node: value(row) for row in network.statuses}
        known = {row.node: value(row) for row in network.statuses}
        absent = {name: SwitchStatus(name, node.dpid, False) for name, node in self._topology.nodes.items()}
        return {
            node: replace(status, connected=False, reason=self._reason) for node, status in (absent | known).items()
        }

    def links(self) -> frozenset[DiscoveredLink]:
        return frozenset(value(row) for row in self._network.links) if self._requests is not None else frozenset()

    def refusals(self) -> Mapping[str, int]:
        return dict(self._network.refusals)

    def link_delays(self) -> Mapping[DiscoveredLink, LinkDelay]:
        answer = self._ask(pb.ConnectRequest(link_delays=pb.ReadLinkDelays()))
        return {value(row.link): LinkDelay(row.delay_s, row.error_s) for row in answer.link_delays.delays}

    def read(self, node: str) -> SwitchState:
        state: SwitchState = value(self._ask(pb.ConnectRequest(read=pb.ReadSwitch(node=node))).state)
        return state

    def counters(self, node: str) -> SwitchCounters:
        return counters_value(self._ask(pb.ConnectRequest(counters=pb.ReadCounters(node=node))).counters)

    def lead(self, epoch: int, still: Callable[[], bool]) -> None:
        """Be master of every switch over there, also after the stream broke and came back."""
        self._may_act = still
        self._set_rank(pb.SetRank(leads=True, epoch=epoch))

    def follow(self, epoch: int | None) -> None:
        self._may_act = lambda: False
        self._set_rank(pb.SetRank(leads=False, epoch=epoch or 0))

    def alone(self) -> None:
        """Say nothing of ranks from the next stream on; whoever holds the switches acts unasked then."""
        self._may_act = lambda: True
        with self._lock:
            self._rank = None

    def on_doubt(self, doubt: Callable[[], None]) -> None:
        self._doubt = doubt

    def _set_rank(self, rank: pb.SetRank) -> None:
        """Told, not waited for: what is asked for after it comes after it."""
        with self._lock:
            self._rank = rank
            if self._requests is not None:
                self._requests.put(pb.ConnectRequest(set_rank=rank))

    def apply(self, changes: SwitchChanges) -> Receipt:
        if not self._may_act():
            raise NotLeader
        receipt: Receipt = value(self._ask(pb.ConnectRequest(apply=message(changes))).receipt)
        return receipt

    def _ask(self, request: pb.ConnectRequest) -> pb.ConnectResponse:
        request.number = next(self._numbers)
        future: Future[pb.ConnectResponse] = Future()
        with self._lock:
            requests = self._requests
            if requests is None:
                raise SwitchUnreachable(self._reason)
            self._waiting[request.number] = future
            requests.put(request)
        try:
            answer = future.result(self._timeout_s)
        except TimeoutError as error:
            raise SwitchUnreachable(f"no answer within {self._timeout_s:g} s from unix:{self._path}") from error
        finally:
            self._waiting.pop(request.number, None)
        if answer.WhichOneof("response") == "fault":
            raise _FAULTS.get(answer.fault.kind, PermanentError)(answer.fault.message)
        return answer

    def _keep(self) -> None:
        options = (("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.max_send_message_length", MAX_MESSAGE))
        while not self._stopping.is_set():
            with grpc.insecure_channel(f"unix:{self._path}", options=options) as channel:
                connect = channel.stream_stream(
                    f"/{SERVICE}/Connect",
                    request_serializer=pb.ConnectRequest.SerializeToString,
                    response_deserializer=pb.ConnectResponse.FromString,
                )
                self._talk(connect)
            self._stopping.wait(_AGAIN_S)

    def _talk(self, connect: Callable[[Iterator[pb.ConnectRequest]], Any]) -> None:
        """One stream, from the greeting until it breaks; then whoever waits is told."""
        requests: _Requests = queue.SimpleQueue()
        requests.put(pb.ConnectRequest(hello=pb.ClientHello(topology=fingerprint(self._topology))))
        self._call = connect(iter(requests.get, None))
        silence = _Watchdog(_SILENT_S, self._call.cancel)
        try:
            for answer in self._call:
                silence.heard()
                self._hear(answer, requests)
        except grpc.RpcError as error:
            self._note(error)
        finally:
            silence.stop()
            requests.put(None)
            self._lose()

    def _hear(self, answer: pb.ConnectResponse, requests: _Requests) -> None:
        kind = answer.WhichOneof("response")
        if kind == "network":
            self._network = answer.network
            with self._lock:
                if self._requests is not requests and self._rank is not None:
                    requests.put(pb.ConnectRequest(set_rank=self._rank))
                self._requests = requests
            self._greeted.set()
        elif kind == "hello":
            self.address = answer.hello.address
            log.info("switches are held by another process", version=answer.hello.version, address=self.address)
        elif kind == "doubt":
            self._doubt()
        elif (future := self._waiting.get(answer.number)) is not None:
            future.set_result(answer)

    def _note(self, error: Any) -> None:
        if error.code() in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.RESOURCE_EXHAUSTED):
            self._reason = error.details()
            if error.code() is grpc.StatusCode.FAILED_PRECONDITION and not self._greeted.is_set():
                self._refused = error.details()
                self._greeted.set()
        else:
            self._reason = f"the process that holds the switches does not answer at unix:{self._path}"
            log.debug("southbound stream ended", code=str(error.code()), details=error.details())

    def _lose(self) -> None:
        with self._lock:
            self._requests = None
            waiting, self._waiting = list(self._waiting.values()), {}
        for future in waiting:
            if not future.done():
                future.set_exception(SwitchUnreachable(self._reason))


class _Watchdog:
    """Calls `bark` once nothing was heard for `wait_s`: a process that hangs keeps its socket open."""

    def __init__(self, wait_s: float, bark: Callable[[], object]) -> None:
        self._wait_s, self._bark = wait_s, bark
        self._heard, self._over = threading.Event(), threading.Event()
        threading.Thread(target=self._watch, name="carelane-remote-watchdog", daemon=True).start()

    def heard(self) -> None:
        self._heard.set()

    def stop(self) -> None:
        self._over.set()
        self._heard.set()

    def _watch(self) -> None:
        while not self._over.is_set():
            if not self._heard.wait(self._wait_s):
                self._bark()
                return
            self._heard.clear()
