"""Holds the switches and serves one control plane at a time over the southbound stream."""

from __future__ import annotations

import os
import queue
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import structlog

from carelane import __version__
from carelane.api.grpc.gen import southbound_pb2 as pb
from carelane.api.grpc.southbound._messages import counters_message, message, value
from carelane.api.grpc.southbound.address import SERVICE, fingerprint, socket_path
from carelane.controller.southbound.counters import CounterSource, DelaySource
from carelane.controller.southbound.protocol import Doorkeeper, Ranked, Southbound
from carelane.errors import InputError, NotFoundError, NotLeader, ProgramError, SwitchUnreachable
from carelane.topology.model import Topology

__all__ = ["MAX_MESSAGE", "SouthboundServer"]

log = structlog.get_logger(__name__)

MAX_MESSAGE = 64 * 1024 * 1024
"""Bytes: a switch with 100,000 flow entries is some 20 MB."""
WORKERS = 16
LOOK_S = 0.1
BEAT_S = 1.0
GRACE_S = 2.0
_FAULTS = (
    (SwitchUnreachable, pb.Fault.KIND_SWITCH_UNREACHABLE),
    (ProgramError, pb.Fault.KIND_PROGRAM),
    (NotFoundError, pb.Fault.KIND_NOT_FOUND),
)
_Answers = queue.SimpleQueue[pb.ConnectResponse | None]


