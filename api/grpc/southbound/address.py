"""Where the two processes meet: a Unix socket, so that file permissions say who may program switches."""

from __future__ import annotations

import hashlib
import json
import os

from carelane.errors import InputError
from carelane.topology.dump import to_manifest
from carelane.topology.model import Topology

__all__ = ["SERVICE", "fingerprint", "socket_path"]

SERVICE = "carelane.v1.SouthboundService"
_LONGEST = 107
"""Bytes of a path that a Unix socket can have (unix(7): sun_path)."""


def socket_path(address: str, field: str = "--southbound") -> str:
    """The path of an address such as ``unix:/run/carelane/southbound.sock``. Raises InputError."""
    scheme, _, path = address.partition(":")
    if scheme != "unix" or not path.startswith("/"):
        raise InputError(
            f"{address!r} is no address of a southbound process",
            field=field,
            expected="unix: and an absolute path, such as unix:/run/carelane/southbound.sock",
            remedy="both processes run on one machine; who may open the socket may program the switches",
        )
    if len(os.fsencode(path)) > _LONGEST:
        raise InputError("the path is too long for a Unix socket", field=field, expected=f"at most {_LONGEST} bytes")
    return path


def fingerprint(topology: Topology) -> str:
    """SHA-256 of the topology's manifest: both processes must speak of the same ports."""
    text = json.dumps(to_manifest(topology), sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
