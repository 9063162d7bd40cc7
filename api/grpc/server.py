"""The gRPC server: its services, health (gRPC Health Checking Protocol) and reflection."""

from __future__ import annotations

import ipaddress
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from carelane.api.auth import Authenticator
from carelane.api.grpc.calls import Calls
from carelane.api.grpc.door import guarded, guarded_stream
from carelane.api.grpc.gen import carelane_pb2 as pb
from carelane.api.grpc.places import Places
from carelane.api.rest.views import Views
from carelane.controller.service import IntentService
from carelane.documents import MAX_BYTES
from carelane.errors import InputError
from carelane.tls import TlsFiles

__all__ = ["GrpcServer"]

WATCHES = 24
WATCHES_EACH = 8
THREADS = WATCHES + 16
GRACE_S = 2.0
_SERVICES = tuple(service.full_name for service in pb.DESCRIPTOR.services_by_name.values())


class GrpcServer:
    """Serves between `start` and `stop`. `port` 0 takes a free one; afterwards it is the one that was taken.

    With `tls` it speaks TLS; callers show a bearer token, not a certificate.
    """

    def __init__(
        self,
        service: IntentService,
        authenticator: Authenticator,
        host: str,
        port: int,
        *,
        tls: TlsFiles | None = None,
    ) -> None:
        views = Views(service.topology, service.access.knows)
        self._calls = Calls(service, authenticator, views, Places(WATCHES, WATCHES_EACH))
        self._server = grpc.server(
            ThreadPoolExecutor(THREADS, thread_name_prefix="carelane-grpc"),
            options=(("grpc.max_receive_message_length", MAX_BYTES), ("grpc.so_reuseport", 0)),
            maximum_concurrent_rpcs=THREADS,
        )
        self._health = health.HealthServicer()
        self._server.add_generic_rpc_handlers(_handlers(self._calls))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((*_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)
        place = f"[{host}]:{port}" if _is_v6(host) else f"{host}:{port}"
        try:
            if tls is None:
                self.port = self._server.add_insecure_port(place)
            else:
                pair = (tls.key.read_bytes(), tls.cert.read_bytes())
                self.port = self._server.add_secure_port(place, grpc.ssl_server_credentials([pair]))
        except RuntimeError as error:
            raise InputError(
                f"cannot listen on {place}", field="--grpc-port", remedy="stop what listens there, or choose another"
            ) from error

    def start(self) -> None:
        self._server.start()
        for name in ("", *_SERVICES):
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    def stop(self) -> None:
        self._health.enter_graceful_shutdown()
        self._calls.ends.set()
        self._server.stop(GRACE_S).wait(GRACE_S + 1)


def _is_v6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def _handlers(calls: Calls) -> tuple[Any, ...]:
    """From the descriptors, so that a method of the definition without an implementation fails at the start."""
    found = []
    for name in _SERVICES:
        service = pb.DESCRIPTOR.services_by_name[name.rpartition(".")[2]]
        methods = {method.name: _handler(method, getattr(calls, _snake(method.name))) for method in service.methods}
        found.append(grpc.method_handlers_generic_handler(name, methods))
    return tuple(found)


def _handler(method: Any, work: Any) -> Any:
    request = getattr(pb, method.input_type.name)
    response = getattr(pb, method.output_type.name)
    make = grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
    wrap = guarded_stream if method.server_streaming else guarded
    return make(wrap(work), request_deserializer=request.FromString, response_serializer=response.SerializeToString)


def _snake(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name).lstrip("_")
