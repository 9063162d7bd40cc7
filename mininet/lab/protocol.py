"""How the lab speaks with its agent: one JSON object a line over TCP, requests answered in order.

    -> {"op": "build", "args": {...}}
    <- {"ok": true, "result": ...}   or   {"ok": false, "error": "text"}

Lines are bounded on both sides, so a confused peer cannot fill the memory of the other.
"""

from __future__ import annotations

import ipaddress
import json
from typing import Any

from carelane.errors import PermanentError

__all__ = ["AGENT_PORT", "CELL_ADDRESS", "CONTROLLER", "GUEST_ADDRESS", "MAX_LINE", "OPENFLOW_PORT", "OVSDB_PORT"]
__all__ += ["SWITCH_ADDRESSES", "LabProtocolError", "LineReader", "encode", "own_ovsdb_port", "switch_address"]

# The link between the cell (where controller and planner run) and the switches. Both addresses exist on every
# substrate, so nothing above cares where the switches run.
CELL_ADDRESS = "10.254.0.1"
GUEST_ADDRESS = "10.254.0.2"
AGENT_PORT = 6650
OVSDB_PORT = 6640
OPENFLOW_PORT = 6653

CONTROLLER = (f'target="tcp:{CELL_ADDRESS}:{OPENFLOW_PORT}"', "max_backoff=1000", "inactivity_probe=5000")
"""Columns of a bridge's record in Open vSwitch's table Controller."""

# Switches that each have an Open vSwitch of their own; number n is bridge s<n>.
SWITCH_ADDRESSES = ipaddress.ip_network("10.254.4.0/22")
_OWN_OVSDB_PORTS = 16640

# A network of a thousand switches is about 300 kB; the longest answers are flow dumps.
MAX_LINE = 8 * 1024 * 1024


def switch_address(number: int) -> str:
    """Where a switch of its own speaks OpenFlow from."""
    return str(SWITCH_ADDRESSES[number])


def own_ovsdb_port(number: int) -> int:
    """Where the database of a switch of its own listens, at `GUEST_ADDRESS`."""
    return _OWN_OVSDB_PORTS + number


class LabProtocolError(PermanentError):
    """The peer sent something that is not a bounded line of JSON."""


def encode(message: dict[str, Any]) -> bytes:
    """One line, or `LabProtocolError` when it would be longer than `MAX_LINE`."""
    line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
    if len(line) > MAX_LINE:
        raise LabProtocolError(f"message of {len(line)} bytes; at most {MAX_LINE} are allowed")
    return line


class LineReader:
    """Collects received bytes and gives back whole JSON objects."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The objects completed by `data`. Raises `LabProtocolError` on an overlong or malformed line."""
        self._pending += data
        messages: list[dict[str, Any]] = []
        while (end := self._pending.find(b"\n")) >= 0:
            line = bytes(self._pending[:end])
            del self._pending[: end + 1]
            messages.append(_decode(line))
        if len(self._pending) > MAX_LINE:
            raise LabProtocolError(f"line longer than {MAX_LINE} bytes")
        return messages


def _decode(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise LabProtocolError(f"not JSON: {error}") from error
    if not isinstance(message, dict):
        raise LabProtocolError("not a JSON object")
    return message