class SouthboundServer:
    """Serves `southbound` between `start` and `stop` on a Unix socket that only this user may open.

    `where` tells people where switches connect. A second control plane is turned away while the first is there: two
    that reconcile one set of switches would undo each other's work. Raises InputError where the socket cannot be had.
    """

    def __init__(self, southbound: Southbound, topology: Topology, address: str, where: str = "") -> None:
        self._southbound, self._topology, self._where = southbound, fingerprint(topology), where
        self._busy = threading.Lock()
        self._ends = threading.Event()
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="carelane-switch")
        options = (("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.max_send_message_length", MAX_MESSAGE))
        self._server = grpc.server(ThreadPoolExecutor(4, thread_name_prefix="carelane-southbound"), options=options)
        handler = grpc.stream_stream_rpc_method_handler(
            self._connect,
            request_deserializer=pb.ConnectRequest.FromString,
            response_serializer=pb.ConnectResponse.SerializeToString,
        )
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Connect": handler}),))
        self._bind(socket_path(address, "--listen"))

    def _bind(self, path: str) -> None:
        _refuse_taken(path)
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = os.umask(0o177)
        try:
            self._server.add_insecure_port(f"unix:{path}")
        except RuntimeError as error:
            raise InputError(
                f"cannot listen on {path}", field="--listen", remedy="choose a folder that this user may write to"
            ) from error
        finally:
            os.umask(before)

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        """End the stream; switches keep what they have."""
        self._ends.set()
        self._server.stop(GRACE_S).wait(GRACE_S + 1)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _connect(self, requests: Iterator[pb.ConnectRequest], context: Any) -> Iterator[pb.ConnectResponse]:
        if not self._busy.acquire(blocking=False):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "another control plane holds these switches")
        try:
            yield self._greet(next(requests, pb.ConnectRequest()), context)
            log.info("control plane connected")
            answers: _Answers = queue.SimpleQueue()
            if isinstance(self._southbound, Ranked):
                self._southbound.on_doubt(lambda: answers.put(pb.ConnectResponse(doubt=pb.Doubt())))
            threading.Thread(target=self._take, args=(requests, answers), daemon=True).start()
            yield from self._tell(answers, context)
        finally:
            if isinstance(self._southbound, Ranked):
                self._southbound.on_doubt(lambda: None)
            self._busy.release()
            log.info("control plane gone", switches="stay connected")

    def _greet(self, first: pb.ConnectRequest, context: Any) -> pb.ConnectResponse:
        if first.WhichOneof("request") != "hello":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the first request must be a ClientHello")
        if first.hello.topology != self._topology:
            context.abort(
                grpc.StatusCode.FAILED_PRECONDITION,
                "the process that holds the switches was started with another topology; give both the same file",
            )
        return pb.ConnectResponse(number=first.number, hello=pb.ServerHello(version=__version__, address=self._where))

    def _take(self, requests: Iterator[pb.ConnectRequest], answers: _Answers) -> None:
        """Each request to a thread of its own: a switch that is late holds up nobody else's answers.

        A control plane that has a rank tells it first. One that changes switches and told none is alone: what another
        was told before it, which may have been to follow, is not meant for it.
        """
        ranked = not isinstance(self._southbound, Ranked)
        try:
            for request in requests:
                kind = request.WhichOneof("request")
                if kind == "apply" and not ranked and isinstance(self._southbound, Ranked):
                    self._southbound.alone()
                ranked = ranked or kind in ("apply", "set_rank")
                if kind == "set_rank":
                    self._answer(request, answers)  # in its turn: what comes after it is asked for in this rank
                else:
                    self._pool.submit(self._answer, request, answers)
        except (grpc.RpcError, RuntimeError) as error:
            log.debug("requests ended", error=str(error))
        answers.put(None)

    def _answer(self, request: pb.ConnectRequest, answers: _Answers) -> None:
        try:
            answer = self._carry_out(request)
        except NotLeader:
            text = "another control plane leads by now"
            answer = pb.ConnectResponse(fault=pb.Fault(kind=pb.Fault.KIND_SWITCH_UNREACHABLE, message=text))
        except (SwitchUnreachable, ProgramError, NotFoundError) as error:
            kind = next(kind for known, kind in _FAULTS if isinstance(error, known))
            answer = pb.ConnectResponse(fault=pb.Fault(kind=kind, message=str(error)))
        except Exception as error:
            log.exception("request failed")
            text = f"{type(error).__name__} in the process that holds the switches; its log has the details"
            answer = pb.ConnectResponse(fault=pb.Fault(kind=pb.Fault.KIND_UNEXPECTED, message=text))
        answer.number = request.number
        answers.put(answer)

    def _carry_out(self, request: pb.ConnectRequest) -> pb.ConnectResponse:
        switches = self._southbound
        match request.WhichOneof("request"):
            case "read":
                return pb.ConnectResponse(state=message(switches.read(request.read.node)))
            case "apply":
                return pb.ConnectResponse(receipt=message(switches.apply(value(request.apply))))
            case "counters" if isinstance(switches, CounterSource):
                return pb.ConnectResponse(counters=counters_message(switches.counters(request.counters.node)))
            case "link_delays":
                found = switches.link_delays() if isinstance(switches, DelaySource) else {}
                rows = [
                    pb.LinkDelay(link=message(link), delay_s=delay.seconds, error_s=delay.error_s)
                    for link, delay in found.items()
                ]
                return pb.ConnectResponse(link_delays=pb.LinkDelays(delays=rows))
            case "set_rank":
                self._rank(request.set_rank)
                return pb.ConnectResponse(rank_set=pb.RankSet())
        raise ProgramError("a request that this version does not know; run one version in both processes")

    def _rank(self, rank: pb.SetRank) -> None:
        """For how long it leads is the control plane's to know: it asks for nothing once its time is over."""
        if not isinstance(self._southbound, Ranked):
            return
        if rank.leads:
            self._southbound.lead(rank.epoch, lambda: True)
        else:
            self._southbound.follow(rank.epoch)

    def _tell(self, answers: _Answers, context: Any) -> Iterator[pb.ConnectResponse]:
        """Answers as they come; what is known of the network at once when it changes, and as a sign of life."""
        told, since = b"", BEAT_S
        while context.is_active() and not self._ends.is_set():
            network = self._network()
            now = network.SerializeToString(deterministic=True)
            if now != told or since >= BEAT_S:
                told, since = now, 0.0
                yield network
            since += LOOK_S
            for answer in _within(answers, LOOK_S):
                if answer is None:
                    return
                yield answer

    def _network(self) -> pb.ConnectResponse:
        statuses = map(message, self._southbound.statuses().values())
        links = map(message, sorted(self._southbound.links()))
        refusals = self._southbound.refusals() if isinstance(self._southbound, Doorkeeper) else {}
        return pb.ConnectResponse(network=pb.Network(statuses=statuses, links=links, refusals=refusals))


def _within(answers: _Answers, wait_s: float) -> Iterator[pb.ConnectResponse | None]:
    """What is there, or comes within the time."""
    try:
        yield answers.get(timeout=wait_s)
        while True:
            yield answers.get_nowait()
    except queue.Empty:
        return


def _refuse_taken(path: str) -> None:
    """gRPC takes a socket's place without asking who listens there."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return
    raise InputError(
        f"a process listens on {path} already", field="--listen", remedy="stop it, or choose another socket"
    )
