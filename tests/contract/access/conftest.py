"""An application in this process over simulated switches, two hospitals, and a caller for each role and tenant."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from argon2 import PasswordHasher
from fastapi import FastAPI

from carelane.api.auth import Authenticator, Buckets, KeyRing, Role
from carelane.api.camara.sinks import SinkRules
from carelane.api.camara.vault import Vault
from carelane.api.rest import create_app
from carelane.controller.runner import Controller
from carelane.controller.southbound.simulator import Simulator
from carelane.key_files import seal_file
from carelane.policies.admission import AdmissionPolicy
from carelane.topology import parse_topology

TOPOLOGY = """\
apiVersion: carelane/v1
kind: Topology
metadata: {name: two-hospitals}
spec:
  nodes:
    - {id: west, kind: switch, availability: 0.99999}
    - {id: east, kind: switch, availability: 0.99999}
  links:
    - {id: l1, a: west, b: east, capacity: 1Gbps, length: 100km, availability: 0.9997}
    - {id: l2, a: west, b: east, capacity: 1Gbps, length: 200km, availability: 0.9997}
  endpoints:
    - {id: cloud, node: east, address: 10.3.0.1/32, capacity: 1Gbps}
"""
DESKS = 30
TOPOLOGY += "".join(
    f"    - {{id: {tenant}/{kind}-{n}, node: {node}, address: 10.{net}.{half}.{n + 1}/32, capacity: 1Gbps, "
    f"tenant: {tenant}}}\n"
    for net, tenant in ((1, "alpha"), (2, "bravo"))
    for half, (kind, node) in enumerate((("or", "west"), ("console", "east")))
    for n in range(DESKS)
)
_desks: dict[str, int] = {}
ROLES: dict[str, tuple[Role, str | None]] = {
    "viewer": (Role.VIEWER, None),
    "viewer@alpha": (Role.VIEWER, "alpha"),
    "it@alpha": (Role.HOSPITAL_IT, "alpha"),
    "it@bravo": (Role.HOSPITAL_IT, "bravo"),
    "engineer": (Role.ENGINEER, None),
    "admin": (Role.ADMIN, None),
}


@dataclass
class Door:
    """The application, its keys, and how to call it as somebody."""

    app: FastAPI
    client: httpx.Client
    ring: KeyRing
    keys: dict[str, str]
    controller: Controller
    vault: Vault
    database: str
    """SQLite's file."""

    def call(self, who: str | None, method: str, path: str, **arguments: Any) -> httpx.Response:
        """As one of ROLES; None: without a credential."""
        headers = dict(arguments.pop("headers", {}))
        if who is not None:
            headers["authorization"] = f"Bearer {self.keys[who]}"
        return self.client.request(method, path, headers=headers, **arguments)

    def file(self, who: str, name: str, tenant: str, mbps: int = 10, **more: Any) -> httpx.Response:
        """File a consultation of a hospital with itself."""
        return self.call(who, "POST", "/v1/intents", json=intent(name, tenant, mbps), **more)


def intent(name: str, tenant: str, mbps: int = 10) -> dict[str, Any]:
    """A consultation between two endpoints that no intent of another name uses."""
    desk = _desks.setdefault(name, len(_desks) % DESKS)
    return {
        "apiVersion": "carelane/v1",
        "kind": "ServiceIntent",
        "metadata": {"name": name, "tenant": tenant},
        "spec": {
            "service": "remote-consultation",
            "from": [f"{tenant}/or-{desk}"],
            "to": [f"{tenant}/console-{desk}"],
            "objectives": {"bandwidth": f"{mbps}Mbps", "availability": "none", "loss": "none"},
        },
    }


@pytest.fixture(scope="session")
def make_intent() -> Callable[..., dict[str, Any]]:
    return intent


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One for the tests of a module; its buckets are too large to matter."""
    url = f"sqlite:///{tmp_path_factory.mktemp('door') / 'carelane.db'}"
    yield from opened(url)


def opened(
    url: str, rate_per_s: float = 1e6, burst: int = 10**6, policy: AdmissionPolicy | None = None
) -> Iterator[Door]:
    with Controller(parse_topology(TOPOLOGY), url, Simulator, policy=policy) as controller:
        ring = KeyRing(controller.service.store, hasher=PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1))
        keys = {name: ring.create(label=name, role=role, tenant=tenant)[1] for name, (role, tenant) in ROLES.items()}
        vault = Vault(seal_file(None, url))
        app = create_app(
            controller.service,
            Authenticator(ring, None, Buckets(rate_per_s, burst)),
            vault=vault,
            sinks=SinkRules(frozenset({"localhost"})),
        )
        with _served(app) as address, httpx.Client(base_url=address, timeout=30, trust_env=False) as client:
            yield Door(app, client, ring, keys, controller, vault, url.partition(":///")[2])


@contextmanager
def _served(app: FastAPI) -> Iterator[str]:
    """The application on a free port, in a thread of its own."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def open_door(tmp_path: Path) -> Callable[..., Iterator[Door]]:
    """Doors with other settings: a generator that yields one."""
    return lambda **settings: opened(f"sqlite:///{tmp_path}/door.db", **settings)
