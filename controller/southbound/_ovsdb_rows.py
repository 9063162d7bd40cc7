"""QoS, Queue and Interface rows of OVSDB and the program's `PortQos` and `PortBfd`: pure translation both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from carelane.controller.pipeline.program import PortBfd, PortQos, Queue

__all__ = [
    "BFD",
    "OWNER",
    "PortRow",
    "bfd_config",
    "find_ports",
    "is_own",
    "port_bfd",
    "port_qos",
    "qos_config",
    "queue_config",
    "queue_ids",
    "watches",
]

OWNER = "carelane:owner"
_OWNER_VALUE = "carelane"
_SLICE = "carelane:slice"
_PORT = "carelane:port"
BFD = "carelane:bfd"
"""Marks, in an interface's external-ids, that its BFD is ours."""


@dataclass(frozen=True, slots=True)
class PortRow:
    """A switch port in OVSDB: its row, the interface that carries the OpenFlow port number, and the QoS row if any."""

    row: Any
    interface: str
    mtu: int | None
    qos: Any | None
    interface_row: Any


def find_ports(tables: Any, dpid: int) -> dict[int, PortRow] | None:
    """The ports of the bridge with this datapath id by OpenFlow port number; None when there is no such bridge."""
    wanted = f"{dpid:016x}"
    for bridge in tables["Bridge"].rows.values():
        if wanted in bridge.datapath_id:
            return {
                number: PortRow(
                    port, interface.name, next(iter(interface.mtu), None), next(iter(port.qos), None), interface
                )
                for port in bridge.ports
                for interface in port.interfaces
                for number in interface.ofport
                if number > 0
            }
    return None


def is_own(row: Any) -> bool:
    return bool(row.external_ids.get(OWNER) == _OWNER_VALUE)


def port_qos(port: int, qos: Any) -> PortQos:
    """The program words for an HTB row of ours; other makers' queues in it are left out."""
    queues = tuple(
        Queue(
            id=number,
            min_rate_bps=_number(row.other_config, "min-rate"),
            max_rate_bps=_number(row.other_config, "max-rate"),
            burst_bits=_number(row.other_config, "burst"),
            priority=_number(row.other_config, "priority"),
            slice=row.external_ids.get(_SLICE, ""),
        )
        for number, row in sorted(qos.queues.items())
        if is_own(row)
    )
    return PortQos(port, _number(qos.other_config, "max-rate"), queues)


def watches(port: PortRow) -> bool:
    """Whether BFD runs there, whoever asked for it."""
    return bool(port.interface_row.bfd.get("enable") == "true")


def port_bfd(number: int, port: PortRow) -> PortBfd | None:
    """Our BFD on a port; None where there is none of ours. Settings that differ from ours read as interval 0."""
    row = port.interface_row
    if row.external_ids.get(BFD) != _OWNER_VALUE:
        return None
    found = PortBfd(number, _number(row.bfd, "min_tx"))
    return found if dict(row.bfd) == bfd_config(found) else PortBfd(number, 0)


def bfd_config(target: PortBfd) -> dict[str, str]:
    """The `bfd` column of an Interface (ovs-vswitchd.conf.db(5)): milliseconds, and the default of three missed."""
    return {"enable": "true", "min_tx": str(target.interval_ms), "min_rx": str(target.interval_ms)}


def qos_config(target: PortQos) -> tuple[dict[str, str], dict[str, str]]:
    """other_config and external_ids of the QoS row."""
    return {"max-rate": str(target.max_rate_bps)}, {OWNER: _OWNER_VALUE, _PORT: str(target.port)}


def queue_config(queue: Queue) -> dict[str, str]:
    """other_config of a Queue row (ovs-vswitchd.conf.db(5), linux-htb): bit/s and bits; priority 0 is served first."""
    return {
        "min-rate": str(queue.min_rate_bps),
        "max-rate": str(queue.max_rate_bps),
        "burst": str(queue.burst_bits),
        "priority": str(queue.priority),
    }


def queue_ids(queue: Queue, port: int) -> dict[str, str]:
    """external_ids of a Queue row."""
    return {OWNER: _OWNER_VALUE, _SLICE: queue.slice, _PORT: str(port)}


def _number(config: Mapping[str, str], key: str) -> int:
    """0 when absent or unreadable, which no program of ours asks for where it matters."""
    text = config.get(key, "")
    return int(text) if text.isdecimal() else 0
