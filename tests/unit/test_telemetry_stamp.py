"""Site probes over a real UDP socket: the format of RFC 8762, clocks that disagree, answers that are none."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from carelane.controller.telemetry.stamp import probe, reflect, summary
from carelane.errors import InputError


@contextmanager
def reflector(ahead_s: float = 0.0) -> Iterator[int]:
    stop = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind(("127.0.0.1", 0))
        door.settimeout(0.02)
        worker = threading.Thread(
            target=reflect,
            args=(door, stop.is_set),
            kwargs={"clock_error_s": 1e-4, "now": lambda: time.time() + ahead_s},
        )
        worker.start()
        try:
            yield door.getsockname()[1]
        finally:
            stop.set()
            worker.join()


def measured(port: int, count: int = 20) -> tuple[int, list]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        sent, found = probe(
            door, ("127.0.0.1", port), count=count, interval_s=0.002, dscp=46, clock_error_s=1e-4, linger_s=0.3
        )
        return sent, list(found)


def test_a_probe_measures_one_way_and_round_trip() -> None:
    with reflector() as port:
        sent, found = measured(port)
    report = summary("surgery", "a/or", "b/console", sent, found)
    assert (report.sent, report.received) == (20, 20)
    assert 0 <= report.round_trip_min_s < 0.5
    assert 2e-4 <= report.clock_error_s < 3e-4, "both ends' own words, rounded up"
    assert report.doubt(0.0) is None
    assert report.delay_min_s <= report.delay_max_s


def test_a_clock_that_is_ahead_gives_itself_away() -> None:
    with reflector(ahead_s=30.0) as port:
        sent, found = measured(port)
    doubt = summary("surgery", "a/or", "b/console", sent, found).doubt(0.0)
    assert doubt is not None
    assert "clocks disagree" in doubt


def test_silence_is_loss_and_no_delay() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        sent, found = measured(nobody.getsockname()[1], count=3)
    report = summary("surgery", "a/or", "b/console", sent, found)
    assert (report.sent, report.received) == (3, 0)


def test_answers_that_were_not_asked_for_do_not_count() -> None:
    """A forger who does not see the packets cannot know the timestamp that has to come back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forger:
        forger.bind(("127.0.0.1", 0))
        forger.settimeout(2)

        def forge() -> None:
            _, peer = forger.recvfrom(2048)
            forger.sendto(b"short", peer)
            forger.sendto(struct.pack("!IQH2xQIQH2xB3x", 0, 1, 1, 1, 0, 12345, 1, 255), peer)

        worker = threading.Thread(target=forge)
        worker.start()
        sent, found = measured(forger.getsockname()[1], count=1)
        worker.join()
    assert (sent, found) == (1, [])


def test_the_reflector_sends_no_more_than_it_got() -> None:
    with reflector() as port, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.settimeout(0.2)
        door.sendto(b"x" * 43, ("127.0.0.1", port))
        with pytest.raises(TimeoutError):
            door.recv(2048)
        door.sendto(struct.pack("!IQH30x", 7, 99, 1), ("127.0.0.1", port))
        answer = door.recv(2048)
    assert len(answer) == 44
    assert struct.unpack_from("!IQ", answer, 24) == (7, 99), "the sender's own number and moment come back"


def test_a_probe_needs_a_count_and_an_interval() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door, pytest.raises(InputError):
        probe(door, ("127.0.0.1", 1), count=0, interval_s=0.1, dscp=0, clock_error_s=0.0)
