"""Kernel classes: reading what tc prints, and comparing it with what was asked for."""

from __future__ import annotations

import pytest

from carelane.controller.pipeline.program import Queue
from carelane.controller.southbound.tc import TcClass, compare_classes, parse_classes, read_classes

PRINTED = """\
class htb 1:1 parent 1:fffe prio 7 rate 1Mbit ceil 20Mbit burst 1564b cburst 1562b 
class htb 1:fffe root rate 20Mbit ceil 20Mbit burst 1500b cburst 1500b 
class htb 1:ee49 parent 1:fffe leaf 8001: prio 0 rate 2345Kbit ceil 1500bit burst 1Mb cburst 10Kb 
class fq_codel 8002:1 parent 8002: 
"""  # noqa: W291  tc ends its lines so
ROOT = TcClass(0xFFFE, 20_000_000, 20_000_000, 1500, 0)
QUEUE = Queue(7, 5_000_000, 20_000_000, 800_000, 0, "s")


def test_parsing() -> None:
    assert parse_classes(PRINTED) == (
        TcClass(1, 1_000_000, 20_000_000, 1564, 7),
        ROOT,
        TcClass(0xEE49, 2_345_000, 1500, 1 << 20, 0),
    )
    assert parse_classes("") == ()


@pytest.mark.parametrize("text", ["class htb 1:1 prio 0 rate many ceil 1bit burst 1b"])
def test_unreadable_output_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="unreadable"):
        parse_classes(text)


def test_an_absent_interface_is_an_error() -> None:
    with pytest.raises(OSError, match=r"no-such-if0|[Nn]o (such )?(device|interface)"):
        read_classes("no-such-if0")


def test_as_asked() -> None:
    classes = [ROOT, TcClass(8, 5_000_000, 20_000_000, 100_000, 0)]
    assert compare_classes("1", 20_000_000, [QUEUE], classes, mtu=1500) == []


def test_a_burst_below_one_frame_becomes_one_frame() -> None:
    queue = Queue(7, 5_000_000, 20_000_000, 8, 0, "s")
    classes = [ROOT, TcClass(8, 5_000_000, 20_000_000, 1664, 0)]
    assert compare_classes("1", 20_000_000, [queue], classes, mtu=1600) == []
    assert compare_classes("1", 20_000_000, [queue], classes, mtu=9000) == [
        "port 1 queue 7: kernel burst is 1664 instead of 9064"
    ]


def test_every_difference_is_named() -> None:
    classes = [TcClass(0xFFFE, 1, 10_000_000, 1500, 0), TcClass(8, 1, 2, 3, 4), TcClass(0xA, 1, 1, 1, 1)]
    assert compare_classes("1", 20_000_000, [QUEUE, Queue(8, 1, 1, 1, 1, "t")], classes, mtu=None) == [
        "port 1: the kernel shapes to 10000000 bit/s instead of 20000000",
        "port 1 queue 7: kernel rate is 1 instead of 5000000",
        "port 1 queue 7: kernel ceiling is 2 instead of 20000000",
        "port 1 queue 7: kernel burst is 3 instead of 100000",
        "port 1 queue 7: kernel priority is 4 instead of 0",
        "port 1 queue 8: no class in the kernel",
        "port 1: kernel class 1:a belongs to no queue of ours",
    ]
    assert compare_classes("1", 20_000_000, [QUEUE], [], mtu=None) == ["port 1: no HTB in the kernel"]
