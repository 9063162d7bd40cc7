"""Discovery frames: only our own, unaltered, count."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from carelane.controller.southbound.openflow._discovery import Discovery


def discovery(expiry_s: float = 60) -> Discovery:
    return Discovery(lambda: iter(()), interval_s=60, expiry_s=expiry_s)


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


def test_the_flight_of_an_announcement_is_the_shortest_of_those_that_were_sent() -> None:
    ours = discovery()
    for pause_s in (0.05, 0.01, 0.03):
        ours.announcement(1, 5)
        time.sleep(pause_s)
        assert ours.receive(2, 7, ours.frame(1, 5))
    assert ours.receive(2, 7, ours.frame(1, 5)), "a copy that nobody sent is a link and no measurement"
    (flight,) = ours.flights().values()
    assert 0.01 <= flight < 0.05
    ours.forget(2)
    assert ours.flights() == {}


def test_a_round_is_spread_out_and_a_hurried_one_is_not() -> None:
    sent: list[tuple[int, float]] = []

    def emit() -> Iterator[None]:
        for port in range(4):
            sent.append((port, time.monotonic()))
            yield

    spread = Discovery(emit, interval_s=0.4, expiry_s=60)
    spread.start()
    while len(sent) < 12:
        time.sleep(0.01)
    spread.stop()
    rounds = [[at for _, at in sent[first : first + 4]] for first in (4, 8)]
    # 0.08 s between two of a round; a late thread makes it longer, never shorter.
    assert all(later - earlier >= 0.07 for times in rounds for earlier, later in pairwise(times))
    sent.clear()
    hurried = Discovery(emit, interval_s=60, expiry_s=60)
    hurried.start()
    while len(sent) < 4:
        time.sleep(0.01)
    hurried.hurry()
    while len(sent) < 8:
        time.sleep(0.01)
    hurried.stop()
    assert [port for port, _ in sent] == [0, 1, 2, 3] * 2
