"""`carelane pki`, what `doctor` says of certificates, and REST and gRPC over TLS."""

from __future__ import annotations

import json
import re
import ssl
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

Cli = Any


def test_keys_are_ones_own_and_nothing_is_overwritten_unasked(call: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    ran = call("pki", "init", str(folder), "--switch", "s1", "--host", "10.0.0.1")
    assert ran.code == 0
    assert "ovs-vsctl set-ssl s1.key s1.crt ca.crt" in ran.out
    assert sorted(file.name for file in folder.iterdir()) == sorted(
        f"{name}.{kind}" for name in ("ca", "controller", "s1") for kind in ("key", "crt")
    )
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.glob("*.key")} == {0o600}

    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    again = call("pki", "init", str(folder), "--switch", "s1")
    assert again.code == 2
    assert "--force" in again.err
    assert call("pki", "issue", str(folder), "s1").code == 2
    assert call("pki", "issue", str(folder), "../s3").code == 2
    assert call("pki", "init", str(tmp_path / "no"), "--host", "not a host\u4e2d").code == 2
    assert not (tmp_path / "no").exists()
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before

    assert call("pki", "issue", str(folder), "s1", "--force", "--days", "10").code == 0
    rows = json.loads(call("pki", "show", str(folder), "-o", "json").out)["certificates"]
    assert {row["subject"]: row["days_left"] for row in rows}["s1"] == pytest.approx(10, abs=0.1)
    assert "renew it soon" in call("pki", "show", str(folder)).out


def test_doctor_warns_before_a_certificate_ends(call: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "pki"
    call("pki", "init", str(folder), "--days", "20")
    call("pki", "init", str(tmp_path / "other"))
    monkeypatch.chdir(tmp_path)
    environment = {"KEY": folder / "controller.key", "CERT": folder / "controller.crt", "CA": folder / "ca.crt"}

    def findings(**files: Path) -> dict[str, Any]:
        for name, file in (environment | files).items():
            monkeypatch.setenv(f"CARELANE_TLS_{name}", str(file))
        ran = call("doctor", "--url", "http://127.0.0.1:9", "-o", "json")
        return {row["found"]: row for row in json.loads(ran.out)["findings"] if row["check"] == "certificates"}

    found = findings()
    assert [row["status"] for row in found.values()] == ["note", "ok"]
    assert any(re.search(r"controller until \d{4}-\d\d-\d\d, in (19|20) days", text) for text in found)
    monkeypatch.setattr("carelane.pki._SKEW", timedelta(days=-2))  # made by a machine whose clock is ahead
    call("pki", "issue", str(folder), "controller", "--force")
    found = findings()
    assert [row["status"] for row in found.values()] == ["missing", "ok"]
    assert any(re.search(r"controller is valid from \S+ \S+ UTC on, not yet", text) for text in found)
    assert "not valid before" in call("pki", "show", str(folder)).out
    (row,) = findings(KEY=tmp_path / "other" / "controller.key").values()
    assert row["status"] == "missing"
    assert "cannot be used" in row["found"]


def test_rest_and_grpc_speak_tls_with_the_same_certificate(start_server: Any, cli: Cli, tmp_path: Path) -> None:
    pki = tmp_path / "pki"
    assert cli("pki", "init", str(pki)).code == 0
    options = (f"--tls-{kind}={pki / file}" for kind, file in
               (("key", "controller.key"), ("cert", "controller.crt"), ("ca", "ca.crt")))  # fmt: skip
    server = start_server("--grpc-port=0", "--rest-tls", *options)
    assert server.url.startswith("https://127.0.0.1:")

    trusted = cli("get", "--url", server.url, env={"CARELANE_TLS_CA": str(pki / "ca.crt")})
    assert (trusted.code, trusted.out) == (0, "no intents\n")
    distrusted = cli("get", "--url", server.url)
    assert distrusted.code == 69
    assert "certificate verify failed" in distrusted.err
    metrics = httpx.get(f"{server.url}/metrics", verify=ssl.create_default_context(cafile=pki / "ca.crt")).text
    assert 'carelane_certificate_expiry_timestamp_seconds{use="own"}' in metrics

    port = re.search(r"gRPC \S+ port (\d+)", server.ready)
    assert port is not None
    credentials = grpc.ssl_channel_credentials((pki / "ca.crt").read_bytes())
    with grpc.secure_channel(f"127.0.0.1:{port[1]}", credentials) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=20)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
