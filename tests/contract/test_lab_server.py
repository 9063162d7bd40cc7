"""How the lab speaks to the product: with its key, or not at all. The lab itself is not needed for that."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from carelane.lab import carelane_server
from carelane.lab.carelane_server import CarelaneServer
from carelane.topology import parse_topology


def test_the_lab_reads_and_withdraws_with_its_key(
    server: Any, topology_text: str, intent_text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = SimpleNamespace(path=lambda name: tmp_path / name.strip("/"))
    lab: Any = SimpleNamespace(cell=here, inside=lambda work: work())
    monkeypatch.setattr(carelane_server, "WORK", "lab")
    monkeypatch.setattr(carelane_server, "_REST", server.url)
    (tmp_path / "lab").mkdir()
    product = CarelaneServer(lab, parse_topology(topology_text))
    (tmp_path / "lab/product/admin.key").write_text(f"{server.key}\n", encoding="utf-8")
    yaml = {"content-type": "application/yaml", **server.headers}
    assert httpx.post(f"{server.url}/v1/intents", content=intent_text, headers=yaml, trust_env=False).is_success
    assert [row["name"] for row in product.get("/v1/intents")["intents"]] == ["or1-surgery"]
    product.withdraw(["or1-surgery"])
    assert product.get("/v1/intents")["intents"] == []
