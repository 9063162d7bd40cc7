"""Discovery frames: only our own, unaltered, count."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from carelane.controller.southbound.openflow import _discovery
from carelane.controller.southbound.openflow._compat import ofp
from carelane.controller.southbound.openflow._discovery import Discovery


def discovery(expiry_s: float = 60) -> Discovery:
    return Discovery(lambda: None, lambda _dpid, _message: None, interval_s=60, expiry_s=expiry_s)


def test_a_frame_of_ours_is_a_link() -> None:
    ours = discovery()
    frame = ours.frame(0xFFFFFFFFFFFFFFFF, 5)
    assert len(frame) >= 60
    assert ours.receive(2, 7, frame)
    assert ours.links() == [((0xFFFFFFFFFFFFFFFF, 5), (2, 7))]


def test_foreign_and_forged_frames_are_ignored() -> None:
    ours, theirs = discovery(), discovery()
    frame = ours.frame(1, 5)
    assert not ours.receive(2, 7, theirs.frame(1, 5))
    for position in range(12, len(frame)):
        altered = bytearray(frame)
        altered[position] ^= 1
        ours.receive(2, 7, bytes(altered))
    # What is not signed (chassis, port and TTL texts, padding) may differ; what a link is made of may not.
    assert set(ours.links()) <= {((1, 5), (2, 7))}


@pytest.mark.parametrize("cut", range(0, 60, 3))
def test_cut_frames_are_ignored(cut: int) -> None:
    ours = discovery()
    assert not ours.receive(2, 7, ours.frame(1, 5)[:cut])


def test_links_expire_and_are_forgotten() -> None:
    brief = discovery(expiry_s=0.02)
    brief.receive(2, 7, brief.frame(1, 5))
    time.sleep(0.05)
    assert brief.links() == []
    ours = discovery()
    for sender, receiver in (((1, 5), (2, 7)), ((2, 7), (1, 5)), ((3, 1), (2, 8))):
        ours.receive(*receiver, ours.frame(*sender))
    ours.forget(2, 8)
    assert len(ours.links()) == 2
    ours.forget(1)
    assert ours.links() == []


@dataclass
class Wire:
    """Two switches joined at ports 5 and 7: what is sent comes in `out_s + wire_s + in_s` later, by its own clock."""

    wire_s: float
    out_s: Callable[[], float]
    in_s: Callable[[], float]
    now: float = 1000.0
    lost: set[int] = field(default_factory=set)
    sent: int = 0

    def __post_init__(self) -> None:
        self.discovery = Discovery(lambda: None, self.send, interval_s=60, expiry_s=1e9)
        for ends in (((1, 5), (2, 7)), ((2, 7), (1, 5))):
            self.discovery.receive(*ends[1], self.discovery.frame(*ends[0]))

    def send(self, dpid: int, message: bytes) -> None:
        self.sent += 1
        if self.sent in self.lost:
            return
        (port,) = struct.unpack_from("!I", message, 28)  # of the one action, an output, before the frame
        self.now += self.out_s() + self.in_s()
        if port == ofp.OFPP_CONTROLLER:
            assert self.discovery.receive(dpid, port, message[40:])
        else:
            self.now += self.wire_s
            assert self.discovery.receive(*((2, 7) if dpid == 1 else (1, 5)), message[40:])


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Wire]:
    def make(wire_s: float, out_s: Callable[[], float], in_s: Callable[[], float]) -> Wire:
        made = Wire(wire_s, out_s, in_s)
        monkeypatch.setattr(_discovery.time, "monotonic", lambda: made.now)
        return made

    return make


def test_a_link_delay_is_what_the_wire_takes_however_late_the_switches_are(wire: Callable[..., Wire]) -> None:
    dice = random.Random(5)
    late = wire(0.001, lambda: dice.choice((0.004, 0.02)), lambda: dice.choice((0.003, 0.03)))
    for _ in range(60):
        late.discovery.measure()
    delays = late.discovery.delays()
    assert delays.keys() == {((1, 5), (2, 7)), ((2, 7), (1, 5))}
    for delay in delays.values():
        assert abs(delay.seconds - 0.001) < 1e-9, "seven milliseconds of switches are not the wire's"
        assert abs(delay.error_s - 0.007) < 1e-9, "and how they share them is not known"


def test_the_error_covers_switches_that_are_late_in_one_direction_only(wire: Callable[..., Wire]) -> None:
    made = wire(0.002, lambda: 0.006, lambda: 0.0)
    turn = iter(range(10**6))
    made.out_s = lambda: 0.006 if next(turn) % 2 else 0.002
    for _ in range(40):
        made.discovery.measure()
    for delay in made.discovery.delays().values():
        assert abs(delay.seconds - 0.002) <= delay.error_s


def test_a_timed_frame_that_was_lost_shortens_nothing(wire: Callable[..., Wire]) -> None:
    made = wire(0.001, lambda: 0.001, lambda: 0.001)
    made.lost = set(range(1, 40, 3))
    for _ in range(80):
        made.discovery.measure()
    assert all(abs(delay.seconds - 0.001) < 1e-9 for delay in made.discovery.delays().values())
    before = made.discovery.delays()
    assert made.discovery.receive(2, 7, made.discovery.frame(1, 5, 3)), "a copy of a frame is no measurement"
    assert made.discovery.delays() == before
    made.discovery.forget(2)
    assert made.discovery.delays() == {}
