"""The part of the OVSDB schema that carelane states equals the server's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from carelane.controller.southbound._ovsdb_server import SCHEMA

INSTALLED = Path("/usr/share/openvswitch/vswitch.ovsschema")


@pytest.mark.ovs
@pytest.mark.skipif(not INSTALLED.exists(), reason="needs Open vSwitch installed")
def test_schema() -> None:
    theirs = json.loads(INSTALLED.read_text())["tables"]
    for table, ours in SCHEMA["tables"].items():
        for column, definition in ours["columns"].items():
            assert theirs[table]["columns"][column]["type"] == definition["type"], f"{table}.{column}"
