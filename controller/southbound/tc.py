"""HTB classes as the kernel has them: the proof that a queue in OVSDB is a queue on the wire.

Rates are bits/s, sizes are bytes. OVS puts queue q into class 1:(q+1) below 1:fffe (lib/netdev-linux.c).
"""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from carelane.controller.pipeline.program import Queue

__all__ = ["ROOT_CLASS", "TcClass", "TcReader", "compare_classes", "parse_classes", "read_classes"]

ROOT_CLASS = 0xFFFE
_DEFAULT_MTU = 1500
_HEADROOM = 64
_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class TcClass:
    """One HTB class; `minor` is the part of the class id after the colon."""

    minor: int
    rate_bps: int
    ceil_bps: int
    burst_bytes: int
    priority: int


TcReader = Callable[[str], Sequence[TcClass]]
"""Reads the classes of an interface by name. Raises OSError when the kernel there cannot be asked."""

_CLASS = re.compile(r"^class htb [0-9a-f]+:([0-9a-f]+) (.*)$", re.MULTILINE)
_RATE = re.compile(r"([0-9.]+)([KMGT]?)(bit|bps)")
_SIZE = re.compile(r"([0-9.]+)([KM]?)b")
_RATE_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SIZE_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20}


def read_classes(interface: str) -> tuple[TcClass, ...]:
    """The classes of an interface of this network namespace. Raises OSError when it is not there or tc fails."""
    socket.if_nametoindex(interface)
    done = subprocess.run(
        ["tc", "class", "show", "dev", interface], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise OSError(f"tc class show dev {interface}: {done.stderr.strip()}")
    return parse_classes(done.stdout)


def parse_classes(text: str) -> tuple[TcClass, ...]:
    """What `tc class show` prints (iproute2 6.1 prints HTB classes as text even when asked for JSON)."""
    return tuple(_parse_class(int(m[1], 16), m[2].split()) for m in _CLASS.finditer(text))


def _parse_class(minor: int, words: list[str]) -> TcClass:
    found = dict(pairwise(words))
    return TcClass(
        minor,
        _rate(found["rate"]),
        _rate(found["ceil"]),
        _size(found["burst"]),
        int(found.get("prio", 0)),
    )


def _rate(text: str) -> int:
    matched = _RATE.fullmatch(text)
    if matched is None:
        raise ValueError(f"unreadable rate {text!r} from tc")
    return round(float(matched[1]) * _RATE_UNITS[matched[2]] * (8 if matched[3] == "bps" else 1))


def _size(text: str) -> int:
    matched = _SIZE.fullmatch(text)
    if matched is None:
        raise ValueError(f"unreadable size {text!r} from tc")
    return round(float(matched[1]) * _SIZE_UNITS[matched[2]])


def compare_classes(
    port: str, max_rate_bps: int, queues: Sequence[Queue], classes: Sequence[TcClass], *, mtu: int | None
) -> list[str]:
    """Where the kernel does not do what OVSDB asks for, one line each.

    OVS keeps every class within the port's rate and gives it a burst of at least one frame (MTU + 64 bytes). tc
    prints rates in three or more digits and HTB keeps bursts in ticks, hence the small tolerances.
    """
    by_minor = {found.minor: found for found in classes}
    root = by_minor.pop(ROOT_CLASS, None)
    problems = []
    if root is None:
        return [f"port {port}: no HTB in the kernel"]
    if not _near(root.ceil_bps, max_rate_bps, 0.002, 16):
        problems.append(f"port {port}: the kernel shapes to {root.ceil_bps} bit/s instead of {max_rate_bps}")
    for queue in queues:
        found = by_minor.pop(queue.id + 1, None)
        if found is None:
            problems.append(f"port {port} queue {queue.id}: no class in the kernel")
            continue
        rate = min(max(queue.min_rate_bps, 8), max_rate_bps)
        ceil = min(max(queue.max_rate_bps or max_rate_bps, rate), max_rate_bps)
        burst = max(queue.burst_bits // 8, (mtu or _DEFAULT_MTU) + _HEADROOM)
        for what, actual, wanted, share, slack in (
            ("rate", found.rate_bps, rate, 0.002, 16),
            ("ceiling", found.ceil_bps, ceil, 0.002, 16),
            ("burst", found.burst_bytes, burst, 0.01, 32),
        ):
            if not _near(actual, wanted, share, slack):
                problems.append(f"port {port} queue {queue.id}: kernel {what} is {actual} instead of {wanted}")
        if found.priority != queue.priority:
            problems.append(
                f"port {port} queue {queue.id}: kernel priority is {found.priority} instead of {queue.priority}"
            )
    problems += [f"port {port}: kernel class 1:{minor:x} belongs to no queue of ours" for minor in sorted(by_minor)]
    return problems


def _near(actual: int, wanted: int, share: float, slack: int) -> bool:
    return abs(actual - wanted) <= max(wanted * share, slack)
