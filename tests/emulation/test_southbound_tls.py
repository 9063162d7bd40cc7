"""OpenFlow and OVSDB over TLS with mutual certificates, against a real Open vSwitch."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from carelane import pki
from carelane.controller.pipeline.changes import Operation, SwitchChanges
from carelane.controller.pipeline.program import COOKIE_OWNER, FlowRule, Match, Output, PortQos, Queue
from carelane.controller.southbound.openflow import OpenFlowSouthbound
from carelane.errors import InputError
from carelane.tls import TlsFiles
from carelane.topology.model import Node, Topology

pytestmark = [pytest.mark.root, pytest.mark.ovs]

NETWORK = Topology("test", {name: Node(name, dpid) for dpid, name in ((1, "s1"), (2, "s2"))}, {}, {}, {})
OVSDB_PORT = 6640  # of a network namespace of our own


def until(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the awaited state did not come"
        time.sleep(0.02)


def test_only_the_switch_that_a_certificate_names_is_let_in_and_programmed(
    ovs: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours, foreign = tmp_path / "ours", tmp_path / "foreign"
    pki.init(ours, ["127.0.0.1"], ["s1", "s2"], days=2, force=False)
    pki.init(foreign, ["127.0.0.1"], ["s1"], days=2, force=False)
    tls = TlsFiles(ours / "controller.key", ours / "controller.crt", ours / "ca.crt")
    southbound = OpenFlowSouthbound(
        NETWORK, port=0, echo_interval_s=0.5, tls=tls, ovsdb=f"ssl:127.0.0.1:{OVSDB_PORT}", tc_reader=lambda _: ()
    )
    southbound.start()
    try:
        with caplog.at_level(logging.WARNING):
            _knock(southbound.port, _client(ours / "ca.crt"))
            until(lambda: southbound.refusals().get("no-certificate", 0) > 0)
            _knock(southbound.port, None)
            until(lambda: southbound.refusals().get("not-tls", 0) > 0)

            ovs.add_bridge("s1", 1)
            ovs.add_veth("s1", 1, "v1")
            ovs.vsctl("set-ssl", *_files(foreign, "s1", ours))
            ovs.vsctl("set-controller", "s1", f"ssl:127.0.0.1:{southbound.port}")
            ovs.vsctl("set", "controller", "s1", "connection-mode=out-of-band", "max-backoff=1000")
            until(lambda: southbound.refusals().get("untrusted", 0) > 0)
            ovs.vsctl("set-ssl", *_files(ours, "s2", ours))
            until(lambda: southbound.refusals().get("another-switch", 0) > 0)
            assert not any(status.connected for status in southbound.statuses().values())
        told = "\n".join(record.getMessage() for record in caplog.records)
        assert told.count("it shows no certificate") == 1
        assert "its certificate is that of s2, and it says it is s1" in told

        ovs.vsctl("set-ssl", *_files(ours, "s1", ours))
        ovs.vsctl("set-manager", f"pssl:{OVSDB_PORT}:127.0.0.1")
        until(lambda: southbound.statuses()["s1"].ports_up.get(1, False))
        rule = FlowRule(0, 7, Match(in_port=1), (Output(1),), COOKIE_OWNER << 48 | 7)
        best_effort = Queue(0, 1_000_000, 10_000_000, 12_000, 7, "")
        queues = PortQos(1, 10_000_000, (best_effort, Queue(3, 1_000_000, 10_000_000, 12_000, 1, "x")))
        southbound.apply(SwitchChanges("s1", 1, (Operation("add", queues), Operation("add", rule))))
        state = southbound.read("s1").own
        assert rule in state.flows
        assert queues in state.ports
        assert "priority=7,in_port=1" in ovs.ofctl("dump-flows", "s1")

        flood = [FlowRule(0, 100 + i, Match(in_port=1), (Output(1),), COOKIE_OWNER << 48 | 8) for i in range(3000)]
        southbound.apply(SwitchChanges("s1", 1, tuple(Operation("add", item) for item in flood)))
        assert set(flood) < set(southbound.read("s1").own.flows), "both directions at once over one connection"
    finally:
        southbound.stop()


def test_ovsdb_over_ssl_is_refused_without_certificates() -> None:
    with pytest.raises(InputError, match="needs certificates"):
        OpenFlowSouthbound(NETWORK, port=0, ovsdb="ssl:127.0.0.1:6640")


def _files(folder: Path, name: str, authority: Path) -> tuple[str, str, str]:
    return (str(folder / f"{name}.key"), str(folder / f"{name}.crt"), str(authority / "ca.crt"))


def _client(authority: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority))


def _knock(port: int, context: ssl.SSLContext | None) -> None:
    """Connect without a certificate, or without TLS, as a switch that was configured wrongly would."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock, contextlib.suppress(OSError):
        if context is None:
            sock.sendall(b"\x04\x00\x00\x08\x00\x00\x00\x01")
            sock.recv(1)
        else:
            with context.wrap_socket(sock, server_hostname="127.0.0.1") as secure:
                secure.recv(1)
